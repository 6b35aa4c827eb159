/* routes_tokens.c -- texts as tokens and back, and conversations as prompts: llama-server's
 * /tokenize, /detokenize and /apply-template. */
#include "serve/openai_chat.h"

#include <stdlib.h>

static const aerie_tokenizer *tokenizer_of(const ae_talk *t)
{
    return aerie_model_tokenizer(aerie_lease_model(t->lease));
}

/* What templates and token lists are of a model; nothing is computed with it. */
static void on_event(ae_talk *t, size_t n, const aerie_event *event)
{
    (void)t, (void)n, (void)event;
}

/* ---- /tokenize */

/* A token's own text; of a part of a character its bytes. */
static json_t *piece_json(const aerie_tokenizer *tokenizer, int32_t id)
{
    char *bytes = NULL;
    size_t len = 0;
    if (aerie_token_bytes(tokenizer, id, &bytes, &len, NULL)) return NULL;
    json_t *piece = json_stringn(bytes, len);
    if (!piece) {
        piece = json_array();
        for (size_t i = 0; i < len; i++)
            json_array_append_new(piece, json_integer((unsigned char)bytes[i]));
    }
    aerie_free(bytes);
    return json_pack("{s:i, s:o}", "id", (int)id, "piece", piece);
}

static void add_token(json_t *list, const aerie_tokenizer *tokenizer, int32_t id, bool with_pieces)
{
    json_array_append_new(list, with_pieces ? piece_json(tokenizer, id) : json_integer(id));
}

static bool flag(const json_t *request, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(request, key);
    return v && !json_is_null(v) ? json_is_true(v) : otherwise;
}

/* A text; a beginning-of-sequence token before the first alone. */
static aerie_status add_text(json_t *list, const ae_talk *t, const json_t *text, aerie_error *err)
{
    const aerie_tokenize_options how = { .no_bos = json_array_size(list) > 0 ||
                                                   !flag(t->request, "add_special", false),
                                         .no_special = !flag(t->request, "parse_special", true) };
    int32_t *ids = NULL;
    size_t n = 0;
    aerie_status status = aerie_tokenize(tokenizer_of(t), json_string_value(text),
                                         json_string_length(text), &how, &ids, &n, err);
    for (size_t i = 0; i < n && !status; i++)
        add_token(list, tokenizer_of(t), ids[i], flag(t->request, "with_pieces", false));
    aerie_free(ids);
    return status;
}

static aerie_status read_id(const ae_talk *t, const json_t *v, int32_t *id, aerie_error *err)
{
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 0 || n >= aerie_tokenizer_size(tokenizer_of(t)))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a token is a whole number from 0 to %d",
                          aerie_tokenizer_size(tokenizer_of(t)) - 1);
    *id = (int32_t)n;
    return AERIE_OK;
}

/* A text, or a list of texts and tokens. */
static aerie_status add_content(json_t *list, const ae_talk *t, const json_t *content,
                                aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t i;
    json_t *one;
    if (json_is_string(content)) return add_text(list, t, content, err);
    if (!json_is_array(content))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "content must be a text, or a list of texts and tokens");
    json_array_foreach(content, i, one)
    {
        int32_t id;
        if (status) break;
        if (json_is_string(one))
            status = add_text(list, t, one, err);
        else if (!(status = read_id(t, one, &id, err)))
            add_token(list, tokenizer_of(t), id, flag(t->request, "with_pieces", false));
    }
    return status;
}

static aerie_status tokenize(ae_talk *t, aerie_error *err)
{
    json_t *list = json_array();
    aerie_status status = add_content(list, t, json_object_get(t->request, "content"), err);
    if (!status) ae_talk_reply(t, json_pack("{s:O}", "tokens", list));
    json_decref(list);
    return status;
}

/* ---- /detokenize */

static aerie_status detokenize(ae_talk *t, aerie_error *err)
{
    const json_t *tokens = json_object_get(t->request, "tokens");
    size_t n = json_array_size(tokens), len = 0;
    int32_t *ids = ae_alloc(n + 1, sizeof *ids);
    char *text = NULL;
    aerie_status status =
        ids ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu tokens", n);
    if (!json_is_array(tokens))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "tokens must be a list of tokens");
    for (size_t i = 0; i < n && !status; i++)
        status = read_id(t, json_array_get(tokens, i), &ids[i], err);
    if (!status) status = aerie_detokenize_special(tokenizer_of(t), ids, n, &text, &len, err);
    if (!status)
        ae_talk_reply(t, json_pack("{s:o}", "content", ae_text_json((ae_span){ text, len })));
    aerie_free(text);
    ae_free(ids);
    return status;
}

/* ---- /apply-template */

static aerie_status apply_template(ae_talk *t, aerie_error *err)
{
    aerie_ask ask = { .chat_template = t->stored->chat_template,
                      .no_generation_prompt = !flag(t->request, "add_generation_prompt", true) };
    ae_tools tools = { 0 };
    ae_thinking thinking = { 0 };
    ae_chat_prompt prompt = { 0 };
    char *text = NULL;
    size_t len = 0;
    json_t *messages = ae_openai_messages(t, t->request, err);
    aerie_status status =
        messages ? ae_tools_read(&tools, t->request, err) : (aerie_status)AERIE_BAD_ARGUMENT;
    if (!status) status = ae_thinking_of_openai(&thinking, t->request, err);
    if (!status) status = ae_chat_prompt_write(&prompt, t, messages, &tools, &thinking, &ask, err);
    if (!status) status = aerie_engine_render(aerie_lease_engine(t->lease), &ask, &text, &len, err);
    if (!status)
        ae_talk_reply(t, json_pack("{s:o}", "prompt", ae_text_json((ae_span){ text, len })));
    aerie_free(text);
    ae_chat_prompt_free(&prompt);
    ae_tools_free(&tools);
    json_decref(messages);
    return status;
}

static const ae_talk_form
    tokenize_form = { .face = AE_FACE_OPENAI, .begin = tokenize, .event = on_event },
    detokenize_form = { .face = AE_FACE_OPENAI, .begin = detokenize, .event = on_event },
    template_form = { .face = AE_FACE_OPENAI, .begin = apply_template, .event = on_event };

static void answer_tokenize(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &tokenize_form);
}

static void answer_detokenize(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &detokenize_form);
}

static void answer_template(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &template_form);
}

const ae_route ae_routes_tokens[] = {
    { "POST", "/tokenize", answer_tokenize, AE_FACE_OPENAI, false, NULL },
    { "POST", "/detokenize", answer_detokenize, AE_FACE_OPENAI, false, NULL },
    { "POST", "/apply-template", answer_template, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_tokens = AE_COUNT(ae_routes_tokens);
