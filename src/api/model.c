/* model.c -- the public face of a model. */
#include "api/api.h"

#include <string.h>

static aerie_status open_adapters(aerie_model *m, const aerie_model_options *o, aerie_error *err)
{
    if (!o || o->n_adapters <= 0) return AERIE_OK;
    m->adapters = ae_alloc((size_t)o->n_adapters, sizeof *m->adapters);
    if (!m->adapters) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for adapters");
    aerie_status status =
        ae_adapters_open(m->adapters, o->adapters, o->n_adapters, m->model, o->any_base, err);
    if (status) return status;
    m->n_adapters = o->n_adapters;
    for (int i = 0; i < o->n_adapters; i++) {
        status = ae_adapter_norms(m->adapters[i], m->model, m->device, false, err);
        if (status) return status;
    }
    return AERIE_OK;
}

/* Adapters first: one that names its model asks for the hash of all weights, which reads the file
 * that packing lets go of. */
static aerie_status pack_weights(aerie_model *m, const aerie_model_options *o, aerie_error *err)
{
    if (o && o->exact) return AERIE_OK;
    return ae_model_pack(m->model, m->device, o ? o->on_load : NULL, o ? o->user : NULL, err);
}

static aerie_status read_kv_type(ae_dtype *out, const char *word, aerie_error *err)
{
    *out = word ? ae_dtype_by_name(word) : AE_F16;
    if (*out == AE_F32 || *out == AE_F16 || *out == AE_Q8_0) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "keys and values are kept as f32, f16 or q8_0, not as '%s'", word);
}

static aerie_status open_device(aerie_model *m, const aerie_model_options *o, aerie_error *err)
{
    aerie_status status = ae_cpu_choice_parse(&m->cpu, o && o->cpu ? o->cpu : "auto", err);
    if (!status) status = read_kv_type(&m->kv_type, o ? o->kv : NULL, err);
    m->kv_named = o && o->kv;
    m->exact = o && o->exact;
    if (!status) status = ae_device_open(&m->device, m->cpu, o ? o->threads : 0, err);
    if (!status && o && o->pin && !m->device->pin(m->device))
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "%d threads cannot each have a processor of their own here; take fewer "
                            "(--threads), or do not pin them",
                            m->device->n_threads);
    return status;
}

aerie_status aerie_model_options_check(const aerie_model_options *options, aerie_error *err)
{
    aerie_model m = { 0 };
    aerie_status status = open_device(&m, options, err);
    if (m.device) m.device->close(m.device);
    return status;
}

aerie_status ae_api_map_model(aerie_model *m, const char *path, const aerie_model_options *o,
                              aerie_error *err)
{
    aerie_status status = open_device(m, o, err);
    if (!status) status = ae_model_open(&m->model, path, err);
    return status;
}

static aerie_status open_parts(aerie_model *m, const char *path, const aerie_model_options *o,
                               aerie_error *err)
{
    aerie_status status = ae_api_map_model(m, path, o, err);
    if (!status && o && o->plan) status = ae_api_check_memory(m, o, o->plan, err);
    if (!status) status = open_adapters(m, o, err);
    if (!status) status = pack_weights(m, o, err);
    if (!status) status = ae_model_check_scales(m->model, err);
    if (!status)
        status =
            ae_net_with_adapters(&m->net, &m->arena, m->model, m->adapters, m->n_adapters, err);
    return status;
}

aerie_status aerie_model_open(aerie_model **out, const char *path,
                              const aerie_model_options *options, aerie_error *err)
{
    *out = NULL;
    aerie_model *m = ae_alloc(1, sizeof *m);
    if (!m) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a model");
    aerie_status status = open_parts(m, path, options, err);
    if (status) {
        aerie_model_close(m);
        return status;
    }
    m->tokenizer.tokenizer = ae_model_tokenizer(m->model);
    *out = m;
    return AERIE_OK;
}

void aerie_model_close(aerie_model *m)
{
    if (!m) return;
    for (int i = 0; i < m->n_adapters; i++) ae_adapter_close(m->adapters[i]);
    ae_free(m->adapters);
    ae_arena_free(&m->arena);
    ae_model_close(m->model);
    if (m->device) m->device->close(m->device);
    ae_free(m);
}

void aerie_model_describe(const aerie_model *m, aerie_model_info *out)
{
    const ae_config *c = ae_model_config(m->model);
    *out = (aerie_model_info){
        .architecture = c->architecture,
        .name = c->name,
        .path = ae_model_path(m->model),
        .n_parameters = ae_model_param_count(m->model),
        .n_layers = c->n_layers,
        .hidden_size = c->hidden_size,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .vocab_size = c->vocab_size,
        .context_length = c->max_position,
        .weight_bytes = ae_model_weight_bytes(m->model),
        .threads = m->device->n_threads,
        .device = m->device->name,
    };
}

const aerie_tokenizer *aerie_model_tokenizer(const aerie_model *m)
{
    return m->tokenizer.tokenizer ? &m->tokenizer : NULL;
}

const char *aerie_model_chat_template(const aerie_model *m)
{
    return ae_model_template(m->model);
}
