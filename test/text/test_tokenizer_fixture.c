/* test_tokenizer_fixture.c -- small tokenizers of every make against what the packages that define
 * them compute (tools/golden/make_tokenizer_fixtures.py), and what must hold for any text. */
#include "text/random_text.h"
#include "text/tokenizer_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    SEED = 1,
    TEXTS = 3000,
    LINES = 295,
    WITH_ALL = AE_ENCODE_BOS | AE_ENCODE_SPECIAL | AE_ENCODE_EOS
};

typedef struct {
    const char *name, *file;
    unsigned flags;
    bool lossless; /* decode(encode(x)) == x for any well-formed x without "▁" */
} fixture;

/* Not lossless: spaces are squeezed, added (after a user-defined token too) or taken, characters
 * composed or unknown. */
static const fixture fixtures[] = {
    { "spm", "spm.model", 0, true },
    { "spm_squeeze", "spm_squeeze.model", 0, false },
    { "spm_prepend", "spm_prepend.json.gz", WITH_ALL, false },
    { "spm_first", "spm_first.json.gz", WITH_ALL, false },
    { "spm_always", "spm_always.json.gz", WITH_ALL, false },
    { "spm_split", "spm_split.json.gz", WITH_ALL, false },
    { "bpe_gpt2", "bpe_gpt2.json.gz", WITH_ALL, false },
    { "bpe_llama3", "bpe_llama3.json.gz", WITH_ALL, true },
    { "bpe_qwen2", "bpe_qwen2.json.gz", WITH_ALL, false },
    { "bpe_smollm", "bpe_smollm.json.gz", WITH_ALL, true },
    { "bpe_gpt4o", "bpe_gpt4o.json.gz", WITH_ALL, true },
    { "bpe_own", "bpe_own.json.gz", WITH_ALL, true },
};

static ae_tokenizer *open_fixture(const fixture *f)
{
    char path[100];
    ae_tokenizer *t;
    aerie_error err = { 0 };

    snprintf(path, sizeof path, "test/text/fixture/%s", f->file);
    if (ae_tokenizer_open(&t, path, &err)) fail_msg("%s", err.message);
    return t;
}

/* Ids and decoded text as recorded. */
static void recorded_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        comparing c = {
            open_fixture(&fixtures[i]), "ids", "decoded", NULL, NULL, fixtures[i].flags
        };
        char path[100];
        compared result;

        snprintf(path, sizeof path, "test/text/fixture/%s.jsonl.gz", fixtures[i].name);
        result = compare_file(&c, path);
        assert_int_equal(result.wrong, 0);
        assert_int_equal(result.lines, LINES);
        ae_tokenizer_close(c.tokenizer);
    }
}

static void decode_all(const ae_tokenizer *t, const ae_ids *ids, bool specials, ae_bytes *out)
{
    ae_bytes_clear(out);
    assert_int_equal(ae_tokenizer_decode(t, ids->data, ids->len, specials, out, NULL), AERIE_OK);
    ae_bytes_reserve(out, 0);
}

static bool has_mark(ae_span text)
{
    for (size_t i = 0; i + 3 <= text.len; i++)
        if (memcmp(text.data + i, "\xe2\x96\x81", 3) == 0) return true;
    return false;
}

/* decode(encode(x)) == x. */
static void text_comes_back(void **state)
{
    ae_bytes text = { 0 }, back = { 0 };
    ae_ids ids = { 0 };

    (void)state;
    printf("seed %d\n", SEED);
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        ae_tokenizer *t;
        ae_rng rng;

        if (!fixtures[i].lossless) continue;
        t = open_fixture(&fixtures[i]);
        ae_rng_seed(&rng, SEED);
        for (int k = 0; k < TEXTS; k++) {
            random_text(&text, &rng, 60);
            if (has_mark(ae_span_of(&text))) continue;
            ae_ids_clear(&ids);
            assert_int_equal(ae_tokenizer_encode(t, ae_span_of(&text), 0, &ids, NULL, NULL),
                             AERIE_OK);
            decode_all(t, &ids, false, &back);
            assert_string_equal(back.data, text.data);
        }
        ae_tokenizer_close(t);
    }
    ae_bytes_free(&text);
    ae_bytes_free(&back);
    ae_ids_free(&ids);
}

/* Bytes that are no UTF-8 are kept too: the tokens stand for exactly what was given. */
static void bytes_are_kept(void **state)
{
    ae_bytes text = { 0 }, back = { 0 };
    ae_ids ids = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        ae_tokenizer *t = open_fixture(&fixtures[i]);
        ae_rng rng;

        ae_rng_seed(&rng, SEED);
        for (int k = 0; k < TEXTS; k++) {
            random_bytes(&text, &rng, 40);
            ae_ids_clear(&ids);
            ae_bytes_clear(&back);
            assert_int_equal(
                ae_tokenizer_encode(t, ae_span_of(&text), AE_ENCODE_CONTINUE, &ids, NULL, NULL),
                AERIE_OK);
            for (size_t n = 0; n < ids.len; n++)
                ae_tokenizer_token_bytes(t, ids.data[n], true, &back);
            if (fixtures[i].lossless && !has_mark(ae_span_of(&text)))
                assert_true(ae_span_equal(ae_span_of(&back), ae_span_of(&text)));
        }
        ae_tokenizer_close(t);
    }
    ae_bytes_free(&text);
    ae_bytes_free(&back);
    ae_ids_free(&ids);
}

/* Token by token comes the same text as all at once, in whole characters, whatever the ids. */
static void streams_give_whole_characters(void **state)
{
    ae_bytes whole = { 0 }, stream = { 0 };
    ae_ids ids = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        ae_tokenizer *t = open_fixture(&fixtures[i]);
        ae_rng rng;

        ae_rng_seed(&rng, SEED);
        for (int k = 0; k < TEXTS; k++) {
            ae_decoder d = { .specials = k & 1 };

            ae_ids_clear(&ids);
            ae_bytes_clear(&stream);
            for (uint64_t n = ae_rng_below(&rng, 20); n > 0; n--)
                ae_ids_add(&ids, (int32_t)ae_rng_below(&rng, k % 3 ? (uint64_t)ae_tokenizer_size(t)
                                                                   : 280));
            for (size_t n = 0; n < ids.len; n++) {
                ae_decoder_push(&d, t, ids.data[n], &stream);
                assert_true(ae_utf8_valid(ae_span_of(&stream)));
            }
            ae_decoder_finish(&d, &stream);
            decode_all(t, &ids, k & 1, &whole);
            assert_true(ae_span_equal(ae_span_of(&stream), ae_span_of(&whole)));
        }
        ae_tokenizer_close(t);
    }
    ae_bytes_free(&whole);
    ae_bytes_free(&stream);
    ae_ids_free(&ids);
}

/* Offsets never go back, stay in the text, and where nothing is normalised each token's own bytes
 * stand at its offset. */
static void offsets_point_at_tokens(void **state)
{
    ae_bytes text = { 0 }, bytes = { 0 };
    ae_ids ids = { 0 }, offsets = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        ae_tokenizer *t = open_fixture(&fixtures[i]);
        bool exact = fixtures[i].lossless && ae_tokenizer_vocab(t)->kind == AE_VOCAB_BPE;
        ae_rng rng;

        ae_rng_seed(&rng, SEED);
        for (int k = 0; k < TEXTS; k++) {
            size_t end = 0;

            random_text(&text, &rng, 30);
            ae_ids_clear(&ids);
            ae_ids_clear(&offsets);
            assert_int_equal(
                ae_tokenizer_encode(t, ae_span_of(&text), WITH_ALL, &ids, &offsets, NULL),
                AERIE_OK);
            assert_int_equal(ids.len, offsets.len);
            for (size_t n = 0; n < ids.len; n++) {
                size_t at = (size_t)offsets.data[n];

                assert_true(at <= text.len && (n == 0 || offsets.data[n - 1] <= offsets.data[n]));
                if (!exact) continue;
                ae_bytes_clear(&bytes);
                ae_tokenizer_token_bytes(t, ids.data[n], false, &bytes);
                assert_int_equal(at, end);
                end += bytes.len;
                assert_true(end <= text.len &&
                            (!bytes.len || !memcmp(text.data + at, bytes.data, bytes.len)));
            }
        }
        ae_tokenizer_close(t);
    }
    ae_bytes_free(&text);
    ae_bytes_free(&bytes);
    ae_ids_free(&ids);
    ae_ids_free(&offsets);
}

/* A long text goes through the cache of words, one with offsets does not; and encoding it twice, or
 * behind other ids, gives the same. */
static void long_texts_are_like_short_ones(void **state)
{
    ae_bytes text = { 0 }, bit = { 0 };
    ae_ids cached = { 0 }, plain = { 0 }, offsets = { 0 };
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, SEED);
    while (text.len < 200000) {
        random_text(&bit, &rng, 12);
        ae_bytes_add(&text, bit.data, bit.len);
        ae_bytes_add_text(&text, " Ada carries the lamp on Monday.");
    }
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        ae_tokenizer *t = open_fixture(&fixtures[i]);

        ae_ids_clear(&cached);
        ae_ids_clear(&plain);
        ae_ids_clear(&offsets);
        ae_ids_add(&cached, 7);
        assert_int_equal(ae_tokenizer_encode(t, ae_span_of(&text), 0, &cached, NULL, NULL),
                         AERIE_OK);
        assert_int_equal(ae_tokenizer_encode(t, ae_span_of(&text), 0, &plain, &offsets, NULL),
                         AERIE_OK);
        assert_int_equal(cached.len, plain.len + 1);
        assert_memory_equal(cached.data + 1, plain.data, plain.len * sizeof *plain.data);
        ae_tokenizer_close(t);
    }
    ae_bytes_free(&text);
    ae_bytes_free(&bit);
    ae_ids_free(&cached);
    ae_ids_free(&plain);
    ae_ids_free(&offsets);
}

/* What an aged, slow and plain computation gives: the best neighbouring pair of the whole text
 * again and again, by the pieces' scores. */
static void merge_slowly(const ae_tokenizer *t, ae_span text, ae_ids *ids)
{
    ae_bytes marked = { 0 };
    size_t begin[200], n = 0;
    ae_span all;

    ae_bytes_add_text(&marked, "\xe2\x96\x81");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == ' ')
            ae_bytes_add_text(&marked, "\xe2\x96\x81");
        else
            ae_bytes_add_char(&marked, text.data[i]);
    all = ae_span_of(&marked);
    for (size_t at = 0; at < all.len; ae_utf8_next(all, &at)) begin[n++] = at;
    begin[n] = all.len;
    for (;;) {
        size_t best = n;
        float score = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            int32_t id =
                ae_tokenizer_find(t, (ae_span){ all.data + begin[i], begin[i + 2] - begin[i] });

            if (id < 0 || ae_tokenizer_vocab(t)->tokens[id].type != AE_TOKEN_NORMAL) continue;
            if (best < n && ae_tokenizer_vocab(t)->tokens[id].score <= score) continue;
            best = i;
            score = ae_tokenizer_vocab(t)->tokens[id].score;
        }
        if (best == n) break;
        memmove(&begin[best + 1], &begin[best + 2], (n - best - 1) * sizeof *begin);
        n--;
    }
    for (size_t i = 0; i < n; i++)
        ae_ids_add(ids,
                   ae_tokenizer_find(t, (ae_span){ all.data + begin[i], begin[i + 1] - begin[i] }));
    ae_bytes_free(&marked);
}

static void merging_is_the_plain_definition(void **state)
{
    static const char letters[] = "aeiou  rstlndth.";
    ae_tokenizer *t = open_fixture(&fixtures[0]);
    ae_ids fast = { 0 }, slow = { 0 };
    ae_rng rng;

    (void)state;
    ae_rng_seed(&rng, SEED);
    for (int k = 0; k < 2000; k++) {
        char text[100];
        size_t len = 1 + ae_rng_below(&rng, 99);

        for (size_t i = 0; i < len; i++) text[i] = letters[ae_rng_below(&rng, sizeof letters - 1)];
        ae_ids_clear(&fast);
        ae_ids_clear(&slow);
        ae_tokenizer_encode(t, (ae_span){ text, len }, 0, &fast, NULL, NULL);
        merge_slowly(t, (ae_span){ text, len }, &slow);
        assert_int_equal(fast.len, slow.len);
        assert_memory_equal(fast.data, slow.data, fast.len * sizeof *fast.data);
    }
    ae_ids_free(&fast);
    ae_ids_free(&slow);
    ae_tokenizer_close(t);
}

/* A converted vocabulary has no scores; those it is given make the same tokens when they decide. */
static void scores_from_merges_serve(void **state)
{
    ae_tokenizer *merges = open_fixture(&fixtures[2]), *scores = NULL;
    ae_vocab v = *ae_tokenizer_vocab(merges);
    ae_bytes text = { 0 };
    ae_ids a = { 0 }, b = { 0 };
    ae_rng rng;

    (void)state;
    v.spm_bpe_merges = false;
    assert_int_equal(ae_tokenizer_new(&scores, &v, NULL), AERIE_OK);
    ae_rng_seed(&rng, SEED);
    for (int k = 0; k < TEXTS; k++) {
        random_text(&text, &rng, 60);
        ae_ids_clear(&a);
        ae_ids_clear(&b);
        ae_tokenizer_encode(merges, ae_span_of(&text), 0, &a, NULL, NULL);
        ae_tokenizer_encode(scores, ae_span_of(&text), 0, &b, NULL, NULL);
        assert_int_equal(a.len, b.len);
        assert_true(a.len == 0 || !memcmp(a.data, b.data, a.len * sizeof *a.data));
    }
    ae_tokenizer_close(merges);
    ae_tokenizer_close(scores);
    ae_bytes_free(&text);
    ae_ids_free(&a);
    ae_ids_free(&b);
}

/* A vocabulary read back from ae_tokenizer_vocab makes the same tokenizer. */
static void vocabularies_can_be_passed_on(void **state)
{
    ae_bytes text = { 0 };
    ae_ids a = { 0 }, b = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        ae_tokenizer *first = open_fixture(&fixtures[i]), *second = NULL;
        ae_rng rng;

        assert_int_equal(ae_tokenizer_new(&second, ae_tokenizer_vocab(first), NULL), AERIE_OK);
        ae_rng_seed(&rng, SEED);
        for (int k = 0; k < 300; k++) {
            random_text(&text, &rng, 60);
            ae_ids_clear(&a);
            ae_ids_clear(&b);
            ae_tokenizer_encode(first, ae_span_of(&text), WITH_ALL, &a, NULL, NULL);
            ae_tokenizer_encode(second, ae_span_of(&text), WITH_ALL, &b, NULL, NULL);
            assert_int_equal(a.len, b.len);
            assert_true(a.len == 0 || !memcmp(a.data, b.data, a.len * sizeof *a.data));
        }
        ae_tokenizer_close(first);
        ae_tokenizer_close(second);
    }
    ae_bytes_free(&text);
    ae_ids_free(&a);
    ae_ids_free(&b);
}

typedef struct {
    ae_ids ids, offsets;
    ae_bytes back;
} results;

static void free_results(results *r)
{
    ae_ids_free(&r->ids);
    ae_ids_free(&r->offsets);
    ae_bytes_free(&r->back);
}

/* Opens, encodes and decodes. */
static aerie_status use_tokenizer(const fixture *f, results *r)
{
    static const char words[] = "<s>Ada won't share <|im_end|> the caf\xc3\xa9 e\xcc\x81 12345\n";
    char path[100];
    ae_tokenizer *t = NULL;
    aerie_status status;

    snprintf(path, sizeof path, "test/text/fixture/%s", f->file);
    status = ae_tokenizer_open(&t, path, NULL);
    assert_true(status ? !t : t != NULL);
    if (!status)
        status = ae_tokenizer_encode(t, ae_span_text(words), WITH_ALL, &r->ids, &r->offsets, NULL);
    if (!status) status = ae_tokenizer_decode(t, r->ids.data, r->ids.len, false, &r->back, NULL);
    ae_tokenizer_close(t);
    return status;
}

/* Every allocation fails once: nothing is leaked or half made, and what comes out in spite of it
 * (an arena does with less, a cache is done without) is right. */
static void memory_may_run_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(fixtures); i++) {
        results whole = { 0 };
        size_t held;
        bool failed = true;

        assert_int_equal(use_tokenizer(&fixtures[i], &whole), AERIE_OK);
        held = ae_alloc_bytes();
        for (long n = 1; failed; n++) {
            results r = { 0 };
            aerie_status status;

            ae_alloc_fail_at(n);
            status = use_tokenizer(&fixtures[i], &r);
            failed = ae_alloc_has_failed();
            ae_alloc_fail_at(0);
            if (status) {
                assert_int_equal(status, AERIE_NO_MEMORY);
                assert_true(failed);
            } else {
                assert_int_equal(r.ids.len, whole.ids.len);
                assert_memory_equal(r.ids.data, whole.ids.data, r.ids.len * sizeof(int32_t));
                assert_string_equal(r.back.data, whole.back.data);
            }
            free_results(&r);
            assert_int_equal(ae_alloc_bytes(), held);
        }
        free_results(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_ids),
        cmocka_unit_test(text_comes_back),
        cmocka_unit_test(bytes_are_kept),
        cmocka_unit_test(streams_give_whole_characters),
        cmocka_unit_test(offsets_point_at_tokens),
        cmocka_unit_test(long_texts_are_like_short_ones),
        cmocka_unit_test(merging_is_the_plain_definition),
        cmocka_unit_test(scores_from_merges_serve),
        cmocka_unit_test(vocabularies_can_be_passed_on),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
