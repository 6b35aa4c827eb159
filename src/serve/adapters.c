/* adapters.c -- the adapters that a request names. */
#include "serve/adapters.h"

#include <math.h>
#include <string.h>

typedef struct {
    ae_wanted_adapter *out;
    size_t *n;
    const ae_serve_options *options;
} list;

static aerie_status add(list *l, const ae_serve_adapter *a, double scale, aerie_error *err)
{
    if (*l->n == AE_ADAPTERS_MOST)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "more than %d adapters at once",
                          AE_ADAPTERS_MOST);
    l->out[(*l->n)++] = (ae_wanted_adapter){ a, scale };
    return AERIE_OK;
}

static aerie_status add_named(list *l, const char *name, aerie_error *err)
{
    for (size_t i = 0; name && i < l->options->n_adapters; i++)
        if (!strcmp(l->options->adapters[i].name, name))
            return add(l, &l->options->adapters[i], 1, err);
    if (!name) return aerie_fail(err, AERIE_BAD_ARGUMENT, "adapter must be a name, or names");
    return aerie_fail(err, AERIE_NOT_FOUND, "adapter '%.64s' not found", name);
}

static aerie_status read_names(list *l, const json_t *names, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t i;
    json_t *one;
    if (!names || json_is_null(names)) return AERIE_OK;
    if (!json_is_array(names)) return add_named(l, json_string_value(names), err);
    json_array_foreach(names, i, one)
    {
        if (!status) status = add_named(l, json_string_value(one), err);
    }
    return status;
}

static aerie_status read_lora(list *l, const json_t *lora, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t i;
    json_t *one;
    if (!lora || json_is_null(lora)) return AERIE_OK;
    if (!json_is_array(lora))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "lora must be a list of {\"id\", \"scale\"}");
    json_array_foreach(lora, i, one)
    {
        const json_t *id = json_object_get(one, "id"), *scale = json_object_get(one, "scale");
        double by = scale ? json_number_value(scale) : 1;
        if (status) break;
        if (!json_is_integer(id) || (scale && !json_is_number(scale)) || !(fabs(by) <= 1000))
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "lora must be a list of {\"id\", \"scale\"}, two numbers");
        if (json_integer_value(id) < 0 ||
            (uint64_t)json_integer_value(id) >= l->options->n_adapters)
            return aerie_fail(err, AERIE_NOT_FOUND, "adapter %lld not found",
                              (long long)json_integer_value(id));
        if (by != 0) status = add(l, &l->options->adapters[json_integer_value(id)], by, err);
    }
    return status;
}

aerie_status ae_adapters_read(ae_wanted_adapter out[AE_ADAPTERS_MOST], size_t *n,
                              const ae_serve_options *o, const char *model, const json_t *request,
                              aerie_error *err)
{
    list l = { out, n, o };
    const char *plus = strrchr(model, '+');
    *n = 0;
    aerie_status status = plus ? add_named(&l, plus + 1, err) : AERIE_OK;
    if (!status) status = read_names(&l, json_object_get(request, "adapter"), err);
    return status ? status : read_lora(&l, json_object_get(request, "lora"), err);
}
