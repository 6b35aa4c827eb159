/* bench_pool.c -- what it costs to hand out a loop, and what is left of it on a busy machine.
 *
 *   bench_pool [threads] [busy neighbours]
 *
 * Every line is the best and the median of many rounds, in microseconds a loop. `gap` is what the
 * caller does alone between two loops. Neighbours are threads of this program that never rest. */
#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 41 };

typedef struct {
    int64_t spins; /* of each index */
    uint64_t *sums;
} job;

static uint64_t spin(int64_t n)
{
    uint64_t x = 1;
    for (int64_t i = 0; i < n; i++) x = ae_mix64(x);
    return x;
}

static void body(void *data, int64_t begin, int64_t end, int worker)
{
    job *j = data;
    for (int64_t i = begin; i < end; i++) j->sums[16 * worker] += spin(j->spins);
}

static atomic_bool over;

static void *neighbour(void *unused)
{
    (void)unused;
    while (!atomic_load(&over)) spin(1000);
    return NULL;
}

static int by_value(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* spins_a_us: turns of spin() in a microsecond. */
static void measure(ae_pool *pool, double spins_a_us, int64_t chunks, double chunk_us,
                    double gap_us)
{
    static uint64_t sums[16 * 1024];
    double total_us = gap_us + (double)chunks * chunk_us;
    int loops = total_us > 10 ? (int)(4000 / total_us) + 1 : 1000;
    job j = { (int64_t)(chunk_us * spins_a_us), sums };
    double times[ROUNDS], best_us = gap_us + chunk_us * (double)chunks / ae_pool_size(pool);
    for (int r = 0; r < ROUNDS; r++) {
        double start = ae_clock_seconds();
        for (int i = 0; i < loops; i++) {
            sums[0] += spin((int64_t)(gap_us * spins_a_us));
            ae_pool_run(pool, chunks, 1, body, &j);
        }
        times[r] = (ae_clock_seconds() - start) / loops * 1e6;
    }
    qsort(times, ROUNDS, sizeof *times, by_value);
    printf("%6lld chunks of %7.1f us, gap %7.1f us: ideal %8.2f us, best %8.2f, median %8.2f\n",
           (long long)chunks, chunk_us, gap_us, best_us, times[0], times[ROUNDS / 2]);
}

static double spins_in_a_microsecond(void)
{
    double best = 0;
    for (int i = 0; i < 50; i++) {
        double start = ae_clock_seconds();
        uint64_t x = spin(100000);
        double rate = 0.1 / (ae_clock_seconds() - start);
        if (x && rate > best) best = rate;
    }
    return best;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 0, neighbours = argc > 2 ? atoi(argv[2]) : 0;
    pthread_t ids[64];
    ae_pool *pool;
    aerie_error err = { 0 };
    if (neighbours > 64 || ae_pool_open(&pool, threads, &err)) {
        fprintf(stderr, "bench_pool: %s\n", err.message);
        return 1;
    }
    double rate = spins_in_a_microsecond();
    for (int i = 0; i < neighbours; i++) pthread_create(&ids[i], NULL, neighbour, NULL);
    printf("%d threads, %d busy neighbours\n", ae_pool_size(pool), neighbours);
    measure(pool, rate, ae_pool_size(pool), 0, 0);
    measure(pool, rate, 8 * ae_pool_size(pool), 0, 0);
    measure(pool, rate, 64 * ae_pool_size(pool), 0, 0);
    measure(pool, rate, ae_pool_size(pool), 10, 0);
    measure(pool, rate, 16 * ae_pool_size(pool), 10, 0);
    measure(pool, rate, 16 * ae_pool_size(pool), 10, 5);
    measure(pool, rate, 8 * ae_pool_size(pool), 5, 50);
    measure(pool, rate, 8 * ae_pool_size(pool), 5, 500);
    measure(pool, rate, 8 * ae_pool_size(pool), 5, 3000);
    atomic_store(&over, true);
    for (int i = 0; i < neighbours; i++) pthread_join(ids[i], NULL);
    ae_pool_close(pool);
    return 0;
}
