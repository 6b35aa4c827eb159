/* memory.c -- how much memory a model needs, before it takes any. */
#include "api/api.h"

#include <stdio.h>

enum { DEFAULT_CONTEXT = 4096, DEFAULT_BATCH = 512, MOST_CONTEXT = 1 << 24 };

static aerie_status complete(aerie_memory_plan *plan, const ae_config *c, aerie_error *err)
{
    if (plan->n_ctx > MOST_CONTEXT)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a context of %lld is more than can be asked for; %d is the most (--ctx %d)",
                          (long long)plan->n_ctx, MOST_CONTEXT, MOST_CONTEXT);
    if (plan->n_ctx < 0 || plan->parallel < 0 || plan->parallel > 1024 || plan->max_batch < 0 ||
        plan->max_batch > 1 << 20)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a context of %lld for %lld sequences in batches of %lld makes no sense",
                          (long long)plan->n_ctx, (long long)plan->parallel,
                          (long long)plan->max_batch);
    if (!plan->n_ctx)
        plan->n_ctx = c->max_position < DEFAULT_CONTEXT ? c->max_position : DEFAULT_CONTEXT;
    if (!plan->parallel) plan->parallel = 1;
    if (!plan->max_batch) plan->max_batch = DEFAULT_BATCH;
    return AERIE_OK;
}

static ae_engine_options options_of(const aerie_model *m, const aerie_memory_plan *plan)
{
    return (ae_engine_options){ .device = m->device,
                                .net = ae_model_net(m->model),
                                .kv_type = m->kv_type,
                                .max_batch = plan->max_batch,
                                .max_sequences = plan->parallel };
}

/* In double: a context can be asked for that no machine could hold. */
static aerie_status cache_bytes(double *out, const aerie_model *m, const aerie_memory_plan *plan,
                                int64_t n_ctx, aerie_error *err)
{
    ae_engine_options o = options_of(m, plan);
    size_t bytes = 0;
    aerie_status status = ae_engine_kv_bytes(&bytes, &o, n_ctx, err);

    *out = (double)bytes * (double)plan->parallel;
    return status;
}

static uint64_t whole(double bytes)
{
    return bytes < 9e18 ? (uint64_t)bytes : (uint64_t)9e18;
}

static aerie_status rehearse(aerie_model *m, const aerie_memory_plan *plan, bool exact,
                             uint64_t *bytes, aerie_error *err)
{
    ae_engine_options o = options_of(m, plan);
    size_t touched = 0;
    aerie_status status = AERIE_OK;

    if (!exact) status = ae_model_pretend_packed(m->model, m->device, true, err);
    if (!status) status = ae_engine_rehearse(&o, plan->n_ctx, plan->parallel, &touched, err);
    if (!exact) ae_model_pretend_packed(m->model, m->device, false, NULL);
    *bytes = touched;
    return status;
}

/* What can be told without a rehearsal. */
static aerie_status first_guess(aerie_memory_need *need, aerie_model *m, bool exact,
                                aerie_error *err)
{
    const aerie_memory_plan *p = &need->plan;
    ae_memory_room room;
    uint64_t left;
    double cache;
    aerie_status status = cache_bytes(&cache, m, p, p->n_ctx, err);

    if (status) return status;
    ae_model_forget(m->model);
    need->base_bytes = ae_memory_resident();
    need->weight_bytes = exact ? 0 : ae_model_packed_bytes(m->model, m->device);
    need->mapped_bytes = ae_model_mapped_bytes(m->model, m->device, exact, p->n_ctx * p->parallel);
    need->cache_bytes = whole(cache);
    room = ae_memory_left();
    left = room.resident;
    /* The file's addresses are taken already. */
    if (room.address < UINT64_MAX && room.address + need->mapped_bytes < left)
        left = room.address + need->mapped_bytes;
    need->available_bytes = left < UINT64_MAX - need->base_bytes ? left + need->base_bytes : left;
    return AERIE_OK;
}

static void sum_up(aerie_memory_need *need)
{
    need->total_bytes =
        whole((double)need->weight_bytes + (double)need->mapped_bytes + (double)need->cache_bytes +
              (double)need->scratch_bytes + (double)need->base_bytes);
}

static aerie_status predict(aerie_memory_need *need, aerie_model *m, const aerie_model_options *o,
                            aerie_error *err)
{
    bool exact = o && o->exact;
    aerie_status status = complete(&need->plan, ae_model_config(m->model), err);

    if (!status) status = first_guess(need, m, exact, err);
    if (status) return status;
    sum_up(need);
    if (need->total_bytes > need->available_bytes) return AERIE_OK; /* that much is certain */
    status = rehearse(m, &need->plan, exact, &need->scratch_bytes, err);
    sum_up(need);
    return status;
}

/* "4.4 GB", "96.4 MB". */
static const char *size_text(char out[32], uint64_t bytes)
{
    bool giga = bytes >= 1000000000;

    snprintf(out, 32, "%.1f %s", (double)bytes / (giga ? 1e9 : 1e6), giga ? "GB" : "MB");
    return out;
}

/* The longest context that fits, in steps of 256; 0: none. */
static int64_t longest_context(const aerie_memory_need *need, const aerie_model *m)
{
    double others = (double)(need->total_bytes - need->cache_bytes), bytes;
    int64_t fits = 0, too_long = need->plan.n_ctx / 256 + 1;

    while (too_long - fits > 1) {
        int64_t middle = (fits + too_long) / 2;
        if (cache_bytes(&bytes, m, &need->plan, middle * 256, NULL)) return 0;
        if (others + bytes <= (double)need->available_bytes)
            fits = middle;
        else
            too_long = middle;
    }
    return fits * 256;
}

/* Whether keys and values of 8 bits would do. */
static bool smaller_cache_fits(const aerie_memory_need *need, const aerie_model *m)
{
    ae_engine_options o = options_of(m, &need->plan);
    double others = (double)(need->total_bytes - need->cache_bytes);
    size_t bytes;

    if (o.kv_type == AE_Q8_0) return false;
    o.kv_type = AE_Q8_0;
    return !ae_engine_kv_bytes(&bytes, &o, need->plan.n_ctx, NULL) &&
           others + (double)bytes * (double)need->plan.parallel <= (double)need->available_bytes;
}

static aerie_status refuse(const aerie_memory_need *need, const aerie_model *m, aerie_error *err)
{
    int64_t fits = longest_context(need, m);
    char total[32], have[32], weights[32], cache[32], advice[120];

    if (fits)
        snprintf(advice, sizeof advice, "a context of %lld fits (--ctx %lld)%s", (long long)fits,
                 (long long)fits,
                 smaller_cache_fits(need, m) ? ", and this one with --kv q8_0" : "");
    else
        snprintf(advice, sizeof advice,
                 "no context fits; close other programs or use a smaller quantization");
    return aerie_fail(
        err, AERIE_NO_MEMORY,
        "%s needs %s at a context of %lld for %lld (%s of weights, %s of keys and "
        "values), and %s can be had; %s",
        ae_model_path(m->model), size_text(total, need->total_bytes), (long long)need->plan.n_ctx,
        (long long)need->plan.parallel, size_text(weights, need->weight_bytes + need->mapped_bytes),
        size_text(cache, need->cache_bytes), size_text(have, need->available_bytes), advice);
}

aerie_status ae_api_check_memory(aerie_model *m, const aerie_model_options *o,
                                 const aerie_memory_plan *plan, aerie_error *err)
{
    int64_t trained = ae_model_config(m->model)->max_position;
    aerie_memory_need need = { .plan = *plan };
    aerie_status status = predict(&need, m, o, err);

    if (status) return status;
    if (need.total_bytes > need.available_bytes) return refuse(&need, m, err);
    if (need.plan.n_ctx > trained)
        ae_log(AERIE_LOG_WARNING,
               "%s was trained for a context of %lld; past it, of the %lld asked for, its replies "
               "may lose their sense",
               ae_model_path(m->model), (long long)trained, (long long)need.plan.n_ctx);
    return AERIE_OK;
}

aerie_status aerie_model_memory(const char *path, const aerie_model_options *options,
                                const aerie_memory_plan *plan, aerie_memory_need *out,
                                aerie_error *err)
{
    aerie_model *m = ae_alloc(1, sizeof *m);
    aerie_status status;

    *out = (aerie_memory_need){ 0 };
    if (plan) out->plan = *plan;
    if (!m) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a model");
    status = ae_api_map_model(m, path, options, err);
    if (!status) status = predict(out, m, options, err);
    aerie_model_close(m);
    return status;
}
