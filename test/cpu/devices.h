/* devices.h -- a property is asked of every CPU device that this machine can open: each set of
 * kernels, with one, two and three threads. */
#ifndef AE_TEST_DEVICES_H
#define AE_TEST_DEVICES_H

#include "blocks.h"
#include "device/device.h"
#include "guarded.h"

enum { MOST_THREADS = 3 };

typedef void device_fn(ae_device *dev, ae_arena *arena);

static inline ae_device *device_open(ae_cpu_choice choice, int threads)
{
    ae_device *dev;

    return ae_device_open(&dev, choice, threads, NULL) == AERIE_OK ? dev : NULL;
}

static inline void with_device(ae_cpu_choice choice, int threads, device_fn *fn)
{
    ae_device *dev = device_open(choice, threads);
    ae_arena arena = { 0 };

    if (!dev) return;
    fn(dev, &arena);
    assert_int_equal(arena.used, 0); /* scratch is given back */
    dev->close(dev);
    ae_arena_free(&arena);
}

static inline void for_each_device(device_fn *fn)
{
    for (ae_cpu_choice choice = AE_CPU_REF; choice <= AE_CPU_NEON; choice++)
        for (int threads = 1; threads <= MOST_THREADS; threads++) with_device(choice, threads, fn);
}

/* Fills and returns a buffer; must give the same bits for any number of threads. */
typedef buffer result_fn(ae_device *dev, ae_arena *arena);

static inline void assert_threads_agree(const char *what, result_fn *fn)
{
    for (ae_cpu_choice choice = AE_CPU_REF; choice <= AE_CPU_NEON; choice++) {
        buffer first = { NULL, 0 };
        for (int threads = 1; threads <= MOST_THREADS; threads++) {
            ae_device *dev = device_open(choice, threads);
            ae_arena arena = { 0 };
            if (!dev) break;
            buffer got = fn(dev, &arena);
            if (threads == 1)
                first = got;
            else {
                assert_same_bits(what, got.at, first.at, first.n);
                buffer_free(got);
            }
            dev->close(dev);
            ae_arena_free(&arena);
        }
        if (first.at) buffer_free(first);
    }
}

/* A weight of any type with random content. */
static inline ae_tensor weight_random(ae_rng *rng, ae_dtype dtype, int64_t rows, int64_t cols)
{
    ae_tensor w = { .dtype = dtype, .rows = rows, .cols = cols };
    size_t bytes = 0;

    assert_true(ae_dtype_bytes(&bytes, dtype, rows, cols));
    w.data = ae_alloc(bytes, 1);
    assert_non_null(w.data);
    blocks_fill(w.data, dtype, rows * cols, 1, rng);
    return w;
}

/* The same weight as F32. */
static inline ae_tensor weight_expanded(const ae_tensor *w)
{
    ae_tensor f = { .dtype = AE_F32, .rows = w->rows, .cols = w->cols };

    f.data = ae_alloc((size_t)(w->rows * w->cols), sizeof(float));
    assert_true(f.data && ae_dtype_decode_row(w->dtype, w->data, w->rows * w->cols, f.data));
    return f;
}

#endif
