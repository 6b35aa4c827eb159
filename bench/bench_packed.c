/* bench_packed.c -- how fast products over packed weights are, beside the machine's own limits.
 *
 *   bench_packed [auto|ref|avx2|avxvnni|avx512|neon] [threads] [seconds per line] [type] [N] [K]
 *
 * Few rows of x: bytes of the weight a second, beside reading memory and doing nothing else. Many:
 * operations a second (a multiplication and an addition are two), beside a loop of nothing but dot
 * products of bytes. Limits are measured between the rounds of every line, because shared machines
 * change their pace; the best round of each counts. Weights are larger than any cache: copies take
 * turns. */
#include "peak.h"
#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bytes of all copies of a weight together. */
#define WEIGHT_BYTES ((size_t)384 << 20)
enum { MOST_ROWS = 512 };

typedef struct {
    ae_device *dev;
    ae_arena arena;
    ae_pool *pool; /* for the limits: as many threads as the device */
    double seconds;
    uint8_t *memory; /* WEIGHT_BYTES */
    float *x, *y;
    ae_tensor w;
    size_t each; /* bytes of a copy */
    int copies, next;
    double bandwidth, peak; /* best of this line */
    uint64_t sink;
} bench;

/* With one thread it is processor time that counts, so that other programs don't. */
static double now(const bench *b)
{
    struct timespec t;

    if (b->dev->n_threads > 1) return ae_clock_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Four streams a thread, asked for ahead, is what reads fastest. */
static void read_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    bench *b = context;
    uint64_t sum = 0;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const uint64_t *p = (const uint64_t *)(b->memory + i * (WEIGHT_BYTES / 64));
        size_t quarter = WEIGHT_BYTES / 64 / 4 / sizeof *p;
        for (size_t at = 0; at < quarter; at += 8)
            for (size_t stream = 0; stream < 4; stream++) {
                const uint64_t *q = p + stream * quarter + at;
                __builtin_prefetch(q + 256);
                for (int j = 0; j < 8; j++) sum += q[j];
            }
    }
    __atomic_fetch_add(&b->sink, sum, __ATOMIC_RELAXED);
}

static void measure_bandwidth(bench *b)
{
    double start = now(b), rate;

    ae_pool_run(b->pool, 64, 1, read_tasks, b);
    rate = (double)WEIGHT_BYTES / (now(b) - start);
    if (rate > b->bandwidth) b->bandwidth = rate;
}

#if defined(__x86_64__)
#define TEN(op, r)                                                                                 \
    op " %%" r "15,%%" r "14,%%" r "0\n" op " %%" r "15,%%" r "14,%%" r "1\n" op " %%" r "15,%%" r \
       "14,%%" r "2\n" op " %%" r "15,%%" r "14,%%" r "3\n" op " %%" r "15,%%" r "14,%%" r         \
       "4\n" op " %%" r "15,%%" r "14,%%" r "5\n" op " %%" r "15,%%" r "14,%%" r "6\n" op " %%" r  \
       "15,%%" r "14,%%" r "7\n" op " %%" r "15,%%" r "14,%%" r "8\n" op " %%" r "15,%%" r         \
       "14,%%" r "9\n"
#define LOOP(body)                                                                                 \
    __asm__ volatile("1:\n" body "dec %0\njnz 1b\nvzeroupper\n"                                    \
                     : "+r"(left)                                                                  \
                     :                                                                             \
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",     \
                       "xmm9", "xmm14", "xmm15", "cc")

/* Returns the operations of n rounds. */
static double peak_loop(const char *name, long n)
{
    long left = n;

    if (strcmp(name, "cpu avx512") == 0 && __builtin_cpu_supports("avx512vnni")) {
        LOOP(TEN("vpdpbusd", "zmm"));
        return (double)n * 10 * 128;
    }
    if (strcmp(name, "cpu avxvnni") == 0) {
        LOOP(TEN("%{vex%} vpdpbusd", "ymm"));
        return (double)n * 10 * 64;
    }
    /* AVX2's pairs in 16 bits, each followed by its addition. */
    LOOP(TEN("vpmaddubsw", "ymm") TEN("vpaddw", "ymm"));
    return (double)n * 10 * 64;
}
#else
static double peak_loop(const char *name, long n)
{
    (void)name;
    (void)n;
    return 0;
}
#endif

static void measure_peak(bench *b)
{
    double start = now(b), operations = peak_run(b->pool, peak_loop, b->dev->name, 20000);
    double rate = operations / (now(b) - start);

    if (rate > b->peak) b->peak = rate;
}

static void product(bench *b, int64_t T)
{
    b->w.packed = b->memory + (size_t)b->next * b->each;
    b->next = (b->next + 1) % b->copies;
    b->dev->linear(b->dev, &b->arena, b->y, b->x, &b->w, NULL, T);
}

/* Best time of one product. */
static double time_products(bench *b, int64_t T)
{
    double best = 1e30, until;

    b->bandwidth = b->peak = 0;
    product(b, T);
    until = now(b) + b->seconds;
    do {
        for (int i = 0; i < 8; i++) {
            double start = now(b), took;
            product(b, T);
            took = now(b) - start;
            if (took < best) best = took;
        }
        measure_bandwidth(b);
        measure_peak(b);
    } while (now(b) < until);
    return best;
}

static void report(bench *b, int64_t T)
{
    double best = time_products(b, T), bytes = (double)b->each;
    double ops = 2 * (double)(T * b->w.rows * b->w.cols);

    printf("%-7s %3lld %6lld %6lld %10.1f us %7.2f GB/s of %5.1f (%3.0f %%) %7.1f GOP/s",
           ae_dtype_info_of(b->w.dtype)->name, (long long)T, (long long)b->w.rows,
           (long long)b->w.cols, best * 1e6, bytes / best * 1e-9, b->bandwidth * 1e-9,
           100 * bytes / best / b->bandwidth, ops / best * 1e-9);
    if (b->peak > 0) printf(" of %6.0f (%2.0f %%)", b->peak * 1e-9, 100 * ops / best / b->peak);
    printf("\n");
    fflush(stdout);
}

/* Content does not change the speed: any bytes, but halves that are not finite. */
static bool make_weight(bench *b, ae_dtype dtype, int64_t N, int64_t K)
{
    size_t bytes;

    if (!ae_dtype_bytes(&bytes, dtype, N, K)) return false;
    b->w = (ae_tensor){ .dtype = dtype, .rows = N, .cols = K, .data = ae_alloc(bytes, 1) };
    b->each = b->dev->packed_bytes(b->dev, dtype, N, K);
    if (!b->w.data || !b->each || b->each > WEIGHT_BYTES) return false;
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)b->w.data)[i] = (uint8_t)(i * 37 % 97);
    b->copies = (int)(WEIGHT_BYTES / b->each);
    b->next = 0;
    return true;
}

static void bench_type(bench *b, ae_dtype dtype, int64_t N, int64_t K)
{
    static const int64_t rows[] = { 1, 2, 4, 8, 16, 32, 512 };

    if (make_weight(b, dtype, N, K)) {
        double best = 1e30;
        for (int i = 0; i < b->copies; i++) {
            double start = now(b), took;
            b->dev->pack(b->dev, b->memory + (size_t)i * b->each, &b->w);
            took = now(b) - start;
            if (took < best) best = took;
        }
        printf("%-7s pack     %6lld %10.1f us %7.2f GB/s\n", ae_dtype_info_of(dtype)->name,
               (long long)N, best * 1e6, (double)b->each / best * 1e-9);
        for (size_t i = 0; i < AE_COUNT(rows); i++) report(b, rows[i]);
    }
    ae_free(b->w.data);
}

static void run_all(bench *b, const char *only, int64_t N, int64_t K)
{
    static const ae_dtype types[] = { AE_Q4_K, AE_Q6_K, AE_Q8_0, AE_Q2_K, AE_Q3_K,   AE_Q5_K,
                                      AE_Q4_0, AE_Q4_1, AE_Q5_0, AE_Q5_1, AE_IQ4_NL, AE_IQ4_XS };

    printf("%s, %d threads\n", b->dev->name, b->dev->n_threads);
    for (size_t i = 0; i < AE_COUNT(types); i++)
        if (!only || ae_dtype_by_name(only) == types[i]) bench_type(b, types[i], N, K);
}

int main(int argc, char **argv)
{
    bench b = { .seconds = argc > 3 ? atof(argv[3]) : 0.3 };
    int64_t N = argc > 5 ? atoll(argv[5]) : 4096, K = argc > 6 ? atoll(argv[6]) : 4096;
    aerie_error err = { 0 };
    ae_cpu_choice choice = AE_CPU_AUTO;

    if (ae_cpu_choice_parse(&choice, argc > 1 ? argv[1] : "auto", &err) ||
        ae_device_open(&b.dev, choice, argc > 2 ? atoi(argv[2]) : 0, &err) ||
        ae_pool_open(&b.pool, b.dev->n_threads, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    b.memory = aligned_alloc(64, WEIGHT_BYTES);
    b.x = ae_alloc((size_t)(MOST_ROWS * K), sizeof *b.x);
    b.y = ae_alloc((size_t)(MOST_ROWS * N), sizeof *b.y);
    if (!b.memory || !b.x || !b.y) return 1;
    memset(b.memory, 1, WEIGHT_BYTES);
    for (int64_t i = 0; i < MOST_ROWS * K; i++) b.x[i] = (float)(i % 113) - 56;
    run_all(&b, argc > 4 && strcmp(argv[4], "all") != 0 ? argv[4] : NULL, N, K);
    free(b.memory);
    ae_free(b.x), ae_free(b.y);
    ae_arena_free(&b.arena);
    ae_pool_close(b.pool);
    b.dev->close(b.dev);
    return 0;
}
