/* fuzz_requests.c -- reads bytes as requests of /v1/responses and /v1/messages, as chats with tools
 * and their grammar, as requests for scores and rankings, and for the adapters that they name. */
#include "serve/adapters.h"
#include "serve/messages.h"
#include "serve/responses.h"
#include "serve/scoring.h"
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

static void read_adapters(const json_t *request)
{
    static const ae_serve_adapter adapters[] = { { "a", "a.gguf" }, { "b", "b.gguf=0.5" } };
    const ae_serve_options o = { .adapters = adapters, .n_adapters = AE_COUNT(adapters) };
    const char *model = json_string_value(json_object_get(request, "model"));
    ae_wanted_adapter wanted[AE_ADAPTERS_MOST];
    aerie_error err = { 0 };
    size_t n;
    aerie_status status = ae_adapters_read(wanted, &n, &o, model ? model : "", request, &err);
    if ((status && !err.message[0]) || n > AE_ADAPTERS_MOST) __builtin_trap();
    for (size_t i = 0; i < n; i++)
        if (!wanted[i].adapter || !(wanted[i].scale > -2000)) __builtin_trap();
}

/* What is to be scored is conversations of messages; a failure is a sentence. */
static void read_scoring(const json_t *request, bool ranks)
{
    ae_scoring s;
    aerie_error err = { 0 };
    size_t i, k;
    json_t *chat, *m;
    aerie_status status =
        ranks ? ae_scoring_read_ranking(&s, request, &err) : ae_scoring_read(&s, request, &err);
    json_array_foreach(s.chats, i, chat)
    {
        json_array_foreach(chat, k, m)
        {
            if (!json_is_string(json_object_get(m, "role"))) __builtin_trap();
        }
        if (k == 0) __builtin_trap();
    }
    if (status ? !err.message[0] : i == 0 || i > AE_SCORING_MOST) __builtin_trap();
    if (!status && ranks && (s.top_n > i || json_array_size(s.documents) != i)) __builtin_trap();
    ae_scoring_free(&s);
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
    read_adapters(request);
    read_scoring(request, false);
    read_scoring(request, true);
    json_decref(request);
    return 0;
}
