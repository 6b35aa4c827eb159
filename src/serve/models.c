/* models.c -- names, places and keep_alive. */
#include "serve/models.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 4096 };

aerie_status ae_models_find(ae_server *s, const char *name, const aerie_stored **out,
                            aerie_error *err)
{
    aerie_error why = { 0 };
    aerie_status status = aerie_store_resolve(s->options->places, name, true, out, &why);
    if (status == AERIE_NOT_FOUND)
        return aerie_fail(err, AERIE_NOT_FOUND, "model '%s' not found", name);
    return status ? aerie_fail(err, status, "%s", why.message) : AERIE_OK;
}

void ae_models_place(const ae_server *s, const aerie_stored *stored, aerie_place *out)
{
    const ae_serve_options *o = s->options;
    int64_t context = o->context ? o->context : DEFAULT_CONTEXT;
    *out = (aerie_place){
        .name = stored->name,
        .key = stored->digest ? stored->digest : stored->path,
        .path = stored->path,
        .model = { .threads = o->threads,
                   .cpu = o->cpu,
                   .kv = o->kv,
                   .adapters = stored->adapters,
                   .n_adapters = (int)stored->n_adapters },
        .engine = { .context = context,
                    .parallel = o->parallel,
                    .max_queue = o->max_queue,
                    .cache_tokens = o->cache_tokens ? o->cache_tokens : 4 * context },
    };
}

bool ae_models_read(json_t **request, const char **model, ae_exchange *x)
{
    if (!ae_read_json(request, x, AE_FACE_OLLAMA)) return false;
    *model = json_string_value(json_object_get(*request, "model"));
    if (!*model || !**model) *model = json_string_value(json_object_get(*request, "name"));
    if (*model && **model) return true;
    json_decref(*request);
    ae_reply_error(x, AE_FACE_OLLAMA, 400, "model is required");
    return false;
}

static double unit_seconds(const char *unit, size_t len)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = { { "ns", 1e-9 }, { "us", 1e-6 }, { "ms", 1e-3 },
                  { "s", 1 },     { "m", 60 },    { "h", 3600 } };
    for (size_t i = 0; i < AE_COUNT(units); i++)
        if (strlen(units[i].name) == len && !memcmp(units[i].name, unit, len))
            return units[i].seconds;
    return 0;
}

/* Go's durations: numbers with units, one after the other; "0" alone needs none. */
static bool parse_duration(const char *text, double *seconds)
{
    double sign = *text == '-' ? -1 : 1, sum = 0;
    if (*text == '-' || *text == '+') text++;
    if (!strcmp(text, "0")) return *seconds = 0, true;
    if (!*text) return false;
    while (*text) {
        char *end;
        if (!strchr("0123456789.", *text)) return false;
        double n = strtod(text, &end);
        size_t len = strspn(end, "nusmh");
        double unit = unit_seconds(end, len);
        if (end == text || unit == 0 || !isfinite(n)) return false;
        sum += n * unit;
        text = end + len;
    }
    *seconds = sign * sum;
    return true;
}

bool ae_models_keep_alive(const json_t *value, bool *has, double *seconds)
{
    *has = value && !json_is_null(value);
    *seconds = 0;
    if (!*has) return true;
    if (json_is_number(value)) return *seconds = json_number_value(value), true;
    return json_is_string(value) && parse_duration(json_string_value(value), seconds);
}
