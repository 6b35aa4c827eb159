/* engine_chat.c -- a conversation as the prompt of an ask: written by the template, and shortened
 * by whole messages where the context does not hold it and the asker allows that. */
#include "api/live.h"

#include <jansson.h>
#include <string.h>

enum { MOST_DEPTH = 128 }; /* of JSON, here and in templates */

typedef struct {
    const aerie_model *model;
    const aerie_ask *ask;
    aerie_asked *asked;
    ae_template *own; /* the ask's; NULL: none */
    const ae_template *chat;
    json_t *messages, *tools, *vars;
    size_t *cuts; /* messages of the user: what is left may begin there */
    size_t n_cuts;
} chat;

/* ---- reading ---- */

static bool too_deep(const char *text)
{
    int depth = 0;
    bool in_string = false;
    for (; *text; text++) {
        if (in_string && *text == '\\' && text[1])
            text++;
        else if (*text == '"')
            in_string = !in_string;
        else if (!in_string && (*text == '[' || *text == '{') && ++depth > MOST_DEPTH)
            return true;
        else if (!in_string && (*text == ']' || *text == '}'))
            depth--;
    }
    return false;
}

/* NULL text: nothing, which is fine. */
static aerie_status read_json(json_t **out, const char *text, const char *what, json_type type,
                              aerie_error *err)
{
    json_error_t where;
    *out = NULL;
    if (!text) return AERIE_OK;
    if (too_deep(text))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: nested more than %d deep", what,
                          MOST_DEPTH);
    json_t *value = json_loads(text, JSON_ALLOW_NUL, &where);
    if (!value)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: line %d: %s", what, where.line, where.text);
    if (json_typeof(value) == JSON_NULL && type != JSON_ARRAY) {
        json_decref(value);
        return AERIE_OK;
    }
    *out = value;
    if (json_typeof(value) == type) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: give a JSON %s", what,
                      type == JSON_ARRAY ? "list" : "object");
}

static const char *role_of(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    return role ? role : "";
}

static aerie_status check_messages(const chat *c, aerie_error *err)
{
    size_t n = json_array_size(c->messages);
    if (n == 0) return aerie_fail(err, AERIE_BAD_ARGUMENT, "there is no message to reply to");
    for (size_t i = 0; i < n; i++)
        if (role_of(json_array_get(c->messages, i))[0] == 0)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "message %zu has no role; give {\"role\", \"content\"}", i);
    return AERIE_OK;
}

static aerie_status read_chat(chat *c, aerie_error *err)
{
    const aerie_ask *ask = c->ask;
    aerie_status status = read_json(&c->messages, ask->messages, "messages", JSON_ARRAY, err);
    if (!status) status = check_messages(c, err);
    if (!status) status = read_json(&c->tools, ask->tools, "tools", JSON_ARRAY, err);
    if (!status)
        status = read_json(&c->vars, ask->template_vars, "template variables", JSON_OBJECT, err);
    if (!status && (ask->chat_template || !c->chat))
        status = ae_api_template(&c->own, c->model, ask->chat_template, err);
    if (c->own) c->chat = c->own;
    return status;
}

static void free_chat(chat *c)
{
    json_decref(c->messages);
    json_decref(c->tools);
    json_decref(c->vars);
    ae_template_free(c->own);
    ae_free(c->cuts);
}

/* ---- writing ---- */

static const json_t *last_of(const json_t *list)
{
    return json_array_get(list, json_array_size(list) - 1);
}

/* The last message's text, without the white space that templates trim. */
static ae_span final_text(const json_t *messages)
{
    const json_t *content = json_object_get(last_of(messages), "content");
    ae_span text = { json_string_value(content), json_string_length(content) };
    while (text.len > 0 && strchr(" \t\r\n", text.data[0])) text.data++, text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1])) text.len--;
    return text;
}

/* What follows the last message's text goes: the reply goes on from it. */
static aerie_status cut_after_final(ae_bytes *text, const json_t *messages, aerie_error *err)
{
    ae_span last = final_text(messages);
    for (size_t at = text->len; last.len > 0 && at >= last.len; at--) {
        if (memcmp(text->data + at - last.len, last.data, last.len) != 0) continue;
        text->len = at;
        text->data[at] = 0;
        return AERIE_OK;
    }
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "the last message has no text to go on from, or the template does not write "
                      "it as it stands");
}

static bool opens_thought(const ae_bytes *text)
{
    static const char mark[] = "<think>";
    size_t n = sizeof mark - 1, len = text->len;
    while (len > 0 && strchr(" \t\r\n", text->data[len - 1])) len--;
    return len >= n && !memcmp(text->data + len - n, mark, n);
}

/* Appends the prompt that these messages are. */
static aerie_status write_text(const chat *c, json_t *messages, ae_bytes *text, aerie_error *err)
{
    bool continues = c->ask->continue_final;
    ae_template_input in = { .messages = messages,
                             .tools = c->tools,
                             .extra = c->vars,
                             .add_generation_prompt = !c->ask->no_generation_prompt && !continues };
    aerie_status status = ae_api_render(text, c->model, c->chat, &in, err);
    return status || !continues ? status : cut_after_final(text, messages, err);
}

/* Appends its ids. */
static aerie_status encode(const chat *c, json_t *messages, ae_ids *ids, aerie_error *err)
{
    const aerie_model *m = c->model;
    ae_bytes text = { 0 };
    aerie_status status = write_text(c, messages, &text, err);
    c->asked->opens_thought = opens_thought(&text);
    if (!status)
        status = ae_api_encode(ids, ae_model_tokenizer(m->model), ae_span_of(&text),
                               AE_ENCODE_BOS | AE_ENCODE_SPECIAL, err);
    ae_bytes_free(&text);
    return status;
}

/* ---- shortening ---- */

static bool is_system(const json_t *message)
{
    const char *role = role_of(message);
    return strcmp(role, "system") == 0 || strcmp(role, "developer") == 0;
}

static aerie_status find_cuts(chat *c, aerie_error *err)
{
    size_t n = json_array_size(c->messages);
    c->cuts = ae_alloc(n, sizeof *c->cuts);
    if (!c->cuts) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu messages", n);
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(role_of(json_array_get(c->messages, i)), "user") != 0) continue;
        if (!first) c->cuts[c->n_cuts++] = i; /* at the first one next to nothing would go */
        first = false;
    }
    return AERIE_OK;
}

/* The messages from the k-th cut on, and the system's before it. */
static json_t *shortened(const chat *c, size_t k, int64_t *dropped)
{
    json_t *list = json_array();
    *dropped = 0;
    for (size_t i = 0; list && i < json_array_size(c->messages); i++) {
        json_t *message = json_array_get(c->messages, i);
        if (i < c->cuts[k] && !is_system(message))
            ++*dropped;
        else if (json_array_append(list, message)) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* Replaces ids by those of the messages from the k-th cut on. */
static aerie_status try_cut(const chat *c, size_t k, ae_ids *ids, int64_t *dropped,
                            aerie_error *err)
{
    json_t *list = shortened(c, k, dropped);
    ae_ids_clear(ids);
    aerie_status status = list ? encode(c, list, ids, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "no memory for messages");
    json_decref(list);
    return status;
}

/* The first cut that leaves at most `most` tokens; n_cuts: none does. More cut is never longer. */
static aerie_status first_fitting(const chat *c, int64_t most, ae_ids *ids, size_t *out,
                                  aerie_error *err)
{
    size_t low = 0, high = c->n_cuts;
    int64_t dropped;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        aerie_status status = try_cut(c, mid, ids, &dropped, err);
        if (status) return status;
        if ((int64_t)ids->len <= most)
            high = mid;
        else
            low = mid + 1;
    }
    *out = low;
    return AERIE_OK;
}

/* Once something has to go, a quarter of the context is made free: else every further turn would
 * drop something, and no prompt would begin like the one before it. */
static aerie_status shorten(chat *c, ae_ids *ids, int64_t context, int64_t *dropped,
                            aerie_error *err)
{
    size_t cut;
    aerie_status status = find_cuts(c, err);
    if (!status) status = first_fitting(c, context - context / 4, ids, &cut, err);
    if (!status && c->n_cuts > 0)
        status = try_cut(c, cut < c->n_cuts ? cut : c->n_cuts - 1, ids, dropped, err);
    return status;
}

aerie_status ae_live_chat(ae_ids *ids, const aerie_model *m, const ae_template *written_by,
                          const aerie_ask *ask, aerie_asked *asked, aerie_error *err)
{
    chat c = { .model = m, .ask = ask, .asked = asked, .chat = written_by };
    int64_t context = asked->context;
    aerie_status status = read_chat(&c, err);
    if (!status) status = encode(&c, c.messages, ids, err);
    if (!status && (int64_t)ids->len >= context && ask->too_long == AERIE_TOO_LONG_DROP_OLDEST)
        status = shorten(&c, ids, context, &asked->dropped_messages, err);
    free_chat(&c);
    return status;
}

aerie_status aerie_engine_render(aerie_engine *e, const aerie_ask *ask, char **text, size_t *len,
                                 aerie_error *err)
{
    chat c = { .model = e->model, .ask = ask, .chat = e->chat };
    ae_bytes out = { 0 };
    aerie_status status = ask->messages ? read_chat(&c, err)
                                        : aerie_fail(err, AERIE_BAD_ARGUMENT,
                                                     "there are no messages to write a prompt of");
    if (!status) status = write_text(&c, c.messages, &out, err);
    free_chat(&c);
    if (!status) return ae_api_give(&out, text, len, err);
    ae_bytes_free(&out);
    return status;
}
