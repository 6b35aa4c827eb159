/* memory.c -- how much memory a model needs, before it takes any. */
#include "api/api.h"
#include "quant/quant.h"

#include <stdio.h>

enum { DEFAULT_BATCH = 512, MOST_CONTEXT = 1 << 24 };

/* What is asked about. */
typedef struct {
    aerie_model *m, *draft; /* draft: NULL, none */
    bool is_loaded;         /* both; otherwise they are mapped alone */
} subject;

static int64_t default_context(aerie_memory_use use)
{
    if (use == AERIE_USE_REPLIES) return 4096;
    return use == AERIE_USE_SCORES || use == AERIE_USE_REWARDS ? 2048 : 512;
}

/* Whether a text is read a part at a time, its keys and values kept. */
static bool uses_cache(const aerie_model *m, aerie_memory_use use)
{
    bool may = use == AERIE_USE_SCORES || use == AERIE_USE_LOGITS;

    return use == AERIE_USE_REPLIES || (may && m->kv_named);
}

static aerie_status complete(aerie_memory_plan *plan, const ae_config *c, aerie_error *err)
{
    if (plan->n_ctx > MOST_CONTEXT)
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT,
            "a context of %lld is more than can be asked for; %d is the most (--ctx %d)",
            (long long)plan->n_ctx, MOST_CONTEXT, MOST_CONTEXT);
    if (plan->n_ctx < 0 || plan->parallel < 0 || plan->parallel > 1024 || plan->max_batch < 0 ||
        plan->max_batch > 1 << 20 || plan->prefix_tokens > MOST_CONTEXT)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a context of %lld for %lld sequences in batches of %lld makes no sense",
                          (long long)plan->n_ctx, (long long)plan->parallel,
                          (long long)plan->max_batch);
    if (!plan->n_ctx) plan->n_ctx = ae_min64(c->max_position, default_context(plan->use));
    if (!plan->parallel || plan->use != AERIE_USE_REPLIES) plan->parallel = 1;
    if (!plan->max_batch) plan->max_batch = DEFAULT_BATCH;
    if (plan->prefix_tokens < 0) plan->prefix_tokens = 0;
    return AERIE_OK;
}

static ae_engine_options options_of(const aerie_model *m, const aerie_memory_plan *plan)
{
    return (ae_engine_options){ .device = m->device,
                                .net = ae_model_net(m->model),
                                .kv_type = m->kv_type,
                                .max_batch = plan->max_batch,
                                .max_sequences = plan->parallel,
                                .score_in_cache = m->kv_named };
}

/* The draft model's passes (infer/draft.c). */
static ae_engine_options draft_options_of(const subject *s, const aerie_memory_plan *plan)
{
    ae_engine_options o = options_of(s->m, plan);

    o.net = ae_model_net(s->draft->model);
    o.max_batch = AE_DRAFT_PASS;
    o.speculate = AE_SPECULATE_OFF;
    return o;
}

static int64_t draft_context(const subject *s, const aerie_memory_plan *plan)
{
    return ae_min64(plan->n_ctx, ae_model_config(s->draft->model)->max_position);
}

/* Of n_ctx positions of every sequence. In double: a context can be asked for that no machine could
 * hold. */
static aerie_status cache_bytes(double *out, const aerie_model *m, const aerie_memory_plan *plan,
                                int64_t n_ctx, aerie_error *err)
{
    ae_engine_options o = options_of(m, plan);
    size_t bytes = 0;
    aerie_status status = AERIE_OK;

    if (uses_cache(m, plan->use)) status = ae_engine_kv_bytes(&bytes, &o, n_ctx, err);
    *out = (double)bytes * (double)plan->parallel;
    return status;
}

static uint64_t whole(double bytes)
{
    return bytes < 9e18 ? (uint64_t)bytes : (uint64_t)9e18;
}

static size_t packed_bytes(const aerie_model *m)
{
    return m->exact ? 0 : ae_model_packed_bytes(m->model, m->device);
}

/* Makes a model that is not loaded look packed while it rehearses. */
static aerie_status pretend(const subject *s, aerie_model *m, bool on, aerie_error *err)
{
    if (s->is_loaded || m->exact) return AERIE_OK;
    return ae_model_pretend_packed(m->model, m->device, on, err);
}

/* The sums that aerie_imatrix() collects. */
static size_t importance_bytes(const aerie_model *m)
{
    ae_collector *c = NULL;
    size_t held = ae_alloc_bytes(), bytes = 0;

    if (ae_collector_new(&c, ae_model_net(m->model), NULL) == AERIE_OK)
        bytes = ae_alloc_bytes() - held;
    ae_collector_free(c);
    return bytes;
}

static aerie_status run_passes(const subject *s, const aerie_memory_plan *plan, int64_t n_ctx,
                               size_t *bytes, aerie_error *err)
{
    ae_engine_options o = options_of(s->m, plan);
    aerie_status status;

    if (plan->use == AERIE_USE_REPLIES)
        return ae_engine_rehearse(&o, n_ctx, plan->parallel, bytes, err);
    if (plan->use == AERIE_USE_REWARDS)
        return ae_reward_rehearse(o.device, o.net, n_ctx > 2 ? n_ctx : 2, bytes, err);
    if (plan->use == AERIE_USE_IMPORTANCE) o.score_in_cache = false;
    status = ae_engine_rehearse_text(&o, n_ctx > 2 ? n_ctx : 2, plan->use == AERIE_USE_LOGITS,
                                     bytes, err);
    if (plan->use == AERIE_USE_IMPORTANCE) *bytes += importance_bytes(s->m);
    return status;
}

static aerie_status rehearse(const subject *s, const aerie_memory_plan *plan, int64_t n_ctx,
                             uint64_t *bytes, aerie_error *err)
{
    size_t touched = 0;
    aerie_status status = pretend(s, s->m, true, err);

    if (!status) status = run_passes(s, plan, n_ctx, &touched, err);
    pretend(s, s->m, false, NULL);
    *bytes = touched;
    return status;
}

static aerie_status rehearse_draft(const subject *s, const aerie_memory_plan *plan, uint64_t *bytes,
                                   aerie_error *err)
{
    ae_engine_options o = draft_options_of(s, plan);
    size_t touched = 0;
    aerie_status status = pretend(s, s->draft, true, err);

    if (!status)
        status = ae_engine_rehearse(&o, draft_context(s, plan), plan->parallel, &touched, err);
    pretend(s, s->draft, false, NULL);
    *bytes += touched;
    return status;
}

/* Its weights, if they are not loaded, and its cache. */
static aerie_status guess_draft(aerie_memory_need *need, const subject *s, aerie_error *err)
{
    const aerie_memory_plan *p = &need->plan;
    ae_engine_options o = draft_options_of(s, p);
    const aerie_model *d = s->draft;
    size_t cache = 0, weights = 0;
    aerie_status status = ae_engine_kv_bytes(&cache, &o, draft_context(s, p), err);

    if (!s->is_loaded)
        weights = packed_bytes(d) + ae_model_mapped_bytes(d->model, d->device, d->exact,
                                                          draft_context(s, p) * p->parallel);
    need->draft_bytes = whole((double)weights + (double)cache * (double)p->parallel);
    return status;
}

static aerie_status guess_prefixes(aerie_memory_need *need, const subject *s, aerie_error *err)
{
    ae_engine_options o = options_of(s->m, &need->plan);
    size_t bytes = 0;
    aerie_status status = AERIE_OK;

    if (need->plan.prefix_tokens > 0)
        status = ae_engine_kv_bytes(&bytes, &o, need->plan.prefix_tokens, err);
    need->prefix_bytes = bytes;
    return status;
}

/* What this machine has for it: what is left, and what the process holds of it already. */
static uint64_t available(const aerie_memory_need *need, bool is_loaded)
{
    ae_memory_room room = ae_memory_left();
    uint64_t left = room.resident, held = need->base_bytes + (is_loaded ? need->weight_bytes : 0);

    /* The file's addresses are taken already. */
    if (room.address < UINT64_MAX && room.address + need->mapped_bytes < left)
        left = room.address + need->mapped_bytes;
    return left < UINT64_MAX - held ? left + held : left;
}

/* What can be told without a rehearsal. */
static aerie_status first_guess(aerie_memory_need *need, const subject *s, aerie_error *err)
{
    const aerie_memory_plan *p = &need->plan;
    double cache;
    aerie_status status = cache_bytes(&cache, s->m, p, p->n_ctx, err);

    if (!status) status = guess_prefixes(need, s, err);
    if (!status && s->draft) status = guess_draft(need, s, err);
    if (status) return status;
    ae_model_forget(s->m->model);
    need->base_bytes = ae_memory_resident();
    need->weight_bytes = packed_bytes(s->m);
    if (s->is_loaded)
        need->base_bytes -=
            need->base_bytes < need->weight_bytes ? need->base_bytes : need->weight_bytes;
    need->mapped_bytes =
        ae_model_mapped_bytes(s->m->model, s->m->device, s->m->exact, p->n_ctx * p->parallel);
    need->cache_bytes = whole(cache);
    need->available_bytes = available(need, s->is_loaded);
    return AERIE_OK;
}

static void sum_up(aerie_memory_need *need)
{
    need->total_bytes =
        whole((double)need->weight_bytes + (double)need->mapped_bytes + (double)need->cache_bytes +
              (double)need->prefix_bytes + (double)need->draft_bytes + (double)need->scratch_bytes +
              (double)need->base_bytes);
}

static aerie_status predict(aerie_memory_need *need, const subject *s, aerie_error *err)
{
    aerie_status status = complete(&need->plan, ae_model_config(s->m->model), err);

    if (!status) status = first_guess(need, s, err);
    if (status) return status;
    sum_up(need);
    if (need->total_bytes > need->available_bytes) return AERIE_OK; /* that much is certain */
    status = rehearse(s, &need->plan, need->plan.n_ctx, &need->scratch_bytes, err);
    if (!status && s->draft) status = rehearse_draft(s, &need->plan, &need->draft_bytes, err);
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

/* Whether a context of n would do: by its cache, and where a text is read at once by its scratch.
 */
static bool fits(const aerie_memory_need *need, const subject *s, int64_t n)
{
    bool at_once = !uses_cache(s->m, need->plan.use);
    uint64_t scratch = 0;
    double cache, others = (double)(need->total_bytes - need->cache_bytes);

    if (cache_bytes(&cache, s->m, &need->plan, n, NULL)) return false;
    if (at_once) {
        others -= (double)need->scratch_bytes;
        if (others > (double)need->available_bytes || rehearse(s, &need->plan, n, &scratch, NULL))
            return false;
    }
    return others + cache + (double)scratch <= (double)need->available_bytes;
}

/* The longest context that fits, in steps of 256; 0: none. */
static int64_t longest_context(const aerie_memory_need *need, const subject *s)
{
    int64_t longest = 0, too_long = need->plan.n_ctx / 256 + 1;

    while (too_long - longest > 1) {
        int64_t middle = (longest + too_long) / 2;
        if (fits(need, s, middle * 256))
            longest = middle;
        else
            too_long = middle;
    }
    return longest * 256;
}

/* Whether keys and values of 8 bits would do. */
static bool smaller_cache_fits(const aerie_memory_need *need, const aerie_model *m)
{
    ae_engine_options o = options_of(m, &need->plan);
    double others = (double)(need->total_bytes - need->cache_bytes);
    size_t bytes;

    if (o.kv_type == AE_Q8_0 || !need->cache_bytes) return false;
    o.kv_type = AE_Q8_0;
    return !ae_engine_kv_bytes(&bytes, &o, need->plan.n_ctx, NULL) &&
           others + (double)bytes * (double)need->plan.parallel <= (double)need->available_bytes;
}

static void advise(char *out, size_t len, const aerie_memory_need *need, const subject *s)
{
    int64_t n = longest_context(need, s);

    if (n && need->plan.use == AERIE_USE_LOGITS)
        snprintf(out, len, "%lld tokens at once fit; cut the text", (long long)n);
    else if (n && need->plan.use == AERIE_USE_REWARDS)
        snprintf(out, len, "a prompt with a response of %lld tokens fits (--max-length %lld)",
                 (long long)n, (long long)n);
    else if (n)
        snprintf(out, len, "a context of %lld fits (--ctx %lld)%s", (long long)n, (long long)n,
                 smaller_cache_fits(need, s->m) ? ", and this one with --kv q8_0" : "");
    else
        snprintf(out, len, "no context fits; close other programs%s or use a smaller quantization",
                 s->draft ? ", do without the draft model" : "");
}

/* at_least: the sum is more than it says. */
static aerie_status refuse(const aerie_memory_need *need, const subject *s, bool at_least,
                           aerie_error *err)
{
    char total[32], have[32], weights[32], cache[32], draft[32], other[64] = "", advice[120];

    advise(advice, sizeof advice, need, s);
    if (s->draft)
        snprintf(other, sizeof other, ", %s of the draft model",
                 size_text(draft, need->draft_bytes));
    return aerie_fail(err, AERIE_NO_MEMORY,
                      "%s needs %s%s at a context of %lld for %lld (%s of weights, %s of keys "
                      "and values%s), and %s can be had; %s",
                      ae_model_path(s->m->model), at_least ? "more than " : "",
                      size_text(total, need->total_bytes), (long long)need->plan.n_ctx,
                      (long long)need->plan.parallel,
                      size_text(weights, need->weight_bytes + need->mapped_bytes),
                      size_text(cache, need->cache_bytes + need->prefix_bytes), other,
                      size_text(have, need->available_bytes), advice);
}

/* A rehearsal takes addresses, though no memory; where there are none of them for it, there are
 * none for a pass. */
static bool is_too_much(aerie_memory_need *need, aerie_status status)
{
    if (status != AERIE_NO_MEMORY) return need->total_bytes > need->available_bytes;
    if (need->total_bytes <= need->available_bytes)
        need->scratch_bytes += need->available_bytes + 1 - need->total_bytes;
    sum_up(need);
    return true;
}

static aerie_status check(aerie_memory_need *need, const subject *s, aerie_error *err)
{
    int64_t trained = ae_model_config(s->m->model)->max_position;
    aerie_error why = { 0 };
    aerie_status status = predict(need, s, &why);

    if (is_too_much(need, status)) return refuse(need, s, status == AERIE_NO_MEMORY, err);
    if (status) {
        if (err) *err = why;
        return status;
    }
    if (need->plan.n_ctx > trained && !s->is_loaded)
        ae_log(AERIE_LOG_WARNING,
               "%s was trained for a context of %lld; past it, of the %lld asked for, its replies "
               "may lose their sense",
               ae_model_path(s->m->model), (long long)trained, (long long)need->plan.n_ctx);
    return AERIE_OK;
}

/* The draft model as it lies in its file; NULL where the plan has none. */
static aerie_status map_draft(aerie_model **out, const aerie_memory_plan *plan,
                              const aerie_model_options *o, aerie_error *err)
{
    aerie_model_options own = o ? *o : (aerie_model_options){ 0 };
    aerie_status status;

    *out = NULL;
    if (!plan || !plan->draft) return AERIE_OK;
    own.n_adapters = 0; /* they are the model's */
    own.pin = false;
    *out = ae_alloc(1, sizeof **out);
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a model");
    status = ae_api_map_model(*out, plan->draft, &own, err);
    if (!status) return AERIE_OK;
    aerie_model_close(*out);
    *out = NULL;
    return status;
}

aerie_status ae_api_check_memory(aerie_model *m, const aerie_model_options *o,
                                 const aerie_memory_plan *plan, aerie_error *err)
{
    aerie_memory_need need = { .plan = *plan };
    subject s = { .m = m };
    aerie_status status = map_draft(&s.draft, plan, o, err);

    if (!status) status = check(&need, &s, err);
    aerie_model_close(s.draft);
    m->is_planned = true;
    m->has_draft_planned = plan->draft != NULL;
    m->plan = need.plan;
    m->plan.draft = NULL;
    return status;
}

static bool is_covered(const aerie_model *m, const aerie_model *draft, const aerie_memory_plan *p)
{
    const aerie_memory_plan *had = &m->plan;

    return p->use == had->use && p->n_ctx <= had->n_ctx && p->parallel <= had->parallel &&
           p->max_batch <= had->max_batch && p->prefix_tokens <= had->prefix_tokens &&
           (!draft || m->has_draft_planned);
}

aerie_status ae_api_check_use(aerie_model *m, aerie_model *draft, const aerie_memory_plan *plan,
                              aerie_error *err)
{
    aerie_memory_need need = { .plan = *plan };
    subject s = { .m = m, .draft = draft, .is_loaded = true };

    if (!m->is_planned) return AERIE_OK;
    aerie_status status = complete(&need.plan, ae_model_config(m->model), err);
    if (status || is_covered(m, draft, &need.plan)) return status;
    return check(&need, &s, err);
}

aerie_status aerie_model_memory(const char *path, const aerie_model_options *options,
                                const aerie_memory_plan *plan, aerie_memory_need *out,
                                aerie_error *err)
{
    subject s = { .m = ae_alloc(1, sizeof *s.m) };
    aerie_status status;

    *out = (aerie_memory_need){ 0 };
    if (plan) out->plan = *plan;
    if (!s.m) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a model");
    status = ae_api_map_model(s.m, path, options, err);
    if (!status) status = map_draft(&s.draft, plan, options, err);
    if (!status) status = predict(out, &s, err);
    aerie_model_close(s.draft);
    aerie_model_close(s.m);
    return status;
}
