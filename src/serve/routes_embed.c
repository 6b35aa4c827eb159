/* routes_embed.c -- texts as vectors: OpenAI's /v1/embeddings, Ollama's /api/embed and, as it was
 * before, /api/embeddings. */
#include "serve/talk.h"

#include <math.h>
#include <string.h>

enum { MOST_INPUTS = 2048 };

typedef enum { OPENAI, OLLAMA, OLLAMA_OLD } embed_route;

typedef struct {
    embed_route route;
    bool base64;
    int64_t dimensions; /* 0: all */
    float **vectors;    /* [n], owned */
    size_t *sizes;
    size_t n, n_ended;
    int64_t prompt_tokens;
    bool may_cut;      /* what the context does not hold is cut, as Ollama has it */
    json_t *truncated; /* numbers of the inputs that were */
} embedding;

static void free_embedding(void *state)
{
    embedding *e = state;
    for (size_t i = 0; e->vectors && i < e->n; i++) ae_free(e->vectors[i]);
    ae_free(e->vectors);
    ae_free(e->sizes);
    json_decref(e->truncated);
}

/* ---- replies */

/* The first `dimensions` numbers, and the length of 1 again. */
static void cut(embedding *e, size_t i)
{
    double sum = 0;
    if (e->dimensions <= 0 || (size_t)e->dimensions >= e->sizes[i]) return;
    e->sizes[i] = (size_t)e->dimensions;
    for (size_t k = 0; k < e->sizes[i]; k++) sum += (double)e->vectors[i][k] * e->vectors[i][k];
    for (size_t k = 0; k < e->sizes[i] && sum > 0; k++)
        e->vectors[i][k] = (float)(e->vectors[i][k] / sqrt(sum));
}

static json_t *numbers_json(const embedding *e, size_t i)
{
    json_t *list = json_array();
    for (size_t k = 0; k < e->sizes[i]; k++)
        json_array_append_new(list, json_real((double)e->vectors[i][k]));
    return list;
}

/* Little-endian floats, as OpenAI's clients take them by default. */
static json_t *base64_json(const embedding *e, size_t i)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 4 * e->sizes[i];
    ae_bytes raw = { 0 }, out = { 0 };
    for (size_t k = 0; k < e->sizes[i]; k++) {
        uint32_t bits;
        memcpy(&bits, &e->vectors[i][k], 4);
        for (int b = 0; b < 4; b++) ae_bytes_add_char(&raw, (char)(bits >> (8 * b) & 0xFF));
    }
    for (size_t k = 0; k < n && !raw.failed; k += 3) {
        uint32_t three = 0;
        for (size_t b = 0; b < 3; b++)
            three = three << 8 | (k + b < n ? (unsigned char)raw.data[k + b] : 0);
        for (size_t b = 0; b < 4; b++)
            ae_bytes_add_char(&out, k + b > n ? '=' : letters[three >> (18 - 6 * b) & 63]);
    }
    json_t *text = json_stringn(out.len ? out.data : "", out.len);
    ae_bytes_free(&raw);
    ae_bytes_free(&out);
    return text;
}

static json_t *openai_json(const ae_talk *t)
{
    const embedding *e = t->state;
    json_t *data = json_array();
    for (size_t i = 0; i < e->n; i++)
        json_array_append_new(data, json_pack("{s:s, s:I, s:o}", "object", "embedding", "index",
                                              (json_int_t)i, "embedding",
                                              e->base64 ? base64_json(e, i) : numbers_json(e, i)));
    return json_pack("{s:s, s:o, s:s, s:{s:I, s:I}}", "object", "list", "data", data, "model",
                     t->model, "usage", "prompt_tokens", (json_int_t)e->prompt_tokens,
                     "total_tokens", (json_int_t)e->prompt_tokens);
}

static json_t *vectors_json(const ae_talk *t)
{
    const embedding *e = t->state;
    json_t *all = json_array();
    for (size_t i = 0; i < e->n; i++) json_array_append_new(all, numbers_json(e, i));
    double total = ae_clock_seconds() - t->began, load = aerie_lease_load_seconds(t->lease);
    return json_pack("{s:s, s:o, s:I, s:I, s:I}", "model", t->model, "embeddings", all,
                     "total_duration", (json_int_t)(total * 1e9), "load_duration",
                     (json_int_t)(load * 1e9) + 1, "prompt_eval_count",
                     (json_int_t)e->prompt_tokens);
}

static json_t *ollama_json(const ae_talk *t)
{
    const embedding *e = t->state;
    json_t *o = e->route == OLLAMA
                    ? vectors_json(t)
                    : json_pack("{s:o}", "embedding", e->n ? numbers_json(e, 0) : json_array());
    /* Never silently. */
    if (json_array_size(e->truncated)) json_object_set(o, "truncated", e->truncated);
    return o;
}

static void finish(ae_talk *t)
{
    const embedding *e = t->state;
    ae_talk_reply(t, e->route == OPENAI ? openai_json(t) : ollama_json(t));
}

static bool keep(embedding *e, size_t i, const aerie_event *event)
{
    float *copy = ae_alloc(event->n_numbers, sizeof *copy);
    if (!copy || e->vectors[i]) {
        ae_free(copy);
        return false;
    }
    memcpy(copy, event->numbers, event->n_numbers * sizeof *copy);
    e->vectors[i] = copy;
    e->sizes[i] = event->n_numbers;
    for (size_t k = 0; k < e->sizes[i]; k++)
        if (!isfinite(copy[k])) return false;
    cut(e, i);
    return true;
}

static void on_event(ae_talk *t, size_t n, const aerie_event *event)
{
    embedding *e = t->state;
    if (event->kind == AERIE_EVENT_NUMBERS && !keep(e, n, event))
        ae_talk_fail(t, 500, "the model made no vector of finite numbers of the text");
    else if (event->kind == AERIE_EVENT_END) {
        e->prompt_tokens += event->stats.prompt_tokens;
        if (++e->n_ended == e->n) finish(t);
    }
}

/* ---- asks */

/* The same with the tokens of it that the context holds. */
static aerie_status ask_beginning(ae_talk *t, aerie_ask *ask, int64_t context, aerie_error *err)
{
    const aerie_tokenizer *tokenizer = aerie_model_tokenizer(aerie_lease_model(t->lease));
    int32_t *ids = NULL;
    aerie_status status = AERIE_OK;
    if (ask->text) {
        status =
            aerie_tokenize(tokenizer, ask->text, strlen(ask->text), NULL, &ids, &ask->n_ids, err);
        ask->text = NULL;
        ask->ids = ids;
    }
    if (ask->n_ids > (size_t)context) ask->n_ids = (size_t)context;
    if (!status) status = ae_talk_ask(t, ask, NULL, err);
    aerie_free(ids);
    return status;
}

static aerie_status ask_whole_or_cut(ae_talk *t, size_t number, aerie_ask *ask, aerie_error *err)
{
    const embedding *e = t->state;
    aerie_error why = { 0 };
    aerie_asked asked = { 0 };
    aerie_status status = ae_talk_ask(t, ask, &asked, &why);
    if (status == AERIE_TOO_LONG && e->may_cut) {
        json_array_append_new(e->truncated, json_integer((json_int_t)number));
        return ask_beginning(t, ask, asked.context, err);
    }
    if (status == AERIE_TOO_LONG)
        return aerie_fail(err, status, "the input length exceeds the context length (%lld of %lld)",
                          (long long)asked.prompt_tokens, (long long)asked.context);
    return status ? aerie_fail(err, status, "%s", why.message) : AERIE_OK;
}

static aerie_status ask_one(ae_talk *t, size_t number, const json_t *input, aerie_error *err)
{
    const embedding *e = t->state;
    const char *text = json_string_value(input);
    size_t n = json_array_size(input);
    int32_t *ids = text || n == 0 ? NULL : ae_alloc(n, sizeof *ids);
    aerie_status status = AERIE_OK;
    for (size_t i = 0; ids && i < n; i++) {
        const json_t *v = json_array_get(input, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            status = AERIE_BAD_ARGUMENT;
        else
            ids[i] = (int32_t)json_integer_value(v);
    }
    if (status || (!text && !ids))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "invalid input type");
    aerie_ask ask = { .kind = AERIE_ASK_EMBEDDING,
                      .text = text,
                      .ids = ids,
                      .n_ids = ids ? n : 0,
                      .not_normalised = e->route == OLLAMA_OLD };
    if (!status) status = ask_whole_or_cut(t, number, &ask, err);
    ae_free(ids);
    return status;
}

/* A list of inputs, and not one of token ids. */
static bool is_list(const json_t *input)
{
    return json_is_array(input) && !json_is_integer(json_array_get(input, 0));
}

/* An empty input loads the model and makes no vector. */
static bool is_something(const json_t *input)
{
    const char *text = json_string_value(input);
    return input && !json_is_null(input) && !(text && !*text);
}

/* Ollama's routes load the model by saying nothing; OpenAI's has an error for it. */
static aerie_status check_openai(const json_t *request, const json_t *input, aerie_error *err)
{
    const json_t *format = json_object_get(request, "encoding_format");
    const char *word = json_string_value(format);
    if (!input || json_is_null(input) || (json_is_array(input) && !json_array_size(input)))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "input is required: a text, or a list of them");
    if (!format || json_is_null(format) ||
        (word && (!strcmp(word, "float") || !strcmp(word, "base64"))))
        return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "encoding_format must be float or base64");
}

static aerie_status begin(ae_talk *t, embed_route route, aerie_error *err)
{
    embedding *e = t->state;
    e->route = route;
    const json_t *input = json_object_get(t->request, route == OLLAMA_OLD ? "prompt" : "input");
    const char *form = json_string_value(json_object_get(t->request, "encoding_format"));
    aerie_status status = route == OPENAI ? check_openai(t->request, input, err) : AERIE_OK;
    if (status) return status;
    e->base64 = form && !strcmp(form, "base64");
    e->dimensions = json_integer_value(json_object_get(t->request, "dimensions"));
    e->n = is_list(input) ? json_array_size(input) : is_something(input);
    if (e->n > MOST_INPUTS)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there are more than %d inputs", MOST_INPUTS);
    e->may_cut = route != OPENAI && !json_is_false(json_object_get(t->request, "truncate"));
    e->truncated = json_array();
    e->vectors = ae_alloc(e->n, sizeof *e->vectors);
    e->sizes = ae_alloc(e->n, sizeof *e->sizes);
    if (!e->vectors || !e->sizes)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the vectors");
    for (size_t i = 0; i < e->n && !status; i++)
        status = ask_one(t, i, is_list(input) ? json_array_get(input, i) : input, err);
    return status;
}

static aerie_status begin_openai(ae_talk *t, aerie_error *err)
{
    return begin(t, OPENAI, err);
}

static aerie_status begin_ollama(ae_talk *t, aerie_error *err)
{
    return begin(t, OLLAMA, err);
}

static aerie_status begin_old(ae_talk *t, aerie_error *err)
{
    return begin(t, OLLAMA_OLD, err);
}

/* The three differ in their faces and in begin(). */
#define FORM(of, begins)                                                                           \
    {                                                                                              \
        .face = of, .state_bytes = sizeof(embedding), .begin = begins, .event = on_event,          \
        .finish = finish, .free = free_embedding                                                   \
    }
static const ae_talk_form openai_form = FORM(AE_FACE_OPENAI, begin_openai);
static const ae_talk_form ollama_form = FORM(AE_FACE_OLLAMA, begin_ollama);
static const ae_talk_form old_form = FORM(AE_FACE_OLLAMA, begin_old);

static void embed_openai(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &openai_form);
}

static void embed_ollama(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &ollama_form);
}

static void embed_old(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &old_form);
}

const ae_route ae_routes_embed[] = {
    { "POST", "/v1/embeddings", embed_openai, AE_FACE_OPENAI, false, NULL },
    { "POST", "/api/embed", embed_ollama, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/embeddings", embed_old, AE_FACE_OLLAMA, false, NULL },
};
const size_t ae_n_routes_embed = AE_COUNT(ae_routes_embed);
