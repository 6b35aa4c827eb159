/* The live engine's numbers: log-probabilities, embeddings and scores do not depend on passes or
 * company. */
#include "engine_reader.h"

#include <math.h>

static void log_probabilities_come_along(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    aerie_sampling s = warm(9);
    s.temperature = 0;
    aerie_ask a = { .text = prompts[1],
                    .sampling = &s,
                    .max_tokens = 20,
                    .ignore_eog = true,
                    .logprobs = true,
                    .top_logprobs = 5 };
    reader r;
    ask_and_wait(e, &a, &r);
    assert_int_equal(r.n_tokens, 20);
    assert_true(r.logprob < 0 && r.logprob > -100);
    assert_true(r.top_is_sorted);
    close_reader(&r);
    aerie_engine_close(e);
}

static void prompts_have_log_probabilities_too(void **state)
{
    const world *w = *state;
    aerie_error err = { 0 };
    const aerie_engine_options shapes[] = { { 0 }, { .max_batch = 3, .parallel = 2 } };
    int32_t *ids;
    size_t n;
    float expected[64];
    ae_engine *scorer;
    assert_int_equal(aerie_tokenize(aerie_model_tokenizer(w->model), prompts[4], strlen(prompts[4]),
                                    NULL, &ids, &n, &err),
                     AERIE_OK);
    const ae_engine_options o = { .device = w->model->device, .net = &w->model->net };
    assert_int_equal(ae_engine_open(&scorer, &o, &err), AERIE_OK);
    assert_int_equal(ae_engine_log_probs(scorer, ids, (int64_t)n, expected, &err), AERIE_OK);
    ae_engine_close(scorer);
    for (size_t k = 0; k < 2 * AE_COUNT(shapes); k++) {
        aerie_engine *e = open_engine(w, &shapes[k / 2]);
        aerie_ask a = { .ids = ids,
                        .n_ids = n,
                        .kind = k % 2 ? AERIE_ASK_LOG_PROBS : AERIE_ASK_REPLIES,
                        .prompt_logprobs = true,
                        .max_tokens = 3,
                        .top_logprobs = 2 };
        reader r;
        ask_and_wait(e, &a, &r);
        assert_int_equal(r.n_prompt_tokens, n);
        assert_true(isnan(r.prompt_logprobs[0]));
        assert_memory_equal(r.prompt_logprobs + 1, expected, (n - 1) * sizeof *expected);
        assert_int_equal(r.n_finished, k % 2 ? 0 : 1);
        close_reader(&r);
        aerie_engine_close(e);
    }
    aerie_free(ids);
}

static void an_embedding_does_not_depend_on_passes(void **state)
{
    const world *w = *state;
    const aerie_engine_options shapes[] = { { 0 }, { .max_batch = 3, .parallel = 3 } };
    static reader readers[2][N_PROMPTS], other;
    for (int k = 0; k < 2; k++) {
        aerie_engine *e = open_engine(w, &shapes[k]);
        for (int i = 0; i < N_PROMPTS; i++) {
            aerie_ask a = { .kind = AERIE_ASK_EMBEDDING, .text = prompts[i] };
            open_reader(&readers[k][i], e);
            ask(e, &a, &readers[k][i]);
        }
        aerie_ask reply = text_ask(0, NULL); /* beside them: its caches are of another type */
        ask_and_wait(e, &reply, &other);
        close_reader(&other);
        for (int i = 0; i < N_PROMPTS; i++) await_end(&readers[k][i]);
        aerie_engine_close(e);
    }
    for (int i = 0; i < N_PROMPTS; i++) {
        double squares = 0;
        assert_int_equal(readers[0][i].n_numbers, 192);
        assert_memory_equal(readers[0][i].numbers, readers[1][i].numbers, 192 * sizeof(float));
        for (int j = 0; j < 192; j++)
            squares += (double)readers[0][i].numbers[j] * (double)readers[0][i].numbers[j];
        assert_true(fabs(squares - 1) < 1e-5);
        close_reader(&readers[0][i]);
        close_reader(&readers[1][i]);
    }
}

/* A reward model of random numbers, from a file. */
static aerie_model *open_reward_model(void)
{
    aerie_error err = { 0 };
    ae_model *base = NULL, *scorer = NULL;
    aerie_model *m = NULL;
    const ae_head_options head = { .score = true, .drop_language = true, .seed = 5 };
    char *folder = scratch_make(), *path = ae_path_join(folder, "rm.gguf");
    if (ae_model_open(&base, "recipes/nursery/nursery.gguf", &err) ||
        ae_model_trainable_with(&scorer, base, &head, 0, &err) ||
        ae_model_save_gguf(scorer, path, AE_F16, &err) || aerie_model_open(&m, path, NULL, &err))
        fail_msg("%s", err.message);
    ae_model_close(scorer);
    ae_model_close(base);
    scratch_remove(folder); /* the file stays mapped */
    ae_free(path);
    return m;
}

static void a_score_is_that_of_a_reward_model(void **state)
{
    (void)state;
    aerie_error err = { 0 };
    const world w = { open_reward_model() };
    int32_t *ids;
    size_t n;
    float scores[64];
    ae_arena arena = { 0 };
    assert_int_equal(aerie_tokenize(aerie_model_tokenizer(w.model), prompts[4], strlen(prompts[4]),
                                    NULL, &ids, &n, &err),
                     AERIE_OK);
    const int32_t none = 0;
    const ae_replies replies = {
        .ids = ids, .n_prompt = (int64_t)n, .reply_n = &none, .n_replies = 1
    };
    assert_int_equal(
        ae_reward_scores(scores, &replies, 0, w.model->device, &w.model->net, &arena, &err),
        AERIE_OK);
    ae_arena_free(&arena);
    const aerie_engine_options o = { .max_batch = 5, .parallel = 2 };
    aerie_engine *e = open_engine(&w, &o);
    aerie_ask a = { .kind = AERIE_ASK_SCORE, .ids = ids, .n_ids = n };
    reader r;
    ask_and_wait(e, &a, &r);
    assert_int_equal(r.n_numbers, 1);
    assert_memory_equal(r.numbers, &scores[n - 1], sizeof(float));
    close_reader(&r);
    a.kind = AERIE_ASK_REPLIES;
    assert_int_equal(aerie_engine_ask(e, &a, on_event, NULL, NULL, &err), AERIE_BAD_ARGUMENT);
    aerie_engine_close(e);
    aerie_free(ids);
    aerie_model_close(w.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_probabilities_come_along),
        cmocka_unit_test(prompts_have_log_probabilities_too),
        cmocka_unit_test(an_embedding_does_not_depend_on_passes),
        cmocka_unit_test(a_score_is_that_of_a_reward_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
