/* test_tokenizer.c -- vocabularies made by hand: what a field means, and what is refused. */
#include "scratch.h"
#include "text/text.h"

#include <math.h>

/* A small SentencePiece vocabulary: control tokens, bytes, pieces. */
enum { UNK, BOS, EOS, BYTES, PIECES = BYTES + 256 };

static const char *const pieces[] = { "\xe2\x96\x81",     "a",  "b",   "c",     "ab", "abc",
                                      "\xe2\x96\x81\x61", "bc", "[X]", "<turn>" };
enum { P_SPACE = PIECES, P_A, P_B, P_C, P_AB, P_ABC, P_SPACE_A, P_BC, P_X, P_TURN, N_TOKENS };

typedef struct {
    ae_vocab_token tokens[N_TOKENS];
    char bytes[256][8];
    ae_vocab v;
} small;

static void small_vocab(small *s)
{
    *s = (small){ 0 };
    s->tokens[UNK] = (ae_vocab_token){ .text = ae_span_text("<unk>"), .type = AE_TOKEN_UNKNOWN };
    s->tokens[BOS] = (ae_vocab_token){ .text = ae_span_text("<s>"), .type = AE_TOKEN_CONTROL };
    s->tokens[EOS] = (ae_vocab_token){ .text = ae_span_text("</s>"), .type = AE_TOKEN_CONTROL };
    for (int i = 0; i < 256; i++) {
        snprintf(s->bytes[i], sizeof s->bytes[i], "<0x%02X>", (unsigned)i);
        s->tokens[BYTES + i] =
            (ae_vocab_token){ .text = ae_span_text(s->bytes[i]), .type = AE_TOKEN_BYTE };
    }
    for (int i = 0; i < (int)AE_COUNT(pieces); i++)
        s->tokens[PIECES + i] = (ae_vocab_token){ .text = ae_span_text(pieces[i]),
                                                  .score = (float)-i,
                                                  .type = AE_TOKEN_NORMAL };
    s->tokens[P_X].type = AE_TOKEN_USER_DEFINED;
    s->tokens[P_TURN].type = AE_TOKEN_CONTROL;
    s->v = (ae_vocab){ .kind = AE_VOCAB_SPM,
                       .tokens = s->tokens,
                       .n_tokens = N_TOKENS,
                       .bos = BOS,
                       .eos = EOS,
                       .unk = UNK,
                       .pad = -1,
                       .eot = -1 };
}

static ae_tokenizer *make(const ae_vocab *v)
{
    ae_tokenizer *t;
    aerie_error err = { 0 };

    if (ae_tokenizer_new(&t, v, &err)) fail_msg("%s", err.message);
    return t;
}

/* The ids of `text`, as "1 2 3 ". */
static void check_ids(const ae_tokenizer *t, const char *text, unsigned flags, const char *expected)
{
    ae_ids ids = { 0 };
    ae_bytes line = { 0 };

    assert_int_equal(ae_tokenizer_encode(t, ae_span_text(text), flags, &ids, NULL, NULL), AERIE_OK);
    for (size_t i = 0; i < ids.len; i++) {
        ae_span piece = ae_tokenizer_piece(t, ids.data[i]);

        ae_bytes_printf(&line, "%.*s ", (int)piece.len, piece.data);
    }
    ae_bytes_reserve(&line, 0);
    assert_string_equal(line.data, expected);
    ae_ids_free(&ids);
    ae_bytes_free(&line);
}

/* The same with one vocabulary of its own. */
static void check_vocab(const ae_vocab *v, const char *text, unsigned flags, const char *expected)
{
    ae_tokenizer *t = make(v);

    check_ids(t, text, flags, expected);
    ae_tokenizer_close(t);
}

#define SP "\xe2\x96\x81"

static void prefixes(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    check_vocab(&s.v, "a<s>a", AE_ENCODE_SPECIAL, "a <s> a ");
    s.v.add_prefix_space = true;
    check_vocab(&s.v, "", AE_ENCODE_SPECIAL, "");
    check_vocab(&s.v, "a<s>a", AE_ENCODE_SPECIAL, SP "a <s> a ");
    check_vocab(&s.v, "a<s>a", AE_ENCODE_SPECIAL | AE_ENCODE_CONTINUE, "a <s> a ");
    check_vocab(&s.v, "<s>a", AE_ENCODE_SPECIAL, "<s> a ");
    s.v.prefix_every_segment = true;
    check_vocab(&s.v, "a<s>a", AE_ENCODE_SPECIAL, SP "a <s> " SP "a ");
    check_vocab(&s.v, "[X]a", 0, "[X] " SP "a ");
    check_vocab(&s.v, " a", 0, SP " " SP "a ");
    s.v.prefix_unless_space = true;
    check_vocab(&s.v, " a", 0, SP "a ");
    s.v.user_defined_inline = true;
    check_vocab(&s.v, "[X]a<s>a", AE_ENCODE_SPECIAL, SP " [X] a <s> " SP "a ");
}

static void begin_and_end(void **state)
{
    unsigned both = AE_ENCODE_BOS | AE_ENCODE_EOS;
    small s;

    (void)state;
    small_vocab(&s);
    check_vocab(&s.v, "ab", both, "ab ");
    s.v.add_bos = s.v.add_eos = true;
    check_vocab(&s.v, "ab", both, "<s> ab </s> ");
    check_vocab(&s.v, "ab", 0, "ab ");
    s.v.bos = s.v.eos = -1;
    check_vocab(&s.v, "ab", both, "ab ");
}

/* Control tokens in a text are text, unless they are asked for. */
static void control_tokens_are_not_typed(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    check_vocab(&s.v, "a<turn>b", AE_ENCODE_SPECIAL, "a <turn> b ");
    check_vocab(&s.v, "a<turn>b", 0, "a <0x3C> <0x74> <0x75> <0x72> <0x6E> <0x3E> b ");
    check_vocab(&s.v, "a[X]b", 0, "a [X] b ");
}

static void tokens_take_spaces_along(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    s.tokens[P_X].lstrip = s.tokens[P_X].rstrip = true;
    check_vocab(&s.v, "a \n\t[X] \xe2\x80\x83 b", 0, "a [X] b ");
    check_vocab(&s.v, "  [X]  [X] ", 0, "[X] [X] ");
    s.tokens[P_X].lstrip = s.tokens[P_X].rstrip = false;
    s.tokens[P_X].single_word = true;
    s.tokens[P_X].text = ae_span_text("aa");
    s.tokens[P_X].type = AE_TOKEN_CONTROL;
    check_vocab(&s.v, "aaaa aa baa", AE_ENCODE_SPECIAL, "a a a a " SP " aa " SP " b a a ");
}

static void spaces_are_squeezed(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    s.v.remove_extra_spaces = s.v.add_prefix_space = true;
    check_vocab(&s.v, "  a   b  ", 0, SP "a " SP " b ");
    check_vocab(&s.v, "   ", 0, "");
    check_vocab(&s.v, " a [X]  b ", 0, SP "a " SP " [X] " SP " b ");
}

static void what_no_piece_covers(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    check_vocab(&s.v, "a\xc3\xa9", 0, "a <0xC3> <0xA9> ");
    check_vocab(&s.v,
                "a\xc3"
                "b",
                0, "a <0xC3> b ");
    s.tokens[BYTES].type = AE_TOKEN_NORMAL; /* one byte short: none is used */
    check_vocab(&s.v, "a\xc3\xa9zzb\xc3\xa9", 0, "a <unk> b <unk> ");
    s.tokens[P_SPACE].text = ae_span_text("d");
    check_vocab(&s.v, "b b", 0, "b <unk> b ");
}

/* An unused piece takes part in merging and falls apart again. */
static void unused_pieces_fall_apart(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    check_vocab(&s.v, "abc", 0, "abc ");
    s.tokens[P_ABC].type = AE_TOKEN_UNUSED;
    check_vocab(&s.v, "abcabc", 0, "ab c ab c ");
    s.tokens[P_AB].type = AE_TOKEN_UNUSED;
    check_vocab(&s.v, "abcab", 0, "a b c a b ");
}

/* Scores decide, and among equal ones the place. */
static void the_best_pair_goes_first(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    s.tokens[P_ABC].text = ae_span_text("zzz");
    check_vocab(&s.v, "abc", 0, "ab c ");
    s.tokens[P_BC].score = 1;
    check_vocab(&s.v, "abc", 0, "a bc ");
    s.tokens[P_BC].score = s.tokens[P_AB].score;
    check_vocab(&s.v, "abc", 0, "ab c ");
}

/* A character without a token of its own still merges into a piece that holds it. */
static void pieces_of_unknown_characters(void **state)
{
    small s;

    (void)state;
    small_vocab(&s);
    s.tokens[P_BC].text = ae_span_text("xy");
    check_vocab(&s.v, "xyx", 0, "xy <0x78> ");
}

#define SPACE "\xe2\x96\x81"

/* "ab" before the place and "c" after it; BOS first. */
static void check_fim(const small *s, const char *expected)
{
    ae_tokenizer *t = make(&s->v);
    ae_ids ids = { 0 };
    ae_bytes text = { 0 };
    assert_int_equal(ae_tokenizer_encode_fim(t, ae_span_text("ab"), ae_span_text("c"), &ids, NULL),
                     AERIE_OK);
    for (size_t i = 0; i < ids.len; i++) {
        ae_span piece = ae_tokenizer_piece(t, ids.data[i]);
        ae_bytes_printf(&text, "%.*s ", (int)piece.len, piece.data);
    }
    assert_string_equal(text.data, expected);
    ae_bytes_free(&text);
    ae_ids_free(&ids);
    ae_tokenizer_close(t);
}

static void what_belongs_between_two_texts(void **state)
{
    small s;
    ae_fim fim;
    aerie_error err = { 0 };
    ae_ids ids = { 0 };

    (void)state;
    small_vocab(&s);
    ae_tokenizer *t = make(&s.v);
    assert_false(ae_tokenizer_fim(t, &fim));
    assert_int_equal(ae_tokenizer_encode_fim(t, ae_span_text("a"), ae_span_text("b"), &ids, &err),
                     AERIE_UNSUPPORTED);
    ae_tokenizer_close(t);
    assert_false(ae_fim_is_among((ae_span[]){ ae_span_text("<fim_prefix>") }, 1));
    assert_true(
        ae_fim_is_among((ae_span[]){ ae_span_text("[PREFIX]"), ae_span_text("[SUFFIX]") }, 2));
    ae_ids_free(&ids);

    s.v.fim = (ae_fim){ true, P_TURN, EOS, BOS };
    s.v.add_bos = s.v.add_prefix_space = true;
    check_fim(&s, "<s> <turn> " SPACE " ab </s> c <s> ");
    s.v.fim = (ae_fim){ 0 };
    s.tokens[P_TURN].text = ae_span_text("[PREFIX]");
    s.tokens[EOS].text = ae_span_text("[SUFFIX]");
    check_fim(&s, "<s> [SUFFIX] c [PREFIX] " SPACE " ab ");
    s.v.fim = (ae_fim){ true, N_TOKENS, EOS, BOS };
    assert_int_equal(ae_tokenizer_new(&t, &s.v, NULL), AERIE_BAD_FILE);
}

static void ends_of_replies(void **state)
{
    small s;
    ae_tokenizer *t;

    (void)state;
    small_vocab(&s);
    s.tokens[P_TURN].text = ae_span_text("<|im_end|>");
    t = make(&s.v);
    assert_true(ae_tokenizer_is_eog(t, EOS));
    assert_true(ae_tokenizer_is_eog(t, P_TURN));
    assert_false(ae_tokenizer_is_eog(t, BOS));
    assert_false(ae_tokenizer_is_eog(t, -1));
    assert_false(ae_tokenizer_is_eog(t, N_TOKENS));
    assert_int_equal(ae_tokenizer_vocab(t)->eot, P_TURN);
    assert_int_equal(ae_tokenizer_find(t, ae_span_text("abc")), P_ABC);
    assert_int_equal(ae_tokenizer_find(t, ae_span_text("nothing")), -1);
    assert_int_equal(ae_tokenizer_piece(t, N_TOKENS).len, 0);
    ae_tokenizer_close(t);
}

static void check_text(const ae_tokenizer *t, ae_decoder d, const int32_t *ids, size_t n,
                       const char *expected)
{
    ae_bytes out = { 0 };

    for (size_t i = 0; i < n; i++) ae_decoder_push(&d, t, ids[i], &out);
    ae_decoder_finish(&d, &out);
    ae_bytes_reserve(&out, 0);
    assert_string_equal(out.data, expected);
    ae_bytes_free(&out);
}

static void decoding(void **state)
{
    const int32_t ids[] = { BOS,    P_SPACE_A, P_SPACE_A,    BYTES + 0xc3, BYTES + 0xa9,
                            P_TURN, UNK,       BYTES + 0xe2, BYTES + 0x96, P_B,
                            99999,  -5,        BYTES + 0xf0 };
    small s;
    ae_tokenizer *t;

    (void)state;
    small_vocab(&s);
    s.v.add_prefix_space = true;
    t = make(&s.v);
    check_text(t, (ae_decoder){ 0 }, ids, AE_COUNT(ids),
               "a a\xc3\xa9 \xe2\x81\x87 \xef\xbf\xbd"
               "b\xef\xbf\xbd");
    check_text(t, (ae_decoder){ .continues = true }, ids + 1, 2, " a a");
    check_text(t, (ae_decoder){ .specials = true }, ids, 2, "<s> a");
    ae_tokenizer_close(t);
}

static void check_refused(const ae_vocab *v, const char *word)
{
    ae_tokenizer *t;
    aerie_error err = { 0 };

    assert_true(ae_tokenizer_new(&t, v, &err) != AERIE_OK);
    assert_null(t);
    if (!strstr(err.message, word)) fail_msg("\"%s\" does not say %s", err.message, word);
}

static void bad_vocabularies(void **state)
{
    static const ae_span merges[] = { { "a b", 3 }, { "a q", 3 } };
    static const ae_span no_pair[] = { { "ab", 2 } };
    small s;

    (void)state;
    small_vocab(&s);
    s.v.n_tokens = 0;
    check_refused(&s.v, "empty");
    small_vocab(&s);
    s.v.eos = N_TOKENS;
    check_refused(&s.v, "end-of-text");
    small_vocab(&s);
    s.tokens[P_A].score = NAN;
    check_refused(&s.v, "not a number");
    small_vocab(&s);
    s.v.kind = AE_VOCAB_BPE;
    s.v.merges = merges;
    s.v.n_merges = 2;
    check_refused(&s.v, "merge 1 (\"a q\")");
    s.v.merges = no_pair;
    s.v.n_merges = 1;
    check_refused(&s.v, "merge 0");
    s.v.n_merges = 0;
    s.v.pre = "qwen22";
    check_refused(&s.v, "\"qwen2\"?");
}

typedef struct {
    const char *json, *config, *word; /* what the sentence must say; NULL: it is well */
} json_case;

#define MODEL(more)                                                                                \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}" more \
    "}"

static void json_files(void **state)
{
    static const json_case cases[] = {
        { MODEL(""), NULL, NULL },
        { MODEL(""), "{\"model_max_length\": 1000000000000000019884624838656}", NULL },
        { MODEL(""), "{\"eos_token\": {\"content\": \"b\"}, \"bos_token\": null}", NULL },
        { "", NULL, "not valid JSON" },
        { "[1]", NULL, "model" },
        { "{\"model\":{\"type\":\"Unigram\"}}", NULL, "Unigram" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", NULL, "vocab" },
        { "{\"model\":{\"vocab\":{\"a\":\"x\"}}}", NULL, "no number" },
        { "{\"model\":{\"vocab\":{\"a\":-1}}}", NULL, "-1" },
        { "{\"model\":{\"vocab\":{\"a\":2000000000}}}", NULL, "2000000000" },
        { "{\"model\":{\"vocab\":{\"a\":0}}}", NULL, "merges" },
        { "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", NULL, "merge 0" },
        { "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[7]}}", NULL, "merge 0" },
        { MODEL(",\"added_tokens\":[{\"id\":3}]"), NULL, "content" },
        { MODEL(",\"added_tokens\":[{\"content\":\"x\"}]"), NULL, "no number" },
        { MODEL(",\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}]"), NULL, "99999999" },
        { MODEL(",\"normalizer\":{\"type\":\"Lowercase\"}"), NULL, "Lowercase" },
        { MODEL(",\"normalizer\":{\"type\":\"Precompiled\"}"), NULL, "Precompiled" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"Whitespace\"}"), NULL, "Whitespace" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},"
                "\"behavior\":\"Isolated\"}"),
          NULL, "patterns" },
        { MODEL(",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
                "\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\"}]"
                "}"),
          NULL, "does not compile" },
        { MODEL(""), "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}", "no number" },
        { MODEL(""), "{", "tokenizer_config.json" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_span config = { NULL, 0 };
        ae_tokenizer *t;
        aerie_error err = { 0 };

        if (cases[i].config) config = ae_span_text(cases[i].config);
        ae_tokenizer_from_json(&t, ae_span_text(cases[i].json), config, &err);
        if (!cases[i].word) {
            assert_string_equal(err.message, "");
            check_ids(t, "aba", 0, "ab a ");
        } else {
            assert_null(t);
            if (!strstr(err.message, cases[i].word))
                fail_msg("%s: \"%s\" does not say %s", cases[i].json, err.message, cases[i].word);
        }
        ae_tokenizer_close(t);
    }
}

/* Numbers that no token has are filled in, so that ids stay what they are. */
static void gaps_are_filled(void **state)
{
    static const char json[] =
        "{\"model\":{\"vocab\":{\"a\":0,\"b\":5},\"merges\":[]},"
        "\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":true}]}";
    ae_tokenizer *t;

    (void)state;
    assert_int_equal(ae_tokenizer_from_json(&t, ae_span_text(json), (ae_span){ NULL, 0 }, NULL),
                     AERIE_OK);
    assert_int_equal(ae_tokenizer_size(t), 10);
    assert_true(ae_span_is(ae_tokenizer_piece(t, 3), "[PAD3]"));
    assert_int_equal(ae_tokenizer_vocab(t)->tokens[3].type, AE_TOKEN_UNUSED);
    assert_int_equal(ae_tokenizer_vocab(t)->tokens[9].type, AE_TOKEN_CONTROL);
    ae_tokenizer_close(t);
}

static void put(const char *folder, const char *name, const void *data, size_t len)
{
    char *path = ae_path_join(folder, name);

    assert_int_equal(ae_file_write(path, data, len, NULL), AERIE_OK);
    ae_free(path);
}

/* tokenizer.model, with what OpenChat and others put beside it. */
static void folders(void **state)
{
    static const char added[] = "{\"<|end_of_turn|>\": 620, \"plain\": 621, \"<s>\": 1}";
    static const char config[] =
        "{\"eos_token\": \"<|end_of_turn|>\", \"legacy\": false, \"add_bos_token\": false,"
        " \"model_max_length\": 1000000000000000019884624838656, \"added_tokens_decoder\":"
        " {\"622\": {\"content\": \"<|pad|>\", \"special\": true, \"rstrip\": true}}}";
    char *folder = scratch_make();
    ae_bytes model = { 0 };
    ae_tokenizer *t;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_tokenizer_open(&t, folder, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "tokenizer.model"));
    assert_int_equal(ae_file_read(&model, "test/text/fixture/spm.model", 0, NULL), AERIE_OK);
    put(folder, "tokenizer.model", model.data, model.len);
    put(folder, "added_tokens.json", added, sizeof added - 1);
    put(folder, "tokenizer_config.json", config, sizeof config - 1);
    err = (aerie_error){ 0 };
    if (ae_tokenizer_open(&t, folder, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_tokenizer_size(t), 623);
    assert_int_equal(ae_tokenizer_vocab(t)->eos, 620);
    assert_false(ae_tokenizer_vocab(t)->add_bos);
    assert_false(ae_tokenizer_vocab(t)->prefix_every_segment);
    assert_true(ae_tokenizer_is_eog(t, 620));
    check_ids(t, "plain<|pad|>  \n<|end_of_turn|>", AE_ENCODE_SPECIAL,
              SP " plain <|pad|> <|end_of_turn|> ");
    ae_tokenizer_close(t);
    put(folder, "tokenizer_config.json", "{", 1);
    err = (aerie_error){ 0 };
    assert_int_equal(ae_tokenizer_open(&t, folder, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "tokenizer_config.json"));
    ae_bytes_free(&model);
    scratch_remove(folder);
}

/* Cut off anywhere, the file is refused or is a smaller vocabulary, but never anything else. */
static void models_cut_off(void **state)
{
    ae_bytes model = { 0 };

    (void)state;
    assert_int_equal(ae_file_read(&model, "test/text/fixture/spm.model", 0, NULL), AERIE_OK);
    for (size_t len = 0; len < model.len; len += 7) {
        ae_tokenizer *t;
        aerie_error err = { 0 };

        if (ae_tokenizer_from_spm(&t, model.data, len, &err) == AERIE_OK)
            assert_true(ae_tokenizer_size(t) <= 620);
        else
            assert_true(err.message[0] != '\0' && t == NULL);
        ae_tokenizer_close(t);
    }
    ae_bytes_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes),
        cmocka_unit_test(begin_and_end),
        cmocka_unit_test(control_tokens_are_not_typed),
        cmocka_unit_test(tokens_take_spaces_along),
        cmocka_unit_test(spaces_are_squeezed),
        cmocka_unit_test(what_no_piece_covers),
        cmocka_unit_test(unused_pieces_fall_apart),
        cmocka_unit_test(the_best_pair_goes_first),
        cmocka_unit_test(pieces_of_unknown_characters),
        cmocka_unit_test(what_belongs_between_two_texts),
        cmocka_unit_test(ends_of_replies),
        cmocka_unit_test(decoding),
        cmocka_unit_test(bad_vocabularies),
        cmocka_unit_test(json_files),
        cmocka_unit_test(gaps_are_filled),
        cmocka_unit_test(folders),
        cmocka_unit_test(models_cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
