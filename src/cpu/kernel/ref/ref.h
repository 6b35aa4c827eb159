/* ref.h -- the reference kernels by name. */
#ifndef AE_REF_H
#define AE_REF_H

#include "cpu/kernel/kernel.h"

ae_gemm_fn ae_gemm_ref;
ae_dots_fn ae_dots_ref;
ae_transpose_fn ae_transpose_ref;
ae_rmsnorm_fn ae_rmsnorm_ref;
ae_rmsnorm_dx_fn ae_rmsnorm_dx_ref;
ae_rmsnorm_dw_fn ae_rmsnorm_dw_ref;
ae_rope_fn ae_rope_ref;
ae_swiglu_fn ae_swiglu_ref;
ae_swiglu_bwd_fn ae_swiglu_bwd_ref;
ae_geglu_fn ae_geglu_ref;
ae_geglu_bwd_fn ae_geglu_bwd_ref;
ae_add_fn ae_add_ref;
ae_add_to_fn ae_add_to_ref;
ae_scale_fn ae_scale_ref;
ae_max_fn ae_max_ref;
ae_exp_sum_fn ae_exp_sum_ref;
ae_sum_fn ae_sum_ref;
ae_dot_fn ae_dot_ref;
ae_soft_cap_fn ae_soft_cap_ref;
ae_soft_cap_bwd_fn ae_soft_cap_bwd_ref;
ae_softmax_bwd_fn ae_softmax_bwd_ref;
ae_kv_store_fn ae_kv_store_ref;
ae_kv_scores_fn ae_kv_scores_ref;
ae_kv_values_fn ae_kv_values_ref;
ae_kv_key_panels_fn ae_kv_key_panels_ref;
ae_kv_value_panels_fn ae_kv_value_panels_ref;
ae_sum_squares_fn ae_sum_squares_ref;
ae_adamw_fn ae_adamw_ref;
ae_packed_quantize_fn ae_packed_quantize_ref;
void ae_packed_table_ref(ae_kernels *k); /* the slots of packed products */

#endif
