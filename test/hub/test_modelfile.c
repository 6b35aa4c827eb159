/* test_modelfile.c -- Ollama's Modelfile, word by word, and what is wrong with others. */
#include "scratch.h"

#include "hub/hub.h"

static aerie_status parse(ae_modelfile *out, ae_arena *arena, const char *text, aerie_error *err)
{
    return ae_modelfile_parse(out, arena, text, strlen(text), err);
}

/* "key[ name]=value|..." */
static void print_lines(ae_bytes *out, const ae_modelfile *f)
{
    ae_bytes_clear(out);
    for (size_t i = 0; i < f->n; i++)
        ae_bytes_printf(out, "%s%s%s=%s|", f->lines[i].key, f->lines[i].name ? " " : "",
                        f->lines[i].name ? f->lines[i].name : "", f->lines[i].value);
}

static const struct {
    const char *text, *lines;
} good[] = {
    { "FROM llama3", "from=llama3|" },
    { "from llama3\n", "from=llama3|" },
    { "\xef\xbb\xbf"
      "FROM a",
      "from=a|" },
    { "# a comment\n\n  FROM   a  \t\n#FROM b\n", "from=a|" },
    { "FROM a # no comment", "from=a # no comment|" },
    { "FROM ./m.gguf\r\nSYSTEM hi\r\n", "from=./m.gguf|system=hi|" },
    { "FROM a\nFROM projector", "from=a|from=projector|" },
    { "FROM a\nSYSTEM \"two words\"", "from=a|system=two words|" },
    { "FROM a\nSYSTEM \"\"", "from=a|system=|" },
    { "FROM a\nSYSTEM \"\"\"\"\"\"", "from=a|system=|" },
    { "FROM a\nSYSTEM \"\"\"one\n# two\n\n three\"\"\"\nADAPTER x.gguf",
      "from=a|system=one\n# two\n\n three|adapter=x.gguf|" },
    { "FROM a\nSYSTEM \"one\ntwo\"", "from=a|system=one\ntwo|" },
    { "FROM a\nSYSTEM \"\"\"say \"hi\" now\"\"\"", "from=a|system=say \"hi\" now|" },
    { "FROM a\nSYSTEM say \"hi\"", "from=a|system=say \"hi\"|" },
    { "FROM a\nSYSTEM 'single'", "from=a|system='single'|" },
    { "FROM a\nSYSTEM a\\nb", "from=a|system=a\\nb|" },
    { "FROM a\nSYSTEM \"\"\"a\"\"\" more\nend\"\"\"", "from=a|system=a\"\"\" more\nend|" },
    { "FROM a\nparameter TEMPERATURE 0.5", "from=a|parameter TEMPERATURE=0.5|" },
    { "FROM a\nPARAMETER stop \"<|im_end|>\"\nPARAMETER  stop User:",
      "from=a|parameter stop=<|im_end|>|parameter stop=User:|" },
    { "FROM a\nMESSAGE user hi there\nMESSAGE assistant \"\"\"well\nhello\"\"\"",
      "from=a|message user=hi there|message assistant=well\nhello|" },
    { "FROM a\nTEMPLATE {{ .Prompt }}\nLICENSE MIT\nLICENSE \"\"\"x\ny\"\"\"",
      "from=a|template={{ .Prompt }}|license=MIT|license=x\ny|" },
    { "FROM a\nRENDERER r\nPARSER p\nREQUIRES 0.14.0\nDRAFT d.gguf",
      "from=a|renderer=r|parser=p|requires=0.14.0|draft=d.gguf|" },
    { "SYSTEM gr\xc3\xbc\xc3\x9f dich\nFROM a", "system=gr\xc3\xbc\xc3\x9f dich|from=a|" },
    { "FROM a\nSYSTEM be\001ll\177s\ttab", "from=a|system=bells\ttab|" },
};

static void what_is_written_is_read(void **state)
{
    ae_bytes lines = { 0 };
    ae_arena arena = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(good); i++) {
        aerie_error err = { 0 };
        ae_modelfile f;
        if (parse(&f, &arena, good[i].text, &err)) fail_msg("%s: %s", good[i].text, err.message);
        print_lines(&lines, &f);
        assert_string_equal(lines.data, good[i].lines);
    }
    ae_bytes_free(&lines);
    ae_arena_free(&arena);
}

static void what_is_printed_is_read_again(void **state)
{
    ae_bytes before = { 0 }, text = { 0 }, after = { 0 };
    ae_arena arena = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(good); i++) {
        ae_modelfile f;
        if (strstr(good[i].lines, "\"\"\"")) continue; /* there are no escapes */
        assert_int_equal(parse(&f, &arena, good[i].text, NULL), AERIE_OK);
        print_lines(&before, &f);
        ae_bytes_clear(&text);
        for (size_t j = 0; j < f.n; j++)
            ae_modelfile_print(&text, f.lines[j].key, f.lines[j].name, f.lines[j].value);
        assert_int_equal(parse(&f, &arena, text.data, NULL), AERIE_OK);
        print_lines(&after, &f);
        assert_string_equal(before.data, after.data);
    }
    ae_bytes_free(&before);
    ae_bytes_free(&text);
    ae_bytes_free(&after);
    ae_arena_free(&arena);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        { "", "no FROM line" },
        { "# FROM a", "no FROM line" },
        { "SYSTEM x\n", "no FROM line" },
        { "FROM a\nBADCOMMAND x y", "(line 2): command must be one of \"from\", \"license\"" },
        { "FROM a\r\n\r\nFROMM b", "(line 3): command must be" },
        { "FROM: a", "(line 1): command must be" },
        { "1FROM a", "(line 1): command must be" },
        { "FROM", "(line 1): unexpected end" },
        { "FROM\na", "(line 1): unexpected end" },
        { "FROM a\nSYSTEM \"\"\"open\nand\nnever\nclosed", "(line 2): unexpected end: the quote" },
        { "FROM a\nSYSTEM \"open", "(line 2): unexpected end: the quote" },
        { "FROM a\nMESSAGE robot hi", "(line 2): message role must be one of" },
        { "FROM a\nMESSAGE User hi", "(line 2): message role must be one of" },
        { "FROM a\nMESSAGE user", "(line 2): unexpected end" },
        { "FROM a\nPARAMETER temperature", "(line 2): unexpected end" },
        { "FROM a\nPARAMETER temp-x 1", "(line 2): unexpected end" },
        { "FROM a\nPARAMETER ", "(line 2): unexpected end" },
    };
    ae_arena arena = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        ae_modelfile f;
        assert_int_equal(parse(&f, &arena, cases[i].text, &err), AERIE_BAD_TEXT);
        if (!strstr(err.message, cases[i].sentence)) fail_msg("%s: %s", cases[i].text, err.message);
    }
    ae_arena_free(&arena);
}

static void utf16_is_read(void **state)
{
    static const char little[] = "\xff\xfe"
                                 "F\0R\0O\0M\0 \0\xe9\0=\xd8\0\xde\n\0";
    static const char big[] = "\xfe\xff"
                              "\0F\0R\0O\0M\0 \0\xe9\xd8=\xde\0\0\n";
    static const char half[] = "\xff\xfe"
                               "F\0R\0O\0M\0 \0=\xd8\n";
    ae_arena arena = { 0 };
    ae_modelfile f;

    (void)state;
    assert_int_equal(ae_modelfile_parse(&f, &arena, little, sizeof little - 1, NULL), AERIE_OK);
    assert_string_equal(f.lines[0].value, "\xc3\xa9\xf0\x9f\x98\x80");
    assert_int_equal(ae_modelfile_parse(&f, &arena, big, sizeof big - 1, NULL), AERIE_OK);
    assert_string_equal(f.lines[0].value, "\xc3\xa9\xf0\x9f\x98\x80");
    assert_int_equal(ae_modelfile_parse(&f, &arena, half, sizeof half - 1, NULL), AERIE_OK);
    assert_string_equal(f.lines[0].value, "\xef\xbf\xbd");
    ae_arena_free(&arena);
}

static void parameters_have_types(void **state)
{
    static const struct {
        const char *name, *value, *json;
    } right[] = {
        { "num_ctx", "4096", "4096" },          { "seed", "-1", "-1" },
        { "temperature", "0.5", "0.5" },        { "top_p", "1", "1.0" },
        { "stop", "<|end|>", "[\"<|end|>\"]" }, { "use_mmap", "true", "true" },
        { "use_mmap", "0", "false" },
    };
    static const struct {
        const char *name, *value, *sentence;
    } wrong[] = {
        { "num_ctx", "4k", "invalid int value [4k]" },
        { "num_ctx", "99999999999999999999", "invalid int value" },
        { "num_ctx", "", "invalid int value" },
        { "temperature", "warm", "invalid float value [warm]" },
        { "temperature", "nan", "invalid float value" },
        { "temperature", "1e999", "invalid float value" },
        { "use_mmap", "maybe", "invalid bool value" },
        { "temprature", "1", "unknown parameter 'temprature'; did you mean 'temperature'?" },
        { "", "1", "unknown parameter ''" },
    };
    json_t *value;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(right); i++) {
        assert_int_equal(ae_parameter_parse(&value, right[i].name, right[i].value, NULL), AERIE_OK);
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        assert_string_equal(text, right[i].json);
        free(text);
        json_decref(value);
    }
    for (size_t i = 0; i < AE_COUNT(wrong); i++) {
        aerie_error err = { 0 };
        assert_int_equal(ae_parameter_parse(&value, wrong[i].name, wrong[i].value, &err),
                         AERIE_BAD_ARGUMENT);
        if (!strstr(err.message, wrong[i].sentence)) fail_msg("%s", err.message);
    }
    assert_int_equal(ae_parameter_parse(&value, "mirostat", "2", NULL), AERIE_OK);
    assert_null(value);
}

static void out_of_memory_is_survived(void **state)
{
    static const char text[] = "FROM a\nPARAMETER stop x\nSYSTEM \"\"\"\na\n\"\"\"\n";
    size_t before = ae_alloc_bytes();
    bool failed = true;

    (void)state;
    for (long n = 1; failed; n++) {
        ae_arena arena = { 0 };
        ae_modelfile f;
        ae_alloc_fail_at(n);
        aerie_status status = parse(&f, &arena, text, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_true(status == AERIE_OK || (failed && status == AERIE_NO_MEMORY));
        ae_arena_free(&arena);
        assert_int_equal(ae_alloc_bytes(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_printed_is_read_again),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(utf16_is_read),
        cmocka_unit_test(parameters_have_types),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
