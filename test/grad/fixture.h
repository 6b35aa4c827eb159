/* fixture.h -- what the tests of ops and layers share: a device, arenas, random tensors, and the
 * comparison of a gradient with the slope. */
#ifndef AE_TEST_FIXTURE_H
#define AE_TEST_FIXTURE_H

#include "op/op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct {
    ae_device *device;
    ae_arena kept; /* inputs and weights: until fixture_close() */
    ae_arena step; /* one pass */
    ae_rng rng;
    uint64_t seed;
} fixture;

void fixture_open(fixture *f, ae_cpu_choice cpu, int threads, uint64_t seed);
void fixture_close(fixture *f);

/* A context over f->step. */
ae_ctx fixture_ctx(fixture *f, ae_tape *tape);

/* Normal numbers times `scale`; with a zeroed gradient if wanted. Lives in f->kept. */
ae_tensor *fixture_tensor(fixture *f, int64_t rows, int64_t cols, float scale, bool grad);
/* A frozen matrix of any type, with values of about `scale`; cols a multiple of the block. */
ae_tensor *fixture_frozen(fixture *f, ae_dtype dtype, int64_t rows, int64_t cols, float scale);
void fixture_zero_grad(ae_tensor *t);

/* Computes some output from params; under a tape when the context has one. */
typedef ae_tensor *fixture_fn(ae_ctx *cx, const void *params);

/* Runs fn with a tape and goes back from sum(y * fixed random numbers). The output's copy in `out`
 * when not NULL (rows * cols floats). Fails the test on any error. */
void fixture_backward(fixture *f, fixture_fn *fn, const void *params, float *out);

/* The gradient of every input against the slope of the loss along random directions. Returns the
 * largest difference, relative to the gradient's size; fails the test when it passes `tolerance`.
 */
double fixture_check_slopes(fixture *f, const char *name, fixture_fn *fn, const void *params,
                            ae_tensor *const *inputs, int n_inputs, double tolerance);

#endif
