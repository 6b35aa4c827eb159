/* test_numbers.c -- hashes against their published values, random draws against their laws. */
#include "scratch.h"

#include <math.h>

static void sha256_gives_the_published_digests(void **state)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    char hex[65];
    ae_sha256 s;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_sha256_start(&s);
        ae_sha256_add(&s, cases[i].text, strlen(cases[i].text));
        ae_sha256_hex(&s, hex);
        assert_string_equal(hex, cases[i].hex);
    }
    ae_sha256_start(&s);
    for (int i = 0; i < 1000; i++) {
        char block[1000];
        memset(block, 'a', sizeof block);
        ae_sha256_add(&s, block, sizeof block);
    }
    ae_sha256_hex(&s, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void check_sha512(size_t len, const char *first)
{
    char text[300], hex[17];
    uint8_t is[64];

    memset(text, 'a', sizeof text);
    ae_sha512(text, len, is);
    for (int i = 0; i < 8; i++) snprintf(hex + 2 * i, 3, "%02x", is[i]);
    if (strcmp(hex, first)) fail_msg("of %zu bytes: %s, not %s", len, hex, first);
}

static void sha512_gives_hashlibs_digests(void **state)
{
    (void)state;
    check_sha512(0, "cf83e1357eefb8bd");
    check_sha512(3, "d6f644b19812e97b");
    check_sha512(111, "fa9121c7b32b9e01");
    check_sha512(112, "c01d080efd492776");
    check_sha512(127, "828613968b501dc0");
    check_sha512(128, "b73d1929aa615934");
    check_sha512(129, "4f681e0bd53cda4b");
    check_sha512(239, "52c853cb8d907f3d");
    check_sha512(240, "4c296d90c61052a6");
    check_sha512(300, "a6a77010dd9696c2");
}

/* The digest does not depend on how the bytes were handed over, at any length around a block. */
static void sha256_does_not_see_the_split(void **state)
{
    char data[200], whole[65], split[65];
    ae_sha256 s;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
    for (size_t len = 0; len <= sizeof data; len++) {
        ae_sha256_start(&s);
        ae_sha256_add(&s, data, len);
        ae_sha256_hex(&s, whole);
        for (size_t cut = 0; cut <= len; cut += 13) {
            ae_sha256_start(&s);
            ae_sha256_add(&s, data, cut);
            ae_sha256_add(&s, data + cut, len - cut);
            ae_sha256_hex(&s, split);
            assert_string_equal(split, whole);
        }
    }
}

/* Values from the reference implementation, over bytes i * 131 + 7. */
static void hash64_gives_the_published_values(void **state)
{
    static const struct {
        size_t len;
        uint64_t seed, hash;
    } cases[] = {
#include "base/xxh64_cases.inc"
    };
    uint8_t data[256];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 131 + 7);
    assert_int_equal(ae_hash64("", 0, 0), 0xef46db3751d8e999u);
    assert_int_equal(ae_hash64("abc", 3, 0), 0x44bc2cf5ad770999u);
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        assert_int_equal(ae_hash64(data, cases[i].len, cases[i].seed), cases[i].hash);
}

/* First outputs for the state 1, 2, 3, 4, as published with the generator. */
static void rng_is_xoshiro256pp(void **state)
{
    static const uint64_t expected[] = { 41943041,
                                         58720359,
                                         3588806011781223,
                                         3591011842654386,
                                         9228616714210784205u,
                                         9973669472204895162u,
                                         14011001112246962877u };
    ae_rng rng = { { 1, 2, 3, 4 } }, copy;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(expected); i++)
        assert_int_equal(ae_rng_next(&rng), expected[i]);
    ae_rng_seed(&rng, 0);
    assert_int_equal(rng.s[0], 0xe220a8397b1dcdafu); /* SplitMix64's first words for seed 0 */
    assert_int_equal(rng.s[1], 0x6e789e6aa1b965f4u);
    copy = rng;
    for (int i = 0; i < 10; i++) assert_int_equal(ae_rng_next(&rng), ae_rng_next(&copy));
}

static void draws_follow_their_laws(void **state)
{
    enum { N = 200000 };
    double sum = 0.0, squares = 0.0, uniform = 0.0;
    int counts[7] = { 0 };
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, 42);
    for (int i = 0; i < N; i++) {
        double u = ae_rng_uniform(&rng), x = ae_rng_normal(&rng);
        assert_true(u >= 0.0 && u < 1.0 && isfinite(x));
        uniform += u;
        sum += x;
        squares += x * x;
        counts[ae_rng_below(&rng, 7)]++;
    }
    assert_true(fabs(uniform / N - 0.5) < 0.003); /* over 4 standard errors */
    assert_true(fabs(sum / N) < 0.01);
    assert_true(fabs(squares / N - 1.0) < 0.015);
    for (int i = 0; i < 7; i++) assert_true(abs(counts[i] - N / 7) < 700);
    for (int i = 0; i < 100; i++) assert_int_equal(ae_rng_below(&rng, 1), 0);
    for (int i = 0; i < 100; i++) assert_true(ae_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void shuffle_is_a_permutation(void **state)
{
    int64_t items[50], seen[50] = { 0 };
    ae_rng rng;
    int fixed = 0;

    (void)state;
    ae_rng_seed(&rng, 3);
    for (int i = 0; i < 50; i++) items[i] = i;
    ae_rng_shuffle(&rng, items, 50);
    for (int i = 0; i < 50; i++) {
        seen[items[i]]++;
        fixed += items[i] == i;
    }
    for (int i = 0; i < 50; i++) assert_int_equal(seen[i], 1);
    assert_true(fixed < 10);
    ae_rng_shuffle(&rng, items, 0);
}

static void clocks_go_forward(void **state)
{
    double before = ae_clock_seconds();

    (void)state;
    assert_true(ae_clock_seconds() >= before);
    assert_true(ae_clock_unix_seconds() > 1700000000);
    before = ae_clock_process_seconds();
    assert_true(before >= 0 && ae_clock_process_seconds() >= before);
    assert_true(ae_peak_rss_bytes() > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(sha512_gives_hashlibs_digests),
        cmocka_unit_test(sha256_does_not_see_the_split),
        cmocka_unit_test(hash64_gives_the_published_values),
        cmocka_unit_test(rng_is_xoshiro256pp),
        cmocka_unit_test(draws_follow_their_laws),
        cmocka_unit_test(shuffle_is_a_permutation),
        cmocka_unit_test(clocks_go_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
