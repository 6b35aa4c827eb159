/* benchmark_remote.c -- an OpenAI-compatible server that answers benchmarks: several requests under
 * way, each tried again where the server is busy. */
#include "endpoint/endpoint.h"
#include "eval/benchmark.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request under way. */
typedef struct {
    int64_t index;
    ae_endpoint_call call;
} slot;

struct ae_remote {
    ae_remote_options options;
    char *identity;
    ae_endpoint *server;
    slot *slots;
    int n_slots;
};

/* One batch of questions. */
typedef struct {
    ae_remote *remote;
    const ae_scored_text *texts;      /* or */
    const ae_reply_question *replies; /* of which one is not NULL */
    ae_scored_fn *scored;
    ae_reply_fn *replied;
    ae_refused_fn *refused;
    void *user;
    int64_t n, next;
} batch;

/* ---- what is sent ---- */

static bool is_conversation(ae_span prompt)
{
    return prompt.len > 9 && !memcmp(prompt.data, "[{\"role\":", 9);
}

static json_t *text_body(const batch *b, const ae_scored_text *q)
{
    ae_bytes whole = { 0 };
    json_t *body = NULL;

    ae_bytes_add(&whole, q->context.data, q->context.len);
    ae_bytes_add(&whole, q->continuation.data, q->continuation.len);
    if (!whole.failed)
        body = json_pack("{s:s, s:s%, s:i, s:i, s:b, s:i}", "model", b->remote->options.model,
                         "prompt", whole.data ? whole.data : "", whole.len, "max_tokens", 1,
                         "logprobs", 1, "echo", 1, "temperature", 0);
    ae_bytes_free(&whole);
    return body;
}

static json_t *reply_body(const batch *b, const ae_reply_question *q)
{
    bool chat = is_conversation(q->prompt);
    json_t *prompt = chat ? json_loadb(q->prompt.data, q->prompt.len, 0, NULL)
                          : json_stringn(q->prompt.data, q->prompt.len);
    json_t *stop = json_array();

    for (size_t i = 0; i < q->n_until && i < 4; i++) /* OpenAI takes four */
        json_array_append_new(stop, json_string(q->until[i]));
    json_t *body = json_pack("{s:s, s:o, s:I, s:f, s:f, s:o}", "model", b->remote->options.model,
                             chat ? "messages" : "prompt", prompt, "max_tokens",
                             (json_int_t)q->max_tokens, "temperature", q->temperature, "top_p",
                             q->top_p > 0 ? q->top_p : 1.0, "stop", stop);
    return body;
}

static aerie_status send_next(batch *b, slot *s, aerie_error *err)
{
    int64_t i = b->next++;
    json_t *body = b->texts ? text_body(b, &b->texts[i]) : reply_body(b, &b->replies[i]);
    bool chat = b->replies && is_conversation(b->replies[i].prompt);

    if (!body)
        return aerie_fail(err, AERIE_BAD_TEXT, "request %lld is no UTF-8, or there is no memory",
                          (long long)i);
    s->index = i;
    return ae_endpoint_send(b->remote->server, &s->call, chat ? "chat/completions" : "completions",
                            body, NULL, s, err);
}

/* ---- what comes back ---- */

static size_t count_chars(ae_span text)
{
    return jinja_char_count(text);
}

static double best_of(const json_t *top)
{
    double best = -INFINITY;

    for (void *at = json_object_iter((json_t *)(uintptr_t)top); at;
         at = json_object_iter_next((json_t *)(uintptr_t)top, at))
        best = fmax(best, json_number_value(json_object_iter_value(at)));
    return best;
}

static aerie_status no_scores(const char *what, aerie_error *err)
{
    return aerie_fail(err, AERIE_UNSUPPORTED,
                      "the server's answer has no 'logprobs' with %s of the prompt: likelihoods "
                      "need a server that knows 'echo' (aerie serve does)",
                      what);
}

/* The tokens' own numbers, each after the one before it. */
static aerie_status check_scored(const json_t *values, const json_t *offsets, const json_t *tops,
                                 aerie_error *err)
{
    size_t n = json_array_size(values);

    if (n == 0 || json_array_size(offsets) != n)
        return no_scores("'token_logprobs' and 'text_offset'", err);
    if (json_array_size(tops) != n) return no_scores("'top_logprobs'", err);
    for (size_t i = 1; i < n; i++) {
        if (json_integer_value(json_array_get(offsets, i)) <
            json_integer_value(json_array_get(offsets, i - 1)))
            return aerie_fail(err, AERIE_BAD_FILE,
                              "the server's 'text_offset' goes back at token %zu: what belongs to "
                              "which token cannot be told",
                              i);
        /* As far above 0 as roundings come. */
        if (json_number_value(json_array_get(values, i)) > 0.01)
            return aerie_fail(err, AERIE_BAD_FILE,
                              "the server's log-probability of token %zu is %g: it is at most 0", i,
                              json_number_value(json_array_get(values, i)));
    }
    return AERIE_OK;
}

/* Tokens that reach past the context, up to the text's end; what the server added is after it. */
static aerie_status read_scored(ae_scored_answer *out, const ae_scored_text *q,
                                const json_t *choice, aerie_error *err)
{
    const json_t *logprobs = json_object_get(choice, "logprobs");
    const json_t *values = json_object_get(logprobs, "token_logprobs");
    const json_t *offsets = json_object_get(logprobs, "text_offset");
    const json_t *tops = json_object_get(logprobs, "top_logprobs");
    json_int_t context = (json_int_t)count_chars(q->context);
    json_int_t end = context + (json_int_t)count_chars(q->continuation);
    size_t n = json_array_size(values);
    aerie_status status = check_scored(values, offsets, tops, err);

    *out = (ae_scored_answer){ .is_greedy = true };
    for (size_t i = 1; i < n && !status; i++) {
        json_int_t from = json_integer_value(json_array_get(offsets, i));
        json_int_t to = i + 1 < n ? json_integer_value(json_array_get(offsets, i + 1)) : end + 1;
        const json_t *value = json_array_get(values, i);
        if (to <= context || from >= end || !json_is_number(value)) continue;
        double logprob = json_number_value(value);
        out->logprob += logprob;
        out->n_tokens++;
        if (logprob < best_of(json_array_get(tops, i))) out->is_greedy = false;
    }
    if (!status && out->n_tokens == 0)
        return aerie_fail(err, AERIE_BAD_TEXT, "the server scored nothing of '%.60s'",
                          q->continuation.data ? q->continuation.data : "");
    return status;
}

/* The reply of a choice; one that is cut off before its first word has none, or null. NULL: it is
 * no choice. */
static const char *reply_of(const json_t *choice)
{
    const json_t *text = ae_endpoint_text(choice);

    if (text) return json_string_value(text);
    return json_is_string(json_object_get(choice, "finish_reason")) ? "" : NULL;
}

static aerie_status take_refusal(batch *b, const slot *s, const ae_http_response *response,
                                 aerie_error *err)
{
    aerie_error why = { 0 };
    aerie_status status = ae_http_expect(response, &why);

    if (!ae_endpoint_refuses_one(response->status))
        return aerie_fail(err, status, "%s", why.message);
    return b->refused(b->user, s->index, why.message)
               ? AERIE_OK
               : aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
}

static aerie_status take(batch *b, const slot *s, const ae_http_response *response,
                         aerie_error *err)
{
    aerie_status status = AERIE_OK;
    json_t *root;
    bool more = true;

    if (response->status < 200 || response->status > 299) return take_refusal(b, s, response, err);
    root = json_loadb(response->body.data, response->body.len, 0, NULL);
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    if (b->texts) {
        ae_scored_answer answer;
        status = read_scored(&answer, &b->texts[s->index], choice, err);
        if (!status) more = b->scored(b->user, s->index, &answer);
    } else {
        const char *text = reply_of(choice);
        if (text)
            more = b->replied(b->user, s->index, ae_span_text(text));
        else
            status = aerie_fail(err, AERIE_BAD_FILE, "the server's answer holds no reply");
    }
    json_decref(root);
    if (!status && !more) status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    return status;
}

/* ---- the batch ---- */

static aerie_status take_one(batch *b, ae_http_done *done, aerie_error *err)
{
    slot *s = done->user;
    aerie_status status;

    if (done->status && err) *err = done->error;
    status = done->status ? done->status : take(b, s, &done->response, err);
    ae_http_response_free(&done->response);
    return !status && b->next < b->n ? send_next(b, s, err) : status;
}

static aerie_status run_batch(batch *b, aerie_error *err)
{
    ae_remote *r = b->remote;
    aerie_status status = AERIE_OK;
    ae_http_done done = { 0 };

    for (int i = 0; i < r->n_slots && b->next < b->n && !status; i++)
        status = send_next(b, &r->slots[i], err);
    while (!status && ae_endpoint_wait(r->server, &done)) status = take_one(b, &done, err);
    ae_endpoint_drop(r->server);
    for (int i = 0; i < r->n_slots; i++) ae_endpoint_call_free(&r->slots[i].call);
    return status;
}

static aerie_status score_texts(void *user, const ae_scored_text *asked, int64_t n,
                                ae_scored_fn *fn, ae_refused_fn *refused, void *fn_user,
                                aerie_error *err)
{
    batch b = {
        .remote = user, .texts = asked, .n = n, .scored = fn, .refused = refused, .user = fn_user
    };
    return run_batch(&b, err);
}

static aerie_status reply_to(void *user, const ae_reply_question *asked, int64_t n, ae_reply_fn *fn,
                             ae_refused_fn *refused, void *fn_user, aerie_error *err)
{
    batch b = {
        .remote = user, .replies = asked, .n = n, .replied = fn, .refused = refused, .user = fn_user
    };
    return run_batch(&b, err);
}

/* The server's own template writes it: what goes there is the conversation. */
static aerie_status write_chat(void *user, json_t *messages, ae_bytes *out, aerie_error *err)
{
    char *text = json_dumps(messages, JSON_COMPACT);
    (void)user;

    if (text) ae_bytes_add_text(out, text);
    free(text);
    return text ? ae_bytes_status(out, err)
                : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a conversation");
}

static char *make_identity(const ae_remote_options *options)
{
    ae_bytes text = { 0 };

    ae_bytes_printf(&text, "%s %s", options->url, options->model);
    if (text.failed) ae_bytes_free(&text);
    return text.data;
}

aerie_status ae_remote_open(ae_remote **out, ae_bench_model *who, const ae_remote_options *options,
                            aerie_error *err)
{
    const ae_endpoint_options server = { .url = options->url,
                                         .key = options->key,
                                         .retry_seconds = 0.5,
                                         .timeout_seconds = 600,
                                         .max_bytes = (size_t)64 << 20,
                                         .stop = options->stop,
                                         .stop_user = options->stop_user };
    aerie_status status = AERIE_OK;
    ae_remote *r;

    *out = NULL;
    if (!options->url || !options->model)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "there is nobody to answer: give a model, or the address of a server and "
                          "its name for one");
    r = ae_alloc(1, sizeof *r);
    if (!r) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a server's address");
    r->options = *options;
    r->n_slots = options->in_flight > 0 ? options->in_flight : 8;
    r->slots = ae_alloc((size_t)r->n_slots, sizeof *r->slots);
    r->identity = make_identity(options);
    if (!r->slots || !r->identity)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a server's address");
    if (!status) status = ae_endpoint_open(&r->server, &server, err);
    if (status) {
        ae_remote_close(r);
        return status;
    }
    *who = (ae_bench_model){ .user = r,
                             .identity = r->identity,
                             .texts = score_texts,
                             .replies = reply_to,
                             .chat = write_chat };
    *out = r;
    return AERIE_OK;
}

void ae_remote_close(ae_remote *r)
{
    if (!r) return;
    ae_endpoint_close(r->server);
    ae_free(r->identity);
    ae_free(r->slots);
    ae_free(r);
}
