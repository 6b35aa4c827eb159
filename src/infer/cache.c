/* cache.c -- caches as an engine wants them. */
#include "infer/engine_private.h"

/* Options for a model's caches; windows are the caller's to free. */
static aerie_status options_for(ae_kv_options *out, const ae_engine_options *o, const ae_net *net,
                                int64_t capacity, int64_t **windows, aerie_error *err)
{
    const ae_config *c = net->config;

    *windows = ae_alloc((size_t)c->n_layers, sizeof **windows);
    if (!*windows)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a cache of %lld layers",
                          (long long)c->n_layers);
    for (int64_t l = 0; l < c->n_layers; l++) (*windows)[l] = ae_config_window(c, l);
    *out = (ae_kv_options){ .shape = { o->kv_type, c->n_kv_heads, c->head_dim },
                            .n_layers = c->n_layers,
                            .windows = *windows,
                            .capacity = capacity };
    return AERIE_OK;
}

aerie_status ae_engine_new_kv(ae_kv **out, const ae_engine *e, const ae_net *net, int64_t capacity,
                              const ae_kv *prefix, int64_t prefix_len, aerie_error *err)
{
    return ae_engine_new_kv_of(out, e, net, e->options.kv_type, capacity, prefix, prefix_len, err);
}

aerie_status ae_engine_new_kv_of(ae_kv **out, const ae_engine *e, const ae_net *net, ae_dtype type,
                                 int64_t capacity, const ae_kv *prefix, int64_t prefix_len,
                                 aerie_error *err)
{
    ae_kv_options o;
    int64_t *windows;
    aerie_status status = options_for(&o, &e->options, net, capacity, &windows, err);

    *out = NULL;
    o.shape.dtype = type;
    if (!status) status = ae_kv_new(out, &o, prefix, prefix_len, err);
    ae_free(windows);
    return status;
}

aerie_status ae_engine_rehearsal_kv(ae_kv **out, const ae_engine_options *options, int64_t capacity,
                                    aerie_error *err)
{
    ae_kv_options o;
    int64_t *windows;
    aerie_status status = options_for(&o, options, options->net, capacity, &windows, err);

    *out = NULL;
    if (!status) {
        o.rehearsal = true;
        status = ae_kv_new(out, &o, NULL, 0, err);
    }
    ae_free(windows);
    return status;
}

aerie_status ae_engine_kv_bytes(size_t *out, const ae_engine_options *options, int64_t positions,
                                aerie_error *err)
{
    ae_kv_options o;
    int64_t *windows, batch = options->max_batch > 0 ? options->max_batch : 512;
    aerie_status status = options_for(&o, options, options->net, positions, &windows, err);

    if (!status) status = ae_kv_predict(out, &o, positions, batch, err);
    ae_free(windows);
    return status;
}
