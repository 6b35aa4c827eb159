/* benchmark.h -- the field's benchmarks, as the harnesses that published tables ask them.
 *
 * A task ("arc_challenge", "mmlu", a YAML file of one's own) under a protocol ("lm-eval",
 * "leaderboard-v1"...) is a list of requests: likelihoods of continuations, or replies. A model in
 * this process answers them, or an OpenAI-compatible server, or a file of saved answers.
 * docs/evaluation.md tells of tasks, protocols, data and numbers. */
#ifndef AERIE_BENCHMARK_H
#define AERIE_BENCHMARK_H

#include "aerie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default everywhere. One of model, url and rescore says who answers. */
typedef struct {
    const char *const *tasks; /* names, groups, paths of YAML files */
    size_t n_tasks;
    const char *protocol; /* NULL: "lm-eval" */
    const char *data;     /* a folder with the tasks' files, or a file */
    bool sets_shots;      /* `shots` counts; else as the task says */
    int shots;
    int64_t limit;      /* documents of each task; 0: all */
    const char *system; /* system message of chat protocols */
    bool multiturn;     /* ... and shots as turns, not as one message */

    const char *out;  /* a folder for results.json and samples_TASK.jsonl; NULL: none */
    const char *keep; /* an SQLite file: what was answered is there at once, and not asked again;
                       * NULL: nothing is kept */
    bool fresh;       /* nothing of `keep` is used */
    const char *rescore; /* saved answers: lines of --log_samples, or {"prompt", "response"} */

    aerie_model *model;
    const char *identity; /* of `model`: what tells its answers from another's; NULL: its path */
    const char *chat_template; /* Jinja, or a known format's name; NULL: the model's own */
    int64_t parallel;          /* replies at once; 0: 32 */

    const char *url;          /* "http://localhost:11434/v1" */
    const char *remote_model; /* as that server calls it */
    const char *key;          /* sent as "Authorization: Bearer" to that server alone */
    int in_flight;            /* requests at once; 0: 8 */

    /* False stops with AERIE_INTERRUPTED. `done` and `total` count the task's requests. */
    bool (*progress)(void *user, const char *task, int64_t done, int64_t total);
    bool (*item)(void *user, const char *line); /* each item as a line of JSON */
    bool (*stop)(void *user);                   /* asked while waiting for a server */
    void *user;
} aerie_benchmark_options;

/* *json is the caller's (aerie_free): {"protocol", "bos", "results": {TASK: {"items", "shots",
 * "main", "metrics": {NAME: {"value", "stderr"}}, "requests", "merged", "prompts_sha256", ...}},
 * "groups": {NAME: {"tasks", "metrics"}}}. After a failure what was answered is kept. */
AERIE_API aerie_status aerie_benchmark(const aerie_benchmark_options *options, char **json,
                                       aerie_error *err);

/* The i-th task or group that is built in, and protocol; NULL past the end. */
AERIE_API const char *aerie_benchmark_task(size_t i);
AERIE_API const char *aerie_benchmark_protocol(size_t i, const char **about);

#ifdef __cplusplus
}
#endif
#endif
