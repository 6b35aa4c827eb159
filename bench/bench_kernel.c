/* bench_kernel.c -- how fast the device's functions are, beside the machine's own limit.
 *
 *   bench_kernel [auto|ref|avx2|avx512|neon] [threads] [seconds per line]
 *
 * Every line runs for a while in rounds; between the rounds runs the peak loop, nothing but
 * independent multiply-adds, because shared machines change their pace from minute to minute: what
 * is compared was measured in the same moments. The best round of each counts. With one thread it
 * is processor time that counts, so that other programs on the machine don't. */
#include "device/device.h"
#include "peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    ae_device *dev;
    ae_arena arena;
    ae_pool *pool; /* for the peak loop: as many threads as the device */
    double seconds;
    float *a, *b, *c, *d, *e; /* ROOM floats each */
    double peak;              /* best flops a second so far, all threads */
} bench;

enum { ROOM = 8 << 20 };

static double now(const bench *b)
{
    struct timespec t;

    if (b->dev->n_threads > 1) return ae_clock_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
#define EIGHT(op, r)                                                                               \
    op " %%" r "15,%%" r "14,%%" r "0\n" op " %%" r "15,%%" r "14,%%" r "1\n" op " %%" r "15,%%" r \
       "14,%%" r "2\n" op " %%" r "15,%%" r "14,%%" r "3\n" op " %%" r "15,%%" r "14,%%" r         \
       "4\n" op " %%" r "15,%%" r "14,%%" r "5\n" op " %%" r "15,%%" r "14,%%" r "6\n" op " %%" r  \
       "15,%%" r "14,%%" r "7\n" op " %%" r "15,%%" r "14,%%" r "8\n" op " %%" r "15,%%" r         \
       "14,%%" r "9\n"
#define CLOBBERS                                                                                   \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm14",       \
        "xmm15", "cc"

static double peak_flops_of(const char *name, long n)
{
    bool wide = name[4] == 'a' && name[7] == '5';
    long left = n;

    if (wide)
        __asm__ volatile("vpxorq %%zmm14,%%zmm14,%%zmm14\nvpxorq %%zmm15,%%zmm15,%%zmm15\n"
                         "1:\n" EIGHT("vfmadd231ps", "zmm") "dec %0\njnz 1b\nvzeroupper\n"
                         : "+r"(left)
                         :
                         : CLOBBERS);
    else
        __asm__ volatile("vpxor %%ymm14,%%ymm14,%%ymm14\nvpxor %%ymm15,%%ymm15,%%ymm15\n"
                         "1:\n" EIGHT("vfmadd231ps", "ymm") "dec %0\njnz 1b\nvzeroupper\n"
                         : "+r"(left)
                         :
                         : CLOBBERS);
    return (double)n * 10 * (wide ? 32 : 16);
}
#else
static double peak_flops_of(const char *name, long n)
{
    (void)name;
    (void)n;
    return 0;
}
#endif

static void measure_peak(bench *b)
{
    double start = now(b), operations = peak_run(b->pool, peak_flops_of, b->dev->name, 50000);
    double rate = operations / (now(b) - start);

    if (rate > b->peak) b->peak = rate;
}

typedef struct {
    int64_t T, N, K, d;
} size;

typedef void case_fn(bench *b, size s);

static void report(bench *b, const char *what, size s, case_fn *fn, double flops, double bytes)
{
    double best = 1e30, until = now(b) + b->seconds;

    b->peak = 0;
    fn(b, s);
    while (now(b) < until) {
        double start = now(b), end;
        int times = 0;
        do fn(b, s), times++;
        while ((end = now(b)) < start + 0.004);
        if ((end - start) / times < best) best = (end - start) / times;
        measure_peak(b);
    }
    printf("%-13s %5lld %5lld %5lld %4lld  %10.1f us", what, (long long)s.T, (long long)s.N,
           (long long)s.K, (long long)s.d, best * 1e6);
    if (flops > 0) printf("  %7.1f GFLOP/s", flops / best * 1e-9);
    if (flops > 0 && b->peak > 0)
        printf(" of %.1f (%.0f %%)", b->peak * 1e-9, 100 * flops / best / b->peak);
    if (bytes > 0) printf("  %7.2f GB/s", bytes / best * 1e-9);
    printf("\n");
    fflush(stdout);
}

static void linear(bench *b, size s)
{
    ae_tensor w = { .dtype = AE_F32, .rows = s.N, .cols = s.K, .data = b->b };
    b->dev->linear(b->dev, &b->arena, b->c, b->a, &w, NULL, s.T);
}

static void linear_f16(bench *b, size s)
{
    ae_tensor w = { .dtype = AE_F16, .rows = s.N, .cols = s.K, .data = b->b };
    b->dev->linear(b->dev, &b->arena, b->c, b->a, &w, NULL, s.T);
}

static void linear_q8(bench *b, size s)
{
    ae_tensor w = { .dtype = AE_Q8_0, .rows = s.N, .cols = s.K, .data = b->b };
    b->dev->linear(b->dev, &b->arena, b->c, b->a, &w, NULL, s.T);
}

static void linear_dx(bench *b, size s)
{
    ae_tensor w = { .dtype = AE_F32, .rows = s.N, .cols = s.K, .data = b->b };
    b->dev->linear_dx(b->dev, &b->arena, b->c, b->a, &w, s.T);
}

static void linear_dw(bench *b, size s)
{
    b->dev->linear_dw(b->dev, b->c, b->a, b->b, s.T, s.N, s.K);
}

static void bench_linear(bench *b, size s)
{
    double flops = 2.0 * (double)(s.T * s.N * s.K), weights = (double)(s.N * s.K);

    report(b, "linear", s, linear, flops, s.T == 1 ? 4 * weights : 0);
    report(b, "linear f16", s, linear_f16, flops, s.T == 1 ? 2 * weights : 0);
    if (s.K % 32 == 0)
        report(b, "linear q8_0", s, linear_q8, flops, s.T == 1 ? 1.0625 * weights : 0);
    if (s.T == 1) return;
    report(b, "linear_dx", s, linear_dx, flops, 0);
    report(b, "linear_dw", s, linear_dw, flops, 0);
}

/* T tokens in sequences of N, K query heads over half as many key/value heads. */
typedef struct {
    ae_attention_shape shape;
    ae_attention_span spans[64];
    ae_attention_sequence seq[64];
    int64_t n;
    double flops; /* forward */
} attention_case;

static attention_case attention_of(bench *b, size s)
{
    attention_case a = { .shape = { .n_heads = s.K, .n_kv_heads = s.K / 2, .head_dim = s.d } };
    int64_t stride = s.K / 2 * s.d;

    a.shape.scale = 0.125f;
    for (int64_t at = 0; at < s.T && a.n < 64; at += s.N, a.n++) {
        int64_t n = s.N < s.T - at ? s.N : s.T - at;
        a.spans[a.n] = (ae_attention_span){ .k = b->b + at * stride,
                                            .v = b->b + ROOM / 2 + at * stride,
                                            .dk = b->d + at * stride,
                                            .dv = b->d + ROOM / 2 + at * stride,
                                            .n = n,
                                            .stride = stride };
        a.seq[a.n] = (ae_attention_sequence){ at, n, &a.spans[a.n], 1, n, a.n };
        a.flops += 2.0 * (double)(n * (n + 1) * s.K * s.d);
    }
    for (int64_t i = 0; i < a.n; i++) a.seq[i].spans = &a.spans[i];
    return a;
}

static void attention(bench *b, size s)
{
    attention_case a = attention_of(b, s);

    for (int64_t i = 0; i < a.n; i++) a.seq[i].spans = &a.spans[i];
    b->dev->attention(b->dev, &b->arena, b->c, b->e, b->a, a.seq, a.n, &a.shape);
}

static void attention_bwd(bench *b, size s)
{
    attention_case a = attention_of(b, s);

    for (int64_t i = 0; i < a.n; i++) a.seq[i].spans = &a.spans[i];
    b->dev->attention_bwd(b->dev, &b->arena, b->d + ROOM / 4, b->a, b->c, b->e, b->a, a.seq, a.n,
                          &a.shape);
}

static void bench_attention(bench *b, size s)
{
    double flops = attention_of(b, s).flops;

    report(b, "attention", s, attention, flops, 0);
    report(b, "attention_bwd", s, attention_bwd, 2.5 * flops, 0);
}

static void fill_predictions(int32_t *rows, int32_t *targets, size s)
{
    for (int32_t i = 0; i < s.T; i++) rows[i] = i, targets[i] = (int32_t)(i * 7 % s.N);
}

/* T predictions over N words. */
static void log_prob(bench *b, size s)
{
    int32_t rows[4096], targets[4096];
    static double lse[4096];
    ae_tensor w = { .dtype = AE_F32, .rows = s.N, .cols = s.K, .data = b->b };
    ae_predictions p = { rows, targets, s.T, 0 };

    fill_predictions(rows, targets, s);
    b->dev->log_prob(b->dev, &b->arena, b->e, lse, NULL, NULL, NULL, b->a, &w, &p);
}

static void log_prob_bwd(bench *b, size s)
{
    int32_t rows[4096], targets[4096];
    static double lse[4096];
    ae_tensor w = { .dtype = AE_F32, .rows = s.N, .cols = s.K, .data = b->b };
    ae_predictions p = { rows, targets, s.T, 0 };

    fill_predictions(rows, targets, s);
    b->dev->log_prob_bwd(b->dev, &b->arena, b->c, b->d, b->a, NULL, NULL, NULL, lse, b->a, &w, &p);
}

static void bench_log_prob(bench *b, size s)
{
    double flops = 2.0 * (double)(s.T * s.N * s.K);

    report(b, "log_prob", s, log_prob, flops, 0);
    report(b, "log_prob_bwd", s, log_prob_bwd, 3 * flops, 0);
}

static void rmsnorm(bench *b, size s)
{
    b->dev->rmsnorm(b->dev, b->c, b->d, b->a, b->b, s.T, s.N, 1e-5f);
}

static void swiglu(bench *b, size s)
{
    b->dev->swiglu(b->dev, b->c, b->a, b->b, s.T * s.N);
}

static void swiglu_bwd(bench *b, size s)
{
    b->dev->swiglu_bwd(b->dev, b->c, b->d, b->a, b->a, b->b, s.T * s.N);
}

static void adamw(bench *b, size s)
{
    ae_adamw_step step = { 1e-4, 0.9, 0.99, 1e-8, 0.1, 1, 0.1, 0.01 };
    b->dev->adamw(b->dev, b->c, b->d, b->e, b->a, s.T * s.N, &step);
}

static void bench_small(bench *b, size s)
{
    double n = (double)(s.T * s.N);

    report(b, "rmsnorm", s, rmsnorm, 0, 8 * n);
    report(b, "swiglu", s, swiglu, 0, 12 * n);
    report(b, "swiglu_bwd", s, swiglu_bwd, 0, 28 * n);
    report(b, "adamw", s, adamw, 0, 28 * n);
}

static void run_all(bench *b)
{
    static const size products[] = {
        { 512, 768, 768, 0 },  { 512, 2048, 768, 0 }, { 512, 768, 2048, 0 }, { 2048, 128, 128, 0 },
        { 2048, 256, 256, 0 }, { 2048, 640, 256, 0 }, { 2048, 256, 640, 0 }, { 2048, 1024, 192, 0 },
        { 1, 256, 256, 0 },    { 1, 2048, 768, 0 },   { 1, 1024, 4096, 0 },  { 8, 2048, 768, 0 }
    };
    static const size attentions[] = {
        { 512, 100, 8, 32 }, { 2048, 100, 8, 32 }, { 2048, 100, 12, 64 }, { 2048, 2048, 12, 64 }
    };

    printf("%s, %d threads\n%-13s %5s %5s %5s %4s\n", b->dev->name, b->dev->n_threads, "what", "T",
           "N", "K", "d");
    for (size_t i = 0; i < AE_COUNT(products); i++) bench_linear(b, products[i]);
    for (size_t i = 0; i < AE_COUNT(attentions); i++) bench_attention(b, attentions[i]);
    bench_log_prob(b, (size){ 2048, 1152, 128, 0 });
    bench_log_prob(b, (size){ 512, 32000, 256, 0 });
    bench_small(b, (size){ 2048, 640, 0, 0 });
}

int main(int argc, char **argv)
{
    bench b = { .seconds = argc > 3 ? atof(argv[3]) : 0.5 };
    aerie_error err = { 0 };
    ae_cpu_choice choice = AE_CPU_AUTO;
    float **buffers[] = { &b.a, &b.b, &b.c, &b.d, &b.e };
    ae_rng rng;

    ae_rng_seed(&rng, 1);
    if (ae_cpu_choice_parse(&choice, argc > 1 ? argv[1] : "auto", &err) ||
        ae_device_open(&b.dev, choice, argc > 2 ? atoi(argv[2]) : 0, &err) ||
        ae_pool_open(&b.pool, b.dev->n_threads, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < AE_COUNT(buffers); i++) {
        float *p = *buffers[i] = ae_alloc(ROOM, sizeof *p);
        if (!p) return 1;
        for (int64_t j = 0; j < ROOM; j++) p[j] = 0.1f * (float)ae_rng_uniform(&rng);
    }
    run_all(&b);
    for (size_t i = 0; i < AE_COUNT(buffers); i++) ae_free(*buffers[i]);
    ae_arena_free(&b.arena);
    ae_pool_close(b.pool);
    b.dev->close(b.dev);
    return 0;
}
