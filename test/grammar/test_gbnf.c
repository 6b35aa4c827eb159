/* test_gbnf.c -- texts that a grammar takes and those that it does not, whatever pieces they come
 * in; grammars that are refused; and masks against one token at a time. */
#include "follow.h"
#include "scratch.h"

#include <math.h>

static ae_grammar *parse(const char *text)
{
    ae_grammar *g;
    aerie_error err = { 0 };
    if (ae_grammar_parse(&g, ae_span_text(text), &err)) fail_msg("%s\n%s", text, err.message);
    return g;
}

typedef struct {
    const char *grammar;
    const char *whole[8], *begins[8], *not [8];
} language;

static const char arithmetic[] = "root  ::= (expr \"=\" ws term \"\\n\")+ # sums\n"
                                 "expr  ::= term ([-+*/] term)*\n"
                                 "term  ::= ident | num | \"(\" ws expr \")\" ws\n"
                                 "ident ::= [a-z] [a-z0-9_]* ws\n"
                                 "num   ::= [0-9]+ ws\n"
                                 "ws    ::= [ \\t\\n]*\n";

static const char json[] =
    "root   ::= object\n"
    "value  ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n\n"
    "object ::=\n"
    "  \"{\" ws (\n"
    "            string \":\" ws value\n"
    "    (\",\" ws string \":\" ws value)*\n"
    "  )? \"}\" ws\n"
    "array  ::=\n"
    "  \"[\" ws (\n"
    "            value\n"
    "    (\",\" ws value)*\n"
    "  )? \"]\" ws\n"
    "string ::=\n"
    "  \"\\\"\" (\n"
    "    [^\"\\\\\\x7F\\x00-\\x1F] |\n"
    "    \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}) # escapes\n"
    "  )* \"\\\"\" ws\n"
    "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] "
    "[1-9]{0,15})? ws\n"
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";

static const language languages[] = {
    { "root ::= \"yes\" | \"no\"", { "yes", "no" }, { "", "y", "n" }, { "x", "yesn", "on" } },
    { "root ::= [a-c]{2,3} [^x-z\\n]?",
      { "ab", "abc", "aba!", "ab\xC3\xA9", "ab\xF0\x9F\x98\x80" },
      { "a", "ab\xC3", "ab\xF0\x9F" },
      { "abd!", "x", "abcx", "ab\n", "ab\xC3\xC3", "ab\xED\xA0\x80" } },
    { "root ::= \"a\"{3} \"b\"{2,} \"c\"{0,1} (\"d\" \"e\"){0}",
      { "aaabb", "aaabbbbc" },
      { "aaab" },
      { "aabb", "aaabc", "aaabbcc", "aaabbde" } },
    { "root ::= \"a\" endless | \"b\"\nendless ::= \"c\" endless", { "b" }, { "" }, { "a" } },
    { "root ::= x*\nx ::= \"a\"*", { "", "a", "aaaaaaaa" }, { 0 }, { "b" } },
    { "root ::= (\"\" | \"a\")* \"b\"", { "b", "aab" }, { "", "a" }, { "bb", "c" } },
    { "root ::= \"(\" root? \")\"", { "()", "((()))" }, { "((", "(()" }, { ")", "())" } },
    { "root ::= [\\u00e4-\\u1234\\U0001F600] . \"\\x41\"",
      { "\xC3\xA4z\x41", "\xE1\x88\xB4\xF0\x9F\x98\x80\x41", "\xF0\x9F\x98\x80\n\x41" },
      { "\xC3\xA4z" },
      { "\xC3\xA3z\x41", "\xE1\x88\xB5zA", "zzA" } },
    { arithmetic,
      { "a=1\n", "(a+1)*2=b\nx= 3 \n" },
      { "a=1", "(a+b" },
      { "=1\n", "a=1+2\n", "A=1\n" } },
    { json,
      { "{}", "{\"a\" :1}", "{\"a\": [1, -2.5e+1, {\"b\":null}],\n  \"\\u00e4\": \"\xC3\xA4\"}" },
      { "{\"a\": [", "{\"a\": \"\\u00e" },
      { "[]", "{a:1}", "{\"a\":01}", "{\"a\":\"\n\"}", "{\"a\":1,}", "{ , }" } },
};

static void check(const language *l, const char *const *texts, follow_result wanted)
{
    ae_grammar *g = parse(l->grammar);
    for (size_t i = 0; i < 8 && texts[i]; i++)
        for (size_t step = 1; step < 12; step++)
            if (follow_text(g, ae_span_text(texts[i]), step) != wanted)
                fail_msg("%s\n'%s', %zu at a time: %d", l->grammar, texts[i], step,
                         follow_text(g, ae_span_text(texts[i]), step));
    ae_grammar_free(g);
}

static void grammars_take_their_texts_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < AE_COUNT(languages); i++) {
        check(&languages[i], languages[i].whole, FOLLOW_WHOLE);
        check(&languages[i], languages[i].begins, FOLLOW_BEGINS);
        check(&languages[i], languages[i].not, FOLLOW_NO);
    }
}

static void bad_grammars_get_a_sentence(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "no rule 'root'" },
        { "a ::= \"b\"", "no rule 'root'" },
        { "root ::= a", "'a' is not defined" },
        { "root ::= \"a", "not closed" },
        { "root ::= [a", "not closed" },
        { "root ::= (\"a\"", "not closed" },
        { "root ::= \"a\" )", "no part of a rule" },
        { "root = \"a\"", "::= is expected" },
        { "root ::= \"a\"\nroot ::= \"b\"", "line 2: this rule is defined a second time" },
        { "root ::= [b-a]", "ends before it begins" },
        { "root ::= \"\\q\"", "an escape is" },
        { "root ::= \"\\xZZ\"", "hexadecimal" },
        { "root ::= \"\\uD800\"", "no such character" },
        { "root ::= \"a\"{3,2}", "cannot be" },
        { "root ::= \"a\"{99999999}", "cannot be" },
        { "root ::= \"a\"{x}", "a number is expected" },
        { "root ::= root \"a\" | \"a\"", "left recursion" },
        { "root ::= a\na ::= b\nb ::= \"x\"? a \"y\" | \"z\"", "left recursion" },
        { "root ::= a* root \"b\" | \"c\"\na ::= \"\"", "left recursion" },
        { "root ::= \"a\"{65536} \"b\"{65536} \"c\"{65536} \"d\"{65536}", "too large" },
        { "root ::= \"a\xFF\"", "not UTF-8" },
        { "root ::= root", "never comes to an end" },
        { "root ::= \"a\" b\nb ::= \"b\" b", "never comes to an end" },
        { "root ::= []", "never comes to an end" },
    };
    ae_grammar *g;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        aerie_status status = ae_grammar_parse(&g, ae_span_text(cases[i].text), &err);
        if (status == AERIE_OK || g || !strstr(err.message, cases[i].says))
            fail_msg("%s\n%s", cases[i].text, err.message);
    }
}

static void nesting_is_bounded(void **state)
{
    ae_bytes text = { 0 };
    ae_grammar *g;
    (void)state;
    /* 60,000 groups in each other: an error, not a stack that overflows. */
    ae_bytes_add_text(&text, "root ::= ");
    for (int i = 0; i < 60000; i++) ae_bytes_add_char(&text, '(');
    assert_int_equal(ae_grammar_parse(&g, ae_span_of(&text), NULL), AERIE_BAD_TEXT);
    /* Values nested deeper than a way may be are refused when they come. */
    ae_bytes_clear(&text);
    for (int i = 0; i < 5000; i++) ae_bytes_add_text(&text, "[");
    g = parse("root ::= \"[\" root? \"]\"");
    assert_int_equal(follow_text(g, ae_span_of(&text), 1), FOLLOW_NO);
    text.len = 1000;
    assert_int_equal(follow_text(g, ae_span_of(&text), 1), FOLLOW_BEGINS);
    ae_grammar_free(g);
    ae_bytes_free(&text);
}

static void many_ways_do_not_explode(void **state)
{
    ae_grammar *g =
        parse("root ::= a{0,60} \"!\"\na ::= \"x\"? \"x\"? b\nb ::= (\"x\" | \"xx\" | \"\")");
    (void)state;
    assert_int_equal(follow_text(g, ae_span_text("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx!"), 7),
                     FOLLOW_WHOLE);
    ae_grammar_free(g);
}

/* A vocabulary whose tokens share beginnings, hold parts of characters, and end replies. */
static ae_tokenizer *small_vocab(void)
{
    static const char *const texts[] = { "</s>", "a",   "ab",  "abc", "b",   "{", "{\"", "\"",
                                         "\"}",  "}",   ":",   "1",   "12",  ",", " ",   "\xC3",
                                         "\xA9", "yes", "yea", "no",  "not", "n", "o",   "<pad>" };
    ae_vocab_token tokens[AE_COUNT(texts)];
    ae_vocab v = { .kind = AE_VOCAB_SPM,
                   .tokens = tokens,
                   .n_tokens = AE_COUNT(texts),
                   .keep_spaces = true,
                   .bos = -1,
                   .eos = 0,
                   .unk = -1,
                   .pad = -1,
                   .eot = -1 };
    ae_tokenizer *t;
    aerie_error err = { 0 };
    for (size_t i = 0; i < AE_COUNT(texts); i++)
        tokens[i] =
            (ae_vocab_token){ .text = ae_span_text(texts[i]),
                              .type = texts[i][0] == '<' ? AE_TOKEN_CONTROL : AE_TOKEN_NORMAL };
    if (ae_tokenizer_new(&t, &v, &err)) fail_msg("%s", err.message);
    return t;
}

static void check_mask(ae_grammar_state *s, const ae_token_order *o, int32_t n)
{
    float logits[64];
    bool any = false;
    for (int32_t id = 0; id < n; id++) logits[id] = (float)id;
    bool some = ae_grammar_mask(s, o, logits);
    for (int32_t id = 0; id < n; id++) {
        bool takes = ae_grammar_takes_token(s, o, id);
        any |= takes;
        if (takes ? logits[id] != (float)id : logits[id] != -INFINITY)
            fail_msg("token %d: the mask and the token alone do not agree", (int)id);
    }
    assert_int_equal(some, any);
}

static void masks_are_what_tokens_are_alone(void **state)
{
    static const char *const walks[][8] = { { "{", "\"", "ab", "\"", ":", "12", "}" },
                                            { "{\"", "\xC3", "\xA9", "\"", ":" } };
    ae_tokenizer *t = small_vocab();
    ae_token_order *o;
    ae_grammar *g = parse(json);
    ae_grammar_state *s;
    int32_t n = ae_tokenizer_size(t);

    (void)state;
    assert_int_equal(ae_token_order_new(&o, t, NULL), AERIE_OK);
    for (size_t w = 0; w < AE_COUNT(walks); w++) {
        assert_int_equal(ae_grammar_start(&s, g, NULL), AERIE_OK);
        check_mask(s, o, n);
        for (size_t i = 0; i < 8 && walks[w][i]; i++) {
            assert_true(ae_grammar_advance(s, ae_span_text(walks[w][i])));
            check_mask(s, o, n);
        }
        ae_grammar_stop(s);
    }
    ae_token_order_free(o);
    ae_grammar_free(g);
    ae_tokenizer_close(t);
}

static void the_end_is_known(void **state)
{
    ae_grammar *g = parse("root ::= \"yes\" | \"yes!\" | \"no\"");
    ae_grammar_state *s;
    (void)state;
    assert_int_equal(ae_grammar_start(&s, g, NULL), AERIE_OK);
    assert_false(ae_grammar_may_end(s) || ae_grammar_must_end(s));
    assert_true(ae_grammar_advance(s, ae_span_text("yes")));
    assert_true(ae_grammar_may_end(s) && !ae_grammar_must_end(s));
    assert_false(ae_grammar_advance(s, ae_span_text("?")));
    assert_true(ae_grammar_advance(s, ae_span_text("!")));
    assert_true(ae_grammar_may_end(s) && ae_grammar_must_end(s));
    ae_grammar_stop(s);
    ae_grammar_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammars_take_their_texts_alone),
        cmocka_unit_test(bad_grammars_get_a_sentence),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(many_ways_do_not_explode),
        cmocka_unit_test(masks_are_what_tokens_are_alone),
        cmocka_unit_test(the_end_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
