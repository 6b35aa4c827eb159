/* blame.c -- which tensor made a loss that is not finite. */
#include "train/trainer.h"

#include <math.h>

static bool is_finite(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* `row`: room for the widest row. What has no decoder has been looked at when it was opened. */
static bool is_sound(const ae_tensor *t, float *row)
{
    size_t stride;

    if (t->dtype == AE_F32) return is_finite(ae_f32(t), t->rows * t->cols);
    if (!ae_dtype_bytes(&stride, t->dtype, 1, t->cols)) return true;
    for (int64_t i = 0; i < t->rows; i++) {
        const char *at = (const char *)t->data + (size_t)i * stride;
        if (!ae_dtype_decode_row(t->dtype, at, t->cols, row)) return true;
        if (!is_finite(row, t->cols)) return false;
    }
    return true;
}

static const char *first_unsound(const ae_named_param *params, int64_t n)
{
    const char *name = NULL;
    int64_t widest = 1;
    float *row;

    for (int64_t i = 0; i < n; i++)
        if (params[i].tensor->cols > widest) widest = params[i].tensor->cols;
    row = ae_alloc((size_t)widest, sizeof *row);
    for (int64_t i = 0; row && i < n && !name; i++)
        if (!is_sound(params[i].tensor, row)) name = params[i].name;
    ae_free(row);
    return name;
}

const char *ae_trainer_unsound(const ae_trainer *t)
{
    return first_unsound(t->params, t->optimizer.n);
}

/* Of the model as it was opened. */
static const char *unsound_weight(const ae_trainer *t)
{
    int64_t n = ae_model_params(t->model, NULL, 0);
    ae_named_param *params = ae_alloc((size_t)n, sizeof *params);
    const char *name = NULL;

    if (!params) return NULL;
    ae_model_params(t->model, params, n);
    name = first_unsound(params, n);
    ae_free(params);
    return name;
}

aerie_status ae_trainer_blame(ae_trainer *t, const ae_pass *pass, const int64_t *items, int64_t n,
                              aerie_error *err)
{
    const char *trained = ae_trainer_unsound(t), *weight = trained ? trained : unsound_weight(t);
    aerie_status status = AERIE_OK;

    if (weight)
        return aerie_fail(err, AERIE_BAD_NUMBER,
                          "the loss is not finite: '%s' has a value that is not%s", weight,
                          trained && t->at.step > 0 ? "; lower the learning rate"
                                                    : ", in the model it starts from");
    for (int64_t i = 0; i < n && !status; i++) status = ae_pass_blame(pass, items[i], err);
    if (status == AERIE_BAD_NUMBER) aerie_error_prefix(err, "the loss is not finite");
    if (status) return status;
    return aerie_fail(err, AERIE_BAD_NUMBER,
                      "the loss is not finite, though every log-probability is; lower the learning "
                      "rate, or look at the weights and scores of the data");
}
