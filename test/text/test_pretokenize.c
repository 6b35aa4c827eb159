/* test_pretokenize.c -- the hand-written scanners against the regular expressions they stand for.
 */
#include "text/pretokenize.h"

#include "text/random_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 1, TEXTS = 20000 };

static void note_end(void *user, size_t begin, size_t end)
{
    ae_ids *ends = user;
    size_t before = ends->len ? (size_t)ends->data[ends->len - 1] : 0;

    assert_int_equal(begin, before);
    assert_true(end > begin);
    ae_ids_add(ends, (int32_t)end);
}

static void check_text(const ae_pretokenizer *scanner, const ae_pretokenizer *pattern, ae_span text)
{
    ae_ids scanned = { 0 }, matched = { 0 };

    assert_int_equal(ae_pretokenize(scanner, text, note_end, &scanned, NULL), AERIE_OK);
    assert_int_equal(ae_pretokenize(pattern, text, note_end, &matched, NULL), AERIE_OK);
    if (scanned.len != matched.len ||
        (scanned.len && memcmp(scanned.data, matched.data, scanned.len * sizeof(int32_t)) != 0))
        fail_msg("cut otherwise: %.*s", (int)text.len, text.data);
    if (text.len > 0) assert_int_equal(scanned.data[scanned.len - 1], text.len);
    ae_ids_free(&scanned);
    ae_ids_free(&matched);
}

/* Both cut every text in the same places. */
static void scanners_are_their_patterns(void **state)
{
    static const char *const names[] = { "gpt-2", "llama-bpe", "qwen2", "smollm" };
    ae_bytes text = { 0 };

    (void)state;
    printf("seed %d\n", SEED);
    for (size_t i = 0; i < AE_COUNT(names); i++) {
        ae_pretokenizer scanner, pattern = { 0 };
        int32_t n;
        const char *const *patterns = ae_pre_patterns(names[i], &n);
        ae_rng rng;

        assert_int_equal(ae_pretokenizer_new(&scanner, patterns, n, NULL), AERIE_OK);
        for (int32_t k = 0; k < n; k++) {
            assert_non_null(scanner.steps[k].scan);
            assert_int_equal(
                ae_pre_pattern_new(&pattern.steps[pattern.n_steps++].pattern, patterns[k], NULL),
                AERIE_OK);
        }
        ae_rng_seed(&rng, SEED);
        for (int k = 0; k < TEXTS; k++) {
            random_text(&text, &rng, 30);
            check_text(&scanner, &pattern, ae_span_of(&text));
        }
        ae_pretokenizer_free(&scanner);
        ae_pretokenizer_free(&pattern);
    }
    ae_bytes_free(&text);
}

/* Whatever the bytes, the words are the whole text, and the cost stays in proportion. */
static void any_bytes_are_cut(void **state)
{
    static const char *const names[] = { "gpt-2",  "llama-bpe",      "qwen2",  "smollm",
                                         "gpt-4o", "deepseek-coder", "tekken", "default" };
    ae_bytes text = { 0 };
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, SEED);
    for (size_t i = 0; i < AE_COUNT(names); i++) {
        ae_pretokenizer p;
        int32_t n;
        const char *const *patterns = ae_pre_patterns(names[i], &n);

        assert_int_equal(ae_pretokenizer_new(&p, patterns, n, NULL), AERIE_OK);
        for (int k = 0; k < 500; k++) {
            random_bytes(&text, &rng, 60);
            check_text(&p, &p, ae_span_of(&text));
        }
        ae_bytes_clear(&text);
        for (int k = 0; k < 300000; k++) ae_bytes_add_char(&text, k < 100000 ? ' ' : 'a');
        check_text(&p, &p, ae_span_of(&text));
        ae_pretokenizer_free(&p);
    }
    ae_bytes_free(&text);
}

static void names_and_patterns_belong_together(void **state)
{
    int32_t n;
    const char *const *patterns = ae_pre_patterns("smollm", &n);

    (void)state;
    assert_string_equal(ae_pre_name(patterns, n), "smollm");
    assert_null(ae_pre_name(patterns, 1));
    assert_null(ae_pre_patterns("no such", &n));
    assert_string_equal(ae_pre_nearest("qwen3"), "qwen2");
}

static void a_bad_pattern_is_refused(void **state)
{
    static const char *const patterns[] = { "a(b" };
    ae_pretokenizer p;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_pretokenizer_new(&p, patterns, 1, &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "a(b"));
    ae_pretokenizer_free(&p);
}

/* A pattern that tries every way to match gives up with a sentence, soon. */
static void a_costly_pattern_gives_up(void **state)
{
    static const char *const patterns[] = { "(a+)+$|b" };
    ae_pretokenizer p;
    aerie_error err = { 0 };
    ae_ids ends = { 0 };
    ae_span text = ae_span_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac");

    (void)state;
    assert_int_equal(ae_pretokenizer_new(&p, patterns, 1, &err), AERIE_OK);
    assert_int_equal(ae_pretokenize(&p, text, note_end, &ends, &err), AERIE_BAD_TEXT);
    assert_non_null(strstr(err.message, "gave up"));
    ae_pretokenizer_free(&p);
    ae_ids_free(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scanners_are_their_patterns),
        cmocka_unit_test(any_bytes_are_cut),
        cmocka_unit_test(names_and_patterns_belong_together),
        cmocka_unit_test(a_bad_pattern_is_refused),
        cmocka_unit_test(a_costly_pattern_gives_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
