/* random.c -- a new model with random weights: what pre-training starts from. */
#include "model/model_private.h"

#include <math.h>
#include <string.h>

/* Each tensor has a generator of its own, seeded by its name: its numbers don't depend on which
 * other tensors there are. */
void ae_param_fill(const ae_named_param *p, ae_param_start start, int64_t n_layers, uint64_t seed)
{
    double std = start == AE_START_RESIDUAL ? 0.02 / sqrt(2.0 * (double)n_layers) : 0.02;
    int64_t n = p->tensor->rows * p->tensor->cols;
    float *x = ae_f32(p->tensor);
    ae_rng rng;

    ae_rng_seed(&rng, ae_hash64(p->name, strlen(p->name), seed));
    for (int64_t i = 0; i < n; i++) {
        if (start == AE_START_ONE || start == AE_START_ZERO)
            x[i] = start == AE_START_ONE ? 1.0f : 0.0f;
        else
            x[i] = (float)std * ae_rng_normal(&rng);
    }
}

static aerie_status build(ae_model *m, uint64_t seed, aerie_error *err)
{
    aerie_status status = ae_model_lay_out(m, err);

    for (int64_t i = 0; !status && i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        status = ae_model_take_param(m, &site, err);
        if (!status) ae_param_fill(&m->params[i], site.param->start, m->config.n_layers, seed);
    }
    return status ? status : ae_model_wire(m, err);
}

aerie_status ae_model_random(ae_model **out, const char *config_folder, uint64_t seed,
                             aerie_error *err)
{
    ae_model *m;
    aerie_status status = ae_model_new(&m, config_folder, err);

    *out = NULL;
    if (status) return status;
    status = ae_model_read_folder_config(m, config_folder, err);
    if (!status) status = build(m, seed, err);
    if (!status) status = ae_model_read_text_files(m, config_folder, err);
    if (!status) status = ae_model_settle_text(m, err);
    if (status)
        ae_model_close(m);
    else
        *out = m;
    return status;
}
