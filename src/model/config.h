/* config.h -- a decoder's numbers, from and to config.json and GGUF metadata. Private to model. */
#ifndef AE_CONFIG_H
#define AE_CONFIG_H

#include "model/family.h"

/* Every number within what this build can hold, and fitting together: called before any is used. */
aerie_status ae_config_check(const ae_config *c, const char *path, aerie_error *err);

/* `path` is that of the config.json, for messages. */
aerie_status ae_config_from_hf(ae_config *out, const char *path, aerie_error *err);
/* Appends the text of a config.json. `vocab` may be NULL. */
aerie_status ae_config_to_hf(const ae_config *c, ae_dtype dtype, const ae_vocab *vocab,
                             ae_bytes *out, aerie_error *err);

/* *factors, [d / 2] in `arena`, is NULL unless the file has rope_freqs.weight. */
aerie_status ae_config_from_gguf(ae_config *out, const ae_gguf *g, ae_arena *arena,
                                 const float **factors, aerie_error *err);
void ae_config_to_gguf(const ae_config *c, ae_gguf_writer *w);

/* Radians per position of each pair, [d / 2]. `factors` divides them for AE_ROPE_FACTORS only. */
void ae_config_rope(const ae_config *c, const float *factors, double *freq);
/* The same for layers with a window, where these have a base of their own. */
void ae_config_local_rope(const ae_config *c, double *freq);
/* What YaRN multiplies q and k by, unless a file says otherwise. */
double ae_yarn_attention_factor(double factor);
/* rope_scaling's numbers make sense; `path` for messages. */
aerie_status ae_config_check_rope(const ae_config *c, const char *path, aerie_error *err);
/* What Llama 3.1's scaling divides each frequency by, as GGUF stores it; 1 for other kinds. */
void ae_config_rope_factors(const ae_config *c, float *factors);

#endif
