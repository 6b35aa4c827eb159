/* bench_cache.c -- attention over a key/value cache: decoding beside the bandwidth of memory, a
 * prompt beside the peak of multiply-adds, both measured in the same moments.
 *
 *   bench_cache [auto|ref|avx2|avx512|neon] [threads] [rounds per line]
 *
 * Several layers take turns, so that a cache comes from memory, not from the processor's caches.
 * The best round counts. */
#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_LAYERS = 64, MOST_PAGES = 512 };

typedef struct {
    const char *name;
    int64_t n_heads, n_kv_heads, head_dim, layers, depth, tokens, window;
    ae_dtype dtype;
} shape;

typedef struct {
    ae_device *dev;
    ae_arena arena;
    int rounds;
    void *pages[MOST_LAYERS][MOST_PAGES];
    float *q, *k, *v, *out;
} bench;

static const shape shapes[] = {
    { "125M", 12, 4, 64, 24, 4096, 1, 0, AE_F16 },
    { "125M", 12, 4, 64, 24, 4096, 1, 0, AE_Q8_0 },
    { "125M", 12, 4, 64, 24, 4096, 1, 0, AE_F32 },
    { "7B", 32, 8, 128, 6, 4096, 1, 0, AE_F16 },
    { "7B", 32, 8, 128, 6, 4096, 1, 0, AE_Q8_0 },
    { "7B, no groups", 32, 32, 128, 2, 4096, 1, 0, AE_F16 },
    { "7B, 4 guesses", 32, 8, 128, 6, 4096, 5, 0, AE_F16 },
    { "7B, window", 32, 8, 128, 6, 4096, 1, 1024, AE_F16 },
    { "SmolLM2", 9, 3, 64, 30, 100, 1, 0, AE_F16 },
    { "SmolLM2", 9, 3, 64, 30, 1000, 1, 0, AE_F16 },
    { "125M", 12, 4, 64, 2, 512, 512, 0, AE_F16 },
    { "125M", 12, 4, 64, 2, 4096, 512, 0, AE_F16 },
    { "7B", 32, 8, 128, 2, 512, 512, 0, AE_F16 },
    { "7B", 32, 8, 128, 1, 4096, 512, 0, AE_F16 },
    { "7B", 32, 8, 128, 1, 4096, 512, 0, AE_Q8_0 },
    { "7B", 32, 8, 128, 1, 4096, 512, 0, AE_F32 },
};

static float *numbers(int64_t n)
{
    float *x = ae_alloc((size_t)n, sizeof *x);
    ae_rng rng;

    ae_rng_seed(&rng, 1);
    for (int64_t i = 0; x && i < n; i++) x[i] = (float)ae_rng_uniform(&rng) - 0.5f;
    return x;
}

/* Fills the caches; false without memory. */
static bool prepare(bench *b, const shape *s)
{
    const ae_kv_shape kv = { s->dtype, s->n_kv_heads, s->head_dim };
    int64_t width = s->n_kv_heads * s->head_dim, wide = s->tokens * s->n_heads * s->head_dim;
    size_t bytes;

    if (ae_kv_page_bytes(&bytes, &kv, NULL)) return false;
    b->q = numbers(wide), b->out = numbers(wide);
    b->k = numbers(s->depth * width), b->v = numbers(s->depth * width);
    if (!b->q || !b->out || !b->k || !b->v) return false;
    for (int64_t l = 0; l < s->layers; l++) {
        for (int64_t p = 0; p * AE_KV_PAGE < s->depth; p++)
            if (!(b->pages[l][p] = ae_alloc(bytes, 1))) return false;
        const ae_cached_sequence all = { 0, s->depth, b->pages[l], s->depth };
        b->dev->kv_write(b->dev, b->k, b->v, &all, 1, &kv);
    }
    return true;
}

static void clear(bench *b)
{
    for (int l = 0; l < MOST_LAYERS; l++)
        for (int p = 0; p < MOST_PAGES; p++) {
            ae_free(b->pages[l][p]);
            b->pages[l][p] = NULL;
        }
    ae_free(b->q), ae_free(b->k), ae_free(b->v), ae_free(b->out);
}

/* With one thread processor time counts, so that other programs on the machine don't. */
static double now(const bench *b)
{
    struct timespec t;

    if (b->dev->n_threads > 1) return ae_clock_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of a layer: writing the new tokens and attention, or writing alone. */
static double run(bench *b, const shape *s, bool writing_alone)
{
    const ae_kv_shape kv = { s->dtype, s->n_kv_heads, s->head_dim };
    const ae_attention_shape attention = { .n_heads = s->n_heads,
                                           .n_kv_heads = s->n_kv_heads,
                                           .head_dim = s->head_dim,
                                           .window = s->window,
                                           .scale = 0.1f };
    double start = now(b);

    for (int64_t l = 0; l < s->layers; l++) {
        const ae_cached_sequence new_ones = { 0, s->tokens, b->pages[l], s->depth };
        b->dev->kv_write(b->dev, b->k, b->v, &new_ones, 1, &kv);
        if (!writing_alone)
            b->dev->attention_cached(b->dev, &b->arena, b->out, b->q, &new_ones, 1, &kv,
                                     &attention);
    }
    return (now(b) - start) / (double)s->layers;
}

/* Positions that the tokens see, all of them together. */
static double seen(const shape *s)
{
    double sum = 0;

    for (int64_t i = s->depth - s->tokens + 1; i <= s->depth; i++)
        sum += (double)(s->window && i > s->window ? s->window : i);
    return sum;
}

static void report(bench *b, const shape *s)
{
    double best = 1e30, write = 1e30, bandwidth = 0, peak = 0;
    double element = s->dtype == AE_F32 ? 4 : s->dtype == AE_F16 ? 2 : 1.0625;
    double held = (double)(s->window ? s->window : s->depth);
    double bytes = 2 * element * held * (double)(s->n_kv_heads * s->head_dim);
    double flops = 4 * seen(s) * (double)(s->n_heads * s->head_dim);

    for (int i = 0; i < b->rounds; i++) {
        ae_device_limits limits = { 0 };
        double t = run(b, s, false), w = run(b, s, true);
        if (t < best) best = t;
        if (w < write) write = w;
        if (i % 8 || b->dev->limits(b->dev, &b->arena, &limits)) continue;
        if (limits.read_bytes > bandwidth) bandwidth = limits.read_bytes;
        if (limits.float_operations > peak) peak = limits.float_operations;
    }
    printf("%-14s %4s %3lld/%-2lld %3lld %5lld %4lld  %9.1f us, %7.1f writing", s->name,
           ae_dtype_info_of(s->dtype)->name, (long long)s->n_heads, (long long)s->n_kv_heads,
           (long long)s->head_dim, (long long)s->depth, (long long)s->tokens, best * 1e6,
           write * 1e6);
    if (s->tokens < 64)
        printf("  %6.1f GB/s of %.1f (%.0f %%)\n", bytes / best * 1e-9, bandwidth * 1e-9,
               100 * bytes / best / bandwidth);
    else
        printf("  %6.1f GFLOP/s of %.1f (%.0f %%)\n", flops / best * 1e-9, peak * 1e-9,
               100 * flops / best / peak);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static bench b;
    aerie_error err = { 0 };
    ae_cpu_choice choice = AE_CPU_AUTO;

    b.rounds = argc > 3 ? atoi(argv[3]) : 20;
    if (ae_cpu_choice_parse(&choice, argc > 1 ? argv[1] : "auto", &err) ||
        ae_device_open(&b.dev, choice, argc > 2 ? atoi(argv[2]) : 0, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("%s, %d threads\n", b.dev->name, b.dev->n_threads);
    for (size_t i = 0; i < AE_COUNT(shapes); i++) {
        if (prepare(&b, &shapes[i])) report(&b, &shapes[i]);
        clear(&b);
    }
    ae_arena_free(&b.arena);
    b.dev->close(b.dev);
    return 0;
}
