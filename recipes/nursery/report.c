/* report.c -- the table of models over the same held-out prompts: score with its interval, each
 * kind of instruction, valid JSON, length; and three prompts side by side. */
#include "nursery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MODELS = 8, N_DRAWS = 10000, N_SHOWN = 3 };

typedef struct {
    char name[64];
    json_t *lines;  /* of nursery sample */
    double *scores; /* [n], the mean of a prompt's replies */
    double score, json_valid, mean_tokens;
    nu_interval range, gain; /* gain: over the model before */
} judged;

static void take_line(json_t *line, void *user)
{
    json_array_append(user, line);
}

/* "runs/sft.jsonl" is the model "sft". */
static void name_of(char *out, size_t size, const char *path)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strchr(base, '.');

    snprintf(out, size, "%.*s", dot ? (int)(dot - base) : (int)strlen(base), base);
}

static bool is_json_object(const char *reply)
{
    json_t *value = json_loads(reply, JSON_REJECT_DUPLICATES, NULL);
    bool object = json_is_object(value);

    json_decref(value);
    return object;
}

typedef struct {
    size_t replies, json, valid;
    double score, tokens;
} tally;

static double judge_line(tally *t, json_t *line)
{
    json_t *replies = json_object_get(line, "replies"), *tokens = json_object_get(line, "tokens");
    const char *kind = nu_task_string(line, "kind");
    size_t n = json_array_size(replies);
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        const char *reply = json_string_value(json_array_get(replies, i));
        if (!reply) reply = "";
        sum += nu_task_score(kind, json_object_get(line, "check"), reply);
        t->tokens += (double)json_integer_value(json_array_get(tokens, i));
        if (strcmp(kind, "json") == 0) t->json++, t->valid += is_json_object(reply);
    }
    t->replies += n;
    return n ? sum / (double)n : 0;
}

static void judge(judged *m, const char *path)
{
    tally t = { 0 };

    name_of(m->name, sizeof m->name, path);
    m->lines = json_array();
    nu_each_line(path, take_line, m->lines);
    size_t n = json_array_size(m->lines);
    m->scores = calloc(n + 1, sizeof *m->scores);
    if (!m->scores) nu_die("out of memory");
    for (size_t i = 0; i < n; i++) {
        m->scores[i] = judge_line(&t, json_array_get(m->lines, i));
        m->score += m->scores[i] / (double)n;
    }
    if (!t.replies) nu_die("%s: no replies in it", path);
    m->mean_tokens = t.tokens / (double)t.replies;
    m->json_valid = t.json ? (double)t.valid / (double)t.json : 0;
}

static double kind_score(const judged *m, const char *kind)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(m->lines); i++)
        if (strcmp(nu_task_string(json_array_get(m->lines, i), "kind"), kind) == 0)
            sum += m->scores[i], n++;
    return n ? sum / (double)n : 0;
}

static void check_paired(const judged *models, size_t n_models)
{
    for (size_t m = 1; m < n_models; m++)
        for (size_t i = 0; i < json_array_size(models[0].lines); i++) {
            json_t *a = json_object_get(json_array_get(models[0].lines, i), "id");
            json_t *b = json_object_get(json_array_get(models[m].lines, i), "id");
            if (!json_equal(a, b) ||
                json_array_size(models[m].lines) != json_array_size(models[0].lines))
                nu_die("%s and %s answer different prompts; sample both from one file of prompts",
                       models[0].name, models[m].name);
        }
}

static void measure(judged *models, size_t n_models, uint64_t seed)
{
    const double *scores[MAX_MODELS];
    nu_interval means[MAX_MODELS], gains[MAX_MODELS];

    for (size_t m = 0; m < n_models; m++) scores[m] = models[m].scores;
    nu_bootstrap(means, gains, scores, n_models, json_array_size(models[0].lines), N_DRAWS, seed);
    for (size_t m = 0; m < n_models; m++) {
        models[m].range = means[m];
        if (m) models[m].gain = gains[m];
    }
}

/* ---- printing ---- */

static void print_table(const judged *models, size_t n_models)
{
    printf("%zu held-out prompts; score from 0 to 1, 95 %% interval\n\n%-6s %-20s",
           json_array_size(models[0].lines), "model", "score");
    for (size_t k = 0; k < nu_n_kinds; k++)
        if (nu_kinds[k].score) printf(" %7s", nu_kinds[k].name);
    printf("  valid JSON  tokens\n");
    for (size_t m = 0; m < n_models; m++) {
        const judged *j = &models[m];
        printf("%-6s %.3f [%.3f, %.3f]", j->name, j->score, j->range.low, j->range.high);
        for (size_t k = 0; k < nu_n_kinds; k++)
            if (nu_kinds[k].score) printf(" %7.2f", kind_score(j, nu_kinds[k].name));
        printf("  %9.0f%%  %6.1f\n", 100 * j->json_valid, j->mean_tokens);
    }
    printf("\n");
}

/* True when every model beats the one before by more than both intervals. */
static bool print_gains(const judged *models, size_t n_models)
{
    bool all = true;

    for (size_t m = 1; m < n_models; m++) {
        bool clear = models[m].range.low > models[m - 1].range.high && models[m].gain.low > 0;
        all = all && clear;
        printf("%s over %s: %+.3f [%+.3f, %+.3f]%s\n", models[m].name, models[m - 1].name,
               models[m].score - models[m - 1].score, models[m].gain.low, models[m].gain.high,
               clear ? "" : "  -- not beyond the intervals");
    }
    return all;
}

static void print_indented(const char *label, const char *text)
{
    printf("  %-7s", label);
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n') printf("         ");
    }
    putchar('\n');
}

/* The first prompt of three kinds, whoever answers it best. */
static void print_side_by_side(const judged *models, size_t n_models)
{
    static const char *const shown[N_SHOWN] = { "json", "end", "context" };

    for (size_t s = 0; s < N_SHOWN; s++)
        for (size_t i = 0; i < json_array_size(models[0].lines); i++) {
            json_t *line = json_array_get(models[0].lines, i), *message;
            size_t at;
            if (strcmp(nu_task_string(line, "kind"), shown[s]) != 0) continue;
            printf("\n");
            json_array_foreach(json_object_get(line, "messages"), at, message)
                print_indented(nu_task_string(message, "role"), nu_task_string(message, "content"));
            for (size_t m = 0; m < n_models; m++) {
                json_t *replies = json_object_get(json_array_get(models[m].lines, i), "replies");
                print_indented(models[m].name, json_string_value(json_array_get(replies, 0)));
            }
            break;
        }
}

static json_t *as_json(const judged *models, size_t n_models, double seconds)
{
    json_t *list = json_array();

    for (size_t m = 0; m < n_models; m++) {
        const judged *j = &models[m];
        json_t *kinds = json_object();
        for (size_t k = 0; k < nu_n_kinds; k++)
            if (nu_kinds[k].score)
                json_object_set_new(kinds, nu_kinds[k].name,
                                    json_real(kind_score(j, nu_kinds[k].name)));
        json_array_append_new(
            list, json_pack("{s:s,s:f,s:f,s:f,s:o,s:f,s:f}", "name", j->name, "score", j->score,
                            "score_low", j->range.low, "score_high", j->range.high, "kinds", kinds,
                            "json_valid", j->json_valid, "mean_tokens", j->mean_tokens));
    }
    return json_pack("{s:I,s:o,s:f}", "prompts", (json_int_t)json_array_size(models[0].lines),
                     "models", list, "seconds", seconds);
}

int nu_cmd_report(const nu_options *o)
{
    judged models[MAX_MODELS] = { 0 };

    if (!o->n_files) nu_die("report wants --file BASE.jsonl --file SFT.jsonl ...");
    for (size_t m = 0; m < o->n_files; m++) judge(&models[m], o->files[m]);
    check_paired(models, o->n_files);
    measure(models, o->n_files, o->seed);
    print_table(models, o->n_files);
    bool clear = print_gains(models, o->n_files);
    print_side_by_side(models, o->n_files);
    if (o->json) {
        json_t *table = as_json(models, o->n_files, o->seconds);
        if (!table || json_dump_file(table, o->json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)))
            nu_die("%s: could not be written: %s", o->json, strerror(errno));
        json_decref(table);
    }
    for (size_t m = 0; m < o->n_files; m++) {
        json_decref(models[m].lines);
        free(models[m].scores);
    }
    return clear ? 0 : 1;
}
