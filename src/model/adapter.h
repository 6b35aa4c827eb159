/* adapter.h -- what a LoRA adapter is made of. Private to model. */
#ifndef AE_ADAPTER_H
#define AE_ADAPTER_H

#include "model/chain.h"
#include "model/model_private.h"

struct ae_adapter {
    ae_lora_options options;
    int64_t n_layers;
    bool rope_interleaved; /* the order of B's rows for q and k: that of the model it was opened
                              over */
    ae_arena arena;
    ae_tensor *score; /* [1, D] F32: a head of its own; NULL: none */
    ae_lora *loras;   /* [L, AE_N_PROJ]; a == NULL: that projection has none */
    float *alphas;    /* [L, AE_N_PROJ]: of each; the options' where it is not its own */
    ae_named_param *params;
    int64_t n_params;
    ae_chain chain;   /* its texts live in the arena */
    const char *name; /* of its file, without folders; "" for a new one */
    double scale;     /* in the loras' already */
    bool trainable;
};

/* An adapter without projections, shaped for the model. */
aerie_status ae_adapter_begin(ae_adapter **out, const ae_model *m, bool trainable,
                              aerie_error *err);
/* Of one projection, where it may have its own. */
typedef struct {
    int64_t rank;
    float alpha;
} ae_lora_size;

/* Makes A and B of one projection (and DoRA's magnitudes), zero. Dropout and rslora are set. */
aerie_status ae_adapter_add(ae_adapter *a, const ae_model *m, int64_t layer, int projection,
                            const ae_lora_size *size, aerie_error *err);
/* Whether lora i has a rank or an alpha of its own; any of them. */
bool ae_adapter_is_special(const ae_adapter *a, int64_t i);
bool ae_adapter_has_special(const ae_adapter *a);
/* Makes its own head that scores, zero. */
aerie_status ae_adapter_add_score(ae_adapter *a, const ae_model *m, aerie_error *err);
/* 1 <= rank and so on, before anything is made. */
aerie_status ae_adapter_check_options(const ae_lora_options *o, const char *what, aerie_error *err);

/* Both give an adapter whose layout of rotation is the model's. */
aerie_status ae_adapter_read_gguf(ae_adapter **out, const char *path, const ae_model *m,
                                  bool trainable, aerie_error *err);
aerie_status ae_adapter_read_peft(ae_adapter **out, const char *folder, const ae_model *m,
                                  bool trainable, aerie_error *err);

typedef enum { AE_LORA_A, AE_LORA_B, AE_LORA_M } ae_lora_part;
typedef void ae_adapter_name_fn(const ae_param_site *site, ae_lora_part part,
                                char out[AE_PARAM_NAME + 64]);
/* `down`: the stored A. */
typedef ae_lora_size ae_adapter_size_fn(const void *user, const ae_param_site *site,
                                        const ae_stored_tensor *down);

/* A file of adapters. */
typedef struct {
    const ae_tensor_list *list;
    const char *path; /* for messages */
    ae_adapter_name_fn *name;
    const char *score; /* the name of the head that scores, which it may have */
    bool interleaved;  /* the layout of rotation of its rows of B of q and k */
    ae_adapter_size_fn *size_of;
    const void *user; /* of size_of */
} ae_adapter_source;

/* Fills every projection for which the file has all parts; rows of B of q and k are put into the
 * model's layout. */
aerie_status ae_adapter_fill(ae_adapter *a, const ae_model *m, const ae_adapter_source *source,
                             aerie_error *err);

#define AE_PEFT_SCORE "base_model.model.score.weight"
/* "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" */
ae_adapter_name_fn ae_adapter_peft_name;
/* Reads the file or the folder, whatever it lies over. */
aerie_status ae_adapter_read(ae_adapter **out, const char *path, const ae_model *m, bool trainable,
                             aerie_error *err);
/* A matrix whose rows of heads stand in the other layout of rotation (head_dim; 0: as they are),
 * row by row. */
typedef void ae_adapter_sink(void *file, const void *data, size_t bytes);
void ae_adapter_send(const ae_tensor *t, int64_t head_dim, bool to_interleaved,
                     ae_adapter_sink *sink, void *file);
/* PEFT's hints say int for alpha; a whole number is written as one. New. */
json_t *ae_adapter_number_json(double value);
/* The chain as it is to be saved over the model, as JSON. */
aerie_status ae_adapter_chain_text(const ae_adapter *a, const ae_model *m, ae_bytes *out,
                                   aerie_error *err);

#endif
