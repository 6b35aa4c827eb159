/* pool.c -- a crew of threads that share out the chunks of one loop at a time.
 *
 * Who opens a loop does not wait for sleepers to wake: it works through the chunks itself and is
 * done when every chunk is. A worker that comes late must then take nothing, so the round and the
 * next chunk live in one word (`ticket`) that is taken from by compare-and-swap: a late worker
 * holds the number of an old round, and its swap fails. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/pool.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MOST_THREADS = 1024 };

static const double spin_seconds = 20e-6;

typedef struct {
    ae_pool *pool;
    pthread_t thread;
    int index;
} pool_worker;

struct ae_pool {
    int n_workers; /* the caller, worker 0, included */
    int n_started; /* threads to join */
    pool_worker *workers;

    /* The loop. Atomic because a late worker may look while the next loop is written. */
    _Atomic(ae_pool_fn *) fn;
    _Atomic(void *) job;
    _Atomic int64_t count, grain;
    _Atomic uint32_t n_chunks;

    _Atomic uint64_t ticket; /* round << 32 | next chunk; an odd round is being written */
    _Atomic uint32_t n_done; /* chunks finished in this round */
    atomic_bool stop;

    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    atomic_int n_sleeping;
    atomic_bool caller_sleeps;
};

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t round_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

/* Takes chunks of this round until there are none; says how the round stood. */
static void work(ae_pool *pool, uint32_t round, int worker)
{
    for (;;) {
        uint64_t ticket = atomic_load(&pool->ticket);
        ae_pool_fn *fn = atomic_load(&pool->fn);
        void *job = atomic_load(&pool->job);
        int64_t count = atomic_load(&pool->count), grain = atomic_load(&pool->grain);
        uint32_t n_chunks = atomic_load(&pool->n_chunks), chunk = (uint32_t)ticket;
        int64_t begin, end;

        if (round_of(ticket) != round || chunk >= n_chunks) return;
        /* Succeeds only if the round did not change meanwhile: then all that was read is its. */
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket + 1)) continue;
        begin = chunk * grain;
        end = count - begin < grain ? count : begin + grain;
        fn(job, begin, end, worker);
        if (atomic_fetch_add(&pool->n_done, 1) + 1 != n_chunks) continue;
        if (!atomic_load(&pool->caller_sleeps)) continue;
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->lock);
    }
}

static bool has_news(ae_pool *pool, uint32_t seen)
{
    uint32_t round = round_of(atomic_load(&pool->ticket));

    return (round != seen && round % 2 == 0) || atomic_load(&pool->stop);
}

static void wait_for_round(ae_pool *pool, uint32_t seen)
{
    double until = ae_clock_seconds() + spin_seconds;

    do {
        for (int i = 0; i < 16; i++) {
            if (has_news(pool, seen)) return;
            pause_briefly();
        }
    } while (ae_clock_seconds() < until);
    pthread_mutex_lock(&pool->lock);
    /* Counted before the last look: who opens a round looks at the count after it. */
    atomic_fetch_add(&pool->n_sleeping, 1);
    while (!has_news(pool, seen)) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    pool_worker *self = argument;
    ae_pool *pool = self->pool;
    uint32_t seen = 0;

    for (;;) {
        wait_for_round(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        seen = round_of(atomic_load(&pool->ticket));
        work(pool, seen, self->index);
    }
}

static void wake_sleepers(ae_pool *pool)
{
    if (!atomic_load(&pool->n_sleeping)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_chunks(ae_pool *pool, uint32_t n_chunks)
{
    double until = ae_clock_seconds() + spin_seconds;

    do {
        for (int i = 0; i < 16; i++) {
            if (atomic_load(&pool->n_done) == n_chunks) return;
            pause_briefly();
        }
    } while (ae_clock_seconds() < until);
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->n_done) != n_chunks) pthread_cond_wait(&pool->finished, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

static void run_alone(int64_t count, int64_t grain, ae_pool_fn *fn, void *job)
{
    for (int64_t begin = 0; begin < count; begin += grain) {
        int64_t left = count - begin;
        fn(job, begin, left < grain ? count : begin + grain, 0);
        if (left <= grain) return;
    }
}

void ae_pool_run(ae_pool *pool, int64_t count, int64_t grain, ae_pool_fn *fn, void *job)
{
    uint32_t round, n_chunks;

    if (count <= 0) return;
    if (grain < 1) grain = 1;
    if (pool->n_workers == 1 || count <= grain) {
        run_alone(count, grain, fn, job);
        return;
    }
    while ((count - 1) / grain >= INT32_MAX) grain *= 2;
    n_chunks = (uint32_t)((count - 1) / grain + 1);
    round = round_of(atomic_load(&pool->ticket)) + 1;
    atomic_store(&pool->ticket, (uint64_t)round << 32 | UINT32_MAX); /* no chunk to take */
    atomic_store(&pool->fn, fn);
    atomic_store(&pool->job, job);
    atomic_store(&pool->count, count);
    atomic_store(&pool->grain, grain);
    atomic_store(&pool->n_chunks, n_chunks);
    atomic_store(&pool->n_done, 0);
    round++;
    atomic_store(&pool->ticket, (uint64_t)round << 32);
    wake_sleepers(pool);
    work(pool, round, 0);
    wait_for_chunks(pool, n_chunks);
}

/* Processors that a container's quota pays for, from "max 100000" or "200000 100000"; 0: no quota.
 */
static int quota_processors(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    double quota = 0.0, period = 0.0;

    if (!file) return 0;
    if (fscanf(file, "%lf %lf", &quota, &period) != 2 || period <= 0.0) quota = 0.0;
    fclose(file);
    return quota > 0.0 && quota / period < MOST_THREADS ? (int)(quota / period + 0.999) : 0;
}

static int usable_processors(void)
{
    cpu_set_t set;
    int n = 1, quota = quota_processors();

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    if (quota && quota < n) n = quota;
    return n < 1 ? 1 : n;
}

/* Signals belong to the program's own threads: a worker takes none. */
static bool start_workers(ae_pool *pool)
{
    sigset_t all, before;
    bool ok = true;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; ok && i < pool->n_workers; i++) {
        pool_worker *worker = &pool->workers[i];
        *worker = (pool_worker){ .pool = pool, .index = i };
        ok = pthread_create(&worker->thread, NULL, worker_main, worker) == 0;
        if (ok) pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

aerie_status ae_pool_open(ae_pool **out, int n_threads, aerie_error *err)
{
    ae_pool *pool;

    *out = NULL;
    if (n_threads < 0 || n_threads > MOST_THREADS)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%d threads: choose 0 (all) to %d", n_threads,
                          MOST_THREADS);
    if (!n_threads) n_threads = usable_processors();
    pool = ae_alloc(1, sizeof *pool);
    if (!pool) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for the thread pool");
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->n_workers = n_threads;
    pool->workers = ae_alloc((size_t)n_threads, sizeof *pool->workers);
    if (!pool->workers || !start_workers(pool)) {
        ae_pool_close(pool);
        return aerie_fail(err, AERIE_NO_MEMORY, "%d threads cannot be started", n_threads);
    }
    *out = pool;
    return AERIE_OK;
}

void ae_pool_close(ae_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i <= pool->n_started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    ae_free(pool->workers);
    ae_free(pool);
}

int ae_pool_size(const ae_pool *pool)
{
    return pool->n_workers;
}
