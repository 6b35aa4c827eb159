/* test_pool.c -- every index is done exactly once, whatever the sizes and however often. */
#include "scratch.h"

#include <stdatomic.h>

typedef struct {
    atomic_int *visits;
    int64_t count, grain;
    int n_workers;
    atomic_int failures;
    atomic_int in_use[64]; /* per worker: two loop bodies of one worker at once would be wrong */
} job;

static void visit(void *data, int64_t begin, int64_t end, int worker)
{
    job *j = data;
    bool ok = begin >= 0 && begin < end && end <= j->count && begin % j->grain == 0 &&
              (end - begin == j->grain || end == j->count) && worker >= 0 && worker < j->n_workers;

    if (ok && atomic_fetch_add(&j->in_use[worker], 1)) ok = false;
    if (!ok) atomic_fetch_add(&j->failures, 1);
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&j->visits[i], 1);
    if (ok) atomic_fetch_sub(&j->in_use[worker], 1);
}

static void check_loop(ae_pool *pool, int64_t count, int64_t grain)
{
    job j = { .count = count, .grain = grain, .n_workers = ae_pool_size(pool) };

    j.visits = ae_alloc((size_t)count, sizeof *j.visits);
    ae_pool_run(pool, count, grain, visit, &j);
    assert_int_equal(atomic_load(&j.failures), 0);
    for (int64_t i = 0; i < count; i++) assert_int_equal(atomic_load(&j.visits[i]), 1);
    ae_free(j.visits);
}

static void every_index_is_done_once(void **state)
{
    static const int sizes[] = { 1, 2, 3, 8 };
    static const int64_t counts[] = { 0, 1, 2, 3, 7, 64, 1000, 4097 },
                         grains[] = { 1, 2, 5, 64, 5000 };

    (void)state;
    for (size_t s = 0; s < AE_COUNT(sizes); s++) {
        ae_pool *pool;
        assert_int_equal(ae_pool_open(&pool, sizes[s], NULL), AERIE_OK);
        assert_int_equal(ae_pool_size(pool), sizes[s]);
        for (size_t c = 0; c < AE_COUNT(counts); c++)
            for (size_t g = 0; g < AE_COUNT(grains); g++)
                for (int again = 0; again < 5; again++) check_loop(pool, counts[c], grains[g]);
        ae_pool_close(pool);
    }
}

static void add_one(void *data, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t i = begin; i < end; i++) ((int64_t *)data)[i]++;
}

/* Loop after loop over plain memory: what one wrote the next reads. Pauses let the crew fall
 * asleep. */
static void loops_follow_each_other(void **state)
{
    enum { N = 37, LOOPS = 20000 };
    int64_t data[N] = { 0 };
    ae_pool *pool;

    (void)state;
    assert_int_equal(ae_pool_open(&pool, 3, NULL), AERIE_OK);
    for (int i = 0; i < LOOPS; i++) {
        ae_pool_run(pool, N, 1 + i % 5, add_one, data);
        if (i % 1000 == 0) usleep(1000);
    }
    for (int i = 0; i < N; i++) assert_int_equal(data[i], LOOPS);
    ae_pool_close(pool);
}

typedef struct {
    atomic_int by_worker[8];
} shares;

static void nap(void *data, int64_t begin, int64_t end, int worker)
{
    shares *s = data;

    for (int64_t i = begin; i < end; i++) usleep(500);
    atomic_fetch_add(&s->by_worker[worker], 1);
}

/* Loops of few chunks right behind each other, now and then after a sleep: late workers meet a loop
 * that is over, being written, or the next one, whose size is another. */
static void late_workers_do_no_harm(void **state)
{
    enum { LOOPS = 30000 };
    int64_t data[64] = { 0 }, expected[64] = { 0 };
    ae_pool *pool;

    (void)state;
    assert_int_equal(ae_pool_open(&pool, 4, NULL), AERIE_OK);
    for (int i = 0; i < LOOPS; i++) {
        int64_t count = 1 + (int64_t)(ae_mix64((uint64_t)i) % 64);
        ae_pool_run(pool, count, 1 + count / (2 + i % 5), add_one, data);
        for (int64_t k = 0; k < count; k++) expected[k]++;
        if (i % 3000 == 0) usleep(5000); /* longer than the crew keeps awake */
    }
    assert_memory_equal(data, expected, sizeof data);
    ae_pool_close(pool);
}

/* Pinned or not (a container may forbid it, or have too few processors), the loop is done. */
static void a_pinned_crew_works(void **state)
{
    ae_pool *pool;

    (void)state;
    assert_int_equal(ae_pool_open(&pool, 0, NULL), AERIE_OK);
    int before = ae_pool_size(pool);
    bool pinned = ae_pool_pin(pool);
    for (int i = 0; i < 100; i++) check_loop(pool, 1000, 7);
    ae_pool_close(pool);
    /* The caller may run where it could before. */
    assert_int_equal(ae_pool_open(&pool, 0, NULL), AERIE_OK);
    assert_int_equal(ae_pool_size(pool), before);
    ae_pool_close(pool);
    if (!pinned) printf("the crew could not be pinned here\n");
}

/* Sooner or later each of the crew wakes and takes a chunk, however often it fell asleep. */
static void the_whole_crew_works(void **state)
{
    ae_pool *pool;

    (void)state;
    assert_int_equal(ae_pool_open(&pool, 4, NULL), AERIE_OK);
    for (int round = 0; round < 3; round++) {
        shares s = { 0 };
        int idle = 4, tries = 0;
        usleep(20000);
        while (idle && tries++ < 500) {
            ae_pool_run(pool, 16, 1, nap, &s);
            idle = 0;
            for (int w = 0; w < 4; w++) idle += !atomic_load(&s.by_worker[w]);
        }
        assert_int_equal(idle, 0);
        /* Now that all are awake: many takers for many small chunks. */
        check_loop(pool, 300000, 1);
    }
    ae_pool_close(pool);
}

static void opening_checks_its_argument(void **state)
{
    aerie_error err = { 0 };
    ae_pool *pool;

    (void)state;
    assert_int_equal(ae_pool_open(&pool, -1, &err), AERIE_BAD_ARGUMENT);
    assert_null(pool);
    assert_int_equal(ae_pool_open(&pool, 100000, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_pool_open(&pool, 0, NULL), AERIE_OK);
    assert_true(ae_pool_size(pool) >= 1);
    ae_pool_close(pool);
    ae_pool_close(NULL);
    for (long n = 1; n <= 2; n++) {
        ae_alloc_fail_at(n);
        assert_int_equal(ae_pool_open(&pool, 2, NULL), AERIE_NO_MEMORY);
        assert_null(pool);
    }
    ae_alloc_fail_at(0);
    assert_int_equal(ae_alloc_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_is_done_once),
        cmocka_unit_test(loops_follow_each_other),
        cmocka_unit_test(late_workers_do_no_harm),
        cmocka_unit_test(a_pinned_crew_works),
        cmocka_unit_test(the_whole_crew_works),
        cmocka_unit_test(opening_checks_its_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
