/* nf4.h -- NF4's blocks, written. Private to tensor. */
#ifndef AE_NF4_H
#define AE_NF4_H

#include "tensor/tensor.h"

/* n is a multiple of AE_NF4_BLOCK. */
void ae_nf4_encode(const float *in, int64_t n, uint8_t *out);

#endif
