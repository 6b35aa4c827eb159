/* engine.c -- opening an engine, and running an array of requests to its end. */
#include "infer/engine_private.h"

aerie_status ae_engine_open(ae_engine **out, const ae_engine_options *options, aerie_error *err)
{
    *out = NULL;
    ae_engine *e = ae_alloc(1, sizeof *e);
    if (!e) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an engine");
    e->options = *options;
    if (e->options.max_batch <= 0) e->options.max_batch = 512;
    if (e->options.kv_ahead <= 0) e->options.kv_ahead = 256;
    if (e->options.max_sequences <= 0) e->options.max_sequences = 32;
    if (e->options.max_batch < e->options.max_sequences)
        e->options.max_batch = e->options.max_sequences;
    aerie_status status = ae_sampler_open(&e->sampler, options->net->config->vocab_size, err);
    if (!status && options->prefix_cache_positions > 0)
        status = ae_prefixes_open(&e->prefixes, options->prefix_cache_positions, err);
    if (status) {
        ae_engine_close(e);
        return status;
    }
    *out = e;
    return AERIE_OK;
}

void ae_engine_close(ae_engine *e)
{
    if (!e) return;
    ae_arena_free(&e->step);
    ae_arena_free(&e->draft_step);
    ae_sampler_close(&e->sampler);
    ae_free(e->logits);
    ae_prefixes_close(e->prefixes);
    ae_free(e);
}

size_t ae_engine_scratch_peak(const ae_engine *e)
{
    return e->step.peak;
}

int64_t ae_engine_prefixes_held(const ae_engine *e)
{
    return e->prefixes ? ae_prefixes_held(e->prefixes) : 0;
}

static bool is_over(const ae_run *run)
{
    return !run->first && ae_run_sequences(run) == 0;
}

aerie_status ae_engine_run(ae_engine *e, const ae_request *requests, int64_t n_requests,
                           const ae_engine_events *events, ae_engine_stats *stats, aerie_error *err)
{
    ae_run *run;
    bool more;
    aerie_status status = ae_run_open(&run, e, events, stats, err);

    for (int64_t i = 0; i < n_requests && !status; i++)
        status = ae_run_submit(run, &requests[i], i, err);
    while (!status && !is_over(run))
        if (events && events->stop && events->stop(events->user))
            status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
        else
            status = ae_run_step(run, &more, err);
    ae_run_close(run);
    return status;
}
