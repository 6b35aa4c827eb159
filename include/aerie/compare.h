/* compare.h -- several models on the same prompts, and which of them is better.
 *
 * Every model is asked in its own way; its replies are checked, judged in both orders or scored by
 * a reward model; then statistics of pairs say what follows, or how many more prompts it would
 * take. docs/comparing.md tells of the data, the checks and the numbers. */
#ifndef AERIE_COMPARE_H
#define AERIE_COMPARE_H

#include "aerie/judge.h"
#include "aerie/score.h"
#include "aerie/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One of the models. `path` or `url` says which kind; zero means the default elsewhere. */
typedef struct {
    const char *label; /* what it is called; NULL: its path, or its name at the server */

    const char *path;    /* of weights, loaded when it is its turn */
    aerie_model *opened; /* the weights at `path`, opened as `load` says; borrowed. NULL: they are
                          * opened when it is their turn */
    const aerie_model_options *load; /* adapters, threads, ...; NULL: every default */
    const char *chat_template;       /* Jinja, or a known format's name; NULL: the model's */
    int64_t context;                 /* tokens of a prompt and its reply; 0: as engines have it */

    const char *url;     /* "http://localhost:11434/v1": an OpenAI-compatible server */
    const char *model;   /* as that server calls it */
    const char *key;     /* sent as "Authorization: Bearer" to that server alone; NULL: none */
    const char *request; /* a JSON object laid over every request; null takes a key out */

    const char *system; /* goes before prompts without a system message of their own */
    const char *before; /* a JSON list of messages between that and the prompt; NULL: none */
    const aerie_sampling *sampling; /* NULL: aerie_sampling_default(). Repeat r draws with the seed
                                     * + r. Servers are told temperature, top_p and seed */
    const char *const *stop;        /* [n_stop]: a reply ends before the first of these */
    size_t n_stop;
    int64_t max_tokens; /* of a reply; 0: 512 */

    double price_prompt, price_reply; /* of a million tokens, any currency; 0: not counted */
    double price_hour;                /* of the machine that answers, in the same */
} aerie_contender;

/* Answers a line of JSON {"command", "id", "messages", "reply", "expected", "row"} with {"pass":
 * true or false} or a number; "row" is the prompt's row of the data. */
typedef aerie_judge_fn aerie_check_fn;

/* What is being done, for a progress line; false stops with AERIE_INTERRUPTED. */
typedef bool aerie_compare_progress_fn(void *user, const char *what, int64_t n_done, int64_t n);

typedef struct {
    const aerie_contender *contenders;
    size_t n_contenders;      /* 1 to 8 */
    const char *const *paths; /* of data */
    size_t n_paths;
    int64_t limit;          /* prompts; 0: all */
    int64_t repeats;        /* replies of every model to every prompt; 0: 1 */
    const char *checks;     /* a JSON list of checks of every prompt beside its own; NULL: none */
    const char *folder;     /* replies.jsonl and verdicts are kept here, and gone on from; made
                             * where it is missing */
    int64_t parallel;       /* replies at once; 0: 8 of a model here, 4 of a server */
    double timeout_seconds; /* without a byte from a server; 0: 300 */
    aerie_check_fn *check;  /* answers checks by program; the command is in the line's "command" */
    void *check_user;
    int64_t resamples; /* of bootstraps and permutations; 0: 10000 */
    uint64_t seed;     /* of those; 0: 1 */
    /* What decides: "judge", "reward", "checks" or "similarity"; NULL: the first of these that
     * there is. */
    const char *decide_by;
    aerie_compare_progress_fn *progress;
    void *user;
} aerie_compare_options;

typedef struct aerie_compare aerie_compare;

/* Reads the data, the checks and the replies of earlier runs. The options' texts must outlive the
 * handle. On failure *out is NULL. */
AERIE_API aerie_status aerie_compare_open(aerie_compare **out, const aerie_compare_options *options,
                                          aerie_error *err);
AERIE_API void aerie_compare_close(aerie_compare *c); /* NULL is fine */

/* Asks for every reply that is not there yet, one model after the other, and checks all. What has
 * been answered is kept at once: a run that was stopped or killed goes on where it was. */
AERIE_API aerie_status aerie_compare_ask(aerie_compare *c, aerie_error *err);

/* Then any of these two. Replies are judged two by two in both orders; `name` names the judge where
 * its verdicts are kept, `words` are as aerie_label_options has them. */
AERIE_API aerie_status aerie_compare_judge(aerie_compare *c, aerie_judge *judge, const char *name,
                                           const char *words, aerie_error *err);
AERIE_API aerie_status aerie_compare_reward(aerie_compare *c, aerie_model *reward_model,
                                            const aerie_score_options *options, aerie_error *err);

/* All that follows, as one JSON object; docs/comparing.md tells its keys. *json is the caller's
 * (aerie_free). */
AERIE_API aerie_status aerie_compare_report(aerie_compare *c, char **json, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
