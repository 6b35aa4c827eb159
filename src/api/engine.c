/* engine.c -- the live engine's thread: takes what callers leave for it, runs passes, and hears of
 * who does not want to be answered any more before each of them. */
#include "api/live.h"

#include <string.h>

enum { DEFAULT_CONTEXT = 4096, DEFAULT_PARALLEL = 32, DEFAULT_QUEUE = 512, DEFAULT_PREFIXES = 4 };

/* Ten tokens a second are more than anybody reads: as long as they come, prompts may take what they
 * like. Where replies alone are slower than that, prompts may take twice their time beside them. */
static const double UNNOTICED = 0.1, PATIENCE = 3;

/* ---- asks, by ticket ---- */

static live_ask *find(aerie_engine *e, uint64_t ticket)
{
    live_ask *a = e->asks;
    while (a && a->ticket != ticket) a = a->next;
    return a;
}

static void call_attention(aerie_engine *e)
{
    e->needs_attention = true;
    ae_monitor_wake(&e->monitor);
}

void aerie_engine_cancel(aerie_engine *e, uint64_t ticket)
{
    ae_monitor_enter(&e->monitor);
    live_ask *a = find(e, ticket);
    if (a) {
        a->is_cancelled = true;
        call_attention(e);
    }
    ae_monitor_leave(&e->monitor);
}

void aerie_engine_go_on(aerie_engine *e, uint64_t ticket)
{
    ae_monitor_enter(&e->monitor);
    live_ask *a = find(e, ticket);
    if (a) {
        a->go_ons++;
        call_attention(e);
    }
    ae_monitor_leave(&e->monitor);
}

uint64_t ae_live_go_ons(live_ask *a)
{
    ae_monitor_enter(&a->engine->monitor);
    uint64_t n = a->go_ons;
    ae_monitor_leave(&a->engine->monitor);
    return n;
}

void ae_live_hold(live_ask *a, int64_t reply, uint64_t go_ons)
{
    if (ae_live_go_ons(a) == go_ons) ae_run_rest(a->engine->run, ae_live_name_of(a), reply, true);
}

void ae_live_let_in(live_ask *a)
{
    a->let_in_at = ae_clock_seconds();
    ae_monitor_enter(&a->engine->monitor);
    a->is_running = true;
    ae_monitor_leave(&a->engine->monitor);
}

static void forget(live_ask *a, aerie_status status)
{
    aerie_engine *e = a->engine;
    ae_monitor_enter(&e->monitor);
    live_ask **at = &e->asks;
    while (*at != a) at = &(*at)->next;
    *at = a->next;
    e->n_asks--;
    if (status == AERIE_INTERRUPTED)
        e->stats.cancelled++;
    else if (status)
        e->stats.failed++;
    ae_monitor_leave(&e->monitor);
}

/* How all of an ask went; of replies their sum. */
static aerie_ask_stats total(const live_ask *a)
{
    double now = ae_clock_seconds(), let_in = a->let_in_at > 0 ? a->let_in_at : now;
    double first = a->first_token_at > 0 ? a->first_token_at : now;
    aerie_ask_stats s = { .prompt_tokens = a->request.n_prompt,
                          .reused_tokens = a->reused,
                          .queue_seconds = let_in - a->asked_at,
                          .prompt_seconds = first - let_in,
                          .reply_seconds = now - first };
    for (int64_t i = 0; i < a->n_replies; i++) {
        s.reply_tokens += a->replies[i].drawn;
        s.drafted_tokens += a->replies[i].drafted;
        s.accepted_tokens += a->replies[i].accepted;
    }
    return s;
}

void ae_live_end(live_ask *a, aerie_status status, const char *message)
{
    if (a->verdict) {
        status = a->verdict;
        message = a->because;
    }
    aerie_event event = { .kind = AERIE_EVENT_END,
                          .status = status,
                          .message = message,
                          .prompt_tokens = a->request.n_prompt,
                          .reused_tokens = a->reused,
                          .dropped_messages = a->dropped,
                          .stats = total(a) };
    forget(a, status);
    ae_live_tell(a, &event);
    ae_live_ask_free(a);
}

/* ---- the thread ---- */

static void publish(aerie_engine *e)
{
    const ae_engine_stats *s = &e->spent;
    aerie_engine_stats *out = &e->stats;
    out->prompt_tokens = (uint64_t)s->prompt_tokens;
    out->reused_tokens = (uint64_t)s->reused;
    out->reply_tokens = (uint64_t)s->reply_tokens;
    out->drafted_tokens = (uint64_t)s->drafted;
    out->accepted_tokens = (uint64_t)s->accepted;
    out->passes = (uint64_t)s->passes;
    out->pass_tokens = (uint64_t)s->pass_tokens;
    out->prompt_seconds = s->prompt_seconds;
    out->reply_seconds = s->reply_seconds;
    out->seconds = s->prompt_seconds + s->reply_seconds;
    out->cache_tokens = ae_run_reserved(e->run);
    out->rested_for_room = (uint64_t)s->put_out;
    out->prefix_tokens = ae_engine_prefixes_held(e->engine);
}

/* Waits for something to do; gives what came in. False: the engine closes. */
static bool await_work(aerie_engine *e, bool more, live_ask **incoming, bool *attention)
{
    ae_monitor_enter(&e->monitor);
    publish(e);
    while (!more && !e->incoming && !e->needs_attention && !e->closes)
        ae_monitor_wait(&e->monitor, -1);
    bool goes_on = !e->closes;
    *incoming = e->incoming;
    *attention = e->needs_attention;
    e->incoming = NULL;
    e->last_incoming = &e->incoming;
    e->needs_attention = false;
    ae_monitor_leave(&e->monitor);
    return goes_on;
}

static void take_in(aerie_engine *e, live_ask *incoming)
{
    for (live_ask *a = incoming, *next; a; a = next) {
        aerie_error err = { 0 };
        next = a->next_incoming;
        a->is_submitted = true;
        aerie_status status = ae_run_submit(e->run, &a->request, ae_live_name_of(a), &err);
        if (status) ae_live_end(a, status, err.message);
    }
}

/* An ask that is to end, or to go on: *ends. NULL: none is left. */
static live_ask *needs_attention(aerie_engine *e, bool *ends)
{
    ae_monitor_enter(&e->monitor);
    live_ask *a = e->asks;
    while (a && (!a->is_submitted ||
                 (!a->is_cancelled && !a->verdict && !e->closes && a->go_ons == a->go_ons_seen)))
        a = a->next;
    if (a) {
        *ends = a->is_cancelled || a->verdict || e->closes;
        a->go_ons_seen = a->go_ons;
    }
    ae_monitor_leave(&e->monitor);
    return a;
}

static void attend(aerie_engine *e)
{
    bool ends;
    for (live_ask *a; (a = needs_attention(e, &ends));)
        if (ends)
            ae_run_cancel(e->run, ae_live_name_of(a));
        else
            ae_run_rest(e->run, ae_live_name_of(a), -1, false);
}

/* A pass that failed has changed nothing. With one sequence less it may succeed. */
static void fail_youngest(aerie_engine *e, aerie_status status, const aerie_error *why)
{
    int64_t name = ae_run_youngest(e->run);
    if (name == -1) return;
    live_ask *a = ae_live_ask_of(name);
    char *sentence = ae_arena_strndup(&a->memory, why->message, strlen(why->message));
    ae_live_doom(a, status, sentence ? sentence : "no memory");
    ae_run_cancel(e->run, name);
}

static void run_thread(void *user)
{
    aerie_engine *e = user;
    live_ask *incoming;
    bool more = false, attention;

    while (await_work(e, more, &incoming, &attention)) {
        aerie_error why = { 0 };
        take_in(e, incoming);
        if (attention || e->has_verdicts) {
            e->has_verdicts = false;
            attend(e);
        }
        aerie_status status = ae_run_step(e->run, &more, &why);
        if (status) fail_youngest(e, status, &why);
        more = more || status || e->has_verdicts;
    }
    take_in(e, incoming);
    attend(e);
}

/* ---- opening and closing ---- */

static void fill_options(aerie_engine_options *o, const aerie_model *m)
{
    int64_t most = ae_model_config(m->model)->max_position;
    o->context = ae_min64(most, o->context > 0 ? o->context : DEFAULT_CONTEXT);
    if (o->parallel <= 0) o->parallel = DEFAULT_PARALLEL;
    if (o->max_batch <= 0) o->max_batch = 512;
    if (o->cache_tokens <= 0) o->cache_tokens = o->parallel * o->context;
    if (o->prefix_tokens == 0) o->prefix_tokens = DEFAULT_PREFIXES * o->context;
    if (o->max_queue <= 0) o->max_queue = DEFAULT_QUEUE;
}

static aerie_status open_run(aerie_engine *e, aerie_error *err)
{
    const aerie_engine_options *o = &e->options;
    aerie_model *m = e->model;
    const ae_engine_events events = ae_live_events(e);
    ae_engine_options with = { .device = m->device,
                               .net = &m->net,
                               .tokenizer = ae_model_tokenizer(m->model),
                               .kv_type = m->kv_type,
                               .max_batch = o->max_batch,
                               .max_sequences = o->parallel,
                               .prefix_cache_positions = o->prefix_tokens,
                               .kv_positions = o->cache_tokens,
                               .patience = PATIENCE,
                               .unnoticed = UNNOTICED,
                               .score_in_cache = m->kv_named };
    const aerie_memory_plan plan = { .n_ctx = o->context,
                                     .parallel = o->parallel,
                                     .max_batch = o->max_batch,
                                     .prefix_tokens = ae_max64(o->prefix_tokens, 0) };
    aerie_status status = ae_api_check_use(m, o->draft, &plan, err);
    if (!status) status = ae_api_speculate(&with, m, o->speculate, o->draft, err);
    if (!status) status = ae_engine_open(&e->engine, &with, err);
    return status ? status : ae_run_open(&e->run, e->engine, &events, &e->spent, err);
}

static aerie_status open_parts(aerie_engine *e, aerie_error *err)
{
    aerie_status status = ae_api_need_tokenizer(e->model, err);
    if (!status) status = open_run(e, err);
    if (!status && ae_model_template(e->model->model))
        status = ae_api_template(&e->chat, e->model, NULL, err);
    if (!status) status = ae_monitor_open(&e->monitor, err);
    if (status) return status;
    e->is_open = true;
    return ae_thread_start(&e->thread, "engine", run_thread, e, err);
}

aerie_status aerie_engine_open(aerie_engine **out, aerie_model *model,
                               const aerie_engine_options *options, aerie_error *err)
{
    *out = NULL;
    aerie_engine *e = ae_alloc(1, sizeof *e);
    if (!e) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an engine");
    e->model = model;
    if (options) e->options = *options;
    fill_options(&e->options, model);
    e->last_incoming = &e->incoming;
    e->next_ticket = 1;
    aerie_status status = open_parts(e, err);
    if (status)
        aerie_engine_close(e);
    else
        *out = e;
    return status;
}

void aerie_engine_close(aerie_engine *e)
{
    if (!e) return;
    if (e->thread) {
        ae_monitor_enter(&e->monitor);
        e->closes = true;
        ae_monitor_wake(&e->monitor);
        ae_monitor_leave(&e->monitor);
        ae_thread_join(e->thread);
    }
    if (e->is_open) ae_monitor_close(&e->monitor);
    ae_run_close(e->run);
    ae_engine_close(e->engine);
    ae_template_free(e->chat);
    ae_token_order_free(e->order);
    ae_bytes_free(&e->scratch);
    ae_free(e->out);
    ae_free(e->choices);
    ae_free(e);
}

const aerie_engine_options *aerie_engine_settings(const aerie_engine *e)
{
    return &e->options;
}

/* ---- asking ---- */

/* A place for one more, to be given back if nothing comes of it. */
static aerie_status take_place(aerie_engine *e, uint64_t *ticket, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ae_monitor_enter(&e->monitor);
    if (e->closes || e->n_asks >= e->options.max_queue + e->options.parallel) {
        e->stats.refused++;
        status = aerie_fail(err, AERIE_BUSY,
                            "%lld asks are waiting or being answered, which is the most; try again "
                            "later",
                            (long long)e->n_asks);
    } else {
        e->n_asks++;
        *ticket = e->next_ticket++;
    }
    ae_monitor_leave(&e->monitor);
    return status;
}

static void give_place_back(aerie_engine *e)
{
    ae_monitor_enter(&e->monitor);
    e->n_asks--;
    ae_monitor_leave(&e->monitor);
}

static void queue_up(aerie_engine *e, live_ask *a)
{
    ae_monitor_enter(&e->monitor);
    e->stats.asks++;
    a->asked_at = ae_clock_seconds();
    a->next = e->asks;
    e->asks = a;
    *e->last_incoming = a;
    e->last_incoming = &a->next_incoming;
    ae_monitor_wake(&e->monitor);
    ae_monitor_leave(&e->monitor);
}

aerie_status aerie_engine_ask(aerie_engine *e, const aerie_ask *ask, aerie_event_fn *fn, void *user,
                              aerie_asked *out, aerie_error *err)
{
    aerie_asked asked = { 0 };
    live_ask *a;
    aerie_status status = take_place(e, &asked.ticket, err);

    if (!status) {
        status = ae_live_prepare(&a, e, ask, &asked, err);
        if (status) give_place_back(e);
    }
    if (out) *out = asked;
    if (status) return status;
    a->ticket = asked.ticket;
    a->fn = fn;
    a->user = user;
    queue_up(e, a);
    return AERIE_OK;
}

void aerie_engine_get_stats(aerie_engine *e, aerie_engine_stats *out)
{
    ae_monitor_enter(&e->monitor);
    *out = e->stats;
    for (const live_ask *a = e->asks; a; a = a->next) {
        out->running += a->is_running;
        out->waiting += !a->is_running;
    }
    ae_monitor_leave(&e->monitor);
}
