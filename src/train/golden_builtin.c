/* golden_builtin.c -- cases that need no file: numbers with a closed form, and the device's kernels
 * against the reference ones. */
#include "train/golden.h"

#include <math.h>
#include <string.h>

static const double ln2 = 0.69314718055994530942;

static void dpo_at_the_start(ae_golden *g, const json_t *c)
{
    ae_dpo_options o = { .loss = AE_DPO_SIGMOID, .beta = 0.1 };
    ae_dpo_pair pair = { -45.5, -50.25, -45.5, -50.25, 20, 25 };
    ae_dpo_term t;

    (void)c;
    ae_dpo_term_of(&t, &o, &pair);
    if (t.loss != ln2) ae_golden_problem(g, "the loss is %.17g, not ln 2", t.loss);
    if (t.reward_chosen != t.reward_rejected) ae_golden_problem(g, "the margin is not 0");
    ae_golden_near(g, "slope", t.d_chosen, -0.05);
}

/* softmax of ln 1, ln 2, ln 3, ln 4 is 1/10, 2/10, 3/10, 4/10. */
static void cross_entropy(ae_golden *g, const json_t *c)
{
    float x[4], identity[16] = { 0 };
    ae_tensor logits = { AE_F32, 1, 4, x, NULL, NULL },
              head = { AE_F32, 4, 4, identity, NULL, NULL };
    int32_t rows[4] = { 0 }, targets[4] = { 0, 1, 2, 3 };
    ae_predictions p = { .rows = rows, .targets = targets, .n = 4 };
    ae_ctx cx = { .device = g->device, .arena = &g->arena };
    ae_tensor *logp;

    (void)c;
    for (int i = 0; i < 4; i++) {
        x[i] = logf((float)(i + 1));
        identity[5 * i] = 1;
    }
    logp = ae_log_prob(&cx, &logits, &head, &p, NULL);
    if (!ae_golden_ok(g, ae_ctx_status(&cx), &cx.error)) return;
    for (int i = 0; i < 4; i++)
        ae_golden_near(g, "log-probability", (double)ae_f32(logp)[i], log(0.1 * (i + 1)));
}

/* Under a constant gradient every bias-corrected AdamW update is the rate. */
static void adamw_constant(ae_golden *g, const json_t *c)
{
    float value[3] = { 1, -2, 0.5f }, grad[3] = { 0.25f, -3, 1e-3f };
    ae_tensor t = { AE_F32, 1, 3, value, grad, NULL };
    ae_named_param named = { .name = "w", .tensor = &t };
    ae_recipe r = { .adam_beta1 = 0.9, .adam_beta2 = 0.999, .adam_epsilon = 1e-12 };
    ae_optimizer o;
    aerie_error err = { 0 };

    (void)c;
    if (!ae_golden_ok(g, ae_optimizer_new(&o, AE_OPTIM_ADAMW, &named, 1, &err), &err)) return;
    for (int64_t k = 1; k <= 3; k++) ae_optimizer_step(&o, g->device, &r, 0.01, 1, k);
    ae_golden_near(g, "value 0", (double)value[0], 1 - 0.03);
    ae_golden_near(g, "value 1", (double)value[1], -2 + 0.03);
    ae_golden_near(g, "value 2", (double)value[2], 0.5 - 0.03);
    ae_optimizer_free(&o);
}

/* Under a constant gradient RMSprop's mean square after k updates is (1 - alpha^k) of its square.
 */
static void rmsprop_constant(ae_golden *g, const json_t *c)
{
    float value[2] = { 1, -2 }, grad[2] = { 0.25f, -3 };
    ae_tensor t = { AE_F32, 1, 2, value, grad, NULL };
    ae_named_param named = { .name = "w", .tensor = &t };
    ae_recipe r = { .rmsprop_alpha = 0.9, .adam_epsilon = 1e-12 };
    double moved = 0;
    ae_optimizer o;
    aerie_error err = { 0 };

    (void)c;
    if (!ae_golden_ok(g, ae_optimizer_new(&o, AE_OPTIM_RMSPROP, &named, 1, &err), &err)) return;
    for (int64_t k = 1; k <= 3; k++) {
        ae_optimizer_step(&o, g->device, &r, 0.01, 1, k);
        moved += 0.01 / sqrt(1 - pow(0.9, (double)k));
    }
    ae_golden_near(g, "value 0", (double)value[0], 1 - moved);
    ae_golden_near(g, "value 1", (double)value[1], -2 + moved);
    ae_optimizer_free(&o);
}

static void schedule_landmarks(ae_golden *g, const json_t *c)
{
    ae_schedule s = { .kind = AE_LR_COSINE, .base = 1, .n_steps = 110, .n_warmup = 10 };

    (void)c;
    ae_golden_near(g, "first rate", ae_schedule_rate(&s, 0), 0);
    ae_golden_near(g, "half of the warm-up", ae_schedule_rate(&s, 5), 0.5);
    ae_golden_near(g, "peak", ae_schedule_rate(&s, 10), 1);
    ae_golden_near(g, "half way down", ae_schedule_rate(&s, 60), 0.5);
    s.kind = AE_LR_LINEAR;
    ae_golden_near(g, "linear, three quarters down", ae_schedule_rate(&s, 85), 0.25);
}

static ae_tensor *random_tensor(ae_golden *g, ae_rng *rng, int64_t rows, int64_t cols)
{
    ae_tensor *t = ae_golden_take(g, 1, sizeof *t);
    float *data = ae_golden_take(g, rows * cols, sizeof *data);

    if (!t || !data) return NULL;
    for (int64_t i = 0; i < rows * cols; i++) data[i] = ae_rng_normal(rng);
    *t = (ae_tensor){ .dtype = AE_F32, .rows = rows, .cols = cols, .data = data };
    return t;
}

/* B is zero at the start: the adapter changes no bit. */
static void lora_starts_as_nothing(ae_golden *g, const json_t *c)
{
    ae_ctx cx = { .device = g->device, .arena = &g->arena };
    ae_rng rng;
    ae_tensor *w, *x, *plain, *with, *b;
    ae_lora lora = { .scale = 2 };
    ae_projection p = { 0 };

    (void)c;
    ae_rng_seed(&rng, 1);
    p.w = w = random_tensor(g, &rng, 24, 40);
    lora.a = random_tensor(g, &rng, 4, 40);
    lora.b = b = random_tensor(g, &rng, 24, 4);
    x = random_tensor(g, &rng, 5, 40);
    if (!w || !lora.a || !b || !x) return;
    memset(b->data, 0, 24 * 4 * sizeof(float));
    plain = ae_project(&cx, &p, x);
    p.lora[0] = &lora;
    p.n_lora = 1;
    with = ae_project(&cx, &p, x);
    if (!ae_golden_ok(g, ae_ctx_status(&cx), &cx.error)) return;
    for (int i = 0; i < 5 * 24; i++)
        if (ae_f32(plain)[i] != ae_f32(with)[i])
            ae_golden_problem(g, "output %d is %.9g without the adapter and %.9g with it", i,
                              (double)ae_f32(plain)[i], (double)ae_f32(with)[i]);
}

/* The same projection on the device and by the reference kernels. */
static void check_linear(ae_golden *g, ae_device *reference, ae_dtype type, int64_t T, int64_t K)
{
    ae_ctx mine = { .device = g->device, .arena = &g->arena };
    ae_ctx theirs = { .device = reference, .arena = &g->arena };
    const int64_t N = 48;
    const char *name = ae_dtype_info_of(type)->name;
    ae_tensor *x, *w, *a, *b;
    ae_rng rng;

    ae_rng_seed(&rng, (uint64_t)(type + 100 * T));
    x = random_tensor(g, &rng, T, K);
    w = random_tensor(g, &rng, N, K);
    if (!x || !w) return;
    if (type == AE_F16) {
        uint16_t *half = ae_golden_take(g, N * K, sizeof *half);
        if (!half) return;
        for (int64_t i = 0; i < N * K; i++) half[i] = ae_f32_to_f16(ae_f32(w)[i]);
        w->data = half;
        w->dtype = AE_F16;
    }
    a = ae_linear(&mine, x, w, NULL);
    b = ae_linear(&theirs, x, w, NULL);
    if (!ae_golden_ok(g, ae_ctx_status(&mine), &mine.error) ||
        !ae_golden_ok(g, ae_ctx_status(&theirs), &theirs.error))
        return;
    for (int64_t i = 0; i < T * N; i++)
        if (fabs((double)ae_f32(a)[i] - (double)ae_f32(b)[i]) > 1e-4 * sqrt((double)K))
            ae_golden_problem(g, "linear %s, %lld rows of %lld: %.9g, the reference says %.9g",
                              name, (long long)T, (long long)K, (double)ae_f32(a)[i],
                              (double)ae_f32(b)[i]);
}

static void check_rows(ae_golden *g, ae_device *reference, int64_t width)
{
    ae_ctx cx[2] = { { .device = g->device, .arena = &g->arena },
                     { .device = reference, .arena = &g->arena } };
    ae_tensor *x, *w, *out[2];
    ae_rng rng;

    ae_rng_seed(&rng, (uint64_t)width);
    x = random_tensor(g, &rng, 3, width);
    w = random_tensor(g, &rng, 1, width);
    for (int k = 0; k < 2; k++) {
        out[k] = ae_rmsnorm(&cx[k], x, w, 1e-5f);
        out[k] = ae_swiglu(&cx[k], out[k], x);
        if (!ae_golden_ok(g, ae_ctx_status(&cx[k]), &cx[k].error)) return;
    }
    for (int64_t i = 0; i < 3 * width; i++)
        if (fabs((double)ae_f32(out[0])[i] - (double)ae_f32(out[1])[i]) >
            1e-5 * (1 + fabs((double)ae_f32(out[1])[i])))
            ae_golden_problem(g, "norm and swiglu over %lld: %.9g, the reference says %.9g",
                              (long long)width, (double)ae_f32(out[0])[i],
                              (double)ae_f32(out[1])[i]);
}

static void kernels(ae_golden *g, const json_t *c)
{
    static const int64_t widths[] = { 32, 96, 256, 288 };
    ae_device *reference = NULL;
    aerie_error err = { 0 };

    (void)c;
    if (!ae_golden_ok(g, ae_device_open(&reference, AE_CPU_REF, 1, &err), &err)) return;
    for (size_t i = 0; i < AE_COUNT(widths); i++) {
        for (int64_t T = 1; T <= 9; T += 4) {
            check_linear(g, reference, AE_F32, T, widths[i]);
            check_linear(g, reference, AE_F16, T, widths[i]);
        }
        check_rows(g, reference, widths[i]);
    }
    reference->close(reference);
}

static void hashes(ae_golden *g, const json_t *c)
{
    ae_sha256 s;
    char hex[65];

    (void)c;
    ae_sha256_start(&s);
    ae_sha256_add(&s, "abc", 3);
    ae_sha256_hex(&s, hex);
    /* FIPS 180-4's example. */
    ae_golden_text(g, "SHA-256 of abc", hex,
                   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void half_precision(ae_golden *g, const json_t *c)
{
    (void)c;
    ae_golden_near(g, "half of 1/3", (double)ae_f16_to_f32(ae_f32_to_f16(1.0f / 3)),
                   0.333251953125);
    ae_golden_near(g, "largest half", (double)ae_f16_to_f32(0x7bff), 65504);
    for (uint32_t bits = 0; bits < 0x7c00; bits++)
        if (ae_f32_to_f16(ae_f16_to_f32((uint16_t)bits)) != bits)
            ae_golden_problem(g, "the half 0x%04x does not come back", bits);
}

void ae_golden_builtin(ae_golden *g)
{
    static const struct {
        const char *name;
        ae_golden_case *run;
    } cases[] = {
        { "builtin/dpo_at_the_start_is_ln_2", dpo_at_the_start },
        { "builtin/cross_entropy_of_known_logits", cross_entropy },
        { "builtin/adamw_under_a_constant_gradient", adamw_constant },
        { "builtin/rmsprop_under_a_constant_gradient", rmsprop_constant },
        { "builtin/schedule_landmarks", schedule_landmarks },
        { "builtin/lora_starts_as_nothing", lora_starts_as_nothing },
        { "builtin/kernels_agree_with_the_reference", kernels },
        { "builtin/sha256", hashes },
        { "builtin/half_precision", half_precision },
    };

    for (size_t i = 0; i < AE_COUNT(cases); i++)
        ae_golden_run(g, cases[i].name, cases[i].run, NULL);
}
