/* benchmark_private.h -- what the files of benchmarks share. */
#ifndef AE_BENCHMARK_PRIVATE_H
#define AE_BENCHMARK_PRIVATE_H

#include "eval/benchmark.h"
#include "task/task.h"

#include <math.h>

/* ---- benchmark_keep.c: answers in an SQLite file ---- */

typedef struct ae_kept ae_kept;

/* What a request was answered. */
typedef struct {
    bool known;
    bool refused; /* who answers would not take it */
    bool merged;  /* a token spans the join of context and continuation */
    ae_response answer;
    ae_span reply; /* of a request for one */
    uint8_t key[32];
} ae_bench_answer;

aerie_status ae_kept_open(ae_kept **out, const char *path, aerie_error *err);
void ae_kept_close(ae_kept *k); /* NULL is fine */
/* Fills in what is kept under answer->key; a reply is the arena's. */
aerie_status ae_kept_find(ae_kept *k, ae_bench_answer *answer, ae_arena *arena, aerie_error *err);
/* Keeps an answer; its reply is borrowed until ae_kept_flush(): that comes by itself with the
 * first answer after a second. */
aerie_status ae_kept_put(ae_kept *k, const ae_bench_answer *answer, aerie_error *err);
aerie_status ae_kept_flush(ae_kept *k, aerie_error *err);
aerie_status ae_kept_result(ae_kept *k, const char *task, const char *identity, const char *json,
                            aerie_error *err);

/* ---- one task, being asked ---- */

typedef struct {
    const ae_benchmark_options *options;
    const ae_bench_model *who; /* NULL: rescoring */
    const ae_protocol *protocol;
    const char *name;
    const char *data; /* where its files are looked for */
    ae_task *task;
    ae_task_set *set;
    ae_arena arena;
    int64_t n_items, n_requests;
    int64_t *first;           /* [n_items + 1]: requests of item i are first[i] .. first[i+1] - 1 */
    ae_bench_answer *answers; /* [n_requests] */
    ae_kept *keep;            /* NULL: none */
    int64_t n_known, n_kept, n_refused;
    char why[256];             /* the first refusal's */
    int64_t parts, n_parts;    /* of long texts, those that were scored and all; 0: no such text */
    ae_saved_logits reference; /* of a divergence; closed where there is none */
    int64_t tokens, computed;  /* of texts that were asked about, and those that were computed */
    double seconds;
    aerie_status status; /* of a callback */
    aerie_error *err;
} ae_bench;

static inline const ae_task_request *ae_bench_request(const ae_bench *b, int64_t item, int64_t i)
{
    return &ae_task_set_at(b->set, (size_t)item)->requests[i - b->first[item]];
}
/* Tokens of a text that are read at once: the task's window, else what the model can. */
static inline int64_t ae_bench_longest(const ae_bench *b)
{
    int64_t window = ae_task_window(b->task);
    return window > 0 && (window < b->who->max_length || b->who->max_length <= 0)
               ? window
               : b->who->max_length;
}
/* Request i has its answer: keeps it and tells of it; false when that failed or was enough. */
bool ae_bench_told(ae_bench *b, int64_t i);
/* The failure where nothing of a task was answered. */
aerie_status ae_bench_all_refused(const ae_bench *b, aerie_error *err);
bool ae_bench_go_on(const ae_bench *b); /* shows how far it is; false: that was enough */

/* ---- benchmark.c ---- */
/* The requests of the task, in place of those that were there, of `docs` or, NULL, of the task's
 * data; nothing is answered. shots: -1 as the task says. */
aerie_status ae_bench_build(ae_bench *b, json_t *docs, int shots, aerie_error *err);

/* The hash as bytes. */
void ae_bench_end_key(ae_sha256 *hash, uint8_t key[32]);

/* ---- benchmark_ask.c ---- */
/* Asks for all that is not known. */
aerie_status ae_bench_ask(ae_bench *b, aerie_error *err);

/* ---- benchmark_tokens.c ---- */
/* As the protocol's BOS rule has it; ids are appended. */
aerie_status ae_bench_encode(const ae_tokenizer *t, ae_bos bos, ae_span text, ae_ids *ids,
                             aerie_error *err);
aerie_status ae_bench_ask_tokens(ae_bench *b, aerie_error *err);

/* ---- benchmark_divergence.c ---- */
/* The windows of the file `data` as the task's documents. */
aerie_status ae_bench_read_reference(ae_bench *b, aerie_error *err);
/* What tells this window's reference from another's. */
void ae_bench_add_reference(ae_sha256 *hash, const ae_bench *b, int64_t item);
aerie_status ae_bench_ask_divergence(ae_bench *b, const int64_t *list, int64_t n, aerie_error *err);
/* The tokens that an answer tells of; the caller's (ae_free). */
aerie_status ae_bench_diverged(ae_diverged_token **out, int64_t *n, const ae_bench_answer *answer,
                               aerie_error *err);
/* {"kl": {"value", "stderr"}, ...}, as llama.cpp's perplexity program reports them. */
json_t *ae_bench_divergence_json(const ae_diverged_token *tokens, int64_t n);

/* ---- benchmark_rescore.c ---- */
/* The set, and the answers, are those of a file. */
aerie_status ae_bench_read_samples(ae_bench *b, aerie_error *err);

/* ---- benchmark_column.c ---- */

/* One number of a task, from all items. */
typedef struct {
    const char *name;   /* "acc_norm" */
    const char *filter; /* "strict-match"; "none" */
    ae_aggregate aggregate;
    const ae_metric *metric;  /* NULL: of a checker */
    double *values, *weights; /* [n] */
    double squares;           /* sum over the items */
    int64_t n, room;
} ae_bench_column;

aerie_status ae_bench_column_add(ae_bench_column *c, double value, double weight, aerie_error *err);
void ae_bench_column_free(ae_bench_column *c);
double ae_bench_column_value(const ae_bench_column *c);
/* As the harness has them: analytic of means, of perplexity and F1 over its 100,000 resamples; NaN
 * of sums over sums. */
aerie_status ae_bench_column_error(double *out, ae_bench_column *c, aerie_error *err);

/* JSON has no word for what is not finite. */
static inline json_t *ae_bench_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* ---- benchmark_report.c ---- */
/* The task's results; each item is told and, with options->out, written. */
aerie_status ae_bench_report(json_t **out, ae_bench *b, aerie_error *err);

/* ---- benchmark_group.c ---- */
/* {"tasks", "metrics"} of a group from its tasks' results. */
json_t *ae_bench_group(const json_t *results, const char *const *names, size_t n, bool macro);

/* ---- benchmark_samples.c ---- */
/* A line of --log_samples for an item; `metrics` are its values, by name. `filter`: "none". */
aerie_status ae_bench_sample(json_t **out, const ae_bench *b, int64_t item, const char *filter,
                             ae_span filtered, const json_t *metrics, aerie_error *err);

#endif
