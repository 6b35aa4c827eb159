/* test_reward.c -- reward models: their loss and gradients against PyTorch and against slopes, and
 * that they learn, whatever shape the machine and the rows have. */
#include "tiny.h"

#include "train/pass.h"
#include "train/reward.h"

#include <math.h>

#define FOLDER "test/golden/reward"

enum { MAX_PARAMS = 64 };

/* ---- against PyTorch ---- */

/* The reward model of tools/golden/make_reward_fixtures.py, its rankings, and what they gave. */
typedef struct {
    ae_device *device;
    ae_model *file, *model;
    ae_safetensors *golden;
    json_t *facts;
    ae_samples set;
    ae_recipe recipe;
    ae_arena rows;
    ae_named_param params[MAX_PARAMS];
    int64_t n_params;
} fixture;

static void add_ids(ae_sample *s, const json_t *ids)
{
    const json_t *id;
    size_t i;

    json_array_foreach(ids, i, id) s->ids[s->n++] = (int32_t)json_integer_value(id);
}

/* Reply k of a document, of n: with `pair`, its first and its last. */
static size_t reply_at(size_t k, size_t n, bool pair)
{
    return pair && k ? n - 1 : k;
}

static ae_sample sample_of(fixture *f, size_t d, bool pair)
{
    const json_t *document = json_array_get(json_object_get(f->facts, "documents"), d);
    const json_t *replies = json_object_get(document, "replies");
    const json_t *ranks = json_array_get(json_object_get(f->facts, "ranks"), d);
    size_t n = json_array_size(replies), kept = pair ? 2 : n;
    ae_sample s = { .kind = AE_EXAMPLE_RANKED, .n_replies = (int32_t)kept };

    s.ids = ae_arena_take(&f->set.arena, 128, sizeof *s.ids);
    s.weight = ae_arena_take(&f->set.arena, 128, sizeof *s.weight);
    s.reply_n = ae_arena_take(&f->set.arena, kept, sizeof *s.reply_n);
    s.rank = ae_arena_take(&f->set.arena, kept, sizeof *s.rank);
    add_ids(&s, json_object_get(document, "prompt"));
    s.n_prompt = s.n;
    for (size_t k = 0; k < kept; k++) {
        const json_t *ids = json_array_get(replies, reply_at(k, n, pair));
        s.reply_n[k] = (int32_t)json_array_size(ids);
        s.rank[k] = (float)json_number_value(json_array_get(ranks, reply_at(k, n, pair)));
        add_ids(&s, ids);
    }
    if (pair)
        s.margin =
            (float)json_number_value(json_array_get(json_object_get(f->facts, "margins"), d));
    return s;
}

static void open_fixture(fixture *f, const char *loss, bool shared)
{
    bool pair = strcmp(loss, "bradley_terry") == 0;
    char text[64];
    const char *settings[] = { "method=reward",
                               "model=" FOLDER,
                               "data=none.jsonl",
                               "output=none.gguf",
                               text,
                               shared ? "shared_prefix=true" : "shared_prefix=false",
                               pair ? "center_rewards_coefficient=0.01" : "seed=1" };
    aerie_error err = { 0 };

    *f = (fixture){ 0 };
    snprintf(text, sizeof text, "reward_loss=%s", loss);
    assert_int_equal(ae_device_open(&f->device, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    if (ae_model_open(&f->file, FOLDER, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_model_trainable(&f->model, f->file, NULL), AERIE_OK);
    assert_int_equal(ae_safetensors_open(&f->golden, FOLDER "/golden.safetensors", NULL), AERIE_OK);
    f->facts = json_load_file(FOLDER "/golden.json", 0, NULL);
    if (ae_recipe_load(&f->recipe, NULL, settings, AE_COUNT(settings), &err))
        fail_msg("%s", err.message);
    f->set.items = ae_arena_take(&f->set.arena, 2, sizeof *f->set.items);
    for (; f->set.n < 2; f->set.n++) f->set.items[f->set.n] = sample_of(f, f->set.n, pair);
    f->n_params = ae_model_params(f->model, f->params, MAX_PARAMS);
}

static void close_fixture(fixture *f)
{
    ae_arena_free(&f->rows);
    ae_arena_free(&f->set.arena);
    ae_recipe_free(&f->recipe);
    json_decref(f->facts);
    ae_safetensors_close(f->golden);
    ae_model_close(f->model);
    ae_model_close(f->file);
    f->device->close(f->device);
}

/* The mean loss of both prompts; gradients are added when training. */
static double loss_of(fixture *f, ae_pass_kind kind)
{
    static const int64_t items[2] = { 0, 1 };
    const ae_pass pass = { .recipe = &f->recipe,
                           .objective = ae_objective_of(&f->recipe),
                           .set = &f->set,
                           .device = f->device,
                           .net = ae_model_net(f->model),
                           .arena = &f->rows };
    ae_loss_sums sums = { 0 };
    aerie_error err = { 0 };

    if (ae_pass_items(&pass, kind, items, 2, 2, &sums, &err)) fail_msg("%s", err.message);
    assert_true(sums.share == 2);
    return sums.loss / sums.share;
}

static double apart(const fixture *f, const char *loss, const ae_named_param *p)
{
    int64_t n = p->tensor->rows * p->tensor->cols;
    double most = 0, size = 0;
    char name[160];

    snprintf(name, sizeof name, "%s.%s", loss, p->name);
    const ae_stored_tensor *want = ae_tensor_list_find(ae_safetensors_tensors(f->golden), name);
    if (!want) fail_msg("no golden '%s'", name);
    assert_int_equal(want->rows * want->cols, n);
    for (int64_t i = 0; i < n; i++) {
        const float *x = want->data;
        most = fmax(most, fabs((double)(p->tensor->grad[i] - x[i])));
        size = fmax(size, fabs((double)x[i]));
    }
    return most / size;
}

/* Losses and every gradient, the prompts shared by their replies or computed with each. */
static void test_as_pytorch(void **state)
{
    static const char *const losses[] = { "plackett_luce", "all_pairs", "bradley_terry" };
    (void)state;

    for (size_t k = 0; k < 2 * AE_COUNT(losses); k++) {
        const char *name = losses[k / 2];
        double worst = 0, loss, want;
        fixture f;
        open_fixture(&f, name, k % 2);
        loss = loss_of(&f, AE_PASS_TRAIN);
        want = json_number_value(json_object_get(f.facts, name));
        for (int64_t i = 0; i < f.n_params; i++) worst = fmax(worst, apart(&f, name, &f.params[i]));
        print_message("%s: loss %.1e apart, gradients %.1e\n", name, fabs(loss - want), worst);
        assert_true(fabs(loss - want) < 2e-6 && worst < 1e-5);
        assert_true(fabs(loss_of(&f, AE_PASS_EVALUATE) - loss) < 1e-12);
        close_fixture(&f);
    }
}

/* ---- against slopes ---- */

static void move(const ae_named_param *p, const float *from, double step)
{
    int64_t n = p->tensor->rows * p->tensor->cols;
    double length = 0;

    for (int64_t i = 0; i < n; i++)
        length += (double)p->tensor->grad[i] * (double)p->tensor->grad[i];
    for (int64_t i = 0; i < n; i++)
        ae_f32(p->tensor)[i] =
            (float)((double)from[i] + step * (double)p->tensor->grad[i] / sqrt(length));
}

/* Along a parameter's own gradient the loss falls as the gradient's length says. */
static void check_slope(fixture *f, const ae_named_param *p)
{
    int64_t n = p->tensor->rows * p->tensor->cols;
    float *at = ae_alloc((size_t)n, sizeof *at);
    double length = 0, slope, h = 4e-3;

    memcpy(at, p->tensor->data, (size_t)n * sizeof *at);
    for (int64_t i = 0; i < n; i++)
        length += (double)p->tensor->grad[i] * (double)p->tensor->grad[i];
    move(p, at, h);
    slope = loss_of(f, AE_PASS_EVALUATE);
    move(p, at, -h);
    slope = (slope - loss_of(f, AE_PASS_EVALUATE)) / (2 * h);
    memcpy(p->tensor->data, at, (size_t)n * sizeof *at);
    ae_free(at);
    if (fabs(slope - sqrt(length)) > 2e-3 * (0.1 + sqrt(length)))
        fail_msg("%s: slope %g, gradient %g", p->name, slope, sqrt(length));
}

static void test_gradients_are_slopes(void **state)
{
    static const char *const losses[] = { "plackett_luce", "all_pairs_sum", "bradley_terry" };
    (void)state;

    for (size_t k = 0; k < AE_COUNT(losses); k++) {
        fixture f;
        open_fixture(&f, losses[k], true);
        loss_of(&f, AE_PASS_TRAIN);
        for (int64_t i = 0; i < f.n_params; i++) check_slope(&f, &f.params[i]);
        close_fixture(&f);
    }
}

/* ---- the losses ---- */

/* A score added to all changes nothing, and two replies are Bradley-Terry whatever the loss. */
static void test_only_differences_count(void **state)
{
    static const float ranks[] = { 3, 1, 2, 2, 5 };
    const double a[5] = { 0.3, 1.2, -0.5, 0.9, 0.1 }, b[5] = { 50.3, 51.2, 49.5, 50.9, 50.1 };
    double slope[5], again[5], sum = 0;
    ae_reward_term x, y;
    (void)state;

    for (int loss = 0; ae_reward_loss_name(loss); loss++) {
        const ae_ranked_scores s = { a, ranks, 5, 0 }, t = { b, ranks, 5, 0 },
                               two = { a, ranks, 2, 0.5 };
        ae_reward_term_of(&x, slope, (ae_reward_loss)loss, 0, &s);
        ae_reward_term_of(&y, again, (ae_reward_loss)loss, 0, &t);
        sum = 0;
        for (int k = 0; k < 5; k++) {
            sum += slope[k];
            assert_true(fabs(slope[k] - again[k]) < 1e-12);
        }
        assert_true(fabs(sum) < 1e-14 && fabs(x.loss - y.loss) < 1e-12);
        assert_true(x.n_pairs == 9);
        ae_reward_term_of(&x, slope, (ae_reward_loss)loss, 0, &two);
        assert_true(fabs(x.loss - log1p(exp(-(1.2 - 0.3 - 0.5)))) < 1e-14);
        assert_true(x.n_pairs == 1 && x.n_correct == 1 && x.better == 1.2 && x.worse == 0.3);
    }
}

/* Equal scores are no right answer, and ties no question; scores of 1000 overflow nothing. */
static void test_edges(void **state)
{
    static const float ranks[] = { 1, 2, 2 };
    const double equal[3] = { 1, 1, 1 }, far[3] = { -1000, 1000, 3 };
    double slope[3];
    ae_reward_term x;
    (void)state;

    for (int loss = 0; ae_reward_loss_name(loss); loss++) {
        const ae_ranked_scores s = { equal, ranks, 3, 0 }, t = { far, ranks, 3, 0 };
        ae_reward_term_of(&x, slope, (ae_reward_loss)loss, 0, &s);
        assert_true(x.n_pairs == 2 && x.n_correct == 0);
        ae_reward_term_of(&x, slope, (ae_reward_loss)loss, 0, &t);
        assert_true(isfinite(x.loss) && x.loss >= 1000 && isfinite(slope[0]) && slope[1] <= 1);
    }
}

/* ---- training ---- */

static tiny t;
static ae_samples rankings, held_out;

/* Replies of one letter each: the larger, the better. The longest is not the best. */
static void make_rankings(ae_samples *set, uint64_t seed, size_t n)
{
    ae_rng rng;

    ae_rng_seed(&rng, seed);
    set->items = ae_arena_take(&set->arena, n, sizeof *set->items);
    for (set->n = 0; set->n < n; set->n++) {
        ae_sample s = { .kind = AE_EXAMPLE_RANKED,
                        .n_replies = 2 + (int32_t)ae_rng_below(&rng, 8) };
        size_t k = (size_t)s.n_replies;
        s.ids = ae_arena_take(&set->arena, 128, sizeof *s.ids);
        s.weight = ae_arena_take(&set->arena, 128, sizeof *s.weight);
        s.reply_n = ae_arena_take(&set->arena, k, sizeof *s.reply_n);
        s.rank = ae_arena_take(&set->arena, k, sizeof *s.rank);
        s.n_prompt = 1 + (int32_t)ae_rng_below(&rng, 12);
        for (; s.n < s.n_prompt; s.n++) s.ids[s.n] = (int32_t)ae_rng_below(&rng, 20);
        for (size_t i = 0; i < k; i++) {
            s.reply_n[i] = (int32_t)ae_rng_below(&rng, 4) + (i > 0);
            s.rank[i] = (float)(i + 1);
            for (int32_t j = 0; j < s.reply_n[i]; j++)
                s.ids[s.n++] = 20 + 4 * ((int32_t)k - (int32_t)i);
        }
        if (k > 3) s.rank[2] = s.rank[1];
        set->items[set->n] = s;
    }
}

static tiny_run run_of(const char *output, const char *a, const char *b, const char *c)
{
    return (tiny_run){ .settings = { a, b, c, "max_steps=4" },
                       .n = 4,
                       .method = "reward",
                       .output = output,
                       .data = &rankings };
}

static void check_same(const tiny_run *first, const tiny_run *second)
{
    ae_bytes a = tiny_output(&t, first, NULL), b = tiny_output(&t, second, NULL);

    tiny_assert_same(&a, &b, second->settings[0]);
    ae_bytes_free(&a);
    ae_bytes_free(&b);
}

static void test_no_shape_changes_a_bit(void **state)
{
    static const char *const more[][2] = { { "weight_decay=0.1", "shared_prefix=true" },
                                           { "lora.r=3", "lora.dropout=0.3" },
                                           { "reward_loss=all_pairs", "shared_prefix=false" } };
    (void)state;

    for (size_t k = 0; k < AE_COUNT(more); k++) {
        tiny_run a = run_of("a.gguf", "micro_batch_tokens=1", more[k][0], more[k][1]);
        tiny_run b = run_of("b.gguf", "micro_batch_tokens=90", more[k][0], more[k][1]);
        tiny_run c = run_of("c.gguf", "recompute=true", more[k][0], more[k][1]);
        b.threads = 3;
        check_same(&a, &b);
        check_same(&a, &c);
    }
}

static int stop_after_2(void *user, const aerie_train_progress *p)
{
    (void)user;
    return p->phase == AERIE_TRAIN_STEP && p->step == 2;
}

static void test_resuming_changes_no_bit(void **state)
{
    tiny_run whole = run_of("whole.gguf", "lora.r=2", "lora.dropout=0.1", "save_steps=0");
    tiny_run parts = run_of("parts.gguf", "lora.r=2", "lora.dropout=0.1", "save_steps=0");
    aerie_train_summary s;
    aerie_error err = { 0 };
    (void)state;

    parts.run.progress = stop_after_2;
    assert_int_equal(tiny_train(&t, &parts, &s, &err), AERIE_INTERRUPTED);
    parts.run = (ae_train_run){ .resume = true };
    check_same(&whole, &parts);
}

/* With a head of zeros nothing is known yet: two replies cost ln 2, n of a whole order ln n!. */
static void check_zero_start(const char *lora)
{
    tiny_run r = run_of("zero.gguf", lora, "head_init=zero", "batch_size=24");
    aerie_train_summary s;
    double want = 0;

    r.settings[3] = "max_steps=1";
    for (size_t i = 0; i < rankings.n; i++) {
        const ae_sample *x = &rankings.items[i];
        for (int32_t k = 0; k < x->n_replies; k++) {
            int worse = 0;
            for (int32_t l = 0; l < x->n_replies; l++) worse += x->rank[l] > x->rank[k];
            want += log(1.0 + worse) / (double)rankings.n;
        }
    }
    ae_bytes bytes = tiny_output(&t, &r, &s);
    assert_true(fabs(s.first_loss - want) < 1e-12);
    ae_bytes_free(&bytes);
}

static void test_a_head_of_zeros_knows_nothing(void **state)
{
    (void)state;
    check_zero_start("lora.r=2");
    check_zero_start("optim=adamw");
}

/* What was told of the last evaluation. */
static int watch(void *user, const aerie_train_progress *p)
{
    if (p->phase == AERIE_TRAIN_EVAL) *(aerie_train_progress *)user = *p;
    return 0;
}

/* It learns which letters are better, tells held-out replies apart, and the output has the head. */
static void check_learning(const char *lora)
{
    tiny_run r = run_of("rm.gguf", lora, "lr_scheduler_type=constant", "learning_rate=1e-2");
    aerie_train_progress seen = { 0 };
    aerie_train_summary s;
    ae_bytes bytes;
    bool adapter = strncmp(lora, "lora", 4) == 0;
    char *path = tiny_path(&t, "rm.gguf", "");
    ae_model *m = NULL, *base = NULL;

    r.settings[3] = "max_steps=60";
    r.eval = &held_out;
    r.run = (ae_train_run){ .progress = watch, .user = &seen };
    bytes = tiny_output(&t, &r, &s);
    print_message("%s: loss %.3f to %.3f, held out %.3f; accuracy %.3f, margin %.2f\n", lora,
                  s.first_loss, s.last_loss, s.eval_loss, seen.accuracy, seen.margin);
    assert_true(s.last_loss < s.first_loss / 2);
    assert_true(seen.has_rewards && seen.accuracy > 0.9 && seen.margin > 1);
    if (adapter) {
        ae_adapter *a = NULL;
        assert_int_equal(ae_model_open(&base, t.model_path, NULL), AERIE_OK);
        assert_int_equal(ae_adapter_open(&a, path, base, false, NULL), AERIE_OK);
        assert_true(ae_adapter_options(a)->head.score);
        ae_adapter_close(a);
        ae_model_close(base);
    } else {
        assert_int_equal(ae_model_open(&m, path, NULL), AERIE_OK);
        assert_true(ae_model_config(m)->score_head && ae_model_config(m)->no_language_head);
        ae_model_close(m);
    }
    ae_bytes_free(&bytes);
    ae_free(path);
}

static void test_it_learns(void **state)
{
    (void)state;
    check_learning("optim=adamw");
    check_learning("lora.r=4");
}

static void test_metrics(void **state)
{
    tiny_run r = run_of("m.gguf", "logging_steps=1", "eval_steps=2", "batch_size=5");
    char *path = tiny_path(&t, "m.gguf", ".metrics.jsonl");
    ae_bytes bytes, lines = { 0 };
    json_t *first;
    (void)state;

    r.eval = &held_out;
    bytes = tiny_output(&t, &r, NULL);
    assert_int_equal(ae_file_read(&lines, path, 0, NULL), AERIE_OK);
    first = json_loadb(lines.data, lines.len, JSON_DISABLE_EOF_CHECK, NULL);
    static const char *const keys[] = { "loss", "accuracy", "margin", "reward", "reward_chosen" };
    for (size_t i = 0; i < AE_COUNT(keys); i++)
        assert_true(json_is_number(json_object_get(first, keys[i])));
    assert_null(json_object_get(first, "logps_chosen"));
    assert_non_null(strstr(lines.data, "\"event\": \"eval\", \"step\": 2"));
    json_decref(first);
    ae_bytes_free(&bytes);
    ae_bytes_free(&lines);
    ae_free(path);
}

static void test_what_is_no_ranking_is_a_sentence(void **state)
{
    tiny_run r = run_of("no.gguf", "seed=1", "seed=2", "seed=3");
    ae_samples tied = rankings;
    ae_sample one = rankings.items[0];
    float same[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    aerie_train_summary s;
    aerie_error err = { 0 };
    (void)state;

    r.data = &t.pairs;
    assert_int_equal(tiny_train(&t, &r, &s, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "two ranked replies or more"));
    err = (aerie_error){ 0 };
    one.rank = same;
    tied.items = &one;
    tied.n = 1;
    r.data = &tied;
    assert_int_equal(tiny_train(&t, &r, &s, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "all tied"));
}

/* The n-th allocation fails: a sentence each time, and nothing is left behind. */
static void test_out_of_memory(void **state)
{
    static const char *const kinds[] = { "lora.r=2", "lora.r=0" };
    (void)state;

    for (size_t k = 0; k < AE_COUNT(kinds); k++) {
        size_t before = ae_alloc_bytes();
        bool failed = true;
        for (long n = 1; failed; n++) {
            tiny_run r = run_of("oom.gguf", kinds[k], "batch_size=3", "seed=4");
            aerie_train_summary s;
            aerie_error err = { 0 };
            r.settings[3] = "max_steps=1";
            ae_alloc_fail_at(n);
            aerie_status status = tiny_train(&t, &r, &s, &err);
            failed = ae_alloc_has_failed();
            ae_alloc_fail_at(0);
            assert_int_equal(ae_alloc_bytes(), before);
            if (status) assert_string_not_equal(err.message, "");
        }
    }
}

static int open_all(void **state)
{
    (void)state;
    tiny_open(&t);
    make_rankings(&rankings, 5, 24);
    make_rankings(&held_out, 6, 12);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    ae_arena_free(&rankings.arena);
    ae_arena_free(&held_out.arena);
    tiny_close(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_pytorch),
        cmocka_unit_test(test_gradients_are_slopes),
        cmocka_unit_test(test_only_differences_count),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_no_shape_changes_a_bit),
        cmocka_unit_test(test_resuming_changes_no_bit),
        cmocka_unit_test(test_a_head_of_zeros_knows_nothing),
        cmocka_unit_test(test_it_learns),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_what_is_no_ranking_is_a_sentence),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
