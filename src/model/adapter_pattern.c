/* adapter_pattern.c -- PEFT's rank_pattern and alpha_pattern. */
#include "model/adapter_pattern.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    ae_regex *regex;
    double number;
} entry;

struct ae_pattern {
    entry *entries;
    size_t n;
};

void ae_pattern_free(ae_pattern *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) ae_regex_close(p->entries[i].regex);
    ae_free(p->entries);
    ae_free(p);
}

static aerie_status read_entry(entry *out, const char *key, const json_t *number, aerie_error *err)
{
    ae_bytes pattern = { 0 };
    aerie_status status;

    if (!json_is_number(number))
        return aerie_fail(err, AERIE_BAD_FILE, "'%.100s' has no number", key);
    out->number = json_number_value(number);
    ae_bytes_printf(&pattern, "(?:.*\\.)?(?:%s)", key);
    status = ae_bytes_status(&pattern, err);
    if (!status) status = ae_regex_open(&out->regex, pattern.data, err);
    ae_bytes_free(&pattern);
    return status;
}

static aerie_status read_entries(ae_pattern *p, json_t *object, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    const char *key;
    json_t *number;

    p->entries = ae_alloc(json_object_size(object), sizeof *p->entries);
    if (!p->entries) return aerie_fail(err, AERIE_NO_MEMORY, "no room for its patterns");
    json_object_foreach(object, key, number)
    {
        status = read_entry(&p->entries[p->n], key, number, err);
        if (status) break;
        p->n++;
    }
    return status;
}

aerie_status ae_pattern_read(ae_pattern **out, const json_t *root, const char *key,
                             const char *path, aerie_error *err)
{
    json_t *object = json_object_get(root, key);
    aerie_status status;

    *out = NULL;
    if (!object || json_is_null(object)) return AERIE_OK;
    if (!json_is_object(object))
        return aerie_fail(err, AERIE_BAD_FILE, "%s: '%s' is no object", path, key);
    if (json_object_size(object) == 0) return AERIE_OK;
    *out = ae_alloc(1, sizeof **out);
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for '%s'", path, key);
    status = read_entries(*out, object, err);
    if (!status) return AERIE_OK;
    aerie_error_prefix(err, "%s: '%s'", path, key);
    ae_pattern_free(*out);
    *out = NULL;
    return status;
}

double ae_pattern_find(const ae_pattern *p, const char *module, double otherwise)
{
    for (size_t i = 0; p && i < p->n; i++)
        if (ae_regex_matches(p->entries[i].regex, ae_span_text(module)))
            return p->entries[i].number;
    return otherwise;
}

/* "layers.0.self_attn.q_proj": PEFT wants a dot before what a key matches. */
static void key_of(const ae_param_site *site, char out[AE_PARAM_NAME])
{
    char weight[AE_PARAM_NAME];
    const char *from;

    ae_param_hf_name(site, weight);
    from = strstr(weight, "layers.");
    snprintf(out, AE_PARAM_NAME, "%s", from ? from : weight);
    from = strrchr(out, '.');
    if (from) out[from - out] = '\0';
}

aerie_status ae_pattern_write(json_t **ranks, json_t **alphas, const ae_adapter *a,
                              const ae_model *m, aerie_error *err)
{
    bool failed;

    *ranks = json_object();
    *alphas = json_object();
    failed = !*ranks || !*alphas;
    for (int64_t i = 0; !failed && i < a->n_layers * AE_N_PROJ; i++) {
        const ae_param_site site =
            ae_param_of_projection(&m->config, &m->weights, i / AE_N_PROJ, (int)(i % AE_N_PROJ));
        char key[AE_PARAM_NAME];
        if (!ae_adapter_is_special(a, i)) continue;
        key_of(&site, key);
        failed = json_object_set_new(*ranks, key, json_integer(a->loras[i].a->rows)) ||
                 json_object_set_new(*alphas, key, ae_adapter_number_json((double)a->alphas[i]));
    }
    if (!failed) return AERIE_OK;
    json_decref(*ranks);
    json_decref(*alphas);
    *ranks = *alphas = NULL;
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter's patterns");
}
