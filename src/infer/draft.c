/* draft.c -- a small model of the same tokens reads along and guesses what comes next: always its
 * most likely token, several replies in one pass. */
#include "infer/engine_private.h"

#include <math.h>

enum { CHUNK = AE_DRAFT_PASS }; /* tokens that a pass reads at the most */

/* The replies that are being guessed for, and room for a pass over them. */
typedef struct {
    ae_run *run;
    ae_reply_run *const *replies;
    const int64_t *most;
    int64_t n;
    double seconds, reading; /* of the passes that guess; of those that read a text up to them */
    /* [n] */
    ae_segment *segments;
    ae_kv **caches;
    ae_reply_run **guessing;
    int32_t *rows;
    int32_t *ids, *pos; /* [n * CHUNK] */
} drafting;

static bool take_memory(drafting *d, ae_arena *arena)
{
    size_t n = (size_t)d->n;
    d->segments = ae_arena_take_raw(arena, n, sizeof *d->segments);
    d->caches = ae_arena_take_raw(arena, n, sizeof *d->caches);
    d->guessing = ae_arena_take_raw(arena, n, sizeof *d->guessing);
    d->rows = ae_arena_take_raw(arena, n, sizeof *d->rows);
    d->ids = ae_arena_take_raw(arena, n, CHUNK * sizeof *d->ids);
    d->pos = ae_arena_take_raw(arena, n, CHUNK * sizeof *d->pos);
    return d->segments && d->caches && d->guessing && d->rows && d->ids && d->pos;
}

static bool open_cache(ae_run *run, ae_reply_run *r)
{
    const ae_config *c = run->engine->options.draft->config;
    const ae_request *request = r->prompt->request;
    aerie_error ignored = { 0 };
    if (r->draft_kv) return true;
    r->draft_kv = request->kv ? request->draft_kv : NULL;
    if (r->draft_kv) return true;
    r->owns_draft_kv = true;
    return !ae_engine_new_kv(&r->draft_kv, run->engine, run->engine->options.draft,
                             ae_min64(ae_run_context(run, request), c->max_position), NULL, 0,
                             &ignored);
}

/* The reply's next token for the draft model: of the text, then of the guesses. */
static int32_t token_at(const ae_reply_run *r, int64_t at)
{
    int64_t n = (int64_t)r->history.len;
    return at < n ? r->history.data[at] : r->guess.ids[at - n];
}

/* Adds up to `most` unread tokens of a reply to the pass; returns how many. */
static int64_t add_unread(drafting *d, ae_batch *b, ae_reply_run *r, int64_t end)
{
    int64_t from = ae_kv_len(r->draft_kv), n = ae_min64(end - from, CHUNK);
    d->segments[b->n_segments] =
        (ae_segment){ .first = b->n_tokens, .n = n, .parent = -1, .cache = b->n_segments };
    d->caches[b->n_segments] = r->draft_kv;
    d->guessing[b->n_segments++] = r;
    for (int64_t i = 0; i < n; i++, b->n_tokens++) {
        d->ids[b->n_tokens] = token_at(r, from + i);
        d->pos[b->n_tokens] = (int32_t)(from + i);
    }
    return n;
}

/* Runs the pass; logits of every segment's last row if `want`. NULL: a failure, or none wanted. */
static const ae_tensor *run_pass(drafting *d, const ae_batch *b, bool want)
{
    ae_engine *e = d->run->engine;
    ae_ctx cx = { .device = e->options.device, .arena = &e->draft_step };
    for (int64_t s = 0; s < b->n_segments; s++)
        d->rows[s] = (int32_t)(d->segments[s].first + d->segments[s].n - 1);
    ae_tensor *hidden = ae_net_hidden(&cx, e->options.draft, b);
    return want ? ae_net_logits(&cx, e->options.draft, hidden, d->rows, b->n_segments) : NULL;
}

/* Unread tokens of a reply that a pass over all replies may have, so that together they are no more
 * than a pass reads. */
static int64_t share_of(const drafting *d)
{
    return d->n < CHUNK ? CHUNK / d->n : 1;
}

/* Reads all but the last few tokens of a text. */
static void read_up(drafting *d, ae_reply_run *r)
{
    int64_t end = (int64_t)r->history.len;
    double start = ae_clock_seconds();
    while (end - ae_kv_len(r->draft_kv) > share_of(d)) {
        ae_arena_mark here = ae_arena_here(&d->run->engine->draft_step);
        ae_batch b = { .ids = d->ids, .pos = d->pos, .segments = d->segments, .caches = d->caches };
        int64_t before = ae_kv_len(r->draft_kv);
        add_unread(d, &b, r, end - 1); /* the last one's logits are the first guess */
        run_pass(d, &b, false);
        ae_arena_reset(&d->run->engine->draft_step, here);
        if (ae_kv_len(r->draft_kv) == before) break; /* failed: no guesses */
    }
    d->reading += ae_clock_seconds() - start;
}

/* The most likely token that the other model has too, with a probability that is right when only
 * the two best matter. */
static void add_guess(const drafting *d, ae_reply_run *r, const float *logits, int64_t cols)
{
    int64_t n = ae_min64(cols, d->run->engine->options.net->config->vocab_size), best = 0;
    float second = -INFINITY;
    for (int64_t i = 1; i < n; i++) {
        if (logits[i] <= second) continue;
        if (logits[i] > logits[best]) {
            second = logits[best];
            best = i;
        } else {
            second = logits[i];
        }
    }
    double p = 1 / (1 + exp((double)second - (double)logits[best]));
    r->guess.grades[r->guess.n] = (uint8_t)ae_grade_of_probability(p);
    r->guess.ids[r->guess.n++] = (int32_t)best;
}

/* Whether what was guessed last leaves a chance for more. */
static bool goes_on(const drafting *d, const ae_reply_run *r, int64_t most)
{
    const ae_engine_options *o = &d->run->engine->options;
    const ae_guess *g = &r->guess;
    if (g->n >= most) return false;
    if (g->n > 0 && o->tokenizer && ae_tokenizer_is_eog(o->tokenizer, g->ids[g->n - 1]))
        return false;
    if (o->speculate_always) return true;
    double chance = 1;
    for (int64_t i = 0; i < g->n; i++) chance *= ae_hit_rate(&r->rates, g->grades[i]);
    return chance > 0.3;
}

/* One more guess for everyone who goes on; false when nobody does, or it failed. */
static bool deepen(drafting *d, int64_t depth)
{
    ae_engine *e = d->run->engine;
    ae_batch b = { .ids = d->ids, .pos = d->pos, .segments = d->segments, .caches = d->caches };
    double start = ae_clock_seconds();
    for (int64_t i = 0; i < d->n; i++) {
        ae_reply_run *r = d->replies[i];
        int64_t end = (int64_t)r->history.len + r->guess.n;
        if (r->guess.n < depth || !goes_on(d, r, d->most[i]) || !r->draft_kv ||
            end > ae_kv_capacity(r->draft_kv) || end - ae_kv_len(r->draft_kv) > CHUNK)
            continue;
        add_unread(d, &b, r, end);
    }
    if (b.n_segments == 0) return false;
    const ae_tensor *logits = run_pass(d, &b, true);
    for (int64_t s = 0; logits && s < b.n_segments; s++)
        add_guess(d, d->guessing[s], ae_f32(logits) + s * logits->cols, logits->cols);
    double spent = ae_clock_seconds() - start;
    if (b.n_tokens > AE_COST_MOST) {
        d->reading += spent;
    } else if (logits) {
        ae_pass_costs_note(&e->speculation.draft, b.n_tokens, spent);
        d->seconds += spent;
    }
    return logits != NULL;
}

void ae_draft_guess(ae_run *run, ae_reply_run *const *replies, const int64_t *most, int64_t n,
                    double *seconds)
{
    ae_arena *arena = &run->engine->draft_step;
    drafting d = { .run = run, .replies = replies, .most = most, .n = n };
    ae_arena_reset_all(arena);
    if (!take_memory(&d, arena)) return;
    for (int64_t i = 0; i < n; i++) {
        replies[i]->guess.n = 0;
        if (open_cache(run, replies[i])) read_up(&d, replies[i]);
    }
    for (int64_t depth = 0; depth < AE_GUESS_MOST; depth++) {
        ae_arena_mark here = ae_arena_here(arena);
        bool more = deepen(&d, depth);
        ae_arena_reset(arena, here);
        if (!more) break;
    }
    *seconds = d.seconds;
    run->pass.reading = d.reading;
}
