/* model.h -- opening a model, asking what it is, converting it. */
#ifndef AERIE_MODEL_H
#define AERIE_MODEL_H

#include "aerie/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aerie_model aerie_model;

typedef enum {
    AERIE_USE_REPLIES,    /* prompts and replies to them */
    AERIE_USE_SCORES,     /* aerie_perplexity() with windows of n_ctx */
    AERIE_USE_LOGITS,     /* logits of n_ctx tokens of a text at once */
    AERIE_USE_IMPORTANCE, /* aerie_imatrix() with chunks of n_ctx */
    AERIE_USE_REWARDS     /* aerie_score() of n_ctx tokens at once, a prompt's and its responses' */
} aerie_memory_use;

/* What a model is to be used for. Zero means the default everywhere. */
typedef struct {
    int64_t n_ctx;    /* positions of a sequence, prompt and reply; 0: the model's own, at most 4096
                       * (of scores and rewards 2048; of logits and importance 512) */
    int64_t parallel; /* sequences at once; 0: 1 */
    int64_t max_batch; /* tokens of one pass; 0: 512 */
    aerie_memory_use use;
    int64_t prefix_tokens; /* of earlier prompts that are kept, as aerie_generate_options has them;
                            * 0: none */
    const char *draft;     /* the path of a smaller model that guesses ahead; NULL: none */
} aerie_memory_plan;

/* How much of a model is loaded, 0 to 1; false stops with AERIE_INTERRUPTED. */
typedef bool aerie_load_fn(void *user, double share);

/* Zero means the default everywhere. */
typedef struct {
    int threads;                 /* 0: one per processor */
    const char *cpu;             /* "auto" (NULL), "ref", "avx2", "avxvnni", "avx512", "neon" */
    const char *const *adapters; /* LoRA adapters laid over the model, in order: "FILE" (GGUF, or a
                                  * PEFT folder) or "FILE=SCALE" */
    int n_adapters;
    bool any_base; /* a warning instead of a failure where an adapter was trained over another model
                    */
    bool exact; /* products in float32 over the weights as the file has them: slow, for comparison.
                 * Otherwise activations are rounded to 8 bits before a quantized weight */
    bool pin;   /* keep each thread, the calling one included, to a processor of its own */
    const char *kv; /* keys and values of past tokens are kept as "f16" (NULL), "f32", "q8_0".
                     * Where texts are scored they are in float32, and the text is read at once,
                     * unless a type is named */
    aerie_load_fn *on_load; /* NULL: nobody asks */
    void *user;             /* for on_load */
    /* Not NULL: a model that needs more memory for this than there is, is not loaded
     * (AERIE_NO_MEMORY, with the settings that would fit); nor does it do later, with the same
     * sentence, what would need more than this and than there is. */
    const aerie_memory_plan *plan;
} aerie_model_options;

/* Whether this machine can compute as they say (cpu, kv, threads, pin), before there is a model. */
AERIE_API aerie_status aerie_model_options_check(const aerie_model_options *options,
                                                 aerie_error *err);

/* Opens a GGUF file or a Hugging Face folder (config.json, safetensors, tokenizer). Quantized
 * weights are laid out for this processor; the others stay in the mapped file. On AERIE_OK *out is
 * the caller's, to be closed with aerie_model_close(); on failure *out is NULL. `options` may be
 * NULL. */
AERIE_API aerie_status aerie_model_open(aerie_model **out, const char *path,
                                        const aerie_model_options *options, aerie_error *err);
AERIE_API void aerie_model_close(aerie_model *m); /* NULL is fine */

typedef struct {
    const char *architecture, *name, *path; /* borrowed, end with the model */
    int64_t n_parameters, n_layers, hidden_size, n_heads, n_kv_heads, vocab_size, context_length;
    uint64_t weight_bytes;
    int threads;
    const char *device; /* "cpu avx512" */
} aerie_model_info;
AERIE_API void aerie_model_describe(const aerie_model *m, aerie_model_info *out);

/* Borrowed: it belongs to the model and ends with it. NULL when the file carries none. */
AERIE_API const aerie_tokenizer *aerie_model_tokenizer(const aerie_model *m);
/* The chat template's Jinja source; NULL when there is none. Borrowed. */
AERIE_API const char *aerie_model_chat_template(const aerie_model *m);

/* What a chat template speaks of: Jinja, Ollama's Go templates, or a known format's name. What it
 * says nothing of it does not write: tools and their calls would be lost, and a system message be
 * refused. */
typedef struct {
    bool tools, system;
    bool thinking; /* of thoughts before a reply, as "<think>...</think>" */
} aerie_chat_traits;
AERIE_API aerie_chat_traits aerie_chat_traits_of(const char *chat_template);
/* Whether its tokens can ask for what belongs between two texts. */
AERIE_API bool aerie_model_inserts(const aerie_model *m);

/* The memory that a process needs at the end of a plan's contexts. */
typedef struct {
    aerie_memory_plan plan; /* as given, defaults filled in */
    uint64_t weight_bytes;  /* weights laid out for this processor */
    uint64_t mapped_bytes;  /* those used where they lie in the file */
    uint64_t cache_bytes;   /* keys and values */
    uint64_t prefix_bytes;  /* those of earlier prompts that are kept */
    uint64_t draft_bytes;   /* the model that guesses ahead: weights, cache, scratch */
    uint64_t scratch_bytes; /* what a pass computes with */
    uint64_t base_bytes;    /* the program, and the tokenizer */
    uint64_t total_bytes;
    uint64_t available_bytes; /* what this machine has for it, base included */
} aerie_memory_need;

/* Predicts it before anything is loaded. `options` (or NULL) as for aerie_model_open(). */
AERIE_API aerie_status aerie_model_memory(const char *path, const aerie_model_options *options,
                                          const aerie_memory_plan *plan, aerie_memory_need *out,
                                          aerie_error *err);

/* What a model or adapter file holds, as one JSON object {"kind", "config", "tensors", ...}; *json
 * is the caller's (aerie_free). For data files see aerie_train_samples(). */
AERIE_API aerie_status aerie_inspect(const char *path, char **json, aerie_error *err);

/* Reads all weights of a file: AERIE_BAD_FILE, with a sentence that names the tensor, where one has
 * scales (or, of a type without, numbers) that are infinite or not a number. threads 0: one per
 * processor. *n_tensors (or NULL): how many were read. */
AERIE_API aerie_status aerie_check_weights(const char *path, int threads, int64_t *n_tensors,
                                           aerie_error *err);

/* One tensor of two files of the same model. */
typedef struct {
    const char *name, *type, *against_type; /* until the call returns */
    int64_t rows, cols;
    uint64_t bytes;  /* in the first file */
    double rmse;     /* root of the mean square difference */
    double max;      /* largest difference */
    double relative; /* rmse over the root mean square of `against` */
} aerie_weight_difference;
/* False stops with AERIE_INTERRUPTED. */
typedef bool aerie_weight_difference_fn(void *user, const aerie_weight_difference *d);

/* What the weights of a file have lost against those of another (a quantized model against its
 * original), tensor by tensor. Both GGUF, or both safetensors. threads 0: one per processor. */
AERIE_API aerie_status aerie_compare_weights(const char *path, const char *against, int threads,
                                             aerie_weight_difference_fn *each, void *user,
                                             aerie_error *err);

/* Writes an adapter of the model at `model_path` as another file: `to` "gguf" (NULL), which
 * llama.cpp and Ollama read, or "hf", PEFT's folder. any_base: as aerie_model_options has it. */
AERIE_API aerie_status aerie_convert_adapter(const char *in_path, const char *model_path,
                                             const char *out_path, const char *to, bool any_base,
                                             aerie_error *err);

/* Writes a model as another file: `to` "gguf" or "hf"; `type` "f32", "f16", "bf16" or "q8_0" (GGUF
 * only). NULL type: f16. Nothing appears at `out_path` unless all of it could be written. */
AERIE_API aerie_status aerie_convert(const char *in_path, const char *out_path, const char *to,
                                     const char *type, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
