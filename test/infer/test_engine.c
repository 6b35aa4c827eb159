/* The engine: a reply depends on its own request alone, whatever else is in the batch, however the
 * prompt is cut into passes, wherever its prefix comes from. Seeds: 1 (weights), 7 (prompts). */
#include "infer/infer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { V = 97, N_PROMPTS = 9, MAX_NEW = 12 };

static const char config_text[] =
    "{\"architectures\":[\"MistralForCausalLM\"],\"model_type\":\"mistral\",\"hidden_size\":48,"
    "\"intermediate_size\":80,\"num_hidden_layers\":2,\"num_attention_heads\":6,\"num_key_value_"
    "heads\":2,"
    "\"vocab_size\":97,\"max_position_embeddings\":128,\"rope_theta\":10000.0,\"rms_norm_eps\":1e-"
    "05,"
    "\"sliding_window\":16,\"hidden_act\":\"silu\",\"tie_word_embeddings\":true}";

typedef struct {
    ae_device *device;
    ae_model *model;
    int32_t prompts[N_PROMPTS][40];
    int64_t lengths[N_PROMPTS];
} world;

typedef struct {
    int32_t ids[N_PROMPTS][4][MAX_NEW];
    int n[N_PROMPTS][4];
} replies;

static int set_up(void **state)
{
    static world w;
    aerie_error err = { 0 };
    ae_rng rng;
    char folder[] = "/tmp/aerie-engine-XXXXXX", path[64];
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (ae_file_write(path, config_text, strlen(config_text), &err) ||
        ae_device_open(&w.device, AE_CPU_AUTO, 2, &err) ||
        ae_model_random(&w.model, folder, 1, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    unlink(path);
    rmdir(folder);
    ae_rng_seed(&rng, 7);
    for (int i = 0; i < N_PROMPTS; i++) {
        w.lengths[i] = 1 + (int64_t)ae_rng_below(&rng, 40);
        for (int64_t j = 0; j < w.lengths[i]; j++) w.prompts[i][j] = (int32_t)ae_rng_below(&rng, V);
    }
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    ae_model_close(w->model);
    w->device->close(w->device);
    return 0;
}

static bool keep(void *user, int64_t request, int64_t reply, int32_t id)
{
    replies *r = user;
    assert_true(r->n[request][reply] < MAX_NEW);
    r->ids[request][reply][r->n[request][reply]++] = id;
    return true;
}

static ae_request request_of(const world *w, int i, int64_t n_replies)
{
    return (ae_request){ .prompt = w->prompts[i],
                         .n_prompt = w->lengths[i],
                         .n_replies = n_replies,
                         .max_tokens = 3 + i % (MAX_NEW - 3),
                         .seed = (uint64_t)i,
                         .sampling = { .temperature = i % 3 ? 1.0f : 0.0f,
                                       .top_k = 50,
                                       .repeat_last_n = 8,
                                       .repeat_penalty = 1.2f } };
}

static ae_engine *open_engine(const world *w, int64_t max_batch, int64_t max_sequences)
{
    aerie_error err = { 0 };
    ae_engine *e = NULL;
    ae_engine_options o = { .device = w->device,
                            .net = ae_model_net(w->model),
                            .max_batch = max_batch,
                            .max_sequences = max_sequences };
    assert_int_equal(ae_engine_open(&e, &o, &err), AERIE_OK);
    return e;
}

static void run_all(const world *w, int64_t max_batch, int64_t max_sequences, int64_t n_replies,
                    replies *out)
{
    aerie_error err = { 0 };
    ae_request requests[N_PROMPTS];
    ae_engine_events events = { .user = out, .token = keep };
    ae_engine *e = open_engine(w, max_batch, max_sequences);
    memset(out, 0, sizeof *out);
    for (int i = 0; i < N_PROMPTS; i++) requests[i] = request_of(w, i, n_replies);
    aerie_status status = ae_engine_run(e, requests, N_PROMPTS, &events, NULL, &err);
    if (status) fail_msg("%s", err.message);
    for (int i = 0; i < N_PROMPTS; i++)
        for (int64_t j = 0; j < n_replies; j++)
            assert_int_equal(out->n[i][j], 3 + i % (MAX_NEW - 3));
    ae_engine_close(e);
}

static void a_batch_changes_no_reply(void **state)
{
    static replies alone, other;
    static const int64_t shapes[][2] = { { 512, 32 }, { 3, 2 }, { 16, 5 }, { 7, 7 } };
    run_all(*state, 64, 1, 1, &alone);
    for (size_t i = 0; i < AE_COUNT(shapes); i++) {
        run_all(*state, shapes[i][0], shapes[i][1], 1, &other);
        assert_memory_equal(&alone, &other, sizeof alone);
    }
}

static void branches_are_what_they_would_be_alone(void **state)
{
    static replies wide, narrow, single;
    run_all(*state, 512, 32, 4, &wide);
    run_all(*state, 5, 4, 4, &narrow);
    assert_memory_equal(&wide, &narrow, sizeof wide);
    run_all(*state, 512, 32, 1, &single);
    for (int i = 0; i < N_PROMPTS; i++) /* reply 0 of many is the only reply of one */
        assert_memory_equal(wide.ids[i][0], single.ids[i][0], sizeof single.ids[i][0]);
    int different = 0;
    for (int i = 0; i < N_PROMPTS; i++)
        if (i % 3 && memcmp(wide.ids[i][0], wide.ids[i][1], sizeof wide.ids[i][0])) different++;
    assert_true(different > 0);
}

static void greedy_takes_the_largest_logit_of_the_whole_text(void **state)
{
    const world *w = *state;
    static replies r;
    aerie_error err = { 0 };
    run_all(w, 512, 32, 1, &r);
    ae_engine *e = open_engine(w, 512, 1);
    int32_t text[64];
    memcpy(text, w->prompts[0], (size_t)w->lengths[0] * sizeof *text);
    int64_t n = w->lengths[0];
    for (int i = 0; i < r.n[0][0]; i++) {
        float logp[64], best = -INFINITY;
        int32_t best_id = -1, tail[8];
        int64_t n_tail = n < 8 ? n : 8;
        for (int64_t j = 0; j < n_tail; j++) tail[j] = text[n - n_tail + j];
        for (int32_t id = 0; id < V; id++) {
            text[n] = id;
            assert_int_equal(ae_engine_log_probs(e, text, n + 1, logp, &err), AERIE_OK);
            /* The request has a repetition penalty: skip this comparison for tokens it touches. */
            bool seen = false;
            for (int64_t j = 0; j < n_tail; j++) seen = seen || tail[j] == id;
            if (!seen && logp[n - 1] > best) {
                best = logp[n - 1];
                best_id = id;
            }
        }
        int32_t chosen = r.ids[0][0][i];
        bool chosen_seen = false;
        for (int64_t j = 0; j < n_tail; j++) chosen_seen = chosen_seen || tail[j] == chosen;
        if (!chosen_seen) assert_int_equal(chosen, best_id);
        text[n++] = chosen;
    }
    ae_engine_close(e);
}

typedef struct {
    int32_t ids[64];
    int n;
} one_reply;

static bool keep_one(void *user, int64_t request, int64_t reply, int32_t id)
{
    one_reply *r = user;
    (void)request, (void)reply;
    r->ids[r->n++] = id;
    return true;
}

static void a_session_reuses_what_it_holds(void **state)
{
    const world *w = *state;
    aerie_error err = { 0 };
    ae_engine *e = open_engine(w, 8, 1);
    ae_session *s = NULL;
    one_reply first = { .n = 0 }, again = { .n = 0 }, fresh = { .n = 0 };
    int64_t reused = -1;
    ae_request r = { .prompt = w->prompts[1],
                     .n_prompt = w->lengths[1],
                     .max_tokens = 10,
                     .sampling = { .temperature = 1 },
                     .seed = 3 };
    assert_int_equal(ae_session_open(&s, e, ae_model_config(w->model), 0, &err), AERIE_OK);
    ae_engine_events events = { .user = &first, .token = keep_one };
    assert_int_equal(ae_session_reply(s, &r, &events, NULL, &reused, &err), AERIE_OK);
    assert_int_equal(reused, 0);

    /* The conversation goes on: the prompt, the reply, and something new. */
    int32_t longer[128];
    int64_t n = r.n_prompt;
    memcpy(longer, r.prompt, (size_t)n * sizeof *longer);
    memcpy(longer + n, first.ids, (size_t)first.n * sizeof *longer);
    n += first.n;
    for (int i = 0; i < 5; i++) longer[n++] = 11 + i;
    r.prompt = longer;
    r.n_prompt = n;
    events.user = &again;
    assert_int_equal(ae_session_reply(s, &r, &events, NULL, &reused, &err), AERIE_OK);
    assert_int_equal(reused, w->lengths[1] + first.n - 1); /* all but the last token drawn */
    ae_session_close(s);

    assert_int_equal(ae_session_open(&s, e, ae_model_config(w->model), 0, &err), AERIE_OK);
    events.user = &fresh;
    assert_int_equal(ae_session_reply(s, &r, &events, NULL, &reused, &err), AERIE_OK);
    assert_int_equal(again.n, fresh.n);
    assert_memory_equal(again.ids, fresh.ids, sizeof(int32_t) * (size_t)fresh.n);
    ae_session_close(s);
    ae_engine_close(e);
}

static bool stop_after_three(void *user)
{
    int *calls = user;
    return ++*calls > 3;
}

static void wrong_requests_and_interrupts_are_sentences(void **state)
{
    const world *w = *state;
    ae_engine *e = open_engine(w, 64, 4);
    const int32_t outside[] = { 1, V };
    static int32_t many[200];
    int calls = 0;
    const ae_engine_events stopping = { .user = &calls, .stop = stop_after_three };
    const struct {
        ae_request request;
        const ae_engine_events *events;
        aerie_status status;
    } cases[] = {
        { { .prompt = outside, .n_prompt = 0 }, NULL, AERIE_BAD_ARGUMENT },
        { { .prompt = outside, .n_prompt = 2 }, NULL, AERIE_BAD_ARGUMENT },
        { { .prompt = many, .n_prompt = 200 }, NULL, AERIE_BAD_ARGUMENT },
        { { .prompt = many, .n_prompt = 3, .n_replies = 9 }, NULL, AERIE_BAD_ARGUMENT },
        { { .prompt = many, .n_prompt = 3, .sampling = { .temperature = -1 } },
          NULL,
          AERIE_BAD_ARGUMENT },
        { { .prompt = many, .n_prompt = 3 }, &stopping, AERIE_INTERRUPTED },
    };
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        assert_int_equal(ae_engine_run(e, &cases[i].request, 1, cases[i].events, NULL, &err),
                         cases[i].status);
        assert_true(strlen(err.message) > 5);
    }
    ae_engine_close(e);
}

static void the_context_ends_a_reply(void **state)
{
    const world *w = *state;
    aerie_error err = { 0 };
    one_reply r = { .n = 0 };
    ae_engine *e = open_engine(w, 64, 4);
    ae_engine_events events = { .user = &r, .token = keep_one };
    ae_request request = { .prompt = w->prompts[2],
                           .n_prompt = w->lengths[2],
                           .context = w->lengths[2] + 6 };
    assert_int_equal(ae_engine_run(e, &request, 1, &events, NULL, &err), AERIE_OK);
    assert_int_equal(r.n, 6);
    ae_engine_close(e);
}

/* The n-th allocation fails, n = 1, 2, ... until a whole run succeeds; nothing leaks or crashes. */
static void running_out_of_memory_is_a_status(void **state)
{
    const world *w = *state;
    for (long n = 1;; n++) {
        aerie_error err = { 0 };
        ae_engine *e = NULL;
        ae_engine_options o = { .device = w->device, .net = ae_model_net(w->model) };
        ae_request request = request_of(w, 1, 3);
        ae_alloc_fail_at(n);
        aerie_status status = ae_engine_open(&e, &o, &err);
        if (!status) status = ae_engine_run(e, &request, 1, NULL, NULL, &err);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        ae_engine_close(e);
        if (!failed) {
            assert_int_equal(status, AERIE_OK);
            assert_true(n > 10);
            break;
        }
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
    }
}

/* Every token with its log-probability, as the engine tells of it. */
typedef struct {
    int32_t ids[N_PROMPTS][4][MAX_NEW];
    float logp[N_PROMPTS][4][MAX_NEW];
    int n[N_PROMPTS][4];
} drawn_replies;

static void note_drawn(void *user, int64_t request, int64_t reply, int32_t id, float logp)
{
    drawn_replies *d = user;
    int i = d->n[request][reply]++;
    assert_true(i < MAX_NEW);
    d->ids[request][reply][i] = id;
    d->logp[request][reply][i] = logp;
}

/* logp [n]: of ids[1 ..] in one pass, without a cache. */
static void whole_log_probs(const world *w, const int32_t *ids, int64_t n, float temperature,
                            float *logp)
{
    enum { MOST = 64 };
    int32_t pos[MOST], rows[MOST];
    ae_segment segment = { .n = n, .parent = -1, .cache = -1 };
    ae_batch batch = {
        .n_tokens = n, .ids = ids, .pos = pos, .segments = &segment, .n_segments = 1
    };
    ae_predictions p = { .rows = rows, .targets = ids + 1, .n = n - 1 };
    ae_arena arena = { 0 };
    ae_ctx cx = { .device = w->device, .arena = &arena };
    assert_true(n <= MOST);
    for (int32_t i = 0; i < n; i++) pos[i] = rows[i] = i;
    const ae_tensor *hidden = ae_net_hidden(&cx, ae_model_net(w->model), &batch);
    const ae_tensor *out =
        ae_net_log_prob_at(&cx, ae_model_net(w->model), hidden, &p, temperature, NULL);
    if (!out) fail_msg("%s", cx.error.message);
    memcpy(logp, out->data, (size_t)(n - 1) * sizeof *logp);
    ae_arena_free(&arena);
}

static void check_drawn(const world *w, const drawn_replies *d, int i, int j, float temperature)
{
    int64_t before = w->lengths[i], n = d->n[i][j];
    int32_t ids[64];
    float logp[64];
    memcpy(ids, w->prompts[i], (size_t)before * sizeof *ids);
    memcpy(ids + before, d->ids[i][j], (size_t)n * sizeof *ids);
    whole_log_probs(w, ids, before + n, temperature, logp);
    assert_memory_equal(logp + before - 1, d->logp[i][j], (size_t)n * sizeof *logp);
}

/* To the bit: whatever the batch, the cut of the prompt, its branches, and guessing ahead. */
static void drawn_tokens_have_the_log_probability_of_the_whole_text(void **state)
{
    static const int64_t shapes[][2] = { { 512, 32 }, { 5, 4 }, { 16, 9 } };
    static const float temperatures[] = { 1, 0.7f };
    static drawn_replies d;
    const world *w = *state;
    for (size_t k = 0; k < 2 * AE_COUNT(shapes); k++) {
        aerie_error err = { 0 };
        ae_request requests[N_PROMPTS];
        ae_engine_events events = { .user = &d, .drawn = note_drawn };
        ae_engine_options o = { .device = w->device,
                                .net = ae_model_net(w->model),
                                .max_batch = shapes[k / 2][0],
                                .max_sequences = shapes[k / 2][1],
                                .prefix_cache_positions = k % 2 ? 64 : 0,
                                .speculate = k % 2 ? AE_SPECULATE_LOOKUP : AE_SPECULATE_OFF,
                                .speculate_always = true };
        ae_engine *e;
        memset(&d, 0, sizeof d);
        assert_int_equal(ae_engine_open(&e, &o, &err), AERIE_OK);
        for (int i = 0; i < N_PROMPTS; i++) {
            requests[i] = request_of(w, i, 4);
            requests[i].sampling = (ae_sampling){ .temperature = temperatures[k % 2] };
        }
        if (ae_engine_run(e, requests, N_PROMPTS, &events, NULL, &err)) fail_msg("%s", err.message);
        for (int i = 0; i < N_PROMPTS; i++)
            for (int j = 0; j < 4; j++) check_drawn(w, &d, i, j, temperatures[k % 2]);
        requests[1].sampling.temperature = 0.5f;
        assert_int_equal(ae_engine_run(e, requests, N_PROMPTS, &events, NULL, &err),
                         AERIE_BAD_ARGUMENT);
        ae_engine_close(e);
    }
}

typedef struct {
    replies *out;
    ae_run *run;
    int64_t done;
} crowd;

static bool keep_or_rest(void *user, int64_t request, int64_t reply, int32_t id)
{
    crowd *c = user;
    /* A reader that stops reading after a token. */
    if (request == 0 && c->out->n[0][0] == 0) ae_run_rest(c->run, 0, -1, true);
    return keep(c->out, request, reply, id);
}

static void note_done(void *user, int64_t request, aerie_status status, const aerie_error *why)
{
    crowd *c = user;
    (void)request;
    if (status) fail_msg("%s", why ? why->message : "cancelled");
    c->done++;
}

static void step_all(ae_run *run)
{
    aerie_error err = { 0 };
    for (bool more = true; more;)
        if (ae_run_step(run, &more, &err)) fail_msg("%s", err.message);
}

/* All requests, the first of which rests after a token until all others are done. Returns how
 * often one was put out. */
static int64_t run_within(const world *w, ae_engine_options o, replies *out)
{
    aerie_error err = { 0 };
    ae_engine *e;
    ae_engine_stats stats = { 0 };
    crowd c = { .out = out };
    const ae_engine_events events = { .user = &c, .token = keep_or_rest, .done = note_done };
    o.device = w->device;
    o.net = ae_model_net(w->model);
    memset(out, 0, sizeof *out);
    assert_int_equal(ae_engine_open(&e, &o, &err), AERIE_OK);
    assert_int_equal(ae_run_open(&c.run, e, &events, &stats, &err), AERIE_OK);
    for (int i = 0; i < N_PROMPTS; i++) {
        ae_request r = request_of(w, i, 1);
        r.max_tokens = MAX_NEW;
        assert_int_equal(ae_run_submit(c.run, &r, i, &err), AERIE_OK);
    }
    step_all(c.run);
    assert_int_equal(c.done, N_PROMPTS - 1);
    ae_run_rest(c.run, 0, -1, false);
    step_all(c.run);
    assert_int_equal(c.done, N_PROMPTS);
    assert_int_equal(ae_run_reserved(c.run), 0);
    ae_run_close(c.run);
    ae_engine_close(e);
    return stats.put_out;
}

static void who_is_put_out_says_the_same(void **state)
{
    static replies free, bound;
    static const int64_t positions[] = { 55, 80, 130 };
    assert_int_equal(run_within(*state, (ae_engine_options){ .max_sequences = 8 }, &free), 0);
    for (size_t i = 0; i < AE_COUNT(positions); i++)
        for (int64_t kept = 0; kept <= 200; kept += 100)
            for (int always = 0; always < 2; always++) {
                const ae_engine_options o = { .max_sequences = 8,
                                              .max_batch = 20,
                                              .kv_positions = positions[i],
                                              .kv_ahead = 1,
                                              .prefix_cache_positions = kept,
                                              .speculate_always = always };
                assert_true(run_within(*state, o, &bound) > 0);
                assert_memory_equal(&free, &bound, sizeof free);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_changes_no_reply),
        cmocka_unit_test(branches_are_what_they_would_be_alone),
        cmocka_unit_test(greedy_takes_the_largest_logit_of_the_whole_text),
        cmocka_unit_test(a_session_reuses_what_it_holds),
        cmocka_unit_test(wrong_requests_and_interrupts_are_sentences),
        cmocka_unit_test(the_context_ends_a_reply),
        cmocka_unit_test(running_out_of_memory_is_a_status),
        cmocka_unit_test(who_is_put_out_says_the_same),
        cmocka_unit_test(drawn_tokens_have_the_log_probability_of_the_whole_text),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
