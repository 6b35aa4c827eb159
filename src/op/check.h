/* check.h -- the questions every op asks of its inputs before it computes. Private to op.
 *
 * Each returns true when all is well; otherwise the context holds the reason (unless it held one
 * before) and the op returns NULL. */
#ifndef AE_OP_CHECK_H
#define AE_OP_CHECK_H

#include "op/op.h"

/* No failure so far, and x is there and F32. */
bool ae_check_input(ae_ctx *cx, const char *op, const ae_tensor *x);
/* No failure so far, and w is there; of any type, but F32 when it is trained. */
bool ae_check_weight(ae_ctx *cx, const char *op, const ae_tensor *w);
/* v is an F32 [1, cols]. */
bool ae_check_vector(ae_ctx *cx, const char *op, const ae_tensor *v, int64_t cols);
bool ae_check_same_shape(ae_ctx *cx, const char *op, const ae_tensor *a, const ae_tensor *b);
/* Every index lies in 0 .. limit - 1; `what` names one in the message. */
bool ae_check_indices(ae_ctx *cx, const char *op, const char *what, const int32_t *index, int64_t n,
                      int64_t limit);
/* H, K, d make sense and q, k, v (k, v may be NULL) have their widths and the same rows. */
bool ae_check_heads(ae_ctx *cx, const char *op, const ae_attention_shape *shape, const ae_tensor *q,
                    const ae_tensor *k, const ae_tensor *v);
/* Segments cover `rows` rows in order, and each parent comes before its children. */
bool ae_check_segments(ae_ctx *cx, const char *op, const ae_segment *segments, int64_t n_segments,
                       int64_t rows);
/* What a device function returned: it fails only for lack of scratch. */
bool ae_check_scratch(ae_ctx *cx, const char *op, aerie_status status);

#endif
