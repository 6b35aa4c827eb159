/* test_board.c -- benchmarks' numbers against what their own programs computed of the same
 * verdicts. */
#include "board/board_files.h"

/* ---- MT-Bench ---- */

static void test_ratings(void **state)
{
    json_t *root = golden_file("mtbench.json"), *one;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "single_extraction"), i, one)
    {
        const char *words = json_string_value(json_object_get(one, "judgment"));
        const json_t *score = json_object_get(one, "score");
        /* Where FastChat raises an exception there is no mark. */
        double wanted = json_is_number(score) ? json_number_value(score) : -1;
        if (ae_board_rating(ae_span_text(words)) != wanted)
            fail_msg("'%s' gives %g, not %g", words, ae_board_rating(ae_span_text(words)), wanted);
    }
    assert_true(i >= 10);
    json_decref(root);
}

static void test_winners(void **state)
{
    static const char *const names[] = { "error", "A", "B", "tie" };
    json_t *root = golden_file("mtbench.json"), *one;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "pair_extraction"), i, one)
    {
        const char *words = json_string_value(json_object_get(one, "judgment"));
        char w = json_object_get(one, "output_format")
                     ? ae_board_winner_by_marks(ae_span_text(words))
                     : ae_board_winner(ae_span_text(words));
        assert_string_equal(names[w ? w - 'A' + 1 : 0],
                            json_string_value(json_object_get(one, "winner")));
    }
    assert_true(i >= 9);
    json_decref(root);
}

static void test_single_scores(void **state)
{
    static const char *const keys[][2] = { { "first_turn", "first_turn" },
                                           { "second_turn", "second_turn" },
                                           { "score", "average_over_all_valid_rows" } };
    json_t *root = golden_file("mtbench.json"), *rows, *row, *board, *value;
    const json_t *wanted = json_object_get(root, "single_aggregate"), *m;
    const char *name;
    size_t i;

    (void)state;
    rows = json_incref(json_object_get(root, "single_scores"));
    json_array_foreach(rows, i, row) json_object_set_new(row, "model", json_string("it"));
    board = board_of(ae_board_mtbench, rows, NULL);
    m = model_of(board, NULL);
    for (i = 0; i < 3; i++)
        is_close(real_of(m, keys[i][0]), real_of(wanted, keys[i][1]), 1e-15, keys[i][0]);
    json_object_foreach(json_object_get(wanted, "category"), name, value) is_close(
        real_of(json_object_get(m, "categories"), name), json_number_value(value), 1e-15, name);
    assert_int_equal(whole_of(m, "without_mark"), 2);
    json_decref(board);
    json_decref(root);
}

/* Categories of the published questions, of a file of questions, and of the judgments' words. */
static void test_categories(void **state)
{
    json_t *rows = json_pack("[{s:i, s:s, s:i, s:s}, {s:i, s:s, s:i, s:s}]", "question_id", 125,
                             "model", "it", "turn", 1, "judgment", "Rating: [[7]]", "question_id",
                             900, "model", "it", "turn", 2, "judgment", "[9]");
    json_t *questions = json_pack("[{s:i, s:s}]", "question_id", 900, "category", "stem");
    json_t *board = board_of(ae_board_mtbench, rows, questions);
    const json_t *of = json_object_get(model_of(board, NULL), "categories");

    (void)state;
    assert_true(real_of(of, "coding") == 7);
    assert_true(real_of(of, "stem") == 9);
    json_decref(board);
}

static void test_pairs(void **state)
{
    json_t *root = golden_file("mtbench.json"), *rows, *row, *board, *one;
    const json_t *table = json_object_get(root, "pairwise_table");
    size_t i;

    (void)state;
    rows = json_array();
    json_array_foreach(json_object_get(root, "position_swap"), i, row) json_array_append_new(
        rows, json_pack("{s:s, s:s, s:O, s:O}", "model_1", "model_1", "model_2", "model_2",
                        "g1_winner", json_object_get(row, "g1_winner"), "g2_winner",
                        json_object_get(row, "g2_winner")));
    board = board_of(ae_board_mtbench, rows, NULL);
    json_array_foreach(json_object_get(board, "pairwise"), i, one)
    {
        const json_t *wanted =
            json_object_get(table, json_string_value(json_object_get(one, "model")));
        static const char *const keys[] = { "win",      "loss",      "tie",
                                            "win_rate", "loss_rate", "win_rate_adjusted" };
        for (size_t k = 0; k < AE_COUNT(keys); k++)
            is_close(real_of(one, keys[k]), real_of(wanted, keys[k]), 1e-15, keys[k]);
    }
    assert_int_equal(i, 2);
    assert_int_equal(whole_of(board, "dropped"), 1);
    json_decref(board);
    json_decref(root);
}

/* The same verdicts from the judges' words: in the second game the second model is A. */
static void test_words_of_pairs(void **state)
{
    json_t *rows = json_pack("[{s:s, s:s, s:s, s:s}]", "model_1", "one", "model_2", "two",
                             "g1_judgment", "So [[A]]", "g2_judgment", "So [[B]]");
    json_t *board = board_of(ae_board_mtbench, rows, NULL);
    const json_t *best = json_array_get(json_object_get(board, "pairwise"), 0);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(best, "model")), "one");
    assert_int_equal(whole_of(best, "win"), 1);
    json_decref(board);
}

/* ---- AlpacaEval ---- */

static void test_alpaca(void **state)
{
    static const char *const keys[] = { "win_rate",         "standard_error", "n_wins",
                                        "n_wins_base",      "n_draws",        "n_total",
                                        "discrete_win_rate" };
    json_t *root = golden_file("alpacaeval.json"), *rows = json_array(), *p, *board;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "preferences"), i, p)
        json_array_append_new(rows, json_pack("{s:s, s:O}", "generator_2", "it", "preference", p));
    board = board_of(ae_board_alpaca, rows, NULL);
    for (size_t k = 0; k < AE_COUNT(keys); k++)
        is_close(real_of(model_of(board, NULL), keys[k]), real_of(root, keys[k]), 1e-14, keys[k]);
    assert_int_equal(whole_of(model_of(board, NULL), "without_preference"), 1);
    json_decref(board);
    json_decref(root);
}

static void test_alpaca_judge(void **state)
{
    json_t *root = golden_file("alpacaeval.json"), *one;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "logprob_parser"), i, one)
    {
        const json_t *wanted = json_object_get(one, "preference");
        double p = ae_board_alpaca_preference(json_object_get(one, "top_logprobs"));
        if (json_is_number(wanted))
            is_close(p, json_number_value(wanted), 1e-14, "a preference");
        else
            assert_true(isnan(p));
    }
    json_array_foreach(json_object_get(json_object_get(root, "output_order_switch"), "rows"), i,
                       one)
    {
        bool is;
        assert_int_equal(ae_board_alpaca_switch(
                             &is, json_string_value(json_object_get(one, "instruction")), NULL),
                         AERIE_OK);
        assert_true(is == json_is_true(json_object_get(one, "switch")));
    }
    json_decref(root);
}

/* Lengths from files of outputs, in characters, not bytes. */
static void test_alpaca_lengths(void **state)
{
    json_t *rows = json_pack("[{s:s, s:s, s:i, s:f}, {s:s, s:s, s:i, s:f}, {s:s, s:s, s:i, s:f}]",
                             "model", "it", "baseline", "base", "id", 1, "preference", 2.0, "model",
                             "it", "baseline", "base", "id", 2, "preference", 1.0, "model", "it",
                             "baseline", "base", "id", 3, "preference", 2.0);
    json_t *texts =
        json_pack("[{s:i, s:s, s:s}, {s:i, s:s, s:s}, {s:s, s:i, s:s}, {s:s, s:i, s:s}]", "id", 1,
                  "instruction", "?", "base", "12345678", "id", 2, "instruction", "?", "base",
                  "1234", "model", "it", "id", 1, "output", "\xc3\xa9\xc3\xa9", "model", "it", "id",
                  2, "output", "1234");
    json_t *board = board_of(ae_board_alpaca, rows, texts);

    (void)state;
    assert_int_equal(whole_of(model_of(board, NULL), "n_with_length"), 2);
    assert_true(real_of(model_of(board, NULL), "avg_length") == 3);
    assert_true(real_of(model_of(board, NULL), "avg_length_baseline") == 6);
    json_decref(board);
}

/* The published table's line of a model: its name, win rate, standard error, wins, losses, draws
 * and number of verdicts. False: it has none. */
static bool find_published(FILE *table, const char *name, double number[6])
{
    char line[512];

    rewind(table);
    while (fgets(line, sizeof line, table)) {
        size_t n = strcspn(line, ",");
        if (n != strlen(name) || strncmp(line, name, n) != 0) continue;
        return sscanf(line + n, ",%lf,%lf,%lf,%lf,%lf,%lf", &number[0], &number[1], &number[2],
                      &number[3], &number[4], &number[5]) == 6;
    }
    return false;
}

/* Every model of version 1 whose annotations there are. */
static void test_alpaca_published(void **state)
{
    static const char *const paths[] = {
        "../shared/data/preference/alpaca_eval/gpt4_preferences_shared.jsonl.gz"
    };
    FILE *table =
        fopen("../shared/data/preference/alpaca_eval/alpaca_eval_gpt4_leaderboard.csv", "r");
    json_t *board = NULL, *m;
    size_t i, n = 0;
    double wanted[6];

    (void)state;
    if (!table) {
        print_message("skipped: there is no ../shared/data/preference/alpaca_eval\n");
        skip();
    }
    assert_int_equal(
        ae_board_alpaca(&board, &(ae_board_files){ .paths = paths, .n_paths = 1 }, NULL), AERIE_OK);
    json_array_foreach(json_object_get(board, "models"), i, m)
    {
        static const char *const keys[] = { "win_rate",    "standard_error", "n_wins",
                                            "n_wins_base", "n_draws",        "n_total" };
        const char *name = json_string_value(json_object_get(m, "model"));
        if (strcmp(json_string_value(json_object_get(m, "annotator")), "alpaca_eval_gpt4") != 0 ||
            !find_published(table, name, wanted))
            continue;
        for (size_t k = 0; k < AE_COUNT(keys); k++)
            is_close(real_of(m, keys[k]), wanted[k], 1e-12, name);
        n++;
    }
    assert_int_equal(n, 52);
    json_decref(board);
    fclose(table);
}

/* ---- Arena-Hard ---- */

static void test_arena_hard(void **state)
{
    /* 3 votes and 1 for the model; a tie and 1 against; one without a verdict. */
    json_t *rows =
        json_pack("[{s:s, s:[{s:s}, {s:s}]}, {s:s, s:[{s:s}, {s:{s:s}}]}, {s:s, s:[{s:s}, {s:s}]}]",
                  "model", "it", "games", "score", "B>>A", "score", "A>B", "model", "it", "games",
                  "judgment", "First [[B>A]], my final verdict: [[a=b]]", "judgment", "answer",
                  "so [B>A].", "model", "it", "games", "score", "A=B", "judgment", "no verdict");
    json_t *board = board_of(ae_board_arena_hard, rows, NULL);
    const json_t *m = model_of(board, NULL);

    (void)state;
    is_close(real_of(m, "score"), 100 * 4.5 / 6, 1e-15, "the score");
    assert_int_equal(whole_of(m, "n"), 2);
    assert_int_equal(whole_of(m, "dropped"), 1);
    json_decref(board);
}

/* ---- RewardBench ---- */

static void test_rewardbench(void **state)
{
    json_t *root = golden_file("rewardbench.json"), *value, *board = NULL;
    ae_rewardbench *b = NULL;
    const char *name;

    (void)state;
    assert_int_equal(ae_rewardbench_open(&b, NULL), AERIE_OK);
    json_object_foreach(json_object_get(root, "subset_accuracy_in"), name, value)
    {
        /* Of 100 pairs; of the wrong ones every other is a tie. */
        int right = (int)lround(100 * json_number_value(value));
        for (int i = 0; i < 100; i++)
            assert_int_equal(ae_rewardbench_add(b, name, i < right ? 2 : 1, i % 2 ? 1 : 1.5, NULL),
                             AERIE_OK);
    }
    assert_int_equal(ae_rewardbench_end(&board, b, NULL), AERIE_OK);
    json_object_foreach(json_object_get(root, "section_scores"), name, value) is_close(
        real_of(json_object_get(board, "sections"), name), json_number_value(value), 1e-14, name);
    json_decref(board);
    ae_rewardbench_close(b);
    json_decref(root);
}

/* ---- what is no verdict ---- */

static void test_refusals(void **state)
{
    static const struct {
        board_fn *fn;
        const char *line, *says;
    } cases[] = {
        { ae_board_mtbench, "{\"question_id\": 81}", "model_1" },
        { ae_board_mtbench, "{\"model\": \"a\", \"turn\": 3, \"score\": 1}", "turn" },
        { ae_board_mtbench, "[1]", "" },
        { ae_board_alpaca, "{\"generator_2\": \"a\"}", "preference" },
        { ae_board_alpaca, "{\"generator_2\": \"a\", \"preference\": 7}", "from 1 to 2" },
        { ae_board_arena_hard, "{\"model\": \"a\", \"games\": [{}]}", "two 'games'" },
        { ae_board_arena_hard, "{\"model\": ", "" },
    };
    char path[64];
    const char *paths[] = { path };

    (void)state;
    snprintf(path, sizeof path, "test-board-%d-bad", (int)getpid());
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        json_t *out = NULL;
        FILE *f = fopen(path, "w");
        fputs(cases[i].line, f);
        fclose(f);
        assert_int_not_equal(
            cases[i].fn(&out, &(ae_board_files){ .paths = paths, .n_paths = 1 }, &err), AERIE_OK);
        assert_null(out);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, cases[i].says));
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratings),        cmocka_unit_test(test_winners),
        cmocka_unit_test(test_single_scores),  cmocka_unit_test(test_categories),
        cmocka_unit_test(test_pairs),          cmocka_unit_test(test_words_of_pairs),
        cmocka_unit_test(test_alpaca),         cmocka_unit_test(test_alpaca_judge),
        cmocka_unit_test(test_alpaca_lengths), cmocka_unit_test(test_alpaca_published),
        cmocka_unit_test(test_arena_hard),     cmocka_unit_test(test_rewardbench),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
