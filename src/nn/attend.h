/* attend.h -- attention of a layer over the caches of its batch. Private to nn. */
#ifndef AE_NN_ATTEND_H
#define AE_NN_ATTEND_H

#include "nn/nn.h"

/* Writes the batch's new keys and values, k, v [T, K*d], into layer call->layer of its caches, and
 * attends over all that these then hold. q, result [T, H*d]. */
ae_tensor *ae_attend_cached(ae_ctx *cx, const ae_decoder_layer_call *call, const ae_tensor *q,
                            const ae_tensor *k, const ae_tensor *v);

#endif
