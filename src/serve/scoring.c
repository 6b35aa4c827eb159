/* scoring.c -- requests for scores, read. */
#include "serve/scoring.h"

void ae_scoring_free(ae_scoring *s)
{
    json_decref(s->chats);
    json_decref(s->documents);
    *s = (ae_scoring){ 0 };
}

static aerie_status open_scoring(ae_scoring *out, bool ranks, aerie_error *err)
{
    *out = (ae_scoring){ .chats = json_array(), .documents = ranks ? json_array() : NULL };
    if (out->chats && (out->documents || !ranks)) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for what is to be scored");
}

/* Takes the chat over. */
static aerie_status add_chat(ae_scoring *out, json_t *chat, aerie_error *err)
{
    if (json_array_size(out->chats) == AE_SCORING_MOST) {
        json_decref(chat);
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there are more than %d texts to be scored",
                          AE_SCORING_MOST);
    }
    if (!json_array_append_new(out->chats, chat)) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for one more text");
}

/* ---- a conversation and replies to it */

static bool is_message(const json_t *m)
{
    return json_is_string(json_object_get(m, "role"));
}

/* Appends a response, whatever form it has; false: it has none. */
static bool add_response(json_t *chat, json_t *response)
{
    size_t i;
    json_t *m;
    if (json_is_string(response))
        return !json_array_append_new(
            chat, json_pack("{s:s, s:O}", "role", "assistant", "content", response));
    if (is_message(response)) return !json_array_append(chat, response);
    json_array_foreach(response, i, m)
    {
        if (!is_message(m) || json_array_append(chat, m)) return false;
    }
    return json_array_size(response) > 0;
}

static aerie_status read_responses(ae_scoring *out, json_t *messages, const json_t *responses,
                                   aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t i;
    json_t *response;
    if (!json_is_array(responses) || json_array_size(responses) == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "responses must be a list of replies");
    json_array_foreach(responses, i, response)
    {
        json_t *chat = json_copy(messages);
        if (status || (chat && !add_response(chat, response))) {
            json_decref(chat);
            if (status) break;
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "response %zu must be a text, a message, or a list of messages", i);
        }
        status = add_chat(out, chat, err);
    }
    return status;
}

static aerie_status read_messages(ae_scoring *out, const json_t *request, aerie_error *err)
{
    json_t *messages = json_object_get(request, "messages"), *m;
    const json_t *responses = json_object_get(request, "responses");
    size_t i;
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "messages must be a list with a message");
    json_array_foreach(messages, i, m)
    {
        if (!is_message(m))
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "message %zu has no role", i);
    }
    if (responses && !json_is_null(responses)) return read_responses(out, messages, responses, err);
    return add_chat(out, json_incref(messages), err);
}

/* ---- pairs of texts */

/* The i-th of a text or a list; a text stands for any. NULL: it is no text. */
static json_t *text_at(json_t *one_or_list, size_t i)
{
    json_t *v = json_is_array(one_or_list) ? json_array_get(one_or_list, i) : one_or_list;
    if (json_is_object(v)) v = json_object_get(v, "text");
    return json_is_string(v) ? v : NULL;
}

static aerie_status add_pair(ae_scoring *out, json_t *question, json_t *answer, aerie_error *err)
{
    if (!question || !answer)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "what is to be scored must be texts");
    return add_chat(out,
                    json_pack("[{s:s, s:O}, {s:s, s:O}]", "role", "user", "content", question,
                              "role", "assistant", "content", answer),
                    err);
}

static aerie_status read_pairs(ae_scoring *out, json_t *one, json_t *two, aerie_error *err)
{
    size_t n_one = json_is_array(one) ? json_array_size(one) : 1;
    size_t n = json_is_array(two) ? json_array_size(two) : 1;
    aerie_status status = AERIE_OK;
    bool one_for_all = n_one == 1 && n > 0;
    if (!one_for_all && (n_one != n || n == 0))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%zu texts with %zu others: give one with several, or as many of each",
                          n_one, n);
    for (size_t i = 0; i < n && !status; i++)
        status = add_pair(out, text_at(one, one_for_all ? 0 : i), text_at(two, i), err);
    return status;
}

aerie_status ae_scoring_read(ae_scoring *out, const json_t *request, aerie_error *err)
{
    aerie_status status = open_scoring(out, false, err);
    json_t *one = json_object_get(request, "text_1"), *two = json_object_get(request, "text_2");
    if (!one) one = json_object_get(request, "queries");
    if (!two) two = json_object_get(request, "documents");
    if (status) return status;
    if (json_object_get(request, "messages")) return read_messages(out, request, err);
    if (one && two) return read_pairs(out, one, two, err);
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "give messages with responses, or text_1 with text_2");
}

/* ---- rankings */

static aerie_status read_top(ae_scoring *out, const json_t *request, aerie_error *err)
{
    const json_t *top = json_object_get(request, "top_n");
    out->top_n = json_array_size(out->chats);
    out->returns_documents = json_is_true(json_object_get(request, "return_documents"));
    if (!top || json_is_null(top)) return AERIE_OK;
    if (!json_is_integer(top) || json_integer_value(top) < 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_n must be a whole number");
    /* 0 is vLLM's word for all. */
    if (json_integer_value(top) > 0 && (size_t)json_integer_value(top) < out->top_n)
        out->top_n = (size_t)json_integer_value(top);
    return AERIE_OK;
}

aerie_status ae_scoring_read_ranking(ae_scoring *out, const json_t *request, aerie_error *err)
{
    aerie_status status = open_scoring(out, true, err);
    json_t *query = json_object_get(request, "query"),
           *documents = json_object_get(request, "documents");
    if (status) return status;
    if (!json_is_string(query) || !json_is_array(documents) || json_array_size(documents) == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "give a query, a text, and documents, a list of texts");
    for (size_t i = 0; i < json_array_size(documents) && !status; i++) {
        json_t *text = text_at(documents, i);
        status = add_pair(out, query, text, err);
        if (!status) json_array_append(out->documents, text);
    }
    return status ? status : read_top(out, request, err);
}
