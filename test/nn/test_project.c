/* A projection with low-rank additions is what its formula says, against sums in double; its
 * dropout touches the addition alone; and the published LoRA and rsLoRA numbers come out. */
#include "grad/fixture.h"
#include "nn/nn.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 4, IN = 24, OUT = 17, R = 3 };

static const uint64_t row_keys[T] = { 4, 5, 6, 7 };

typedef struct {
    ae_projection projection;
    ae_lora loras[2];
    ae_tensor *x;
} setting;

static void open_setting(setting *s, fixture *f, float dropout)
{
    fixture_open(f, AE_CPU_AUTO, 2, 12);
    *s = (setting){ .x = fixture_tensor(f, T, IN, 1, true) };
    s->projection.w = fixture_tensor(f, OUT, IN, 1, false);
    s->projection.bias = fixture_tensor(f, 1, OUT, 1, false);
    for (int i = 0; i < 2; i++) {
        s->loras[i] = (ae_lora){ .a = fixture_tensor(f, R, IN, 1, true),
                                 .b = fixture_tensor(f, OUT, R, 1, true),
                                 .scale = 0.5f + (float)i,
                                 .dropout = dropout,
                                 .site = (uint64_t)i };
        s->projection.lora[s->projection.n_lora++] = &s->loras[i];
    }
}

/* Row a of m times row b of n. */
static double dot(const ae_tensor *m, int64_t a, const ae_tensor *n, int64_t b)
{
    double sum = 0;
    for (int64_t i = 0; i < m->cols; i++)
        sum += (double)ae_f32(m)[a * m->cols + i] * ae_f32(n)[b * n->cols + i];
    return sum;
}

/* thinned: what each low-rank addition sees of x. */
static double formula(const setting *s, int64_t t, int64_t o, const ae_tensor *const *thinned)
{
    double y = dot(s->x, t, s->projection.w, o) + ae_f32(s->projection.bias)[o];
    for (int i = 0; i < 2; i++)
        for (int64_t r = 0; r < R; r++)
            y += s->loras[i].scale * dot(thinned[i], t, s->loras[i].a, r) *
                 ae_f32(s->loras[i].b)[o * R + r];
    return y;
}

static void check_formula(float dropout)
{
    fixture f;
    setting s;
    open_setting(&s, &f, dropout);
    ae_ctx cx = fixture_ctx(&f, NULL);
    cx.dropout_key = 31;
    cx.dropout_rows = row_keys;
    const ae_tensor *y = ae_project(&cx, &s.projection, s.x);
    const ae_tensor *thinned[] = { ae_dropout(&cx, s.x, dropout, 0),
                                   ae_dropout(&cx, s.x, dropout, 1) };
    if (ae_ctx_status(&cx)) fail_msg("%s", cx.error.message);
    for (int64_t i = 0; i < T * OUT; i++) {
        double want = formula(&s, i / OUT, i % OUT, thinned);
        /* Sums of 24 and 72 products of about 1. */
        if (!(fabs(ae_f32(y)[i] - want) < 2e-5)) fail_msg("%g, not %g", ae_f32(y)[i], want);
    }
    fixture_close(&f);
}

static void test_formula(void **state)
{
    (void)state;
    check_formula(0);
    check_formula(0.4f);
}

/* B = 0, as an adapter begins: the same bits as without. */
static void test_new_adapter(void **state)
{
    fixture f;
    setting s;
    (void)state;
    open_setting(&s, &f, 0);
    for (int i = 0; i < 2; i++) memset(s.loras[i].b->data, 0, sizeof(float) * OUT * R);
    ae_ctx cx = fixture_ctx(&f, NULL);
    const ae_tensor *with = ae_project(&cx, &s.projection, s.x);
    s.projection.n_lora = 0;
    const ae_tensor *without = ae_project(&cx, &s.projection, s.x);
    assert_memory_equal(with->data, without->data, sizeof(float) * T * OUT);
    fixture_close(&f);
}

/* m / c times (W + sBA) x + bias, with rows of quantized weights expanded for c. */
static void check_dora(ae_dtype dtype)
{
    enum { WIDE = 256 };
    fixture f;
    fixture_open(&f, AE_CPU_AUTO, 2, 5);
    ae_tensor *w = fixture_frozen(&f, dtype, OUT, WIDE, 0.1f);
    ae_lora lora = { .a = fixture_tensor(&f, R, WIDE, 0.1f, true),
                     .b = fixture_tensor(&f, OUT, R, 1, true),
                     .scale = 0.7f,
                     .m = fixture_tensor(&f, OUT, 1, 1, true) };
    const ae_tensor *x = fixture_tensor(&f, T, WIDE, 1, true),
                    *bias = fixture_tensor(&f, 1, OUT, 1, false);
    float norm[OUT], row[WIDE];
    size_t row_bytes;
    lora.norm = norm;
    assert_true(ae_dtype_bytes(&row_bytes, dtype, 1, WIDE));
    assert_int_equal(f.device->row_norms(f.device, &f.step, norm, w, lora.a, lora.b, lora.scale),
                     AERIE_OK);
    const ae_projection p = { .w = w, .bias = bias, .lora = { &lora }, .n_lora = 1 };
    ae_ctx cx = fixture_ctx(&f, NULL);
    const ae_tensor *y = ae_project(&cx, &p, x);
    assert_non_null(y);
    for (int64_t o = 0; o < OUT; o++) {
        double squares = 0, sums[T] = { 0 };
        ae_dtype_decode_row(dtype, (const char *)w->data + (size_t)o * row_bytes, WIDE, row);
        for (int64_t i = 0; i < WIDE; i++) {
            double v = row[i];
            for (int64_t r = 0; r < R; r++)
                v += lora.scale * (double)ae_f32(lora.b)[o * R + r] * ae_f32(lora.a)[r * WIDE + i];
            squares += v * v;
            for (int64_t t = 0; t < T; t++) sums[t] += v * ae_f32(x)[t * WIDE + i];
        }
        for (int64_t t = 0; t < T; t++) {
            double want = ae_f32(lora.m)[o] / sqrt(squares) * sums[t] + ae_f32(bias)[o];
            if (!(fabs(ae_f32(y)[t * OUT + o] - want) < 2e-5))
                fail_msg("%g, not %g", ae_f32(y)[t * OUT + o], want);
        }
    }
    fixture_close(&f);
}

static void test_dora(void **state)
{
    (void)state;
    check_dora(AE_F32);
    check_dora(AE_F16);
    check_dora(AE_Q8_0);
    check_dora(AE_Q4_K);
}

static ae_tensor *matrix(fixture *f, const json_t *rows)
{
    int64_t n = (int64_t)json_array_size(rows),
            cols = (int64_t)json_array_size(json_array_get(rows, 0));
    ae_tensor *t = fixture_tensor(f, n, cols, 0, true);
    for (int64_t i = 0; i < n * cols; i++) {
        const json_t *row = json_array_get(rows, (size_t)(i / cols));
        ae_f32(t)[i] = (float)json_number_value(json_array_get(row, (size_t)(i % cols)));
    }
    return t;
}

/* 1e-5 of max(1, |want|), as the golden numbers ask of float32. */
static void check_near(const char *name, const float *got, const ae_tensor *want)
{
    for (int64_t i = 0; i < want->rows * want->cols; i++) {
        double expected = ae_f32(want)[i];
        if (!(fabs(got[i] - expected) <= 1e-5 * fmax(1, fabs(expected))))
            fail_msg("%s[%lld]: %g, not %g", name, (long long)i, got[i], expected);
    }
}

static void check_case(const json_t *c)
{
    fixture f;
    ae_tape tape = { 0 };
    const json_t *in = json_object_get(c, "inputs"), *out = json_object_get(c, "outputs");
    fixture_open(&f, AE_CPU_AUTO, 2, 1);
    ae_lora lora = { .a = matrix(&f, json_object_get(in, "A")),
                     .b = matrix(&f, json_object_get(in, "B")),
                     .scale = (float)json_number_value(
                         json_object_get(json_object_get(c, "params"), "scaling")) };
    ae_tensor *w = matrix(&f, json_object_get(in, "W")), *x = matrix(&f, json_object_get(in, "x"));
    w->grad = NULL;
    const ae_projection p = { .w = w, .lora = { &lora }, .n_lora = 1 };

    ae_ctx cx = fixture_ctx(&f, &tape);
    ae_tensor *y = ae_project(&cx, &p, x);
    assert_non_null(y);
    const ae_tensor *dy = matrix(&f, json_object_get(in, "grad_y"));
    memcpy(y->grad, dy->data, sizeof(float) * (size_t)(y->rows * y->cols));
    const ae_backward to = { .device = f.device, .arena = &f.step };
    assert_int_equal(ae_tape_backward(&tape, &to, &cx.error), AERIE_OK);
    check_near("y", ae_f32(y), matrix(&f, json_object_get(out, "y")));
    check_near("grad_A", lora.a->grad, matrix(&f, json_object_get(out, "grad_A")));
    check_near("grad_B", lora.b->grad, matrix(&f, json_object_get(out, "grad_B")));
    check_near("grad_x", x->grad, matrix(&f, json_object_get(out, "grad_x")));
    fixture_close(&f);
}

static void test_golden(void **state)
{
    char path[1024];
    const char *shared = getenv("AERIE_SHARED");
    int n = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/golden/alignment/lora.json", shared ? shared : "../shared");
    json_t *file = json_load_file(path, 0, NULL);
    if (!file) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(file, "cases"), i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        if (strcmp(name, "lora") != 0 && strcmp(name, "rslora") != 0) continue;
        check_case(c);
        n++;
    }
    json_decref(file);
    assert_int_equal(n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_new_adapter),
        cmocka_unit_test(test_dora),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
