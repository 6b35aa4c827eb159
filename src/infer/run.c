/* run.c -- requests that come and go: taken, let in, worked on pass by pass, over. */
#include "infer/engine_private.h"

#include <string.h>

static bool take_memory(ae_run *run)
{
    ae_arena *arena = &run->arena;
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
    ps->groups = ae_arena_take(arena, 2 * sequences, sizeof *ps->groups);
    ps->guesses = ae_arena_take(arena, sequences, sizeof *ps->guesses);
    ps->rates = ae_arena_take(arena, sequences, sizeof *ps->rates);
    ps->wanting = ae_arena_take(arena, sequences, sizeof *ps->wanting);
    ps->most = ae_arena_take(arena, sequences, sizeof *ps->most);
    ps->waiting = ae_arena_take(arena, sequences, sizeof *ps->waiting);
    if (run->events.drawn) {
        /* A row gives one token, but for a prompt's last, which begins all its replies. */
        ps->draws = ae_arena_take(arena, tokens + sequences, sizeof *ps->draws);
        if (!ps->draws) return false;
    }
    return run->prompts && run->replies && ps->ids && ps->pos && ps->rows && ps->segments &&
           ps->caches && ps->parts && ps->groups && ps->guesses && ps->rates && ps->wanting &&
           ps->most && ps->waiting;
}

aerie_status ae_run_open(ae_run **out, ae_engine *e, const ae_engine_events *events,
                         ae_engine_stats *stats, aerie_error *err)
{
    ae_run *run = *out = ae_alloc(1, sizeof *run);
    if (run) {
        *run = (ae_run){ .engine = e,
                         .stats = stats,
                         .last = &run->first,
                         .max_batch = e->options.max_batch,
                         .max_sequences = e->options.max_sequences };
        if (events) run->events = *events;
        if (take_memory(run)) return AERIE_OK;
    }
    ae_run_close(run);
    *out = NULL;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an engine's batch");
}

void ae_run_close(ae_run *run)
{
    if (!run) return;
    run->events = (ae_engine_events){ 0 };
    for (int64_t i = 0; run->replies && i < run->max_sequences; i++)
        if (run->prompts[i].in_use) ae_run_end_prompt(run, &run->prompts[i], AERIE_OK, NULL);
    for (ae_ticket *t = run->first, *next; t; t = next) {
        next = t->next;
        ae_free(t);
    }
    ae_arena_free(&run->arena);
    ae_free(run);
}

static int64_t context_of(const ae_engine *e, const ae_request *r)
{
    return r->context > 0 ? r->context : e->options.net->config->max_position;
}

int64_t ae_run_context(const ae_run *run, const ae_request *r)
{
    return context_of(run->engine, r);
}

static ae_dtype kv_type_of(const ae_engine *e, const ae_request *r)
{
    bool scores = r->wants != AE_WANT_REPLIES || r->tells_prompt;
    return scores && !r->kv && !e->options.score_in_cache ? AE_F32 : e->options.kv_type;
}

/* What a position of that type takes, in positions of the engine's own. */
static int64_t cost_of(const ae_engine *e, ae_dtype type)
{
    const ae_config *c = e->options.net->config;
    size_t own = 1, other = 1;
    const ae_kv_shape shapes[] = { { e->options.kv_type, c->n_kv_heads, c->head_dim },
                                   { type, c->n_kv_heads, c->head_dim } };
    if (ae_kv_page_bytes(&own, &shapes[0], NULL) || ae_kv_page_bytes(&other, &shapes[1], NULL))
        return 1;
    return (int64_t)((other + own - 1) / own);
}

/* Positions of the engine's own type that a request may take at the most. */
static int64_t positions_of(const ae_engine *e, const ae_request *r)
{
    int64_t most = context_of(e, r) - r->n_prompt, cost = cost_of(e, kv_type_of(e, r));
    if (r->kv) return 0; /* the caller's */
    if (r->wants != AE_WANT_REPLIES) return r->n_prompt * cost;
    if (r->max_tokens > 0) most = ae_min64(most, r->max_tokens);
    return (r->n_prompt + ae_request_replies(r) * most) * cost;
}

static aerie_status check_ids(const ae_engine *e, const ae_request *r, aerie_error *err)
{
    int64_t vocab_size = e->options.net->config->vocab_size;
    for (int64_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] < 0 || r->prompt[i] >= vocab_size)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "token %d is not in the vocabulary of %lld; the "
                              "tokenizer does not fit the model",
                              r->prompt[i], (long long)vocab_size);
    for (int64_t i = 0; i < r->n_bias; i++)
        if (r->bias[i].id < 0 || r->bias[i].id >= vocab_size || r->bias[i].bias != r->bias[i].bias)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "a bias of %g for token %d, of %lld; give a number for a token that "
                              "there is",
                              (double)r->bias[i].bias, r->bias[i].id, (long long)vocab_size);
    return AERIE_OK;
}

aerie_status ae_engine_check(const ae_engine *e, const ae_request *r, aerie_error *err)
{
    int64_t context = context_of(e, r), most = e->options.kv_positions;
    if (r->n_prompt < 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the prompt is empty; give some text");
    const ae_net *net = ae_request_net(e, r);
    if (r->wants == AE_WANT_SCORE && !net->score)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the model has no head that scores; take a reward model");
    if ((r->wants == AE_WANT_REPLIES || r->wants == AE_WANT_CHANCES) && !net->head)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the model is a reward model: it scores texts and writes none");
    if (r->n_prompt >= context + (r->wants != AE_WANT_REPLIES))
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT,
            "the prompt has %lld tokens and the context %lld; shorten it or raise --ctx",
            (long long)r->n_prompt, (long long)context);
    if (ae_request_replies(r) > e->options.max_sequences)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%lld replies of one prompt at once; the most is %lld",
                          (long long)ae_request_replies(r), (long long)e->options.max_sequences);
    if (r->kv && (ae_request_replies(r) != 1 || ae_kv_len(r->kv) >= r->n_prompt))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the cache holds the whole prompt already");
    if (most > 0 && positions_of(e, r) > most)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the prompt and its replies may take %lld positions, and there is room "
                          "for %lld; ask for fewer replies or tokens%s",
                          (long long)positions_of(e, r), (long long)most,
                          cost_of(e, kv_type_of(e, r)) > 1
                              ? " (what is scored is kept in float32, which takes more)"
                              : "");
    aerie_status status = check_ids(e, r, err);
    return status ? status : ae_sampling_check(&r->sampling, err);
}

/* Log-probabilities of a pass are computed under one temperature. */
static aerie_status check_temperature(ae_run *run, const ae_request *r, aerie_error *err)
{
    if (run->events.drawn && run->has_temperature && r->sampling.temperature != run->temperature)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "log-probabilities of drawn tokens want one temperature for all "
                          "prompts; run them apart");
    run->temperature = r->sampling.temperature;
    run->has_temperature = true;
    return AERIE_OK;
}

static bool wants_own_logits(const ae_request *r)
{
    return r->n_bias > 0 || r->constraint;
}

static aerie_status own_logits(ae_engine *e, aerie_error *err)
{
    int64_t vocab_size = e->options.net->config->vocab_size;
    if (!e->logits) e->logits = ae_alloc((size_t)vocab_size, sizeof *e->logits);
    if (e->logits) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory to choose among %lld tokens",
                      (long long)vocab_size);
}

aerie_status ae_run_submit(ae_run *run, const ae_request *r, int64_t name, aerie_error *err)
{
    aerie_status status = ae_engine_check(run->engine, r, err);
    if (!status) status = check_temperature(run, r, err);
    if (!status && wants_own_logits(r)) status = own_logits(run->engine, err);
    if (status) return status;
    ae_ticket *t = ae_alloc(1, sizeof *t);
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for one more request");
    *t = (ae_ticket){ .request = *r,
                      .name = name,
                      .reserved = positions_of(run->engine, r),
                      .kv_type = kv_type_of(run->engine, r),
                      .cost = cost_of(run->engine, kv_type_of(run->engine, r)) };
    *run->last = t;
    run->last = &t->next;
    return AERIE_OK;
}

void ae_run_end_prompt(ae_run *run, ae_prompt_run *p, aerie_status status, const aerie_error *why)
{
    ae_prompt_run over = *p;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_reply_run *r = &run->replies[i];
        if (!r->in_use || r->prompt != p) continue;
        r->prompt = NULL;
        ae_reply_release(run, r);
    }
    *p = (ae_prompt_run){ 0 };
    if (over.owns_kv) ae_kv_free(over.kv);
    ae_free(over.chances);
    ae_free(over.ticket);
    if (run->events.done) run->events.done(run->events.user, over.index, status, why);
}

aerie_status ae_run_fail(ae_run *run, ae_prompt_run *p, aerie_status status, aerie_error *why,
                         aerie_error *err)
{
    if (!run->events.done) {
        if (err && err->status == AERIE_OK) *err = *why;
        return status;
    }
    ae_run_end_prompt(run, p, status, why);
    return AERIE_OK;
}

static void cancel_waiting(ae_run *run, ae_ticket **at)
{
    ae_ticket *t = *at;
    *at = t->next;
    if (!*at) run->last = at;
    int64_t name = t->name;
    ae_free(t);
    if (run->events.done) run->events.done(run->events.user, name, AERIE_INTERRUPTED, NULL);
}

void ae_run_cancel(ae_run *run, int64_t name)
{
    for (ae_ticket **at = &run->first; *at; at = &(*at)->next)
        if ((*at)->name == name) {
            cancel_waiting(run, at);
            return;
        }
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_prompt_run *p = &run->prompts[i];
        if (!p->in_use || p->index != name) continue;
        ae_run_end_prompt(run, p, AERIE_INTERRUPTED, NULL);
        return;
    }
}

void ae_run_rest(ae_run *run, int64_t name, int64_t reply, bool rests)
{
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_reply_run *r = &run->replies[i];
        if (r->in_use && r->prompt->index == name && (reply < 0 || r->reply == reply))
            r->rests = rests;
    }
}

int64_t ae_run_youngest(const ae_run *run)
{
    const ae_prompt_run *youngest = NULL;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        if (p->in_use && !p->is_out && (!youngest || p->number > youngest->number)) youngest = p;
    }
    return youngest ? youngest->index : -1;
}

static bool is_ready(const ae_run *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++) {
        if (ae_reply_is_awake(&run->replies[i])) return true;
        if (ae_prompt_left(&run->prompts[i]) > 0) return true;
    }
    return false;
}

aerie_status ae_run_step(ae_run *run, bool *more, aerie_error *err)
{
    aerie_status status = ae_run_admit(run, err);
    ae_run_keep_within(run);
    *more = !status && is_ready(run);
    if (*more) status = ae_run_pass(run, err);
    return status;
}
