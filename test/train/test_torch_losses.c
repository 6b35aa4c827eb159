/* test_torch_losses.c -- objectives beside PyTorch: the same logits give the same loss and the same
 * gradient by every logit. tools/golden/make_preference_fixture.py wrote the fixture. */
#include "train/method.h"
#include "train/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

enum { MAX_ITEMS = 8, MAX_PREDICTIONS = 128, MAX_VOCAB = 16 };

static json_t *root;
static int64_t vocab;

/* The items as a method sees them, and what the row's predictions come to. */
typedef struct {
    ae_arena arena;
    ae_recipe recipe;
    const ae_objective *objective;
    ae_sample items[MAX_ITEMS];
    ae_samples set;
    double reference[2 * MAX_ITEMS];
    int64_t order[MAX_ITEMS], first[MAX_ITEMS + 1];
    ae_row row;
    double p[MAX_PREDICTIONS][MAX_VOCAB]; /* probabilities */
    float logp[MAX_PREDICTIONS], dlogp[MAX_PREDICTIONS];
} bench;

static double number_at(const json_t *list, int64_t i)
{
    return json_number_value(json_array_get(list, (size_t)i));
}

static ae_sample sample_of(bench *b, const json_t *item, ae_example_kind kind)
{
    const json_t *n = json_object_get(item, "n"), *ids = json_object_get(item, "ids");
    const json_t *weights = json_object_get(item, "weights");
    bool replies = kind == AE_EXAMPLE_PAIR || kind == AE_EXAMPLE_UNPAIRED;
    ae_sample s = { .kind = kind,
                    .n_prompt = (int32_t)number_at(n, 0),
                    .n_chosen = (int32_t)number_at(n, 1),
                    .n_rejected = (int32_t)number_at(n, 2),
                    .undesirable = json_is_true(json_object_get(item, "undesirable")) };

    s.n = s.n_prompt + s.n_chosen + s.n_rejected;
    s.ids = ae_arena_take(&b->arena, (size_t)s.n, sizeof *s.ids);
    s.weight = ae_arena_take(&b->arena, (size_t)s.n, sizeof *s.weight);
    for (int32_t i = 0; i < s.n; i++) {
        s.ids[i] = (int32_t)number_at(ids, i);
        s.weight[i] = replies ? i >= s.n_prompt : (float)number_at(weights, i);
    }
    return s;
}

static void open_bench(bench *b, const json_t *c)
{
    const char *settings[8] = { "model=m", "data=d", "output=o", NULL };
    const json_t *item, *setting;
    aerie_error err = { 0 };
    char method[64];
    size_t i, n = 3;

    *b = (bench){ 0 };
    snprintf(method, sizeof method, "method=%s", json_string_value(json_object_get(c, "method")));
    settings[n++] = method;
    json_array_foreach(json_object_get(c, "settings"), i, setting) settings[n++] =
        json_string_value(setting);
    if (ae_recipe_load(&b->recipe, NULL, settings, n, &err)) fail_msg("%s", err.message);
    b->objective = ae_objective_of(&b->recipe);
    b->set = (ae_samples){ .items = b->items };
    json_array_foreach(json_object_get(root, "items"), i, item)
    {
        b->items[i] = sample_of(b, item, ae_method_of(&b->recipe)->kind);
        b->order[i] = (int64_t)i;
        for (int k = 0; k < 2; k++)
            b->reference[2 * i + (size_t)k] = number_at(json_object_get(item, "reference"), k);
        b->set.n++;
    }
}

static void close_bench(bench *b)
{
    ae_recipe_free(&b->recipe);
    ae_arena_free(&b->arena);
}

static void soften(double *p, float *logp, const json_t *logits, int64_t at, int32_t target)
{
    double max = -INFINITY, sum = 0;

    for (int64_t v = 0; v < vocab; v++) max = fmax(max, number_at(logits, at * vocab + v));
    for (int64_t v = 0; v < vocab; v++) sum += p[v] = exp(number_at(logits, at * vocab + v) - max);
    for (int64_t v = 0; v < vocab; v++) p[v] /= sum;
    *logp = (float)log(p[target]);
}

/* All items in one row, and the log-probabilities that the fixture's logits give its predictions.
 */
static void lay(bench *b)
{
    int64_t n = (int64_t)b->set.n;

    assert_int_equal(ae_row_new(&b->row, &b->arena, 256, 4 * MAX_ITEMS, MAX_PREDICTIONS, NULL), 0);
    b->row.looks = true; /* one row for the numbers and for the loss */
    for (int64_t k = 0; k < n; k++) {
        const json_t *item = json_array_get(json_object_get(root, "items"), (size_t)k);
        b->objective->lay(&b->row, &b->recipe, &b->set, k);
        b->first[k + 1] = b->row.n_predictions;
        for (int64_t i = b->first[k]; i < b->first[k + 1]; i++)
            soften(b->p[i], &b->logp[i], json_object_get(item, "logits"), i - b->first[k],
                   b->row.targets[i]);
    }
}

static ae_loss_call call_of(bench *b)
{
    ae_loss_call call = { .recipe = &b->recipe,
                          .set = &b->set,
                          .items = b->order,
                          .n_items = (int64_t)b->set.n,
                          .row = &b->row,
                          .first = b->first,
                          .logp = b->logp,
                          .dlogp = b->dlogp };

    if (b->objective->n_reference > 0) call.reference = b->reference;
    for (size_t k = 0; k < b->set.n; k++) {
        call.share += b->objective->share(&b->set, (int64_t)k);
        if (b->objective->nll_share) call.nll_share += b->objective->nll_share(&b->set, (int64_t)k);
    }
    return call;
}

static double loss_of(bench *b)
{
    ae_loss_call call = call_of(b);
    ae_dpo_term terms[MAX_ITEMS];
    double values[2 * MAX_ITEMS];
    ae_running running = { 0 };
    ae_couple_call couple = { .recipe = &b->recipe,
                              .set = &b->set,
                              .items = b->order,
                              .n_items = call.n_items,
                              .values = values,
                              .reference = b->reference,
                              .running = &running,
                              .training = true };
    aerie_train_progress p = { 0 };
    ae_loss_sums sums = { 0 };

    if (b->objective->is_coupled && b->objective->is_coupled(&b->recipe)) {
        b->objective->reference(&call, values);
        assert_int_equal(b->objective->couple(&couple, terms, NULL), AERIE_OK);
        call.terms = terms;
    }
    b->objective->loss(&call, &sums);
    ae_metrics_of_sums(&p, &sums);
    return p.loss;
}

static void check_gradient(const bench *b, const json_t *c)
{
    for (size_t k = 0; k < b->set.n; k++) {
        const json_t *wanted = json_array_get(json_object_get(c, "gradient"), k);
        for (int64_t i = b->first[k]; i < b->first[k + 1]; i++)
            for (int64_t v = 0; v < vocab; v++) {
                double d = (double)b->dlogp[i] * ((v == b->row.targets[i]) - b->p[i][v]);
                double torch = number_at(wanted, (i - b->first[k]) * vocab + v);
                if (fabs(d - torch) > 1e-6 * (1 + fabs(torch)))
                    fail_msg("%s, item %zu, token %lld, logit %lld: %.9g, PyTorch has %.9g",
                             json_string_value(json_object_get(c, "method")), k,
                             (long long)(i - b->first[k]), (long long)v, d, torch);
            }
    }
}

static void test_losses_are_pytorchs(void **state)
{
    const json_t *c;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        double torch = json_number_value(json_object_get(c, "loss")), loss;
        bench b;
        open_bench(&b, c);
        lay(&b);
        loss = loss_of(&b);
        if (fabs(loss - torch) > 1e-6 * (1 + fabs(torch)))
            fail_msg("%s: the loss is %.9g, PyTorch has %.9g",
                     json_string_value(json_object_get(c, "method")), loss, torch);
        check_gradient(&b, c);
        close_bench(&b);
    }
    assert_int_equal(i, 9);
}

static int setup(void **state)
{
    (void)state;
    root = json_load_file("test/train/fixture/torch_losses.json", 0, NULL);
    vocab = json_integer_value(json_object_get(root, "vocab"));
    return root ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_are_pytorchs),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
