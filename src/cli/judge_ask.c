/* judge_ask.c -- `aerie judge mtbench`, `alpaca`, `arena-hard` with -o: benchmarks carried out, by
 * models that answer and a judge. */
#include "aerie/alpaca_eval.h"
#include "aerie/arena_hard.h"
#include "aerie/mt_bench.h"
#include "aerie/text.h"

#include "cli/cli.h"
#include "cli/judge.h"
#include "cli/sides.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 3, OPTIONS = 20 };

typedef struct {
    cli_common common;
    cli_sides models, judges;
    const char *judge, *data, *svg, *baseline, *prompt_file, *difficulty;
    int64_t context, retries;
    aerie_judged by;
    ae_bytes paths[FILES], prompt;
    cli_progress bar;
} ask_call;

/* ---- the benchmarks' files ---- */

typedef struct {
    const char *what;  /* for people */
    const char *where; /* who publishes it */
    bool of_judges;    /* needed by a judge alone */
    const char
        *names[5]; /* in the folder that --data names, as they and copies of them are called */
} ask_file;

static const char fastchat[] = "FastChat, in fastchat/llm_judge/data";
static const char arena[] = "lmarena/arena-hard-auto, in data/arena-hard-v0.1";
static const char alpaca[] = "alpaca_eval, as alpaca_eval_gpt4_baseline.json";

static bool is_folder(const char *path)
{
    struct stat s;

    return !stat(path, &s) && S_ISDIR(s.st_mode);
}

static aerie_status find_file(ask_call *c, size_t which, const ask_file *f, aerie_error *err)
{
    ae_bytes *path = &c->paths[which];

    /* The questions' file itself. */
    if (which == 0 && ae_file_exists(c->data) && !is_folder(c->data)) {
        ae_bytes_add_text(path, c->data);
        return ae_bytes_status(path, err);
    }
    for (size_t i = 0; i < AE_COUNT(f->names) && f->names[i]; i++) {
        ae_bytes_clear(path);
        ae_bytes_printf(path, "%s/%s", c->data, f->names[i]);
        if (path->failed) return ae_bytes_status(path, err);
        if (!access(path->data, R_OK)) return AERIE_OK;
    }
    return aerie_fail(err, AERIE_NOT_FOUND, "%s: %s (%s) are not in it; they are published with %s",
                      c->data, f->what, f->names[0], f->where);
}

/* ---- what is a benchmark's own ---- */

static aerie_status run_mt_bench(ask_call *c, char **json, aerie_error *err)
{
    const aerie_mt_bench_options with = { .by = c->by,
                                          .questions = c->paths[0].data,
                                          .references = c->paths[1].data,
                                          .prompts = c->paths[2].data,
                                          .baseline = c->baseline };

    return aerie_mt_bench(&with, json, err);
}

static aerie_status run_alpaca_eval(ask_call *c, char **json, aerie_error *err)
{
    const aerie_alpaca_eval_options with = { .by = c->by,
                                             .questions = c->paths[0].data,
                                             .baseline = c->baseline,
                                             .prompt = c->prompt.data,
                                             .difficulty = c->difficulty };

    return aerie_alpaca_eval(&with, json, err);
}

static aerie_status run_arena_hard(ask_call *c, char **json, aerie_error *err)
{
    const aerie_arena_hard_options with = { .by = c->by,
                                            .questions = c->paths[0].data,
                                            .baseline =
                                                c->baseline ? c->baseline : c->paths[1].data,
                                            .prompt = c->prompt.data };

    return aerie_arena_hard(&with, json, err);
}

typedef struct {
    const char *word, *name, *usage, *about;
    aerie_status (*run)(ask_call *c, char **json, aerie_error *err);
    const char *tokens[2]; /* of an answer and a judgment, by default; for the help */
    ask_file files[FILES];
} ask_kind;

static const ask_kind kinds[] = {
    { "mtbench",
      "MT-Bench",
      "aerie judge mtbench MODEL... -o DIR --data DIR --judge MODEL|URL#NAME [options]",
      "Has models answer MT-Bench's questions, both turns, and a judge mark the answers.\nA MODEL "
      "may be URL#NAME, at an OpenAI-compatible server. A judge that is a model here is\nheld to a "
      "grammar, so that each of its verdicts can be read. What is in DIR is not asked again.\n\n"
      "With files of judgments in place of models, and without -o, it only tells their numbers:\n\n"
      "  aerie judge mtbench JUDGMENTS... [--questions FILE] [--svg FILE]",
      run_mt_bench,
      { "longest answer (1024)", "longest judgment (2048)" },
      { { "MT-Bench's questions",
          fastchat,
          false,
          { "mt_bench/question.jsonl", "question.jsonl", "mt_bench_question.jsonl" } },
        { "MT-Bench's reference answers",
          fastchat,
          true,
          { "mt_bench/reference_answer/gpt-4.jsonl", "reference_answer/gpt-4.jsonl", "gpt-4.jsonl",
            "mt_bench_reference_gpt4.jsonl" } },
        { "MT-Bench's judge's prompts",
          fastchat,
          true,
          { "judge_prompts.jsonl", "mt_bench_judge_prompts.jsonl" } } } },
    { "alpaca",
      "AlpacaEval",
      "aerie judge alpaca MODEL... -o DIR --data FILE --judge MODEL|URL#NAME [options]",
      "Has models answer AlpacaEval's instructions, and a judge compare each answer with the "
      "baseline's\n(version 2: how probable the letters m and M are as its reply). A MODEL may be "
      "URL#NAME, at an\nOpenAI-compatible server. A judge that is a model here is held to these "
      "letters. What is in DIR\nis not asked again.\n\nWith files of annotations in place of "
      "models, and without -o, it only tells their numbers:\n\n  aerie judge alpaca ANNOTATIONS... "
      "[--outputs FILE] [--difficulty FILE]",
      run_alpaca_eval,
      { "longest answer (the model's, or 2048)", "longest judgment (1)" },
      { { "AlpacaEval's instructions with the baseline's outputs",
          alpaca,
          false,
          { "alpaca_eval_gpt4_baseline.json", "prompts.jsonl.gz", "prompts.jsonl",
            "alpaca_eval.json" } } } },
    { "arena-hard",
      "Arena-Hard",
      "aerie judge arena-hard MODEL... -o DIR --data DIR --judge MODEL|URL#NAME [options]",
      "Has models answer Arena-Hard's questions, and a judge compare each answer with the "
      "baseline's, in\nboth orders. A MODEL may be URL#NAME, at an OpenAI-compatible server. A "
      "judge "
      "that is a model here\nis held to a grammar, so that each of its verdicts can be read. What "
      "is in DIR is not asked again.\n\nWith files of judgments in place of models, and without "
      "-o, it only tells their numbers:\n\n  aerie judge arena-hard JUDGMENTS... [--answers FILE]",
      run_arena_hard,
      { "longest answer (4096)", "longest judgment (4096)" },
      { { "Arena-Hard's questions",
          arena,
          false,
          { "question.jsonl", "arena_hard_v01_question.jsonl.gz",
            "arena_hard_v01_question.jsonl" } },
        { "the baseline's answers",
          arena,
          true,
          { "model_answer/gpt-4-0314.jsonl", "gpt-4-0314.jsonl",
            "arena_hard_v01_gpt4_0314_answers.jsonl.gz",
            "arena_hard_v01_gpt4_0314_answers.jsonl" } } } },
};

enum { MT_BENCH, ALPACA_EVAL, ARENA_HARD };

/* ---- the call ---- */

static bool on_progress(void *user, const char *what, int64_t n_done, int64_t n)
{
    ask_call *c = user;

    cli_progress_draw(&c->bar, (double)n_done / (double)(n > 0 ? n : 1), "%s: %lld of %lld", what,
                      (long long)n_done, (long long)n);
    return !cli_interrupted();
}

static aerie_status open_all(ask_call *c, const ask_kind *kind, const cli_call *call,
                             aerie_error *err)
{
    const char *const judge[] = { c->judge };
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < FILES && !status; i++) {
        const ask_file *f = &kind->files[i];
        bool is_given = i > 0 && kind == &kinds[ARENA_HARD] && c->baseline;
        if (f->what && !is_given && (c->judge || !f->of_judges)) status = find_file(c, i, f, err);
    }
    if (!status && c->prompt_file) {
        status = ae_file_read(&c->prompt, c->prompt_file, 1 << 20, err);
        if (!status && !c->prompt.len)
            status = aerie_fail(err, AERIE_BAD_FILE, "%s: it is empty", c->prompt_file);
    }
    c->models.context = c->judges.context = c->context;
    if (!status) status = cli_sides_open(&c->models, call->words, call->n_words, &c->common, err);
    if (!status && c->judge) status = cli_sides_open(&c->judges, judge, 1, &c->common, err);
    return status;
}

static aerie_status run(ask_call *c, const ask_kind *kind, const cli_call *call, char **json,
                        aerie_error *err)
{
    aerie_status status = open_all(c, kind, call, err);

    if (status) return status;
    c->by.models = c->models.contenders;
    c->by.n_models = c->models.n;
    c->by.judge = c->judge ? c->judges.contenders : NULL;
    if (c->judge && !c->judges.contenders->key) c->judges.contenders->key = cli_judge_key();
    c->by.max_retries = c->retries > 0 ? (int)ae_min64(c->retries, 100) : -1;
    c->by.progress = on_progress;
    c->by.user = c;
    status = kind->run(c, json, err);
    cli_progress_end(&c->bar);
    return status;
}

static size_t list_options(cli_option *out, ask_call *c, size_t which)
{
    const ask_kind *kind = &kinds[which];
    const cli_option all[] = {
        { "--folder", 'o', CLI_TEXT, &c->by.folder, "DIR",
          "answers and judgments, in upstream's files; gone on from" },
        { "--data", 'd', CLI_TEXT, &c->data, which == ALPACA_EVAL ? "FILE|DIR" : "DIR",
          "the benchmark's published files" },
        { "--judge", 0, CLI_TEXT, &c->judge, "MODEL|URL#NAME",
          "who judges the answers; without one they are only made" },
        { "--judge-key-file", 0, CLI_TEXT, &c->judges.wishes[0].key_file, "FILE",
          "the key for the judge's server; default: $AERIE_JUDGE_KEY" },
        { "--judge-request", 0, CLI_TEXT, &c->judges.request, "JSON",
          "an object laid over every request to the judge; null takes a key out" },
        { "--key-file", 0, CLI_TEXT, &c->models.wishes[0].key_file, "FILE",
          "the key for the models' server" },
        { "--limit", 0, CLI_COUNT, &c->by.limit, "N", "the first N questions" },
        { "--max-tokens", 0, CLI_COUNT, &c->by.max_tokens, "N", kind->tokens[0] },
        { "--judge-tokens", 0, CLI_COUNT, &c->by.judge_tokens, "N", kind->tokens[1] },
        { "--parallel", 0, CLI_COUNT, &c->by.parallel, "N", "replies at once (8; of a server 4)" },
        { "--timeout", 0, CLI_AMOUNT, &c->by.timeout_seconds, "SECONDS",
          "without a byte from a server (300)" },
        { "--retries", 0, CLI_COUNT, &c->retries, "N",
          "of a request that failed or was put off (8)" },
        { "--ctx", 'c', CLI_COUNT, &c->context, "N", "tokens of a prompt and its reply (8192)" },
    };
    const cli_option own[3][4] = {
        { { "--pairs-with", 0, CLI_TEXT, &c->baseline, "MODEL",
            "in place of marks: every model against this one of them, in both orders" },
          { "--svg", 0, CLI_TEXT, &c->svg, "FILE", "draw the categories" } },
        { { "--temp", 0, CLI_AMOUNT, &c->models.wishes[0].temperature, "X",
            "temperature of the answers; default: the model's own, or 0.8" },
          { "--baseline", 0, CLI_TEXT, &c->baseline, "NAME",
            "whose outputs in the data (their generator, or gpt4_1106_preview)" },
          { "--prompt", 0, CLI_TEXT, &c->prompt_file, "FILE",
            "the judge's prompt, in place of the published one" },
          { "--difficulty", 0, CLI_TEXT, &c->difficulty, "FILE",
            "alpaca_eval's df_gamed.csv or instruction_difficulty.csv" } },
        { { "--baseline", 0, CLI_TEXT, &c->baseline, "FILE",
            "the baseline's answers (gpt-4-0314's, of --data)" },
          { "--prompt", 0, CLI_TEXT, &c->prompt_file, "FILE",
            "the judge's system message, in place of the published one" } },
    };
    size_t n = 0;

    for (size_t i = 0; i < AE_COUNT(all); i++) out[n++] = all[i];
    for (size_t i = 0; i < AE_COUNT(own[0]) && own[which][i].name; i++) out[n++] = own[which][i];
    return n;
}

static int ask_models(size_t which, int argc, char **argv)
{
    static ask_call c;
    const ask_kind *kind = &kinds[which];
    cli_option unused[SIDE_OPTIONS + 1] = { { 0 } }, options[OPTIONS] = { { 0 } };
    aerie_error err = { 0 };
    char *json = NULL;
    int code;
    cli_call call = { .usage = kind->usage,
                      .about = kind->about,
                      .options = options,
                      .min_words = 1,
                      .max_words = SIDES };

    cli_sides_options(&c.models, unused);
    cli_sides_options(&c.judges, unused);
    list_options(options, &c, which);
    c.context = 8192;
    c.retries = 8;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (!c.by.folder) return cli_misused("give the folder for the answers: -o DIR");
    if (!c.data) return cli_misused("give %s's files: --data %s", kind->name, options[1].value);
    if (!cli_is_request("--judge-request", c.judges.request)) return CLI_USAGE;
    c.bar.off = c.common.quiet;
    cli_catch_interrupt();
    aerie_status status = run(&c, kind, &call, &json, &err);
    cli_sides_close(&c.models);
    cli_sides_close(&c.judges);
    for (size_t i = 0; i < FILES; i++) ae_bytes_free(&c.paths[i]);
    ae_bytes_free(&c.prompt);
    if (status) return cli_fail(&err);
    if (!c.judge && !c.common.quiet)
        fprintf(stderr, "wrote the answers to %s; --judge has them judged\n", c.by.folder);
    return json ? cli_judge_tell(kind->word, json, c.svg, c.common.json) : CLI_DONE;
}

bool cli_judge_ask(int argc, char **argv, int *code)
{
    for (size_t i = 0; i < AE_COUNT(kinds); i++)
        if (!strcmp(argv[0], kinds[i].word)) {
            *code = ask_models(i, argc, argv);
            return true;
        }
    return false;
}
