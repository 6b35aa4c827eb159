/* judge.c -- `aerie judge label`: ranked or paired data, made by asking a judge. */
#include "aerie/judge.h"

#include "cli/child.h"
#include "cli/cli.h"
#include "cli/jsonl.h"
#include "cli/judge.h"
#include "cli/sides.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    cli_common common;
    const char *judge, *command, *how, *write, *prompt_file, *key_file, *template_word;
    int64_t low, high, retries;
    aerie_judge_options asked;
    aerie_label_options label;
    /* What these options point to. */
    cli_child child;
    int64_t patience;
    aerie_model *model;
    ae_bytes key, words, chat_template;
    cli_progress bar;
    double begun_at;
    int64_t begun_with; /* answered when this run began; -1: not known yet */
} label_call;

static bool stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

static bool on_verdict(void *user, int64_t n_done, int64_t n_questions)
{
    label_call *c = user;
    double spent = ae_clock_seconds() - c->begun_at;
    char left[32];

    if (c->begun_with < 0) c->begun_with = n_done - 1;
    cli_progress_draw(&c->bar, (double)n_done / (double)n_questions,
                      "%lld of %lld questions  %s left", (long long)n_done, (long long)n_questions,
                      cli_seconds(left, spent / (double)(n_done - c->begun_with) *
                                            (double)(n_questions - n_done)));
    return !cli_interrupted();
}

/* An aerie_judge_fn; `user` is a label_call. */
static aerie_status ask_child(void *user, const char *line, aerie_judge_answer_fn *answer, void *to,
                              aerie_error *err)
{
    label_call *c = user;
    char *text = NULL;
    aerie_status status = cli_child_start(&c->child, c->command, err);

    if (!status) status = cli_child_ask(&c->child, c->command, line, &text, err);
    if (!status) answer(to, text, strlen(text));
    ae_free(text);
    return status;
}

static aerie_status read_key(label_call *c, aerie_error *err)
{
    aerie_status status;

    c->asked.key = cli_judge_key();
    if (!c->key_file) return AERIE_OK;
    status = cli_read_key(&c->key, c->key_file, err);
    c->asked.key = c->key.data;
    return status;
}

static aerie_status choose_judge(label_call *c, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    c->asked.stop = stop;
    if (c->command) {
        c->asked.program = ask_child;
        c->asked.program_user = c;
        c->asked.program_name = c->command;
    } else if (cli_is_address(c->judge)) {
        c->asked.url = c->judge;
        status = read_key(c, err);
    } else {
        if (c->template_word) status = cli_read_template(&c->chat_template, c->template_word, err);
        c->asked.chat_template = c->chat_template.data;
        if (!status) status = cli_open(&c->model, c->judge, &c->common, err);
        c->asked.local = c->model;
    }
    return status;
}

static aerie_status label(label_call *c, aerie_label_summary *summary, aerie_error *err)
{
    aerie_judge *judge = NULL;
    aerie_status status = AERIE_OK;

    if (c->prompt_file) {
        status = ae_file_read(&c->words, c->prompt_file, 1 << 20, err);
        c->label.words = c->words.data ? c->words.data : "";
    }
    if (!status) status = choose_judge(c, err);
    if (!status) status = aerie_judge_open(&judge, &c->asked, err);
    c->begun_at = ae_clock_seconds();
    if (!status) status = aerie_label(judge, &c->label, summary, err);
    cli_progress_end(&c->bar);
    aerie_judge_close(judge);
    aerie_model_close(c->model);
    cli_child_close(&c->child);
    ae_bytes_free(&c->key);
    ae_bytes_free(&c->words);
    ae_bytes_free(&c->chat_template);
    return status;
}

/* ---- the summary ---- */

static double share(int64_t n, int64_t of)
{
    return of > 0 ? (double)n / (double)of : NAN;
}

/* Pairs with both verdicts, on texts that differ. */
static int64_t asked_pairs(const aerie_label_summary *s)
{
    return s->n_pairs - s->n_without - s->n_alike;
}

static double consistency(const aerie_label_summary *s)
{
    return share(s->n_decided + s->n_tied - s->n_alike, asked_pairs(s));
}

static json_t *number_or_null(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static void add_pairs_json(json_t *o, const aerie_label_summary *s)
{
    json_object_set_new(o, "pairs", json_integer(s->n_pairs));
    json_object_set_new(o, "decided", json_integer(s->n_decided));
    json_object_set_new(o, "tied", json_integer(s->n_tied));
    json_object_set_new(o, "half_tied", json_integer(s->n_half_tied));
    json_object_set_new(o, "turned", json_integer(s->n_turned));
    json_object_set_new(o, "without", json_integer(s->n_without));
    json_object_set_new(o, "alike", json_integer(s->n_alike));
    json_object_set_new(o, "consistency", number_or_null(consistency(s)));
    json_object_set_new(o, "first_place",
                        number_or_null(share(s->n_first, s->n_first + s->n_second)));
}

static void print_json(const label_call *c, const aerie_label_summary *s)
{
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)s->n_rows, "left_out",
                  (json_int_t)s->n_left_out, "questions", (json_int_t)s->n_questions, "kept",
                  (json_int_t)s->n_kept, "again", (json_int_t)s->n_again, "no_verdict",
                  (json_int_t)s->n_none, "written", (json_int_t)s->n_written);

    if (!o) return;
    if (c->label.scores)
        json_object_set_new(o, "mean_score", number_or_null(s->mean_score));
    else
        add_pairs_json(o, s);
    json_object_set_new(o, "known", json_integer(s->n_known));
    json_object_set_new(o, "agreement", number_or_null(share(s->n_known_agree, s->n_known)));
    json_object_set_new(o, "prompt_tokens", json_integer(s->prompt_tokens));
    json_object_set_new(o, "reply_tokens", json_integer(s->reply_tokens));
    json_object_set_new(o, "output", json_string(c->label.out_path));
    cli_print_json(o);
}

static void print_pairs(const aerie_label_summary *s)
{
    fprintf(stderr,
            "%lld pairs: %lld decided, %lld tied, %lld tied in one order, %lld turned with the "
            "order",
            (long long)s->n_pairs, (long long)s->n_decided, (long long)s->n_tied,
            (long long)s->n_half_tied, (long long)s->n_turned);
    if (s->n_without > 0) fprintf(stderr, ", %lld without a verdict", (long long)s->n_without);
    fputc('\n', stderr);
    if (asked_pairs(s) > 0)
        fprintf(stderr, "the same verdict in both orders: %.3f of the pairs\n", consistency(s));
    if (s->n_first + s->n_second > 0)
        fprintf(stderr, "for the reply that is shown first: %.3f of the verdicts that name one\n",
                share(s->n_first, s->n_first + s->n_second));
}

static void print_text(const label_call *c, const aerie_label_summary *s)
{
    fprintf(stderr, "%lld rows, %lld questions", (long long)s->n_rows, (long long)s->n_questions);
    if (s->n_kept > 0) fprintf(stderr, " (%lld answered before)", (long long)s->n_kept);
    if (s->n_again > 0) fprintf(stderr, ", %lld asked again", (long long)s->n_again);
    if (s->n_left_out > 0)
        fprintf(stderr, "; %lld rows have nothing to compare", (long long)s->n_left_out);
    fputc('\n', stderr);
    if (!c->label.scores)
        print_pairs(s);
    else if (!isnan(s->mean_score))
        fprintf(stderr, "mean mark %.3f\n", s->mean_score);
    if (s->n_known > 0)
        fprintf(stderr, "as the data has it: %.3f of %lld pairs\n",
                share(s->n_known_agree, s->n_known), (long long)s->n_known);
    fprintf(stderr, "wrote %lld lines to %s\n", (long long)s->n_written, c->label.out_path);
}

/* The reference of the field abstains past one in twenty. */
static void warn_of_silence(const aerie_label_summary *s)
{
    if (s->n_none * 20 > s->n_questions)
        fprintf(stderr,
                "aerie: warning: %lld of %lld questions got no verdict; the labels stand on the "
                "rest: look at the replies in the .verdicts.jsonl, and take another judge or "
                "prompt\n",
                (long long)s->n_none, (long long)s->n_questions);
}

/* ---- words ---- */

static int read_words(label_call *c)
{
    if ((c->judge != NULL) == (c->command != NULL))
        return cli_misused("give the judge: --judge URL with --model NAME, --judge MODEL, or "
                           "--command PROGRAM");
    if (c->judge && cli_is_address(c->judge) && !c->asked.model)
        return cli_misused("give --model NAME, as the server at %s calls it", c->judge);
    if (!c->label.out_path) return cli_misused("give the output: -o FILE.jsonl");
    if (!cli_is_request("--request", c->asked.request)) return CLI_USAGE;
    c->asked.max_retries = c->retries > 0 ? c->retries : -1;
    c->label.scores = c->how && !strcmp(c->how, "scores");
    if (c->how && !c->label.scores && strcmp(c->how, "pairs") != 0)
        return cli_misused("--how is pairs or scores, not '%s'", c->how);
    c->label.ranked = c->write ? !strcmp(c->write, "ranked") : c->label.scores;
    if (c->write && !c->label.ranked && strcmp(c->write, "pairs") != 0)
        return cli_misused("--write is pairs or ranked, not '%s'", c->write);
    if (c->low < 0 || c->high < 0 || c->high > 1000 || (c->high > 0) != (c->high > c->low))
        return cli_misused("--low and --high are two marks from 0 to 1000, the least first");
    c->label.low = (int)c->low;
    c->label.high = (int)c->high;
    if (c->low > 0 && c->high == 0) return cli_misused("--low wants --high beside it");
    return CLI_DONE;
}

static int judge_label(int argc, char **argv)
{
    label_call c = { .begun_with = -1, .retries = 8 };
    aerie_label_summary summary = { 0 };
    aerie_error err = { 0 };
    const cli_option options[] = {
        { "--judge", 0, CLI_TEXT, &c.judge, "URL|MODEL",
          "an OpenAI-compatible server (http://localhost:11434/v1), or a model to judge here" },
        { "--model", 0, CLI_TEXT, &c.asked.model, "NAME", "as the server calls it" },
        { "--command", 0, CLI_TEXT, &c.command, "PROGRAM",
          "a program that reads questions and answers verdicts, JSON lines" },
        { "--output", 'o', CLI_TEXT, &c.label.out_path, "FILE",
          "JSON lines for aerie train; FILE.verdicts.jsonl keeps every verdict" },
        { "--how", 0, CLI_TEXT, &c.how, "WORD",
          "pairs (default): every two replies of a row, in both orders; scores: a mark each" },
        { "--write", 0, CLI_TEXT, &c.write, "WORD",
          "pairs: chosen and rejected; ranked: rows with scored responses (default of scores)" },
        { "--prompt", 0, CLI_TEXT, &c.prompt_file, "FILE",
          "own words, with {question}, {answer_a}, {answer_b}; of scores {question}, {answer}" },
        { "--low", 0, CLI_COUNT, &c.low, "N", "least mark; default 1" },
        { "--high", 0, CLI_COUNT, &c.high, "N", "best mark; default 10, of a model here 9" },
        { "--limit", 0, CLI_COUNT, &c.label.limit, "N", "the first N rows" },
        { "--key-file", 0, CLI_TEXT, &c.key_file, "FILE",
          "the server's key; default: $AERIE_JUDGE_KEY" },
        { "--program-timeout", 0, CLI_COUNT, &c.patience, "S",
          "seconds for an answer of the program (600)" },
        { "--in-flight", 0, CLI_COUNT, &c.asked.in_flight, "N", "questions at once; default 4" },
        { "--max-tokens", 0, CLI_COUNT, &c.asked.max_tokens, "N",
          "of a judge's reply; default 1024" },
        { "--temp", 0, CLI_AMOUNT, &c.asked.temperature, "X", "of the judge; default 0" },
        { "--tries", 0, CLI_COUNT, &c.asked.max_asks, "N",
          "a question is asked so often until a reply holds a verdict; default 3" },
        { "--retries", 0, CLI_COUNT, &c.retries, "N",
          "of a request that failed or was put off; default 8" },
        { "--retry-wait", 0, CLI_AMOUNT, &c.asked.retry_seconds, "SECONDS",
          "before the first of them, doubled each time; default 1" },
        { "--timeout", 0, CLI_AMOUNT, &c.asked.timeout_seconds, "SECONDS",
          "without a byte from the server; default 300" },
        { "--request", 0, CLI_TEXT, &c.asked.request, "JSON",
          "an object laid over every request; null takes a key out" },
        { "--template", 0, CLI_TEXT, &c.template_word, "T",
          "of a model here: a known format's name, a Jinja file or Jinja" },
        { "--ctx", 0, CLI_COUNT, &c.asked.context, "N", "of a model here: tokens of a question" },
        { "--reasons", 0, CLI_COUNT, &c.asked.reason_tokens, "N",
          "of a model here: it says what decides before its verdict, in at most N tokens" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie judge label DATA... --judge URL|MODEL -o OUT.jsonl [options]",
        .about =
            "Asks a judge about the replies in DATA (prompts with responses, pairs, scored or\n"
            "ranked answers) and writes preferences that aerie train reads. A run that was\n"
            "stopped goes on where it was. docs/judging.md tells how verdicts are counted.",
        .options = options,
        .min_words = 1,
        .max_words = (int)AE_COUNT(call.words)
    };
    int code;

    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    code = read_words(&c);
    if (code) return code;
    c.label.paths = call.words;
    c.label.n_paths = (size_t)call.n_words;
    c.label.progress = on_verdict;
    c.label.user = &c;
    c.bar.off = c.common.quiet;
    c.child.seconds = (double)c.patience;
    cli_catch_interrupt();
    if (label(&c, &summary, &err)) return cli_fail(&err);
    if (c.common.json)
        print_json(&c, &summary);
    else if (!c.common.quiet)
        print_text(&c, &summary);
    warn_of_silence(&summary);
    return CLI_DONE;
}

static int unknown(const char *word)
{
    static const char *const words[] = { "label", "mtbench", "alpaca", "arena-hard",
                                         "rewardbench" };
    const char *near = word ? ae_nearest(word, words, AE_COUNT(words)) : NULL;

    if (near) return cli_misused("there is no 'judge %s'; did you mean 'judge %s'?", word, near);
    if (word)
        return cli_misused(
            "there is no 'judge %s'; there are label, mtbench, alpaca, arena-hard and "
            "rewardbench",
            word);
    return cli_misused("usage: aerie judge label|mtbench|alpaca|arena-hard|rewardbench ...");
}

int cli_judge(int argc, char **argv)
{
    int code;

    if (argc > 1 && !strcmp(argv[1], "label")) return judge_label(argc - 1, argv + 1);
    if (argc > 1 && cli_judge_board(argc - 1, argv + 1, &code)) return code;
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        puts("usage: aerie judge WHAT ...\n\n"
             "  label         training data made by asking a judge\n"
             "  mtbench       MT-Bench: models answer, a judge marks; or the numbers of judgments\n"
             "  alpaca        AlpacaEval: models answer, a judge compares; or the numbers of "
             "annotations\n"
             "  arena-hard    Arena-Hard: models answer, a judge compares; or the numbers of "
             "judgments\n"
             "  rewardbench   how often a reward model prefers the better reply\n\n"
             "aerie judge WHAT --help tells more of each.");
        return CLI_DONE;
    }
    return unknown(argc > 1 ? argv[1] : NULL);
}
