/* limits.c -- what this machine can do at best, measured: how fast all threads together read
 * memory, multiply bytes, and multiply floats. The loops do nothing else; assembly, because a
 * compiler would see that nothing comes of them. */
#include "cpu/machine.h"

#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* Past every cache, in parts that threads take as they come free. */
#define READ_BYTES ((size_t)256 << 20)
#define READ_PART  ((size_t)1 << 20)

enum { READ_ROUNDS = 12, PEAK_ROUNDS = 12, PEAK_TURNS = 20000, CHAINS = 10 };

typedef uint64_t lanes __attribute__((vector_size(16), may_alias));

typedef struct {
    const char *start;
    lanes *found; /* a worker's, so that the reads have a use */
} read_job;

/* Four streams: a processor's prefetchers follow several, and one alone does not keep a memory
 * channel busy. */
static void read_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const read_job *job = context;
    const size_t quarter = READ_PART / 4 / sizeof(lanes);
    lanes a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

    for (int64_t i = begin; i < end; i++) {
        const lanes *p = (const lanes *)(const void *)(job->start + (size_t)i * READ_PART);
        for (size_t k = 0; k < quarter; k += 4) {
            for (size_t s = 0; s < 4; s++) __builtin_prefetch(p + s * quarter + k + 128);
            a |= p[k] | p[k + 1] | p[k + 2] | p[k + 3];
            b |= p[k + quarter] | p[k + quarter + 1] | p[k + quarter + 2] | p[k + quarter + 3];
            c |= p[k + 2 * quarter] | p[k + 2 * quarter + 1] | p[k + 2 * quarter + 2] |
                 p[k + 2 * quarter + 3];
            d |= p[k + 3 * quarter] | p[k + 3 * quarter + 1] | p[k + 3 * quarter + 2] |
                 p[k + 3 * quarter + 3];
        }
    }
    job->found[4 * worker] |= a | b | c | d;
}

static double measure_reading(const ae_cpu *cpu, char *room, lanes *found)
{
    read_job job = { room, found };
    double best = 0;

    for (int i = 0; i < READ_ROUNDS; i++) {
        double start = ae_clock_seconds();
        ae_pool_run(cpu->pool, (int64_t)(READ_BYTES / READ_PART), 1, read_tasks, &job);
        double rate = (double)READ_BYTES / (ae_clock_seconds() - start);
        if (rate > best) best = rate;
    }
    return best;
}

/* One loop of CHAINS independent multiply-adds, `turns` times; returns the operations of a turn. */
typedef double peak_fn(int64_t turns);

#if defined(__x86_64__)
#define CLOBBERS                                                                                   \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm14",       \
        "xmm15", "cc"
#define CHAIN(op, r, i) op " %%" r "15,%%" r "14,%%" r #i "\n"
#define TEN_CHAINS(op, r)                                                                          \
    CHAIN(op, r, 0)                                                                                \
    CHAIN(op, r, 1) CHAIN(op, r, 2) CHAIN(op, r, 3) CHAIN(op, r, 4) CHAIN(op, r, 5)                \
        CHAIN(op, r, 6) CHAIN(op, r, 7) CHAIN(op, r, 8) CHAIN(op, r, 9)
#define ZERO_YMM "vpxor %%ymm14,%%ymm14,%%ymm14\nvpxor %%ymm15,%%ymm15,%%ymm15\n"
#define ZERO_ZMM "vpxorq %%zmm14,%%zmm14,%%zmm14\nvpxorq %%zmm15,%%zmm15,%%zmm15\n"
#define PEAK_LOOP(zero, body)                                                                      \
    __asm__ volatile(zero "1:\n" body "dec %0\njnz 1b\nvzeroupper\n" : "+r"(turns) : : CLOBBERS)

static double floats_ymm(int64_t turns)
{
    PEAK_LOOP(ZERO_YMM, TEN_CHAINS("vfmadd231ps", "ymm"));
    return CHAINS * 16;
}

static double floats_zmm(int64_t turns)
{
    PEAK_LOOP(ZERO_ZMM, TEN_CHAINS("vfmadd231ps", "zmm"));
    return CHAINS * 32;
}

static double bytes_zmm(int64_t turns)
{
    PEAK_LOOP(ZERO_ZMM, TEN_CHAINS("vpdpbusd", "zmm"));
    return CHAINS * 128;
}

static double bytes_vnni_ymm(int64_t turns)
{
    PEAK_LOOP(ZERO_YMM, TEN_CHAINS("%{vex%} vpdpbusd", "ymm"));
    return CHAINS * 64;
}

/* Three instructions for what the others do in one. */
#define MADD(i)                                                                                    \
    "vpmaddubsw %%ymm15,%%ymm14,%%ymm10\nvpmaddwd %%ymm15,%%ymm10,%%ymm10\n"                       \
    "vpaddd %%ymm10,%%ymm" #i ",%%ymm" #i "\n"

static double bytes_ymm(int64_t turns)
{
    __asm__ volatile(ZERO_YMM "1:\n" MADD(0) MADD(1) MADD(2) MADD(3) MADD(4) MADD(5) MADD(6) MADD(7)
                         MADD(8) MADD(9) "dec %0\njnz 1b\nvzeroupper\n"
                     : "+r"(turns)
                     :
                     : CLOBBERS, "xmm10");
    return CHAINS * 64;
}

static peak_fn *byte_loop(const char *name)
{
    if (strstr(name, "avx512") && __builtin_cpu_supports("avx512vnni")) return bytes_zmm;
    if (strstr(name, "avxvnni")) return bytes_vnni_ymm;
    return __builtin_cpu_supports("avx2") ? bytes_ymm : NULL;
}

static peak_fn *float_loop(const char *name)
{
    if (strstr(name, "avx512")) return floats_zmm;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? floats_ymm : NULL;
}

#elif defined(__aarch64__)
#define CHAIN(op, i, a, b) op " v" #i a ", v30" b ", v31" b "\n"
#define TEN_CHAINS(op, a, b)                                                                       \
    CHAIN(op, 0, a, b)                                                                             \
    CHAIN(op, 1, a, b) CHAIN(op, 2, a, b) CHAIN(op, 3, a, b) CHAIN(op, 4, a, b) CHAIN(op, 5, a, b) \
        CHAIN(op, 6, a, b) CHAIN(op, 7, a, b) CHAIN(op, 8, a, b) CHAIN(op, 9, a, b)
#define PEAK_LOOP(body)                                                                            \
    __asm__ volatile(".arch armv8.2-a+dotprod\nmovi v30.16b, #0\nmovi v31.16b, #0\n1:\n" body      \
                     "subs %0, %0, #1\nb.ne 1b\n"                                                  \
                     : "+r"(turns)                                                                 \
                     :                                                                             \
                     : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v30", "v31",   \
                       "cc")

static double floats_neon(int64_t turns)
{
    PEAK_LOOP(TEN_CHAINS("fmla", ".4s", ".4s"));
    return CHAINS * 8;
}

static double bytes_dot(int64_t turns)
{
    PEAK_LOOP(TEN_CHAINS("sdot", ".4s", ".16b"));
    return CHAINS * 32;
}

static peak_fn *byte_loop(const char *name)
{
    (void)name;
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? bytes_dot : NULL;
}

static peak_fn *float_loop(const char *name)
{
    (void)name;
    return floats_neon;
}

#else
static peak_fn *byte_loop(const char *name)
{
    (void)name;
    return NULL;
}
static peak_fn *float_loop(const char *name)
{
    (void)name;
    return NULL;
}
#endif

typedef struct {
    peak_fn *loop;
} peak_job;

static void peak_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t i = begin; i < end; i++) ((peak_job *)context)->loop(PEAK_TURNS);
}

static double measure_peak(const ae_cpu *cpu, peak_fn *loop)
{
    peak_job job = { loop };
    int64_t tasks = 8 * (int64_t)cpu->device.n_threads;
    double best = 0;

    if (!loop) return 0;
    double operations = loop(1) * PEAK_TURNS * (double)tasks;
    for (int i = 0; i < PEAK_ROUNDS; i++) {
        double start = ae_clock_seconds();
        ae_pool_run(cpu->pool, tasks, 1, peak_tasks, &job);
        double rate = operations / (ae_clock_seconds() - start);
        if (rate > best) best = rate;
    }
    return best;
}

aerie_status ae_cpu_limits(ae_device *dev, ae_arena *scratch, ae_device_limits *out)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    ae_arena_mark mark = ae_arena_here(scratch);
    /* The prefetch of a part's end reaches past it. */
    char *room = ae_arena_take_raw(scratch, READ_BYTES + READ_PART, 1);
    lanes *found = ae_arena_take(scratch, 4 * (size_t)dev->n_threads, sizeof *found);

    *out = (ae_device_limits){ 0 };
    if (!room || !found) {
        ae_arena_reset(scratch, mark);
        return AERIE_NO_MEMORY;
    }
    memset(room, 1, READ_BYTES + READ_PART);
    out->read_bytes = measure_reading(cpu, room, found);
    out->byte_operations = measure_peak(cpu, byte_loop(dev->name));
    out->float_operations = measure_peak(cpu, float_loop(dev->name));
    ae_arena_reset(scratch, mark);
    return AERIE_OK;
}
