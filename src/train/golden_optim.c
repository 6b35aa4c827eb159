/* golden_optim.c -- optimizer, schedules and LoRA against golden numbers. */
#include "train/golden.h"

#include <math.h>
#include <string.h>

static void check_step(ae_golden *g, const json_t *wanted, const ae_optimizer *o, double norm)
{
    const ae_tensor *t = o->params[0].tensor;

    ae_golden_floats(g, "param", t->data, t->cols, json_object_get(wanted, "param"));
    if (o->kind == AE_OPTIM_RMSPROP) {
        ae_golden_floats(g, "sq", o->v[0], t->cols, json_object_get(wanted, "sq"));
        return;
    }
    ae_golden_floats(g, "m", o->m[0], t->cols, json_object_get(wanted, "m"));
    ae_golden_floats(g, "v", o->v[0], t->cols, json_object_get(wanted, "v"));
    ae_golden_number(g, "grad_norm", norm, json_object_get(wanted, "grad_norm"));
}

static void run_steps(ae_golden *g, const json_t *c, ae_optim kind, ae_tensor *param)
{
    ae_recipe r = { .adam_beta1 = ae_golden_param(c, "beta1", 0.9),
                    .adam_beta2 = ae_golden_param(c, "beta2", 0.999),
                    .adam_epsilon = ae_golden_param(c, "eps", 1e-8),
                    .rmsprop_alpha = ae_golden_param(c, "alpha", 0.99),
                    .weight_decay = ae_golden_param(c, "weight_decay", 0) };
    const json_t *grads = ae_golden_at(c, "inputs", "grads"),
                 *steps = ae_golden_at(c, "outputs", "steps");
    ae_named_param named = { .name = "param", .tensor = param, .decays = true };
    ae_optimizer o;
    aerie_error err = { 0 };

    if (!ae_golden_ok(g, ae_optimizer_new(&o, kind, &named, 1, &err), &err)) return;
    for (size_t t = 0; t < json_array_size(grads); t++) {
        int64_t n;
        const float *grad = ae_golden_float_list(g, json_array_get(grads, t), &n);
        double norm = 0;
        if (!grad || n != param->cols) break;
        memcpy(param->grad, grad, (size_t)n * sizeof *grad);
        if (!ae_golden_ok(g, ae_optimizer_norm(&o, g->device, &norm, &err), &err)) break;
        ae_optimizer_step(&o, g->device, &r, ae_golden_param(c, "lr", 0),
                          ae_clip_scale(norm, ae_golden_param(c, "max_grad_norm", 0)),
                          (int64_t)t + 1);
        check_step(g, json_array_get(steps, t), &o, norm);
    }
    ae_optimizer_free(&o);
}

void ae_golden_optimizer(ae_golden *g, const json_t *c)
{
    const json_t *start = ae_golden_at(c, "inputs", "param");
    ae_tensor *param = ae_golden_tensor(g, start, (int64_t)json_array_size(start), true);

    bool adamw = json_is_number(ae_golden_at(c, "params", "beta1"));
    bool rmsprop = json_is_number(ae_golden_at(c, "params", "alpha"));

    if (!adamw && !rmsprop)
        g->unknown = true;
    else if (!param)
        ae_golden_problem(g, "the case has no parameter");
    else
        run_steps(g, c, adamw ? AE_OPTIM_ADAMW : AE_OPTIM_RMSPROP, param);
}

static int schedule_kind(const char *name)
{
    static const struct {
        const char *prefix;
        ae_lr_kind kind;
    } kinds[] = { { "hf_cosine", AE_LR_COSINE },
                  { "hf_linear", AE_LR_LINEAR },
                  { "openchat_cosine_min", AE_LR_COSINE_MIN } };

    for (size_t i = 0; name && i < AE_COUNT(kinds); i++)
        if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) return (int)kinds[i].kind;
    return -1;
}

/* The rates of OpenChat's batches on Mistral, by the share of tokens that are learned. */
static void auto_rates(ae_golden *g, const json_t *c)
{
    double base = ae_golden_param(c, "base_lr", 0) / ae_golden_param(c, "mistral_div", 1);
    double batch = json_number_value(ae_golden_at(c, "inputs", "batch_max_len")) *
                   json_number_value(ae_golden_at(c, "inputs", "world"));
    int64_t n, n_wanted;
    const double *shares = ae_golden_list(g, ae_golden_at(c, "inputs", "supervised_ratio"), &n);
    const double *wanted = ae_golden_list(g, ae_golden_at(c, "outputs", "lr"), &n_wanted);

    if (n == 0 || n != n_wanted) ae_golden_problem(g, "the case has no rates");
    for (int64_t i = 0; i < n && i < n_wanted; i++) {
        double rate = ae_auto_rate(base, batch * shares[i]);
        if (fabs(rate - wanted[i]) > 1e-12 * wanted[i])
            ae_golden_problem(g, "lr at %g is %.15g, wanted %.15g", shares[i], rate, wanted[i]);
    }
}

void ae_golden_schedule(ae_golden *g, const json_t *c)
{
    int kind = schedule_kind(json_string_value(json_object_get(c, "name")));
    ae_schedule s = { .kind = kind < 0 ? AE_LR_COSINE : (ae_lr_kind)kind,
                      .base = ae_golden_param(c, "base_lr", 0),
                      .min_ratio = ae_golden_param(c, "min_ratio", 0),
                      .n_steps = (int64_t)ae_golden_param(c, "total", 0),
                      .n_warmup = (int64_t)ae_golden_param(c, "warmup", 0) };
    int64_t n, n_wanted;
    const double *steps = ae_golden_list(g, ae_golden_at(c, "inputs", "step"), &n);
    const double *wanted = ae_golden_list(g, ae_golden_at(c, "outputs", "lr"), &n_wanted);

    if (ae_golden_at(c, "inputs", "supervised_ratio")) {
        auto_rates(g, c);
        return;
    }
    if (kind < 0) {
        g->unknown = true;
        return;
    }
    if (n == 0 || n != n_wanted) ae_golden_problem(g, "the case has no steps");
    for (int64_t i = 0; i < n && i < n_wanted; i++) {
        /* OpenChat counts from 1. Rates are small: compared in units of the base rate. */
        double rate = ae_schedule_rate(&s, (int64_t)steps[i] - (kind == AE_LR_COSINE_MIN));
        if (fabs(rate - wanted[i]) > 1e-12 * s.base)
            ae_golden_problem(g, "lr at step %.0f is %.15g, wanted %.15g", steps[i], rate,
                              wanted[i]);
    }
}

/* DoRA's magnitudes, and the norms as training makes them. False: the case says why. */
static bool add_magnitudes(ae_golden *g, const json_t *c, ae_lora *lora, const ae_tensor *w)
{
    aerie_error err = { 0 };

    lora->m = ae_golden_tensor(g, ae_golden_at(c, "inputs", "m"), 1, true);
    lora->norm = ae_golden_take(g, w->rows, sizeof *lora->norm);
    if (!lora->m || !lora->norm) return false;
    if (g->device->row_norms(g->device, &g->arena, lora->norm, w, lora->a, lora->b, lora->scale))
        return ae_golden_ok(g, aerie_fail(&err, AERIE_NO_MEMORY, "no memory"), &err);
    ae_golden_floats(g, "c", lora->norm, w->rows, ae_golden_at(c, "outputs", "c"));
    return true;
}

void ae_golden_lora(ae_golden *g, const json_t *c)
{
    const json_t *in = json_object_get(c, "inputs"), *out = json_object_get(c, "outputs");
    int64_t width = (int64_t)json_array_size(json_array_get(json_object_get(in, "W"), 0));
    int64_t rank = (int64_t)json_array_size(json_object_get(in, "A"));
    ae_tape tape = { 0 };
    ae_ctx cx = { .device = g->device, .arena = &g->arena, .tape = &tape };
    aerie_error err = { 0 };
    ae_backward to = { .device = g->device, .arena = &g->arena };
    ae_tensor *w = ae_golden_tensor(g, json_object_get(in, "W"), width, false);
    ae_tensor *x = ae_golden_tensor(g, json_object_get(in, "x"), width, true);
    ae_lora lora = { .a = ae_golden_tensor(g, json_object_get(in, "A"), width, true),
                     .b = ae_golden_tensor(g, json_object_get(in, "B"), rank, true),
                     .scale = (float)ae_golden_param(c, "scaling", 1) };
    ae_projection p = { .w = w, .lora = { &lora }, .n_lora = 1 };
    int64_t n;
    const float *dy = ae_golden_float_list(g, json_object_get(in, "grad_y"), &n);
    ae_tensor *y;

    if (!w || !x || !lora.a || !lora.b || !dy) {
        ae_golden_problem(g, "the case lacks a matrix");
        return;
    }
    if (json_object_get(in, "m") && !add_magnitudes(g, c, &lora, w)) return;
    y = ae_project(&cx, &p, x);
    if (!ae_golden_ok(g, ae_ctx_status(&cx), &cx.error)) return;
    if (n != y->rows * y->cols) {
        ae_golden_problem(g, "grad_y has another shape than y");
        return;
    }
    ae_golden_floats(g, "y", ae_f32(y), n, json_object_get(out, "y"));
    memcpy(y->grad, dy, (size_t)n * sizeof *dy);
    if (!ae_golden_ok(g, ae_tape_backward(&tape, &to, &err), &err)) return;
    ae_golden_floats(g, "grad_A", lora.a->grad, rank * width, json_object_get(out, "grad_A"));
    ae_golden_floats(g, "grad_B", lora.b->grad, lora.b->rows * rank,
                     json_object_get(out, "grad_B"));
    if (lora.m)
        ae_golden_floats(g, "grad_m", lora.m->grad, w->rows, json_object_get(out, "grad_m"));
    ae_golden_floats(g, "grad_x", x->grad, x->rows * width, json_object_get(out, "grad_x"));
}
