/* table.c -- every slot, by the definition. Expansion's definition is the tensor room's own. */
#include "cpu/kernel/ref/ref.h"

void ae_kernels_ref(ae_kernels *k)
{
    *k = (ae_kernels){
        .name = "cpu ref",
        .panel = 32,
        .gemm = ae_gemm_ref,
        .dots = ae_dots_ref,
        .transpose = ae_transpose_ref,
        .rmsnorm = ae_rmsnorm_ref,
        .rmsnorm_dx = ae_rmsnorm_dx_ref,
        .rmsnorm_dw = ae_rmsnorm_dw_ref,
        .rope = ae_rope_ref,
        .swiglu = ae_swiglu_ref,
        .swiglu_bwd = ae_swiglu_bwd_ref,
        .geglu = ae_geglu_ref,
        .geglu_bwd = ae_geglu_bwd_ref,
        .add = ae_add_ref,
        .add_to = ae_add_to_ref,
        .scale = ae_scale_ref,
        .max = ae_max_ref,
        .exp_sum = ae_exp_sum_ref,
        .sum = ae_sum_ref,
        .dot = ae_dot_ref,
        .soft_cap = ae_soft_cap_ref,
        .soft_cap_bwd = ae_soft_cap_bwd_ref,
        .softmax_bwd = ae_softmax_bwd_ref,
        .kv_store = ae_kv_store_ref,
        .kv_scores = ae_kv_scores_ref,
        .kv_values = ae_kv_values_ref,
        .kv_key_panels = ae_kv_key_panels_ref,
        .kv_value_panels = ae_kv_value_panels_ref,
        .sum_squares = ae_sum_squares_ref,
        .adamw = ae_adamw_ref,
    };
    ae_packed_table_ref(k);
}
