/* reward.c -- scores of a prompt's replies by a net's head: the prompt once, the replies branching
 * from it in one packed row. */
#include "infer/reward.h"

#include <string.h>

int64_t ae_replies_tokens(const ae_replies *r)
{
    int64_t n = r->n_prompt;

    for (int64_t k = 0; k < r->n_replies; k++) n += r->reply_n[k];
    return n;
}

int64_t ae_replies_last(const ae_replies *r, int64_t k)
{
    int64_t at = r->n_prompt;

    if (r->reply_n[k] == 0) return at - 1;
    for (int64_t i = 0; i <= k; i++) at += r->reply_n[i];
    return at - 1;
}

/* A prompt and some of its replies as a row. */
typedef struct {
    int32_t *ids, *pos, *rows;
    ae_segment *segments;
    int64_t n, n_segments;
} row;

static aerie_status take_row(row *out, int64_t tokens, int64_t segments, ae_arena *arena,
                             aerie_error *err)
{
    *out = (row){ .ids = ae_arena_take_raw(arena, (size_t)tokens, sizeof *out->ids),
                  .pos = ae_arena_take_raw(arena, (size_t)tokens, sizeof *out->pos),
                  .rows = ae_arena_take_raw(arena, (size_t)tokens, sizeof *out->rows),
                  .segments = ae_arena_take(arena, (size_t)segments, sizeof *out->segments) };
    if (out->ids && out->pos && out->rows && out->segments) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld tokens", (long long)tokens);
}

static void add_segment(row *to, const int32_t *ids, int64_t n, int64_t parent, int64_t pos)
{
    if (n == 0) return;
    to->segments[to->n_segments++] = (ae_segment){ to->n, n, parent, -1 };
    memcpy(to->ids + to->n, ids, (size_t)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++, to->n++) {
        to->pos[to->n] = (int32_t)(pos + i);
        to->rows[to->n] = (int32_t)to->n;
    }
}

/* Replies first .. end - 1, whose tokens begin at `at`. */
static aerie_status score_some(float *out, const ae_replies *r, int64_t first, int64_t end,
                               int64_t at, ae_ctx *cx, const ae_net *net, aerie_error *err)
{
    int64_t tokens = r->n_prompt, next = at;
    row some;

    for (int64_t k = first; k < end; k++) tokens += r->reply_n[k];
    ae_arena_reset_all(cx->arena);
    aerie_status status = take_row(&some, tokens, end - first + 1, cx->arena, err);
    if (status) return status;
    add_segment(&some, r->ids, r->n_prompt, -1, 0);
    for (int64_t k = first; k < end; next += r->reply_n[k++])
        add_segment(&some, r->ids + next, r->reply_n[k], 0, r->n_prompt);
    const ae_batch batch = { some.n, some.ids, some.pos, some.segments, some.n_segments, NULL };
    const ae_tensor *y = ae_net_scores(cx, net, ae_net_hidden(cx, net, &batch), some.rows, some.n);
    if (!y) return aerie_fail(err, cx->error.status, "%s", cx->error.message);
    memcpy(out, ae_f32(y), (size_t)r->n_prompt * sizeof *out);
    memcpy(out + at, ae_f32(y) + r->n_prompt, (size_t)(next - at) * sizeof *out);
    return AERIE_OK;
}

/* How many replies from `first` on fit beside the prompt: at least one. */
static int64_t end_of_row(const ae_replies *r, int64_t first, int64_t max_tokens)
{
    int64_t tokens = r->n_prompt, k = first;

    while (k < r->n_replies && (k == first || tokens + r->reply_n[k] <= max_tokens))
        tokens += r->reply_n[k++];
    return k;
}

aerie_status ae_reward_scores(float *out, const ae_replies *r, int64_t max_tokens,
                              ae_device *device, const ae_net *net, ae_arena *arena,
                              aerie_error *err)
{
    ae_ctx cx = { .device = device, .arena = arena };
    aerie_status status = AERIE_OK;

    for (int64_t first = 0, at = r->n_prompt, end; first < r->n_replies && !status; first = end) {
        end = end_of_row(r, first, max_tokens > 0 ? max_tokens : 8192);
        status = score_some(out, r, first, end, at, &cx, net, err);
        for (int64_t k = first; k < end; k++) at += r->reply_n[k];
    }
    return status;
}

aerie_status ae_reward_rehearse(ae_device *device, const ae_net *net, int64_t n, size_t *bytes,
                                aerie_error *err)
{
    ae_arena arena = { 0 }, own = { 0 };
    int64_t width = net->config->hidden_size, half = n / 2;
    int32_t reply_n = (int32_t)(n - half);
    const ae_tensor head = { .rows = 1,
                             .cols = width,
                             .data = ae_arena_take(&own, (size_t)width, sizeof(float)) };
    int32_t *ids = ae_arena_take(&own, (size_t)n, sizeof *ids);
    float *scores = ae_arena_take(&own, (size_t)n, sizeof *scores);
    const ae_replies replies = { ids, half, &reply_n, 1 };
    ae_net with = *net;
    aerie_status status = AERIE_OK;

    if (!with.score) with.score = &head;
    if (!head.data || !ids || !scores)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld tokens", (long long)n);
    if (!status) {
        device->rehearse(device, true);
        status = ae_reward_scores(scores, &replies, n, device, &with, &arena, err);
        device->rehearse(device, false);
    }
    *bytes = arena.touched_peak;
    ae_arena_free(&arena);
    ae_arena_free(&own);
    return status;
}
