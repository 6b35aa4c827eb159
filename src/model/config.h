/* config.h -- a decoder's numbers, from and to config.json and GGUF metadata. Private to model. */
#ifndef AE_CONFIG_H
#define AE_CONFIG_H

#include "model/model.h"

#include <jansson.h>

/* One family of models, by its names in either world. */
typedef struct {
    const char *hf_type;   /* config.json's model_type */
    const char *hf_class;  /* config.json's architectures[0] */
    const char *gguf;      /* general.architecture */
    bool gguf_interleaved; /* GGUF stores q and k for rotation of neighbours */
    bool qkv_bias;         /* always has biases on q, k and v */
} ae_family;

/* NULL when unknown. */
const ae_family *ae_family_of_hf(const char *type_or_class);
const ae_family *ae_family_of_gguf(const char *architecture);
/* The sentence for an architecture that is not in the table: the known ones, and the nearest. */
aerie_status ae_family_unknown(const char *path, const char *architecture, aerie_error *err);

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
/* What Llama 3.1's scaling divides each frequency by, as GGUF stores it; 1 for other kinds. */
void ae_config_rope_factors(const ae_config *c, float *factors);

#endif
