/* What requests want of their prompts, beside replies and among each other: log-probabilities and
 * scores are those of a text alone, to the last bit, and what texts begin with alike is computed
 * once. Seeds: 1 (weights), 11 (texts). */
#include "infer/infer.h"
#include "scratch.h"

#include <math.h>
#include <string.h>

enum { V = 211, LONGEST = 200, N_TEXTS = 24, TOPS = 3 };

typedef struct {
    ae_device *device;
    ae_model *models[2]; /* with a head that scores; the second has a window */
    int32_t texts[N_TEXTS][LONGEST];
    int64_t lengths[N_TEXTS];
} world;

typedef struct {
    float logp[N_TEXTS][LONGEST];
    int32_t top[N_TEXTS][LONGEST][TOPS];
    int64_t told[N_TEXTS];
    float score[N_TEXTS];
    int32_t reply[3 * N_TEXTS][8];
    int64_t n_reply[3 * N_TEXTS];
} answers;

static aerie_status random_model(ae_model **out, const char *window, aerie_error *err)
{
    const ae_head_options head = { .score = true, .seed = 3 };
    char *folder = scratch_make(), *path = ae_path_join(folder, "config.json"), text[512];
    ae_model *base = NULL;
    snprintf(text, sizeof text,
             "{\"architectures\":[\"MistralForCausalLM\"],\"model_type\":\"mistral\","
             "\"hidden_size\":32,\"intermediate_size\":48,\"num_hidden_layers\":2,"
             "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"vocab_size\":%d,"
             "\"max_position_embeddings\":512,\"rope_theta\":10000.0,\"rms_norm_eps\":1e-05,"
             "\"sliding_window\":%s,\"hidden_act\":\"silu\",\"tie_word_embeddings\":true}",
             V, window);
    aerie_status status = ae_file_write(path, text, strlen(text), err);
    if (!status) status = ae_model_random(&base, folder, 1, err);
    if (!status) status = ae_model_trainable_with(out, base, &head, 0, err);
    ae_model_close(base);
    ae_free(path);
    scratch_remove(folder);
    return status;
}

/* Four contexts, each with its continuations; the last text of each is the context again. */
static int set_up(void **state)
{
    static world w;
    aerie_error err = { 0 };
    ae_rng rng;
    if (ae_device_open(&w.device, AE_CPU_AUTO, 2, &err) ||
        random_model(&w.models[0], "null", &err) || random_model(&w.models[1], "40", &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    ae_rng_seed(&rng, 11);
    for (int t = 0; t < N_TEXTS; t++) {
        int64_t context = 100 + 10 * (t % 4), n = t < 4 ? 0 : context;
        if (n) memcpy(w.texts[t], w.texts[t % 4], (size_t)n * sizeof **w.texts);
        w.lengths[t] = context + (t < N_TEXTS - 4 ? 5 + t : 0);
        for (; n < w.lengths[t]; n++) w.texts[t][n] = (int32_t)ae_rng_below(&rng, V);
    }
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    ae_model_close(w->models[0]);
    ae_model_close(w->models[1]);
    w->device->close(w->device);
    return 0;
}

static void on_chances(void *user, int64_t request, int64_t first, int64_t n, const ae_chance *c)
{
    answers *a = user;
    int64_t t = request % N_TEXTS;
    assert_int_equal(first, 1 + a->told[t]);
    for (int64_t i = 0; i < n; i++, c += 1 + TOPS) {
        a->logp[t][a->told[t]] = c->logprob;
        for (int k = 0; k < TOPS; k++) {
            a->top[t][a->told[t]][k] = c[1 + k].id;
            if (c[1 + k].id == c->id) assert_memory_equal(&c[1 + k], c, sizeof *c);
            if (k) assert_true(c[1 + k].logprob <= c[k].logprob);
        }
        a->told[t]++;
    }
}

static void on_score(void *user, int64_t request, float score)
{
    answers *a = user;
    a->score[request % N_TEXTS] = score;
}

static bool on_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    answers *a = user;
    (void)reply;
    a->reply[request][a->n_reply[request]++] = id;
    return true;
}

/* Every text three times: its tokens' chances (of odd ones with a reply), a score, and a reply. */
static ae_engine_stats run_all(const world *w, int model, ae_engine_options o, int first, int n,
                               answers *out)
{
    aerie_error err = { 0 };
    ae_engine *e;
    ae_engine_stats stats = { 0 };
    static ae_request requests[3 * N_TEXTS];
    const ae_engine_events events = {
        .user = out, .chances = on_chances, .score = on_score, .token = on_token
    };
    o.device = w->device;
    o.net = ae_model_net(w->models[model]);
    o.kv_type = AE_F16;
    assert_int_equal(ae_engine_open(&e, &o, &err), AERIE_OK);
    ae_run *run;
    assert_int_equal(ae_run_open(&run, e, &events, &stats, &err), AERIE_OK);
    for (int i = 0; i < 3 * N_TEXTS; i++) {
        int t = i % N_TEXTS, kind = i / N_TEXTS;
        if (t < first || t >= first + n) continue;
        requests[i] = (ae_request){ .prompt = w->texts[t],
                                    .n_prompt = w->lengths[t],
                                    .max_tokens = 2,
                                    .seed = (uint64_t)t,
                                    .sampling = { .temperature = 0.7f, .top_k = 40 },
                                    .n_top = TOPS };
        if (kind == 0 && t % 2) requests[i].tells_prompt = true;
        if (kind == 0 && t % 2 == 0) requests[i].wants = AE_WANT_CHANCES;
        if (kind == 1) requests[i].wants = AE_WANT_SCORE;
        if (ae_run_submit(run, &requests[i], i, &err)) fail_msg("%s", err.message);
    }
    for (bool more = true; more;)
        if (ae_run_step(run, &more, &err)) fail_msg("%s", err.message);
    ae_run_close(run);
    ae_engine_close(e);
    return stats;
}

/* Alone, one text at a time, and as a text that is scored is read. */
static void expect_alone(const world *w, int model, answers *alone)
{
    aerie_error err = { 0 };
    ae_engine *e;
    ae_arena arena = { 0 };
    const ae_net *net = ae_model_net(w->models[model]);
    const ae_engine_options o = { .device = w->device, .net = net };
    float logp[LONGEST], scores[LONGEST];
    const int32_t none = 0;
    for (int t = 0; t < N_TEXTS; t++) {
        int64_t n = w->lengths[t];
        run_all(w, model, (ae_engine_options){ 0 }, t, 1, alone);
        assert_int_equal(ae_engine_open(&e, &o, &err), AERIE_OK);
        assert_int_equal(ae_engine_log_probs(e, w->texts[t], n, logp, &err), AERIE_OK);
        ae_engine_close(e);
        const ae_replies replies = { w->texts[t], n, &none, 1 };
        assert_int_equal(ae_reward_scores(scores, &replies, 0, w->device, net, &arena, &err),
                         AERIE_OK);
        assert_int_equal(alone->told[t], n - 1);
        assert_memory_equal(alone->logp[t], logp, (size_t)(n - 1) * sizeof *logp);
        assert_memory_equal(&alone->score[t], &scores[n - 1], sizeof *scores);
    }
    ae_arena_free(&arena);
}

static void answers_are_those_of_a_text_alone(void **state)
{
    const world *w = *state;
    static answers alone, other;
    static const ae_engine_options shapes[] = {
        { 0 },
        { .max_batch = 16, .max_sequences = 3, .prefix_cache_positions = 5000 },
        { .max_batch = 100, .max_sequences = 9, .prefix_cache_positions = 400 },
        { .max_batch = 512, .prefix_cache_positions = 100000, .kv_positions = 3000 },
    };
    for (int m = 0; m < 2; m++) {
        memset(&alone, 0, sizeof alone);
        expect_alone(w, m, &alone);
        for (size_t i = 0; i < AE_COUNT(shapes); i++) {
            memset(&other, 0, sizeof other);
            run_all(w, m, shapes[i], 0, N_TEXTS, &other);
            assert_memory_equal(&alone, &other, sizeof alone);
        }
    }
}

/* A context is computed once in float32 for what is told of it and scored, and once in the replies'
 * type; what comes after it may be read for all three at once. Of every request there is a token
 * more, and one where it leaves the context. */
static void contexts_are_computed_once(void **state)
{
    const world *w = *state;
    static answers a;
    int64_t contexts = 0, others = 0, all = 0;
    memset(&a, 0, sizeof a);
    ae_engine_stats stats =
        run_all(w, 0, (ae_engine_options){ .prefix_cache_positions = 100000 }, 0, N_TEXTS, &a);
    for (int t = 0; t < N_TEXTS; t++) {
        int64_t context = 100 + 10 * (t % 4);
        all += w->lengths[t];
        contexts += t < 4 ? context : 0;
        others += w->lengths[t] - context;
    }
    assert_in_range(stats.prompt_tokens, contexts, 2 * contexts + 3 * others + 6 * N_TEXTS);
    assert_int_equal(stats.prompt_tokens + stats.reused, 3 * all);
}

/* What is kept in float32 counts for what it takes. */
static void scored_positions_count_twice(void **state)
{
    const world *w = *state;
    aerie_error err = { 0 };
    ae_engine *e;
    const ae_engine_options o = { .device = w->device,
                                  .net = ae_model_net(w->models[0]),
                                  .kv_type = AE_F16,
                                  .kv_positions = 200 };
    ae_request r = { .prompt = w->texts[0], .n_prompt = 100, .wants = AE_WANT_SCORE };
    assert_int_equal(ae_engine_open(&e, &o, &err), AERIE_OK);
    assert_int_equal(ae_engine_check(e, &r, &err), AERIE_OK);
    r.n_prompt = 101;
    assert_int_equal(ae_engine_check(e, &r, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "float32"));
    ae_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_a_text_alone),
        cmocka_unit_test(contexts_are_computed_once),
        cmocka_unit_test(scored_positions_count_twice),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
