/* test_online.c -- methods that sample: what they record is what the trainer computes, their
 * gradients are slopes, nothing depends on the machine's shape, and rewards rise. */
#include "infer/infer.h"
#include "tiny.h"
#include "train/rollout.h"
#include "train/trainer.h"

#include <math.h>

static tiny t;
static ae_samples prompts;

enum { N_PROMPTS = 7 };

/* Scores the share of even tokens; a rule that every token can learn. */
static aerie_status even_tokens(void *user, const char *command, const aerie_reward_item *items,
                                size_t n, double *scores, aerie_error *err)
{
    (void)command;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        scores[i] = 0;
        for (int64_t k = 0; k < items[i].n_tokens; k++)
            scores[i] += (items[i].ids[k] % 2 == 0) / (double)items[i].n_tokens;
        if (user) ((double *)user)[0] += scores[i], ((double *)user)[1]++;
    }
    return AERIE_OK;
}

static aerie_status not_a_number(void *user, const char *command, const aerie_reward_item *items,
                                 size_t n, double *scores, aerie_error *err)
{
    (void)user, (void)command, (void)items, (void)err;
    for (size_t i = 0; i < n; i++) scores[i] = i == 1 ? NAN : 0;
    return AERIE_OK;
}

static void make_prompts(void)
{
    prompts.items = ae_arena_take(&prompts.arena, N_PROMPTS, sizeof *prompts.items);
    for (prompts.n = 0; prompts.n < N_PROMPTS; prompts.n++) {
        ae_sample s = t.pairs.items[prompts.n];
        s.kind = AE_EXAMPLE_CHAT;
        s.n = s.n_prompt;
        prompts.items[prompts.n] = s;
    }
}

static int set_up(void **state)
{
    (void)state;
    tiny_open(&t);
    make_prompts();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ae_arena_free(&prompts.arena);
    tiny_close(&t);
    return 0;
}

#define RUN(name, how, ...)                                                                        \
    {                                                                                              \
        .method = how, .output = name, .data = &prompts, .run = { .reward = even_tokens },         \
        .settings = { __VA_ARGS__, "rollout.max_new_tokens=9" },                                   \
        .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *) + 1                    \
    }

/* ---- sampling and training see the same numbers ---- */

/* A trainer whose adapter has moved, with replies of a few prompts. */
typedef struct {
    ae_recipe recipe;
    ae_train_run run;
    aerie_train_summary summary;
    ae_trainer trainer;
    ae_device *device;
    ae_model *model;
    ae_rollouts rollouts;
} sampled;

static void must(aerie_status status, const aerie_error *err)
{
    if (status) fail_msg("%s", err->message);
}

static void move_params(ae_trainer *trainer, uint64_t seed)
{
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    for (int64_t i = 0; i < trainer->optimizer.n; i++) {
        ae_tensor *p = trainer->params[i].tensor;
        for (int64_t k = 0; k < p->rows * p->cols; k++) ae_f32(p)[k] += 0.1f * ae_rng_normal(&rng);
    }
}

static void open_sampled(sampled *s, const char *const *settings, size_t n)
{
    static const int64_t items[] = { 0, 3, 1, 6, 3 };
    const char *all[24] = { "data=none", "output=none.gguf", "rollout.max_new_tokens=9",
                            "rollout.samples=3" };
    char model[400];
    aerie_error err = { 0 };

    *s = (sampled){ 0 };
    snprintf(model, sizeof model, "model=%s", t.model_path);
    all[4] = model;
    for (size_t i = 0; i < n; i++) all[5 + i] = settings[i];
    must(ae_recipe_load(&s->recipe, NULL, all, 5 + n, &err), &err);
    must(ae_device_open(&s->device, AE_CPU_AUTO, 2, &err), &err);
    must(ae_model_open(&s->model, t.model_path, &err), &err);
    s->trainer = (ae_trainer){ .recipe = &s->recipe,
                               .device = s->device,
                               .model = s->model,
                               .data = &prompts,
                               .run = &s->run,
                               .summary = &s->summary };
    must(ae_trainer_open(&s->trainer, &err), &err);
    move_params(&s->trainer, 5);
    must(ae_trainer_follow(&s->trainer, &err), &err);
    ae_rollout_call call = { .recipe = &s->recipe,
                             .device = s->device,
                             .net = &s->trainer.net,
                             .prompts = &prompts,
                             .items = items,
                             .n = AE_COUNT(items),
                             .seed = 17 };
    must(ae_rollouts_make(&s->rollouts, &call, &err), &err);
}

static void close_sampled(sampled *s)
{
    ae_rollouts_free(&s->rollouts);
    ae_trainer_close(&s->trainer);
    ae_model_close(s->model);
    s->device->close(s->device);
    ae_recipe_free(&s->recipe);
}

static ae_pass pass_of(sampled *s)
{
    ae_pass pass = ae_trainer_pass(&s->trainer, &s->rollouts.set);

    pass.objective = &ae_objective_replies;
    pass.temperature = (float)s->recipe.online.temperature;
    pass.values = ae_online_has_values(&s->recipe);
    pass.entropy = s->recipe.online.entropy_coef > 0;
    return pass;
}

/* What was recorded when a token was drawn has the trainer's bits: with an adapter, with DoRA, with
 * all parameters, at any temperature, whatever else was sampled at once. */
static void test_sampling_is_the_trainer_to_the_bit(void **state)
{
    static const char *const cases[][4] = {
        { "method=grpo", "lora.r=3", "rollout.temperature=1", "rollout.parallel=3" },
        { "method=grpo", "lora.r=3", "rollout.temperature=0.7", "rollout.parallel=32" },
        { "method=rloo", "lora.dora=true", "lora.r=4", "rollout.temperature=1.3" },
        { "method=grpo", "rollout.temperature=1", "rollout.parallel=7", "recompute=true" },
    };

    (void)state;
    for (size_t c = 0; c < AE_COUNT(cases); c++) {
        static const int64_t order[] = { 0, 1, 2, 3, 4 };
        aerie_error err = { 0 };
        sampled s;
        open_sampled(&s, cases[c], 4);
        ae_pass pass = pass_of(&s);
        double *again = ae_alloc((size_t)s.rollouts.n_tokens, sizeof *again);
        must(ae_pass_reference(&pass, order, 2, again, &err), &err);
        must(ae_pass_reference(&pass, order + 2, 3, again, &err), &err);
        for (int64_t i = 0; i < s.rollouts.n_tokens; i++)
            if (again[i] != s.rollouts.logp[i])
                fail_msg("case %zu, token %lld: %.9g when drawn, %.9g in training", c, (long long)i,
                         s.rollouts.logp[i], again[i]);
        assert_int_equal(s.rollouts.n_tokens, 5 * 3 * 9);
        ae_free(again);
        close_sampled(&s);
    }
}

/* ---- gradients ---- */

/* The loss of all items, or (train) its gradients. */
static double loss_of(sampled *s, bool train)
{
    static const int64_t order[] = { 2, 0, 4, 1, 3 };
    ae_pass pass = pass_of(s);
    ae_loss_sums sums = { 0 };
    aerie_error err = { 0 };

    must(ae_pass_items(&pass, train ? AE_PASS_TRAIN : AE_PASS_EVALUATE, order, 5,
                       ae_pass_share(&pass, order, 5), &sums, &err),
         &err);
    return sums.loss / sums.share;
}

/* Log-probabilities, or values, of all tokens as the policy stands. */
static void look_up(sampled *s, bool values, double *out)
{
    static const int64_t order[] = { 0, 1, 2, 3, 4 };
    ae_pass pass = pass_of(s);
    aerie_error err = { 0 };

    pass.values = values;
    must(ae_pass_reference(&pass, order, 5, out, &err), &err);
}

/* Advantages of both signs, and a past of the policy and its values on every side of where they are
 * clipped, well away from the kinks themselves. */
static void make_up(sampled *s)
{
    static const double logp_apart[] = { -0.6, -0.05, 0.05, 0.5, 1 };
    static const double value_apart[] = { -0.8, -0.1, 0.1, 0.8 };
    ae_rollouts *r = &s->rollouts;
    ae_rng rng;

    ae_rng_seed(&rng, 23);
    look_up(s, false, r->logp);
    if (ae_online_has_values(&s->recipe)) look_up(s, true, r->values);
    for (int64_t i = 0; i < r->n_tokens; i++) {
        r->advantages[i] = (double)ae_rng_normal(&rng);
        r->ref[i] = r->logp[i] + 0.3 * (double)ae_rng_normal(&rng);
        r->logp[i] -= logp_apart[ae_rng_below(&rng, AE_COUNT(logp_apart))];
        r->values[i] += value_apart[ae_rng_below(&rng, AE_COUNT(value_apart))];
        r->returns[i] = r->values[i] + 2 * (double)ae_rng_normal(&rng);
    }
}

/* Along a random direction of all that is trained: the mean of both sides' slopes against the
 * gradient's product with it. */
static void check_direction(sampled *s, const char *name, uint64_t seed)
{
    const ae_optimizer *o = &s->trainer.optimizer;
    double product = 0, sides[2];
    float h = 2e-4f;

    ae_optimizer_zero_grads(o);
    loss_of(s, true);
    for (int side = 0; side < 2; side++) {
        for (int back = 0; back < 2; back++) {
            ae_rng rng;
            ae_rng_seed(&rng, seed);
            if (back) sides[side] = loss_of(s, false);
            for (int64_t i = 0; i < o->n; i++) {
                ae_tensor *p = o->params[i].tensor;
                for (int64_t k = 0; k < p->rows * p->cols; k++) {
                    float d = (ae_rng_below(&rng, 2) ? h : -h) * (side ? -1 : 1);
                    if (!side && !back) product += (double)p->grad[k] * (double)d / (double)h;
                    ae_f32(p)[k] += back ? -d : d;
                }
            }
        }
    }
    double measured = (sides[0] - sides[1]) / (2 * (double)h);
    if (fabs(measured - product) > 2e-3 * fmax(0.5, fabs(product)))
        fail_msg("%s, seed %llu: the gradient says %.6g, the loss %.6g", name,
                 (unsigned long long)seed, product, measured);
}

static void test_gradients_are_slopes(void **state)
{
    static const char *const cases[][5] = {
        { "method=ppo", "lora.r=3", "ppo.value_coef=0", "ppo.clip=0.3", "rollout.temperature=0.8" },
        { "method=ppo", "lora.r=3", "ppo.value_coef=1", "ppo.clip_value=0.3", "ppo.dual_clip=2" },
        { "method=ppo", "rollout.temperature=1", "ppo.value_coef=0.5", "seed=3", "ppo.clip=0.2" },
        { "method=ppo", "lora.r=3", "ppo.entropy_coef=0.4", "rollout.temperature=0.8", "seed=5" },
        { "method=apa", "lora.r=3", "apa.lambda=0.5", "ppo.value_coef=1", "seed=4" },
        { "method=apa", "lora.r=3", "apa.lambda=1", "ppo.value_head=false", "seed=4" },
        { "method=awr", "lora.r=3", "awr.c=0.5", "ppo.value_coef=1", "seed=4" },
        { "method=grpo", "lora.r=3", "grpo.loss=grpo", "beta=0.5", "ppo.clip=0.3" },
        { "method=grpo", "lora.r=3", "grpo.loss=dr_grpo", "beta=0.5", "ppo.clip_high=0.5" },
    };

    (void)state;
    for (size_t c = 0; c < AE_COUNT(cases); c++) {
        sampled s;
        open_sampled(&s, cases[c], 5);
        s.rollouts.share = c == 7 ? AE_PER_REPLY : c == 8 ? AE_PER_ROOM : AE_PER_TOKEN;
        make_up(&s);
        for (uint64_t seed = 1; seed <= 3; seed++) check_direction(&s, cases[c][0], seed);
        close_sampled(&s);
    }
}

/* ---- the loop ---- */

static void check_shape(const char *method, const char *a, const char *b)
{
    static const char *const sizes[] = { "micro_batch_tokens=1", "micro_batch_tokens=100",
                                         "micro_batch_tokens=4096" };
    static const char *const parallel[] = { "rollout.parallel=3", "rollout.parallel=8",
                                            "rollout.parallel=64" };
    ae_bytes first = { 0 };

    for (int i = 0; i < 3; i++) {
        tiny_run r = RUN("shape.gguf", method, sizes[i], parallel[i], a, b, "max_steps=3",
                         "rollout.samples=3");
        r.threads = i + 1;
        ae_bytes bytes = tiny_output(&t, &r, NULL);
        if (i == 0)
            first = bytes;
        else
            tiny_assert_same(&first, &bytes, method);
        if (i > 0) ae_bytes_free(&bytes);
    }
    ae_bytes_free(&first);
}

static void test_rows_threads_and_parallel_change_no_bit(void **state)
{
    (void)state;
    check_shape("grpo", "lora.r=3", "rollout.epochs=2");
    check_shape("rloo", "kl.coef=0.1", "rollout.minibatches=2");
    check_shape("ppo", "lora.r=3", "rollout.minibatches=2");
    check_shape("apa", "lora.r=3", "reward.scale=running");
    check_shape("awr", "ppo.value_head=false", "lora.r=2");
}

/* Stops after the step that `user` counts down to. */
static int stop_at(void *user, const aerie_train_progress *p)
{
    return p->phase == AERIE_TRAIN_STEP && p->step == *(int64_t *)user;
}

static void check_resume(const char *method, const char *a, const char *b)
{
    tiny_run whole = RUN("whole.gguf", method, a, b, "max_steps=5", "rollout.samples=2",
                         "reward.scale=running", "rollout.epochs=2");
    tiny_run part = RUN("part.gguf", method, a, b, "max_steps=5", "rollout.samples=2",
                        "reward.scale=running", "rollout.epochs=2");
    aerie_train_summary summary;
    aerie_error err = { 0 };
    int64_t stop = 2;
    ae_bytes first = tiny_output(&t, &whole, NULL);

    part.run.progress = stop_at;
    part.run.user = &stop;
    assert_int_equal(tiny_train(&t, &part, &summary, &err), AERIE_INTERRUPTED);
    part.run.progress = NULL;
    part.run.resume = true;
    ae_bytes second = tiny_output(&t, &part, &summary);
    assert_int_equal(summary.first_step, 2);
    tiny_assert_same(&first, &second, method);
    ae_bytes_free(&first);
    ae_bytes_free(&second);
}

static void test_resume_is_bit_exact(void **state)
{
    (void)state;
    check_resume("ppo", "kl.target=0.01", "kl.horizon=10");
    check_resume("rloo", "lora.r=3", "kl.target=0.5");
    check_resume("apa", "kl.target=0.01", "kl.horizon=10");
    check_resume("apa", "lora.r=2", "rollout.minibatches=2");
}

/* While replies are sampled, looked up and learned from. Of a whole model the second update and
 * those after it are waited for. */
static void test_a_step_is_stopped_within(void **state)
{
    tiny_run adapter =
        RUN("within.gguf", "ppo", "max_steps=2", "rollout.samples=2", "lora.r=2",
            "rollout.epochs=2", "batch_size=2", "reward.scale=running", "kl.target=0.1");
    tiny_run whole = RUN("within.gguf", "grpo", "max_steps=1", "rollout.samples=2",
                         "rollout.epochs=2", "batch_size=2");
    tiny_run once = RUN("within.gguf", "grpo", "max_steps=1", "rollout.samples=2",
                        "rollout.epochs=1", "batch_size=2");

    (void)state;
    int64_t n = tiny_assert_stops_within(&t, &once);
    assert_true(n >= 9 + 1 + 1);
    assert_int_equal(tiny_assert_stops_within(&t, &whole), n);
    assert_int_equal(tiny_assert_stops_within(&t, &adapter), 2 * (n + 2));
}

static void test_rewards_rise(void **state)
{
    static const char *const methods[] = { "grpo", "rloo", "ppo", "apa", "awr" };

    (void)state;
    for (size_t m = 0; m < AE_COUNT(methods); m++) {
        double start[2] = { 0 }, end[2] = { 0 };
        tiny_run r = RUN("rise.gguf", methods[m], "max_steps=1", "rollout.samples=16",
                         "learning_rate=0.01", "batch_size=7");
        r.run.reward_user = start;
        ae_bytes bytes = tiny_output(&t, &r, NULL);
        ae_bytes_free(&bytes);
        r.settings[0] = "max_steps=25";
        r.run.reward_user = end;
        bytes = tiny_output(&t, &r, NULL);
        ae_bytes_free(&bytes);
        /* `end` is the mean over the whole run. */
        if (!(end[0] / end[1] > start[0] / start[1] + 0.1))
            fail_msg("%s: the score went from %.3f to %.3f", methods[m], start[0] / start[1],
                     end[0] / end[1]);
    }
}

/* The value function stays behind: what is written is what grpo would write. */
static void test_the_output_has_no_value_head(void **state)
{
    tiny_run all = RUN("all.gguf", "ppo", "max_steps=2");
    tiny_run lora = RUN("lora.gguf", "ppo", "max_steps=2", "lora.r=2");
    ae_bytes a = tiny_output(&t, &all, NULL), b = tiny_output(&t, &lora, NULL);
    char *path = tiny_path(&t, "all.gguf", "");
    aerie_error err = { 0 };
    ae_model *m;

    (void)state;
    must(ae_model_open(&m, path, &err), &err);
    assert_null(ae_model_net(m)->score);
    assert_non_null(ae_model_net(m)->head);
    for (size_t i = 0; i + 4 < b.len; i++)
        if (memcmp(b.data + i, "cls.", 4) == 0) fail_msg("the adapter has a head of its own");
    ae_model_close(m);
    ae_free(path);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
}

static void test_what_cannot_be_is_a_sentence(void **state)
{
    tiny_run bad_score = RUN("bad.gguf", "grpo", "max_steps=1");
    tiny_run nobody = RUN("bad.gguf", "grpo", "max_steps=1");
    tiny_run alone = RUN("bad.gguf", "rloo", "rollout.samples=1");
    tiny_run dropout = RUN("bad.gguf", "ppo", "lora.r=2", "lora.dropout=0.1");
    tiny_run other = RUN("bad.gguf", "dpo", "beta=0.1");
    aerie_train_summary summary;
    aerie_error err = { 0 };

    (void)state;
    bad_score.run.reward = not_a_number;
    assert_int_equal(tiny_train(&t, &bad_score, &summary, &err), AERIE_BAD_NUMBER);
    assert_non_null(strstr(err.message, "step 1"));
    err = (aerie_error){ 0 };
    nobody.run.reward = NULL;
    assert_int_equal(tiny_train(&t, &nobody, &summary, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "built-in"));
    err = (aerie_error){ 0 };
    assert_int_equal(tiny_train(&t, &alone, &summary, &err), AERIE_BAD_TEXT);
    err = (aerie_error){ 0 };
    assert_int_equal(tiny_train(&t, &dropout, &summary, &err), AERIE_BAD_TEXT);
    err = (aerie_error){ 0 };
    assert_int_equal(tiny_train(&t, &other, &summary, &err), AERIE_BAD_TEXT);
    assert_non_null(strstr(err.message, "means nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sampling_is_the_trainer_to_the_bit),
        cmocka_unit_test(test_gradients_are_slopes),
        cmocka_unit_test(test_rows_threads_and_parallel_change_no_bit),
        cmocka_unit_test(test_resume_is_bit_exact),
        cmocka_unit_test(test_a_step_is_stopped_within),
        cmocka_unit_test(test_rewards_rise),
        cmocka_unit_test(test_the_output_has_no_value_head),
        cmocka_unit_test(test_what_cannot_be_is_a_sentence),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
