/* ollama_context.c -- prompts as tokens, and on from them. */
#include "serve/ollama_context.h"

aerie_status ae_ollama_render(ae_talk *t, json_t *messages, const ae_thinking *thinking,
                              const char *chat_template, char **text, size_t *len, aerie_error *err)
{
    const ae_chat *c = t->state;
    aerie_ask ask = { .chat_template = chat_template };
    ae_chat_prompt prompt = { 0 };
    aerie_status status =
        ae_chat_prompt_write(&prompt, t, messages, &c->tools, thinking, &ask, err);
    if (!status) status = aerie_engine_render(aerie_lease_engine(t->lease), &ask, text, len, err);
    ae_chat_prompt_free(&prompt);
    return status;
}

aerie_status ae_ollama_context(json_t **out, const ae_talk *t, const json_t *before,
                               const char *prompt, size_t len, aerie_error *err)
{
    const aerie_tokenizer *tokenizer = aerie_model_tokenizer(aerie_lease_model(t->lease));
    const aerie_tokenize_options how = { .no_bos = json_array_size(before) > 0 };
    int32_t *ids = NULL;
    size_t n = 0;
    *out = json_array();
    if (before && json_array_extend(*out, (json_t *)(uintptr_t)before))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "context must be a list of tokens");
    aerie_status status = aerie_tokenize(tokenizer, prompt, len, &how, &ids, &n, err);
    for (size_t i = 0; i < n && !status; i++)
        if (json_array_append_new(*out, json_integer(ids[i])))
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for the context");
    aerie_free(ids);
    return status;
}

aerie_status ae_ollama_ask_context(ae_talk *t, const json_t *context, aerie_ask *ask,
                                   aerie_error *err)
{
    size_t n = json_array_size(context);
    int32_t *ids = ae_alloc(n, sizeof *ids);
    aerie_status status =
        ids ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu tokens", n);
    for (size_t i = 0; i < n && !status; i++) {
        json_int_t id = json_integer_value(json_array_get(context, i));
        if (!json_is_integer(json_array_get(context, i)) || id < 0 || id > INT32_MAX)
            status = aerie_fail(err, AERIE_BAD_ARGUMENT, "context must be a list of tokens");
        else
            ids[i] = (int32_t)id;
    }
    ask->ids = ids;
    ask->n_ids = n;
    if (!status) status = ae_talk_ask(t, ask, NULL, err);
    ask->ids = NULL;
    ae_free(ids);
    return status;
}

void ae_ollama_context_add(json_t *context, const aerie_event *e)
{
    for (size_t i = 0; i < e->n_tokens; i++)
        json_array_append_new(context, json_integer(e->tokens[i].token.id));
}
