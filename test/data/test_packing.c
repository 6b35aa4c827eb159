/* test_packing.c -- rows that hold whole samples, blocks cut from all of them, and their order. */
#include "data/data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int32_t row_length(const ae_packing *p, int32_t row, const int32_t *lengths)
{
    int32_t total = 0;
    for (int32_t i = p->starts[row]; i < p->starts[row + 1]; i++) total += lengths[p->items[i]];
    return total;
}

/* Every sample is in one row, no row is over-full unless a single sample is, and at most one row is
 * half empty by first fit's own bound. */
static void check_packing(const ae_packing *p, const int32_t *lengths, int32_t n, int32_t capacity)
{
    bool *seen = calloc((size_t)n + 1, sizeof *seen);
    int32_t half_empty = 0;
    assert_int_equal(p->starts[p->n_rows], n);
    for (int32_t i = 0; i < n; i++) {
        assert_false(seen[p->items[i]]);
        seen[p->items[i]] = true;
    }
    for (int32_t r = 0; r < p->n_rows; r++) {
        int32_t total = row_length(p, r, lengths);
        assert_true(total <= capacity || p->starts[r + 1] - p->starts[r] == 1);
        assert_true(p->starts[r + 1] > p->starts[r]);
        half_empty += total <= capacity / 2;
    }
    assert_true(half_empty <= 1);
    free(seen);
}

static void rows_hold_whole_samples(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        int32_t lengths[100];
        ae_rng rng;
        ae_arena arena = { 0 };
        ae_rng_seed(&rng, seed);
        int32_t n = 1 + (int32_t)ae_rng_below(&rng, 100),
                capacity = 1 + (int32_t)ae_rng_below(&rng, 300);
        for (int32_t i = 0; i < n; i++) lengths[i] = 1 + (int32_t)ae_rng_below(&rng, 120);
        for (int how = 0; how < 2; how++) {
            ae_packing p;
            assert_int_equal(ae_pack(&p, lengths, n, capacity, (ae_pack_how)how, &arena, NULL),
                             AERIE_OK);
            check_packing(&p, lengths, n, capacity);
        }
        ae_arena_free(&arena);
    }
}

/* Of equal lengths the earlier sample is placed first; a sample that is too long is alone. */
static void ties_are_broken_by_index(void **state)
{
    static const int32_t lengths[] = { 5, 5, 5, 12, 5 };
    (void)state;
    for (int how = 0; how < 2; how++) {
        ae_arena arena = { 0 };
        ae_packing p;
        assert_int_equal(ae_pack(&p, lengths, 5, 10, (ae_pack_how)how, &arena, NULL), AERIE_OK);
        static const int32_t items[] = { 3, 0, 1, 2, 4 }, starts[] = { 0, 1, 3, 5 };
        assert_int_equal(p.n_rows, 3);
        assert_memory_equal(p.items, items, sizeof items);
        assert_memory_equal(p.starts, starts, sizeof starts);
        ae_arena_free(&arena);
    }
}

/* The definition, row by row. */
static int32_t slow_row(const int32_t *room, int32_t rows, int32_t length, ae_pack_how how)
{
    int32_t best = -1;
    for (int32_t r = 0; r < rows; r++) {
        if (room[r] < length) continue;
        if (best < 0 || (how == AE_PACK_BEST_FIT && room[r] < room[best])) best = r;
    }
    return best;
}

static void fits_as_defined(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        int32_t lengths[60], room[60], n = 60, capacity = 100;
        ae_rng rng;
        ae_rng_seed(&rng, seed);
        /* All different and in order, so that there are no ties to break. */
        for (int32_t i = 0; i < n; i++) lengths[i] = 80 - i + (int32_t)ae_rng_below(&rng, 1);
        for (int how = 0; how < 2; how++) {
            ae_arena arena = { 0 };
            ae_packing p;
            int32_t rows = 0;
            assert_int_equal(ae_pack(&p, lengths, n, capacity, (ae_pack_how)how, &arena, NULL),
                             AERIE_OK);
            for (int32_t i = 0; i < n; i++) {
                int32_t r = slow_row(room, rows, lengths[i], (ae_pack_how)how);
                if (r < 0) room[r = rows++] = capacity;
                room[r] -= lengths[i];
            }
            assert_int_equal(p.n_rows, rows);
            for (int32_t r = 0; r < rows && how == 0; r++)
                assert_int_equal(row_length(&p, r, lengths), capacity - room[r]);
            ae_arena_free(&arena);
        }
    }
}

static void an_order_is_a_permutation_of_its_own_each_epoch(void **state)
{
    enum { N = 50 };
    int64_t first[N], order[N], again[N], moved = 0;
    (void)state;
    ae_epoch_order(first, N, 7, 0);
    for (int64_t epoch = 0; epoch < 4; epoch++) {
        bool seen[N] = { 0 };
        ae_epoch_order(order, N, 7, epoch);
        ae_epoch_order(again, N, 7, epoch);
        assert_memory_equal(order, again, sizeof order);
        for (int64_t i = 0; i < N; i++) {
            assert_true(order[i] >= 0 && order[i] < N && !seen[order[i]]);
            seen[order[i]] = true;
            moved += order[i] != first[i];
        }
    }
    assert_true(moved > 100); /* another order each epoch */
    ae_epoch_order(again, N, 8, 0);
    assert_memory_not_equal(again, first, sizeof first); /* and each seed */
}

static void blocks_carry_the_weights_along(void **state)
{
    int32_t one_ids[] = { 10, 11, 12 }, two_ids[] = { 20, 21, 22, 23 };
    float one[] = { 0, 1, 1 }, two[] = { 0, 0, 1, 1 };
    ae_sample items[] = { { .kind = AE_EXAMPLE_CHAT, .ids = one_ids, .weight = one, .n = 3 },
                          { .kind = AE_EXAMPLE_CHAT, .ids = two_ids, .weight = two, .n = 4 },
                          { .kind = AE_EXAMPLE_CHAT, .ids = one_ids, .weight = one, .n = 3 } };
    ae_samples in = { .items = items, .n = 3 }, out;
    static const int32_t ids[2][4] = { { 10, 11, 12, 20 }, { 21, 22, 23, 10 } };
    static const float weights[2][4] = { { 0, 1, 1, 0 }, { 0, 1, 1, 1 } };
    (void)state;
    assert_int_equal(ae_samples_wrap(&out, &in, 4, NULL), AERIE_OK);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.n_tokens, 8);
    for (int r = 0; r < 2; r++) {
        assert_memory_equal(out.items[r].ids, ids[r], sizeof ids[r]);
        assert_memory_equal(out.items[r].weight, weights[r], sizeof weights[r]);
    }
    ae_samples_free(&out);
    aerie_error err = { 0 };
    assert_int_equal(ae_samples_wrap(&out, &in, 11, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "less than one block"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_hold_whole_samples),
        cmocka_unit_test(ties_are_broken_by_index),
        cmocka_unit_test(fits_as_defined),
        cmocka_unit_test(an_order_is_a_permutation_of_its_own_each_epoch),
        cmocka_unit_test(blocks_carry_the_weights_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
