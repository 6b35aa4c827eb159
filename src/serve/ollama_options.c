/* ollama_options.c -- Ollama's options, as a request has them. */
#include "serve/ollama_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ae_ollama_options_begin(ae_ollama_options *o)
{
    *o = (ae_ollama_options){ .of.sampling = aerie_sampling_default(), .of.num_predict = -1 };
    o->of.sampling.seed = ae_seed_by_chance(); /* without one no two replies are alike */
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

static aerie_status set(ae_ollama_options *o, const char *name, bool is_whole, const json_t *v,
                        aerie_error *err)
{
    int64_t n;
    if (is_whole && !whole(v, &n)) return wrong_type(name, "integer", err);
    if (!json_is_number(v) || !aerie_parameters_set(&o->of, name, json_number_value(v)))
        return wrong_type(name, "float32", err);
    return AERIE_OK;
}

/* Below 0: one by chance, as there is already. */
static aerie_status set_seed(ae_ollama_options *o, const json_t *v, aerie_error *err)
{
    int64_t n;
    if (!whole(v, &n)) return wrong_type("seed", "integer", err);
    if (n >= 0) o->of.sampling.seed = ae_seed_of(n);
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
    const json_t *stop = json_object_get(options, "stop"), *seed = json_object_get(options, "seed");
    const char *name;
    bool is_whole;
    if (options && !json_is_null(options) && !json_is_object(options))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "options must be an object");
    for (size_t i = 0; !status && (name = aerie_parameter_name(i, &is_whole)); i++) {
        const json_t *v = json_object_get(options, name);
        if (v && !json_is_null(v)) status = set(o, name, is_whole, v, err);
    }
    if (!status && seed && !json_is_null(seed)) status = set_seed(o, seed, err);
    if (!status && stop && !json_is_null(stop)) status = add_stops(o, stop, err);
    if (!status && o->of.sampling.temperature < 0)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "option \"temperature\" must not be negative");
    o->of.sampling.top_p = ae_top_p_of((double)o->of.sampling.top_p);
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
