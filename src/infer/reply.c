/* reply.c -- one reply: its tokens drawn one after another, from its first to its end. */
#include "infer/engine_private.h"

#include <string.h>

void ae_reply_release(ae_run *run, ae_reply_run *r)
{
    if (r->constraint) r->rules->end(r->constraint);
    if (r->owns_kv) ae_kv_free(r->kv);
    if (r->owns_draft_kv) ae_kv_free(r->draft_kv);
    ae_lookup_free(&r->lookup);
    ae_ids_free(&r->history);
    ae_prompt_run *p = r->prompt;
    *r = (ae_reply_run){ 0 };
    if (p && --p->replies_left == 0) ae_run_end_prompt(run, p, AERIE_OK, NULL);
}

/* The cache of a conversation outlives the reply: it must hold what plain decoding would leave. */
static void finish(ae_run *run, ae_reply_run *r, ae_finish why)
{
    ae_kv_truncate(r->kv, r->held);
    if (r->draft_kv) ae_kv_truncate(r->draft_kv, r->held);
    /* The conversation may go on; of several replies, who knows with which. */
    if (r->prompt->owns_kv && !r->owns_kv)
        ae_run_keep(run, r->prompt, r->history.data, r->held, r->kv, NULL);
    if (run->events.guessed)
        run->events.guessed(run->events.user, r->prompt->index, r->reply, r->drafted, r->accepted);
    if (run->events.finish) run->events.finish(run->events.user, r->prompt->index, r->reply, why);
    ae_reply_release(run, r);
}

static int32_t draw_from(ae_run *run, ae_reply_run *r, const float *logits)
{
    return ae_sampler_draw(&run->engine->sampler, &r->prompt->request->sampling, logits,
                           r->history.data, (int64_t)r->history.len, &r->rng);
}

/* With the request's biases, and within what its constraint allows. Most draws are allowed as they
 * come, and asking for one token is cheaper than for all. -1: nothing is allowed. */
static int32_t draw_restricted(ae_run *run, ae_reply_run *r, const float *logits)
{
    const ae_request *request = r->prompt->request;
    int64_t vocab_size = run->engine->options.net->config->vocab_size;
    float *own = run->engine->logits;
    memcpy(own, logits, (size_t)vocab_size * sizeof *own);
    for (int64_t i = 0; i < request->n_bias; i++) own[request->bias[i].id] += request->bias[i].bias;
    int32_t id = draw_from(run, r, own);
    if (!r->constraint || r->rules->allows(r->constraint, id)) return id;
    if (!r->rules->mask(r->constraint, own, vocab_size)) return -1;
    id = draw_from(run, r, own);
    return r->rules->allows(r->constraint, id) ? id : -1;
}

/* From the logits of a reply's i-th row of the pass. */
static aerie_status draw(ae_run *run, ae_reply_run *r, const float *logits, int64_t i, int32_t *id,
                         aerie_error *err)
{
    const ae_request *request = r->prompt->request;
    ae_pass *ps = &run->pass;
    bool restricted = request->n_bias > 0 || r->constraint;
    if (run->stats) run->stats->reply_tokens++;
    *id = restricted ? draw_restricted(run, r, logits) : draw_from(run, r, logits);
    if (*id < 0)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "the reply can neither go on nor end within its grammar");
    if (request->tells_rows && run->events.row)
        run->events.row(run->events.user, r->prompt->index, r->reply, *id, logits);
    if (ps->draws)
        ps->draws[ps->n_draws++] =
            (ae_draw){ r->prompt->index, r->reply, ps->at + (int32_t)i, *id };
    return AERIE_OK;
}

/* Takes a drawn token and decides whether the reply goes on. */
static aerie_status take(ae_run *run, ae_reply_run *r, int32_t id, aerie_error *err)
{
    const ae_tokenizer *tokenizer = run->engine->options.tokenizer;
    const ae_request *request = r->prompt->request;

    if (!request->ignore_eog && tokenizer && ae_tokenizer_is_eog(tokenizer, id)) {
        finish(run, r, AE_FINISH_STOP);
        return AERIE_OK;
    }
    if (r->constraint) r->rules->accept(r->constraint, id);
    ae_ids_add(&r->history, id);
    if (r->history.failed)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply's tokens");
    r->n_new++;
    if (run->events.token && !run->events.token(run->events.user, r->prompt->index, r->reply, id))
        finish(run, r, AE_FINISH_CALLER);
    else if ((request->max_tokens > 0 && r->n_new >= request->max_tokens) ||
             (int64_t)r->history.len >= ae_run_context(run, request))
        finish(run, r, AE_FINISH_LENGTH);
    return AERIE_OK;
}

static ae_reply_run *free_reply(ae_run *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (!run->replies[i].in_use) return &run->replies[i];
    return NULL;
}

aerie_status ae_reply_start(ae_run *run, ae_prompt_run *p, int64_t index, const float *logits,
                            aerie_error *err)
{
    const ae_request *request = p->request;
    ae_reply_run *r = free_reply(run);
    ae_kv *kv = p->kv;
    if (p->n_replies > 1) {
        kv = ae_run_new_kv(run, p->ticket, ae_run_context(run, request), p->kv, request->n_prompt,
                           err);
        if (!kv) return AERIE_NO_MEMORY;
    }
    *r = (ae_reply_run){ .prompt = p,
                         .reply = index,
                         .kv = kv,
                         .owns_kv = p->n_replies > 1,
                         .held = request->n_prompt,
                         .in_use = true };
    if (p->n_replies == 1) p->reply = r;
    ae_rng_seed(&r->rng, ae_mix64(request->seed) + (uint64_t)index);
    ae_hit_rates_start(&r->rates);
    ae_ids_add_all(&r->history, request->prompt, (size_t)request->n_prompt);
    if (r->history.failed)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply's tokens");
    if (request->constraint) {
        r->rules = request->constraint;
        r->constraint = r->rules->start(r->rules->user);
        if (!r->constraint)
            return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply's grammar");
    }
    /* Without memory for it the reply comes all the same, only not faster. */
    if (ae_run_looks_up(run)) ae_lookup_open(&r->lookup, request->n_prompt);
    int32_t id;
    aerie_status status = draw(run, r, logits, 0, &id, err);
    return status ? status : take(run, r, id, err);
}

aerie_status ae_reply_advance(ae_run *run, ae_reply_run *r, const float *logits, aerie_error *err)
{
    int64_t vocab_size = run->engine->options.net->config->vocab_size, sent = r->guess.sent;
    bool right = true;

    r->drafted += sent;
    for (int64_t i = 0; i <= sent && right; i++) {
        int32_t id;
        aerie_status status = draw(run, r, logits + i * vocab_size, i, &id, err);
        if (status) return status;
        right = i < r->guess.n && id == r->guess.ids[i];
        if (i < r->guess.n) ae_hit_rates_note(&r->rates, r->guess.grades[i], right);
        if (right && i < sent) {
            run->pass.held++;
            r->accepted++;
        }
        r->held++; /* the row's own token */
        status = take(run, r, id, err);
        if (status || !r->in_use) return status;
    }
    ae_kv_truncate(r->kv, r->held);
    if (r->draft_kv) ae_kv_truncate(r->draft_kv, r->held);
    return AERIE_OK;
}
