/* trainable.c -- a copy of a model whose parameters are F32 and have gradients: all of them, or
 * those of its last layers. */
#include "model/model_private.h"

/* A parameter of its own memory, with a gradient; arenas give zeroes. */
aerie_status ae_model_take_param(ae_model *m, const ae_param_site *site, aerie_error *err)
{
    size_t n = (size_t)(site->rows * site->cols);
    ae_tensor *t = site->tensor;

    *t = (ae_tensor){ .dtype = AE_F32, .rows = site->rows, .cols = site->cols };
    t->data = ae_arena_take(&m->arena, n, sizeof(float));
    t->grad = ae_arena_take(&m->arena, n, sizeof(float));
    if (t->data && t->grad) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room to train '%s' (%lld x %lld)", m->path,
                      site->param->hf, (long long)site->rows, (long long)site->cols);
}

static aerie_status copy_param(ae_model *m, const ae_param_site *site, const ae_tensor *from,
                               aerie_error *err)
{
    aerie_status status = ae_model_take_param(m, site, err);
    size_t row_bytes;

    if (status) return status;
    if (!ae_dtype_bytes(&row_bytes, from->dtype, 1, from->cols))
        return aerie_fail(err, AERIE_BAD_SHAPE, "'%s' has no whole blocks", site->param->hf);
    for (int64_t r = 0; r < from->rows; r++)
        ae_dtype_decode_row(from->dtype, (const char *)from->data + (size_t)r * row_bytes,
                            from->cols, ae_f32(site->tensor) + r * from->cols);
    return AERIE_OK;
}

static aerie_status copy_identity(ae_model *m, const ae_model *from, aerie_error *err)
{
    m->config = from->config;
    m->rope_factors = from->rope_factors;
    m->tokenizer = from->tokenizer;
    if (from->folder && !(m->folder = ae_strdup(from->folder)))
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", m->path);
    if (from->template && !(m->template = ae_strdup(from->template)))
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its template", m->path);
    m->template_is_own = from->template_is_own;
    m->template_is_new = from->template_is_new;
    return AERIE_OK;
}

/* The copy's heads, before anything is laid out. */
static void choose_heads(ae_config *c, const ae_head_options *head)
{
    c->score_head |= head->score;
    if (!head->score || !head->drop_language) return;
    c->no_language_head = true;
    c->tied_head = false;
}

/* The embedding, and the layers before the first one that is trained. */
static bool is_frozen(const ae_model *m, const ae_param_site *site, int64_t i, int64_t last_layers)
{
    if (last_layers < 1) return false;
    if (site->layer < 0) return i == 0;
    return site->layer < ae_first_trained(m->config.n_layers, last_layers);
}

/* What `from` lacks is the head that was asked for. */
static aerie_status make_param(ae_model *m, int64_t i, const ae_model *from,
                               const ae_head_options *head, int64_t last_layers, aerie_error *err)
{
    ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
    const ae_tensor *old = ae_param_tensor(&site, &from->weights);
    aerie_status status;

    if (old->data && is_frozen(m, &site, i, last_layers)) {
        *site.tensor = *old;
        return AERIE_OK;
    }
    if (old->data) return copy_param(m, &site, old, err);
    status = ae_model_take_param(m, &site, err);
    if (!status && !head->zero)
        ae_param_fill(&m->params[i], site.param->start, m->config.n_layers, head->seed);
    return status;
}

aerie_status ae_model_trainable(ae_model **out, const ae_model *from, aerie_error *err)
{
    return ae_model_trainable_with(out, from, &(ae_head_options){ 0 }, 0, err);
}

aerie_status ae_model_trainable_with(ae_model **out, const ae_model *from,
                                     const ae_head_options *head, int64_t last_layers,
                                     aerie_error *err)
{
    ae_model *m;
    aerie_status status = ae_model_new(&m, from->path, err);

    *out = NULL;
    if (status) return status;
    status = copy_identity(m, from, err);
    choose_heads(&m->config, head);
    if (!status) status = ae_model_lay_out(m, err);
    for (int64_t i = 0; !status && i < m->n_params; i++)
        status = make_param(m, i, from, head, last_layers, err);
    if (!status) status = ae_model_wire(m, err);
    if (status)
        ae_model_close(m);
    else
        *out = m;
    return status;
}

void ae_model_drop_score(ae_model *m)
{
    if (!m->config.score_head) return;
    m->config.score_head = false;
    m->net.score = NULL;
    m->n_params--; /* it is the table's last */
}
