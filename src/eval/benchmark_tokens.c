/* benchmark_tokens.c -- requests for likelihoods as token ids: where what is scored begins is the
 * protocol's to say. */
#include "eval/benchmark_private.h"

#include <string.h>

/* A piece of a request: of all but long texts, the whole. */
typedef struct {
    int64_t request;
    size_t at; /* in `ids` */
    int64_t n, n_context;
    int32_t which; /* of the request's */
} part;

typedef struct {
    ae_bench *bench;
    ae_ids ids;
    part *parts;
    int64_t n_parts, room;
    int32_t *left;  /* [n_requests]: parts without an answer */
    int32_t *cut;   /* [n_requests]: parts in all */
    int64_t *asked; /* [n_parts]: of what is asked, which part it is */
} cutting;

/* ---- BOS ---- */

static bool begins_with_bos(const ae_tokenizer *t, ae_span text)
{
    ae_span bos = ae_tokenizer_piece(t, ae_tokenizer_vocab(t)->bos);

    return bos.len > 0 && text.len >= bos.len && !memcmp(text.data, bos.data, bos.len);
}

aerie_status ae_bench_encode(const ae_tokenizer *t, ae_bos bos, ae_span text, ae_ids *ids,
                             aerie_error *err)
{
    const ae_vocab *v = ae_tokenizer_vocab(t);
    bool wanted = bos == AE_BOS_ALWAYS || (bos == AE_BOS_TOKENIZER && v->add_bos);

    if (wanted && v->bos >= 0 && !begins_with_bos(t, text)) ae_ids_add(ids, v->bos);
    if (!text.data) text = (ae_span){ "", 0 };
    aerie_status status = ae_tokenizer_encode(t, text, AE_ENCODE_SPECIAL, ids, NULL, err);
    return status ? status : ae_ids_status(ids, err);
}

static aerie_status encode(void *user, ae_span text, bool with_bos, ae_ids *ids, aerie_error *err)
{
    const ae_bench *b = user;
    return ae_bench_encode(b->who->tokenizer, with_bos ? b->protocol->bos : AE_BOS_NEVER, text, ids,
                           err);
}

/* What stands before a text that nothing is before: BOS, else EOS. */
static int32_t prefix_of(const ae_tokenizer *t)
{
    const ae_vocab *v = ae_tokenizer_vocab(t);
    return v->bos >= 0 ? v->bos : v->eos >= 0 ? v->eos : 0;
}

/* ---- parts ---- */

/* ids[.. n), scored from n_context on, which is at least 1: a first token is after none. */
static aerie_status add_part(cutting *c, int64_t request, const int32_t *ids, size_t n,
                             size_t n_context, aerie_error *err)
{
    if (n_context < 1) n_context = 1;
    if (n <= n_context)
        return aerie_fail(err, AERIE_BAD_TEXT, "request %lld of %s has nothing to score",
                          (long long)request, c->bench->name);
    if (c->n_parts == c->room) {
        int64_t room = c->room ? 2 * c->room : 256;
        part *more = ae_realloc(c->parts, (size_t)c->room, (size_t)room, sizeof *more);
        if (!more) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");
        c->parts = more;
        c->room = room;
    }
    c->parts[c->n_parts++] =
        (part){ request, c->ids.len, (int64_t)n, (int64_t)n_context, c->cut[request] };
    c->left[request]++;
    c->cut[request]++;
    ae_ids_add_all(&c->ids, ids, n);
    return ae_ids_status(&c->ids, err);
}

/* One token spans all of the continuation and some of the context: it is what is scored. */
static aerie_status cut_merged(ae_pair *pair, const ae_bench *b, const ae_task_request *r,
                               aerie_error *err)
{
    ae_bytes both = { 0 };
    aerie_status status;

    *pair = (ae_pair){ .merged = true };
    ae_bytes_add(&both, r->context.data, r->context.len);
    ae_bytes_add(&both, r->continuation.data, r->continuation.len);
    status = ae_bytes_status(&both, err);
    if (!status) status = encode((void *)(uintptr_t)b, ae_span_of(&both), true, &pair->ids, err);
    pair->n_context = pair->ids.len > 0 ? pair->ids.len - 1 : 0;
    ae_bytes_free(&both);
    return status;
}

static aerie_status cut_pair(cutting *c, int64_t i, const ae_task_request *r, aerie_error *err)
{
    ae_bench *b = c->bench;
    ae_pair pair = { 0 };
    aerie_error why = { 0 };
    aerie_status status = ae_pair_encode(&pair, r->context, r->continuation,
                                         prefix_of(b->who->tokenizer), encode, b, &why);

    if (status == AERIE_BAD_TEXT)
        status = cut_merged(&pair, b, r, err);
    else if (status && err)
        *err = why;
    if (!status) ae_pair_truncate(&pair, (size_t)b->who->max_length);
    b->answers[i].merged = pair.merged;
    if (!status) status = add_part(c, i, pair.ids.data, pair.ids.len, pair.n_context, err);
    ae_pair_free(&pair);
    return status;
}

static aerie_status cut_window(cutting *c, int64_t i, const ae_ids *text, const ae_window *w,
                               aerie_error *err)
{
    size_t n = w->predict + w->n_predict - w->input;
    ae_ids ids = { 0 };
    aerie_status status;

    if (w->prefixed) ae_ids_add(&ids, prefix_of(c->bench->who->tokenizer));
    ae_ids_add_all(&ids, text->data + w->input, n);
    status = ae_ids_status(&ids, err);
    if (!status) status = add_part(c, i, ids.data, ids.len, ids.len - w->n_predict, err);
    ae_ids_free(&ids);
    return status;
}

static aerie_status cut_rolling(cutting *c, int64_t i, const ae_task_request *r, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_ids ids = { 0 };
    ae_window *windows = NULL;
    size_t n = 0;
    /* BOS, where the text gets one, is scored after the prefix, as in the harness. */
    aerie_status status = encode(c->bench, r->continuation, true, &ids, err);

    if (!status)
        status = ae_rolling_windows(&windows, &n, ids.len, (size_t)ae_bench_longest(c->bench), 1,
                                    &arena, err);
    for (size_t k = 0; k < n && !status; k++) status = cut_window(c, i, &ids, &windows[k], err);
    ae_ids_free(&ids);
    ae_arena_free(&arena);
    return status;
}

/* llama.cpp's windows, of which the second half is scored. */
static aerie_status cut_halves(cutting *c, int64_t i, const ae_task_request *r, aerie_error *err)
{
    enum { USUAL = 512 };
    const ae_bench *b = c->bench;
    const ae_vocab *v = ae_tokenizer_vocab(b->who->tokenizer);
    bool with_bos = v->add_bos && b->protocol->bos != AE_BOS_NEVER;
    size_t longest = (size_t)ae_bench_longest(b),
           n_ctx = ae_task_window(b->task) > 0 || longest < USUAL ? longest : USUAL, n;
    ae_ids ids = { 0 };
    aerie_status status;

    if (with_bos) ae_ids_add(&ids, v->bos);
    status = ae_tokenizer_encode(b->who->tokenizer, r->continuation, 0, &ids, NULL, err);
    if (!status) status = ae_ids_status(&ids, err);
    n = ae_half_windows(ids.len, n_ctx, 0);
    if (!status && n == 0)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "%s: a text of %zu tokens has no whole window of %zu; give a longer "
                            "one, or a task with a smaller 'window'",
                            b->name, ids.len, n_ctx);
    for (size_t w = 0; w < n && !status; w++) {
        int32_t *window = ids.data + w * n_ctx;
        if (with_bos) window[0] = v->bos;
        status = add_part(c, i, window, n_ctx, ae_half_first(n_ctx) + 1, err);
    }
    ae_ids_free(&ids);
    return status;
}

/* ---- llama.cpp's ways, which look at all choices of an item ---- */

enum { MOST_CHOICES = 32 };

static aerie_status encode_rows(ae_ids *rows, size_t *choice_end, ae_bench *b, const ae_item *item,
                                aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < item->n_requests && !status; i++) {
        const ae_task_request *r = &item->requests[i];
        ae_bytes both = { 0 };
        ae_ids context = { 0 };
        ae_bytes_add(&both, r->context.data, r->context.len);
        ae_bytes_add(&both, r->continuation.data, r->continuation.len);
        status = ae_bytes_status(&both, err);
        if (!status) status = encode(b, ae_span_of(&both), true, &rows[i], err);
        if (!status) status = encode(b, r->context, true, &context, err);
        choice_end[i] = context.len;
        ae_ids_free(&context);
        ae_bytes_free(&both);
    }
    return status;
}

static aerie_status cut_together(cutting *c, int64_t item, aerie_error *err)
{
    ae_bench *b = c->bench;
    const ae_item *it = ae_task_set_at(b->set, (size_t)item);
    ae_ids rows[MOST_CHOICES] = { { 0 } };
    size_t first[MOST_CHOICES], end[MOST_CHOICES], choice_end[MOST_CHOICES], common;

    if (it->n_requests > MOST_CHOICES)
        return aerie_fail(err, AERIE_UNSUPPORTED, "%s: an item of %zu choices, at most %d", b->name,
                          it->n_requests, MOST_CHOICES);
    aerie_status status = encode_rows(rows, choice_end, b, it, err);
    common = ae_common_tokens(rows, it->n_requests);
    for (size_t i = 0; i < it->n_requests; i++) {
        first[i] = common;
        end[i] = rows[i].len;
    }
    if (!status && ae_task_split(b->task) == AE_SPLIT_WINOGRANDE && it->n_requests == 2)
        ae_winogrande_span(rows, choice_end, first, end);
    for (size_t i = 0; i < it->n_requests && !status; i++)
        status = add_part(c, b->first[item] + (int64_t)i, rows[i].data, end[i], first[i], err);
    for (size_t i = 0; i < it->n_requests; i++) ae_ids_free(&rows[i]);
    return status;
}

static bool is_wanted(const ae_bench *b, int64_t item)
{
    for (int64_t i = b->first[item]; i < b->first[item + 1]; i++)
        if (!b->answers[i].known) return true;
    return false;
}

static aerie_status cut_item(cutting *c, int64_t item, aerie_error *err)
{
    ae_bench *b = c->bench;
    aerie_status status = AERIE_OK;

    if (!is_wanted(b, item)) return AERIE_OK;
    if (ae_task_split(b->task) != AE_SPLIT_HARNESS &&
        ae_bench_request(b, item, b->first[item])->kind == AE_REQUEST_LIKELIHOOD)
        return cut_together(c, item, err);
    for (int64_t i = b->first[item]; i < b->first[item + 1] && !status; i++) {
        const ae_task_request *r = ae_bench_request(b, item, i);
        if (b->answers[i].known) continue;
        if (r->kind == AE_REQUEST_LIKELIHOOD) status = cut_pair(c, i, r, err);
        if (r->kind == AE_REQUEST_ROLLING)
            status = ae_task_split(b->task) == AE_SPLIT_HARNESS ? cut_rolling(c, i, r, err)
                                                                : cut_halves(c, i, r, err);
    }
    return status;
}

/* ---- asking ---- */

/* A window's answer is kept by itself, where its text has several: a long text is gone on with. */
static void part_key(ae_bench_answer *out, const cutting *c, const part *p)
{
    ae_sha256 hash;

    *out = (ae_bench_answer){ .known = true };
    ae_sha256_start(&hash);
    ae_sha256_add(&hash, c->bench->answers[p->request].key, sizeof out->key);
    ae_sha256_add(&hash, &p->which, sizeof p->which);
    ae_sha256_add(&hash, c->ids.data + p->at, (size_t)p->n * sizeof *c->ids.data);
    ae_bench_end_key(&hash, out->key);
}

static void add_answer(ae_response *sum, const ae_response *more)
{
    sum->ll += more->ll;
    sum->squares += more->squares;
    sum->is_greedy = sum->is_greedy && more->is_greedy;
    sum->n_tokens += more->n_tokens;
}

static bool is_kept_by_parts(const cutting *c, const part *p)
{
    return c->bench->keep && c->cut[p->request] > 1;
}

static bool take(void *user, int64_t index, const ae_scored_answer *found)
{
    cutting *c = user;
    ae_bench *b = c->bench;
    const part *p = &c->parts[c->asked[index]];
    const ae_response answer = { found->logprob, found->is_greedy, (int32_t)found->n_tokens,
                                 found->squares };

    add_answer(&b->answers[p->request].answer, &answer);
    b->parts++;
    if (--c->left[p->request] == 0) return ae_bench_told(b, p->request);
    if (is_kept_by_parts(c, p)) {
        ae_bench_answer kept;
        part_key(&kept, c, p);
        kept.answer = answer;
        if (!b->status) b->status = ae_kept_put(b->keep, &kept, b->err);
    }
    return !b->status && ae_bench_go_on(b);
}

/* A window that was answered before. */
static aerie_status find_part(bool *found, cutting *c, const part *p, aerie_error *err)
{
    ae_bench *b = c->bench;
    ae_bench_answer kept;
    aerie_status status;

    *found = false;
    if (!is_kept_by_parts(c, p) || b->options->fresh) return AERIE_OK;
    part_key(&kept, c, p);
    kept.known = false;
    status = ae_kept_find(b->keep, &kept, &b->arena, err);
    if (status || !kept.known) return status;
    *found = true;
    add_answer(&b->answers[p->request].answer, &kept.answer);
    b->parts++;
    c->left[p->request]--;
    return AERIE_OK;
}

/* The last part of a text is asked for in any case: it is what ends it. */
static aerie_status choose_parts(cutting *c, ae_scored_tokens *all, int64_t *n, aerie_error *err)
{
    ae_bench *b = c->bench;
    aerie_status status = AERIE_OK;

    *n = 0;
    for (int64_t i = 0; i < c->n_parts && !status; i++) {
        const part *p = &c->parts[i];
        bool found = false;
        if (p->which == 0) b->answers[p->request].answer = (ae_response){ .is_greedy = true };
        if (p->which + 1 < c->cut[p->request]) status = find_part(&found, c, p, err);
        if (found) continue;
        all[*n] = (ae_scored_tokens){ c->ids.data + p->at, p->n, p->n_context };
        c->asked[(*n)++] = i;
        b->tokens += p->n - 1;
    }
    return status;
}

static aerie_status ask(cutting *c, aerie_error *err)
{
    ae_bench *b = c->bench;
    ae_scored_tokens *all = ae_alloc((size_t)c->n_parts, sizeof *all);
    aerie_status status = AERIE_OK;
    int64_t n = 0;

    c->asked = ae_alloc((size_t)c->n_parts, sizeof *c->asked);
    if (!all || !c->asked) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");
    if (ae_task_form(b->task) == AE_FORM_ROLLING) b->n_parts = c->n_parts;
    if (!status) status = choose_parts(c, all, &n, err);
    if (!status && n > 0) status = b->who->tokens(b->who->user, all, n, take, c, &b->computed, err);
    ae_free(all);
    return status;
}

aerie_status ae_bench_ask_tokens(ae_bench *b, aerie_error *err)
{
    cutting c = { .bench = b,
                  .left = ae_alloc((size_t)b->n_requests, sizeof *c.left),
                  .cut = ae_alloc((size_t)b->n_requests, sizeof *c.cut) };
    aerie_status status = c.left && c.cut
                              ? AERIE_OK
                              : aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld requests",
                                           (long long)b->n_requests);

    for (int64_t i = 0; i < b->n_items && !status; i++) status = cut_item(&c, i, err);
    if (!status) status = ask(&c, err);
    ae_ids_free(&c.ids);
    ae_free(c.parts);
    ae_free(c.asked);
    ae_free(c.left);
    ae_free(c.cut);
    return status;
}
