/* train.h -- training by a recipe: pretrain, sft, preferences, reward models, and
 * methods that sample.
 *
 * One call runs one stage from start to end. A recipe is a YAML file (docs/recipes.md lists its
 * keys); settings given here override it. While it runs, metrics are written as JSON lines beside
 * the output and checkpoints are replaced atomically, so that a stage that was killed goes on, bit
 * for bit, with `resume`. */
#ifndef AERIE_TRAIN_H
#define AERIE_TRAIN_H

#include "aerie/error.h"
#include "aerie/hub.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    AERIE_TRAIN_READING,   /* opening the model, reading the data; step and n_steps are 0 */
    AERIE_TRAIN_REFERENCE, /* log-probabilities under the starting weights; step counts pairs */
    AERIE_TRAIN_STEP,      /* an optimizer step is done; step counts from 1 */
    AERIE_TRAIN_EVAL,      /* loss (and margin, accuracy) over eval_data; of replies their reward */
    AERIE_TRAIN_SAVING,    /* writing the output */
    AERIE_TRAIN_WITHIN /* before each forward pass of a step: nothing new but a chance to stop */
} aerie_train_phase;

typedef struct {
    aerie_train_phase phase;
    int64_t step, n_steps;
    double loss;              /* the method's, mean over what the step learns from */
    double learning_rate;     /* of the step */
    double grad_norm;         /* L2, over all that is trained, before it is clipped */
    int64_t tokens;           /* computed so far, before an interruption too */
    double tokens_per_second; /* a running figure */
    double seconds_left;
    bool has_rewards; /* methods of preferences: the next four mean something, or are NaN */
    double reward_chosen, reward_rejected, margin, accuracy;
    double mean_reward;  /* reward: of all scores; else NaN */
    bool has_replies;    /* methods that sample: the next ones mean something */
    double reward;       /* mean score of the step's replies, as the source gave it */
    double kl;           /* mean over replies of the sum over tokens of logp - reference */
    double reply_tokens; /* mean length */
} aerie_train_progress;

/* Called after every step, and within it. Anything but 0 stops: a checkpoint is written and
 * aerie_train() returns AERIE_INTERRUPTED. A step that was stopped within is done again when the
 * run goes on, to the same bits. (Within a step of several updates the later ones are waited for,
 * unless an adapter is trained.) */
typedef int aerie_train_progress_fn(void *user, const aerie_train_progress *progress);

/* A sampled reply that waits for its score. Borrowed for the call. */
typedef struct {
    const char *row;    /* the prompt's record in the data, as JSON; NULL: there is none */
    const char *reply;  /* text, '\0'-terminated */
    size_t reply_len;   /* bytes */
    const int32_t *ids; /* [n_tokens], with the token that ended it */
    int64_t n_tokens;
    bool ended; /* by itself, not by the limit */
} aerie_reward_item;

/* Where scores come from when the recipe says 'reward: {source: command}' or 'caller': fills
 * scores[n], the larger the better. `command` is the recipe's reward.command, or NULL. A failure's
 * sentence ends the training. */
typedef aerie_status aerie_reward_fn(void *user, const char *command,
                                     const aerie_reward_item *items, size_t n, double *scores,
                                     aerie_error *err);

typedef struct {
    const char *const *settings; /* "learning_rate=1e-4", "lora.r=16": over the recipe's own */
    size_t n_settings;
    bool resume;                /* go on from the checkpoint beside the output */
    bool any_base;              /* lay frozen adapters over whatever model is given */
    bool dry_run;               /* read everything, plan, estimate; train and write nothing */
    const char *cpu;            /* "auto", "avx2", ...; NULL: auto */
    int threads;                /* 0: the recipe's, else one per processor */
    const aerie_places *places; /* where a model's name is looked up; NULL: models are paths */
    const char *runs;           /* the file where runs are recorded (aerie/runs.h); NULL: nowhere */
    aerie_train_progress_fn *progress;
    void *user;
    aerie_reward_fn *reward; /* NULL: the recipe's built-in sources alone */
    void *reward_user;
    const char *judge_key; /* for the server of 'reward: {source: judge}'; NULL: none, or the
                            * recipe's reward.key_file */
} aerie_train_options;

typedef struct {
    int64_t n_steps, first_step;  /* first_step > 0: resumed after that many */
    int64_t n_done;               /* of all steps, at the end */
    double first_loss, last_loss; /* of this run's steps */
    double eval_loss;             /* NaN without eval_data, and of methods that sample */
    double eval_reward;           /* of those: the mean score of replies to eval_data; else NaN */
    int64_t best_step;            /* of the best evaluation; the output is its with `keep_best` */
    double best;                  /* that, by the recipe's best_metric; 0 when best_step is */
    bool ended_early;             /* evaluations got no better */
    int64_t tokens;
    double seconds;
    size_t memory_bytes; /* what the run is expected to need, about */
    size_t peak_bytes;   /* largest resident size of the process */
    char output[1024];   /* what was written */
    char plan[8192];     /* a text for people: settings, samples, steps, memory */
} aerie_train_summary;

/* Runs one stage. `recipe_path` may be NULL when the settings say everything. `options` and
 * `summary` may be NULL. Paths in a recipe start from the working folder. */
AERIE_API aerie_status aerie_train(const char *recipe_path, const aerie_train_options *options,
                                   aerie_train_summary *summary, aerie_error *err);

/* Something that aerie_lint() found: once for each kind. Texts are good until the call returns. */
typedef struct {
    const char *check; /* "double_bos", "eos_not_trained"...: docs/recipes.md lists them */
    bool wrong;        /* training would go wrong; else it is worth knowing */
    int64_t count;
    const char *what;      /* a sentence with a remedy */
    const char *places[5]; /* the first ones: "pairs.jsonl:12", "train.parquet: row 3" */
    int n_places;
} aerie_lint_finding;

typedef struct {
    int64_t n_records; /* looked at */
    int n_wrong;       /* findings that would go wrong */
} aerie_lint_summary;

typedef void aerie_lint_fn(void *user, const aerie_lint_finding *finding);

/* Reads everything that a recipe would train on and tells what would go wrong, before it does. Bad
 * rows are findings; a recipe or model that cannot be opened is an error. */
AERIE_API aerie_status aerie_lint(const char *recipe_path, const aerie_train_options *options,
                                  aerie_lint_fn *show, void *user, aerie_lint_summary *summary,
                                  aerie_error *err);

/* One token of a training sample as it would be trained on. */
typedef struct {
    int32_t id;
    float weight;     /* of predicting it; 0: read, not learned */
    const char *text; /* its bytes, not '\0'-terminated */
    size_t text_len;
} aerie_train_token;

/* `part` is "sample", "prompt", "chosen", "rejected", "wanted", "unwanted", or, of ranked replies,
 * "rank 1" and so on. Anything but 0 stops, without an error. */
typedef int aerie_train_sample_fn(void *user, int64_t index, const char *part,
                                  const aerie_train_token *tokens, int64_t n_tokens);

/* Shows the first `limit` samples (0: all) that the recipe makes, of `data_path` when it is not
 * NULL, else of the recipe's own data. */
AERIE_API aerie_status aerie_train_samples(const char *recipe_path,
                                           const aerie_train_options *options,
                                           const char *data_path, int64_t limit,
                                           aerie_train_sample_fn *show, void *user,
                                           aerie_error *err);

/* What a recipe says, without opening a model or reading data. */
typedef struct {
    char method[32], model[1024], output[1024]; /* model: or the folder of 'model_config' */
    bool adapter;  /* the output is one, over `model` and the recipe's adapters */
    char hash[65]; /* SHA-256 of the settings that change what is written */
} aerie_recipe_facts;

/* A file that the recipe reads: "data", "eval_data", "adapter" (in order), "reward". Anything but 0
 * stops with AERIE_INTERRUPTED. */
typedef int aerie_recipe_file_fn(void *user, const char *role, const char *path);

/* Data that is not there is AERIE_NOT_FOUND. `file` may be NULL: then nobody looks for it. */
AERIE_API aerie_status aerie_recipe_look(const char *recipe_path, const char *const *settings,
                                         size_t n_settings, aerie_recipe_facts *out,
                                         aerie_recipe_file_fn *file, void *user, aerie_error *err);

/* The i-th key that a recipe may have, with its documentation; false past the end. Strings are
 * constants. */
typedef struct {
    const char *name, *kind, *default_text, *doc;
    const char *(*word)(
        int i); /* of a kind "word": the i-th that is allowed, NULL past the end; else NULL */
} aerie_recipe_key;
AERIE_API bool aerie_recipe_key_at(size_t i, aerie_recipe_key *out);

#ifdef __cplusplus
}
#endif
#endif
