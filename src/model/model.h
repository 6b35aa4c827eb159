/* model.h -- the door of model: a decoder's configuration, weights and forward pass.
 *
 * A model is immutable once open and may be shared by sessions and threads; its weights lie in the
 * mapped file. What is trained lies over it: adapters, or a trainable copy of its parameters. */
#ifndef AE_MODEL_H
#define AE_MODEL_H

#include "format/format.h"
#include "nn/nn.h"
#include "text/text.h"

typedef enum {
    AE_ROPE_PLAIN,
    AE_ROPE_LINEAR,
    AE_ROPE_LLAMA3,
    AE_ROPE_FACTORS, /* a GGUF's rope_freqs.weight that no known formula gives */
    AE_ROPE_YARN     /* Peng et al., 2309.00071 */
} ae_rope_scaling_kind;

/* Named as in Hugging Face's config.json. */
typedef struct {
    char architecture[16]; /* GGUF's general.architecture: "llama", "qwen2" */
    char family[16];       /* Hugging Face's model_type: "llama", "mistral", "gemma3_text" */
    char name[128];
    int64_t vocab_size, hidden_size, intermediate_size, n_layers, n_heads, n_kv_heads, head_dim;
    int64_t max_position;   /* context length it was trained for */
    int64_t sliding_window; /* positions that a layer with a window sees; 0: none has */
    int64_t window_period;  /* of so many layers the last sees everything; 0: all have the window */
    double rope_theta;
    double rope_local_theta; /* of layers with a window, which are then not scaled; 0: the same */
    ae_rope_scaling_kind rope_scaling;
    double rope_factor, rope_low_freq_factor, rope_high_freq_factor;
    double rope_beta_fast, rope_beta_slow, rope_attention_factor; /* YaRN's */
    int64_t rope_original_max_position;
    bool rope_interleaved; /* the layout of q and k in memory: GGUF's "llama" is, Hugging Face's is
                              not */
    bool tied_head, qkv_bias, o_bias;
    bool score_head;       /* one number a token beside, or instead of, the vocabulary's: a reward
                              model's head, or a value function's */
    bool no_language_head; /* a reward model alone: nothing to predict tokens with; then not tied */
    bool qk_norm;          /* every head of q and k is normed before it is rotated */
    bool post_norms;       /* attention's and the MLP's outputs are normed before they are added */
    bool scaled_embedding; /* embeddings times sqrt(hidden_size) */
    ae_activation activation;
    double query_pre_attn_scalar; /* scores are divided by its root: head_dim, but in some Gemma */
    float attn_logit_softcapping, final_logit_softcapping; /* 0: none */
    float norm_eps;
} ae_config;

/* Positions that a layer's tokens see, themselves included; 0: all. */
int64_t ae_config_window(const ae_config *c, int64_t layer);

/* The weights of a layer that a matrix product uses, in the order of the parameter table. */
typedef enum {
    AE_PROJ_Q,
    AE_PROJ_K,
    AE_PROJ_V,
    AE_PROJ_O,
    AE_PROJ_GATE,
    AE_PROJ_UP,
    AE_PROJ_DOWN,
    AE_N_PROJ
} ae_proj_id;
/* "q_proj", "gate_proj": the names of recipes and PEFT. NULL out of range. */
const char *ae_proj_name(int id);

/* Everything a forward pass reads, model and adapters together. Borrows all of it. */
typedef struct {
    const ae_config *config;
    const ae_tensor *embedding;     /* [V, D] */
    const ae_tensor *norm;          /* [1, D] */
    const ae_tensor *head;          /* [V, D]; the embedding when tied; NULL: a reward model's */
    const ae_tensor *score;         /* [1, D] F32: the scalar head; NULL: there is none */
    const ae_decoder_layer *layers; /* [L] */
    const double *rope_freq;        /* [d / 2] */
    const double *rope_local_freq;  /* the same of layers with a window; NULL: no other */
    bool recompute;                 /* with a tape: keep layer inputs only */
    /* Rows of the batch under other adapters, each group by layers of its own; as
     * ae_decoder_layer_call has them. */
    const ae_row_group *groups;
    int64_t n_groups;
} ae_net;

/* Hidden states after the last norm, [T, D]. With caches the new positions are counted in. */
ae_tensor *ae_net_hidden(ae_ctx *cx, const ae_net *net, const ae_batch *batch);
/* Logits [n, V] of chosen rows of the hidden states. */
ae_tensor *ae_net_logits(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                         const int32_t *rows, int64_t n);
/* Scalars [n, 1] of chosen rows of the hidden states: score . hidden[rows[i]], no bias. A reward
 * model's are read at the last token of a reply, a value function's at every token that acts. Set
 * the result's gradient to d loss / d scalar and run the tape back: the head (when it is trained)
 * and all that lies beneath get theirs. A row may be asked for twice. */
ae_tensor *ae_net_scores(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                         const int32_t *rows, int64_t n);
/* ae_log_prob() of hidden states under the net's head. */
ae_tensor *ae_net_log_prob(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                           const ae_predictions *p, ae_tensor **mean);
/* The same, with ae_log_prob_top()'s. */
ae_tensor *ae_net_log_prob_top(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                               const ae_predictions *p, ae_tensor **top);
/* The same under softmax(logits / temperature), temperature > 0. Where logits are capped, 1 alone.
 */
ae_tensor *ae_net_log_prob_at(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                              const ae_predictions *p, float temperature, ae_tensor **mean);
/* The same, with ae_log_prob_entropy()'s. */
ae_tensor *ae_net_log_prob_entropy(ae_ctx *cx, const ae_net *net, const ae_tensor *hidden,
                                   const ae_predictions *p, float temperature, ae_tensor **entropy);

/* The tokenizer of a GGUF file (one with a vocabulary and no tensors is fine), of a Hugging Face
 * folder, or a bare tokenizer.model or tokenizer.json: without opening the weights. *out is the
 * caller's. */
aerie_status ae_model_open_tokenizer(ae_tokenizer **out, const char *path, aerie_error *err);

/* How a model's file wants conversations written, without opening the weights. */
typedef struct {
    char *source;    /* Jinja: the file's own, else a known format's; NULL: none */
    char *bos, *eos; /* the tokens' texts; NULL: none */
} ae_chat_format;
aerie_status ae_chat_format_open(ae_chat_format *out, const char *path, aerie_error *err);
void ae_chat_format_close(ae_chat_format *f); /* a zeroed one is fine */

typedef struct ae_model ae_model;

/* Opens a GGUF file or a Hugging Face folder. On AERIE_OK *out is the caller's, to be closed with
 * ae_model_close(). */
aerie_status ae_model_open(ae_model **out, const char *path, aerie_error *err);
void ae_model_close(ae_model *m);
const ae_config *ae_model_config(const ae_model *m);
const ae_net *ae_model_net(const ae_model *m);             /* no adapters */
const ae_tokenizer *ae_model_tokenizer(const ae_model *m); /* NULL: the file has none */
const char *ae_model_template(
    const ae_model *m); /* Jinja source (the file's own, else a known format's); NULL: none */
const char *ae_model_path(const ae_model *m);
/* Refuses a model with a norm, a bias, or scales of a quantized weight that are infinite or not a
 * number, by a sentence that names it: AERIE_BAD_FILE. Reads all quantized weights but the packed
 * ones, which were looked at when they were packed. Any block of any weight may be the one, so
 * whoever computes over a model that was not packed asks this first. */
aerie_status ae_model_check_scales(const ae_model *m, aerie_error *err);
/* Bytes that ae_model_pack() would take; 0: the device packs none of its weights. */
size_t ae_model_packed_bytes(const ae_model *m, const ae_device *device);
/* Gives back the memory of the file's pages that were read so far. */
void ae_model_forget(const ae_model *m);
/* Bytes of the matrices that a pass reads where they lie in the file: those that the device does
 * not pack (with `exact`: all), and the embedding, of which n_tokens random tokens are looked up.
 */
size_t ae_model_mapped_bytes(const ae_model *m, const ae_device *device, bool exact,
                             int64_t n_tokens);
/* For a rehearsal (ae_device.rehearse): while on, an unpacked model looks packed. */
aerie_status ae_model_pretend_packed(ae_model *m, const ae_device *device, bool on,
                                     aerie_error *err);
/* Lays out every weight that a product reads as the device wants it for inference: once, before the
 * model is shared. The weights in the file stay what they are to everybody who reads them, but
 * their memory is given back. A weight whose scales are not finite is AERIE_BAD_FILE. `progress`
 * (or NULL) hears the share that is done, 0 to 1; when it answers false: AERIE_INTERRUPTED. */
typedef bool ae_progress_fn(void *user, double share);
aerie_status ae_model_pack(ae_model *m, ae_device *device, ae_progress_fn *progress, void *user,
                           aerie_error *err);
/* QLoRA's base: quantizes the projections of a model from a file to NF4 in memory (those whose rows
 * are whole blocks of 64) and lets go of the file's. double_quant: with the scales that
 * bitsandbytes' double quantization keeps. To be called before the model is shared; its hash stays
 * the file's. Nothing is packed from it. n_threads 0: one per processor. A model of which it fails
 * can only be closed. */
aerie_status ae_model_load_in_nf4(ae_model *m, bool double_quant, int n_threads, aerie_error *err);
/* 64 hex digits over config and weights' bytes: identity for caches and provenance. Computed once.
 */
aerie_status ae_model_hash(const ae_model *m, char out[65], aerie_error *err);

/* One parameter, by the table that loading, saving, counting and the optimizer walk. */
typedef struct {
    const char *name; /* Hugging Face's: "model.layers.0.self_attn.q_proj.weight" */
    ae_tensor *tensor;
    bool decays; /* a matrix: weight decay applies; norms and biases: not */
} ae_named_param;
/* Fills up to `cap` entries, returns how many there are. Names live in the model. */
int64_t ae_model_params(const ae_model *m, ae_named_param *out, int64_t cap);
int64_t ae_model_param_count(const ae_model *m); /* numbers, not tensors */
size_t ae_model_weight_bytes(const ae_model *m); /* in the file */

/* A copy whose every parameter is F32 with a gradient: for training all of them. Tokenizer and
 * template are shared with `m`, which must outlive it. */
aerie_status ae_model_trainable(ae_model **out, const ae_model *m, aerie_error *err);

/* The head of a copy, or of an adapter, that is to score. */
typedef struct {
    bool score;         /* one number a token; false: the heads that the model has */
    bool zero;          /* a new one begins at zero, else at a normal's numbers, std 0.02 */
    bool drop_language; /* of a copy: a reward model has no use for the vocabulary's */
    uint64_t seed;      /* of new numbers, with the parameter's name */
} ae_head_options;
/* ae_model_trainable() with such a head: the model's own, or a new one. last_layers: only the last
 * so many layers are trained, with what follows them and a head that is not the embedding; the rest
 * stays `m`'s, as it lies, which then must stay open. 0: all. */
aerie_status ae_model_trainable_with(ae_model **out, const ae_model *m, const ae_head_options *head,
                                     int64_t last_layers, aerie_error *err);

/* To be called when the gradients of an optimizer step are complete: a tied head's are kept apart
 * until then, so that their sum does not depend on the micro-batches. */
void ae_model_gather_grads(ae_model *m);
/* A new model with random weights (normal, std 0.02; residual outputs std 0.02 / sqrt(2 L); norms
 * 1) from a config.json and a tokenizer's folder: what pre-training starts from. Parameters F32
 * with gradients. */
aerie_status ae_model_random(ae_model **out, const char *config_folder, uint64_t seed,
                             aerie_error *err);

/* Gives a model made in this process (trainable, random) the chat template that it was trained
 * with; saved along. The template of an open file's model is not to be changed: it is shared. */
aerie_status ae_model_set_template(ae_model *m, const char *jinja, aerie_error *err);

/* The model as the GGUF file that ae_model_save_gguf() would make of it, with its weights as they
 * lie: metadata by way of a small file at `scratch_path`, which is gone again, and tensors that are
 * borrowed from the model. *out is the caller's, to be closed before the model. */
aerie_status ae_model_as_gguf(ae_gguf **out, const ae_model *m, const char *scratch_path,
                              aerie_error *err);
/* Whether the rows of such a tensor lie in another order; then row r of GGUF's is row order[r]. */
bool ae_model_gguf_order(const ae_model *m, const char *gguf_name, int64_t *order);

/* Writes GGUF (type F32, F16, BF16 or Q8_0 for matrices; vectors stay F32) or a Hugging Face folder
 * (config.json, model.safetensors in F32, F16 or BF16, tokenizer files). Atomic. */
aerie_status ae_model_save_gguf(const ae_model *m, const char *path, ae_dtype type,
                                aerie_error *err);
aerie_status ae_model_save_hf(const ae_model *m, const char *folder, ae_dtype type,
                              aerie_error *err);

/* One thing that went into weights. */
typedef struct {
    char hash[65];
    const char *name; /* of its file; "": not known */
    double scale;     /* of an adapter */
} ae_chain_link;

/* Where an adapter comes from, or what was merged into a model. */
typedef struct {
    char base[65];         /* hash of the model beneath; "": not said */
    const char *base_name; /* NULL: not said, as of all below */
    const char *method;    /* "dpo" */
    const char *load_in;   /* "nf4": the base was quantized for training */
    char recipe[65];       /* SHA-256 of the recipe's keys that change numbers; "": not said */
    ae_chain_link *parents, *data; /* adapters beneath, in order, or merged; SHA-256 of files */
    int n_parents, n_data;
} ae_chain;
/* What was merged into a model, as its file says; no base when nothing was. Borrowed. */
const ae_chain *ae_model_chain(const ae_model *m);

typedef struct ae_adapter ae_adapter;

typedef struct {
    int64_t rank;
    float alpha, dropout;
    bool rslora, dora;
    bool targets[AE_N_PROJ];
    int64_t last_layers;  /* a new one: over the last so many layers alone; 0: over all */
    ae_head_options head; /* PEFT's modules_to_save: a head that is the adapter's own, whole */
} ae_lora_options;

/* A new adapter: A uniform in +-1/sqrt(in) (PEFT's kaiming_uniform(sqrt 5)), B zero; gradients
 * allocated. */
aerie_status ae_adapter_new(ae_adapter **out, const ae_model *m, const ae_lora_options *options,
                            uint64_t seed, aerie_error *err);
/* The first layer that is trained when the last `last_layers` are; 0: all are. */
static inline int64_t ae_first_trained(int64_t n_layers, int64_t last_layers)
{
    return last_layers > 0 && last_layers < n_layers ? n_layers - last_layers : 0;
}
/* Takes the head that scores away from what was made with one, so that it is not saved: a value
 * function has done its work when training ends. Nothing to do where there is none. */
void ae_model_drop_score(ae_model *m);
void ae_adapter_drop_score(ae_adapter *a);
/* Gives an adapter with a head of its own the numbers of the net's, when that has one: the net that
 * the adapter is about to be laid over. */
void ae_adapter_take_head(ae_adapter *a, const ae_net *net);
/* DoRA: makes the norms of the rows that its numbers ask for; to be called before the net is used,
 * and again whenever A or B have changed. `start`: sets the magnitudes to them, so that a new
 * adapter changes nothing. Does nothing for another adapter. */
aerie_status ae_adapter_norms(ae_adapter *a, const ae_model *m, ae_device *device, bool start,
                              aerie_error *err);
/* An adapter file (GGUF of type adapter) or a PEFT folder. `trainable`: with gradients. An adapter
 * that says which model it was trained over opens over no other, but over one into which that model
 * was merged. */
aerie_status ae_adapter_open(ae_adapter **out, const char *path, const ae_model *m, bool trainable,
                             aerie_error *err);
/* Adapters that are to lie one over another, from "FILE" or "FILE=SCALE" each: out [n] gets them in
 * order, the caller's. One that says what it was trained over is laid over that alone: the model,
 * and every adapter that lay beneath it, in their order; with any_base a warning is all that a
 * mismatch gets. On failure none is open. */
aerie_status ae_adapters_open(ae_adapter **out, const char *const *specs, int n, const ae_model *m,
                              bool any_base, aerie_error *err);
/* Writes an adapter file, or a PEFT folder, with its chain: the hash of the model, and what was
 * set. Atomic; of a folder each file. */
aerie_status ae_adapter_save(const ae_adapter *a, const char *path, const ae_model *m,
                             aerie_error *err);
aerie_status ae_adapter_save_peft(const ae_adapter *a, const char *folder, const ae_model *m,
                                  aerie_error *err);
void ae_adapter_close(ae_adapter *a); /* NULL is fine */
/* Records which adapters lie beneath, in order: to be called before saving one trained over them.
 */
aerie_status ae_adapter_set_beneath(ae_adapter *a, ae_adapter *const *beneath, int n,
                                    aerie_error *err);
/* Records what it is learned from: to be called before saving. base and parents of `c` do not
 * matter; everything is copied. */
aerie_status ae_adapter_set_origin(ae_adapter *a, const ae_chain *c, aerie_error *err);
const ae_chain *ae_adapter_chain(const ae_adapter *a); /* borrowed */
/* What all of it is multiplied with: 1, or as it was opened. */
double ae_adapter_scale(const ae_adapter *a);
/* Where the weight of that name stands for ae_adapters_merge_row(); -1: none of them changes it. */
int64_t ae_adapters_site(const char *gguf_name, const ae_model *m, ae_adapter *const *adapters,
                         int n);
/* Makes of a row of the base's weight, as a GGUF file of the model has it, what the net with the
 * adapters computes with. DoRA's norms are made. */
void ae_adapters_merge_row(float *row, int64_t site, int64_t gguf_row, const ae_model *m,
                           ae_adapter *const *adapters, int n);
/* The chain of a model into which they are merged, as JSON; under AE_CHAIN_KEY. */
#define AE_CHAIN_KEY "aerie.chain"
aerie_status ae_adapters_merged_chain(ae_bytes *out, const ae_model *m, ae_adapter *const *adapters,
                                      int n, aerie_error *err);
/* A head of its own that scores, [1, D]; NULL: none. GGUF's name of such. */
const ae_tensor *ae_adapter_score(const ae_adapter *a);
#define AE_GGUF_SCORE "cls.output.weight"
/* 64 hex digits over its numbers. */
void ae_adapter_hash(const ae_adapter *a, char out[65]);
/* Rank, alpha and targets; for showing. */
const ae_lora_options *ae_adapter_options(const ae_adapter *a);
int64_t ae_adapter_params(const ae_adapter *a, ae_named_param *out, int64_t cap);

/* The model with adapters laid over it, in order; the head that scores is the last one's. The net
 * and its layers live in `arena`. */
aerie_status ae_net_with_adapters(ae_net *out, ae_arena *arena, const ae_model *m,
                                  ae_adapter *const *adapters, int n_adapters, aerie_error *err);

#endif
