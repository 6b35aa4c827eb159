/* bench.c -- the public face of speed: prompts and replies over random tokens, timed. */
#include "api/bench_run.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_REPETITIONS = 64, MOST_SEQUENCES = 512 };

uint64_t aerie_peak_memory(void)
{
    return ae_peak_rss_bytes();
}

/* A decoded token reads all weights, as a pass of some ten prompt tokens does. */
enum { REPLY_TOKEN_WORK = 10 };

static bool stop(void *user)
{
    const ae_bench *b = user;
    const aerie_bench_options *o = b->options;
    if (!o->progress) return false;
    double fraction = b->work > 0 ? (double)b->work_done / (double)b->work : 0;
    return !o->progress(o->user, fraction < 1 ? fraction : 1, b->what);
}

int32_t *ae_bench_ids(int64_t n, int64_t vocab_size, uint64_t seed)
{
    int32_t *ids = ae_alloc((size_t)n, sizeof *ids);
    for (int64_t i = 0; ids && i < n; i++)
        ids[i] = (int32_t)(ae_mix64(seed << 32 | (uint64_t)i) % (uint64_t)vocab_size);
    return ids;
}

static int by_value(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

static aerie_bench_rate rate_of(double *samples, int n)
{
    qsort(samples, (size_t)n, sizeof *samples, by_value);
    double middle = samples[n / 2];
    if (n % 2 == 0) middle = 0.5 * (middle + samples[n / 2 - 1]);
    return (aerie_bench_rate){ n, middle, samples[0], samples[n - 1] };
}

/* ---- prompts ---- */

typedef struct {
    ae_bench *bench;
    double first_token_at;
} prompt_run;

static bool on_first_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    prompt_run *run = user;
    (void)request, (void)reply, (void)id;
    run->first_token_at = ae_clock_seconds();
    return false;
}

static bool stop_prompt(void *user)
{
    return stop(((prompt_run *)user)->bench);
}

aerie_status ae_bench_prompt(ae_bench *b, const int32_t *ids, int64_t n, double *seconds,
                             aerie_error *err)
{
    prompt_run run = { .bench = b };
    ae_engine_events events = { .user = &run, .token = on_first_token, .stop = stop_prompt };
    ae_request r = {
        .prompt = ids, .n_prompt = n, .max_tokens = 1, .context = n + 8, .ignore_eog = true
    };
    double start = ae_clock_seconds();
    aerie_status status = ae_engine_run(b->engine, &r, 1, &events, NULL, err);
    *seconds = run.first_token_at - start;
    b->work_done += n;
    return status;
}

static aerie_status bench_prompt(ae_bench *b, int repetitions, aerie_bench_rate *out,
                                 aerie_error *err)
{
    int64_t n = b->options->n_prompt;
    double samples[MOST_REPETITIONS];
    aerie_status status = AERIE_OK;
    int32_t *ids = ae_bench_ids(n, b->vocab_size, 1);
    if (!ids) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    b->what = "prompt";
    for (int i = 0; i < repetitions && !status; i++) {
        double seconds;
        status = ae_bench_prompt(b, ids, n, &seconds, err);
        samples[i] = (double)n / seconds;
    }
    ae_free(ids);
    if (!status) *out = rate_of(samples, repetitions);
    return status;
}

/* ---- replies ---- */

/* Sequences that decode together. Their clock starts when each has its first token; windows of
 * n_reply tokens a sequence are then timed one behind the other. */
typedef struct {
    ae_bench *bench;
    int64_t sequences, n_reply;
    bool *started; /* [sequences] */
    int64_t n_started, drawn;
    double window_began;
    double *samples;
    int n_samples, wanted;
} reply_run;

static void end_window(reply_run *run)
{
    double now = ae_clock_seconds();
    run->samples[run->n_samples++] = (double)run->drawn / (now - run->window_began);
    run->window_began = now;
    run->drawn = 0;
}

static bool on_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    reply_run *run = user;
    (void)reply, (void)id;
    if (run->n_started < run->sequences) {
        if (!run->started[request]) run->n_started++;
        run->started[request] = true;
        if (run->n_started == run->sequences) {
            if (run->bench->begins) run->bench->begins(run->bench->user);
            run->window_began = ae_clock_seconds();
        }
        return true;
    }
    run->bench->work_done += REPLY_TOKEN_WORK;
    run->drawn++;
    if (run->n_samples < run->wanted && run->drawn == run->sequences * run->n_reply)
        end_window(run);
    return run->n_samples < run->wanted;
}

static bool stop_reply(void *user)
{
    return stop(((reply_run *)user)->bench);
}

aerie_status ae_bench_replies(ae_bench *b, int64_t sequences, int windows, double *samples,
                              aerie_error *err)
{
    int64_t n_prompt = b->options->depth > 0 ? b->options->depth : 1;
    /* The first to be through with its prompt decodes while the others' are computed. */
    int64_t early = sequences * (n_prompt / b->max_batch + 1);
    reply_run run = { .bench = b,
                      .sequences = sequences,
                      .n_reply = b->options->n_reply,
                      .samples = samples,
                      .wanted = windows };
    ae_engine_events events = { .user = &run, .token = on_token, .stop = stop_reply };
    ae_request *requests = ae_alloc((size_t)sequences, sizeof *requests);
    int32_t *ids = ae_bench_ids(n_prompt * sequences, b->vocab_size, 2);
    run.started = ae_alloc((size_t)sequences, sizeof *run.started);
    aerie_status status = AERIE_OK;
    if (!requests || !ids || !run.started)
        status =
            aerie_fail(err, AERIE_NO_MEMORY, "no memory for %lld sequences", (long long)sequences);
    for (int64_t i = 0; i < sequences && !status; i++)
        requests[i] = (ae_request){ .prompt = ids + i * n_prompt,
                                    .n_prompt = n_prompt,
                                    .context = n_prompt + run.n_reply * windows + early + 8,
                                    .ignore_eog = true };
    if (!status) status = ae_engine_run(b->engine, requests, sequences, &events, NULL, err);
    b->work_done += n_prompt * sequences;
    ae_free(run.started);
    ae_free(ids);
    ae_free(requests);
    return status;
}

/* At a depth, all repetitions share one long prompt, for it would take most of the time. */
static aerie_status bench_reply(ae_bench *b, int repetitions, aerie_bench_reply *out,
                                aerie_error *err)
{
    double samples[MOST_REPETITIONS];
    aerie_status status = AERIE_OK;
    b->what = "reply";
    if (b->options->depth > 0)
        status = ae_bench_replies(b, out->sequences, repetitions, samples, err);
    else
        for (int i = 0; i < repetitions && !status; i++)
            status = ae_bench_replies(b, out->sequences, 1, &samples[i], err);
    if (!status) out->rate = rate_of(samples, repetitions);
    return status;
}

/* ---- all of it ---- */

static int64_t most_sequences(const aerie_bench_options *o)
{
    int64_t most = 1;
    for (int i = 0; i < o->n_batches; i++)
        if (o->batches[i] > most) most = o->batches[i];
    return most;
}

static aerie_status check(const aerie_bench_options *o, aerie_error *err)
{
    const int64_t most = INT32_MAX / 4;
    if (o->n_prompt < 0 || o->n_reply < 0 || o->n_prompt + o->n_reply < 1 || o->n_prompt > most ||
        o->n_reply > most)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "give a prompt (-p) or a reply (-n) of at least one token");
    if (o->depth < 0 || o->depth > most)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a depth of %lld makes no sense; give 0 or more",
                          (long long)o->depth);
    if (o->repetitions < 0 || o->repetitions > MOST_REPETITIONS)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%d repetitions; choose 1 to %d", o->repetitions,
                          MOST_REPETITIONS);
    if (o->n_batches < 0 || o->n_batches > AERIE_BENCH_BATCHES)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%d batch sizes; the most is %d", o->n_batches,
                          AERIE_BENCH_BATCHES);
    for (int i = 0; i < o->n_batches; i++)
        if (o->batches[i] < 1 || o->batches[i] > MOST_SEQUENCES)
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "%lld sequences together; choose 1 to %d",
                              (long long)o->batches[i], MOST_SEQUENCES);
    return AERIE_OK;
}

aerie_status ae_bench_open(ae_bench *b, aerie_model *m, ae_device *device,
                           const aerie_bench_options *o, aerie_error *err)
{
    aerie_status status = check(o, err);
    if (status) return status;
    *b = (ae_bench){ .options = o, .vocab_size = ae_model_config(m->model)->vocab_size };
    b->max_batch = 512;
    ae_engine_options options = { .device = device,
                                  .net = &m->net,
                                  .kv_type = m->kv_type,
                                  .max_batch = b->max_batch,
                                  .max_sequences = most_sequences(o),
                                  .speculate = AE_SPECULATE_OFF }; /* every token by itself */
    return ae_engine_open(&b->engine, &options, err);
}

aerie_status ae_bench_warm_up(ae_bench *b, aerie_error *err)
{
    int32_t ids[32];
    double seconds;
    for (int i = 0; i < 32; i++) ids[i] = (int32_t)(i % b->vocab_size);
    b->what = "warming up";
    return ae_bench_prompt(b, ids, 32, &seconds, err);
}

static void plan(ae_bench *b, aerie_bench_result *out, int repetitions)
{
    const aerie_bench_options *o = b->options;
    int64_t prompts = o->depth > 0 ? o->depth : repetitions; /* see bench_reply() */
    out->n_replies = o->n_reply == 0 ? 0 : o->n_batches > 0 ? o->n_batches : 1;
    b->work = 32 + o->n_prompt * repetitions;
    for (int i = 0; i < out->n_replies; i++) {
        int64_t sequences = o->n_batches > 0 ? o->batches[i] : 1;
        out->replies[i].sequences = sequences;
        b->work += sequences * (prompts + REPLY_TOKEN_WORK * o->n_reply * repetitions);
    }
}

aerie_status aerie_bench(aerie_model *m, const aerie_bench_options *options,
                         aerie_bench_result *out, aerie_error *err)
{
    ae_bench b = { 0 };
    int repetitions = options->repetitions > 0 ? options->repetitions : 3;
    *out = (aerie_bench_result){ 0 };
    aerie_status status = ae_bench_open(&b, m, m->device, options, err);
    if (!status) {
        plan(&b, out, repetitions);
        status = ae_bench_warm_up(&b, err);
    }
    if (!status && options->n_prompt > 0) status = bench_prompt(&b, repetitions, &out->prompt, err);
    for (int i = 0; i < out->n_replies && !status; i++)
        status = bench_reply(&b, repetitions, &out->replies[i], err);
    ae_engine_close(b.engine);
    return status;
}

aerie_status aerie_bench_first_token(aerie_model *m, int64_t n_prompt, aerie_error *err)
{
    aerie_bench_options options = { .n_prompt = n_prompt };
    ae_bench b = { 0 };
    double seconds;
    int32_t *ids = NULL;
    aerie_status status = ae_bench_open(&b, m, m->device, &options, err);
    if (!status && !(ids = ae_bench_ids(n_prompt, b.vocab_size, 1)))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    if (!status) status = ae_bench_prompt(&b, ids, n_prompt, &seconds, err);
    ae_engine_close(b.engine);
    ae_free(ids);
    return status;
}

aerie_status aerie_bench_measure_limits(aerie_model *m, aerie_bench_limits *out, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_device_limits limits;
    aerie_status status = m->device->limits(m->device, &arena, &limits);
    ae_arena_free(&arena);
    *out =
        (aerie_bench_limits){ limits.read_bytes, limits.byte_operations, limits.float_operations };
    if (status) aerie_fail(err, status, "no memory to measure how fast it can be read");
    return status;
}
