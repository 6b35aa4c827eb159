/* engine.c -- the scheduler: checks requests, admits prompts, runs passes until all are done. */
#include "infer/engine_private.h"

enum { WORTH_WAITING = 32 }; /* tokens that a prompt need not compute */

#include <string.h>

aerie_status ae_engine_open(ae_engine **out, const ae_engine_options *options, aerie_error *err)
{
    *out = NULL;
    ae_engine *e = ae_alloc(1, sizeof *e);
    if (!e) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an engine");
    e->options = *options;
    if (e->options.max_batch <= 0) e->options.max_batch = 512;
    if (e->options.max_sequences <= 0) e->options.max_sequences = 32;
    if (e->options.max_batch < e->options.max_sequences)
        e->options.max_batch = e->options.max_sequences;
    aerie_status status = ae_sampler_open(&e->sampler, options->net->config->vocab_size, err);
    if (!status && options->prefix_cache_positions > 0)
        status = ae_prefixes_open(&e->prefixes, options->prefix_cache_positions, err);
    if (status) {
        ae_engine_close(e);
        return status;
    }
    *out = e;
    return AERIE_OK;
}

void ae_engine_close(ae_engine *e)
{
    if (!e) return;
    ae_arena_free(&e->step);
    ae_arena_free(&e->draft_step);
    ae_sampler_close(&e->sampler);
    ae_prefixes_close(e->prefixes);
    ae_free(e);
}

size_t ae_engine_scratch_peak(const ae_engine *e)
{
    return e->step.peak;
}

static int64_t count_of(const ae_request *r)
{
    return r->n_replies > 0 ? r->n_replies : 1;
}

int64_t ae_run_context(const ae_run *run, const ae_request *r)
{
    return r->context > 0 ? r->context : run->engine->options.net->config->max_position;
}

static aerie_status check_request(const ae_run *run, const ae_request *r, aerie_error *err)
{
    int64_t context = ae_run_context(run, r);
    int64_t vocab_size = run->engine->options.net->config->vocab_size;
    if (r->n_prompt < 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the prompt is empty; give some text");
    if (r->n_prompt >= context)
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT,
            "the prompt has %lld tokens and the context %lld; shorten it or raise --ctx",
            (long long)r->n_prompt, (long long)context);
    if (count_of(r) > run->max_sequences)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%lld replies of one prompt at once; the most is %lld",
                          (long long)count_of(r), (long long)run->max_sequences);
    if (r->kv && (count_of(r) != 1 || ae_kv_len(r->kv) >= r->n_prompt))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the cache holds the whole prompt already");
    for (int64_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] < 0 || r->prompt[i] >= vocab_size)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "token %d is not in the vocabulary of %lld; the "
                              "tokenizer does not fit the model",
                              r->prompt[i], (long long)vocab_size);
    return ae_sampling_check(&r->sampling, err);
}

/* Log-probabilities of a pass are computed under one temperature. */
static aerie_status check_temperatures(const ae_run *run, aerie_error *err)
{
    for (int64_t i = 1; run->events && run->events->drawn && i < run->n_requests; i++)
        if (run->requests[i].sampling.temperature != run->requests[0].sampling.temperature)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "log-probabilities of drawn tokens want one temperature for all "
                              "prompts; run them apart");
    return AERIE_OK;
}

ae_kv *ae_run_new_kv(const ae_run *run, int64_t capacity, const ae_kv *prefix, int64_t prefix_len,
                     aerie_error *err)
{
    ae_kv *kv;
    ae_engine_new_kv(&kv, run->engine, run->engine->options.net, capacity, prefix, prefix_len, err);
    return kv;
}

void ae_run_release_prompt(ae_prompt_run *p)
{
    if (p->owns_kv) ae_kv_free(p->kv);
    *p = (ae_prompt_run){ 0 };
}

/* Replies being decoded and those that prompts under way will start. */
static int64_t sequences_taken(const ae_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->prompts[i].in_use) n += run->prompts[i].replies_left;
    return n;
}

static ae_prompt_run *free_prompt(ae_run *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (!run->prompts[i].in_use) return &run->prompts[i];
    return NULL;
}

void ae_run_keep(const ae_run *run, const int32_t *ids, int64_t n, const ae_kv *kv)
{
    aerie_error ignored = { 0 };
    if (!run->engine->prefixes) return;
    ae_kv *shared = ae_run_new_kv(run, n, kv, n, &ignored);
    if (shared) ae_prefixes_keep(run->engine->prefixes, ids, n, shared);
}

/* A prompt's cache, begun with what an earlier text holds of it. */
static ae_kv *open_prompt(ae_run *run, const ae_request *r, aerie_error *err)
{
    int64_t capacity = count_of(r) == 1 ? ae_run_context(run, r) : r->n_prompt, held = 0;
    const ae_kv *earlier = NULL;
    /* The last token is computed in any case: its logits choose the first of the reply. */
    if (run->engine->prefixes)
        earlier = ae_prefixes_find(run->engine->prefixes, r->prompt, r->n_prompt - 1, &held);
    if (run->stats) run->stats->reused += held;
    return ae_run_new_kv(run, capacity, earlier, held, err);
}

/* Whether a prompt under way will hold much more of this one than earlier texts do. */
static bool should_wait(const ae_run *run, const ae_request *r)
{
    ae_prefixes *prefixes = run->engine->prefixes;
    int64_t held;
    if (!prefixes || r->kv) return false;
    ae_prefixes_find(prefixes, r->prompt, r->n_prompt - 1, &held);
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        int64_t n = p->in_use ? p->request->n_prompt : 0;
        if (p->fed >= n || !p->owns_kv || n > run->engine->options.prefix_cache_positions) continue;
        int64_t soon = ae_prefixes_common(p->request->prompt, n, r->prompt, r->n_prompt - 1);
        if (soon >= held + WORTH_WAITING) return true;
    }
    return false;
}

static aerie_status admit(ae_run *run, aerie_error *err)
{
    while (run->next < run->n_requests) {
        const ae_request *r = &run->requests[run->next];
        ae_prompt_run *p = free_prompt(run);
        if (!p || sequences_taken(run) + count_of(r) > run->max_sequences) break;
        if (should_wait(run, r)) break;
        int64_t n = count_of(r);
        ae_kv *kv = r->kv ? r->kv : open_prompt(run, r, err);
        if (!kv) return AERIE_NO_MEMORY;
        *p = (ae_prompt_run){ .request = r,
                              .index = run->next,
                              .kv = kv,
                              .owns_kv = !r->kv,
                              .fed = ae_kv_len(kv),
                              .n_replies = n,
                              .replies_left = n,
                              .in_use = true };
        run->next++;
    }
    return AERIE_OK;
}

static bool take_memory(ae_run *run, ae_arena *arena)
{
    size_t sequences = (size_t)run->max_sequences, tokens = (size_t)run->max_batch;
    ae_pass *ps = &run->pass;
    run->prompts = ae_arena_take(arena, sequences, sizeof *run->prompts);
    run->replies = ae_arena_take(arena, sequences, sizeof *run->replies);
    ps->ids = ae_arena_take(arena, tokens, sizeof *ps->ids);
    ps->pos = ae_arena_take(arena, tokens, sizeof *ps->pos);
    ps->rows = ae_arena_take(arena, tokens, sizeof *ps->rows);
    ps->segments = ae_arena_take(arena, 2 * sequences, sizeof *ps->segments);
    ps->caches = ae_arena_take(arena, 2 * sequences, sizeof *ps->caches);
    ps->parts = ae_arena_take(arena, 2 * sequences, sizeof *ps->parts);
    ps->guesses = ae_arena_take(arena, sequences, sizeof *ps->guesses);
    ps->rates = ae_arena_take(arena, sequences, sizeof *ps->rates);
    ps->wanting = ae_arena_take(arena, sequences, sizeof *ps->wanting);
    ps->most = ae_arena_take(arena, sequences, sizeof *ps->most);
    if (run->events && run->events->drawn) {
        /* A row gives one token, but for a prompt's last, which begins all its replies. */
        ps->draws = ae_arena_take(arena, tokens + sequences, sizeof *ps->draws);
        if (!ps->draws) return false;
    }
    return run->prompts && run->replies && ps->ids && ps->pos && ps->rows && ps->segments &&
           ps->caches && ps->parts && ps->guesses && ps->rates && ps->wanting && ps->most;
}

static void release_all(ae_run *run)
{
    if (!run->prompts || !run->replies) return;
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->replies[i].in_use) ae_reply_release(&run->replies[i]);
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->prompts[i].in_use) ae_run_release_prompt(&run->prompts[i]);
}

aerie_status ae_engine_run(ae_engine *e, const ae_request *requests, int64_t n_requests,
                           const ae_engine_events *events, ae_engine_stats *stats, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ae_arena arena = { 0 };
    ae_run run = { .engine = e,
                   .requests = requests,
                   .n_requests = n_requests,
                   .events = events,
                   .stats = stats,
                   .max_batch = e->options.max_batch,
                   .max_sequences = e->options.max_sequences };

    if (!take_memory(&run, &arena)) {
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for an engine's batch");
        goto done;
    }
    for (int64_t i = 0; i < n_requests && !status; i++)
        status = check_request(&run, &requests[i], err);
    if (!status) status = check_temperatures(&run, err);
    while (!status) {
        status = admit(&run, err);
        if (status || sequences_taken(&run) == 0) break;
        if (events && events->stop && events->stop(events->user))
            status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
        else
            status = ae_run_step(&run, err);
    }
done:
    release_all(&run);
    ae_arena_free(&arena);
    return status;
}
