/* adapter_merge.c -- adapters folded into a weight, row by row: W + scale B A, and DoRA's rows
 * brought to their lengths. */
#include "model/adapter.h"

#include <string.h>

int64_t ae_adapters_site(const char *gguf_name, const ae_model *m, ae_adapter *const *adapters,
                         int n)
{
    char name[AE_PARAM_NAME];

    for (int64_t i = 0; i < m->config.n_layers * AE_N_PROJ; i++) {
        ae_param_site site =
            ae_param_of_projection(&m->config, &m->weights, i / AE_N_PROJ, (int)(i % AE_N_PROJ));
        ae_param_gguf_name(&site, name);
        for (int k = 0; k < n && strcmp(name, gguf_name) == 0; k++)
            if (adapters[k]->loras[i].a) return i;
    }
    return -1;
}

static void add_lora(float *row, const ae_lora *l, int64_t r)
{
    int64_t cols = l->a->cols, rank = l->a->rows;

    for (int64_t k = 0; k < rank; k++) {
        float by = l->scale * ae_f32(l->b)[r * rank + k];
        const float *a = ae_f32(l->a) + k * cols;
        for (int64_t c = 0; c < cols; c++) row[c] += by * a[c];
    }
}

/* Which row of the adapter belongs to row r of a GGUF file. */
static int64_t row_of(int64_t r, int64_t site, const ae_model *m)
{
    bool interleaved = ae_family_of(&m->config)->gguf_interleaved;
    ae_param_site at =
        ae_param_of_projection(&m->config, &m->weights, site / AE_N_PROJ, (int)(site % AE_N_PROJ));

    if (!at.param->permuted || m->config.rope_interleaved == interleaved) return r;
    return ae_rope_row(r, m->config.head_dim, interleaved);
}

void ae_adapters_merge_row(float *row, int64_t site, int64_t gguf_row, const ae_model *m,
                           ae_adapter *const *adapters, int n)
{
    int64_t r = row_of(gguf_row, site, m);

    for (int i = 0; i < n; i++) {
        const ae_lora *l = &adapters[i]->loras[site];
        if (!l->a) continue;
        add_lora(row, l, r);
        if (!l->m) continue;
        float by = l->norm[r] > 0 ? ae_f32(l->m)[r] / l->norm[r] : 0;
        for (int64_t c = 0; c < l->a->cols; c++) row[c] *= by;
    }
}
