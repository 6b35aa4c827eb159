/* pool.c -- a crew of threads that share out the chunks of one loop at a time.
 *
 * Who opens a loop does not wait for sleepers to wake: it works through the chunks itself and is
 * done when every chunk is. A worker that comes late must then take nothing, or work for the loop
 * that is open now: the number of the round and the chunks that are left live in one word, and who
 * takes one off that word learns both. While somebody holds a chunk its round cannot end, so what
 * describes the loop need not be atomic. */
#define _GNU_SOURCE /* pthread_setaffinity_np, RUSAGE_THREAD */
#include "base/pool.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/processors.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

enum { MOST_THREADS = 1024, CACHE_LINE = 64 };

/* How long to wait awake: longer than what lies between two loops of a decoding pass (sampling,
 * printing), short enough that an idle server is idle. */
static const double awake_seconds = 2e-3;
/* Where others want the processors, waiting awake wastes this process's share of them, and who has
 * slept is let in at once when it wakes. So a thread that was made to give way keeps its waits
 * short for a while. (sched_yield() in place of sleeping was tried: with two busy neighbours on two
 * processors, loops of 160 us took 940 us in place of 470.) */
static const double crowded_awake_seconds = 20e-6, crowded_for_seconds = 0.1;
enum { TURNS = 32 };

typedef struct {
    ae_pool *pool;
    pthread_t thread;
    int index;
    long times_displaced; /* how often it had to give way to others, when last looked at */
    double crowded_until;
} pool_worker;

struct ae_pool {
    int n_workers; /* the caller, worker 0, included */
    int n_started; /* threads to join */
    bool rests;
    pool_worker *workers;
    bool is_pinned;
    pthread_t opener;        /* who was pinned along with the crew */
    cpu_set_t opener_before; /* where it could run */

    /* The loop, on one cache line: who takes a chunk reads it next. */
    alignas(CACHE_LINE) _Atomic uint64_t ticket; /* round << 32 | NONE_LEFT + chunks left */
    ae_pool_fn *fn;
    void *job;
    int64_t count, grain;
    uint32_t n_chunks;

    alignas(CACHE_LINE) _Atomic uint32_t n_done; /* chunks finished in this round */
    atomic_bool caller_sleeps;

    alignas(CACHE_LINE) atomic_int n_sleeping;
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
};

/* Taking a chunk where none is left goes below this; it takes 2^31 such tries in one round, and
 * there is one a worker, until it would reach the round's number. */
#define NONE_LEFT 0x80000000u

static uint32_t round_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

static uint64_t ticket_of(uint32_t round, uint32_t chunks_left)
{
    return (uint64_t)round << 32 | (NONE_LEFT + chunks_left);
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void run_chunk(const ae_pool *pool, uint32_t chunk, int worker)
{
    int64_t begin = chunk * pool->grain, left = pool->count - begin;

    pool->fn(pool->job, begin, left < pool->grain ? pool->count : begin + pool->grain, worker);
}

static void tell_done(ae_pool *pool, uint32_t chunks, uint32_t n_chunks)
{
    if (atomic_fetch_add(&pool->n_done, chunks) + chunks != n_chunks) return;
    if (!atomic_load(&pool->caller_sleeps)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
}

/* Takes chunks until there are none, `done` of the open round already behind it; returns the number
 * of the round that had none. */
static uint32_t work(ae_pool *pool, uint32_t done, int worker)
{
    uint32_t n_chunks = done ? pool->n_chunks : 0;

    for (;;) {
        uint64_t ticket = atomic_fetch_sub_explicit(&pool->ticket, 1, memory_order_acq_rel);
        uint32_t left = (uint32_t)ticket;

        if (left <= NONE_LEFT) {
            if (done) tell_done(pool, done, n_chunks);
            return round_of(ticket);
        }
        n_chunks = pool->n_chunks;
        run_chunk(pool, n_chunks - (left - NONE_LEFT), worker);
        done++;
    }
}

static bool has_news(ae_pool *pool, uint32_t seen)
{
    return round_of(atomic_load_explicit(&pool->ticket, memory_order_acquire)) != seen ||
           atomic_load_explicit(&pool->stop, memory_order_acquire);
}

static bool all_done(ae_pool *pool, uint32_t n_chunks)
{
    return atomic_load_explicit(&pool->n_done, memory_order_acquire) == n_chunks;
}

/* Has this thread lately been displaced by others? */
static bool is_crowded(pool_worker *self, double now)
{
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage)) return true;
    if (usage.ru_nivcsw != self->times_displaced) self->crowded_until = now + crowded_for_seconds;
    self->times_displaced = usage.ru_nivcsw;
    return now < self->crowded_until;
}

/* Waits awake for what `happened` says; false when that took too long. */
static bool wait_awake(pool_worker *self, bool (*happened)(ae_pool *, uint32_t), uint32_t argument)
{
    double began = 0;

    for (;;) {
        for (int i = 0; i < TURNS; i++) {
            if (happened(self->pool, argument)) return true;
            pause_briefly();
        }
        double now = ae_clock_seconds();
        if (began == 0) began = now;
        if (now > began + awake_seconds) return false;
        if (now > began + crowded_awake_seconds && is_crowded(self, now)) return false;
    }
}

static void wait_for_round(pool_worker *self, uint32_t seen)
{
    ae_pool *pool = self->pool;

    if (wait_awake(self, has_news, seen)) return;
    pthread_mutex_lock(&pool->lock);
    /* Counted before the last look: who opens a round looks at the count after it. */
    atomic_fetch_add(&pool->n_sleeping, 1);
    while (round_of(atomic_load(&pool->ticket)) == seen && !atomic_load(&pool->stop))
        pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    pool_worker *self = argument;
    ae_pool *pool = self->pool;
    uint32_t seen = 0;

    for (;;) {
        wait_for_round(self, seen);
        if (atomic_load(&pool->stop)) return NULL;
        seen = work(pool, 0, self->index);
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
    if (wait_awake(&pool->workers[0], all_done, n_chunks)) return;
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
    uint32_t n_chunks;

    if (count <= 0 || pool->rests) return;
    if (grain < 1) grain = 1;
    if (pool->n_workers == 1 || count <= grain) {
        run_alone(count, grain, fn, job);
        return;
    }
    while ((count - 1) / grain >= INT32_MAX / 2) grain *= 2;
    n_chunks = (uint32_t)((count - 1) / grain + 1);
    pool->fn = fn, pool->job = job;
    pool->count = count, pool->grain = grain;
    pool->n_chunks = n_chunks;
    atomic_store_explicit(&pool->n_done, 0, memory_order_relaxed);
    uint32_t round = round_of(atomic_load_explicit(&pool->ticket, memory_order_relaxed)) + 1;
    /* The first chunk is the caller's. Sequentially consistent: see wait_for_round(). */
    atomic_store(&pool->ticket, ticket_of(round, n_chunks - 1));
    wake_sleepers(pool);
    run_chunk(pool, 0, 0);
    work(pool, 1, 0);
    wait_for_chunks(pool, n_chunks);
}

bool ae_pool_pin(ae_pool *pool)
{
    int processors[MOST_THREADS];
    cpu_set_t set;

    if (ae_processors_list(processors, MOST_THREADS) < pool->n_workers) return false;
    pool->opener = pthread_self();
    if (sched_getaffinity(0, sizeof set, &pool->opener_before)) return false;
    pool->is_pinned = true;
    for (int i = 0; i < pool->n_workers; i++) {
        CPU_ZERO(&set);
        CPU_SET(processors[i], &set);
        if (pthread_setaffinity_np(i ? pool->workers[i].thread : pthread_self(), sizeof set, &set))
            return false;
    }
    return true;
}

static void unpin_opener(const ae_pool *pool)
{
    if (pool->is_pinned && pthread_equal(pool->opener, pthread_self()))
        sched_setaffinity(0, sizeof pool->opener_before, &pool->opener_before);
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
    if (!n_threads) n_threads = ae_processors_usable();
    pool = ae_alloc(1, sizeof *pool);
    if (!pool) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for the thread pool");
    atomic_store(&pool->ticket, ticket_of(0, 0));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->n_workers = n_threads;
    pool->workers = ae_alloc((size_t)n_threads, sizeof *pool->workers);
    if (pool->workers) pool->workers[0].pool = pool;
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
    unpin_opener(pool);
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

void ae_pool_rest(ae_pool *pool, bool rest)
{
    pool->rests = rest;
}

int ae_pool_size(const ae_pool *pool)
{
    return pool->n_workers;
}
