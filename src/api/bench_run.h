/* bench_run.h -- what bench.c and profile.c share: runs over random tokens. Private to api. */
#ifndef AE_API_BENCH_RUN_H
#define AE_API_BENCH_RUN_H

#include "aerie/bench.h"
#include "api/api.h"

typedef struct {
    ae_engine *engine;
    const aerie_bench_options *options;
    int64_t vocab_size, max_batch;
    int64_t work_done, work; /* tokens of prompts, plus what a decoded token costs in them */
    const char *what;
    void (*begins)(void *user); /* called when a reply's clock starts; may be NULL */
    void *user;
} ae_bench;

/* Checks the options; `device` runs the model. ae_engine_close(b->engine) ends it. */
aerie_status ae_bench_open(ae_bench *b, aerie_model *m, ae_device *device,
                           const aerie_bench_options *options, aerie_error *err);
/* Maps pages, fills caches, wakes threads. */
aerie_status ae_bench_warm_up(ae_bench *b, aerie_error *err);
/* Ids that cost what real ones cost: spread over the vocabulary, the same in every run. The
 * caller's; NULL: no memory. */
int32_t *ae_bench_ids(int64_t n, int64_t vocab_size, uint64_t seed);
/* Seconds from a request to its first token. */
aerie_status ae_bench_prompt(ae_bench *b, const int32_t *ids, int64_t n, double *seconds,
                             aerie_error *err);
/* Tokens a second of `windows` windows of options->n_reply tokens a sequence, in one go. */
aerie_status ae_bench_replies(ae_bench *b, int64_t sequences, int windows, double *samples,
                              aerie_error *err);

#endif
