/* compare.c -- `aerie compare`: models on one's own prompts, and which of them is better. */
#include "aerie/compare.h"

#include "cli/child.h"
#include "cli/cli.h"
#include "cli/compare.h"
#include "cli/sides.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAMS = 8 };

typedef struct {
    cli_common common;
    cli_sides sides;
    aerie_compare_options with;
    cli_list data, checks;
    const char *checks_file, *folder, *html;
    const char *judge, *judge_model, *judge_command, *judge_prompt, *judge_template, *judge_key;
    const char *reward;
    cli_list reward_adapters;
    int64_t judge_context, judge_reasons, patience;
    /* What these options point to. */
    ae_bytes folder_text, check_text, words, key, chat_template;
    struct {
        const char *command; /* of a check's line; owned */
        cli_child child;
    } programs[PROGRAMS];
    cli_child judge_child;
    cli_progress bar;
    double begun_at;
    int64_t begun_with;
    const char *doing;
} compare_call;

/* ---- progress, programs ---- */

static bool on_progress(void *user, const char *what, int64_t n_done, int64_t n)
{
    compare_call *c = user;
    char left[32];

    if (!c->doing || strcmp(c->doing, what) != 0) {
        c->doing = what;
        c->begun_at = ae_clock_seconds();
        c->begun_with = n_done;
    }
    double spent = ae_clock_seconds() - c->begun_at;
    if (n_done > c->begun_with)
        cli_progress_draw(
            &c->bar, (double)n_done / (double)n, "%.40s  %lld of %lld  %s left", what,
            (long long)n_done, (long long)n,
            cli_seconds(left, spent / (double)(n_done - c->begun_with) * (double)(n - n_done)));
    else
        cli_progress_draw(&c->bar, (double)n_done / (double)n, "%.40s  %lld of %lld", what,
                          (long long)n_done, (long long)n);
    return !cli_interrupted();
}

static bool stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

static aerie_status ask_child(cli_child *child, const char *command, const char *line,
                              aerie_judge_answer_fn *answer, void *to, aerie_error *err)
{
    char *text = NULL;
    aerie_status status = cli_child_start(child, command, err);

    if (!status) status = cli_child_ask(child, command, line, &text, err);
    if (!status) answer(to, text, strlen(text));
    ae_free(text);
    return status;
}

/* An aerie_check_fn: every command has a program of its own, which runs until the end. */
static aerie_status ask_check(void *user, const char *line, aerie_judge_answer_fn *answer, void *to,
                              aerie_error *err)
{
    compare_call *c = user;
    json_t *o = json_loads(line, 0, NULL);
    const char *command = json_string_value(json_object_get(o, "command"));
    aerie_status status;
    size_t i = 0;

    while (i < PROGRAMS && c->programs[i].command && strcmp(c->programs[i].command, command) != 0)
        i++;
    if (i == PROGRAMS)
        status = aerie_fail(err, AERIE_UNSUPPORTED, "at most %d programs check replies", PROGRAMS);
    else {
        if (!c->programs[i].command) c->programs[i].command = ae_strdup(command);
        status = ask_child(&c->programs[i].child, command, line, answer, to, err);
    }
    json_decref(o);
    return status;
}

/* An aerie_judge_fn. */
static aerie_status ask_judge(void *user, const char *line, aerie_judge_answer_fn *answer, void *to,
                              aerie_error *err)
{
    compare_call *c = user;

    return ask_child(&c->judge_child, c->judge_command, line, answer, to, err);
}

/* ---- checks ---- */

static json_t *load_json(const char *path, aerie_error *err)
{
    ae_bytes text = { 0 };
    json_error_t why;
    json_t *value = NULL;

    if (!ae_file_read(&text, path, 64 << 20, err)) {
        value = json_loadb(text.data ? text.data : "", text.len, 0, &why);
        if (!value) aerie_fail(err, AERIE_BAD_FILE, "%s:%d: no JSON: %s", path, why.line, why.text);
    }
    ae_bytes_free(&text);
    return value;
}

/* "schema:FILE" is read here; the rest are the library's short forms. */
static json_t *check_of(const char *word, aerie_error *err)
{
    json_t *schema;

    if (strncmp(word, "schema:", 7) != 0) return json_string(word);
    schema = load_json(word + 7, err);
    return schema ? json_pack("{s:s, s:o}", "type", "json_schema", "schema", schema) : NULL;
}

static aerie_status gather_checks(compare_call *c, aerie_error *err)
{
    json_t *list = c->checks_file ? load_json(c->checks_file, err) : json_array();
    aerie_status status = AERIE_OK;

    if (!list) return err->status ? err->status : AERIE_NO_MEMORY;
    for (int i = 0; i < c->checks.n && !status; i++) {
        json_t *one = check_of(c->checks.items[i], err);
        if (!one) status = err->status ? err->status : AERIE_NO_MEMORY;
        if (one) json_array_append_new(list, one);
    }
    char *text = status ? NULL : json_dumps(list, 0);
    if (text) ae_bytes_add_text(&c->check_text, text);
    if (text && (json_array_size(list) || !json_is_array(list)))
        c->with.checks = c->check_text.data;
    free(text);
    json_decref(list);
    return status;
}

/* ---- judging ---- */

static aerie_status judge_with(compare_call *c, aerie_compare *compare, aerie_error *err)
{
    aerie_judge_options o = { .stop = stop };
    aerie_model *model = NULL;
    aerie_judge *judge = NULL;
    char named[480] = ""; /* verdicts with reasons are others */
    const char *name = c->judge_command ? c->judge_command : c->judge;
    aerie_status status = AERIE_OK;

    if (c->judge_command) {
        o.program = ask_judge;
        o.program_user = c;
        o.program_name = c->judge_command;
    } else if (cli_is_address(c->judge)) {
        o.url = c->judge;
        o.model = name = c->judge_model;
        o.key = cli_judge_key();
        if (c->judge_key) status = cli_read_key(&c->key, c->judge_key, err);
        if (c->judge_key) o.key = c->key.data;
    } else {
        if (c->judge_template)
            status = cli_read_template(&c->chat_template, c->judge_template, err);
        o.chat_template = c->chat_template.data;
        o.context = c->judge_context;
        o.reason_tokens = c->judge_reasons;
        cli_common common = c->common;
        common.adapters.n = 0;
        if (!status) status = cli_open(&model, c->judge, &common, err);
        o.local = model;
    }
    if (!status && c->judge_prompt) status = ae_file_read(&c->words, c->judge_prompt, 1 << 20, err);
    if (!status) status = aerie_judge_open(&judge, &o, err);
    if (!status && c->judge_reasons > 0)
        snprintf(named, sizeof named, "%.400s, reasons of %lld", name, (long long)c->judge_reasons);
    if (!status)
        status = aerie_compare_judge(compare, judge, *named ? named : name, c->words.data, err);
    aerie_judge_close(judge);
    aerie_model_close(model);
    return status;
}

static aerie_status reward_with(compare_call *c, aerie_compare *compare, aerie_error *err)
{
    cli_common common = c->common;
    aerie_model *model = NULL;
    aerie_status status;

    common.adapters = c->reward_adapters;
    status = cli_open(&model, c->reward, &common, err);
    if (!status) status = aerie_compare_reward(compare, model, NULL, err);
    aerie_model_close(model);
    return status;
}

/* ---- reports ---- */

static aerie_status write_html(const compare_call *c, const json_t *report, aerie_error *err)
{
    char *path = c->html ? ae_strdup(c->html) : ae_path_join(c->with.folder, "report.html");
    ae_bytes page = { 0 };
    aerie_status status;

    compare_html(report, &page);
    status = ae_bytes_status(&page, err);
    if (!status && !path) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    if (!status) status = ae_file_write(path, page.data, page.len, err);
    if (!status && !c->common.quiet && !c->common.json) fprintf(stderr, "wrote %s\n", path);
    ae_bytes_free(&page);
    ae_free(path);
    return status;
}

static aerie_status show(const compare_call *c, const char *text, aerie_error *err)
{
    char *path = ae_path_join(c->with.folder, "report.json");
    json_t *report = json_loads(text, 0, NULL);
    aerie_status status = AERIE_OK;

    if (!path || !report) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    if (!status) status = ae_file_write(path, text, strlen(text), err);
    if (!status) status = write_html(c, report, err);
    if (!status && c->common.json) {
        json_object_del(report, "items"); /* in report.json */
        json_dumpf(report, stdout, JSON_REAL_PRECISION(8) | JSON_COMPACT);
        putchar('\n');
    } else if (!status) {
        compare_print(report);
    }
    json_decref(report);
    ae_free(path);
    return status;
}

/* ---- the call ---- */

/* "mine.jsonl.gz" -> "mine.compare" in the working folder. */
static aerie_status choose_folder(compare_call *c, aerie_error *err)
{
    const char *path = c->data.items[0], *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = strcspn(name, ".");

    c->with.folder = c->folder;
    if (c->folder) return AERIE_OK;
    ae_bytes_printf(&c->folder_text, "%.*s.compare", (int)(len ? len : strlen(name)), name);
    c->with.folder = c->folder_text.data;
    return ae_bytes_status(&c->folder_text, err);
}

static aerie_status run(compare_call *c, const cli_call *call, aerie_error *err)
{
    aerie_compare *compare = NULL;
    char *text = NULL;
    aerie_status status = choose_folder(c, err);

    if (!status) status = gather_checks(c, err);
    if (!status) status = cli_sides_open(&c->sides, call->words, call->n_words, &c->common, err);
    c->with.contenders = c->sides.contenders;
    c->with.n_contenders = c->sides.n;
    c->with.paths = c->data.items;
    c->with.n_paths = (size_t)c->data.n;
    c->with.check = ask_check;
    c->with.check_user = c->with.user = c;
    c->with.progress = on_progress;
    if (!status) status = aerie_compare_open(&compare, &c->with, err);
    if (!status) status = aerie_compare_ask(compare, err);
    if (!status && (c->judge || c->judge_command)) status = judge_with(c, compare, err);
    if (!status && c->reward) status = reward_with(c, compare, err);
    if (!status) status = aerie_compare_report(compare, &text, err);
    cli_progress_end(&c->bar);
    if (!status) status = show(c, text, err);
    aerie_free(text);
    aerie_compare_close(compare);
    return status;
}

static void clean(compare_call *c)
{
    for (size_t i = 0; i < PROGRAMS; i++) {
        cli_child_close(&c->programs[i].child);
        ae_free((char *)c->programs[i].command);
    }
    cli_child_close(&c->judge_child);
    cli_sides_close(&c->sides);
    ae_bytes_free(&c->folder_text);
    ae_bytes_free(&c->check_text);
    ae_bytes_free(&c->words);
    ae_bytes_free(&c->key);
    ae_bytes_free(&c->chat_template);
}

static int check_words(const compare_call *c)
{
    if (!c->data.n) return cli_misused("give the prompts: --data FILE.jsonl");
    if (!cli_is_request("--request", c->sides.request)) return CLI_USAGE;
    if (c->judge && c->judge_command)
        return cli_misused("--judge and --judge-command are two judges; give one");
    if (c->judge && cli_is_address(c->judge) && !c->judge_model)
        return cli_misused("give --judge-model NAME, as the server at %s calls it", c->judge);
    return CLI_DONE;
}

int cli_compare(int argc, char **argv)
{
    static compare_call c;
    const cli_option own[] = {
        { "--data", 'd', CLI_LIST, &c.data, "FILE", "prompts: JSON lines; may be repeated" },
        { "--check", 0, CLI_LIST, &c.checks, "CHECK",
          "json, schema:FILE, regex:P, contains:T, number, equals, max_words:N, answers, "
          "similar:X, "
          "language:en, program:CMD, ...; '!' before it turns it; may be repeated" },
        { "--checks", 0, CLI_TEXT, &c.checks_file, "FILE", "a JSON list of checks" },
        { "--folder", 'o', CLI_TEXT, &c.folder, "DIR",
          "replies, verdicts, report.json, report.html; default NAME.compare after the data" },
        { "--html", 0, CLI_TEXT, &c.html, "FILE", "the page, elsewhere" },
        { "--limit", 0, CLI_COUNT, &c.with.limit, "N", "the first N prompts" },
        { "--repeats", 0, CLI_COUNT, &c.with.repeats, "N",
          "replies of each model to each prompt (1)" },
        { "--parallel", 0, CLI_COUNT, &c.with.parallel, "N", "replies at once (8; of a server 4)" },
        { "--judge", 0, CLI_TEXT, &c.judge, "URL|MODEL",
          "who compares the replies, in both orders: a server, or a model here" },
        { "--judge-model", 0, CLI_TEXT, &c.judge_model, "NAME", "as that server calls it" },
        { "--judge-command", 0, CLI_TEXT, &c.judge_command, "PROGRAM", "a program as the judge" },
        { "--program-timeout", 0, CLI_COUNT, &c.patience, "S",
          "seconds for an answer of a program that checks or judges (600)" },
        { "--judge-prompt", 0, CLI_TEXT, &c.judge_prompt, "FILE",
          "own words, with {question}, {answer_a}, {answer_b}" },
        { "--judge-template", 0, CLI_TEXT, &c.judge_template, "T",
          "chat template of a model here" },
        { "--judge-key-file", 0, CLI_TEXT, &c.judge_key, "FILE",
          "the server's key; default: $AERIE_JUDGE_KEY" },
        { "--judge-reasons", 0, CLI_COUNT, &c.judge_reasons, "N",
          "a model here says what decides before its verdict, in at most N tokens" },
        { "--judge-ctx", 0, CLI_COUNT, &c.judge_context, "N",
          "of a model here: tokens of a question" },
        { "--reward", 0, CLI_TEXT, &c.reward, "MODEL", "a reward model that scores the replies" },
        { "--reward-adapter", 0, CLI_LIST, &c.reward_adapters, "FILE[=SCALE]", "over that model" },
        { "--decide-by", 0, CLI_TEXT, &c.with.decide_by, "WORD",
          "judge, reward, checks or similarity; default: the first there is" },
        { "--ctx", 'c', CLI_COUNT, &c.sides.context, "N", "tokens of a prompt and its reply" },
        { "--request", 0, CLI_TEXT, &c.sides.request, "JSON",
          "laid over every request to servers; null takes a key out" },
        CLI_KV(&c.common),
        CLI_EXACT(&c.common),
    };
    cli_option options[AE_COUNT(own) + SIDE_OPTIONS + 1] = { 0 };
    cli_call call = { .usage = "aerie compare A B [C...] --data FILE.jsonl [options]",
                      .about =
                          "Asks the models the same prompts, checks and judges their replies, and\n"
                          "says which is better, by how much, and how sure that is. A model is a\n"
                          "MODEL, or URL#NAME behind an OpenAI-compatible server. A run that was\n"
                          "stopped goes on where it was. docs/comparing.md tells more.",
                      .options = options,
                      .min_words = 1,
                      .max_words = SIDES };
    aerie_error err = { 0 };
    int code;

    cli_sides_options(&c.sides, options + AE_COUNT(own));
    memcpy(options, own, sizeof own);
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    code = check_words(&c);
    if (code) return code;
    c.bar.off = c.common.quiet;
    for (size_t i = 0; i < PROGRAMS; i++) c.programs[i].child.seconds = (double)c.patience;
    c.judge_child.seconds = (double)c.patience;
    cli_catch_interrupt();
    code = run(&c, &call, &err) ? cli_fail(&err) : CLI_DONE;
    clean(&c);
    return code;
}
