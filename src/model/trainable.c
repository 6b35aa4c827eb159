/* trainable.c -- a copy of a model whose every parameter is F32 and has a gradient. */
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

aerie_status ae_model_trainable(ae_model **out, const ae_model *from, aerie_error *err)
{
    ae_model *m;
    aerie_status status = ae_model_new(&m, from->path, err);

    *out = NULL;
    if (status) return status;
    status = copy_identity(m, from, err);
    if (!status) status = ae_model_lay_out(m, err);
    for (int64_t i = 0; !status && i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        status = copy_param(m, &site, from->params[i].tensor, err);
    }
    if (!status) status = ae_model_wire(m, err);
    if (status)
        ae_model_close(m);
    else
        *out = m;
    return status;
}
