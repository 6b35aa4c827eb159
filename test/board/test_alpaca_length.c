/* test_alpaca_length.c -- AlpacaEval's win rates at equal length, from its files. */
#include "board/board_files.h"

static json_t *golden_here(void)
{
    json_t *root = json_load_file("test/stats/golden/length_control.json", 0, NULL);

    if (!root) fail_msg("test/stats/golden/length_control.json can't be read");
    return root;
}

static json_t *text_of_length(int64_t n)
{
    ae_bytes text = { 0 };

    for (int64_t i = 0; i < n; i++) ae_bytes_add_char(&text, 'x');
    json_t *out = json_stringn(text.data ? text.data : "", text.len);
    ae_bytes_free(&text);
    return out;
}

static int64_t whole_at(const json_t *of, const char *key, size_t at)
{
    return json_integer_value(json_array_get(json_object_get(of, key), at));
}

/* A case's annotations, in the benchmark's order; upstream's preference lies from 1 to 2. */
static json_t *annotations_of(const json_t *one)
{
    json_t *rows = json_array(), *y;
    size_t i;

    json_array_foreach(json_object_get(one, "y"), i, y)
    {
        char instruction[32];
        snprintf(instruction, sizeof instruction, "Do %zu.", i);
        json_array_append_new(
            rows, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "generator_1", "base",
                            "generator_2", "it", "annotator", "judge", "instruction", instruction,
                            "output_1", text_of_length(whole_at(one, "length_1", i)), "output_2",
                            text_of_length(whole_at(one, "length_2", i)), "preference",
                            json_is_null(y) ? json_null() : json_real(1 + json_number_value(y))));
    }
    return rows;
}

/* As pandas writes them: the index without a name, and df_gamed.csv with a row a verdict. */
static const char *difficulty_file(const json_t *one, char path[128])
{
    const json_t *gamed = json_object_get(one, "gamed"), *difficulty;
    size_t n_gamed = json_array_size(json_object_get(gamed, "y")), i;
    FILE *f;

    snprintf(path, 128, "test-board-%d-difficulty.csv", (int)getpid());
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(n_gamed ? "model,preference,index,std_delta_len,instruction_difficulty,"
                    "not_gamed_baseline\n"
                  : ",instruction_difficulty\n",
          f);
    json_array_foreach(json_object_get(one, "difficulty"), i, difficulty)
    {
        double d = json_number_value(difficulty);
        if (!n_gamed)
            fprintf(f, "%zu,%.17g\n", i, d);
        else if (i >= n_gamed)
            fprintf(f, "concise,,%zu,,%.17g,False\n", i, d);
        else
            fprintf(f, "concise,%.17g,%zu,%.17g,%.17g,False\n",
                    json_number_value(json_array_get(json_object_get(gamed, "y"), i)), i,
                    json_number_value(json_array_get(json_object_get(gamed, "length"), i)), d);
    }
    fclose(f);
    return path;
}

static void files_of_difficulties(void **state)
{
    static const char *const says[] = { "length_controlled_v1 without the gamed baseline",
                                        "length_controlled_v1" };
    json_t *root = golden_here(), *one;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(root, "models"), i, one)
    {
        const json_t *exact = json_object_get(one, "exact"), *m;
        char path[128];
        json_t *board =
            board_with(ae_board_alpaca, annotations_of(one), NULL, difficulty_file(one, path));
        unlink(path);
        m = model_of(board, "it");
        is_close(real_of(m, "length_controlled"), 100 * real_of(exact, "controlled"), 1e-5, "LC");
        is_close(real_of(m, "lc_standard_error"), 100 * real_of(exact, "stderr"), 1e-5,
                 "its error");
        assert_string_equal(json_string_value(json_object_get(m, "length_control")), says[i]);
        json_decref(board);
    }
    assert_int_equal(i, 2);
    json_decref(root);
}

/* Five models or more tell how difficult the instructions are; four do not. */
static void models_tell_of_difficulty(void **state)
{
    (void)state;
    for (int n_models = 4; n_models <= 5; n_models++) {
        json_t *rows = json_array();
        for (int m = 0; m < n_models; m++)
            for (int i = 0; i < 30; i++) {
                char name[16];
                snprintf(name, sizeof name, "m%d", m);
                json_array_append_new(
                    rows, json_pack("{s:s, s:s, s:i, s:o, s:o, s:f}", "model", name, "baseline",
                                    "base", "id", i, "output_1", text_of_length(50 + 7 * (i % 5)),
                                    "output_2", text_of_length(20 + 11 * ((i + m) % 7)),
                                    "preference", 1 + (double)((i * i + m) % 11) / 10));
            }
        json_t *board = board_of(ae_board_alpaca, rows, NULL);
        const json_t *first = model_of(board, "m0");
        assert_string_equal(json_string_value(json_object_get(first, "length_control")),
                            n_models == 4 ? "two parameters" : "difficulties of these models");
        double is = real_of(first, "length_controlled");
        assert_true(is > 0 && is < 100);
        json_decref(board);
    }
}

static void bad_files_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "index,instruction_difficulty\n", "no difficulty" },
        { "index,instruction_difficulty\nx,1\n", "both numbers" },
        { "index,instruction_difficulty\n0,1\n-1,1\n", "row 2" },
        { "index,instruction_difficulty\n0,nan\n", "both numbers" },
        { "index,instruction_difficulty\n1e12,1\n", "both numbers" },
        { "index,instruction_difficulty,preference,std_delta_len\n0,1,1.5,0\n", "from 0 to 1" },
        { "index,instruction_difficulty\n0,1\n", "instruction 1" },
        { "\"index", "never closed" },
    };
    json_t *rows = json_pack("[{s:s, s:s, s:s, s:f}, {s:s, s:s, s:s, s:f}]", "model", "it",
                             "output_1", "a", "output_2", "b", "preference", 1.0, "model", "it",
                             "output_1", "a", "output_2", "bb", "preference", 2.0);
    char path[128], csv[128];
    const char *paths[] = { file_of(rows, "rows", path) };

    (void)state;
    snprintf(csv, sizeof csv, "test-board-%d-bad.csv", (int)getpid());
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        const ae_board_files files = { .paths = paths, .n_paths = 1, .difficulty = csv };
        aerie_error err = { 0 };
        json_t *out = NULL;
        FILE *f = fopen(csv, "w");
        fputs(cases[i].text, f);
        fclose(f);
        assert_int_equal(ae_board_alpaca(&out, &files, &err), AERIE_BAD_FILE);
        assert_null(out);
        if (!strstr(err.message, cases[i].says)) fail_msg("%zu: %s", i, err.message);
    }
    unlink(csv);
    unlink(path);
    json_decref(rows);
}

/* The published table of AlpacaEval 2: those of its models whose annotations and outputs are at
 * hand, four instructions of five. Upstream's difficulties come of other models, and its gamed
 * baseline is not at hand: 1.4 points on average, 3.4 at most (two parameters: 5.3 and 14.7). */
static void published_rates_are_near(void **state)
{
    static const char *const paths[] = {
        "../shared/data/preference/alpaca_eval/gpt4_preferences_shared.jsonl.gz"
    };
    static const char *const texts[] = { "../shared/data/preference/alpaca_eval/outputs.jsonl.gz",
                                         "../shared/data/preference/alpaca_eval/prompts.jsonl.gz" };
    static const struct {
        const char *name;
        double rate;
    } published[] = {
        { "claude-2", 28.155196141629148 },
        { "OpenHermes-2.5-Mistral-7B", 16.248577696674843 },
        { "gpt-3.5-turbo-1106", 19.30058903498905 },
        { "gemma-7b-it", 10.425760403690134 },
        { "vicuna-7b-v1.5", 7.616892731870527 },
        { "ultralm-13b", 7.108191361311167 },
        { "phi-2-sft", 5.853787690603355 },
        { "gemma-2b-it", 5.437453620377121 },
        { "alpaca-7b", 5.875487163278986 },
    };
    json_t *board = NULL, *m;
    double sum = 0;
    size_t i, n = 0;

    (void)state;
    if (access(paths[0], R_OK)) {
        print_message("skipped: there is no ../shared/data/preference/alpaca_eval\n");
        skip();
    }
    assert_int_equal(ae_board_alpaca(&board, &(ae_board_files){ paths, 1, texts, 2, NULL }, NULL),
                     AERIE_OK);
    json_array_foreach(json_object_get(board, "models"), i, m)
    {
        if (strcmp(json_string_value(json_object_get(m, "annotator")),
                   "weighted_alpaca_eval_gpt4_turbo") != 0)
            continue;
        for (size_t k = 0; k < AE_COUNT(published); k++) {
            if (strcmp(published[k].name, json_string_value(json_object_get(m, "model"))) != 0)
                continue;
            double off = fabs(real_of(m, "length_controlled") - published[k].rate);
            if (off > 3.5) fail_msg("%s is off by %g", published[k].name, off);
            sum += off;
            n++;
        }
    }
    assert_int_equal(n, AE_COUNT(published));
    assert_true(sum / (double)n < 1.4);
    json_decref(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_difficulties),
        cmocka_unit_test(models_tell_of_difficulty),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(published_rates_are_near),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
