/* bench_engine.c -- many chats at once through the live engine: tokens per second, how soon a reply
 * begins and how evenly it flows.
 *
 *   bench_engine MODEL [asks at once]... [--tokens N] [--prompt N] [--rounds N] [--system N]
 *                [--threads N] [--no-prefix] [--no-speculation]
 *
 * Of each number of asks at once (1 4 16 64) so many chats of --rounds turns each begin together; a
 * chat asks again as soon as it is answered, with a prompt of its own of --prompt tokens (64),
 * after
 * --system tokens (0) that all have in common; replies have --tokens (64). A line of JSON for each:
 * tokens of replies a second, seconds to the first token and between tokens (p50, p95, largest),
 * and what the engine counted. */
#include "aerie/engine.h"
#include "times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *path;
    int64_t tokens, prompt, rounds, system;
    int threads;
    bool no_prefix, no_speculation;
} settings;

typedef struct crowd crowd;

typedef struct {
    crowd *of;
    int64_t round;
    double asked, last;
    ae_rng rng;
} chat;

struct crowd {
    ae_monitor monitor;
    const settings *s;
    aerie_engine *engine;
    chat *chats;
    int64_t n, left, vocab_size;
    int32_t *system;
    times first, between;
    int64_t tokens;
};

static void ask_next(chat *c);

static aerie_flow on_event(void *user, const aerie_event *event)
{
    chat *c = user;
    crowd *all = c->of;
    double now = ae_clock_seconds();
    if (event->kind == AERIE_EVENT_TEXT) {
        times_note(c->last > 0 ? &all->between : &all->first,
                   now - (c->last > 0 ? c->last : c->asked));
        c->last = now;
        all->tokens += (int64_t)event->n_tokens;
    }
    if (event->kind != AERIE_EVENT_END) return AERIE_GO_ON;
    if (event->status) {
        fprintf(stderr, "%s\n", event->message);
        exit(1);
    }
    if (++c->round < all->s->rounds) {
        ask_next(c);
        return AERIE_GO_ON;
    }
    ae_monitor_enter(&all->monitor);
    all->left--;
    ae_monitor_wake(&all->monitor);
    ae_monitor_leave(&all->monitor);
    return AERIE_GO_ON;
}

static int32_t random_id(chat *c)
{
    return (int32_t)(100 + ae_rng_below(&c->rng, (uint64_t)c->of->vocab_size - 200));
}

static void ask_next(chat *c)
{
    const settings *s = c->of->s;
    aerie_error err = { 0 };
    size_t n = (size_t)(s->system + s->prompt);
    int32_t *ids = ae_alloc(n, sizeof *ids);
    if (!ids) exit(1);
    memcpy(ids, c->of->system, (size_t)s->system * sizeof *ids);
    for (size_t i = (size_t)s->system; i < n; i++) ids[i] = random_id(c);
    const aerie_sampling sampling = aerie_sampling_default();
    const aerie_ask ask = {
        .ids = ids, .n_ids = n, .max_tokens = s->tokens, .ignore_eog = true, .sampling = &sampling
    };
    c->last = 0;
    c->asked = ae_clock_seconds();
    if (aerie_engine_ask(c->of->engine, &ask, on_event, c, NULL, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    ae_free(ids);
}

static void show(crowd *all, double seconds)
{
    aerie_engine_stats st;
    aerie_engine_get_stats(all->engine, &st);
    printf("{\"at_once\":%lld,\"seconds\":%.2f,\"tok_s\":%.1f,"
           "\"first_s\":{\"p50\":%.3f,\"p95\":%.3f,\"max\":%.3f},"
           "\"between_ms\":{\"p50\":%.1f,\"p95\":%.1f,\"max\":%.1f},"
           "\"prompt_tokens\":%llu,\"reused\":%llu,\"passes\":%llu,\"tokens_a_pass\":%.1f,"
           "\"drafted\":%llu,\"accepted\":%llu,\"prompt_s\":%.2f,\"reply_s\":%.2f}\n",
           (long long)all->n, seconds, (double)all->tokens / seconds,
           times_quantile(&all->first, 0.5), times_quantile(&all->first, 0.95),
           times_quantile(&all->first, 1), 1e3 * times_quantile(&all->between, 0.5),
           1e3 * times_quantile(&all->between, 0.95), 1e3 * times_quantile(&all->between, 1),
           (unsigned long long)st.prompt_tokens, (unsigned long long)st.reused_tokens,
           (unsigned long long)st.passes,
           st.passes ? (double)st.pass_tokens / (double)st.passes : 0,
           (unsigned long long)st.drafted_tokens, (unsigned long long)st.accepted_tokens,
           st.prompt_seconds, st.reply_seconds);
    fflush(stdout);
}

static void run(const settings *s, aerie_model *m, int64_t n)
{
    aerie_error err = { 0 };
    aerie_model_info info;
    crowd all = { .s = s, .n = n, .left = n };
    const aerie_engine_options o = { .prefix_tokens = s->no_prefix ? -1 : 0,
                                     .speculate = s->no_speculation ? AERIE_SPECULATE_OFF
                                                                    : AERIE_SPECULATE_AUTO };
    aerie_model_describe(m, &info);
    all.vocab_size = info.vocab_size;
    all.chats = ae_alloc((size_t)n, sizeof *all.chats);
    all.system = ae_alloc((size_t)s->system, sizeof *all.system);
    if (!all.chats || !all.system || ae_monitor_open(&all.monitor, &err) ||
        aerie_engine_open(&all.engine, m, &o, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    chat dice = { .of = &all };
    ae_rng_seed(&dice.rng, 1);
    for (int64_t i = 0; i < s->system; i++) all.system[i] = random_id(&dice);
    double start = ae_clock_seconds();
    for (int64_t i = 0; i < n; i++) {
        all.chats[i] = (chat){ .of = &all };
        ae_rng_seed(&all.chats[i].rng, 100 + (uint64_t)i);
        ask_next(&all.chats[i]);
    }
    ae_monitor_enter(&all.monitor);
    while (all.left > 0) ae_monitor_wait(&all.monitor, -1);
    ae_monitor_leave(&all.monitor);
    show(&all, ae_clock_seconds() - start);
    aerie_engine_close(all.engine);
    ae_monitor_close(&all.monitor);
    ae_free(all.chats);
    ae_free(all.system);
    ae_free(all.first.at);
    ae_free(all.between.at);
}

int main(int argc, char **argv)
{
    settings s = { .tokens = 64, .prompt = 64, .rounds = 2 };
    int64_t counts[16] = { 1, 4, 16, 64 };
    int n_counts = 0;
    aerie_error err = { 0 };
    aerie_model *m;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--tokens") && more)
            s.tokens = atoll(argv[++i]);
        else if (!strcmp(argv[i], "--prompt") && more)
            s.prompt = atoll(argv[++i]);
        else if (!strcmp(argv[i], "--rounds") && more)
            s.rounds = atoll(argv[++i]);
        else if (!strcmp(argv[i], "--system") && more)
            s.system = atoll(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && more)
            s.threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--no-prefix"))
            s.no_prefix = true;
        else if (!strcmp(argv[i], "--no-speculation"))
            s.no_speculation = true;
        else if (!s.path)
            s.path = argv[i];
        else if (n_counts < 16)
            counts[n_counts++] = atoll(argv[i]);
    }
    if (!s.path || s.prompt < 1) {
        fprintf(stderr, "bench_engine MODEL [asks at once]...; its first comment says more\n");
        return 2;
    }
    const aerie_model_options o = { .threads = s.threads };
    if (aerie_model_open(&m, s.path, &o, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (int i = 0; i < (n_counts ? n_counts : 4); i++) run(&s, m, counts[i]);
    aerie_model_close(m);
    return 0;
}
