/* rollout.c -- samples replies with the inference engine, over the weights that are trained. */
#include "train/rollout.h"

#include "infer/infer.h"
#include "train/pass.h"
#include "train/reward_source.h"

#include <string.h>

/* A reply while it grows. */
typedef struct {
    ae_ids ids;
    ae_bytes logp; /* floats */
    bool ended;
} growing;

typedef struct {
    const ae_train_run *run;
    int64_t size;
    growing *replies;
} sampling;

static void on_drawn(void *user, int64_t request, int64_t reply, int32_t id, float logp)
{
    sampling *s = user;
    growing *g = &s->replies[request * s->size + reply];

    ae_ids_add(&g->ids, id);
    ae_bytes_add(&g->logp, &logp, sizeof logp);
}

static void on_finish(void *user, int64_t request, int64_t reply, ae_finish why)
{
    sampling *s = user;

    s->replies[request * s->size + reply].ended = why == AE_FINISH_STOP;
}

/* Before every forward pass. */
static bool on_stop(void *user)
{
    const sampling *s = user;

    return ae_run_ask(s->run, NULL) != AERIE_OK;
}

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY,
                      "no memory for a step's replies; lower 'batch_size', 'rollout.samples' or "
                      "'rollout.max_new_tokens'");
}

static aerie_status run_engine(const ae_rollout_call *call, const ae_request *requests, sampling *s,
                               aerie_error *err)
{
    const ae_online_options *o = &call->recipe->online;
    ae_engine_options options = { .device = call->device,
                                  .net = call->net,
                                  .tokenizer = call->tokenizer,
                                  .max_sequences = ae_max64(o->parallel, o->samples),
                                  .kv_type = AE_F32,
                                  .speculate = AE_SPECULATE_OFF };
    ae_engine_events events = {
        .user = s, .stop = on_stop, .drawn = on_drawn, .finish = on_finish
    };
    ae_engine *engine = NULL;
    aerie_status status = ae_engine_open(&engine, &options, err);

    if (!status) status = ae_engine_run(engine, requests, call->n, &events, NULL, err);
    ae_engine_close(engine);
    return status;
}

static aerie_status sample(const ae_rollout_call *call, sampling *s, aerie_error *err)
{
    const ae_online_options *o = &call->recipe->online;
    ae_request *requests = ae_alloc((size_t)call->n, sizeof *requests);
    aerie_status status;

    if (!requests) return no_memory(err);
    for (int64_t i = 0; i < call->n; i++) {
        const ae_sample *prompt = &call->prompts->items[call->items[i]];
        requests[i] = (ae_request){ .prompt = prompt->ids,
                                    .n_prompt = prompt->n,
                                    .n_replies = o->samples,
                                    .max_tokens = o->max_new_tokens,
                                    .context = prompt->n + o->max_new_tokens,
                                    .sampling = { .temperature = (float)o->temperature },
                                    .seed = ae_mix64(call->seed) + (uint64_t)i };
    }
    status = run_engine(call, requests, s, err);
    ae_free(requests);
    return status;
}

static bool take_lists(ae_rollouts *r)
{
    double **lists[] = { &r->logp, &r->ref, &r->values, &r->advantages, &r->returns };

    for (size_t i = 0; i < AE_COUNT(lists); i++) {
        *lists[i] = ae_arena_take(&r->set.arena, (size_t)r->n_tokens, sizeof **lists[i]);
        if (!*lists[i]) return false;
    }
    return true;
}

/* Prompt g and its replies as one sample. */
static bool gather_group(ae_rollouts *r, int64_t g, const ae_sample *prompt, const growing *replies)
{
    int64_t from = r->first[g * r->size], n = r->first[(g + 1) * r->size] - from;
    ae_sample *s = &r->set.items[g];
    int32_t *at;

    *s = (ae_sample){ .kind = AE_EXAMPLE_PROMPT,
                      .n = (int32_t)(prompt->n + n),
                      .n_prompt = prompt->n,
                      .row = prompt->row };
    s->ids = ae_arena_take(&r->set.arena, (size_t)s->n, sizeof *s->ids);
    if (!s->ids) return false;
    memcpy(s->ids, prompt->ids, (size_t)prompt->n * sizeof *s->ids);
    at = s->ids + prompt->n;
    for (int64_t i = 0; i < r->size; i++) {
        const growing *one = &replies[g * r->size + i];
        memcpy(at, one->ids.data, one->ids.len * sizeof *at);
        at += one->ids.len;
    }
    return true;
}

static aerie_status gather(ae_rollouts *r, const ae_rollout_call *call, const growing *replies,
                           aerie_error *err)
{
    for (int64_t i = 0; i < r->n_replies; i++) {
        if (replies[i].ids.failed || replies[i].logp.failed) return no_memory(err);
        r->first[i + 1] = r->first[i] + (int64_t)replies[i].ids.len;
        r->ended[i] = replies[i].ended;
    }
    r->n_tokens = r->first[r->n_replies];
    if (!take_lists(r)) return no_memory(err);
    for (int64_t i = 0; i < r->n_replies; i++) {
        const float *logp = (const float *)(const void *)replies[i].logp.data;
        for (size_t t = 0; t < replies[i].ids.len; t++)
            r->logp[r->first[i] + (int64_t)t] = (double)logp[t];
    }
    for (int64_t g = 0; g < r->n_groups; g++)
        if (!gather_group(r, g, &call->prompts->items[call->items[g]], replies))
            return no_memory(err);
    return AERIE_OK;
}

static bool begin(ae_rollouts *r, const ae_rollout_call *call)
{
    ae_arena *arena = &r->set.arena;

    *r = (ae_rollouts){ .n_groups = call->n,
                        .size = call->recipe->online.samples,
                        .room = call->recipe->online.max_new_tokens,
                        .lambda = call->recipe->online.apa_lambda };
    r->n_replies = r->n_groups * r->size;
    r->set.n = (size_t)r->n_groups;
    r->set.items = ae_arena_take(arena, r->set.n, sizeof *r->set.items);
    r->first = ae_arena_take(arena, (size_t)r->n_replies + 1, sizeof *r->first);
    r->ended = ae_arena_take(arena, (size_t)r->n_replies, sizeof *r->ended);
    r->scores = ae_arena_take(arena, (size_t)r->n_replies, sizeof *r->scores);
    return r->set.items && r->first && r->ended && r->scores;
}

aerie_status ae_rollouts_make(ae_rollouts *out, const ae_rollout_call *call, aerie_error *err)
{
    bool begun = begin(out, call);
    sampling s = { .run = call->run,
                   .size = out->size,
                   .replies = ae_alloc((size_t)out->n_replies, sizeof *s.replies) };
    aerie_status status = begun && s.replies ? sample(call, &s, err) : no_memory(err);

    if (!status) status = gather(out, call, s.replies, err);
    for (int64_t i = 0; s.replies && i < out->n_replies; i++) {
        ae_ids_free(&s.replies[i].ids);
        ae_bytes_free(&s.replies[i].logp);
    }
    ae_free(s.replies);
    return status;
}

void ae_rollouts_free(ae_rollouts *r)
{
    ae_samples_free(&r->set);
    *r = (ae_rollouts){ 0 };
}

const int32_t *ae_rollouts_ids(const ae_rollouts *r, int64_t reply)
{
    int64_t g = reply / r->size;
    const ae_sample *s = &r->set.items[g];

    return s->ids + s->n_prompt + (r->first[reply] - r->first[g * r->size]);
}

/* Its text, without the token that ended it. */
static void decode(ae_bytes *out, const ae_tokenizer *tokenizer, const int32_t *ids, int64_t n)
{
    ae_decoder decoder = { 0 };

    for (int64_t t = 0; tokenizer && t < n; t++)
        if (!ae_tokenizer_is_eog(tokenizer, ids[t]))
            ae_decoder_push(&decoder, tokenizer, ids[t], out);
    if (tokenizer) ae_decoder_finish(&decoder, out);
    ae_bytes_reserve(out, 1);
}

aerie_status ae_rollouts_score(ae_rollouts *r, const ae_recipe *recipe, const ae_train_run *run,
                               ae_reward_model *model, const ae_tokenizer *tokenizer,
                               aerie_error *err)
{
    aerie_reward_item *items = ae_alloc((size_t)r->n_replies, sizeof *items);
    ae_bytes *texts = ae_alloc((size_t)r->n_replies, sizeof *texts);
    aerie_status status = items && texts ? AERIE_OK : no_memory(err);

    for (int64_t i = 0; i < r->n_replies && !status; i++) {
        int64_t n = r->first[i + 1] - r->first[i];
        decode(&texts[i], tokenizer, ae_rollouts_ids(r, i), n);
        status = ae_bytes_status(&texts[i], err);
        items[i] = (aerie_reward_item){ .row = r->set.items[i / r->size].row,
                                        .reply = texts[i].data ? texts[i].data : "",
                                        .reply_len = texts[i].len,
                                        .ids = ae_rollouts_ids(r, i),
                                        .n_tokens = n,
                                        .ended = r->ended[i] };
    }
    if (!status)
        status = ae_reward_source_score(r->scores, recipe, run, model, items, r->n_replies, err);
    for (int64_t i = 0; texts && i < r->n_replies; i++) ae_bytes_free(&texts[i]);
    ae_free(texts);
    ae_free(items);
    return status;
}
