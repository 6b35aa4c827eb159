/* train.h -- the door of train: recipes, and the loop that follows them. */
#ifndef AE_TRAIN_H
#define AE_TRAIN_H

#include "aerie/selftest.h"
#include "aerie/train.h"
#include "data/data.h"
#include "model/model.h"

typedef enum {
    AE_METHOD_PRETRAIN,
    AE_METHOD_SFT,
    AE_METHOD_DPO,
    AE_METHOD_ORPO,
    AE_METHOD_SIMPO,
    AE_METHOD_CPO,
    AE_METHOD_KTO,
    AE_METHOD_BCO,
    AE_METHOD_REWARD,
    AE_METHOD_CRLFT,
    AE_METHOD_PPO,
    AE_METHOD_APA,
    AE_METHOD_AWR,
    AE_METHOD_GRPO,
    AE_METHOD_RLOO
} ae_method;

typedef enum { AE_OPTIM_ADAMW, AE_OPTIM_RMSPROP } ae_optim;

typedef enum {
    AE_LR_COSINE,
    AE_LR_LINEAR,
    AE_LR_CONSTANT,
    AE_LR_CONSTANT_WITH_WARMUP,
    AE_LR_COSINE_MIN
} ae_lr_kind;

/* A rate for every optimizer step, as transformers does: step k, counted from 0, uses the rate of k
 * (so that a warmed-up first step has rate 0), except cosine_with_min_lr, OpenChat's, whose steps
 * count from 1. */
typedef struct {
    ae_lr_kind kind;
    double base, min_ratio;
    int64_t n_steps, n_warmup;
} ae_schedule;
double ae_schedule_rate(const ae_schedule *s, int64_t step);
/* OpenChat's automatic peak: base * sqrt(tokens / 4e6), `tokens` those of a step that are learned.
 */
double ae_auto_rate(double base, double tokens);

typedef enum {
    AE_DPO_SIGMOID,
    AE_DPO_HINGE,
    AE_DPO_IPO,
    AE_DPO_IPO_SUM,
    AE_DPO_ROBUST,
    AE_DPO_EXO_PAIR,
    AE_DPO_NCA_PAIR,
    AE_DPO_BCO_PAIR,
    AE_DPO_SPPO_HARD,
    AE_DPO_APO_ZERO,
    AE_DPO_APO_DOWN,
    AE_DPO_DISCOPOP,
    AE_DPO_SIGMOID_NORM,
    AE_DPO_AOT, /* of a whole step: see ae_dpo_terms_of() */
    AE_DPO_AOT_UNPAIRED,
    AE_DPO_SFT, /* of no pair by itself: a part of a mixture, see pairs.h */
    AE_N_DPO
} ae_dpo_loss;

typedef enum {
    AE_REVERSE_KL,
    AE_FORWARD_KL,
    AE_JS_DIVERGENCE,
    AE_ALPHA_DIVERGENCE,
    AE_N_DIVERGENCE
} ae_f_divergence;

typedef struct {
    ae_dpo_loss loss;
    ae_f_divergence divergence;
    double beta, label_smoothing;
    double tau;       /* discopop */
    double f_alpha;   /* alpha divergence */
    double rpo_alpha; /* weight of the chosen answer's mean negative log-likelihood, added */
    double ld_alpha;  /* weight of the tokens past the shorter answer's length; 1: as any */
    double gamma;     /* SimPO's margin */
    bool reference_free;
} ae_dpo_options;

/* Sums of log-probabilities of two answers, under the policy and the reference. */
typedef struct {
    double chosen, rejected, ref_chosen, ref_rejected;
    double n_chosen, n_rejected; /* tokens */
} ae_dpo_pair;

typedef struct {
    double loss;
    double d_chosen, d_rejected; /* d loss / d log-probability, of this pair alone */
    double reward_chosen, reward_rejected;
    double level; /* of methods of single replies: what rewards are compared with */
} ae_dpo_term;
/* A loss of a whole step as if the step had this pair alone: sigmoid's. */
void ae_dpo_term_of(ae_dpo_term *out, const ae_dpo_options *options, const ae_dpo_pair *pair);
/* Losses whose terms depend on the other pairs of the step. */
bool ae_dpo_is_of_step(ae_dpo_loss loss);
/* The n pairs of a step, of any loss. Their losses add up to the step's (before it is divided). */
aerie_status ae_dpo_terms_of(ae_dpo_term *out, const ae_dpo_options *options,
                             const ae_dpo_pair *pairs, int64_t n, aerie_error *err);
/* "sigmoid", "ipo"...; NULL out of range. */
const char *ae_dpo_loss_name(int loss);
const char *ae_divergence_name(int divergence);

typedef enum { AE_LORA_GGUF, AE_LORA_PEFT } ae_lora_format;

typedef enum { AE_LOAD_AS_STORED, AE_LOAD_NF4, AE_LOAD_NF4_DOUBLE_QUANT } ae_load_in;

/* By which evaluation the best state is chosen. */
typedef enum { AE_BEST_LOSS, AE_BEST_ACCURACY, AE_BEST_MARGIN, AE_BEST_REWARD } ae_best_metric;

typedef enum { AE_RECOMPUTE_AUTO, AE_RECOMPUTE_ALWAYS, AE_RECOMPUTE_NEVER } ae_recompute_when;

typedef struct {
    const char **items;
    int64_t n;
} ae_texts;

enum { AE_MAX_LIST = 8 };

typedef struct {
    int64_t n;
    int items[AE_MAX_LIST];
} ae_words;

typedef struct {
    int64_t n;
    double items[AE_MAX_LIST];
} ae_numbers;

typedef struct {
    const char *path;
    const ae_column *columns; /* none: named as this build names them */
    size_t n_columns;
    double fraction; /* of its samples, from the front */
} ae_source;

typedef struct {
    ae_source *items;
    int64_t n;
} ae_sources;

/* Of methods that learn from their own samples; see online.h for what the numbers do. */
typedef struct {
    int64_t samples, max_new_tokens, epochs, minibatches, parallel; /* epochs 0: the method's own */
    double temperature;
    int source; /* ae_reward_source */
    const char *command, *begins, *ends, *model, *adapter;
    const char *url, *key_file, *prompt, *judge_request; /* of a judge, whose name is `model` */
    int64_t length, mark_low, mark_high, in_flight, judge_tokens;
    int scale; /* 1: by the running deviation */
    bool whiten;
    double clip, missing_eos;
    int kl; /* ae_kl_kind */
    double kl_coef, kl_target, kl_horizon;
    double clip_low, clip_high, dual_clip, clip_value, value_coef, gamma, lambda;
    bool value_head;
    double entropy_coef, apa_lambda, awr_c;
    int norm, group_scale; /* ae_grpo_norm, ae_group_scale */
} ae_online_options;

/* A recipe read and checked. Every string lives in `arena`. */
typedef struct {
    ae_arena arena;
    const char *path;  /* for messages */
    const char *text;  /* the file's; "" without one */
    uint64_t given[4]; /* bit i: key i of the table is said by the recipe itself */
    int method;        /* ae_method */
    const char *model, *model_config, *output, *template_name;
    ae_texts adapters;
    ae_sources data, eval_data;
    int output_type; /* index into f32, f16, bf16, q8_0; see ae_recipe_output_type() */
    double learning_rate, auto_learning_rate; /* NaN: the other is given */
    double min_lr_rate, warmup_ratio, epochs;
    int lr_kind; /* ae_lr_kind */
    int64_t warmup_steps, max_steps;
    int64_t batch_size, batch_tokens, micro_batch_tokens, max_length, max_prompt_length;
    int packing, train_on, keep; /* 1: wrapped; ae_train_on; ae_keep */
    int ranked_answers;          /* ae_ranked_pairs */
    double min_margin;
    bool score_margins;
    bool empty_system, train_header, append_eos;
    double label_smoothing, max_grad_norm;
    int optim; /* ae_optim */
    double weight_decay, adam_beta1, adam_beta2, adam_epsilon, rmsprop_alpha;
    double beta, discopop_tau, f_alpha, rpo_alpha, ld_alpha;
    ae_texts class_weights, class_prefixes; /* names and values in turns */
    int class_prompt;                       /* 1: in the system message */
    const char *end_of_turn;
    bool per_sequence_loss, bf16_weights;
    ae_words loss_type; /* ae_dpo_loss; several: a mixture */
    ae_numbers loss_weights;
    int divergence; /* ae_f_divergence */
    double gamma, cpo_alpha, desirable_weight, undesirable_weight;
    bool reference_free, shared_prefix, shuffle;
    int reward_loss; /* ae_reward_loss */
    int head_init;   /* 1: zero */
    double center_rewards_coefficient;
    int64_t max_ranked_answers, max_completion_length;
    double expect_first_loss; /* NaN: not said */
    int64_t expect_step;
    ae_numbers expect_loss, expect_margin; /* two each: from, to */
    int recompute;                         /* ae_recompute_when */
    int load_in;                           /* ae_load_in */
    int64_t seed;
    int64_t last_layers; /* trained; 0: all */
    int64_t lora_r;      /* 0: all parameters are trained */
    double lora_alpha, lora_dropout;
    bool lora_rslora, lora_dora;
    int lora_format; /* ae_lora_format */
    ae_texts lora_targets;
    int64_t save_steps, logging_steps, eval_steps, threads;
    bool keep_best;
    int best_metric; /* ae_best_metric */
    int64_t patience;
    double min_delta;
    ae_online_options online;
} ae_recipe;

/* path NULL: every default. Settings are "key=value", laid over the file's. On failure nothing is
 * left to free. */
aerie_status ae_recipe_load(ae_recipe *out, const char *path, const char *const *settings,
                            size_t n_settings, aerie_error *err);
void ae_recipe_free(ae_recipe *recipe);
ae_dtype ae_recipe_output_type(const ae_recipe *recipe);
const char *ae_recipe_method(const ae_recipe *recipe); /* "dpo" */
/* Every key with its value, a line each, in the table's order. `identity`: only keys that change
 * what is computed, which a checkpoint must agree with. */
void ae_recipe_print(const ae_recipe *recipe, bool identity, ae_bytes *out);
/* The template the data is rendered with: the recipe's file or known name, else the model's. *out
 * is owned by the caller (ae_free); NULL: there is none. */
aerie_status ae_recipe_template(char **out, const ae_recipe *recipe, const ae_model *model,
                                aerie_error *err);

/* Quantizes an open model as the recipe's `load_in` asks. */
aerie_status ae_recipe_load_in(const ae_recipe *recipe, ae_model *model, ae_device *device,
                               aerie_error *err);

/* The samples of a recipe's files; what lies in the items belongs to `parts`. */
typedef struct {
    ae_samples all;    /* `all.items`: of every part */
    ae_samples *parts; /* one a source */
    int64_t n_parts;
} ae_recipe_samples;

/* Reads, renders and tokenizes `sources` as the recipe says. template_source may be NULL when
 * nothing needs one. On failure nothing is left to free. */
aerie_status ae_recipe_read(ae_recipe_samples *out, const ae_recipe *recipe,
                            const ae_sources *sources, const ae_model *model,
                            const char *template_source, aerie_error *err);
void ae_recipe_samples_free(ae_recipe_samples *s);

/* Scores of a recipe's judge: scores [n], one an item. */
typedef aerie_status ae_train_judge_fn(void *user, double *scores, const aerie_reward_item *items,
                                       int64_t n, aerie_error *err);

typedef struct {
    bool resume, dry_run;
    bool any_base; /* a warning where a frozen adapter was trained over another model */
    const char *template_source; /* Jinja that the trained model is to carry; NULL: what it has */
    aerie_train_progress_fn *progress; /* may be NULL */
    void *user;
    aerie_reward_fn *reward; /* may be NULL */
    void *reward_user;
    ae_train_judge_fn *judge; /* may be NULL: for 'reward: {source: judge}' */
    void *judge_user;
    const char *runs; /* the record of runs; NULL: none */
} ae_train_run;

/* The loop, given what it needs. `eval` may be NULL; `summary` not. Sets and model stay the
 * caller's. */
aerie_status ae_train(const ae_recipe *recipe, ae_device *device, ae_model *model,
                      const ae_samples *data, const ae_samples *eval, const ae_train_run *run,
                      aerie_train_summary *summary, aerie_error *err);

/* aerie_lint() of an open recipe. */
aerie_status ae_lint(const ae_recipe *recipe, ae_device *device, ae_model *model,
                     const char *template_source, aerie_lint_fn *show, void *user,
                     aerie_lint_summary *summary, aerie_error *err);

/* The golden cases; see aerie/selftest.h. */
aerie_status ae_selftest(const char *golden_folder, ae_device *device, aerie_selftest_fn *show,
                         void *user, aerie_selftest_summary *summary, aerie_error *err);

#endif
