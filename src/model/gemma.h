/* gemma.h -- the keys that Gemma 2 and 3 share. Private to model. */
#ifndef AE_GEMMA_H
#define AE_GEMMA_H

#include "model/family.h"

/* Biases, the queries' scalar, and soft caps (null: none). A cap's key that is missing leaves what
 * the family's facts say. */
void ae_gemma_from_hf(ae_config *c, ae_hf_keys *keys);
void ae_gemma_to_hf(const ae_config *c, json_t *root);

/* What queries are scaled by, by its root: the width of a head, but in the 27B, whose file does not
 * say so. llama.cpp knows it by its number of layers, and so does this. */
double ae_gemma_scalar(const ae_config *c, int64_t layers_of_27b);
/* `period`, `scalar`: what the architecture implies where no key says otherwise; only what differs
 * from it is written. */
void ae_gemma_from_gguf(ae_config *c, ae_gguf_keys *keys, int64_t period, double scalar);
void ae_gemma_to_gguf(const ae_config *c, ae_gguf_writer *w, int64_t period, double scalar);

#endif
