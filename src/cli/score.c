/* score.c -- `aerie score`: what a reward model makes of every response in a file. */
#include "aerie/score.h"
#include "cli/cli.h"
#include "cli/inspect.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    cli_common common;
    const char *data, *template_word;
    aerie_score_options options;
    cli_progress bar;
    bool summary; /* it alone */
    int64_t n;
} score_call;

static void print_row(score_call *c, const aerie_scored *row)
{
    cli_progress_end(&c->bar);
    printf(c->common.json ? "{\"index\":%lld,\"scores\":[" : "%6lld ", (long long)row->index);
    for (size_t i = 0; i < row->n; i++)
        printf(c->common.json ? "%s%.9g" : "%s%9.4f",
               !i               ? ""
               : c->common.json ? ","
                                : " ",
               row->scores[i]);
    puts(c->common.json ? "]}" : "");
}

static bool on_row(void *user, const aerie_scored *row)
{
    score_call *c = user;

    c->n += (int64_t)row->n;
    if (!c->summary) print_row(c, row);
    cli_progress_draw(&c->bar, 0, "%lld responses", (long long)c->n);
    return !cli_interrupted();
}

static void print_pairs(FILE *to, const aerie_score_result *r)
{
    fprintf(to, "; the better one scores higher in %.4f of %lld pairs", r->accuracy,
            (long long)r->n_pairs);
    if (!isnan(r->accuracy_error)) fprintf(to, " (standard error %.4f)", r->accuracy_error);
    fprintf(to, ", and is longer in %.4f", r->longer_wins);
    if (r->n_matched == 0) return;
    fprintf(to, "; of the %lld pairs of like length in %.4f", (long long)r->n_matched,
            r->matched_accuracy);
    if (!isnan(r->matched_error)) fprintf(to, " (%.4f)", r->matched_error);
    fprintf(to, ", and is longer in %.4f", r->matched_longer_wins);
}

static void print_summary(FILE *to, const aerie_score_result *r)
{
    fprintf(to, "%lld responses of %lld rows, mean score %.4f", (long long)r->n_responses,
            (long long)r->n_rows, r->mean);
    if (r->n_pairs > 0) print_pairs(to, r);
    if (r->n_truncated > 0) fprintf(to, "; %lld rows were cut to fit", (long long)r->n_truncated);
    fputc('\n', to);
}

/* NaN is null. */
static json_t *number(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static void print_summary_json(const aerie_score_result *r)
{
    json_t *o = json_pack("{s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "rows",
                          (json_int_t)r->n_rows, "responses", (json_int_t)r->n_responses,
                          "truncated", (json_int_t)r->n_truncated, "mean", number(r->mean), "pairs",
                          (json_int_t)r->n_pairs, "accuracy", number(r->accuracy), "accuracy_error",
                          number(r->accuracy_error), "longer_wins", number(r->longer_wins),
                          "matched_pairs", (json_int_t)r->n_matched, "matched_accuracy",
                          number(r->matched_accuracy), "matched_error", number(r->matched_error),
                          "matched_longer_wins", number(r->matched_longer_wins));

    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static void tell_summary(const score_call *c, const aerie_score_result *r)
{
    if (c->summary && c->common.json)
        print_summary_json(r);
    else if (c->summary)
        print_summary(stdout, r);
    else if (!c->common.quiet && !c->common.json)
        print_summary(stderr, r);
}

static aerie_status score(score_call *c, const char *model, aerie_error *err)
{
    aerie_model *m = NULL;
    ae_bytes source = { 0 };
    aerie_score_result result;
    aerie_status status =
        c->template_word ? cli_read_template(&source, c->template_word, err) : AERIE_OK;

    const aerie_memory_plan plan = { .n_ctx = c->options.max_length, .use = AERIE_USE_REWARDS };
    c->common.plan = &plan;
    if (c->template_word) c->options.chat_template = source.data;
    if (!status) status = cli_open(&m, model, &c->common, err);
    if (!status) status = aerie_score(m, c->data, &c->options, on_row, c, &result, err);
    cli_progress_end(&c->bar);
    if (!status) tell_summary(c, &result);
    aerie_model_close(m);
    ae_bytes_free(&source);
    return status;
}

int cli_score(int argc, char **argv)
{
    score_call c = { 0 };
    const cli_option options[] = {
        { "--data", 0, CLI_TEXT, &c.data, "FILE",
          "rows of a prompt (or messages) and responses, of pairs, or of ranked answers" },
        { "--template", 0, CLI_TEXT, &c.template_word, "T",
          "a known format's name, a Jinja file or Jinja; default: the model's" },
        { "--max-length", 0, CLI_COUNT, &c.options.max_length, "N",
          "tokens of a prompt with a response; default: the model's context" },
        { "--max-completion-length", 0, CLI_COUNT, &c.options.max_completion_length, "N",
          "tokens of a response, at most" },
        { "--append-eos", 0, CLI_FLAG, &c.options.append_eos, NULL,
          "end a response that has no end-of-sequence token with one" },
        { "--limit", 0, CLI_COUNT, &c.options.limit, "N", "the first N rows" },
        { "--summary", 0, CLI_FLAG, &c.summary, NULL, "no rows, the summary alone" },
        CLI_EXACT(&c.common),
        { 0 },
    };
    cli_call call = {
        .usage = "aerie score RM --data FILE [options]",
        .about =
            "The score that a reward model gives to every response, a line a row; --json:\n"
            "{\"index\",\"scores\"}. Where rows rank their responses, a summary on stderr tells "
            "in\n"
            "how many pairs the better one scores higher, beside in how many it is longer, and\n"
            "both of pairs of like length (0.8 to 1.25). --summary prints that alone; --json:\n"
            "{\"rows\", \"pairs\", \"accuracy\", \"longer_wins\", \"matched_pairs\", "
            "\"matched_accuracy\", ...}.\n"
            "aerie inspect RM --reward shows one reply token by token.",
        .options = options,
        .min_words = 1,
        .max_words = 1
    };
    aerie_error err = { 0 };
    int code;

    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (!c.data) return cli_misused("give --data FILE; usage: %s", call.usage);
    c.bar.off = c.common.quiet;
    cli_catch_interrupt();
    if (score(&c, call.words[0], &err))
        return err.status == AERIE_INTERRUPTED ? CLI_INTERRUPTED : cli_fail(&err);
    return CLI_DONE;
}

/* ---- inspect --reward ---- */

static json_t *text_json(const aerie_score_token *t)
{
    json_t *text = json_stringn(t->text, t->text_len);

    return text ? text : json_string("\xef\xbf\xbd"); /* part of a character */
}

static void print_token_json(const aerie_scored *row, size_t k, size_t i)
{
    const aerie_score_token *t = &row->tokens[k][i];
    json_t *o = json_pack("{s:I, s:I, s:I, s:i, s:o, s:f}", "index", (json_int_t)row->index,
                          "response", (json_int_t)k, "token", (json_int_t)i, "id", (int)t->id,
                          "text", text_json(t), "score", t->score);

    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

/* Left of the middle what is below the least and the most of the row, right what is above. */
static void print_bar(double score, double least, double most)
{
    enum { WIDE = 24 };
    int at = most > least ? (int)lround((score - least) / (most - least) * WIDE) : WIDE / 2;

    putchar(' ');
    for (int i = 0; i <= WIDE; i++) putchar(i == at ? '*' : i == WIDE / 2 ? '|' : '.');
}

static void print_reply(const aerie_scored *row, size_t k, double least, double most)
{
    double before = row->prompt_score;

    printf("--- row %lld, response %zu: %zu tokens, score %.4f (prompt %.4f)\n",
           (long long)row->index, k, row->n_tokens[k], row->scores[k], row->prompt_score);
    printf("   score   change\n");
    for (size_t i = 0; i < row->n_tokens[k]; i++) {
        const aerie_score_token *t = &row->tokens[k][i];
        json_t *text = text_json(t);
        printf("%8.4f %+8.4f", t->score, t->score - before);
        print_bar(t->score, least, most);
        fputs("  ", stdout);
        json_dumpf(text, stdout, JSON_ENCODE_ANY);
        putchar('\n');
        json_decref(text);
        before = t->score;
    }
}

static bool on_tokens(void *user, const aerie_scored *row)
{
    const cli_common *common = user;
    double least = row->prompt_score, most = row->prompt_score;

    for (size_t k = 0; k < row->n; k++)
        for (size_t i = 0; i < row->n_tokens[k]; i++) {
            least = fmin(least, row->tokens[k][i].score);
            most = fmax(most, row->tokens[k][i].score);
        }
    for (size_t k = 0; k < row->n; k++) {
        if (!common->json) print_reply(row, k, least, most);
        for (size_t i = 0; common->json && i < row->n_tokens[k]; i++) print_token_json(row, k, i);
    }
    return !cli_interrupted();
}

aerie_status cli_inspect_reward(const char *model, const cli_reward *r, const cli_common *common,
                                aerie_error *err)
{
    aerie_model *m = NULL;
    aerie_score_options options = { .every_token = true, .limit = r->limit };
    aerie_status status = cli_open(&m, model, common, err);

    if (!status && r->data)
        status = aerie_score(m, r->data, &options, on_tokens, (void *)common, NULL, err);
    else if (!status)
        status = aerie_score_replies(m, r->prompt, r->replies->items, (size_t)r->replies->n,
                                     &options, on_tokens, (void *)common, err);
    aerie_model_close(m);
    return status;
}
