/* thinking.c -- what requests say of thoughts. */
#include "serve/thinking.h"

#include <stdlib.h>
#include <string.h>

aerie_status ae_thinking_of_ollama(ae_thinking *out, const json_t *request, aerie_error *err)
{
    static const char *const levels[] = { "low", "medium", "high", "max" };
    const json_t *think = json_object_get(request, "think");
    const char *level = json_string_value(think);
    *out = (ae_thinking){ 0 };
    if (!think || json_is_null(think)) return AERIE_OK;
    if (json_is_boolean(think)) {
        out->wish = json_is_true(think) ? AERIE_THINK_YES : AERIE_THINK_NO;
        return AERIE_OK;
    }
    for (size_t i = 0; level && i < AE_COUNT(levels); i++)
        if (!strcmp(level, levels[i])) {
            *out = (ae_thinking){ .wish = AERIE_THINK_YES, .level = level };
            return AERIE_OK;
        }
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "invalid think value: must be true, false, \"low\", \"medium\", \"high\" or "
                      "\"max\"");
}

aerie_status ae_thinking_of_openai(ae_thinking *out, const json_t *request, aerie_error *err)
{
    const json_t *effort = json_object_get(request, "reasoning_effort"),
                 *own = json_object_get(request, "chat_template_kwargs");
    const char *level = json_string_value(effort);
    *out = (ae_thinking){ 0 };
    if (effort && !json_is_null(effort) && !level)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "reasoning_effort must be a text");
    if (own && !json_is_null(own) && !json_is_object(own))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "chat_template_kwargs must be an object");
    if (level) {
        out->wish = strcmp(level, "none") != 0 ? AERIE_THINK_YES : AERIE_THINK_NO;
        out->level = out->wish == AERIE_THINK_YES ? level : NULL;
    }
    out->own = json_is_object(own) ? own : NULL;
    if (json_is_false(json_object_get(own, "enable_thinking"))) out->wish = AERIE_THINK_NO;
    return AERIE_OK;
}

aerie_status ae_thinking_vars(char **out, const ae_thinking *thinking, aerie_error *err)
{
    char *own = thinking->own ? json_dumps(thinking->own, JSON_COMPACT) : NULL;
    aerie_status status = aerie_think_vars(out, thinking->wish, thinking->level, own, err);
    free(own);
    return status;
}
