/* config_keys.c -- keys of a config.json and of GGUF metadata, read one after another. */
#include "model/config_keys.h"

#include <math.h>
#include <stdio.h>

const json_t *ae_hf_value(const ae_hf_keys *keys, const char *key)
{
    const json_t *value = json_object_get(keys->object, key);
    return json_is_null(value) ? NULL : value;
}

double ae_hf_number(ae_hf_keys *keys, const char *key, double fallback)
{
    const json_t *value = ae_hf_value(keys, key);

    if (!value) return fallback;
    if (json_is_number(value)) return json_number_value(value);
    aerie_fail(&keys->error, AERIE_BAD_FILE, "%s: '%s' must be a number", keys->path, key);
    return fallback;
}

int64_t ae_hf_count(ae_hf_keys *keys, const char *key, int64_t fallback)
{
    double value = ae_hf_number(keys, key, (double)fallback);

    if (!ae_hf_value(keys, key) && fallback < 0)
        aerie_fail(&keys->error, AERIE_BAD_FILE, "%s: '%s' is missing", keys->path, key);
    if (value >= 0 && value <= 1e15 && value == floor(value)) return (int64_t)value;
    aerie_fail(&keys->error, AERIE_BAD_FILE, "%s: '%s' must be a whole number, not %g", keys->path,
               key, value);
    return 0;
}

bool ae_hf_flag(ae_hf_keys *keys, const char *key, bool fallback)
{
    const json_t *value = ae_hf_value(keys, key);

    if (!value) return fallback;
    if (!json_is_boolean(value))
        aerie_fail(&keys->error, AERIE_BAD_FILE, "%s: '%s' must be true or false", keys->path, key);
    return json_is_true(value);
}

const char *ae_hf_text(ae_hf_keys *keys, const char *key)
{
    const json_t *value = ae_hf_value(keys, key);

    if (value && !json_is_string(value))
        aerie_fail(&keys->error, AERIE_BAD_FILE, "%s: '%s' must be a string", keys->path, key);
    return value ? json_string_value(value) : NULL;
}

void ae_hf_switched_window(ae_config *c, ae_hf_keys *keys)
{
    int64_t first = ae_hf_count(keys, "max_window_layers", 0);

    c->sliding_window = ae_hf_count(keys, "sliding_window", 0);
    if (!ae_hf_flag(keys, "use_sliding_window", false) || first >= c->n_layers)
        c->sliding_window = 0;
    else if (first > 0)
        aerie_fail(&keys->error, AERIE_UNSUPPORTED,
                   "%s: a sliding window on layers from %lld on only (max_window_layers) is not "
                   "something this build computes",
                   keys->path, (long long)first);
}

bool ae_gguf_keys_has(ae_gguf_keys *r, const char *key)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->architecture, key);
    return ae_gguf_has(r->gguf, r->key);
}

int64_t ae_gguf_keys_count(ae_gguf_keys *r, const char *key, int64_t fallback)
{
    int64_t value = fallback;

    if (!ae_gguf_keys_has(r, key) && fallback >= 0) return fallback;
    ae_gguf_i64(r->gguf, r->key, &value, &r->error);
    return value;
}

double ae_gguf_keys_number(ae_gguf_keys *r, const char *key, double fallback)
{
    float value = (float)fallback;

    if (!ae_gguf_keys_has(r, key)) return fallback;
    ae_gguf_f32(r->gguf, r->key, &value, &r->error);
    return value;
}

void ae_gguf_keys_set_count(ae_gguf_writer *w, const ae_config *c, const char *key, int64_t value)
{
    char full[96];

    snprintf(full, sizeof full, "%s.%s", c->architecture, key);
    ae_gguf_set_u32(w, full, (uint32_t)value);
}

void ae_gguf_keys_set_number(ae_gguf_writer *w, const ae_config *c, const char *key, double value)
{
    char full[96];

    snprintf(full, sizeof full, "%s.%s", c->architecture, key);
    ae_gguf_set_f32(w, full, (float)value);
}
