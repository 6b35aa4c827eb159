/* routes_openai_completions.c -- OpenAI's /v1/completions: texts that go on, and what a model makes
 * of texts as they stand (echo with logprobs). */
#include "serve/openai.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PROMPTS = 256 };

/* One reply to one of the prompts. */
typedef struct {
    ae_bytes text;
    json_t *tokens, *logprobs, *top, *offsets; /* lists; NULL: none are wanted */
    bool begun;                                /* the prompt's first tokens were echoed */
    aerie_finish why;
} completion;

typedef struct {
    ae_openai_options options;
    char id[48];
    int64_t created;
    bool echo, wants_logprobs, no_reply;
    int top;
    const char *suffix;  /* the request's; NULL: none */
    completion *choices; /* prompt by prompt */
    int64_t n_prompts, n_each, n_ended;
    int64_t prompt_tokens, reused_tokens, reply_tokens;
} completions;

static void free_completions(void *state)
{
    completions *c = state;
    for (int64_t i = 0; c->choices && i < c->n_prompts * c->n_each; i++) {
        completion *one = &c->choices[i];
        ae_bytes_free(&one->text);
        json_decref(one->tokens);
        json_decref(one->logprobs);
        json_decref(one->top);
        json_decref(one->offsets);
    }
    ae_free(c->choices);
    ae_openai_free(&c->options);
}

/* ---- replies */

/* Whether `prompt` is a list of prompts, and not one of token ids. */
static bool is_list(const json_t *prompt)
{
    const json_t *first = json_array_get(prompt, 0);
    return json_is_string(first) || json_is_array(first);
}

/* The n-th of the request's prompts. */
static const json_t *prompt_of(const ae_talk *t, size_t n)
{
    const json_t *prompt = json_object_get(t->request, "prompt");
    return is_list(prompt) ? json_array_get(prompt, n) : prompt;
}

static size_t characters(const ae_bytes *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++) n += ((unsigned char)text->data[i] & 0xC0) != 0x80;
    return n;
}

static json_t *number_or_null(float logprob)
{
    return isnan(logprob) ? json_null() : json_real((double)logprob);
}

static json_t *token_text(const aerie_choice *c)
{
    return ae_text_json((ae_span){ c->bytes, c->len });
}

/* Whether a prompt's token is one that the tokenizer put before its text. `prompt` NULL: the prompt
 * was tokens. */
static bool is_added(const completion *one, const aerie_choice *c, const char *prompt)
{
    return !one->begun && prompt && strncmp(prompt, c->bytes, c->len) != 0;
}

/* Tokens as completions list them; those of the prompt are text of the choice too. */
static void add_tokens(completion *one, const aerie_event *e, int top, const char *prompt)
{
    for (size_t i = 0; i < e->n_tokens; i++) {
        const aerie_reply_token *t = &e->tokens[i];
        json_t *alternatives = json_object();
        json_array_append_new(one->offsets, json_integer((json_int_t)characters(&one->text)));
        json_array_append_new(one->tokens, token_text(&t->token));
        json_array_append_new(one->logprobs, number_or_null(t->token.logprob));
        for (size_t k = 0; k < t->n_top; k++) {
            json_t *name = token_text(&t->top[k]);
            json_object_set_new(alternatives, json_string_value(name),
                                json_real((double)t->top[k].logprob));
            json_decref(name);
        }
        bool none = isnan(t->token.logprob) || top == 0;
        json_array_append_new(one->top, none ? json_null() : json_incref(alternatives));
        json_decref(alternatives);
        if (e->kind == AERIE_EVENT_PROMPT && !is_added(one, &t->token, prompt))
            ae_bytes_add(&one->text, t->token.bytes, t->token.len);
        one->begun = true;
    }
}

static json_t *choice_json(const completions *c, int64_t i, ae_span text, const char *finish)
{
    const completion *one = &c->choices[i];
    json_t *logprobs = !one->tokens ? json_null()
                                    : json_pack("{s:O, s:O, s:O, s:O}", "tokens", one->tokens,
                                                "token_logprobs", one->logprobs, "top_logprobs",
                                                one->top, "text_offset", one->offsets);
    return json_pack("{s:I, s:o, s:o, s:o}", "index", (json_int_t)i, "text", ae_text_json(text),
                     "logprobs", logprobs, "finish_reason",
                     finish ? json_string(finish) : json_null());
}

static json_t *envelope(const ae_talk *t, json_t *choices)
{
    const completions *c = t->state;
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", c->id, "object", "text_completion",
                     "created", (json_int_t)c->created, "model", t->model, "system_fingerprint",
                     "aerie-" AERIE_VERSION, "choices", choices);
}

static void forget_tokens(completion *one)
{
    json_array_clear(one->tokens);
    json_array_clear(one->logprobs);
    json_array_clear(one->top);
    json_array_clear(one->offsets);
}

static void send_chunk(ae_talk *t, int64_t i, ae_span text, const char *finish)
{
    completions *c = t->state;
    ae_stream_send(t->x, AE_EVENTS, NULL,
                   envelope(t, json_pack("[o]", choice_json(c, i, text, finish))));
    if (c->choices[i].tokens) forget_tokens(&c->choices[i]);
}

static void on_text(ae_talk *t, size_t n, const aerie_event *e)
{
    completions *c = t->state;
    int64_t i = (int64_t)n * c->n_each + e->reply;
    completion *one = &c->choices[i];
    if (one->tokens) add_tokens(one, e, c->top, NULL);
    ae_bytes_add(&one->text, e->text, e->len);
    if (t->stream && (e->len || json_array_size(one->tokens)))
        send_chunk(t, i, (ae_span){ e->text, e->len }, NULL);
}

/* The prompt's own tokens, for each of its replies. */
static void on_prompt(ae_talk *t, size_t n, const aerie_event *e)
{
    completions *c = t->state;
    const char *text = json_string_value(prompt_of(t, n));
    for (int64_t k = 0; k < c->n_each && c->echo; k++) {
        completion *one = &c->choices[(int64_t)n * c->n_each + k];
        size_t before = one->text.len;
        if (one->tokens) add_tokens(one, e, c->top, text);
        if (t->stream)
            send_chunk(t, (int64_t)n * c->n_each + k,
                       (ae_span){ one->text.data + before, one->text.len - before }, NULL);
    }
}

static void on_finished(ae_talk *t, size_t n, const aerie_event *e)
{
    completions *c = t->state;
    int64_t i = (int64_t)n * c->n_each + e->reply;
    c->choices[i].why = e->why;
    if (t->stream) send_chunk(t, i, (ae_span){ "", 0 }, ae_openai_finish(e->why));
}

static void finish(ae_talk *t)
{
    const completions *c = t->state;
    ae_exchange *x = t->x;
    json_t *usage = ae_openai_usage(c->prompt_tokens, c->reused_tokens, c->reply_tokens);
    json_t *choices = json_array();
    if (!t->stream) {
        for (int64_t i = 0; i < c->n_prompts * c->n_each; i++)
            json_array_append_new(
                choices, choice_json(c, i, ae_span_of(&c->choices[i].text),
                                     c->no_reply ? "length" : ae_openai_finish(c->choices[i].why)));
        json_t *whole = envelope(t, choices);
        json_object_set_new(whole, "usage", usage);
        ae_talk_reply(t, whole);
        return;
    }
    if (c->options.include_usage) {
        json_t *last = envelope(t, choices);
        json_object_set(last, "usage", usage);
        ae_stream_send(x, AE_EVENTS, NULL, last);
    } else
        json_decref(choices);
    json_decref(usage);
    ae_stream_begin(x, AE_EVENTS);
    ae_stream_text(x, "data: [DONE]\n\n");
    ae_talk_end(t);
}

static void on_event(ae_talk *t, size_t n, const aerie_event *e)
{
    completions *c = t->state;
    switch (e->kind) {
    case AERIE_EVENT_PROMPT:
        on_prompt(t, n, e);
        break;
    case AERIE_EVENT_TEXT:
        on_text(t, n, e);
        break;
    case AERIE_EVENT_FINISHED:
        on_finished(t, n, e);
        break;
    case AERIE_EVENT_END:
        c->prompt_tokens += e->stats.prompt_tokens;
        c->reused_tokens += e->stats.reused_tokens;
        c->reply_tokens += e->stats.reply_tokens;
        if (++c->n_ended == c->n_prompts) finish(t);
        break;
    default:
        break;
    }
}

/* ---- asks */

/* Ids of a list of numbers; NULL when it is none. The caller's (ae_free). */
static int32_t *ids_of(const json_t *list)
{
    size_t n = json_array_size(list);
    int32_t *ids = n ? ae_alloc(n, sizeof *ids) : NULL;
    for (size_t i = 0; ids && i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX) {
            ae_free(ids);
            return NULL;
        }
        ids[i] = (int32_t)json_integer_value(v);
    }
    return ids;
}

/* A prompt that is echoed as a text, without log-probabilities, is its own text. */
static aerie_status echo_text(ae_talk *t, size_t n, const char *text, const int32_t *ids,
                              size_t n_ids, aerie_error *err)
{
    completions *c = t->state;
    char *decoded = NULL;
    size_t len = text ? strlen(text) : 0;
    const aerie_tokenizer *tokenizer = aerie_model_tokenizer(aerie_lease_model(t->lease));
    aerie_status status =
        text ? AERIE_OK : aerie_detokenize(tokenizer, ids, n_ids, &decoded, &len, err);
    for (int64_t k = 0; k < c->n_each && !status; k++)
        ae_bytes_add(&c->choices[(int64_t)n * c->n_each + k].text, text ? text : decoded, len);
    aerie_free(decoded);
    return status;
}

static aerie_status ask_one(ae_talk *t, size_t n, const json_t *prompt, aerie_error *err)
{
    completions *c = t->state;
    const char *text = json_string_value(prompt);
    int32_t *ids = text ? NULL : ids_of(prompt);
    aerie_ask ask = { .text = text, .ids = ids, .n_ids = ids ? json_array_size(prompt) : 0 };
    if (!text && !ids)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "prompt must be a text, a list of token ids, or a list of these");
    if (c->suffix && ids) {
        ae_free(ids);
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "with a suffix the prompt must be a text");
    }
    ask.suffix = c->suffix;
    ae_openai_fill(&ask, &c->options);
    if (c->no_reply) {
        ask.kind = AERIE_ASK_LOG_PROBS;
        ask.n_replies = 1;
    }
    ask.logprobs = c->wants_logprobs;
    ask.prompt_logprobs = c->echo && c->wants_logprobs;
    ask.top_logprobs = c->top;
    /* Who asks what a text is worth asks for one token more and leaves the last out, as
     * lm-evaluation-harness does: it must be there, though it be one that ends a reply. */
    ask.ignore_eog = ask.prompt_logprobs && c->options.max_tokens == 1;
    aerie_status status =
        c->echo && !c->wants_logprobs ? echo_text(t, n, text, ids, ask.n_ids, err) : AERIE_OK;
    if (!status) status = ae_talk_ask(t, &ask, NULL, err);
    ae_free(ids);
    return status;
}

static aerie_status open_choices(completions *c, aerie_error *err)
{
    size_t n = (size_t)(c->n_prompts * c->n_each);
    c->choices = ae_alloc(n, sizeof *c->choices);
    if (!c->choices) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the replies");
    for (size_t i = 0; c->wants_logprobs && i < n; i++) {
        c->choices[i].tokens = json_array();
        c->choices[i].logprobs = json_array();
        c->choices[i].top = json_array();
        c->choices[i].offsets = json_array();
    }
    return AERIE_OK;
}

static aerie_status read_request(ae_talk *t, aerie_error *err)
{
    completions *c = t->state;
    const json_t *request = t->request, *logprobs = json_object_get(request, "logprobs"),
                 *suffix = json_object_get(request, "suffix"),
                 *most = json_object_get(request, "max_tokens"),
                 *prompt = json_object_get(request, "prompt");
    aerie_status status = ae_openai_read(&c->options, request, t->stored, err);
    if (status) return status;
    if (json_is_string(suffix) && *json_string_value(suffix)) c->suffix = json_string_value(suffix);
    if (c->suffix && !aerie_model_inserts(aerie_lease_model(t->lease)))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "\"%s\" knows no suffix: it only goes on from a text", t->model);
    if (c->suffix && json_is_true(json_object_get(request, "echo")))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "echo and suffix: give one of them");
    if (json_integer_value(logprobs) < 0 || json_integer_value(logprobs) > 20)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "logprobs must be between 0 and 20");
    c->echo = json_is_true(json_object_get(request, "echo"));
    c->wants_logprobs = json_is_integer(logprobs) || json_is_true(logprobs);
    c->top = (int)json_integer_value(logprobs);
    c->no_reply = json_is_integer(most) && json_integer_value(most) == 0;
    if (!most || json_is_null(most)) c->options.max_tokens = 16; /* OpenAI's, of this route alone */
    c->n_prompts = is_list(prompt) ? (int64_t)json_array_size(prompt) : 1;
    c->n_each = c->no_reply ? 1 : c->options.n_replies;
    if (c->n_prompts > MOST_PROMPTS)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there are more than %d prompts", MOST_PROMPTS);
    return open_choices(c, err);
}

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    completions *c = t->state;
    ae_openai_id(c->id, "cmpl-", t->id);
    c->created = ae_clock_unix_seconds();
    aerie_status status = read_request(t, err);
    for (int64_t i = 0; i < c->n_prompts && !status; i++)
        status = ask_one(t, (size_t)i, prompt_of(t, (size_t)i), err);
    return status;
}

static const ae_talk_form form = { .face = AE_FACE_OPENAI,
                                   .state_bytes = sizeof(completions),
                                   .begin = begin,
                                   .event = on_event,
                                   .free = free_completions };

static void answer(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &form);
}

const ae_route ae_routes_openai_completions[] = {
    { "POST", "/v1/completions", answer, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_openai_completions = AE_COUNT(ae_routes_openai_completions);
