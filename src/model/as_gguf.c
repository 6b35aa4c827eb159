/* as_gguf.c -- an open model as the GGUF file that it would be saved as, without writing its
 * weights: a folder's matrices lie in their files as they are, under GGUF's names. What differs is
 * the order of q's and k's rows, which whoever reads them is told. */
#include "model/save.h"

#include <string.h>
#include <unistd.h>

/* The layout of q and k in GGUF is not the one at hand. */
static bool is_reordered(const ae_model *m)
{
    return ae_family_of(&m->config)->gguf_interleaved != m->config.rope_interleaved;
}

static aerie_status add(ae_gguf *g, const char *name, const ae_tensor *t, const void *data,
                        bool copy, aerie_error *err)
{
    ae_stored_tensor stored = { .name = name,
                                .type_name = ae_dtype_info_of(t->dtype)->name,
                                .dtype = t->dtype,
                                .n_dims = t->rows == 1 ? 1 : 2,
                                .dims = { t->rows == 1 ? t->cols : t->rows, t->cols },
                                .rows = t->rows,
                                .cols = t->cols,
                                .data = data };

    if (!ae_dtype_bytes(&stored.bytes, t->dtype, t->rows, t->cols))
        return aerie_fail(err, AERIE_BAD_SHAPE, "'%s': its rows of %lld are no whole blocks", name,
                          (long long)t->cols);
    return ae_gguf_add_tensor(g, &stored, copy, err);
}

/* A bias on q or k: its elements are what the rows are in the weight. Loaded as F32, always. */
static aerie_status add_head_vector(const ae_model *m, ae_gguf *g, const char *name,
                                    const ae_tensor *t, aerie_error *err)
{
    bool to_interleaved = !m->config.rope_interleaved;
    float *moved = ae_alloc((size_t)t->cols, sizeof *moved);

    if (!moved) return aerie_fail(err, AERIE_NO_MEMORY, "no room to convert '%s'", name);
    for (int64_t i = 0; i < t->cols; i++)
        moved[i] = ae_f32(t)[ae_rope_row(i, m->config.head_dim, to_interleaved)];
    aerie_status status = add(g, name, t, moved, true, err);
    ae_free(moved);
    return status;
}

static aerie_status add_params(const ae_model *m, ae_gguf *g, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < m->n_params && !status; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        const ae_tensor *t = site.tensor;
        char name[AE_PARAM_NAME];
        ae_param_gguf_name(&site, name);
        if (t->rows == 1 && site.param->permuted && is_reordered(m))
            status = add_head_vector(m, g, name, t, err);
        else
            status = add(g, name, t, t->data, false, err);
    }
    return status;
}

static aerie_status add_rope_factors(const ae_model *m, ae_gguf *g, aerie_error *err)
{
    float made[512];
    const float *factors = ae_save_rope_factors(m, made);
    const ae_tensor t = { .dtype = AE_F32, .rows = 1, .cols = m->config.head_dim / 2 };

    return factors ? add(g, "rope_freqs.weight", &t, factors, true, err) : AERIE_OK;
}

static aerie_status write_head(const ae_model *m, const char *path, aerie_error *err)
{
    ae_gguf_writer *w;
    aerie_status status = ae_gguf_writer_open(&w, path, err);

    if (status) return status;
    status = ae_save_metadata(m, w, AE_F32, err);
    if (!status) return ae_gguf_writer_commit(w, err);
    ae_gguf_writer_abandon(w);
    return status;
}

aerie_status ae_model_as_gguf(ae_gguf **out, const ae_model *m, const char *scratch_path,
                              aerie_error *err)
{
    ae_gguf *g = NULL;
    aerie_status status = write_head(m, scratch_path, err);

    *out = NULL;
    if (status) return status;
    status = ae_gguf_open(&g, scratch_path, err);
    unlink(scratch_path);
    if (!status) status = ae_gguf_set_name(g, m->path, err);
    if (!status) status = add_rope_factors(m, g, err);
    if (!status) status = add_params(m, g, err);
    if (status)
        ae_gguf_close(g);
    else
        *out = g;
    return status;
}

bool ae_model_gguf_order(const ae_model *m, const char *gguf_name, int64_t *order)
{
    bool to_interleaved = !m->config.rope_interleaved;

    for (int64_t i = 0; i < m->n_params && is_reordered(m); i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        char name[AE_PARAM_NAME];
        ae_param_gguf_name(&site, name);
        if (!site.param->permuted || site.tensor->rows == 1 || strcmp(name, gguf_name) != 0)
            continue;
        for (int64_t r = 0; r < site.rows; r++)
            order[r] = ae_rope_row(r, m->config.head_dim, to_interleaved);
        return true;
    }
    return false;
}
