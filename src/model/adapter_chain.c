/* adapter_chain.c -- adapters opened where they belong: over the model, and the adapters, that they
 * were trained over. */
#include "model/adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is known ---- */

const ae_chain *ae_model_chain(const ae_model *m)
{
    return &m->chain;
}

const ae_chain *ae_adapter_chain(const ae_adapter *a)
{
    return &a->chain;
}

double ae_adapter_scale(const ae_adapter *a)
{
    return a->scale;
}

const ae_tensor *ae_adapter_score(const ae_adapter *a)
{
    return a->score;
}

aerie_status ae_adapters_merged_chain(ae_bytes *out, const ae_model *m, ae_adapter *const *adapters,
                                      int n, aerie_error *err)
{
    ae_adapter probe = { 0 }; /* what one trained over all of them would say */
    aerie_status status = ae_adapter_set_beneath(&probe, adapters, n, err);

    if (!status) status = ae_adapter_chain_text(&probe, m, out, err);
    ae_arena_free(&probe.arena);
    return status;
}

aerie_status ae_adapter_set_beneath(ae_adapter *a, ae_adapter *const *beneath, int n,
                                    aerie_error *err)
{
    ae_chain *c = &a->chain;

    c->n_parents = 0;
    if (n < 1) return AERIE_OK;
    c->parents = ae_chain_copy(&a->arena, NULL, 0, n);
    if (!c->parents) return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter's history");
    for (int i = 0; i < n; i++) {
        const char *name = beneath[i]->name;
        c->parents[i].name = ae_arena_strndup(&a->arena, name, strlen(name));
        c->parents[i].scale = beneath[i]->scale;
        if (!c->parents[i].name)
            return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter's history");
        ae_adapter_hash(beneath[i], c->parents[i].hash);
    }
    c->n_parents = n;
    return AERIE_OK;
}

static const char *keep(ae_adapter *a, const char *text, bool *failed)
{
    const char *copy = text ? ae_arena_strndup(&a->arena, text, strlen(text)) : NULL;

    if (text && !copy) *failed = true;
    return copy;
}

aerie_status ae_adapter_set_origin(ae_adapter *a, const ae_chain *from, aerie_error *err)
{
    ae_chain *c = &a->chain;
    bool failed = false;

    c->method = keep(a, from->method, &failed);
    c->load_in = keep(a, from->load_in, &failed);
    memcpy(c->recipe, from->recipe, sizeof c->recipe);
    c->n_data = 0;
    c->data = ae_chain_copy(&a->arena, from->data, from->n_data, 0);
    for (int i = 0; c->data && i < from->n_data; i++)
        c->data[i].name = keep(a, from->data[i].name, &failed);
    if (failed || !c->data)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter's history");
    c->n_data = from->n_data;
    return AERIE_OK;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

aerie_status ae_adapter_chain_text(const ae_adapter *a, const ae_model *m, ae_bytes *out,
                                   aerie_error *err)
{
    ae_chain c = a->chain;
    aerie_status status = ae_model_hash(m, c.base, err);

    c.base_name = file_name(m->path);
    return status ? status : ae_chain_print(&c, out, err);
}

/* ---- where it belongs ---- */

static aerie_status check_base(bool *over_merged, const ae_adapter *a, const char *path,
                               const ae_model *m, aerie_error *err)
{
    const char *base = a->chain.base, *name = a->chain.base_name;
    char hash[65];
    aerie_status status;

    *over_merged = false;
    if (!base[0]) return AERIE_OK;
    status = ae_model_hash(m, hash, err);
    if (status || strcmp(hash, base) == 0) return status;
    *over_merged = strcmp(m->chain.base, base) == 0;
    if (*over_merged) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "%s: was trained over the model with hash %.12s...%s%s%s, but %s has "
                      "%.12s...; lay it over the model it was made from (--force goes on all the "
                      "same)",
                      path, base, name ? " ('" : "", name ? name : "", name ? "')" : "", m->path,
                      hash);
}

/* What was merged into the model must have lain beneath the adapter, or it would count twice. */
static aerie_status check_merged(const ae_adapter *a, const char *path, const ae_model *m,
                                 aerie_error *err)
{
    const ae_chain *c = &a->chain;

    for (int i = 0; i < m->chain.n_parents; i++)
        if (!ae_chain_find(c->parents, c->n_parents, m->chain.parents[i].hash))
            return aerie_fail(
                err, AERIE_BAD_ARGUMENT,
                "%s: was not trained over the adapter '%s' (%.12s...), which is merged "
                "into %s; lay it over the model before that (--force goes on all the same)",
                path, m->chain.parents[i].name, m->chain.parents[i].hash, m->path);
    return AERIE_OK;
}

static aerie_status check_parents(const ae_adapter *a, const char *path, const ae_model *m,
                                  bool over_merged, ae_adapter *const *beneath, int n,
                                  aerie_error *err)
{
    char hash[65];

    for (int i = 0; i < a->chain.n_parents; i++) {
        const ae_chain_link *link = &a->chain.parents[i];
        double scale = NAN;
        const ae_chain_link *merged =
            over_merged ? ae_chain_find(m->chain.parents, m->chain.n_parents, link->hash) : NULL;
        if (merged) scale = merged->scale;
        for (int k = 0; k < n && isnan(scale); k++) {
            ae_adapter_hash(beneath[k], hash);
            if (strcmp(hash, link->hash) == 0) scale = beneath[k]->scale;
        }
        if (isnan(scale))
            return aerie_fail(
                err, AERIE_BAD_ARGUMENT,
                "%s: was trained over the adapter '%s' (%.12s...), which does not lie "
                "beneath it; give that one before it, with --adapter (--force goes "
                "on all the same)",
                path, link->name, link->hash);
        if (fabs(scale - link->scale) > 1e-6)
            ae_log(AERIE_LOG_WARNING,
                   "%s: was trained over '%s' at scale %g, which lies at %g beneath it", path,
                   link->name, link->scale, scale);
    }
    return AERIE_OK;
}

static aerie_status check_chain(const ae_adapter *a, const char *path, const ae_model *m,
                                ae_adapter *const *beneath, int n, bool any_base, aerie_error *err)
{
    aerie_error why = { 0 };
    bool over_merged;
    aerie_status status = check_base(&over_merged, a, path, m, &why);

    if (!status && over_merged) status = check_merged(a, path, m, &why);
    if (!status) status = check_parents(a, path, m, over_merged, beneath, n, &why);
    if (status == AERIE_BAD_ARGUMENT && any_base) {
        ae_log(AERIE_LOG_WARNING, "%s", why.message);
        return AERIE_OK;
    }
    if (status && err) *err = why;
    return status;
}

/* ---- opening ---- */

aerie_status ae_adapter_open(ae_adapter **out, const char *path, const ae_model *m, bool trainable,
                             aerie_error *err)
{
    ae_adapter *a = NULL;
    bool over_merged;
    aerie_status status = ae_adapter_read(&a, path, m, trainable, err);

    *out = NULL;
    if (!status) status = check_base(&over_merged, a, path, m, err);
    if (status)
        ae_adapter_close(a);
    else
        *out = a;
    return status;
}

/* "FILE=0.5": a file whose own name ends so is meant by it. *path is the caller's. */
static aerie_status read_spec(char **path, double *scale, const char *spec, aerie_error *err)
{
    const char *equals = strrchr(spec, '=');
    size_t len = strlen(spec);
    char *end = NULL;

    *scale = 1;
    if (equals && !ae_file_exists(spec) && !ae_file_is_folder(spec)) {
        *scale = strtod(equals + 1, &end);
        if (end == equals + 1 || *end || !isfinite(*scale))
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "%s: no such adapter; a scale after '=' would be a number", spec);
        len = (size_t)(equals - spec);
    }
    *path = ae_strndup(spec, len);
    return *path ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", spec);
}

static void set_scale(ae_adapter *a, double scale)
{
    a->scale = scale;
    for (int64_t i = 0; i < a->n_layers * AE_N_PROJ; i++)
        if (a->loras[i].a) a->loras[i].scale = (float)((double)a->loras[i].scale * scale);
}

static aerie_status open_next(ae_adapter **out, int n, const char *spec, const ae_model *m,
                              bool any_base, aerie_error *err)
{
    char *path = NULL;
    double scale;
    aerie_status status = read_spec(&path, &scale, spec, err);

    if (!status) status = ae_adapter_read(&out[n], path, m, false, err);
    if (!status) {
        set_scale(out[n], scale);
        status = check_chain(out[n], path, m, out, n, any_base, err);
        if (status) ae_adapter_close(out[n]);
    }
    ae_free(path);
    return status;
}

aerie_status ae_adapters_open(ae_adapter **out, const char *const *specs, int n, const ae_model *m,
                              bool any_base, aerie_error *err)
{
    for (int i = 0; i < n; i++) {
        aerie_status status = open_next(out, i, specs[i], m, any_base, err);
        if (!status) continue;
        while (i > 0) ae_adapter_close(out[--i]);
        return status;
    }
    return AERIE_OK;
}
