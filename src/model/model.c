/* model.c -- an open model: its parts put together, asked about, and taken apart. */
#include "model/model_private.h"

#include <string.h>

aerie_status ae_model_new(ae_model **out, const char *path, aerie_error *err)
{
    ae_model *m = ae_alloc(1, sizeof *m);

    *out = NULL;
    if (m) m->path = ae_strdup(path);
    if (!m || !m->path) {
        ae_model_close(m);
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room to open it", path);
    }
    *out = m;
    return AERIE_OK;
}

void ae_model_close(ae_model *m)
{
    if (!m) return;
    ae_tokenizer_close(m->own_tokenizer);
    ae_pages_free(m->packed, m->packed_bytes);
    ae_pages_free(m->four_bit, m->four_bit_bytes);
    ae_gguf_close(m->gguf);
    ae_safetensors_close(m->safetensors);
    ae_free(m->template);
    ae_free(m->folder);
    ae_free(m->path);
    ae_arena_free(&m->arena);
    ae_free(m);
}

aerie_status ae_model_lay_out(ae_model *m, aerie_error *err)
{
    const ae_config *c = &m->config;
    size_t n_layers = (size_t)c->n_layers;
    size_t pairs = (size_t)c->head_dim / 2;
    double *freq = ae_arena_take(&m->arena, 2 * pairs, sizeof *freq);

    m->n_params = ae_param_sites(c);
    m->weights.layers = ae_arena_take(&m->arena, n_layers, sizeof *m->weights.layers);
    m->params = ae_arena_take(&m->arena, (size_t)m->n_params, sizeof *m->params);
    if (!freq || !m->weights.layers || !m->params)
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for %lld layers", m->path,
                          (long long)c->n_layers);
    ae_config_rope(c, m->rope_factors, freq);
    m->net.config = c;
    m->net.rope_freq = freq;
    if (c->rope_local_theta) {
        ae_config_local_rope(c, freq + pairs);
        m->net.rope_local_freq = freq + pairs;
    }
    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(c, &m->weights, i);
        char name[AE_PARAM_NAME];
        ae_param_hf_name(&site, name);
        const char *kept = ae_arena_strndup(&m->arena, name, strlen(name));
        if (!kept) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for names", m->path);
        m->params[i] = (ae_named_param){ kept, site.tensor, !ae_param_is_vector(site.param) };
    }
    return AERIE_OK;
}

/* A tied matrix is used twice, and each use adds into a gradient of its own: added into one,
 * micro-batch after micro-batch, the order of the sums would depend on where a step is cut. */
static aerie_status split_tied_grad(ae_model *m, aerie_error *err)
{
    ae_tensor *head = &m->weights.head;

    *head = m->weights.embedding;
    head->grad = ae_arena_take(&m->arena, (size_t)(head->rows * head->cols), sizeof(float));
    m->net.head = head;
    if (head->grad) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room to train its head", m->path);
}

aerie_status ae_model_wire(ae_model *m, aerie_error *err)
{
    size_t n = (size_t)m->config.n_layers;
    ae_decoder_layer *layers = ae_arena_take(&m->arena, n, sizeof *layers);

    if (!layers) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its layers", m->path);
    for (size_t i = 0; i < n; i++) ae_layer_wire(&layers[i], &m->weights.layers[i]);
    m->net.layers = layers;
    m->net.embedding = &m->weights.embedding;
    m->net.norm = &m->weights.norm;
    m->net.head = m->config.no_language_head ? NULL
                  : m->config.tied_head      ? &m->weights.embedding
                                             : &m->weights.head;
    m->net.score = m->config.score_head ? &m->weights.score : NULL;
    return m->config.tied_head && m->weights.embedding.grad ? split_tied_grad(m, err) : AERIE_OK;
}

void ae_model_gather_grads(ae_model *m)
{
    const ae_tensor *embedding = &m->weights.embedding;
    float *head = m->weights.head.grad;

    if (!m->config.tied_head || !head) return;
    for (int64_t i = 0; i < embedding->rows * embedding->cols; i++) {
        embedding->grad[i] += head[i];
        head[i] = 0;
    }
}

const ae_config *ae_model_config(const ae_model *m)
{
    return &m->config;
}
const ae_net *ae_model_net(const ae_model *m)
{
    return &m->net;
}
const ae_tokenizer *ae_model_tokenizer(const ae_model *m)
{
    return m->tokenizer;
}
const char *ae_model_template(const ae_model *m)
{
    return m->template;
}
const char *ae_model_path(const ae_model *m)
{
    return m->path;
}

int64_t ae_model_params(const ae_model *m, ae_named_param *out, int64_t cap)
{
    int64_t n = m->n_params < cap ? m->n_params : cap;

    if (n > 0) memcpy(out, m->params, (size_t)n * sizeof *out);
    return m->n_params;
}

int64_t ae_model_param_count(const ae_model *m)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < m->n_params; i++)
        sum += m->params[i].tensor->rows * m->params[i].tensor->cols;
    return sum;
}

size_t ae_model_weight_bytes(const ae_model *m)
{
    size_t sum = 0, bytes;

    for (int64_t i = 0; i < m->n_params; i++) {
        const ae_tensor *t = m->params[i].tensor;
        if (ae_dtype_bytes(&bytes, t->dtype, t->rows, t->cols)) sum += bytes;
    }
    return sum;
}

aerie_status ae_model_keep_template(ae_model *m, const char *jinja, bool own, aerie_error *err)
{
    char *copy = ae_strdup(jinja);

    if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a chat template", m->path);
    ae_free(m->template);
    m->template = copy;
    m->template_is_own = own;
    return AERIE_OK;
}

aerie_status ae_model_set_template(ae_model *m, const char *jinja, aerie_error *err)
{
    aerie_status status = ae_model_keep_template(m, jinja, true, err);

    if (!status) m->template_is_new = true;
    return status;
}
