/* traits.c -- what a chat template speaks of, by the words in it, as Ollama tells it too. */
#include "aerie/model.h"
#include "api/api.h"

#include <string.h>

static bool has(const char *text, const char *a, const char *b)
{
    return strstr(text, a) || strstr(text, b);
}

/* A template that raises exceptions of its own tells by name which roles it has a place for; others
 * write whatever role there is. */
static bool has_system(const char *text)
{
    if (strstr(text, "ystem role not supported")) return false;
    return !strstr(text, "raise_exception") || has(text, "system", ".System");
}

bool aerie_model_inserts(const aerie_model *m)
{
    const ae_tokenizer *t = ae_model_tokenizer(m->model);
    ae_fim fim;
    return t && ae_tokenizer_fim(t, &fim);
}

aerie_chat_traits aerie_chat_traits_of(const char *chat_template)
{
    const char *known = chat_template ? ae_template_known(chat_template) : NULL;
    const char *text = known ? known : chat_template;
    if (!text) return (aerie_chat_traits){ .system = true };
    return (aerie_chat_traits){
        .tools = has(text, "tools", ".Tools"),
        .system = has_system(text),
        .thinking = has(text, "enable_thinking", ".Thinking") || has(text, "<think>", "[THINK]") ||
                    strstr(text, "reasoning_content"),
    };
}
