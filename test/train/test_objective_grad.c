/* test_objective_grad.c -- every objective through a whole tiny model: the gradient of the step's
 * loss by all parameters is its slope. */
#include "tiny.h"
#include "train/trainer.h"

#include <math.h>

static tiny t;

enum { N_ITEMS = 6, MAX_SETTINGS = 4 };

typedef struct {
    const char *method, *settings[MAX_SETTINGS];
} objective_case;

static const objective_case cases[] = {
    { "pretrain", { NULL } },
    { "sft", { NULL } },
    { "sft", { "label_smoothing=0.2" } },
    { "dpo", { "loss_type=sigmoid" } },
    { "dpo", { "loss_type=sigmoid", "label_smoothing=0.2" } },
    { "dpo", { "loss_type=sigmoid", "shared_prefix=false" } },
    { "dpo", { "loss_type=hinge" } },
    { "dpo", { "loss_type=ipo" } },
    { "dpo", { "loss_type=ipo_sum" } },
    { "dpo", { "loss_type=robust", "label_smoothing=0.1" } },
    { "dpo", { "loss_type=exo_pair", "label_smoothing=0.1" } },
    { "dpo", { "loss_type=nca_pair" } },
    { "dpo", { "loss_type=bco_pair" } },
    { "dpo", { "loss_type=sppo_hard" } },
    { "dpo", { "loss_type=apo_zero" } },
    { "dpo", { "loss_type=apo_down" } },
    { "dpo", { "loss_type=discopop" } },
    { "dpo", { "loss_type=sigmoid_norm" } },
    { "dpo", { "loss_type=aot" } },
    { "dpo", { "loss_type=aot_unpaired" } },
    { "dpo", { "f_divergence_type=forward_kl" } },
    { "dpo", { "f_divergence_type=js_divergence" } },
    { "dpo", { "f_divergence_type=alpha_divergence" } },
    { "dpo", { "reference_free=true", "ld_alpha=0.5" } },
    { "dpo", { "rpo_alpha=0.5" } },
    { "dpo", { "loss_type=[sigmoid, bco_pair, sft]", "loss_weights=[0.8, 0.2, 1]" } },
    { "dpo", { "loss_type=[aot, sft, ipo]", "loss_weights=[1, 0.5, 0.01]", "rpo_alpha=0.3" } },
    { "crlft", { NULL } },
    { "orpo", { NULL } },
    { "simpo", { NULL } },
    { "simpo", { "label_smoothing=0.1", "gamma=1.5" } },
    { "cpo", { NULL } },
    { "cpo", { "loss_type=hinge", "cpo_alpha=0.3" } },
    { "kto", { "undesirable_weight=1.33" } },
    { "bco", { NULL } },
};

typedef struct {
    ae_recipe recipe;
    ae_device *device;
    ae_model *model;
    ae_trainer trainer;
    ae_pass pass;
    int64_t items[N_ITEMS];
    double *reference;
} bench;

static void must(aerie_status status, const aerie_error *err)
{
    if (status) fail_msg("%s", err->message);
}

/* The reference is the policy and something beside it: at the policy itself much would be 0. A
 * mismatched reply's is far higher, so that KTO's z0, through which no gradient goes, stays 0. */
static void make_reference(bench *b, aerie_error *err)
{
    const ae_samples *set = b->trainer.data;
    int n = b->trainer.objective->n_reference;
    ae_rng rng;

    if (n == 0) return;
    ae_rng_seed(&rng, 5);
    b->reference = ae_alloc(set->n * (size_t)n, sizeof *b->reference);
    must(ae_pass_reference(&b->pass, b->items, N_ITEMS, b->reference, err), err);
    for (size_t i = 0; i < set->n * (size_t)n; i++)
        b->reference[i] += (double)ae_rng_normal(&rng) +
                           (set->items[0].kind == AE_EXAMPLE_UNPAIRED && i % 2 == 1 ? 20 : 0);
}

static void open_bench(bench *b, const objective_case *c)
{
    const char *settings[MAX_SETTINGS + 4] = { "data=none", "output=none.gguf", NULL, NULL };
    char method[64], model[320];
    static aerie_train_summary summary;
    static const ae_train_run run;
    aerie_error err = { 0 };
    size_t n = 4;

    snprintf(method, sizeof method, "method=%s", c->method);
    snprintf(model, sizeof model, "model=%s", t.model_path);
    settings[2] = method;
    settings[3] = model;
    for (int i = 0; i < MAX_SETTINGS && c->settings[i]; i++) settings[n++] = c->settings[i];
    *b = (bench){ 0 };
    must(ae_recipe_load(&b->recipe, NULL, settings, n, &err), &err);
    must(ae_device_open(&b->device, AE_CPU_AUTO, 1, &err), &err);
    must(ae_model_open(&b->model, t.model_path, &err), &err);
    b->trainer = (ae_trainer){ .recipe = &b->recipe,
                               .device = b->device,
                               .model = b->model,
                               .data = tiny_data(&t, c->method),
                               .run = &run,
                               .summary = &summary };
    must(ae_trainer_open(&b->trainer, &err), &err);
    for (int64_t i = 0; i < N_ITEMS; i++) b->items[i] = i;
    /* So much is remembered that BCO's mean of rewards does not move. */
    b->trainer.at.running = (ae_running){ 0.17e12, 1e12 };
    b->pass = (ae_pass){ .recipe = &b->recipe,
                         .objective = b->trainer.objective,
                         .set = b->trainer.data,
                         .device = b->device,
                         .net = &b->trainer.net,
                         .arena = &b->trainer.rows,
                         .running = &b->trainer.at.running };
    make_reference(b, &err);
    b->pass.reference = b->reference;
}

static void close_bench(bench *b)
{
    ae_free(b->reference);
    ae_trainer_close(&b->trainer);
    ae_model_close(b->model);
    b->device->close(b->device);
    ae_recipe_free(&b->recipe);
}

static double loss_of(bench *b)
{
    ae_loss_sums sums = { 0 };
    aerie_train_progress p = { 0 };
    aerie_error err = { 0 };

    must(ae_pass_items(&b->pass, AE_PASS_EVALUATE, b->items, N_ITEMS, 1, &sums, &err), &err);
    ae_metrics_of_sums(&p, &sums);
    return p.loss;
}

static double gradient(bench *b)
{
    const ae_optimizer *o = &b->trainer.optimizer;
    ae_loss_sums sums = { 0 };
    aerie_error err = { 0 };
    double square = 0;

    ae_optimizer_zero_grads(&b->trainer.optimizer);
    must(ae_pass_items(&b->pass, AE_PASS_TRAIN, b->items, N_ITEMS,
                       ae_pass_share(&b->pass, b->items, N_ITEMS), &sums, &err),
         &err);
    ae_model_gather_grads(b->trainer.copy);
    for (int64_t i = 0; i < o->n; i++) {
        const ae_tensor *p = o->params[i].tensor;
        for (int64_t k = 0; k < p->rows * p->cols; k++)
            square += (double)p->grad[k] * (double)p->grad[k];
    }
    return sqrt(square);
}

/* Moves every parameter by `by` along the gradient. */
static void move(bench *b, double by)
{
    const ae_optimizer *o = &b->trainer.optimizer;

    for (int64_t i = 0; i < o->n; i++) {
        ae_tensor *p = o->params[i].tensor;
        for (int64_t k = 0; k < p->rows * p->cols; k++)
            ae_f32(p)[k] = (float)((double)ae_f32(p)[k] + by * (double)p->grad[k]);
    }
}

static void check_case(const objective_case *c)
{
    bench b;
    double norm, step, up, down, slope;

    open_bench(&b, c);
    norm = gradient(&b);
    step = 2e-3 / norm; /* in units of the gradient: the parameters move by 2e-3 in all */
    move(&b, step);
    up = loss_of(&b);
    move(&b, -2 * step);
    down = loss_of(&b);
    slope = (up - down) / (2 * step);
    if (!(norm > 1e-3) || fabs(slope - norm * norm) > 0.01 * norm * norm)
        fail_msg("%s %s %s: the slope along the gradient is %.6g, the gradient's square %.6g",
                 c->method, c->settings[0] ? c->settings[0] : "",
                 c->settings[0] && c->settings[1] ? c->settings[1] : "", slope, norm * norm);
    close_bench(&b);
}

static void test_gradients_are_slopes(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) check_case(&cases[i]);
}

static int setup(void **state)
{
    (void)state;
    tiny_open(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tiny_close(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_are_slopes),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
