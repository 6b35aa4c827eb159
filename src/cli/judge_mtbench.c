/* judge_mtbench.c -- `aerie judge mtbench MODEL... -o FOLDER`: MT-Bench, carried out. */
#include "aerie/panel.h"
#include "aerie/text.h"

#include "cli/cli.h"
#include "cli/judge.h"
#include "cli/sides.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    cli_common common;
    cli_sides models, judges;
    const char *judge, *data, *svg;
    int64_t context;
    aerie_panel_options with;
    ae_bytes paths[3]; /* questions, references, prompts */
    cli_progress bar;
} panel_call;

/* As FastChat's folders name them, and as copies of them are called. */
static const char *const names[3][4] = {
    { "mt_bench/question.jsonl", "question.jsonl", "mt_bench_question.jsonl", NULL },
    { "mt_bench/reference_answer/gpt-4.jsonl", "reference_answer/gpt-4.jsonl", "gpt-4.jsonl",
      "mt_bench_reference_gpt4.jsonl" },
    { "judge_prompts.jsonl", "mt_bench_judge_prompts.jsonl", NULL, NULL },
};
static const char *const kinds[3] = { "questions", "reference answers", "judge's prompts" };

static aerie_status find_file(panel_call *c, size_t which, aerie_error *err)
{
    ae_bytes *path = &c->paths[which];

    for (size_t i = 0; i < AE_COUNT(names[which]) && names[which][i]; i++) {
        ae_bytes_clear(path);
        ae_bytes_printf(path, "%s/%s", c->data, names[which][i]);
        if (path->failed) return ae_bytes_status(path, err);
        if (!access(path->data, R_OK)) return AERIE_OK;
    }
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "%s: MT-Bench's %s (%s) are not in it; they are published with FastChat, in "
                      "fastchat/llm_judge/data",
                      c->data, kinds[which], names[which][0]);
}

static bool on_progress(void *user, const char *what, int64_t n_done, int64_t n)
{
    panel_call *c = user;

    cli_progress_draw(&c->bar, (double)n_done / (double)(n > 0 ? n : 1), "%s: %lld of %lld", what,
                      (long long)n_done, (long long)n);
    return !cli_interrupted();
}

static aerie_status run(panel_call *c, const cli_call *call, char **json, aerie_error *err)
{
    const char *const judge[] = { c->judge };
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < 3 && !status; i++)
        if (i == 0 || c->judge) status = find_file(c, i, err);
    c->models.context = c->judges.context = c->context;
    if (!status) status = cli_sides_open(&c->models, call->words, call->n_words, &c->common, err);
    if (!status && c->judge) status = cli_sides_open(&c->judges, judge, 1, &c->common, err);
    if (status) return status;
    c->with.models = c->models.contenders;
    c->with.n_models = c->models.n;
    c->with.judge = c->judge ? c->judges.contenders : NULL;
    c->with.questions = c->paths[0].data;
    c->with.references = c->paths[1].data;
    c->with.prompts = c->paths[2].data;
    c->with.progress = on_progress;
    c->with.user = c;
    status = aerie_panel(&c->with, json, err);
    cli_progress_end(&c->bar);
    return status;
}

int cli_judge_panel(int argc, char **argv)
{
    static panel_call c;
    cli_option unused[SIDE_OPTIONS + 1] = { { 0 } };
    aerie_error err = { 0 };
    char *json = NULL;
    int code;
    const cli_option options[] = {
        { "--folder", 'o', CLI_TEXT, &c.with.folder, "DIR",
          "answers and judgments, in FastChat's files; gone on from" },
        { "--data", 'd', CLI_TEXT, &c.data, "DIR",
          "MT-Bench's questions, judge's prompts and reference answers" },
        { "--judge", 0, CLI_TEXT, &c.judge, "MODEL|URL#NAME",
          "who marks the answers; without one they are only made" },
        { "--judge-key-file", 0, CLI_TEXT, &c.judges.wishes[0].key_file, "FILE",
          "the key for the judge's server; default: $AERIE_JUDGE_KEY" },
        { "--key-file", 0, CLI_TEXT, &c.models.wishes[0].key_file, "FILE",
          "the key for the models' server" },
        { "--pairs-with", 0, CLI_TEXT, &c.with.baseline, "MODEL",
          "in place of marks: every model against this one of them, in both orders" },
        { "--limit", 0, CLI_INT, &c.with.limit, "N", "the first N questions" },
        { "--max-tokens", 0, CLI_INT, &c.with.max_tokens, "N", "longest answer (1024)" },
        { "--judge-tokens", 0, CLI_INT, &c.with.judge_tokens, "N", "longest judgment (2048)" },
        { "--parallel", 0, CLI_INT, &c.with.parallel, "N", "replies at once (8; of a server 4)" },
        { "--timeout", 0, CLI_FLOAT, &c.with.timeout_seconds, "SECONDS",
          "without a byte from a server (300)" },
        { "--ctx", 'c', CLI_INT, &c.context, "N", "tokens of a prompt and its reply (8192)" },
        { "--svg", 0, CLI_TEXT, &c.svg, "FILE", "draw the categories" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie judge mtbench MODEL... -o DIR --data DIR --judge MODEL|URL#NAME [options]",
        .about = "Has models answer MT-Bench's questions, both turns, and a judge mark the "
                 "answers.\nA MODEL may be URL#NAME, at an OpenAI-compatible server. A judge that "
                 "is a model here is\nheld to a grammar, so that each of its verdicts can be read. "
                 "What is in DIR is not asked again.\n\nWith files of judgments in place of "
                 "models, and without -o, it only tells their numbers:\n\n  aerie judge mtbench "
                 "JUDGMENTS... [--questions FILE] [--svg FILE]",
        .options = options,
        .min_words = 1,
        .max_words = SIDES
    };

    cli_sides_options(&c.models, unused);
    cli_sides_options(&c.judges, unused);
    c.context = 8192;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (!c.with.folder) return cli_misused("give the folder for the answers: -o DIR");
    if (!c.data) return cli_misused("give MT-Bench's files: --data DIR");
    c.bar.off = c.common.quiet;
    cli_catch_interrupt();
    aerie_status status = run(&c, &call, &json, &err);
    cli_sides_close(&c.models);
    cli_sides_close(&c.judges);
    for (size_t i = 0; i < 3; i++) ae_bytes_free(&c.paths[i]);
    if (status) return status == AERIE_INTERRUPTED ? CLI_INTERRUPTED : cli_fail(&err);
    return json ? cli_judge_mtbench_tell(json, c.svg, c.common.json) : CLI_DONE;
}
