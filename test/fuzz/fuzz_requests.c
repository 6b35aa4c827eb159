/* fuzz_requests.c -- reads bytes as requests of /v1/responses and /v1/messages, as chats with tools
 * and their grammar. */
#include "serve/messages.h"
#include "serve/responses.h"
#include "serve/tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A chat that came of a request has messages, each with a role. Takes it over. */
static void look(json_t *chat)
{
    json_t *m;
    size_t i;
    if (!chat) return;
    json_array_foreach(json_object_get(chat, "messages"), i, m)
    {
        if (!json_is_string(json_object_get(m, "role"))) __builtin_trap();
    }
    if (i == 0) __builtin_trap();
    json_decref(chat);
}

static void read_tools(const json_t *request)
{
    ae_tools tools;
    aerie_grammar *grammar = NULL;
    aerie_error err = { 0 };
    if (ae_tools_read(&tools, request, &err) || ae_tools_grammar(&grammar, &tools, &err)) {
        if (!err.message[0]) __builtin_trap();
    } else if (tools.must != (grammar != NULL))
        __builtin_trap();
    aerie_grammar_free(grammar);
    ae_tools_free(&tools);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aerie_error err = { 0 };
    bool goes_on;
    json_t *chat, *request = ae_json_of((ae_span){ (const char *)data, size }, &err);
    if (!json_is_object(request)) {
        json_decref(request);
        return 0;
    }
    read_tools(request);
    if (!ae_responses_as_chat(&chat, request, &err)) read_tools(chat);
    look(chat);
    if (!ae_messages_as_chat(&chat, &goes_on, request, true, &err)) read_tools(chat);
    look(chat);
    json_decref(request);
    return 0;
}
