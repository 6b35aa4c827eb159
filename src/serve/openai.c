/* openai.c -- options and pieces of replies that OpenAI's routes share. */
#include "serve/openai.h"

#include "serve/ollama_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number between bounds, or null, or nothing. */
static aerie_status number(const json_t *request, const char *key, double least, double most,
                           bool whole, double *out, aerie_error *err)
{
    const json_t *v = json_object_get(request, key);
    double n = json_number_value(v);
    if (!v || json_is_null(v)) return AERIE_OK;
    if (!json_is_number(v) || !(n >= least && n <= most) || (whole && n != floor(n)))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s must be %s between %g and %g", key,
                          whole ? "a whole number" : "a number", least, most);
    *out = n;
    return AERIE_OK;
}

static aerie_status read_sampling(aerie_sampling *s, const json_t *request, aerie_error *err)
{
    double temperature = s->temperature, top_p = s->top_p, min_p = s->min_p,
           typical_p = s->typical_p, top_k = s->top_k, presence = s->presence_penalty,
           frequency = s->frequency_penalty, repeat = s->repeat_penalty, seed = -1;
    aerie_status status = number(request, "temperature", 0, 100, false, &temperature, err);
    if (!status) status = number(request, "top_p", 0, 1, false, &top_p, err);
    if (!status) status = number(request, "min_p", 0, 1, false, &min_p, err);
    if (!status) status = number(request, "typical_p", 0, 1, false, &typical_p, err);
    if (!status) status = number(request, "top_k", -1, 1e9, true, &top_k, err);
    if (!status) status = number(request, "presence_penalty", -2, 2, false, &presence, err);
    if (!status) status = number(request, "frequency_penalty", -2, 2, false, &frequency, err);
    if (!status) status = number(request, "repeat_penalty", 0.01, 100, false, &repeat, err);
    if (!status) status = number(request, "seed", -9e15, 9e15, true, &seed, err);
    s->temperature = (float)temperature;
    s->top_p = ae_top_p_of(top_p);
    s->min_p = (float)min_p;
    s->typical_p = (float)typical_p;
    s->top_k = top_k < 0 ? 0 : (int)top_k;
    s->presence_penalty = (float)presence;
    s->frequency_penalty = (float)frequency;
    s->repeat_penalty = (float)repeat;
    /* As Ollama's options have it: -1 is one by chance. */
    if (seed != -1) s->seed = ae_seed_of((int64_t)seed);
    return status;
}

/* The Modelfile's words that OpenAI's requests have too, below what a request says. */
static aerie_status read_stored(aerie_sampling *s, const aerie_stored *stored, aerie_error *err)
{
    json_t *parameters = stored->parameters ? json_loads(stored->parameters, 0, NULL) : NULL;
    aerie_status status = read_sampling(s, parameters, err);
    json_decref(parameters);
    return status;
}

static aerie_status read_stops(ae_openai_options *o, const json_t *request, aerie_error *err)
{
    const json_t *v = json_object_get(request, "stop");
    size_t n = json_is_string(v) ? 1 : json_array_size(v);
    if (v && !json_is_null(v) && !json_is_string(v) && !json_is_array(v))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "stop must be a text or a list of texts");
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_is_string(v) ? v : json_array_get(v, i));
        if (!text || o->n_stop == AE_OPENAI_MOST_STOPS)
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "stop must be at most %d texts",
                              AE_OPENAI_MOST_STOPS);
        if (*text) o->stop[o->n_stop++] = text;
    }
    return AERIE_OK;
}

static aerie_status read_bias(ae_openai_options *o, const json_t *request, aerie_error *err)
{
    const char *key;
    json_t *v, *all = json_object_get(request, "logit_bias");
    if (all && !json_is_null(all) && !json_is_object(all))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "logit_bias must be an object of token ids");
    json_object_foreach(all, key, v)
    {
        char *end;
        long id = strtol(key, &end, 10);
        double bias = json_number_value(v);
        if (!*key || *end || id < 0 || id > INT32_MAX || !json_is_number(v) || !(fabs(bias) <= 100))
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "logit_bias: a token id with a number between -100 and 100");
        if (o->n_bias == AE_OPENAI_MOST_BIAS)
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "logit_bias has more than %d tokens",
                              AE_OPENAI_MOST_BIAS);
        /* -100 and 100 are OpenAI's words for never and always. */
        o->bias[o->n_bias++] =
            (aerie_logit_bias){ (int32_t)id, bias <= -100 ? -INFINITY : (float)bias };
    }
    return AERIE_OK;
}

static aerie_status schema_grammar(aerie_grammar **out, const json_t *schema, aerie_error *err)
{
    char *text = schema ? json_dumps(schema, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    aerie_status status =
        text ? aerie_grammar_schema(out, text, err)
             : aerie_fail(err, AERIE_BAD_ARGUMENT, "response_format.json_schema.schema is missing");
    free(text);
    return status;
}

static aerie_status read_format(ae_openai_options *o, const json_t *request, aerie_error *err)
{
    const json_t *format = json_object_get(request, "response_format"),
                 *gbnf = json_object_get(request, "grammar");
    const char *type = json_string_value(json_object_get(format, "type"));
    if (json_is_string(gbnf) && *json_string_value(gbnf))
        return aerie_grammar_gbnf(&o->grammar, json_string_value(gbnf), err);
    if (!format || json_is_null(format) || (type && !strcmp(type, "text"))) return AERIE_OK;
    if (type && !strcmp(type, "json_object")) {
        const json_t *schema = json_object_get(format, "schema"); /* llama-server's */
        return schema ? schema_grammar(&o->grammar, schema, err)
                      : aerie_grammar_json(&o->grammar, err);
    }
    if (type && !strcmp(type, "json_schema")) {
        const json_t *inner = json_object_get(format, "json_schema");
        return schema_grammar(&o->grammar, json_object_get(inner ? inner : format, "schema"), err);
    }
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "response_format.type must be text, json_object or json_schema");
}

aerie_status ae_openai_read(ae_openai_options *o, const json_t *request, const aerie_stored *stored,
                            aerie_error *err)
{
    double most = 0, newer = 0, n = 1;
    *o = (ae_openai_options){ .sampling = aerie_sampling_default() };
    o->sampling.temperature = 1;
    o->sampling.top_p = 1;
    o->sampling.top_k = 0;
    o->sampling.seed = ae_seed_by_chance();
    aerie_status status = read_stored(&o->sampling, stored, err);
    if (!status) status = read_sampling(&o->sampling, request, err);
    if (!status) status = number(request, "max_tokens", 0, 1e9, true, &most, err);
    if (!status) status = number(request, "max_completion_tokens", 0, 1e9, true, &newer, err);
    if (!status) status = number(request, "n", 1, 128, true, &n, err);
    if (!status) status = read_stops(o, request, err);
    if (!status) status = read_bias(o, request, err);
    if (!status) status = read_format(o, request, err);
    o->max_tokens = (int64_t)(newer > 0 ? newer : most);
    o->n_replies = (int64_t)n;
    o->include_usage =
        json_is_true(json_object_get(json_object_get(request, "stream_options"), "include_usage"));
    return status;
}

void ae_openai_free(ae_openai_options *o)
{
    aerie_grammar_free(o->grammar);
    o->grammar = NULL;
}

void ae_openai_fill(aerie_ask *ask, const ae_openai_options *o)
{
    ask->sampling = &o->sampling;
    ask->max_tokens = o->max_tokens;
    ask->n_replies = o->n_replies;
    ask->stop = o->stop;
    ask->n_stop = o->n_stop;
    ask->bias = o->bias;
    ask->n_bias = o->n_bias;
    ask->grammar = o->grammar;
}

void ae_openai_id(char out[48], const char *prefix, uint64_t exchange)
{
    snprintf(out, 48, "%s%016llx%08llx", prefix, (unsigned long long)exchange,
             (unsigned long long)ae_clock_unix_seconds());
}

json_t *ae_openai_usage(int64_t prompt, int64_t reused, int64_t replies)
{
    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", (json_int_t)prompt,
                     "completion_tokens", (json_int_t)replies, "total_tokens",
                     (json_int_t)(prompt + replies), "prompt_tokens_details", "cached_tokens",
                     (json_int_t)reused);
}

const char *ae_openai_finish(aerie_finish why)
{
    return why == AERIE_FINISH_LENGTH ? "length" : "stop";
}
