/* fixture.c -- a device, arenas, random tensors, and the comparison of a gradient with the slope.
 */
#include "grad/fixture.h"

#include "blocks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void fixture_open(fixture *f, ae_cpu_choice cpu, int threads, uint64_t seed)
{
    aerie_error err = { 0 };
    *f = (fixture){ .seed = seed };
    ae_rng_seed(&f->rng, seed);
    if (ae_device_open(&f->device, cpu, threads, &err)) fail_msg("%s", err.message);
}

void fixture_close(fixture *f)
{
    ae_arena_free(&f->step);
    ae_arena_free(&f->kept);
    if (f->device) f->device->close(f->device);
    f->device = NULL;
}

ae_ctx fixture_ctx(fixture *f, ae_tape *tape)
{
    return (ae_ctx){ .device = f->device, .arena = &f->step, .tape = tape };
}

ae_tensor *fixture_tensor(fixture *f, int64_t rows, int64_t cols, float scale, bool grad)
{
    ae_tensor *t = ae_arena_take(&f->kept, 1, sizeof *t);
    float *data = ae_arena_take(&f->kept, (size_t)(rows * cols), sizeof *data);
    assert_non_null(t);
    assert_non_null(data);
    for (int64_t i = 0; i < rows * cols; i++) data[i] = scale * ae_rng_normal(&f->rng);
    *t = (ae_tensor){ .dtype = AE_F32, .rows = rows, .cols = cols, .data = data };
    if (grad) t->grad = ae_arena_take(&f->kept, (size_t)(rows * cols), sizeof *t->grad);
    return t;
}

ae_tensor *fixture_frozen(fixture *f, ae_dtype dtype, int64_t rows, int64_t cols, float scale)
{
    size_t bytes;
    assert_true(ae_dtype_bytes(&bytes, dtype, rows, cols));
    ae_tensor *t = ae_arena_take(&f->kept, 1, sizeof *t);
    uint8_t *data = ae_arena_take(&f->kept, bytes, 1);
    assert_non_null(data);
    blocks_fill(data, dtype, rows * cols, scale, &f->rng);
    *t = (ae_tensor){ .dtype = dtype, .rows = rows, .cols = cols, .data = data };
    return t;
}

void fixture_zero_grad(ae_tensor *t)
{
    memset(t->grad, 0, (size_t)(t->rows * t->cols) * sizeof *t->grad);
}

/* The weight of output i in the loss: fixed, in [-1, 1). */
static float loss_weight(const fixture *f, int64_t i)
{
    return (float)(int32_t)(ae_mix64(f->seed * 1000003 + (uint64_t)i) >> 32) / 2147483648.0f;
}

static double loss_of(fixture *f, fixture_fn *fn, const void *params)
{
    ae_ctx cx = fixture_ctx(f, NULL);
    const ae_tensor *y = fn(&cx, params);
    if (!y) fail_msg("%s", cx.error.message);
    double loss = 0;
    for (int64_t i = 0; i < y->rows * y->cols; i++)
        loss += (double)ae_f32(y)[i] * loss_weight(f, i);
    ae_arena_reset_all(&f->step);
    return loss;
}

void fixture_backward(fixture *f, fixture_fn *fn, const void *params, float *out)
{
    ae_tape tape = { 0 };
    ae_ctx cx = fixture_ctx(f, &tape);
    const ae_tensor *y = fn(&cx, params);
    if (!y) fail_msg("%s", cx.error.message);
    if (out) memcpy(out, y->data, (size_t)(y->rows * y->cols) * sizeof *out);
    assert_non_null(y->grad);
    for (int64_t i = 0; i < y->rows * y->cols; i++) y->grad[i] = loss_weight(f, i);
    const ae_backward to = { .device = f->device, .arena = &f->step };
    if (ae_tape_backward(&tape, &to, &cx.error)) fail_msg("%s", cx.error.message);
    assert_null(tape.last);
    ae_arena_reset_all(&f->step);
}

/* Loss at x + t * direction. */
static double loss_at(fixture *f, fixture_fn *fn, const void *params, ae_tensor *x, double t,
                      const ae_tensor *origin, const ae_tensor *direction)
{
    for (int64_t i = 0; i < x->rows * x->cols; i++)
        ae_f32(x)[i] = (float)(ae_f32(origin)[i] + t * ae_f32(direction)[i]);
    double loss = loss_of(f, fn, params);
    memcpy(x->data, origin->data, (size_t)(x->rows * x->cols) * sizeof(float));
    return loss;
}

static double check_slope(fixture *f, fixture_fn *fn, const void *params, ae_tensor *x)
{
    int64_t n = x->rows * x->cols;
    ae_tensor *origin = fixture_tensor(f, 1, n, 0, false);
    ae_tensor *direction = fixture_tensor(f, 1, n, 1, false);
    memcpy(origin->data, x->data, (size_t)n * sizeof(float));

    double gradient = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        gradient += (double)x->grad[i] * ae_f32(direction)[i];
        squares += (double)x->grad[i] * x->grad[i];
        largest = fmax(largest, fabs(ae_f32(origin)[i]));
    }
    /* Four points: the error of the slope is h^4 of the fifth derivative, so that h can be large
     * enough for float32 losses (rounding of about 1e-7 / h). Of 0.001, 0.003, 0.005 and 0.01 this
     * is the step with the smallest error over a whole decoder. */
    double h = 0.003 * fmax(largest, 0.1);
    double slope = 8 * (loss_at(f, fn, params, x, h, origin, direction) -
                        loss_at(f, fn, params, x, -h, origin, direction)) -
                   (loss_at(f, fn, params, x, 2 * h, origin, direction) -
                    loss_at(f, fn, params, x, -2 * h, origin, direction));
    slope /= 12 * h;
    /* |gradient| is also the standard deviation of its product with a random direction. */
    return fabs(slope - gradient) / (sqrt(squares) + 1e-6);
}

double fixture_check_slopes(fixture *f, const char *name, fixture_fn *fn, const void *params,
                            ae_tensor *const *inputs, int n_inputs, double tolerance)
{
    double worst = 0;
    for (int i = 0; i < n_inputs; i++) fixture_zero_grad(inputs[i]);
    fixture_backward(f, fn, params, NULL);
    for (int i = 0; i < n_inputs; i++) {
        double error = check_slope(f, fn, params, inputs[i]);
        if (!(error <= tolerance))
            fail_msg("%s: input %d: gradient and slope differ by %g (allowed: %g), seed %llu", name,
                     i, error, tolerance, (unsigned long long)f->seed);
        worst = fmax(worst, error);
    }
    return worst;
}
