/* family.h -- one family of models: what tells it apart from the others, in either world. Private
 * to model.
 *
 * A new family is one file with an ae_family, one line in the table of family.c, and, where it has
 * weights that no other has, their lines in the parameter table. */
#ifndef AE_FAMILY_H
#define AE_FAMILY_H

#include "model/config_keys.h"

typedef struct {
    const char *hf_type;    /* config.json's model_type */
    const char *hf_class;   /* config.json's architectures[0] */
    const char *gguf;       /* general.architecture */
    bool gguf_interleaved;  /* GGUF stores q and k for rotation of neighbours */
    bool norms_minus_one;   /* Hugging Face's files hold the weights of norms minus one */
    const char *activation; /* config.json's hidden_act */

    /* Sets what no file says, and what a config.json means that leaves a key out. */
    void (*facts)(ae_config *c);
    /* The keys that are the family's own, after the common ones. */
    void (*from_hf)(ae_config *c, ae_hf_keys *keys);
    void (*to_hf)(const ae_config *c, json_t *root);
    void (*from_gguf)(ae_config *c, ae_gguf_keys *keys);
    void (*to_gguf)(const ae_config *c, ae_gguf_writer *w);
    /* Whether the family's class in transformers can compute the model: a GGUF may hold more. */
    bool (*sayable)(const ae_config *c);
} ae_family;

extern const ae_family ae_family_llama, ae_family_mistral, ae_family_qwen2, ae_family_qwen3,
    ae_family_gemma2, ae_family_gemma3;

/* NULL when unknown. */
const ae_family *ae_family_of_hf(const char *type_or_class);
/* Of a classifier's class, "MistralForSequenceClassification". */
const ae_family *ae_family_of_classifier(const char *class_name);
const ae_family *ae_family_of_gguf(const char *architecture);
/* That of an open configuration: never NULL. */
const ae_family *ae_family_of(const ae_config *c);
/* The sentence for an architecture that is not in the table: what it is, if that is known; what
 * there is, and the nearest. */
aerie_status ae_family_unknown(const char *path, const char *architecture, aerie_error *err);

#endif
