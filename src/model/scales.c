/* scales.c -- a quantized model whose scales are no numbers is damaged, and refused before anything
 * is computed from it. Packing sees every block and finds out by itself (pack.c); here is the same
 * for weights that are used as they lie: --exact, training, conversion, and the embedding. */
#include "model/model_private.h"

aerie_status ae_model_bad_scales(const ae_model *m, int64_t i, aerie_error *err)
{
    return aerie_fail(
        err, AERIE_BAD_FILE,
        "%s: damaged: '%s' has scales that are infinite or not a number; fetch the file "
        "again, or quantize it again",
        m->path, m->params[i].name);
}

static bool is_quantized(const ae_tensor *t)
{
    const ae_dtype_info *info = ae_dtype_info_of(t->dtype);

    return info && info->block_elements > 1;
}

/* A norm or a bias: copied as F32 when the model was opened. */
static bool is_bad_vector(const ae_tensor *t)
{
    return t->rows == 1 && t->dtype == AE_F32 && !ae_dtype_scales_finite(AE_F32, t->data, t->cols);
}

/* One core reads the scales of 4 GB in the page cache in half a second, and finds them in memory
 * when it computes; only an embedding that is looked up, and not multiplied with, is let go of
 * again. */
aerie_status ae_model_check_scales(const ae_model *m, aerie_error *err)
{
    for (int64_t i = 0; i < m->n_params; i++) {
        const ae_tensor *t = m->params[i].tensor;
        size_t bytes;
        if (is_bad_vector(t))
            return aerie_fail(err, AERIE_BAD_FILE,
                              "%s: damaged: '%s' has numbers that are infinite or not a number; "
                              "fetch the file again",
                              m->path, m->params[i].name);
        if (!is_quantized(t) || t->packed) continue;
        if (!ae_dtype_scales_finite(t->dtype, t->data, t->rows * t->cols))
            return ae_model_bad_scales(m, i, err);
        if (t == m->net.embedding && t != m->net.head &&
            ae_dtype_bytes(&bytes, t->dtype, t->rows, t->cols))
            ae_model_forget_bytes(m, t->data, bytes);
    }
    return AERIE_OK;
}
