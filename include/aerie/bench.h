/* bench.h -- how fast a model runs on this machine. */
#ifndef AERIE_BENCH_H
#define AERIE_BENCH_H

#include "aerie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Tokens a second, over the repetitions. n 0: not measured. */
typedef struct {
    int n;
    double median, min, max;
} aerie_bench_rate;

enum { AERIE_BENCH_BATCHES = 16 };

typedef struct {
    int64_t n_prompt; /* tokens of the prompt that is timed; 0: not measured */
    int64_t n_reply;  /* tokens of each timed reply; 0: not measured */
    int64_t depth;    /* positions that the cache holds already when a reply begins */
    int64_t batches[AERIE_BENCH_BATCHES]; /* how many sequences decode together, a line each */
    int n_batches;                        /* 0: one line, of one sequence */
    int repetitions;                      /* 0: 3 */
    /* Called before every forward pass; `fraction` of the work is done. false: AERIE_INTERRUPTED.
     */
    bool (*progress)(void *user, double fraction, const char *what);
    void *user;
} aerie_bench_options;

typedef struct {
    int64_t sequences;
    aerie_bench_rate rate; /* of all sequences together */
} aerie_bench_reply;

typedef struct {
    aerie_bench_rate prompt;
    aerie_bench_reply replies[AERIE_BENCH_BATCHES];
    int n_replies;
} aerie_bench_result;

/* Times prompts, and replies decoded one token after another, over random token ids: a reply's end
 * is ignored. A prompt's time ends with its first token; a reply's begins there. A first short pass
 * is not counted. */
AERIE_API aerie_status aerie_bench(aerie_model *m, const aerie_bench_options *options,
                                   aerie_bench_result *out, aerie_error *err);

/* Computes the first token after a prompt of n_prompt random tokens, once, with nothing warmed up:
 * for the time from a program's start to it. */
AERIE_API aerie_status aerie_bench_first_token(aerie_model *m, int64_t n_prompt, aerie_error *err);

/* What the machine can do at best, a second, with the threads and instructions that the model's
 * device uses; 0: not known. A multiply-add is two operations. */
typedef struct {
    double read_bytes;       /* from memory */
    double byte_operations;  /* integer products of 8-bit numbers */
    double float_operations; /* float32 */
} aerie_bench_limits;
AERIE_API aerie_status aerie_bench_measure_limits(aerie_model *m, aerie_bench_limits *out,
                                                  aerie_error *err);

enum { AERIE_BENCH_OPS = 64 };

/* One kind of work: a product over one kind of weight, or another function. */
typedef struct {
    char name[40]; /* "linear q_proj Q4_K" */
    int64_t calls;
    double seconds;
    double bytes, operations; /* the least that it must move and compute */
    double limit_seconds;     /* what that takes at the machine's best */
} aerie_bench_op;

/* Where the time goes: ops by falling time; what is left of `seconds` is choosing tokens and
 * keeping order. */
typedef struct {
    int64_t tokens;
    double seconds;
    aerie_bench_op ops[AERIE_BENCH_OPS];
    int n_ops;
} aerie_bench_profile;

/* Takes apart the time of options->n_prompt tokens of a prompt, and of options->n_reply tokens of a
 * reply at options->depth; either profile is empty where its tokens are 0. */
AERIE_API aerie_status aerie_bench_profiles(aerie_model *m, const aerie_bench_options *options,
                                            const aerie_bench_limits *limits,
                                            aerie_bench_profile *prompt, aerie_bench_profile *reply,
                                            aerie_error *err);

/* The process's largest resident size so far, in bytes. */
AERIE_API uint64_t aerie_peak_memory(void);

#ifdef __cplusplus
}
#endif
#endif
