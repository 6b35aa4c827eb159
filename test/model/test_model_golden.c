/* Against transformers in float32, on tiny random models of each shape: logits, log-probabilities,
 * loss, every gradient, ten AdamW steps. tools/golden/make_model_fixtures.py wrote the fixtures. */
#include "model/model.h"

#include "scratch.h"

#include <jansson.h>
#include <math.h>

#define FOLDER "test/golden/model/"

enum { MAX_TOKENS = 64, MAX_PARAMS = 64 };

/* One model, its two texts packed in one row, and what transformers computed. */
typedef struct {
    ae_device *device;
    ae_model *file, *model; /* as opened; the trainable copy */
    ae_safetensors *golden;
    json_t *facts;
    int64_t n_tokens, n_predictions, n_params;
    int32_t ids[MAX_TOKENS], pos[MAX_TOKENS], all[MAX_TOKENS];
    int32_t rows[MAX_TOKENS], targets[MAX_TOKENS];
    ae_segment segments[2];
    ae_named_param params[MAX_PARAMS];
} fixture;

static void add_document(fixture *f, int which, const json_t *ids)
{
    int64_t first = f->n_tokens, n = (int64_t)json_array_size(ids);

    f->segments[which] = (ae_segment){ first, n, -1, -1 };
    for (int64_t i = 0; i < n; i++) {
        int32_t id = (int32_t)json_integer_value(json_array_get(ids, (size_t)i));
        f->ids[first + i] = id;
        f->pos[first + i] = (int32_t)i;
        f->all[first + i] = (int32_t)(first + i);
        if (i) {
            f->rows[f->n_predictions] = (int32_t)(first + i - 1);
            f->targets[f->n_predictions++] = id;
        }
    }
    f->n_tokens += n;
}

static void fixture_open(fixture *f, const char *name, ae_cpu_choice cpu)
{
    char path[256];
    aerie_error err = { 0 };
    json_error_t where;

    memset(f, 0, sizeof *f);
    assert_int_equal(ae_device_open(&f->device, cpu, 2, &err), AERIE_OK);
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (ae_model_open(&f->file, path, &err)) fail_msg("%s", err.message);
    if (ae_model_trainable(&f->model, f->file, &err)) fail_msg("%s", err.message);
    snprintf(path, sizeof path, FOLDER "%s/golden.safetensors", name);
    if (ae_safetensors_open(&f->golden, path, &err)) fail_msg("%s", err.message);
    snprintf(path, sizeof path, FOLDER "%s/golden.json", name);
    f->facts = json_load_file(path, 0, &where);
    assert_non_null(f->facts);
    const json_t *docs = json_object_get(f->facts, "documents");
    for (int i = 0; i < 2; i++) add_document(f, i, json_array_get(docs, (size_t)i));
    f->n_params = ae_model_params(f->model, f->params, MAX_PARAMS);
    assert_true(f->n_params > 0 && f->n_params <= MAX_PARAMS);
}

static void fixture_close(fixture *f)
{
    json_decref(f->facts);
    ae_safetensors_close(f->golden);
    ae_model_close(f->model);
    ae_model_close(f->file);
    f->device->close(f->device);
}

/* The largest difference, as a part of the golden tensor's largest number; `plus` is what the
 * golden numbers lack. */
static double distance_plus(const fixture *f, const char *prefix, const char *name,
                            const float *got, int64_t n, double plus)
{
    char key[160];
    double most = 0, size = 0;

    snprintf(key, sizeof key, "%s%s", prefix, name);
    const ae_stored_tensor *t = ae_tensor_list_find(ae_safetensors_tensors(f->golden), key);
    if (!t) fail_msg("no golden '%s'", key);
    assert_int_equal(t->rows * t->cols, n);
    const float *want = t->data;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(got[i] - (want[i] + plus)));
        size = fmax(size, fabs(want[i]));
    }
    assert_true(size > 0);
    return most / size;
}

static double distance(const fixture *f, const char *prefix, const char *name, const float *got,
                       int64_t n)
{
    return distance_plus(f, prefix, name, got, n, 0);
}

/* Gemma's norms: theirs are the weights minus one. */
static double less_one(const fixture *f, const char *name)
{
    return strncmp(ae_model_config(f->model)->family, "gemma", 5) == 0 && strstr(name, "norm");
}

static ae_batch batch_of(const fixture *f)
{
    return (ae_batch){ f->n_tokens, f->ids, f->pos, f->segments, 2, NULL };
}

/* One forward and backward pass; gradients are added up. Returns the loss. */
static double learn(fixture *f, bool recompute, float *logp)
{
    ae_arena arena = { 0 }, scratch = { 0 };
    ae_tape tape = { 0 };
    ae_ctx cx = { .device = f->device, .arena = &arena, .tape = &tape };
    ae_net net = *ae_model_net(f->model);
    const ae_predictions p = { f->rows, f->targets, f->n_predictions, 0 };
    const ae_batch batch = batch_of(f);
    double loss = 0;

    net.recompute = recompute;
    ae_tensor *y = ae_net_log_prob(&cx, &net, ae_net_hidden(&cx, &net, &batch), &p, NULL);
    if (!y) fail_msg("%s", cx.error.message);
    for (int64_t i = 0; i < p.n; i++) {
        loss -= ae_f32(y)[i] / (double)p.n;
        y->grad[i] = -1.0f / (float)p.n;
        if (logp) logp[i] = ae_f32(y)[i];
    }
    const ae_backward to = { .device = f->device, .arena = &scratch };
    assert_int_equal(ae_tape_backward(&tape, &to, &cx.error), AERIE_OK);
    ae_model_gather_grads(f->model);
    ae_arena_free(&scratch);
    ae_arena_free(&arena);
    return loss;
}

static void check_logits(fixture *f, const ae_model *m, const char *what)
{
    ae_arena arena = { 0 };
    ae_ctx cx = { .device = f->device, .arena = &arena };
    const ae_net *net = ae_model_net(m);
    const ae_batch batch = batch_of(f);
    const ae_tensor *y =
        ae_net_logits(&cx, net, ae_net_hidden(&cx, net, &batch), f->all, f->n_tokens);

    if (!y) fail_msg("%s", cx.error.message);
    double d = distance(f, "", "logits", ae_f32(y), y->rows * y->cols);
    print_message("  logits of %s: %.1e\n", what, d);
    assert_true(d < 2e-6);
    ae_arena_free(&arena);
}

/* A text's logits have the same bits alone and packed with another. */
static void check_packing(fixture *f)
{
    ae_arena arena = { 0 };
    ae_ctx cx = { .device = f->device, .arena = &arena };
    const ae_net *net = ae_model_net(f->file);
    const ae_batch both = batch_of(f);
    const ae_tensor *y =
        ae_net_logits(&cx, net, ae_net_hidden(&cx, net, &both), f->all, f->n_tokens);

    for (int i = 0; i < 2; i++) {
        const ae_segment *s = &f->segments[i], alone = { 0, s->n, -1, -1 };
        const ae_batch one = { s->n, f->ids + s->first, f->pos + s->first, &alone, 1, NULL };
        const ae_tensor *z = ae_net_logits(&cx, net, ae_net_hidden(&cx, net, &one), f->all, s->n);
        if (!y || !z) fail_msg("%s", cx.error.message);
        assert_memory_equal(ae_f32(z), ae_f32(y) + s->first * y->cols,
                            (size_t)(z->rows * z->cols) * sizeof(float));
    }
    ae_arena_free(&arena);
}

static double check_all(const fixture *f, const char *prefix, bool grads, double limit)
{
    double most = 0;

    for (int64_t i = 0; i < f->n_params; i++) {
        const ae_tensor *t = f->params[i].tensor;
        double plus = grads ? 0 : less_one(f, f->params[i].name);
        double d = distance_plus(f, prefix, f->params[i].name, grads ? t->grad : ae_f32(t),
                                 t->rows * t->cols, plus);
        if (!(d < limit))
            fail_msg("%s%s: off by %.2e of its largest", prefix, f->params[i].name, d);
        most = fmax(most, d);
    }
    return most;
}

static void clear_grads(fixture *f)
{
    for (int64_t i = 0; i < f->n_params; i++) {
        ae_tensor *t = f->params[i].tensor;
        memset(t->grad, 0, (size_t)(t->rows * t->cols) * sizeof(float));
    }
}

static void check_gradients(fixture *f)
{
    float logp[MAX_TOKENS];

    for (int recompute = 0; recompute < 2; recompute++) {
        clear_grads(f);
        double loss = learn(f, recompute, logp);
        assert_true(distance(f, "", "log_probs", logp, f->n_predictions) < 2e-6);
        double golden = json_real_value(json_object_get(f->facts, "loss"));
        print_message("  loss %.7f, off by %.1e; gradients off by %.1e%s\n", loss,
                      fabs(loss - golden), check_all(f, "grad.", true, 1e-5),
                      recompute ? " (recomputed)" : "");
        assert_true(fabs(loss - golden) < 2e-6);
    }
}

/* Ten steps of AdamW; the fixture decays matrices only, as params say. */
static void check_adamw(fixture *f)
{
    const json_t *o = json_object_get(f->facts, "adamw");
    const json_t *betas = json_object_get(o, "betas"),
                 *losses = json_object_get(f->facts, "losses");
    float *moments[MAX_PARAMS][2];
    double worst = 0;

    for (int64_t i = 0; i < f->n_params; i++)
        for (int k = 0; k < 2; k++) {
            const ae_tensor *t = f->params[i].tensor;
            moments[i][k] = ae_alloc((size_t)(t->rows * t->cols), sizeof(float));
            assert_non_null(moments[i][k]);
        }
    for (size_t step = 0; step < json_array_size(losses); step++) {
        ae_adamw_step s = { .learning_rate = (float)json_real_value(json_object_get(o, "lr")),
                            .beta1 = (float)json_real_value(json_array_get(betas, 0)),
                            .beta2 = (float)json_real_value(json_array_get(betas, 1)),
                            .epsilon = (float)json_real_value(json_object_get(o, "eps")),
                            .grad_scale = 1 };
        s.correction1 = 1 - pow(json_real_value(json_array_get(betas, 0)), (double)step + 1);
        s.correction2 = 1 - pow(json_real_value(json_array_get(betas, 1)), (double)step + 1);
        clear_grads(f);
        double loss = learn(f, false, NULL);
        worst = fmax(worst, fabs(loss - json_real_value(json_array_get(losses, step))));
        for (int64_t i = 0; i < f->n_params; i++) {
            ae_tensor *t = f->params[i].tensor;
            s.weight_decay = f->params[i].decays
                                 ? (float)json_real_value(json_object_get(o, "weight_decay"))
                                 : 0;
            f->device->adamw(f->device, t->data, moments[i][0], moments[i][1], t->grad,
                             t->rows * t->cols, &s);
        }
    }
    print_message("  ten steps: losses off by %.1e, parameters by %.1e\n", worst,
                  check_all(f, "after.", false, 1e-4));
    assert_true(worst < 1e-5);
    for (int64_t i = 0; i < f->n_params; i++)
        for (int k = 0; k < 2; k++) ae_free(moments[i][k]);
}

static void check_shape(const char *name, ae_cpu_choice cpu)
{
    fixture f;

    fixture_open(&f, name, cpu);
    print_message("%s on %s\n", name, f.device->name);
    check_logits(&f, f.file, "the file");
    check_logits(&f, f.model, "the trainable copy");
    check_packing(&f);
    check_gradients(&f);
    check_adamw(&f);
    fixture_close(&f);
}

static void check_both(const char *name)
{
    check_shape(name, AE_CPU_REF);
    check_shape(name, AE_CPU_AUTO);
}

#define FAMILY(name)                                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        check_both(#name);                                                                         \
    }

FAMILY(mistral)
FAMILY(llama3)
FAMILY(qwen2)
FAMILY(tied)
FAMILY(yarn)
FAMILY(gemma2)
FAMILY(gemma3)
FAMILY(qwen3)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistral), cmocka_unit_test(llama3), cmocka_unit_test(qwen2),
        cmocka_unit_test(tied),    cmocka_unit_test(yarn),   cmocka_unit_test(gemma2),
        cmocka_unit_test(gemma3),  cmocka_unit_test(qwen3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
