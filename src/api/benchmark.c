/* benchmark.c -- the public face of benchmarks, and a model in this process that answers them. */
#include "aerie/benchmark.h"

#include "api/api.h"
#include "eval/eval.h"

#include <stdlib.h>
#include <string.h>

/* ---- likelihoods ---- */

typedef struct {
    aerie_model *model;
    const aerie_benchmark_options *options;
    ae_template *chat;
} local;

static int64_t longest(const ae_scored_tokens *asked, int64_t n)
{
    int64_t most = 1;

    for (int64_t i = 0; i < n; i++) most = ae_max64(most, asked[i].n);
    return most;
}

typedef struct {
    ae_scored_fn *fn;
    void *user;
} listener;

static bool hear(void *user, int64_t index, const ae_likelihood *found)
{
    const listener *l = user;
    ae_scored_answer answer = { found->logprob, found->is_greedy, found->n_tokens, 0 };

    for (int64_t i = 0; i < found->n_tokens; i++)
        answer.squares += (double)found->logprobs[i] * found->logprobs[i];
    return l->fn(l->user, index, &answer);
}

static aerie_status score_tokens(void *user, const ae_scored_tokens *asked, int64_t n,
                                 ae_scored_fn *fn, void *fn_user, int64_t *computed,
                                 aerie_error *err)
{
    const local *a = user;
    ae_engine_options o = ae_api_scorer(a->model);
    aerie_memory_plan plan = { .n_ctx = longest(asked, n), .use = AERIE_USE_SCORES };
    ae_continuation *all = ae_alloc((size_t)n, sizeof *all);
    listener l = { fn, fn_user };
    ae_likelihood_stats stats = { 0 };
    ae_engine *engine = NULL;
    aerie_status status =
        all ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");

    for (int64_t i = 0; i < n && !status; i++)
        all[i] = (ae_continuation){ asked[i].ids, asked[i].n, asked[i].n_context };
    if (!status) status = ae_api_check_use(a->model, NULL, &plan, err);
    if (!status) status = ae_engine_open(&engine, &o, err);
    if (!status) status = ae_engine_likelihoods(engine, all, n, hear, &l, &stats, err);
    *computed += stats.computed;
    ae_engine_close(engine);
    ae_free(all);
    return status;
}

static aerie_status diverge(void *user, const ae_saved_logits *reference, const int64_t *windows,
                            int64_t n, ae_diverged_fn *fn, void *fn_user, aerie_error *err)
{
    const local *a = user;

    return ae_api_diverge(a->model, reference, windows, n, fn, fn_user, err);
}

/* ---- replies ---- */

typedef struct {
    ae_decoder decoder;
    ae_bytes text;
    ae_ids prompt;
} reply_text;

typedef struct {
    const ae_reply_question *asked;
    const ae_tokenizer *tokenizer;
    reply_text *texts; /* [n] */
    ae_reply_fn *fn;
    void *user;
    bool stopped;
} replies;

/* Whether what has come holds one of the texts that end a reply. */
static bool is_ended(const ae_reply_question *q, ae_span text)
{
    for (size_t i = 0; i < q->n_until; i++) {
        ae_span stop = ae_span_text(q->until[i]);
        if (stop.len > 0 && jinja_find_text(text, stop, 0) != SIZE_MAX) return true;
    }
    return false;
}

static bool on_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    replies *r = user;
    reply_text *t = &r->texts[request];
    (void)reply;

    ae_decoder_push(&t->decoder, r->tokenizer, id, &t->text);
    return !is_ended(&r->asked[request], ae_span_of(&t->text));
}

static void on_finish(void *user, int64_t request, int64_t reply, ae_finish why)
{
    replies *r = user;
    reply_text *t = &r->texts[request];
    (void)reply;
    (void)why;

    ae_decoder_finish(&t->decoder, &t->text);
    if (!r->stopped && !r->fn(r->user, request, ae_span_of(&t->text))) r->stopped = true;
    ae_bytes_free(&t->text);
}

static bool on_stop(void *user)
{
    const replies *r = user;
    return r->stopped;
}

/* A prompt that is too long loses its beginning, as in the harness. */
static aerie_status make_request(ae_request *out, reply_text *t, const local *a,
                                 const ae_reply_question *q, aerie_error *err)
{
    const ae_tokenizer *tokenizer = ae_model_tokenizer(a->model->model);
    int64_t room = ae_model_config(a->model->model)->max_position - q->max_tokens;
    aerie_status status = q->no_bos ? ae_tokenizer_encode(tokenizer, q->prompt, AE_ENCODE_SPECIAL,
                                                          &t->prompt, NULL, err)
                                    : ae_api_encode(&t->prompt, tokenizer, q->prompt,
                                                    AE_ENCODE_BOS | AE_ENCODE_SPECIAL, err);

    if (!status) status = ae_ids_status(&t->prompt, err);
    if (status) return status;
    int64_t n = (int64_t)t->prompt.len, kept = room > 0 && n > room ? room : n;
    t->decoder.continues = true;
    *out = (ae_request){ .prompt = t->prompt.data + (n - kept),
                         .n_prompt = kept,
                         .n_replies = 1,
                         .max_tokens = q->max_tokens,
                         .context = kept + q->max_tokens,
                         .sampling = { .temperature = (float)q->temperature,
                                       .top_p = q->top_p > 0 ? (float)q->top_p : 1,
                                       .repeat_penalty = 1 },
                         .seed = 42 };
    if (n == 0) return aerie_fail(err, AERIE_BAD_ARGUMENT, "a prompt has no tokens");
    return AERIE_OK;
}

static aerie_status run_replies(replies *r, const local *a, const ae_request *requests, int64_t n,
                                aerie_error *err)
{
    aerie_model *m = a->model;
    int64_t context = 0;
    ae_engine *engine = NULL;
    ae_engine_options o = { .device = m->device,
                            .net = &m->net,
                            .tokenizer = r->tokenizer,
                            .kv_type = m->kv_type,
                            .max_sequences = a->options->parallel };
    const ae_engine_events events = {
        .user = r, .token = on_token, .finish = on_finish, .stop = on_stop
    };

    for (int64_t i = 0; i < n; i++) context = ae_max64(context, requests[i].context);
    o.prefix_cache_positions = context;
    aerie_memory_plan plan = { .n_ctx = context,
                               .parallel = o.max_sequences > 0 ? o.max_sequences : 32,
                               .prefix_tokens = context };
    aerie_status status = ae_api_check_use(m, NULL, &plan, err);
    if (!status) status = ae_api_speculate(&o, m, AERIE_SPECULATE_AUTO, NULL, err);
    if (!status) status = ae_engine_open(&engine, &o, err);
    if (!status) status = ae_engine_run(engine, requests, n, &events, NULL, err);
    ae_engine_close(engine);
    return status;
}

static aerie_status reply_to(void *user, const ae_reply_question *asked, int64_t n, ae_reply_fn *fn,
                             ae_refused_fn *refused, void *fn_user, aerie_error *err)
{
    (void)refused; /* what is too long is cut */
    const local *a = user;
    replies r = { .asked = asked,
                  .tokenizer = ae_model_tokenizer(a->model->model),
                  .texts = ae_alloc((size_t)n, sizeof *r.texts),
                  .fn = fn,
                  .user = fn_user };
    ae_request *requests = ae_alloc((size_t)n, sizeof *requests);
    aerie_status status =
        r.texts && requests ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");

    for (int64_t i = 0; i < n && !status; i++)
        status = make_request(&requests[i], &r.texts[i], a, &asked[i], err);
    if (!status) status = run_replies(&r, a, requests, n, err);
    for (int64_t i = 0; r.texts && i < n; i++) {
        ae_bytes_free(&r.texts[i].text);
        ae_ids_free(&r.texts[i].prompt);
    }
    ae_free(requests);
    ae_free(r.texts);
    return status;
}

static aerie_status write_chat(void *user, json_t *messages, ae_bytes *out, aerie_error *err)
{
    local *a = user;
    ae_template_input in = { .messages = messages, .add_generation_prompt = true };
    aerie_status status = AERIE_OK;

    if (!a->chat) status = ae_api_template(&a->chat, a->model, a->options->chat_template, err);
    return status ? status : ae_api_render(out, a->model, a->chat, &in, err);
}

/* ---- the call ---- */

static bool tell_item(void *user, const json_t *line)
{
    const aerie_benchmark_options *o = user;
    char *text = json_dumps(line, JSON_COMPACT);
    bool more = !text || o->item(o->user, text);

    free(text);
    return more;
}

static bool tell_progress(void *user, const char *task, int64_t done, int64_t total)
{
    const aerie_benchmark_options *o = user;
    return o->progress(o->user, task, done, total);
}

static aerie_status ask_local(json_t **out, const ae_benchmark_options *how,
                              const aerie_benchmark_options *o, aerie_error *err)
{
    local a = { .model = o->model, .options = o };
    aerie_status status = ae_api_need_tokenizer(o->model, err);
    const ae_model *model = o->model->model;
    const ae_bench_model who = { .user = &a,
                                 .identity = o->identity ? o->identity : ae_model_path(model),
                                 .tokenizer = ae_model_tokenizer(model),
                                 .max_length = ae_model_config(model)->max_position,
                                 .tokens = score_tokens,
                                 .replies = reply_to,
                                 .diverge = diverge,
                                 .chat = write_chat };

    if (!status) status = ae_benchmark(out, how, &who, err);
    ae_template_free(a.chat);
    return status;
}

static aerie_status ask_remote(json_t **out, const ae_benchmark_options *how,
                               const aerie_benchmark_options *o, aerie_error *err)
{
    const ae_remote_options options = { .url = o->url,
                                        .model = o->remote_model,
                                        .key = o->key,
                                        .in_flight = o->in_flight,
                                        .stop = o->stop,
                                        .stop_user = o->user };
    ae_bench_model who;
    ae_remote *remote;
    aerie_status status = ae_remote_open(&remote, &who, &options, err);

    if (!status) status = ae_benchmark(out, how, &who, err);
    ae_remote_close(remote);
    return status;
}

aerie_status aerie_benchmark(const aerie_benchmark_options *o, char **json, aerie_error *err)
{
    const ae_benchmark_options how = { .tasks = o->tasks,
                                       .n_tasks = o->n_tasks,
                                       .protocol = o->protocol,
                                       .data = o->data,
                                       .shots = o->sets_shots ? o->shots : -1,
                                       .limit = o->limit > 0 ? (size_t)o->limit : 0,
                                       .system = o->system,
                                       .multiturn = o->multiturn,
                                       .out = o->out,
                                       .keep = o->keep,
                                       .fresh = o->fresh,
                                       .rescore = o->rescore,
                                       .progress = o->progress ? tell_progress : NULL,
                                       .item = o->item ? tell_item : NULL,
                                       .user = (void *)(uintptr_t)o };
    json_t *result = NULL;
    aerie_status status;

    *json = NULL;
    if (o->rescore)
        status = ae_benchmark(&result, &how, NULL, err);
    else if (o->model)
        status = ask_local(&result, &how, o, err);
    else
        status = ask_remote(&result, &how, o, err);
    if (!status) status = ae_api_give_exact_json(result, json, err);
    json_decref(result);
    return status;
}

const char *aerie_benchmark_task(size_t i)
{
    return ae_benchmark_known(i);
}

const char *aerie_benchmark_protocol(size_t i, const char **about)
{
    return ae_benchmark_protocol(i, about);
}
