/* rehearse.c -- what an engine's passes take, found out by running them on a device that takes its
 * scratch and computes nothing. The arena is that of a real pass, so that no formula here can
 * differ from what the ops do. */
#include "infer/engine_private.h"

typedef struct {
    const ae_engine_options *options;
    int64_t n_ctx, parallel;
    ae_arena *arena;
    ae_kv **caches; /* [parallel] */
} rehearsal;

static aerie_status no_memory(const rehearsal *r, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld sequences of %lld tokens",
                      (long long)r->parallel, (long long)r->n_ctx);
}

/* The first n positions of one cache, as a batch. */
static bool one_segment(ae_batch *b, ae_arena *arena, ae_kv *const *cache, int64_t n)
{
    int32_t *ids = ae_arena_take(arena, (size_t)n, sizeof *ids);
    int32_t *pos = ae_arena_take(arena, (size_t)n, sizeof *pos);
    ae_segment *segment = ae_arena_take(arena, 1, sizeof *segment);

    if (!ids || !pos || !segment) return false;
    for (int64_t i = 0; i < n; i++) pos[i] = (int32_t)i;
    *segment = (ae_segment){ .n = n, .parent = -1 };
    *b = (ae_batch){
        .n_tokens = n, .ids = ids, .pos = pos, .segments = segment, .n_segments = 1, .caches = cache
    };
    return true;
}

/* Counts n positions into one cache. */
static aerie_status extend(rehearsal *r, ae_kv *const *cache, int64_t n, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_batch b;
    aerie_status status = n < 1                               ? AERIE_OK
                          : one_segment(&b, &arena, cache, n) ? ae_batch_reserve(&b, err)
                                                              : no_memory(r, err);

    if (!status && n > 0) ae_batch_commit(&b);
    ae_arena_free(&arena);
    return status;
}

/* A cache that counts `len` positions, none of which was ever written. */
static aerie_status fill_cache(rehearsal *r, int64_t i, int64_t len, aerie_error *err)
{
    aerie_status status = ae_engine_rehearsal_kv(&r->caches[i], r->options, r->n_ctx, err);

    return status ? status : extend(r, &r->caches[i], len, err);
}

/* The next n tokens of the first `sequences` caches, as evenly shared as they go. */
static aerie_status make_batch(const rehearsal *r, ae_batch *b, ae_arena *arena, int64_t n,
                               int64_t sequences, aerie_error *err)
{
    int32_t *ids = ae_arena_take(arena, (size_t)n, sizeof *ids);
    int32_t *pos = ae_arena_take(arena, (size_t)n, sizeof *pos);
    ae_segment *segments = ae_arena_take(arena, (size_t)sequences, sizeof *segments);
    int64_t first = 0;

    if (!ids || !pos || !segments) return no_memory(r, err);
    for (int64_t i = 0; i < sequences; i++) {
        int64_t end = (i + 1) * n / sequences, from = ae_kv_len(r->caches[i]);
        segments[i] = (ae_segment){ .first = first, .n = end - first, .parent = -1, .cache = i };
        for (int64_t t = first; t < end; t++) pos[t] = (int32_t)(from + t - first);
        first = end;
    }
    *b = (ae_batch){ .n_tokens = n,
                     .ids = ids,
                     .pos = pos,
                     .segments = segments,
                     .n_segments = sequences,
                     .caches = r->caches };
    return AERIE_OK;
}

/* What is told of a prompt's tokens, beside the logits of its last row. */
static aerie_status tell(const rehearsal *r, ae_ctx *cx, const ae_tensor *hidden, int64_t n,
                         const int32_t *tokens, aerie_error *err)
{
    ae_chance some[2 * AE_CHANCE_ROWS];
    return ae_chances_of(some, 2, cx, r->options->net, hidden, 0, tokens,
                         ae_min64(n, AE_CHANCE_ROWS), err);
}

/* A pass at the end of the contexts, `left` positions of each not counted, for n_logits of its
 * rows. */
static aerie_status pass(const rehearsal *r, int64_t n, int64_t sequences, int64_t left,
                         int64_t n_logits, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_batch b;
    ae_ctx cx = { .device = r->options->device, .arena = r->arena };
    int64_t each = (n + sequences - 1) / sequences, from = r->n_ctx - left - each;
    aerie_status status;

    for (int64_t i = 0; i < sequences; i++) ae_kv_truncate(r->caches[i], from > 0 ? from : 0);
    ae_arena_reset_all(r->arena);
    int32_t *rows = ae_arena_take(&arena, (size_t)n_logits, sizeof *rows);
    status = rows ? make_batch(r, &b, &arena, n, sequences, err) : no_memory(r, err);
    if (!status) {
        for (int64_t i = 0; i < n_logits; i++) rows[i] = (int32_t)(n - 1 - i);
        ae_tensor *hidden = ae_net_hidden(&cx, r->options->net, &b);
        /* A reward model has nothing else to make of a row. */
        if (r->options->net->head)
            ae_net_logits(&cx, r->options->net, hidden, rows, n_logits);
        else
            ae_net_scores(&cx, r->options->net, hidden, rows, n_logits);
        status = ae_ctx_status(&cx);
        if (!status && sequences == 1 && r->options->net->head)
            status = tell(r, &cx, hidden, n, b.ids, err);
        if (status && err && err->status == AERIE_OK) *err = cx.error;
    }
    ae_arena_free(&arena);
    return status;
}

/* Tokens of the largest pass of replies alone: each with its last token, and guesses after it. */
static int64_t reply_tokens(const rehearsal *r, int64_t max_batch)
{
    int64_t most = r->parallel;
    if (r->options->speculate != AE_SPECULATE_OFF)
        most = ae_max64(most, ae_min64(AE_COST_MOST, r->parallel * (1 + AE_GUESS_MOST)));
    return ae_min64(ae_min64(most, max_batch), r->parallel * r->n_ctx);
}

/* A prompt that has a pass for itself, prompts that share one, and replies. */
static aerie_status run_passes(rehearsal *r, int64_t max_batch, aerie_error *err)
{
    int64_t prompt = r->n_ctx > 1 ? r->n_ctx - 1 : 1, replies = reply_tokens(r, max_batch);
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < r->parallel && !status; i++)
        status = fill_cache(r, i, r->n_ctx - 1, err);
    if (!status) status = pass(r, ae_min64(max_batch, prompt), 1, 1, 1, err);
    if (!status && r->parallel > 1)
        status =
            pass(r, ae_min64(max_batch, prompt * r->parallel), r->parallel, 1, r->parallel, err);
    return status ? status : pass(r, replies, r->parallel, 0, replies, err);
}

aerie_status ae_engine_rehearse(const ae_engine_options *options, int64_t n_ctx, int64_t parallel,
                                size_t *bytes, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_engine *engine = NULL;
    rehearsal r = { options, n_ctx, parallel, &arena, NULL };
    size_t held = ae_alloc_bytes();
    aerie_status status = ae_engine_open(&engine, options, err);
    size_t own = ae_alloc_bytes() - held;

    *bytes = 0;
    r.caches = ae_alloc((size_t)parallel, sizeof *r.caches);
    if (!status && !r.caches) status = no_memory(&r, err);
    if (!status) {
        options->device->rehearse(options->device, true);
        status = run_passes(&r, engine->options.max_batch, err);
        options->device->rehearse(options->device, false);
    }
    if (!status) *bytes = own + arena.touched_peak;
    for (int64_t i = 0; r.caches && i < parallel; i++) ae_kv_free(r.caches[i]);
    ae_free(r.caches);
    ae_arena_free(&arena);
    ae_engine_close(engine);
    return status;
}

static aerie_status ignore_logits(void *user, const float *logits, int64_t n_rows,
                                  int64_t vocab_size, aerie_error *err)
{
    (void)user, (void)logits, (void)n_rows, (void)vocab_size, (void)err;
    return AERIE_OK;
}

aerie_status ae_engine_rehearse_text(const ae_engine_options *options, int64_t n, bool logits,
                                     size_t *bytes, aerie_error *err)
{
    ae_engine *engine = NULL;
    ae_kv *kv = NULL;
    size_t held = ae_alloc_bytes();
    int32_t *ids = ae_alloc((size_t)n, sizeof *ids);
    float *logp = ae_alloc((size_t)n, sizeof *logp);
    aerie_status status = ae_engine_open(&engine, options, err);
    size_t own = ae_alloc_bytes() - held;

    *bytes = 0;
    if (!status && (!ids || !logp))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld tokens", (long long)n);
    if (!status && options->score_in_cache) status = ae_engine_rehearsal_kv(&kv, options, n, err);
    if (!status) {
        options->device->rehearse(options->device, true);
        status = logits ? ae_score_logits(engine, kv, ids, n, ignore_logits, NULL, err)
                        : ae_score_log_probs(engine, kv, ids, n, logp, err);
        options->device->rehearse(options->device, false);
    }
    if (!status) *bytes = own + engine->step.touched_peak;
    ae_kv_free(kv);
    ae_engine_close(engine);
    ae_free(ids);
    ae_free(logp);
    return status;
}
