/* devices.h -- a property is asked of every CPU device that this machine can open: each set of
 * kernels, with one, two and three threads. */
#ifndef AE_TEST_DEVICES_H
#define AE_TEST_DEVICES_H

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
    const ae_dtype_info *type = ae_dtype_info_of(dtype);
    size_t bytes = 0;

    assert_true(ae_dtype_bytes(&bytes, dtype, rows, cols));
    w.data = ae_alloc(bytes, 1);
    assert_non_null(w.data);
    if (dtype == AE_F32) {
        for (int64_t i = 0; i < rows * cols; i++) ae_f32(&w)[i] = random_float(rng);
        return w;
    }
    uint8_t *block = w.data;
    for (size_t i = 0; i < bytes; i++) block[i] = (uint8_t)ae_rng_below(rng, 256);
    /* Halves of ordinary size, wherever a block holds them: 0x2c.. is about 0.07. */
    for (; block < (uint8_t *)w.data + bytes; block += type->block_bytes) {
        if (dtype == AE_Q6_K) block[209] = 0x20;
        if (dtype != AE_Q6_K) block[1] = dtype == AE_BF16 ? 0x3e : 0x2c;
        if (dtype == AE_Q4_1 || dtype == AE_Q4_K) block[3] = 0x2c;
    }
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
