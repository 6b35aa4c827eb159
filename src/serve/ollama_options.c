/* ollama_options.c -- Ollama's options, one table. */
#include "serve/ollama_options.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum { FLOAT, INT, INT64, SEED } option_kind;

static const struct {
    const char *name;
    option_kind kind;
    size_t at;
} known[] = {
    { "temperature", FLOAT, offsetof(ae_ollama_options, sampling.temperature) },
    { "top_k", INT, offsetof(ae_ollama_options, sampling.top_k) },
    { "top_p", FLOAT, offsetof(ae_ollama_options, sampling.top_p) },
    { "min_p", FLOAT, offsetof(ae_ollama_options, sampling.min_p) },
    { "typical_p", FLOAT, offsetof(ae_ollama_options, sampling.typical_p) },
    { "repeat_penalty", FLOAT, offsetof(ae_ollama_options, sampling.repeat_penalty) },
    { "presence_penalty", FLOAT, offsetof(ae_ollama_options, sampling.presence_penalty) },
    { "frequency_penalty", FLOAT, offsetof(ae_ollama_options, sampling.frequency_penalty) },
    { "repeat_last_n", INT, offsetof(ae_ollama_options, sampling.repeat_last_n) },
    { "num_ctx", INT64, offsetof(ae_ollama_options, num_ctx) },
    { "max_output_tokens", INT64, offsetof(ae_ollama_options, num_predict) },
    { "num_predict", INT64, offsetof(ae_ollama_options, num_predict) },
    { "seed", SEED, offsetof(ae_ollama_options, sampling.seed) },
};

void ae_ollama_options_begin(ae_ollama_options *o)
{
    struct timespec now;
    *o = (ae_ollama_options){ .sampling = aerie_sampling_default(), .num_predict = -1 };
    /* Without a seed no two replies are alike. */
    clock_gettime(CLOCK_REALTIME, &now);
    o->sampling.seed = ae_mix64((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) | 1;
}

float ae_top_p_of(double p)
{
    return p == 0 ? 1e-9f : (float)p;
}

uint64_t ae_seed_of(int64_t n)
{
    return n > 0 ? (uint64_t)n : ae_mix64((uint64_t)n + 1) | 1;
}

static aerie_status wrong_type(const char *name, const char *type, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "option \"%s\" must be of type %s", name, type);
}

/* A whole number, written as 3 or 3.0. */
static bool whole(const json_t *v, int64_t *out)
{
    double n = json_number_value(v);
    if (!json_is_number(v) || fabs(n) > 9e15 || n != floor(n)) return false;
    *out = (int64_t)n;
    return true;
}

static aerie_status set(ae_ollama_options *o, size_t i, const json_t *v, aerie_error *err)
{
    void *to = (char *)o + known[i].at;
    float number = (float)json_number_value(v);
    int64_t n = 0;
    if (known[i].kind == FLOAT) {
        if (!json_is_number(v) || !isfinite(number))
            return wrong_type(known[i].name, "float32", err);
        memcpy(to, &number, sizeof number);
        return AERIE_OK;
    }
    if (!whole(v, &n)) return wrong_type(known[i].name, "integer", err);
    if (known[i].kind == INT) {
        int small = n > 1 << 30 ? 1 << 30 : n < -1 ? -1 : (int)n;
        memcpy(to, &small, sizeof small);
    } else if (known[i].kind == INT64)
        memcpy(to, &n, sizeof n);
    else if (n >= 0) { /* -1: one by chance, as there is already */
        uint64_t seed = ae_seed_of(n);
        memcpy(to, &seed, sizeof seed);
    }
    return AERIE_OK;
}

static aerie_status add_stops(ae_ollama_options *o, const json_t *v, aerie_error *err)
{
    size_t n = json_is_string(v) ? 1 : json_array_size(v);
    if (!json_is_string(v) && !json_is_array(v)) return wrong_type("stop", "array", err);
    o->n_stop = 0;
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_is_string(v) ? v : json_array_get(v, i));
        if (!text) return wrong_type("stop", "array of strings", err);
        if (o->n_stop == AE_OLLAMA_MOST_STOPS)
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "there are more than %d stop sequences",
                              AE_OLLAMA_MOST_STOPS);
        if (*text) o->stop[o->n_stop++] = text;
    }
    return AERIE_OK;
}

aerie_status ae_ollama_options_add(ae_ollama_options *o, const json_t *options, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    const json_t *stop = json_object_get(options, "stop");
    if (options && !json_is_null(options) && !json_is_object(options))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "options must be an object");
    for (size_t i = 0; i < AE_COUNT(known) && !status; i++) {
        const json_t *v = json_object_get(options, known[i].name);
        if (v && !json_is_null(v)) status = set(o, i, v, err);
    }
    if (!status && stop && !json_is_null(stop)) status = add_stops(o, stop, err);
    if (!status && o->sampling.temperature < 0)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "option \"temperature\" must not be negative");
    o->sampling.top_p = ae_top_p_of((double)o->sampling.top_p);
    return status;
}

aerie_status ae_ollama_format(aerie_grammar **out, const json_t *format, aerie_error *err)
{
    const char *word = json_string_value(format);
    *out = NULL;
    if (!format || json_is_null(format) || (word && !*word)) return AERIE_OK;
    if (word && !strcmp(word, "json")) return aerie_grammar_json(out, err);
    if (!json_is_object(format))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "invalid format: expected \"json\" or a valid JSON Schema object");
    char *text = json_dumps(format, JSON_COMPACT);
    aerie_status status = text ? aerie_grammar_schema(out, text, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "no memory for the format");
    free(text);
    return status;
}
