/* test_memory.c -- blocks, arenas, growing bytes, nearest words. */
#include "scratch.h"

static void blocks_are_aligned_zeroed_and_counted(void **state)
{
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 4096, 262143, 262144, 262145, 3000001 };
    size_t before = ae_alloc_bytes();

    (void)state;
    for (size_t i = 0; i < AE_COUNT(sizes); i++) {
        uint8_t *block = ae_alloc(sizes[i], 1);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(block[b], 0);
        memset(block, 0xff, sizes[i]);
        assert_int_equal(ae_alloc_bytes() - before, sizes[i]);
        assert_true(ae_alloc_peak_bytes() >= ae_alloc_bytes());
        ae_free(block);
        assert_int_equal(ae_alloc_bytes(), before);
    }
}

static void pages_are_zeroed_and_counted(void **state)
{
    static const size_t sizes[] = { 0, 1, 4096, 65537, 5 << 20 };
    size_t before = ae_alloc_bytes();

    (void)state;
    for (size_t i = 0; i < AE_COUNT(sizes); i++) {
        uint8_t *pages = ae_pages_take(sizes[i]);
        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % 4096, 0);
        if (sizes[i]) ae_pages_touch(pages + sizes[i] / 3, sizes[i] / 2);
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(pages[b], 0);
        memset(pages, 0xff, sizes[i]);
        ae_pages_touch(pages, sizes[i]);
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(pages[b], 0xff);
        assert_true(ae_alloc_bytes() - before >= sizes[i]);
        assert_true(ae_alloc_bytes() - before < sizes[i] + 65537);
        ae_pages_free(pages, sizes[i]);
        assert_int_equal(ae_alloc_bytes(), before);
    }
    assert_null(ae_pages_take(SIZE_MAX));
    assert_null(ae_pages_take(SIZE_MAX / 2));
    ae_pages_free(NULL, 5);
    ae_alloc_fail_at(1);
    assert_null(ae_pages_take(1));
    assert_true(ae_alloc_has_failed());
    ae_alloc_fail_at(0);
    assert_int_equal(ae_alloc_bytes(), before);
}

/* Rounds of any sizes in any order cost what the largest takes, once it has been. */
static void an_arena_costs_its_largest_round(void **state)
{
    static const size_t rounds[] = { 300, 700000, 20, 3000000, 3000000, 65536, 2999999 };
    ae_arena arena = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(rounds); i++) {
        for (int part = 0; part < 5; part++) {
            char *taken = ae_arena_take(&arena, rounds[i] / 5 + (size_t)part, 1);
            assert_non_null(taken);
            for (size_t b = 0; b < rounds[i] / 5; b += 97) assert_int_equal(taken[b], 0);
            memset(taken, 0xff, rounds[i] / 5);
        }
        ae_arena_reset_all(&arena);
        assert_int_equal(arena.used, 0);
    }
    assert_true(arena.touched_peak == arena.peak && arena.touched <= arena.peak);
    ae_arena_free(&arena);
}

static void what_is_left_of_memory_is_told(void **state)
{
    ae_memory_room before = ae_memory_left(), after;
    uint64_t resident = ae_memory_resident();
    size_t bytes = 64 << 20;
    char *pages = ae_pages_take(bytes);

    (void)state;
    assert_non_null(pages);
    assert_true(before.resident > 0 && resident > 0);
    assert_true(ae_memory_resident() < resident + bytes / 2);
    memset(pages, 1, bytes);
    assert_true(ae_memory_resident() >= resident + bytes / 10 * 9);
    after = ae_memory_left();
    assert_true(after.address == UINT64_MAX || after.address < before.address);
    ae_pages_free(pages, bytes);
    assert_true(ae_memory_resident() < resident + bytes / 2);
}

static void sizes_that_wrap_are_refused(void **state)
{
    size_t out;

    (void)state;
    assert_null(ae_alloc(SIZE_MAX, 2));
    assert_null(ae_alloc(SIZE_MAX, 1));
    assert_null(ae_alloc(SIZE_MAX - 100, 1));
    assert_null(ae_alloc((size_t)1 << 33, (size_t)1 << 31));
    assert_false(ae_add_size(&out, SIZE_MAX, 1));
    assert_false(ae_mul_size(&out, SIZE_MAX / 2, 3));
    assert_true(ae_mul_size(&out, SIZE_MAX / 2, 2) && out == SIZE_MAX - 1);
}

static void realloc_keeps_the_old_and_zeroes_the_new(void **state)
{
    uint32_t *block = NULL;
    size_t count = 0;

    (void)state;
    for (size_t next = 1; next < 300000; next = next * 3 + 1) {
        block = ae_realloc(block, count, next, sizeof *block);
        assert_non_null(block);
        for (size_t i = 0; i < count; i++) assert_int_equal(block[i], i + 1);
        for (size_t i = count; i < next; i++) assert_int_equal(block[i], 0);
        for (size_t i = count; i < next; i++) block[i] = (uint32_t)i + 1;
        count = next;
    }
    block = ae_realloc(block, count, 5, sizeof *block);
    for (size_t i = 0; i < 5; i++) assert_int_equal(block[i], i + 1);
    assert_null(ae_realloc(block, 5, SIZE_MAX / 2, sizeof *block));
    assert_int_equal(block[4], 5);
    ae_free(block);
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    for (long n = 1; n <= 5; n++) {
        ae_alloc_fail_at(n);
        for (long i = 1; i <= 7; i++) {
            void *block = ae_alloc(1, 8);
            assert_int_equal(block == NULL, i == n);
            assert_int_equal(ae_alloc_has_failed(), i >= n);
            ae_free(block);
        }
    }
    ae_alloc_fail_at(0);
    assert_false(ae_alloc_has_failed());
}

/* Takes blocks of random sizes, fills each with its number, and looks whether any was disturbed. */
static void arena_blocks_do_not_overlap(void **state)
{
    enum { N = 400 };
    static unsigned char *taken[N];
    static size_t sizes[N];
    ae_arena arena = { 0 };
    ae_rng rng;

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        ae_rng_seed(&rng, seed);
        for (size_t i = 0; i < N; i++) {
            sizes[i] = (size_t)ae_rng_below(&rng, i % 50 ? 3000 : 200000);
            taken[i] = ae_arena_take(&arena, sizes[i], 1);
            assert_non_null(taken[i]);
            assert_int_equal((uintptr_t)taken[i] % 64, 0);
            for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(taken[i][b], 0);
            memset(taken[i], (int)(i % 251) + 1, sizes[i]);
        }
        for (size_t i = 0; i < N; i++)
            for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(taken[i][b], i % 251 + 1);
        ae_arena_reset_all(&arena);
        assert_int_equal(arena.used, 0);
    }
    ae_arena_free(&arena);
    assert_int_equal(ae_alloc_bytes(), 0);
}

static void arena_reset_gives_the_same_memory_again(void **state)
{
    ae_arena arena = { 0 };
    void *kept, *first[40];
    ae_arena_mark mark;
    size_t held;

    (void)state;
    kept = ae_arena_take(&arena, 100, 1);
    memset(kept, 7, 100);
    mark = ae_arena_here(&arena);
    for (size_t i = 0; i < 40; i++) first[i] = ae_arena_take_raw(&arena, 10000 * (i + 1), 1);
    held = ae_alloc_bytes();
    for (int round = 0; round < 3; round++) {
        ae_arena_reset(&arena, mark);
        assert_int_equal(arena.used, mark.used);
        for (size_t i = 0; i < 40; i++) {
            char *again = ae_arena_take(&arena, 10000 * (i + 1), 1);
            assert_ptr_equal(again, first[i]);
            assert_int_equal(again[9999], 0);
            memset(again, 0xee, 10000 * (i + 1));
        }
        assert_int_equal(ae_alloc_bytes(), held);
    }
    assert_int_equal(((char *)kept)[99], 7);
    ae_arena_free(&arena);
}

static void arena_keeps_its_limit(void **state)
{
    ae_arena arena = { .limit = 1000 };

    (void)state;
    assert_non_null(ae_arena_take(&arena, 500, 1));
    assert_null(ae_arena_take(&arena, 500, 1));
    assert_non_null(ae_arena_take(&arena, 400, 1));
    assert_null(ae_arena_take(&arena, SIZE_MAX, 1));
    assert_null(ae_arena_take(&arena, SIZE_MAX / 2, 3));
    ae_arena_free(&arena);
    assert_int_equal(arena.limit, 1000);
}

static void bytes_grow_and_fail_softly(void **state)
{
    ae_bytes b = { 0 };
    aerie_error err = { 0 };

    (void)state;
    for (int i = 0; i < 1000; i++) ae_bytes_printf(&b, "%d,", i);
    ae_bytes_add_text(&b, "end");
    ae_bytes_add_char(&b, '.');
    assert_int_equal(ae_bytes_status(&b, &err), AERIE_OK);
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4 + 4);
    assert_string_equal(b.data + b.len - 9, ",999,end.");
    assert_false(ae_bytes_reserve(&b, SIZE_MAX - 3));
    ae_bytes_add_text(&b, "lost");
    assert_string_equal(b.data + b.len - 4, "end.");
    assert_int_equal(ae_bytes_status(&b, &err), AERIE_NO_MEMORY);
    ae_bytes_free(&b);
    ae_bytes_add(&b, NULL, 0);
    assert_string_equal(b.data, "");
    ae_bytes_free(&b);
}

static void ids_grow(void **state)
{
    ae_ids ids = { 0 };
    int32_t more[] = { -1, -2, -3 };

    (void)state;
    for (int32_t i = 0; i < 1000; i++) ae_ids_add(&ids, i);
    ae_ids_add_all(&ids, more, 3);
    assert_int_equal(ids.len, 1003);
    for (int32_t i = 0; i < 1000; i++) assert_int_equal(ids.data[i], i);
    assert_int_equal(ids.data[1002], -3);
    assert_int_equal(ae_ids_status(&ids, NULL), AERIE_OK);
    ae_alloc_fail_at(1);
    ae_ids_free(&ids);
    ae_ids_add(&ids, 1);
    ae_alloc_fail_at(0);
    assert_int_equal(ae_ids_status(&ids, NULL), AERIE_NO_MEMORY);
}

static void nearest_finds_slips_and_only_slips(void **state)
{
    static const char *const keys[] = { "learning_rate", "beta",   "batch_tokens",
                                        "epochs",        "method", "dpo" };
    static const struct {
        const char *word, *nearest;
    } cases[] = { { "lerning_rate", "learning_rate" },
                  { "learning-rate", "learning_rate" },
                  { "epoch", "epochs" },
                  { "mehtod", "method" },
                  { "beat", "beta" },
                  { "beta", "beta" },
                  { "dop", "dpo" },
                  { "qqqqqqq", NULL },
                  { "", NULL },
                  { "x", NULL } };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        const char *found = ae_nearest(cases[i].word, keys, AE_COUNT(keys));
        if (!cases[i].nearest)
            assert_null(found);
        else
            assert_string_equal(found ? found : "(none)", cases[i].nearest);
    }
}

static void the_first_failure_is_kept(void **state)
{
    aerie_error err = { 0 };
    char longer[1000];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    aerie_error_prefix(&err, "nothing");
    assert_string_equal(err.message, "");
    assert_int_equal(aerie_fail(&err, AERIE_IO, "%s", "disk"), AERIE_IO);
    assert_int_equal(aerie_fail(&err, AERIE_BAD_FILE, "later"), AERIE_BAD_FILE);
    aerie_error_prefix(&err, "line %d", 7);
    assert_string_equal(err.message, "line 7: disk");
    assert_int_equal(err.status, AERIE_IO);
    aerie_error_prefix(&err, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(aerie_fail(NULL, AERIE_IO, "nobody listens"), AERIE_IO);
    for (int s = AERIE_OK; s <= AERIE_BAD_SHAPE; s++)
        assert_string_not_equal(aerie_status_name((aerie_status)s), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_zeroed_and_counted),
        cmocka_unit_test(pages_are_zeroed_and_counted),
        cmocka_unit_test(an_arena_costs_its_largest_round),
        cmocka_unit_test(what_is_left_of_memory_is_told),
        cmocka_unit_test(sizes_that_wrap_are_refused),
        cmocka_unit_test(realloc_keeps_the_old_and_zeroes_the_new),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(arena_blocks_do_not_overlap),
        cmocka_unit_test(arena_reset_gives_the_same_memory_again),
        cmocka_unit_test(arena_keeps_its_limit),
        cmocka_unit_test(bytes_grow_and_fail_softly),
        cmocka_unit_test(ids_grow),
        cmocka_unit_test(nearest_finds_slips_and_only_slips),
        cmocka_unit_test(the_first_failure_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
