/* gemma.h -- the keys that Gemma 2 and 3 share. Private to model. */
#ifndef AE_GEMMA_H
#define AE_GEMMA_H

#include "model/family.h"

/* Soft caps; null: none. A key that is missing leaves what the family's facts say. */
void ae_gemma_caps_from_hf(ae_config *c, ae_hf_keys *keys);
void ae_gemma_to_hf(const ae_config *c, json_t *root);

/* `period`, `scalar`: what the architecture implies where no key says otherwise; only what differs
 * from it is written. */
void ae_gemma_from_gguf(ae_config *c, ae_gguf_keys *keys, int64_t period, double scalar);
void ae_gemma_to_gguf(const ae_config *c, ae_gguf_writer *w, int64_t period, double scalar);

#endif
