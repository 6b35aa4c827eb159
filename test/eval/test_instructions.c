/* IFEval's verdicts: those of the harness' own code on made-up replies, and of the official code on
 * GPT-4's 540 replies, where they lie beside the source tree. */
#include "eval/instructions.h"
#include "eval/language.h"
#include "eval/sentences.h"

#include "scratch.h"

#include <zlib.h>

enum { MOST = 16 };

static json_t *golden(void)
{
    json_t *root = json_load_file("test/eval/golden/ifeval.json", 0, NULL);

    if (!root) fail_msg("the golden file can't be read");
    return root;
}

static ae_span span_of(const json_t *text)
{
    return (ae_span){ json_string_value(text), json_string_length(text) };
}

static const json_t *doc_of(const json_t *docs, json_int_t key)
{
    for (size_t i = 0; i < json_array_size(docs); i++)
        if (json_integer_value(json_object_get(json_array_get(docs, i), "key")) == key)
            return json_array_get(docs, i);
    return NULL;
}

static bool all(const bool *verdicts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!verdicts[i]) return false;
    return true;
}

static void replies_are_judged_as_by_the_harness(void **state)
{
    json_t *root = golden();
    const json_t *rows = json_object_get(root, "rows");
    (void)state;

    assert_int_equal(json_array_size(rows), 15);
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r), *doc;
        const json_t *want_strict = json_object_get(row, "inst_level_strict_acc");
        const json_t *want_loose = json_object_get(row, "inst_level_loose_acc");
        bool strict[MOST], loose[MOST];
        aerie_error err = { 0 };

        doc = doc_of(json_object_get(root, "docs"),
                     json_integer_value(json_object_get(row, "doc_key")));
        if (ae_instructions_check(strict, loose, json_object_get(doc, "instruction_id_list"),
                                  json_object_get(doc, "kwargs"),
                                  span_of(json_object_get(row, "response")), &err))
            fail_msg("%s", err.message);
        for (size_t i = 0; i < json_array_size(want_strict); i++)
            if (strict[i] != json_is_true(json_array_get(want_strict, i)) ||
                loose[i] != json_is_true(json_array_get(want_loose, i)))
                fail_msg("row %zu, instruction %zu: strict %d, loose %d", r, i, strict[i],
                         loose[i]);
        assert_int_equal(all(strict, json_array_size(want_strict)),
                         json_is_true(json_object_get(row, "prompt_level_strict_acc")));
        assert_int_equal(all(loose, json_array_size(want_strict)),
                         json_is_true(json_object_get(row, "prompt_level_loose_acc")));
    }
    json_decref(root);
}

/* Objects of a gzipped file of lines; NULL: it is not there. */
static json_t *read_lines(const char *path)
{
    gzFile file = gzopen(path, "rb");
    json_t *list = json_array();
    static char line[1 << 20];

    if (!file) {
        json_decref(list);
        return NULL;
    }
    while (gzgets(file, line, sizeof line)) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        json_array_append_new(list, object);
    }
    gzclose(file);
    return list;
}

/* Where the verdict is not the official one, and why. The official checker asks langdetect, whose
 * answer on a few words, or a list of names, is a guess at a language. */
static const struct {
    const char *instruction, *begins;
    bool official;
} differences[] = {
    { "change_case:english_lowercase", "\"coastal elegance properties\"", false },
    { "change_case:english_lowercase", "etchings", false },
    { "change_case:english_capital", "YES", false },
    { "change_case:english_capital", "1. *ABIGAIL SMITH*\n2. BENJAMIN JONES", false },
};

static bool is_named(const char *instruction, const char *reply, bool official)
{
    for (size_t i = 0; i < AE_COUNT(differences); i++)
        if (!strcmp(differences[i].instruction, instruction) &&
            differences[i].official == official &&
            !strncmp(differences[i].begins, reply, strlen(differences[i].begins)))
            return true;
    return false;
}

#define BENCH "../shared/data/bench/"

static void verdicts_are_the_official_ones(void **state)
{
    json_t *docs = read_lines(BENCH "ifeval_input_data.jsonl.gz");
    json_t *results = read_lines(BENCH "ifeval_gpt4_eval_results_strict.jsonl.gz");
    size_t different = 0, unnamed = 0;
    (void)state;

    if (!docs || !results) {
        print_message("no " BENCH "\n");
        json_decref(docs);
        json_decref(results);
        skip();
    }
    assert_int_equal(json_array_size(docs), 540);
    for (size_t d = 0; d < json_array_size(docs); d++) {
        const json_t *doc = json_array_get(docs, d), *row = NULL;
        const json_t *prompt = json_object_get(doc, "prompt");
        bool strict[MOST], loose[MOST];
        aerie_error err = { 0 };

        for (size_t r = 0; r < json_array_size(results) && !row; r++)
            if (json_equal(json_object_get(json_array_get(results, r), "prompt"), prompt))
                row = json_array_get(results, r);
        assert_non_null(row);
        const json_t *ids = json_object_get(doc, "instruction_id_list");
        const json_t *want = json_object_get(row, "follow_instruction_list");
        const json_t *reply = json_object_get(row, "response");
        if (ae_instructions_check(strict, loose, ids, json_object_get(doc, "kwargs"),
                                  span_of(reply), &err))
            fail_msg("%s", err.message);
        for (size_t i = 0; i < json_array_size(ids); i++) {
            bool official = json_is_true(json_array_get(want, i));
            const char *name = json_string_value(json_array_get(ids, i));
            if (strict[i] == official) continue;
            different++;
            if (is_named(name, json_string_value(reply), official)) continue;
            unnamed++;
            print_message("key %d %s: official %d: %.300s\n",
                          (int)json_integer_value(json_object_get(doc, "key")), name, official,
                          json_string_value(reply));
        }
    }
    assert_int_equal(unnamed, 0);
    assert_int_equal(different, AE_COUNT(differences));
    json_decref(docs);
    json_decref(results);
}

static void what_is_not_known_is_named(void **state)
{
    static const struct {
        const char *ids, *kwargs, *says;
    } bad[] = {
        { "[\"keywords:existance\"]", "[{}]", "did you mean 'keywords:existence'" },
        { "[\"keywords:existence\"]", "[{}]", "keywords" },
        { "[\"length_constraints:number_words\"]", "[{\"relation\": \"at least\"}]", "num_words" },
        { "[\"length_constraints:number_words\"]",
          "[{\"relation\": \"at least\", \"num_words\": \"x\"}]", "num_words" },
        { "[\"detectable_format:title\"]", "[]", "kwargs" },
        { "[\"keywords:existence\"]", "[{\"keywords\": [\"(\"]}]", "regular expression" },
    };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(bad); i++) {
        json_t *ids = json_loads(bad[i].ids, 0, NULL), *kwargs = json_loads(bad[i].kwargs, 0, NULL);
        bool strict[MOST], loose[MOST];
        aerie_error err = { 0 };

        assert_int_equal(
            ae_instructions_check(strict, loose, ids, kwargs, ae_span_text("a reply"), &err),
            AERIE_BAD_TEXT);
        if (!strstr(err.message, bad[i].says)) fail_msg("%s", err.message);
        json_decref(ids);
        json_decref(kwargs);
    }
}

/* As nltk's sent_tokenize() counts. */
static void sentences_end_where_nltk_ends_them(void **state)
{
    static const struct {
        const char *text;
        int n;
    } cases[] = {
        { "", 0 },
        { "no end", 1 },
        { "One. Two! Three?", 3 },
        { "Dr. Smith lives in the U.S. and likes it.", 1 },
        { "He met J. Smith. They talked.", 2 },
        { "Wait... what? \"Yes!\" she said.", 3 },
        { "See p. 5, i.e. the end. It costs $3.50 now.", 3 },
        { "1. First\n2. Second", 3 },
        { "\"Go away.\" He did.", 2 },
        { "It was 5 p.m. The bell rang.", 2 },
        { "(A note.) And more.", 2 },
        { "a.b c.d", 1 },
    };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        int64_t n;
        assert_int_equal(ae_count_sentences(&n, ae_span_text(cases[i].text), NULL), AERIE_OK);
        if (n != cases[i].n)
            fail_msg("'%s': %d sentences, not %d", cases[i].text, (int)n, cases[i].n);
    }
}

static bool join(void *user, ae_span word)
{
    ae_bytes_add(user, word.data, word.len);
    ae_bytes_add_char(user, '|');
    return true;
}

/* As nltk's word_tokenize() cuts. */
static void words_are_cut_as_nltk_cuts_them(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "I'M HERE, AT&T!", "I|'M|HERE|,|AT|&|T|!|" },
        { "They DON'T know.", "They|DO|N'T|know|.|" },
        { "U.S. and (NASA) *BOLD*", "U.S.|and|(|NASA|)|*|BOLD|*|" },
        { "cannot--gonna", "can|not|--|gon|na|" },
        { "A-B 3:15 x:y", "A-B|3:15|x|:|y|" },
        { "He said \"YES\".", "He|said|``|YES|''|.|" },
        { "One. Two.", "One|.|Two|.|" },
    };
    (void)state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_bytes out = { 0 };
        assert_int_equal(ae_each_word(ae_span_text(cases[i].text), join, &out, NULL), AERIE_OK);
        assert_string_equal(out.data, cases[i].words);
        ae_bytes_free(&out);
    }
}

static void languages_are_told(void **state)
{
    static const struct {
        const char *text, *language;
    } cases[] = {
        { "The bird sings in the morning.", "en" },
        { "El pájaro canta por la mañana y no se cansa.", "es" },
        { "Der Vogel singt am Morgen und ist nicht müde.", "de" },
        { "L'oiseau chante dans les arbres et il est heureux.", "fr" },
        { "Птица поёт утром, и мы её слышим.", "ru" },
        { "Птах співає вранці, і ми його чуємо.", "uk" },
        { "پرنده صبح می‌خواند و ما گوش می‌کنیم", "fa" },
        { "پرندہ صبح گاتا ہے اور ہم سنتے ہیں", "ur" },
        { "الطائر يغني في الصباح", "ar" },
        { "पक्षी सुबह गाता है और हम सुनते हैं", "hi" },
        { "새가 아침에 노래한다", "ko" },
        { "鳥が朝に歌う", "ja" },
        { "SHORT", "en" },
    };
    const char *language;
    (void)state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        assert_int_equal(ae_language_of(&language, ae_span_text(cases[i].text), NULL), AERIE_OK);
        if (strcmp(language, cases[i].language))
            fail_msg("'%s': %s, not %s", cases[i].text, language, cases[i].language);
    }
    assert_int_equal(ae_language_of(&language, ae_span_text("123 + 4!"), NULL), AERIE_OK);
    assert_null(language);
}

/* Models fall into loops. What they write then is judged like any other reply: no pattern of ours
 * looks through it again and again. */
static void loops_are_judged(void **state)
{
    enum { LONG = 20000 };
    static const char *const loops[] = {
        "=", "[",    "<",  " ", "\n", ".",  "\"",  ")",   "'",  "a.",  ". ",  "* ", "-\n", "<<a",
        ",", "[a\n", "``", "*", "--", "A ", "p. ", "\n ", "1.", ".\n", "n't", "..", "é"
    };
    json_t *row = json_loads(
        "{\"ids\": [\"length_constraints:number_sentences\", \"length_constraints:number_words\","
        " \"length_constraints:number_paragraphs\", \"detectable_format:title\","
        " \"detectable_format:number_bullet_lists\", \"detectable_format:multiple_sections\","
        " \"detectable_format:number_highlighted_sections\", \"detectable_content:postscript\","
        " \"detectable_content:number_placeholders\", \"change_case:capital_word_frequency\","
        " \"change_case:english_lowercase\"], \"kwargs\": [{\"relation\": \"at least\","
        " \"num_sentences\": 9}, {\"relation\": \"at least\", \"num_words\": 9},"
        " {\"num_paragraphs\": 9}, {}, {\"num_bullets\": 9}, {\"section_spliter\": \"Section\","
        " \"num_sections\": 9}, {\"num_highlights\": 9}, {\"postscript_marker\": \"P.P.S\"},"
        " {\"num_placeholders\": 9}, {\"capital_relation\": \"at least\","
        " \"capital_frequency\": 9}, {}]}",
        0, NULL);
    (void)state;

    assert_non_null(row);
    for (size_t i = 0; i < AE_COUNT(loops); i++) {
        ae_bytes reply = { 0 };
        bool strict[MOST], loose[MOST];
        aerie_error err = { 0 };
        ae_bytes_add_text(&reply, "a");
        while (reply.len < LONG) ae_bytes_add_text(&reply, loops[i]);
        ae_bytes_add_text(&reply, "\n!]>b"); /* what patterns would look for */
        if (ae_instructions_check(strict, loose, json_object_get(row, "ids"),
                                  json_object_get(row, "kwargs"), ae_span_of(&reply), &err))
            fail_msg("'%s': %s", loops[i], err.message);
        ae_bytes_free(&reply);
    }
    json_decref(row);
}

static void out_of_memory_is_survived(void **state)
{
    json_t *root = golden(), *doc = json_array_get(json_object_get(root, "docs"), 4);
    (void)state;

    for (long n = 1;; n++) {
        size_t held = ae_alloc_bytes();
        bool strict[MOST], loose[MOST];
        ae_alloc_fail_at(n);
        aerie_status status = ae_instructions_check(
            strict, loose, json_object_get(doc, "instruction_id_list"),
            json_object_get(doc, "kwargs"), ae_span_text("\"A *b* c.\"******SECTION 1"), NULL);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        assert_int_equal(ae_alloc_bytes(), held);
        if (!failed) break;
        assert_true(n < 5000);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_judged_as_by_the_harness),
        cmocka_unit_test(verdicts_are_the_official_ones),
        cmocka_unit_test(what_is_not_known_is_named),
        cmocka_unit_test(sentences_end_where_nltk_ends_them),
        cmocka_unit_test(words_are_cut_as_nltk_cuts_them),
        cmocka_unit_test(languages_are_told),
        cmocka_unit_test(loops_are_judged),
        cmocka_unit_test(out_of_memory_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
