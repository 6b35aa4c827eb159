/* judge_boards.c -- `aerie judge mtbench`, `alpaca`, `arena-hard`, `rewardbench`: what the
 * published benchmarks make of files of verdicts, and of a reward model. */
#include "aerie/scoreboard.h"
#include "aerie/text.h"

#include "cli/cli.h"
#include "cli/jsonl.h"
#include "cli/judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    cli_common common;
    cli_list texts;
    const char *svg, *template_word, *difficulty;
    int64_t max_length;
    cli_progress bar;
} board_call;

/* ---- tables ---- */

enum { CELL = 32, COLUMNS = 6 };

typedef struct {
    char text[COLUMNS][CELL];
} cells;

static const char *number(char out[CELL], const json_t *row, const char *key, int digits)
{
    const json_t *value = json_object_get(row, key);

    if (!json_is_number(value)) return "-";
    snprintf(out, CELL, "%.*f", digits, json_number_value(value));
    return out;
}

static const char *text(const json_t *row, const char *key)
{
    const char *value = json_string_value(json_object_get(row, key));

    return value ? value : "";
}

typedef cli_row row_fn(const json_t *row, cells *room);

static void print_list(const json_t *list, const cli_row *heading, row_fn *row_of)
{
    size_t n = json_array_size(list);
    cli_row *rows = ae_alloc(n + 1, sizeof *rows);
    cells *room = ae_alloc(n + 1, sizeof *room);

    if (rows && room && n) {
        rows[0] = *heading;
        for (size_t i = 0; i < n; i++) rows[i + 1] = row_of(json_array_get(list, i), &room[i]);
        cli_print_table(rows, n + 1, "");
    }
    ae_free(rows);
    ae_free(room);
}

static cli_row mtbench_row(const json_t *m, cells *c)
{
    snprintf(c->text[4], CELL, "%lld", (long long)json_integer_value(json_object_get(m, "n")));
    return (cli_row){ { text(m, "model"), number(c->text[0], m, "score", 3),
                        number(c->text[1], m, "stderr", 3), number(c->text[2], m, "first_turn", 3),
                        number(c->text[3], m, "second_turn", 3), c->text[4] } };
}

static cli_row pair_row(const json_t *m, cells *c)
{
    snprintf(c->text[2], CELL, "%lld", (long long)json_integer_value(json_object_get(m, "win")));
    snprintf(c->text[3], CELL, "%lld", (long long)json_integer_value(json_object_get(m, "loss")));
    snprintf(c->text[4], CELL, "%lld", (long long)json_integer_value(json_object_get(m, "tie")));
    return (cli_row){ { text(m, "model"), number(c->text[0], m, "win_rate_adjusted", 3),
                        number(c->text[1], m, "win_rate", 3), c->text[2], c->text[3],
                        c->text[4] } };
}

static cli_row alpaca_row(const json_t *m, cells *c)
{
    snprintf(c->text[4], CELL, "%lld",
             (long long)json_integer_value(json_object_get(m, "n_total")));
    return (cli_row){ { text(m, "model"), number(c->text[0], m, "win_rate", 2),
                        number(c->text[1], m, "standard_error", 2),
                        number(c->text[2], m, "length_controlled", 2),
                        number(c->text[3], m, "avg_length", 0), c->text[4] } };
}

static cli_row arena_row(const json_t *m, cells *c)
{
    const json_t *at = json_object_get(m, "interval90");

    snprintf(c->text[1], CELL, "[%.1f, %.1f]", json_number_value(json_array_get(at, 0)),
             json_number_value(json_array_get(at, 1)));
    snprintf(c->text[2], CELL, "%lld", (long long)json_integer_value(json_object_get(m, "n")));
    snprintf(c->text[3], CELL, "%lld",
             (long long)json_integer_value(json_object_get(m, "dropped")));
    return (cli_row){ { text(m, "model"), number(c->text[0], m, "score", 1), c->text[1],
                        number(c->text[4], m, "style_controlled", 1), c->text[2], c->text[3] } };
}

static cli_row reward_row(const json_t *m, cells *c)
{
    const json_t *at = json_object_get(m, "interval");

    snprintf(c->text[1], CELL, "[%.3f, %.3f]", json_number_value(json_array_get(at, 0)),
             json_number_value(json_array_get(at, 1)));
    snprintf(c->text[2], CELL, "%lld", (long long)json_integer_value(json_object_get(m, "n")));
    return (cli_row){ { text(m, "subset"), number(c->text[0], m, "accuracy", 3), c->text[1],
                        c->text[2] } };
}

static void print_mtbench(const json_t *board)
{
    print_list(json_object_get(board, "models"),
               &(cli_row){ { "model", "score", "error", "turn 1", "turn 2", "marks" } },
               mtbench_row);
    print_list(json_object_get(board, "pairwise"),
               &(cli_row){ { "model", "wins and half the ties", "wins", "won", "lost", "tied" } },
               pair_row);
}

static void print_alpaca(const json_t *board)
{
    print_list(
        json_object_get(board, "models"),
        &(cli_row){ { "model", "win rate %", "error", "at equal length", "characters", "n" } },
        alpaca_row);
}

static void print_arena(const json_t *board)
{
    print_list(json_object_get(board, "models"),
               &(cli_row){ { "model", "score", "90 %", "in equal style", "questions", "dropped" } },
               arena_row);
}

static void print_rewards(const json_t *board)
{
    const char *name;
    json_t *value;

    print_list(json_object_get(board, "subsets"),
               &(cli_row){ { "subset", "accuracy", "95 %", "pairs" } }, reward_row);
    json_object_foreach(json_object_get(board, "sections"), name, value)
        printf("%s: %.3f\n", name, json_number_value(value));
    printf("all pairs: %.3f\n", json_number_value(json_object_get(board, "accuracy")));
}

/* ---- MT-Bench's figure ---- */

enum { KINDS = 8, MODELS = 8 };
static const char *const kinds[KINDS] = { "writing", "roleplay",   "reasoning", "math",
                                          "coding",  "extraction", "stem",      "humanities" };

static aerie_status write_radar(const char *path, const json_t *board, aerie_error *err)
{
    static const char *const names[KINDS] = { "Writing", "Roleplay",   "Reasoning", "Math",
                                              "Coding",  "Extraction", "STEM",      "Humanities" };
    const json_t *models = json_object_get(board, "models");
    double values[MODELS][KINDS];
    radar_series series[MODELS];
    size_t n = json_array_size(models) < MODELS ? json_array_size(models) : MODELS;
    ae_bytes out = { 0 };

    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(models, i), *of = json_object_get(m, "categories");
        for (int k = 0; k < KINDS; k++) {
            const json_t *value = json_object_get(of, kinds[k]);
            values[i][k] = value ? json_number_value(value) : NAN;
        }
        series[i] = (radar_series){ text(m, "model"), values[i] };
    }
    plot_radar(&out, "MT-Bench", names, KINDS, 10, series, n);
    aerie_status status = ae_bytes_status(&out, err);
    if (!status) status = ae_file_write(path, out.data, out.len, err);
    ae_bytes_free(&out);
    return status;
}

/* ---- the calls ---- */

typedef void print_fn(const json_t *board);

static const struct {
    const char *word, *usage, *about, *texts, *texts_help;
    aerie_scoreboard_kind benchmark;
    print_fn *print;
} boards[] = {
    { "mtbench", "aerie judge mtbench JUDGMENTS... [options]",
      "MT-Bench's scores and win rates from FastChat's files of judgments, single and pairwise.",
      "--questions", "the questions, for categories that the judgments do not name; repeatable",
      AERIE_MT_BENCH, print_mtbench },
    { "alpaca", "aerie judge alpaca ANNOTATIONS... [options]",
      "AlpacaEval's win rates from its files of annotations, versions 1 and 2.", "--outputs",
      "what the models wrote, for lengths that the annotations do not hold; repeatable",
      AERIE_ALPACA_EVAL, print_alpaca },
    { "arena-hard", "aerie judge arena-hard JUDGMENTS... [options]",
      "Arena-Hard's scores from its files of judgments, with style control where answers are "
      "given.",
      "--answers", "what the models and the baseline wrote, for style control; repeatable",
      AERIE_ARENA_HARD, print_arena },
};

static int finish(const board_call *c, char *json, print_fn *print)
{
    json_t *board = json_loads(json, 0, NULL);
    aerie_error err = { 0 };
    aerie_status status = AERIE_OK;

    aerie_free(json);
    if (c->svg) status = write_radar(c->svg, board, &err);
    if (c->common.json) {
        cli_print_json(board);
    } else {
        print(board);
        json_decref(board);
    }
    return status ? cli_fail(&err) : CLI_DONE;
}

static int tell_board(size_t which, int argc, char **argv)
{
    board_call c = { 0 };
    aerie_error err = { 0 };
    cli_option options[4] = { { 0 } };
    int n = 0, code;
    char *json;

    if (boards[which].texts)
        options[n++] = (cli_option){ boards[which].texts,     0, CLI_LIST, &c.texts, "FILE",
                                     boards[which].texts_help };
    if (boards[which].benchmark == AERIE_MT_BENCH)
        options[n++] = (cli_option){ "--svg", 0,      CLI_TEXT,
                                     &c.svg,  "FILE", "draw the categories of up to 8 models" };
    if (boards[which].benchmark == AERIE_ALPACA_EVAL)
        options[n++] = (cli_option){
            "--difficulty", 0,      CLI_TEXT,
            &c.difficulty,  "FILE", "alpaca_eval's df_gamed.csv or instruction_difficulty.csv"
        };
    cli_call call = { .usage = boards[which].usage,
                      .about = boards[which].about,
                      .options = options,
                      .min_words = 1,
                      .max_words = (int)AE_COUNT(call.words) };
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    const aerie_verdict_files files = { call.words, (size_t)call.n_words, c.texts.items,
                                        (size_t)c.texts.n, c.difficulty };
    if (aerie_scoreboard(boards[which].benchmark, &files, &json, &err)) return cli_fail(&err);
    return finish(&c, json, boards[which].print);
}

static bool on_pair(void *user, int64_t n_done)
{
    board_call *c = user;

    cli_progress_draw(&c->bar, 0, "%lld pairs", (long long)n_done);
    return !cli_interrupted();
}

static int reward_bench(int argc, char **argv)
{
    board_call c = { 0 };
    aerie_error err = { 0 };
    const cli_option options[] = {
        { "--data", 0, CLI_LIST, &c.texts, "FILE",
          "pairs: {prompt, chosen, rejected, subset}, or LLMBar's; repeatable" },
        { "--template", 0, CLI_TEXT, &c.template_word, "T",
          "a known format's name, a Jinja file or Jinja" },
        { "--max-length", 0, CLI_COUNT, &c.max_length, "N", "tokens of a prompt with a reply" },
        { 0 },
    };
    cli_call call = { .usage = "aerie judge rewardbench RM --data FILE [options]",
                      .about = "How often a reward model scores the better reply of a pair higher, "
                               "in RewardBench's subsets\nand sections.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 1 };
    ae_bytes chat_template = { 0 };
    aerie_model *m = NULL;
    char *json = NULL;
    int code;

    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (!c.texts.n) return cli_misused("give --data FILE; usage: %s", call.usage);
    c.bar.off = c.common.quiet;
    cli_catch_interrupt();
    aerie_status status = AERIE_OK;
    if (c.template_word) status = cli_read_template(&chat_template, c.template_word, &err);
    if (!status) status = cli_open(&m, call.words[0], &c.common, &err);
    const aerie_score_options with = { .chat_template = chat_template.data,
                                       .max_length = c.max_length };
    if (!status)
        status = aerie_reward_bench(m, c.texts.items, (size_t)c.texts.n, &with, on_pair, &c, &json,
                                    &err);
    cli_progress_end(&c.bar);
    aerie_model_close(m);
    ae_bytes_free(&chat_template);
    if (status) return cli_fail(&err);
    return finish(&c, json, print_rewards);
}

int cli_judge_tell(const char *word, char *json, const char *svg, bool as_json)
{
    const board_call c = { .common.json = as_json, .svg = svg };
    size_t which = 0;

    while (strcmp(boards[which].word, word) != 0) which++;
    return finish(&c, json, boards[which].print);
}

/* -o says that models are to be asked; the help of both is one. */
static bool asks_models(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], "-o", 2) || !strncmp(argv[i], "--folder", 8) ||
            !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return true;
    return false;
}

bool cli_judge_board(int argc, char **argv, int *code)
{
    if (asks_models(argc, argv) && cli_judge_ask(argc, argv, code)) return true;
    for (size_t i = 0; i < AE_COUNT(boards); i++)
        if (!strcmp(argv[0], boards[i].word)) {
            *code = tell_board(i, argc, argv);
            return true;
        }
    if (strcmp(argv[0], "rewardbench") != 0) return false;
    *code = reward_bench(argc, argv);
    return true;
}
