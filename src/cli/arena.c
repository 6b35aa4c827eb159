/* arena.c -- `aerie arena`: which of two replies is better, without knowing whose they are. */
#include "cli/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool on_progress(void *user, const char *what, int64_t n_done, int64_t n)
{
    cli_arena_call *c = user;

    cli_progress_draw(&c->bar, (double)n_done / (double)n, "%.40s  %lld of %lld", what,
                      (long long)n_done, (long long)n);
    return !cli_interrupted();
}

/* ---- ratings ---- */

static void print_ratings(const json_t *standing)
{
    const json_t *models = json_object_get(standing, "models"), *m;
    size_t i;

    printf("%lld votes\n", (long long)json_integer_value(json_object_get(standing, "votes")));
    json_array_foreach((json_t *)models, i, m)
    {
        const json_t *interval = json_object_get(m, "interval");
        double low = json_number_value(json_array_get(interval, 0));
        double high = json_number_value(json_array_get(interval, 1));
        char range[64] = "(all votes agree: no interval)";
        if (low < high) snprintf(range, sizeof range, "(%.0f to %.0f)", low, high);
        printf("%7.0f  %s  %s: %lld votes, %lld wins, %lld ties\n",
               json_number_value(json_object_get(m, "rating")), range,
               json_string_value(json_object_get(m, "model")),
               (long long)json_integer_value(json_object_get(m, "votes")),
               (long long)json_integer_value(json_object_get(m, "wins")),
               (long long)json_integer_value(json_object_get(m, "ties")));
    }
}

static aerie_status show_ratings(const cli_arena_call *c, aerie_error *err)
{
    char *text = NULL;
    aerie_status status = aerie_arena_ratings(c->arena, &text, err);
    json_t *standing = status ? NULL : json_loads(text, 0, NULL);

    if (!status && c->common.json)
        printf("%s\n", text);
    else if (!status)
        print_ratings(standing);
    json_decref(standing);
    aerie_free(text);
    return status;
}

/* ---- votes ---- */

static void print_block(const char *title, const char *text)
{
    printf("\n--- %s ---\n%s\n", title, text);
}

static void print_prompt(const json_t *messages)
{
    const json_t *m;
    size_t i;

    json_array_foreach((json_t *)messages, i, m)
    {
        const char *role = json_string_value(json_object_get(m, "role"));
        const char *text = json_string_value(json_object_get(m, "content"));
        print_block(role ? role : "", text ? text : "(no text)");
    }
}

typedef enum { CHOSE_VOTE, CHOSE_SKIP, CHOSE_QUIT } choice;

static choice read_choice(aerie_vote_kind *vote)
{
    static const char keys[] = "abtx";
    char line[64];

    for (;;) {
        printf("\na, b, t: both as good, x: both bad, s: skip, q: quit > ");
        fflush(stdout);
        if (cli_interrupted() || !fgets(line, sizeof line, stdin)) return CHOSE_QUIT;
        const char *key = *line && *line != '\n' ? strchr(keys, *line | 32) : NULL;
        if (key) {
            *vote = (aerie_vote_kind)(key - keys);
            return CHOSE_VOTE;
        }
        if ((*line | 32) == 's') return CHOSE_SKIP;
        if ((*line | 32) == 'q') return CHOSE_QUIT;
    }
}

static const char *text_of(const json_t *replies, size_t m)
{
    const char *text = json_string_value(json_object_get(json_array_get(replies, m), "text"));

    return text ? text : "";
}

static const char *label_of(const json_t *report, size_t m)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(report, "models"), m), "label"));
}

/* Two of the models, and who is shown first, drawn by the prompt's place. */
static void draw_two(const cli_arena_call *c, size_t item, size_t *a, size_t *b)
{
    ae_rng rng;

    ae_rng_seed(&rng, (uint64_t)c->draw * 1000003 + item);
    *a = (size_t)ae_rng_below(&rng, c->sides.n);
    *b = (size_t)ae_rng_below(&rng, c->sides.n - 1);
    if (*b >= *a) ++*b;
}

static aerie_status take_vote(cli_arena_call *c, aerie_vote *v, bool *go_on, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    print_block("A", v->reply_a);
    print_block("B", v->reply_b);
    choice is = read_choice(&v->vote);
    if (is == CHOSE_VOTE) status = aerie_arena_vote(c->arena, v, err);
    c->n_votes += is == CHOSE_VOTE && !status;
    *go_on = is != CHOSE_QUIT;
    return status;
}

aerie_status cli_arena_ask(cli_arena_call *c, const json_t *report, size_t at, bool *go_on,
                           aerie_error *err)
{
    const json_t *item = json_array_get(json_object_get(report, "items"), at);
    const json_t *replies = json_array_get(json_object_get(item, "replies"), 0);
    const json_t *messages = json_object_get(item, "messages");
    char *text = json_dumps(messages, JSON_COMPACT);
    bool has = false, alike;
    size_t a, b;

    draw_two(c, at, &a, &b);
    aerie_vote v = { .voter = c->voter,
                     .messages = text,
                     .model_a = label_of(report, a),
                     .model_b = label_of(report, b),
                     .reply_a = text_of(replies, a),
                     .reply_b = text_of(replies, b) };
    aerie_status status = text ? aerie_arena_has(c->arena, &v, &has, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    alike = strcmp(v.reply_a, v.reply_b) == 0;
    if (!status && !has && !alike) {
        printf("\n========== %zu of %zu", at + 1,
               json_array_size(json_object_get(report, "items")));
        if (!c->typed) print_prompt(messages);
        status = take_vote(c, &v, go_on, err);
    } else if (!status && c->typed) {
        puts(has ? "you have voted on these two replies to it"
                 : "both gave the same reply; ask something else");
    }
    free(text);
    return status;
}

aerie_status cli_arena_replies(cli_arena_call *c, json_t **report, aerie_error *err)
{
    const char *typed[] = { c->typed };
    const aerie_compare_options options = { .contenders = c->sides.contenders,
                                            .n_contenders = c->sides.n,
                                            .paths = c->typed ? typed : c->data.items,
                                            .n_paths = c->typed ? 1 : (size_t)c->data.n,
                                            .limit = c->limit,
                                            .folder = c->folder,
                                            .parallel = c->parallel,
                                            .progress = on_progress,
                                            .user = c };
    aerie_compare *compare = NULL;
    char *text = NULL;
    aerie_status status = aerie_compare_open(&compare, &options, err);

    if (!status) status = aerie_compare_ask(compare, err);
    cli_progress_end(&c->bar);
    if (!status) status = aerie_compare_report(compare, &text, err);
    if (!status) *report = json_loads(text, 0, NULL);
    if (!status && !*report) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    aerie_free(text);
    aerie_compare_close(compare);
    return status;
}

static aerie_status vote(cli_arena_call *c, const cli_call *call, aerie_error *err)
{
    json_t *report = NULL;
    bool go_on = true;
    aerie_status status = cli_sides_open(&c->sides, call->words, call->n_words, &c->common, err);

    if (!status && !c->data.n) status = cli_arena_typed(c, err);
    if (!status && c->data.n) status = cli_arena_replies(c, &report, err);
    for (size_t i = 0; i < json_array_size(json_object_get(report, "items")) && !status && go_on;
         i++)
        status = cli_arena_ask(c, report, i, &go_on, err);
    if (!status) {
        printf("\n%lld votes now; all of %s:\n", (long long)c->n_votes, c->db);
        status = show_ratings(c, err);
    }
    json_decref(report);
    cli_sides_close(&c->sides);
    return status;
}

/* ---- the calls ---- */

static int end_call(cli_arena_call *c, aerie_status status, const aerie_error *err)
{
    aerie_arena_close(c->arena);
    return status ? cli_fail(err) : CLI_DONE;
}

static int ratings(int argc, char **argv)
{
    cli_arena_call c = { .db = "arena.db" };
    const cli_option options[] = {
        { "--db", 0, CLI_TEXT, &c.db, "FILE", "the votes; default arena.db" },
        { 0 },
    };
    cli_call call = { .usage = "aerie arena ratings [--db FILE]",
                      .takes = CLI_TAKES_NONE,
                      .about = "What the votes make of the models, with 95 % intervals.",
                      .options = options };
    aerie_error err = { 0 };
    aerie_status status;
    int code;

    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    status = aerie_arena_read(&c.arena, c.db, &err);
    if (!status) status = show_ratings(&c, &err);
    return end_call(&c, status, &err);
}

static int export_pairs(int argc, char **argv)
{
    cli_arena_call c = { .db = "arena.db" };
    const cli_option options[] = {
        { "--db", 0, CLI_TEXT, &c.db, "FILE", "the votes; default arena.db" },
        { "--output", 'o', CLI_TEXT, &c.output, "FILE", "pairs for aerie train, JSON lines" },
        { 0 },
    };
    cli_call call = { .usage = "aerie arena export -o PAIRS.jsonl [--db FILE]",
                      .takes = CLI_TAKES_NONE,
                      .about = "The votes that name a winner as preference pairs.",
                      .options = options };
    aerie_error err = { 0 };
    aerie_status status;
    int64_t n = 0;
    int code;

    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (!c.output) return cli_misused("give the output: -o PAIRS.jsonl");
    status = aerie_arena_read(&c.arena, c.db, &err);
    if (!status) status = aerie_arena_export(c.arena, c.output, &n, &err);
    if (!status && c.common.json)
        printf("{\"written\": %lld}\n", (long long)n);
    else if (!status && !c.common.quiet)
        fprintf(stderr, "wrote %lld pairs to %s\n", (long long)n, c.output);
    return end_call(&c, status, &err);
}

static int votes(int argc, char **argv)
{
    static cli_arena_call c;
    const cli_option own[] = {
        { "--data", 'd', CLI_LIST, &c.data, "FILE",
          "prompts, as aerie compare has them; default: those you type" },
        { "--db", 0, CLI_TEXT, &c.db, "FILE", "the votes; default arena.db" },
        { "--folder", 'o', CLI_TEXT, &c.folder, "DIR",
          "where replies are kept; aerie compare's folder has them already; default "
          "arena.compare" },
        { "--voter", 0, CLI_TEXT, &c.voter, "NAME", "who votes" },
        { "--limit", 0, CLI_COUNT, &c.limit, "N", "the first N prompts" },
        { "--parallel", 0, CLI_COUNT, &c.parallel, "N", "replies at once (8; of a server 4)" },
        { "--draw", 0, CLI_COUNT, &c.draw, "N",
          "another draw of who meets whom, and is shown first" },
        { "--ctx", 'c', CLI_COUNT, &c.sides.context, "N", "tokens of a prompt and its reply" },
        CLI_KV(&c.common),
    };
    cli_option options[AE_COUNT(own) + SIDE_OPTIONS + 1] = { 0 };
    cli_call call = {
        .usage = "aerie arena A B [C...] [--data FILE.jsonl] [options]",
        .about = "Shows two models' replies to each prompt without their names and asks\n"
                 "which is better; without --data you type the prompts, one after the other.\n"
                 "aerie arena ratings: what the votes make of the models;\n"
                 "aerie arena export -o PAIRS.jsonl: the votes as preference pairs.",
        .options = options,
        .min_words = 2,
        .max_words = SIDES
    };
    aerie_error err = { 0 };
    aerie_status status;
    int code;

    cli_sides_options(&c.sides, options + AE_COUNT(own));
    memcpy(options, own, sizeof own);
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (!c.data.n && c.limit) return cli_misused("--limit is of prompts from --data");
    if (!c.db) c.db = "arena.db";
    if (!c.folder) c.folder = "arena.compare";
    c.bar.off = c.common.quiet;
    cli_catch_interrupt();
    status = aerie_arena_open(&c.arena, c.db, &err);
    if (!status) status = vote(&c, &call, &err);
    return end_call(&c, status, &err);
}

int cli_arena(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "ratings")) return ratings(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "export")) return export_pairs(argc - 1, argv + 1);
    return votes(argc, argv);
}
