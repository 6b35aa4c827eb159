/* model_private.h -- what an open model is made of. Private to model. */
#ifndef AE_MODEL_PRIVATE_H
#define AE_MODEL_PRIVATE_H

#include "model/config.h"
#include "model/params.h"

#include <stdatomic.h>

struct ae_model {
    ae_config config;
    ae_weights weights;
    ae_net net;
    ae_arena arena; /* layers, names, rotation, and weights that do not lie in the file */
    const float *rope_factors; /* [d / 2] for AE_ROPE_FACTORS, else NULL */
    ae_named_param *params;
    int64_t n_params;
    /* Where the weights lie; both NULL for a copy or a new model. */
    ae_gguf *gguf;
    ae_safetensors *safetensors;
    const ae_tokenizer *tokenizer;
    ae_tokenizer *own_tokenizer; /* NULL when the tokenizer is another model's */
    char *template;              /* NULL: none known */
    bool template_is_own;        /* the file's, or set: saved along; else a guess */
    bool template_is_new;        /* set: other than in the files of `folder` */
    char *path;
    char *folder; /* Hugging Face folder whose tokenizer files go along when saved; or NULL */
    void *packed; /* the weights as a device packed them, in one block; NULL: not packed */
    size_t packed_bytes;
    ae_chain chain; /* what was merged into it; texts in the arena */
    void *four_bit; /* the projections as NF4, in one block; NULL: as the file has them */
    size_t four_bit_bytes;
    atomic_int hash_state; /* 0 unknown, 1 being written, 2 in `hash` */
    char hash[65];
};

/* A zeroed model with its path. */
aerie_status ae_model_new(ae_model **out, const char *path, aerie_error *err);
/* With config and rope_factors set: makes room for layers, and lays out net, rotation and names.
 * The weights' tensors are filled afterwards; ae_model_wire() then connects them. */
aerie_status ae_model_lay_out(ae_model *m, aerie_error *err);
aerie_status ae_model_wire(ae_model *m, aerie_error *err);
/* An F32 parameter in the model's own memory, zero, with a gradient. */
aerie_status ae_model_take_param(ae_model *m, const ae_param_site *site, aerie_error *err);
/* Random numbers as `start` says, the generator seeded by the parameter's name. */
void ae_param_fill(const ae_named_param *p, ae_param_start start, int64_t n_layers, uint64_t seed);
aerie_status ae_model_read_folder_config(ae_model *m, const char *folder, aerie_error *err);
/* Finds every parameter in `list`, checked against the configuration; then wires. */
aerie_status ae_model_load(ae_model *m, const ae_tensor_list *list, bool gguf_names,
                           aerie_error *err);

/* Gives back the memory of the file's pages that lie whole in these bytes of it; NULL: all. */
void ae_model_forget_bytes(const ae_model *m, const void *data, size_t bytes);
/* AERIE_BAD_FILE with the sentence for parameter i, whose scales are not finite. */
aerie_status ae_model_bad_scales(const ae_model *m, int64_t i, aerie_error *err);

/* Keeps a copy. own: the file's, not a guess. */
aerie_status ae_model_keep_template(ae_model *m, const char *jinja, bool own, aerie_error *err);
/* Tokenizer and template of a Hugging Face folder; none of either is fine. */
aerie_status ae_model_read_text_files(ae_model *m, const char *folder, aerie_error *err);
/* The same out of GGUF metadata. */
aerie_status ae_model_read_text_metadata(ae_model *m, aerie_error *err);
/* A known template when there is none of its own. */
aerie_status ae_model_guess_template(ae_model *m, aerie_error *err);
/* After either: a known template when there is none, and the sizes compared. */
aerie_status ae_model_settle_text(ae_model *m, aerie_error *err);
/* Writes tokenizer files and template: the original's, or made from the vocabulary. */
aerie_status ae_model_write_text_files(const ae_model *m, const char *folder, aerie_error *err);
aerie_status ae_model_write_text_metadata(const ae_model *m, ae_gguf_writer *w, aerie_error *err);

#endif
