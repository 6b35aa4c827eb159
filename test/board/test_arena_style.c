/* test_arena_style.c -- Arena-Hard's style control against what Python computes of the same. */
#include "board/board_files.h"
#include "board/style.h"

static json_t *golden_here(void)
{
    json_t *root = json_load_file("test/board/golden/arena_style.json", 0, NULL);

    if (!root) fail_msg("test/board/golden/arena_style.json can't be read");
    return root;
}

static double item(const json_t *list, size_t at)
{
    return json_number_value(json_array_get(list, at));
}

static const char *word(const json_t *list, size_t at)
{
    return json_string_value(json_array_get(list, at));
}

static void markdown_is_counted_as_there(void **state)
{
    json_t *root = golden_here(), *one;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "texts"), i, one)
    {
        const json_t *text = json_object_get(one, "text"), *n = json_object_get(one, "counts");
        ae_board_style is = { 0 };
        assert_true(ae_board_style_count(
            &is, (ae_span){ json_string_value(text), json_string_length(text) }));
        if (is.headers != item(n, 0) || is.lists != item(n, 1) || is.bold != item(n, 2))
            fail_msg("%zu: %g %g %g in '%s'", i, is.headers, is.lists, is.bold,
                     json_string_value(text));
    }
    assert_true(i > 20);
    json_decref(root);
}

static void repeat(ae_bytes *out, const char *text, double n)
{
    for (int i = 0; i < (int)n; i++) ae_bytes_add_text(out, text);
}

/* An answer of that style, with its length in its metadata or without. */
static json_t *answer_of(const json_t *a, bool with_tokens)
{
    ae_bytes text = { 0 };
    json_t *row;

    repeat(&text, "# h\n", item(a, 3));
    repeat(&text, "- i\n", item(a, 4));
    repeat(&text, "**b** ", item(a, 5));
    row = json_pack("{s:s, s:s, s:[{s:s}, {s:s, s:{s:s}}]}", "uid", word(a, 0), "model", word(a, 1),
                    "messages", "role", "user", "role", "assistant", "content", "answer",
                    text.data ? text.data : "");
    if (with_tokens)
        json_object_set_new(row, "metadata", json_pack("{s:i}", "token_len", (int)item(a, 2)));
    ae_bytes_free(&text);
    return row;
}

static json_t *answers_of(const json_t *root, bool with_tokens)
{
    json_t *out = json_array(), *a;
    size_t i;

    json_array_foreach(json_object_get(root, "answers"), i, a)
        json_array_append_new(out, answer_of(a, with_tokens));
    return out;
}

static json_t *judgments_of(const json_t *root)
{
    json_t *out = json_array(), *j;
    size_t i;

    json_array_foreach(json_object_get(root, "judgments"), i, j) json_array_append_new(
        out, json_pack("{s:s, s:s, s:s, s:[{s:s}, {s:s}]}", "uid", word(j, 0), "model", word(j, 1),
                       "baseline", "base", "games", "score", word(j, 2), "score", word(j, 3)));
    return out;
}

static void the_fit_is_golden(void **state)
{
    static const char *const names[] = { "length", "headers", "lists", "bold" };
    json_t *root = golden_here(), *value;
    json_t *board = board_of(ae_board_arena_hard, judgments_of(root), answers_of(root, true));
    const json_t *exact = json_object_get(root, "exact");
    const json_t *early = json_object_get(root, "upstream"),
                 *style = json_object_get(board, "style");
    const char *name;

    (void)state;
    json_object_foreach(json_object_get(exact, "scores"), name, value)
    {
        const json_t *m = model_of(board, name), *at = json_object_get(m, "style_interval90");
        double is = real_of(m, "style_controlled");
        is_close(is, json_number_value(value), 1e-6, name);
        /* Where upstream's optimiser stops. */
        is_close(is, real_of(json_object_get(early, "scores"), name), 0.02, name);
        if (!(item(at, 0) < is && is < item(at, 1) && item(at, 1) - item(at, 0) < 50))
            fail_msg("%s: %g in %g .. %g", name, is, item(at, 0), item(at, 1));
    }
    for (size_t k = 0; k < AE_COUNT(names); k++)
        is_close(real_of(json_object_get(style, "weights"), names[k]),
                 item(json_object_get(exact, "weights"), k), 1e-6, names[k]);
    assert_string_equal(json_string_value(json_object_get(style, "lengths")), "tokens");
    json_decref(board);
    json_decref(root);
}

/* Without token counts lengths are bytes, of both sides; without answers it is refused. */
static void what_is_missing(void **state)
{
    json_t *root = golden_here(), *answers = answers_of(root, false), *out = NULL;
    json_t *board = board_of(ae_board_arena_hard, judgments_of(root), answers);
    char paths[2][128];
    const char *rows = paths[0], *texts = paths[1];
    aerie_error err = { 0 };

    (void)state;
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(board, "style"), "lengths")), "bytes");
    json_decref(board);
    answers = answers_of(root, true);
    json_array_remove(answers, 0);
    json_t *judgments = judgments_of(root);
    file_of(judgments, "rows", paths[0]);
    file_of(answers, "texts", paths[1]);
    assert_int_equal(
        ae_board_arena_hard(&out, &(ae_board_files){ &rows, 1, &texts, 1, NULL }, &err),
        AERIE_NOT_FOUND);
    assert_null(out);
    assert_non_null(strstr(err.message, "'base'"));
    unlink(rows);
    unlink(texts);
    json_decref(answers);
    json_decref(judgments);
    json_decref(root);
}

/* Everything won, everything alike: still a number. */
static void one_sided_games_are_no_failure(void **state)
{
    json_t *judgments = json_pack("[{s:s, s:s, s:[{s:s}, {s:s}]}]", "uid", "q", "model", "it",
                                  "games", "score", "B>>A", "score", "A>>B");
    json_t *answers = json_pack("[{s:s, s:s, s:[{s:{s:s}}]}, {s:s, s:s, s:[{s:{s:s}}]}]", "uid",
                                "q", "model", "it", "messages", "content", "answer", "", "uid", "q",
                                "model", "gpt-4-0314", "messages", "content", "answer", "");
    json_t *board = board_of(ae_board_arena_hard, judgments, answers);
    double is = real_of(model_of(board, "it"), "style_controlled");

    (void)state;
    assert_true(is > 99 && is <= 100);
    json_decref(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markdown_is_counted_as_there),
        cmocka_unit_test(the_fit_is_golden),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(one_sided_games_are_no_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
