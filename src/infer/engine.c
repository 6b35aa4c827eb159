/* engine.c -- the scheduler: admits prompts, packs what is ready, hands out tokens. */
#include "infer/engine_private.h"

#include <string.h>

/* A prompt on its way through the model. Its cache lives until its last reply is done. */
typedef struct {
    const ae_request *request;
    int64_t index; /* of the request */
    ae_kv *kv;
    bool owns_kv;
    int64_t fed; /* prompt tokens computed */
    int64_t n_replies, replies_left;
    bool in_use;
} prompt_state;

typedef struct {
    prompt_state *prompt;
    int64_t reply;
    ae_kv *kv; /* the prompt's own when it has one reply; else a branch, owned */
    bool owns_kv;
    ae_ids history; /* prompt and reply */
    ae_rng rng;
    int64_t n_new;
    bool in_use;
} reply_state;

/* What one forward pass computes. A row is wanted when its logits choose a token. */
typedef struct {
    int32_t *ids, *pos;
    ae_segment *segments;
    ae_kv **caches;
    void **owners; /* [segments]: the prompt_state or reply_state */
    bool *is_prompt;
    int32_t *wanted; /* row whose logits the segment wants; -1: none */
    int64_t n_tokens, n_segments;
} pass;

typedef struct {
    ae_engine *engine;
    const ae_request *requests;
    int64_t n_requests, next;
    const ae_engine_events *events;
    ae_engine_stats *stats;
    prompt_state *prompts; /* [max_sequences] */
    reply_state *replies;  /* [max_sequences] */
    int64_t max_batch, max_sequences;
    pass pass;
} run_state;

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
    e->candidates = ae_alloc((size_t)options->net->config->vocab_size, sizeof *e->candidates);
    if (!e->candidates) {
        ae_engine_close(e);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an engine");
    }
    *out = e;
    return AERIE_OK;
}

void ae_engine_close(ae_engine *e)
{
    if (!e) return;
    ae_arena_free(&e->step);
    ae_free(e->candidates);
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

static int64_t context_of(const run_state *run, const ae_request *r)
{
    return r->context > 0 ? r->context : run->engine->options.net->config->max_position;
}

static aerie_status check_request(const run_state *run, const ae_request *r, aerie_error *err)
{
    int64_t context = context_of(run, r);
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

static ae_kv *new_kv(const run_state *run, int64_t capacity, const ae_kv *prefix,
                     int64_t prefix_len, aerie_error *err)
{
    const ae_config *c = run->engine->options.net->config;
    ae_kv *kv = NULL;
    ae_kv_new(&kv, c->n_layers, c->n_kv_heads * c->head_dim, capacity, prefix, prefix_len, err);
    return kv;
}

static void release_prompt(prompt_state *p)
{
    if (p->owns_kv) ae_kv_free(p->kv);
    *p = (prompt_state){ 0 };
}

static void release_reply(reply_state *r)
{
    if (r->owns_kv) ae_kv_free(r->kv);
    ae_ids_free(&r->history);
    prompt_state *p = r->prompt;
    *r = (reply_state){ 0 };
    if (p && --p->replies_left == 0) release_prompt(p);
}

/* Replies being decoded and those that prompts under way will start. */
static int64_t sequences_taken(const run_state *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->prompts[i].in_use) n += run->prompts[i].replies_left;
    return n;
}

static prompt_state *free_prompt(run_state *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (!run->prompts[i].in_use) return &run->prompts[i];
    return NULL;
}

static aerie_status admit(run_state *run, aerie_error *err)
{
    while (run->next < run->n_requests) {
        const ae_request *r = &run->requests[run->next];
        prompt_state *p = free_prompt(run);
        if (!p || sequences_taken(run) + count_of(r) > run->max_sequences) break;
        int64_t n = count_of(r);
        ae_kv *kv =
            r->kv ? r->kv : new_kv(run, n == 1 ? context_of(run, r) : r->n_prompt, NULL, 0, err);
        if (!kv) return AERIE_NO_MEMORY;
        *p = (prompt_state){ .request = r,
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

static void pack(pass *ps, void *owner, bool is_prompt, ae_kv *kv, const int32_t *ids, int64_t n,
                 bool wanted)
{
    int64_t s = ps->n_segments++, first = ps->n_tokens, from = ae_kv_len(kv);
    ps->segments[s] = (ae_segment){ .first = first, .n = n, .parent = -1, .cache = s };
    ps->caches[s] = kv;
    ps->owners[s] = owner;
    ps->is_prompt[s] = is_prompt;
    ps->wanted[s] = wanted ? (int32_t)(first + n - 1) : -1;
    for (int64_t i = 0; i < n; i++) {
        ps->ids[first + i] = ids[i];
        ps->pos[first + i] = (int32_t)(from + i);
    }
    ps->n_tokens += n;
}

/* Replies come first, a token each, so that a long prompt does not make them wait; prompts share
 * what is left of the pass. */
static void pack_pass(run_state *run)
{
    pass *ps = &run->pass;
    ps->n_tokens = ps->n_segments = 0;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        reply_state *r = &run->replies[i];
        if (r->in_use) pack(ps, r, false, r->kv, &r->history.data[r->history.len - 1], 1, true);
    }
    for (int64_t i = 0; i < run->max_sequences; i++) {
        prompt_state *p = &run->prompts[i];
        int64_t room = run->max_batch - ps->n_tokens;
        if (!p->in_use || p->fed >= p->request->n_prompt || room <= 0) continue;
        int64_t left = p->request->n_prompt - p->fed, n = left < room ? left : room;
        pack(ps, p, true, p->kv, p->request->prompt + p->fed, n, n == left);
    }
}

static void finish(run_state *run, reply_state *r, ae_finish why)
{
    if (run->events && run->events->finish)
        run->events->finish(run->events->user, r->prompt->index, r->reply, why);
    release_reply(r);
}

/* Draws a reply's next token and decides whether it goes on. */
static aerie_status advance(run_state *run, reply_state *r, const float *logits, aerie_error *err)
{
    const ae_engine_options *o = &run->engine->options;
    const ae_request *request = r->prompt->request;
    int32_t id =
        ae_sampler_draw(&request->sampling, logits, o->net->config->vocab_size, r->history.data,
                        (int64_t)r->history.len, run->engine->candidates, &r->rng);

    if (run->stats) run->stats->reply_tokens++;
    if (!request->ignore_eog && o->tokenizer && ae_tokenizer_is_eog(o->tokenizer, id)) {
        finish(run, r, AE_FINISH_STOP);
        return AERIE_OK;
    }
    ae_ids_add(&r->history, id);
    if (r->history.failed)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply's tokens");
    r->n_new++;
    if (run->events && run->events->token &&
        !run->events->token(run->events->user, r->prompt->index, r->reply, id))
        finish(run, r, AE_FINISH_CALLER);
    else if ((request->max_tokens > 0 && r->n_new >= request->max_tokens) ||
             (int64_t)r->history.len >= context_of(run, request))
        finish(run, r, AE_FINISH_LENGTH);
    return AERIE_OK;
}

static reply_state *free_reply(run_state *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (!run->replies[i].in_use) return &run->replies[i];
    return NULL;
}

static aerie_status start_reply(run_state *run, prompt_state *p, int64_t index, const float *logits,
                                aerie_error *err)
{
    const ae_request *request = p->request;
    reply_state *r = free_reply(run);
    ae_kv *kv = p->kv;
    if (p->n_replies > 1) {
        kv = new_kv(run, context_of(run, request) - request->n_prompt, p->kv, request->n_prompt,
                    err);
        if (!kv) return AERIE_NO_MEMORY;
    }
    *r = (reply_state){
        .prompt = p, .reply = index, .kv = kv, .owns_kv = p->n_replies > 1, .in_use = true
    };
    ae_rng_seed(&r->rng, ae_mix64(request->seed) + (uint64_t)index);
    ae_ids_add_all(&r->history, request->prompt, (size_t)request->n_prompt);
    if (r->history.failed)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply's tokens");
    return advance(run, r, logits, err);
}

static aerie_status use_logits(run_state *run, const ae_tensor *logits, aerie_error *err)
{
    pass *ps = &run->pass;
    int64_t row = 0;
    for (int64_t s = 0; s < ps->n_segments; s++) {
        aerie_status status = AERIE_OK;
        if (ps->is_prompt[s]) {
            prompt_state *p = ps->owners[s];
            p->fed += ps->segments[s].n;
            /* The prompt may be released by its last reply's end: count first. */
            int64_t n = ps->wanted[s] < 0 ? 0 : p->n_replies;
            for (int64_t i = 0; i < n && !status; i++)
                status = start_reply(run, p, i, ae_f32(logits) + row * logits->cols, err);
        } else {
            status = advance(run, ps->owners[s], ae_f32(logits) + row * logits->cols, err);
        }
        if (status) return status;
        if (ps->wanted[s] >= 0) row++;
    }
    return AERIE_OK;
}

static aerie_status forward(run_state *run, aerie_error *err)
{
    ae_engine *e = run->engine;
    pass *ps = &run->pass;
    ae_arena_reset_all(&e->step);
    ae_ctx cx = { .device = e->options.device, .arena = &e->step };
    ae_batch batch = { .n_tokens = ps->n_tokens,
                       .ids = ps->ids,
                       .pos = ps->pos,
                       .segments = ps->segments,
                       .n_segments = ps->n_segments,
                       .caches = ps->caches };
    int64_t n_wanted = 0;
    int32_t *rows = ae_arena_take(&e->step, (size_t)ps->n_segments, sizeof *rows);
    if (!rows) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a forward pass");
    for (int64_t s = 0; s < ps->n_segments; s++)
        if (ps->wanted[s] >= 0) rows[n_wanted++] = ps->wanted[s];

    ae_tensor *hidden = ae_net_hidden(&cx, e->options.net, &batch);
    ae_tensor *logits =
        n_wanted ? ae_net_logits(&cx, e->options.net, hidden, rows, n_wanted) : NULL;
    if (ae_ctx_status(&cx)) {
        if (err && err->status == AERIE_OK) *err = cx.error;
        return ae_ctx_status(&cx);
    }
    return use_logits(run, logits, err);
}

static int64_t prompt_tokens_of(const pass *ps)
{
    int64_t n = 0;
    for (int64_t s = 0; s < ps->n_segments; s++)
        if (ps->is_prompt[s]) n += ps->segments[s].n;
    return n;
}

static aerie_status step(run_state *run, aerie_error *err)
{
    pack_pass(run);
    int64_t n_prompt = prompt_tokens_of(&run->pass);
    double start = ae_clock_seconds();
    aerie_status status = forward(run, err);
    if (run->stats && run->pass.n_tokens > 0) {
        double share = (double)n_prompt / (double)run->pass.n_tokens,
               spent = ae_clock_seconds() - start;
        run->stats->prompt_tokens += n_prompt;
        run->stats->prompt_seconds += share * spent;
        run->stats->reply_seconds += (1 - share) * spent;
    }
    return status;
}

static bool take_memory(run_state *run, ae_arena *arena)
{
    size_t sequences = (size_t)run->max_sequences, tokens = (size_t)run->max_batch;
    pass *ps = &run->pass;
    run->prompts = ae_arena_take(arena, sequences, sizeof *run->prompts);
    run->replies = ae_arena_take(arena, sequences, sizeof *run->replies);
    ps->ids = ae_arena_take(arena, tokens, sizeof *ps->ids);
    ps->pos = ae_arena_take(arena, tokens, sizeof *ps->pos);
    ps->segments = ae_arena_take(arena, 2 * sequences, sizeof *ps->segments);
    ps->caches = ae_arena_take(arena, 2 * sequences, sizeof *ps->caches);
    ps->owners = ae_arena_take(arena, 2 * sequences, sizeof *ps->owners);
    ps->is_prompt = ae_arena_take(arena, 2 * sequences, sizeof *ps->is_prompt);
    ps->wanted = ae_arena_take(arena, 2 * sequences, sizeof *ps->wanted);
    return run->prompts && run->replies && ps->ids && ps->pos && ps->segments && ps->caches &&
           ps->owners && ps->is_prompt && ps->wanted;
}

static void release_all(run_state *run)
{
    if (!run->prompts || !run->replies) return;
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->replies[i].in_use) release_reply(&run->replies[i]);
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->prompts[i].in_use) release_prompt(&run->prompts[i]);
}

aerie_status ae_engine_run(ae_engine *e, const ae_request *requests, int64_t n_requests,
                           const ae_engine_events *events, ae_engine_stats *stats, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ae_arena arena = { 0 };
    run_state run = { .engine = e,
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
    while (!status) {
        status = admit(&run, err);
        if (status || sequences_taken(&run) == 0) break;
        if (events && events->stop && events->stop(events->user))
            status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
        else
            status = step(&run, err);
    }
done:
    release_all(&run);
    ae_arena_free(&arena);
    return status;
}
