/* text.c -- the public face of tokens and templates. */
#include "api/api.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

void aerie_free(void *memory)
{
    ae_free(memory);
}

aerie_status ae_api_give(ae_bytes *from, char **text, size_t *len, aerie_error *err)
{
    ae_bytes_add(from, "", 0);
    if (!from->data) ae_bytes_reserve(from, 1);
    aerie_status status = ae_bytes_status(from, err);
    if (status) {
        ae_bytes_free(from);
        return status;
    }
    from->data[from->len] = '\0';
    *text = from->data;
    if (len) *len = from->len;
    *from = (ae_bytes){ 0 };
    return AERIE_OK;
}

static int add_json(const char *text, size_t len, void *user)
{
    ae_bytes_add(user, text, len);
    return 0;
}

static aerie_status give_json(const json_t *value, size_t flags, char **text, aerie_error *err)
{
    ae_bytes out = { 0 };
    if (!value || json_dump_callback(value, add_json, &out, flags | JSON_ENCODE_ANY)) {
        ae_bytes_free(&out);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a JSON text");
    }
    return ae_api_give(&out, text, NULL, err);
}

aerie_status ae_api_give_json(const json_t *value, char **text, aerie_error *err)
{
    return give_json(value, JSON_REAL_PRECISION(9), text, err);
}

aerie_status ae_api_give_exact_json(const json_t *value, char **text, aerie_error *err)
{
    return give_json(value, 0, text, err);
}

aerie_status aerie_tokenizer_open(aerie_tokenizer **out, const char *path, aerie_error *err)
{
    *out = NULL;
    aerie_tokenizer *t = ae_alloc(1, sizeof *t);
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a tokenizer");
    aerie_status status = ae_model_open_tokenizer(&t->owned, path, err);
    t->tokenizer = t->owned;
    if (status)
        aerie_tokenizer_close(t);
    else
        *out = t;
    return status;
}

void aerie_tokenizer_close(aerie_tokenizer *t)
{
    if (!t) return;
    ae_tokenizer_close(t->owned);
    ae_free(t);
}

static bool begins_with(ae_span text, ae_span head)
{
    return head.len > 0 && text.len >= head.len && !memcmp(text.data, head.data, head.len);
}

aerie_status ae_api_encode(ae_ids *ids, const ae_tokenizer *t, ae_span text, unsigned flags,
                           aerie_error *err)
{
    int32_t bos = ae_tokenizer_vocab(t)->bos;
    if (flags & AE_ENCODE_SPECIAL && bos >= 0 && begins_with(text, ae_tokenizer_piece(t, bos)))
        flags &= ~(unsigned)AE_ENCODE_BOS;
    aerie_status status = ae_tokenizer_encode(t, text, flags, ids, NULL, err);
    return status ? status : ae_ids_status(ids, err);
}

aerie_status aerie_tokenize(const aerie_tokenizer *t, const char *text, size_t len,
                            const aerie_tokenize_options *options, int32_t **ids, size_t *n,
                            aerie_error *err)
{
    ae_ids found = { 0 };
    unsigned flags = AE_ENCODE_BOS | AE_ENCODE_SPECIAL;
    if (options && options->no_bos) flags &= ~(unsigned)AE_ENCODE_BOS;
    if (options && options->no_special) flags &= ~(unsigned)AE_ENCODE_SPECIAL;
    aerie_status status = ae_api_encode(&found, t->tokenizer, (ae_span){ text, len }, flags, err);
    if (status) {
        ae_ids_free(&found);
        return status;
    }
    *ids = found.data;
    *n = found.len;
    return AERIE_OK;
}

static aerie_status detokenize(const aerie_tokenizer *t, const int32_t *ids, size_t n, bool special,
                               char **text, size_t *len, aerie_error *err)
{
    ae_bytes out = { 0 };
    aerie_status status = ae_tokenizer_decode(t->tokenizer, ids, n, special, &out, err);
    if (status) {
        ae_bytes_free(&out);
        return status;
    }
    return ae_api_give(&out, text, len, err);
}

aerie_status aerie_detokenize(const aerie_tokenizer *t, const int32_t *ids, size_t n, char **text,
                              size_t *len, aerie_error *err)
{
    return detokenize(t, ids, n, false, text, len, err);
}

aerie_status aerie_detokenize_special(const aerie_tokenizer *t, const int32_t *ids, size_t n,
                                      char **text, size_t *len, aerie_error *err)
{
    return detokenize(t, ids, n, true, text, len, err);
}

const char *aerie_token_piece(const aerie_tokenizer *t, int32_t id, size_t *len)
{
    ae_span piece = ae_tokenizer_piece(t->tokenizer, id);
    *len = piece.len;
    return piece.data;
}

aerie_status aerie_token_bytes(const aerie_tokenizer *t, int32_t id, char **bytes, size_t *len,
                               aerie_error *err)
{
    ae_bytes out = { 0 };
    ae_tokenizer_token_bytes(t->tokenizer, id, true, &out);
    return ae_api_give(&out, bytes, len, err);
}

int32_t aerie_tokenizer_size(const aerie_tokenizer *t)
{
    return ae_tokenizer_size(t->tokenizer);
}

/* ---- templates ---- */

const char *aerie_template_name(size_t i)
{
    return ae_template_known_name(i);
}

/* What a render request says, over what the model at `path` brings. */
typedef struct {
    json_t *request;
    ae_chat_format format; /* of the model; empty without one */
} render_call;

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* "2024-07-26T12:00:00", taken as UTC; 0 when absent or not a time. */
static int64_t time_of(const json_t *request)
{
    int year, month, day, hour = 0, minute = 0, second = 0;
    const char *text = text_of(request, "now");
    if (!text ||
        sscanf(text, "%d-%d-%d%*1[T ]%d:%d:%d", &year, &month, &day, &hour, &minute, &second) < 3)
        return 0;
    struct tm tm = { .tm_year = year - 1900,
                     .tm_mon = month - 1,
                     .tm_mday = day,
                     .tm_hour = hour,
                     .tm_min = minute,
                     .tm_sec = second };
    return (int64_t)timegm(&tm);
}

static const char *source_of(const render_call *call)
{
    const char *given = text_of(call->request, "template");
    const char *known = given ? ae_template_known(given) : NULL;
    if (known) return known;
    return given ? given : call->format.source;
}

static aerie_status check_request(const render_call *call, aerie_error *err)
{
    if (!json_is_array(json_object_get(call->request, "messages")))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "there is no \"messages\" list of {\"role\", \"content\"} to render");
    if (!source_of(call))
        return aerie_fail(err, AERIE_NOT_FOUND,
                          "there is no chat template; give a model that has one, or --template");
    return AERIE_OK;
}

static aerie_status render(const render_call *call, ae_bytes *out, aerie_error *err)
{
    const json_t *request = call->request;
    ae_template *t = NULL;
    aerie_status status = check_request(call, err);
    if (!status) status = ae_template_parse(&t, ae_span_text(source_of(call)), err);
    if (status) return status;

    const json_t *generation = json_object_get(request, "add_generation_prompt");
    const char *bos = text_of(request, "bos_token"), *eos = text_of(request, "eos_token");
    json_t *tools = json_object_get(request, "tools");
    ae_template_input in = {
        .messages = json_object_get(request, "messages"),
        .tools = json_is_null(tools) ? NULL : tools,
        .extra = json_object_get(request, "extra"),
        .bos_token = bos ? bos : call->format.bos,
        .eos_token = eos ? eos : call->format.eos,
        .add_generation_prompt = json_is_true(generation),
        .generation_unsaid = !generation,
        .now_unix = time_of(request),
    };
    status = ae_template_render(t, &in, out, err);
    ae_template_free(t);
    return status;
}

aerie_status aerie_render(const char *path, const char *request, char **text, size_t *len,
                          aerie_error *err)
{
    aerie_status status = AERIE_OK;
    json_error_t where;
    ae_bytes out = { 0 };
    render_call call = { .request =
                             json_loads(request, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where) };

    if (!json_is_object(call.request))
        status =
            aerie_fail(err, AERIE_BAD_ARGUMENT, "the request is not a JSON object: line %d: %s",
                       where.line, call.request ? "another kind of value" : where.text);
    if (!status && path) status = ae_chat_format_open(&call.format, path, err);
    if (!status) status = render(&call, &out, err);
    if (!status) status = ae_api_give(&out, text, len, err);
    ae_bytes_free(&out);
    ae_chat_format_close(&call.format);
    json_decref(call.request);
    return status;
}
