/* parameter.c -- the parameters that a Modelfile may set, and their types. */
#include "hub/hub.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum { INTEGER, FLOAT, BOOL, TEXTS, DROPPED } kind;

static const struct {
    const char *name;
    kind kind;
} parameters[] = {
    { "num_ctx", INTEGER },
    { "num_batch", INTEGER },
    { "num_gpu", INTEGER },
    { "main_gpu", INTEGER },
    { "num_thread", INTEGER },
    { "draft_num_predict", INTEGER },
    { "use_mmap", BOOL },
    { "num_keep", INTEGER },
    { "seed", INTEGER },
    { "num_predict", INTEGER },
    { "top_k", INTEGER },
    { "top_p", FLOAT },
    { "min_p", FLOAT },
    { "typical_p", FLOAT },
    { "repeat_last_n", INTEGER },
    { "temperature", FLOAT },
    { "repeat_penalty", FLOAT },
    { "presence_penalty", FLOAT },
    { "frequency_penalty", FLOAT },
    { "stop", TEXTS },
    /* Of older Modelfiles: read, and left out with a warning. */
    { "penalize_newline", DROPPED },
    { "low_vram", DROPPED },
    { "f16_kv", DROPPED },
    { "logits_all", DROPPED },
    { "vocab_only", DROPPED },
    { "use_mlock", DROPPED },
    { "mirostat", DROPPED },
    { "mirostat_tau", DROPPED },
    { "mirostat_eta", DROPPED },
    { "tfs_z", DROPPED },
    { "numa", DROPPED },
};

static aerie_status unknown(const char *name, aerie_error *err)
{
    const char *names[AE_COUNT(parameters)];
    const char *near;

    for (size_t i = 0; i < AE_COUNT(parameters); i++) names[i] = parameters[i].name;
    near = ae_nearest(name, names, AE_COUNT(names));
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "unknown parameter '%.80s'%s%s%s", name,
                      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static json_t *parse_integer(const char *text)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    return errno || end == text || *end || *text == ' ' ? NULL : json_integer(value);
}

/* Ollama keeps 32 bits of it, and writes the shortest decimal that gives them back; a double of
 * that decimal is the same. */
static json_t *parse_float(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    return end == text || *end || !isfinite(value) || *text == ' ' ? NULL : json_real(value);
}

static json_t *parse_bool(const char *text)
{
    static const char *const words[] = { "1", "t", "T", "true",  "TRUE",  "True",
                                         "0", "f", "F", "false", "FALSE", "False" };

    for (size_t i = 0; i < AE_COUNT(words); i++)
        if (!strcmp(text, words[i])) return json_boolean(i < AE_COUNT(words) / 2);
    return NULL;
}

static json_t *parse_text(const char *text)
{
    json_t *value = json_string(text), *list = value ? json_array() : NULL;

    if (!list || json_array_append_new(list, value)) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *parse_value(kind k, const char *text)
{
    switch (k) {
    case INTEGER:
        return parse_integer(text);
    case FLOAT:
        return parse_float(text);
    case BOOL:
        return parse_bool(text);
    case TEXTS:
        return parse_text(text);
    case DROPPED:
        return NULL;
    }
    return NULL;
}

aerie_status ae_parameter_parse(json_t **out, const char *name, const char *value, aerie_error *err)
{
    static const char *const kinds[] = { "int", "float", "bool", "string" };

    *out = NULL;
    for (size_t i = 0; i < AE_COUNT(parameters); i++) {
        kind k = parameters[i].kind;
        if (strcmp(parameters[i].name, name) != 0) continue;
        if (k == DROPPED) {
            ae_log(AERIE_LOG_WARNING, "parameter %s is deprecated, and left out", name);
            return AERIE_OK;
        }
        *out = parse_value(k, value);
        if (*out) return AERIE_OK;
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "invalid %s value [%.80s] of parameter %s",
                          kinds[k], value, name);
    }
    return unknown(name, err);
}
