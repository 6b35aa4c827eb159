/* models.c -- names, places and keep_alive. */
#include "serve/models.h"

#include "serve/adapters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 4096 };

aerie_status ae_models_find(ae_server *s, const char *name, const aerie_stored **out,
                            aerie_error *err)
{
    aerie_error why = { 0 };
    const char *plus = strrchr(name, '+');
    char *model = ae_strndup(name, plus ? (size_t)(plus - name) : strlen(name));
    if (!model) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a model's name");
    aerie_status status = aerie_store_resolve(s->options->places, model, true, out, &why);
    ae_free(model);
    if (status == AERIE_NOT_FOUND)
        return aerie_fail(err, AERIE_NOT_FOUND, "model '%s' not found", name);
    return status ? aerie_fail(err, status, "%s", why.message) : AERIE_OK;
}

void ae_models_place_free(ae_model_place *p)
{
    for (int i = 0; p->specs && i < p->place.model.n_adapters; i++) ae_free(p->specs[i]);
    ae_free(p->specs);
    ae_bytes_free(&p->key);
    ae_bytes_free(&p->base_key);
    ae_bytes_free(&p->name);
    *p = (ae_model_place){ 0 };
}

/* The adapter's own scale stays, unless the request has another. */
static char *spec_of(const ae_wanted_adapter *w)
{
    ae_bytes out = { 0 };
    ae_bytes_add_text(&out, w->adapter->spec);
    if (w->scale != 1) {
        const char *own = strrchr(w->adapter->spec, '=');
        char *end = NULL;
        if (own) strtod(own + 1, &end);
        if (own && end > own + 1 && !*end) out.len = (size_t)(own - w->adapter->spec);
        ae_bytes_printf(&out, "=%.9g", w->scale);
    }
    char *spec = out.failed ? NULL : ae_strndup(out.data, out.len);
    ae_bytes_free(&out);
    return spec;
}

/* The model's own, and above them those of the request. */
static aerie_status add_adapters(ae_model_place *out, const aerie_stored *stored,
                                 const ae_wanted_adapter *wanted, size_t n_wanted, aerie_error *err)
{
    size_t n = stored->n_adapters + n_wanted;
    int *count = &out->place.model.n_adapters;
    out->specs = ae_alloc(n, sizeof *out->specs);
    out->place.model.adapters = (const char *const *)out->specs;
    for (size_t i = 0; out->specs && i < n; i++) {
        const ae_wanted_adapter *w =
            i < stored->n_adapters ? NULL : wanted + i - stored->n_adapters;
        char *spec = w ? spec_of(w) : ae_strdup(stored->adapters[i]);
        if (!spec) break;
        out->specs[(*count)++] = spec;
        ae_bytes_printf(&out->key, "\n%s", spec);
        if (w) ae_bytes_printf(&out->name, "+%s", w->adapter->name);
    }
    if ((size_t)*count == n && !out->key.failed && !out->base_key.failed && !out->name.failed)
        return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a model's adapters");
}

aerie_status ae_models_place(ae_model_place *out, const ae_server *s, const aerie_stored *stored,
                             const char *model, const json_t *request, aerie_error *err)
{
    const ae_serve_options *o = s->options;
    int64_t context = o->context ? o->context : DEFAULT_CONTEXT;
    ae_wanted_adapter wanted[AE_ADAPTERS_MOST];
    size_t n_wanted;
    *out = (ae_model_place){
        .place = { .path = stored->path,
                   .model = { .threads = o->threads, .cpu = o->cpu, .kv = o->kv },
                   .engine = { .context = context,
                               .parallel = o->parallel,
                               .max_queue = o->max_queue,
                               .cache_tokens = o->cache_tokens ? o->cache_tokens : 4 * context } }
    };
    aerie_status status = ae_adapters_read(wanted, &n_wanted, o, model, request, err);
    ae_bytes_add_text(&out->key, stored->digest ? stored->digest : stored->path);
    ae_bytes_printf(&out->base_key, "weights %s", stored->path);
    ae_bytes_add_text(&out->name, stored->name);
    if (!status) status = add_adapters(out, stored, wanted, n_wanted, err);
    out->place.name = out->name.data;
    out->place.key = out->key.data;
    out->place.base_key = out->base_key.data; /* of all that are these weights */
    return status;
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
