/* report.c -- the table of models over the same held-out prompts: score with its interval, each
 * kind of instruction, valid JSON, length, distance from the start; what every stage gained and
 * took; three prompts side by side; and the verdict. */
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
    bool has_kl;
    double kl; /* nats of a reply, from the model that this one was made of */
    nu_interval range, gain;
    size_t start; /* the model that `gain` is over; its own index: none */
} judged;

/* What is made of what. */
static const struct {
    const char *name, *start;
} stages[] = { { "sft", "base" }, { "dpo", "sft" }, { "crlft", "base" }, { "apa", "crlft" } };
static const struct {
    const char *name, *model; /* what it ends with */
} recipes[] = { { "Zephyr", "dpo" }, { "Starling", "apa" } };
enum { N_STAGES = sizeof stages / sizeof *stages };

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
    size_t replies, json, valid, ratios;
    double score, tokens, log_ratio;
} tally;

static double judge_line(tally *t, json_t *line)
{
    json_t *replies = json_object_get(line, "replies"), *tokens = json_object_get(line, "tokens");
    json_t *ratios = json_object_get(line, "log_ratios");
    const char *kind = nu_task_string(line, "kind");
    size_t n = json_array_size(replies);
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        const char *reply = json_string_value(json_array_get(replies, i));
        if (!reply) reply = "";
        sum += nu_task_score(kind, json_object_get(line, "check"), reply);
        t->tokens += (double)json_integer_value(json_array_get(tokens, i));
        t->log_ratio += json_number_value(json_array_get(ratios, i));
        if (strcmp(kind, "json") == 0) t->json++, t->valid += is_json_object(reply);
    }
    t->replies += n;
    t->ratios += json_array_size(ratios);
    return n ? sum / (double)n : 0;
}

static void judge_model(judged *m, const char *path)
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
    m->has_kl = t.ratios == t.replies;
    m->kl = m->has_kl ? t.log_ratio / (double)t.ratios : 0;
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

static size_t find(const judged *models, size_t n_models, const char *name)
{
    for (size_t m = 0; m < n_models; m++)
        if (strcmp(models[m].name, name) == 0) return m;
    return SIZE_MAX;
}

/* What a model is compared with: its start, or when the report does not know it the one before. */
static size_t start_of(const judged *models, size_t n_models, size_t m)
{
    for (size_t k = 0; k < N_STAGES; k++)
        if (strcmp(models[m].name, stages[k].name) == 0) {
            size_t start = find(models, n_models, stages[k].start);
            if (start != SIZE_MAX) return start;
        }
    return m ? m - 1 : 0;
}

static void measure(judged *models, size_t n_models, uint64_t seed)
{
    const double *scores[MAX_MODELS];
    nu_interval means[MAX_MODELS], gains[MAX_MODELS];
    size_t starts[MAX_MODELS];

    for (size_t m = 0; m < n_models; m++) {
        scores[m] = models[m].scores;
        starts[m] = models[m].start = start_of(models, n_models, m);
    }
    nu_bootstrap(means, gains, scores, starts, n_models, json_array_size(models[0].lines), N_DRAWS,
                 seed);
    for (size_t m = 0; m < n_models; m++) {
        models[m].range = means[m];
        models[m].gain = gains[m];
    }
}

/* By how much the second model is better than the first. */
static nu_interval compare(const judged *first, const judged *second, uint64_t seed)
{
    const double *scores[2] = { first->scores, second->scores };
    const size_t starts[2] = { 0, 0 };
    nu_interval means[2], gains[2];

    nu_bootstrap(means, gains, scores, starts, 2, json_array_size(first->lines), N_DRAWS, seed);
    return gains[1];
}

/* ---- printing ---- */

static void print_table(const judged *models, size_t n_models)
{
    printf("%zu held-out prompts; score from 0 to 1, 95 %% interval\n\n%-6s %-20s",
           json_array_size(models[0].lines), "model", "score");
    for (size_t k = 0; k < nu_n_kinds; k++)
        if (nu_kinds[k].score) printf(" %7s", nu_kinds[k].name);
    printf("  valid JSON  tokens   KL\n");
    for (size_t m = 0; m < n_models; m++) {
        const judged *j = &models[m];
        printf("%-6s %.3f [%.3f, %.3f]", j->name, j->score, j->range.low, j->range.high);
        for (size_t k = 0; k < nu_n_kinds; k++)
            if (nu_kinds[k].score) printf(" %7.2f", kind_score(j, nu_kinds[k].name));
        printf("  %9.0f%%  %6.1f", 100 * j->json_valid, j->mean_tokens);
        printf(j->has_kl ? " %4.1f\n" : "    -\n", j->kl);
    }
    printf("KL: nats of a reply, from the model that it started as\n\n");
}

static bool is_clear(const judged *models, size_t m)
{
    return models[m].range.low > models[models[m].start].range.high && models[m].gain.low > 0;
}

/* True when every model beats its start by more than both intervals. */
static bool print_gains(const judged *models, size_t n_models)
{
    bool all = true;

    for (size_t m = 0; m < n_models; m++) {
        const judged *start = &models[models[m].start];
        bool clear = is_clear(models, m);
        if (start == &models[m]) continue;
        all = all && clear;
        printf("%s over %s: %+.3f [%+.3f, %+.3f]%s\n", models[m].name, start->name,
               models[m].score - start->score, models[m].gain.low, models[m].gain.high,
               clear ? "" : "  -- not beyond the intervals");
    }
    return all;
}

static void print_agreement(const char *whose, const json_t *agreement)
{
    printf("%s%.3f of %lld pairs", whose, json_number_value(json_object_get(agreement, "accuracy")),
           (long long)json_integer_value(json_object_get(agreement, "pairs")));
}

static void print_judge(const json_t *judge)
{
    const json_t *own = json_object_get(judge, "own");

    if (!judge) return;
    print_agreement(
        "reward model: the better of two replies to a held-out prompt scores higher in ", judge);
    if (own) print_agreement("; where all are the policy's own, in ", own);
    printf("\n");
}

/* "sft=12": the name's length, and the seconds behind it. */
static size_t read_time(const char *time, double *seconds)
{
    const char *equals = strchr(time, '=');

    *seconds = equals ? strtod(equals + 1, NULL) : 0;
    return equals ? (size_t)(equals - time) : strlen(time);
}

static void print_times(const nu_options *o)
{
    double seconds;

    for (size_t i = 0; i < o->n_times; i++) {
        size_t length = read_time(o->times[i], &seconds);
        printf("%s%.*s %.0f s%s", i ? ", " : "time: ", (int)length, o->times[i], seconds,
               i + 1 < o->n_times ? "" : "\n");
    }
}

/* What a recipe's last stage gained; SIZE_MAX when its model is not in the table. */
static size_t tell_recipe(nu_text *out, const judged *models, size_t n_models, size_t recipe)
{
    size_t m = find(models, n_models, recipes[recipe].model);

    if (m == SIZE_MAX) return m;
    nu_text_put(out, "%s%s's recipe ends at %.3f, %+.3f [%+.3f, %+.3f] over its start%s",
                out->len ? "; " : "", recipes[recipe].name, models[m].score,
                models[m].score - models[models[m].start].score, models[m].gain.low,
                models[m].gain.high,
                is_clear(models, m) ? "" : ", which is not beyond the intervals");
    return m;
}

/* Everything in the sentence comes from the numbers. */
static void tell_verdict(nu_text *out, const judged *models, size_t n_models, uint64_t seed)
{
    size_t first = tell_recipe(out, models, n_models, 0);
    size_t second = tell_recipe(out, models, n_models, 1);

    if (first != SIZE_MAX && second != SIZE_MAX) {
        nu_interval gap = compare(&models[first], &models[second], seed);
        bool level = gap.low <= 0 && gap.high >= 0;
        bool better = models[second].score > models[first].score;
        nu_text_put(out, "; %s%s (%s less %s: %+.3f [%+.3f, %+.3f])",
                    level ? "neither is shown to be the better one" : recipes[better ? 1 : 0].name,
                    level ? "" : "'s is the better one", recipes[1].name, recipes[0].name,
                    models[second].score - models[first].score, gap.low, gap.high);
    }
    if (out->len) nu_text_put(out, ".");
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

static json_t *model_as_json(const judged *models, size_t m)
{
    const judged *j = &models[m];
    json_t *kinds = json_object(), *out;

    for (size_t k = 0; k < nu_n_kinds; k++)
        if (nu_kinds[k].score)
            json_object_set_new(kinds, nu_kinds[k].name,
                                json_real(kind_score(j, nu_kinds[k].name)));
    out = json_pack("{s:s,s:f,s:f,s:f,s:o,s:f,s:f}", "name", j->name, "score", j->score,
                    "score_low", j->range.low, "score_high", j->range.high, "kinds", kinds,
                    "json_valid", j->json_valid, "mean_tokens", j->mean_tokens);
    if (j->has_kl) json_object_set_new(out, "kl", json_real(j->kl));
    if (j->start == m) return out;
    json_object_set_new(out, "start", json_string(models[j->start].name));
    json_object_set_new(out, "gain", json_real(j->score - models[j->start].score));
    json_object_set_new(out, "gain_low", json_real(j->gain.low));
    json_object_set_new(out, "gain_high", json_real(j->gain.high));
    json_object_set_new(out, "clear", json_boolean(is_clear(models, m)));
    return out;
}

static json_t *times_as_json(const nu_options *o)
{
    json_t *times = json_object();
    double seconds;

    for (size_t i = 0; i < o->n_times; i++) {
        char name[64];
        size_t length = read_time(o->times[i], &seconds);
        snprintf(name, sizeof name, "%.*s", (int)length, o->times[i]);
        json_object_set_new(times, name, json_real(seconds));
    }
    return times;
}

static json_t *as_json(const judged *models, size_t n_models, const json_t *judge,
                       const char *verdict, const nu_options *o)
{
    json_t *list = json_array(), *out;

    for (size_t m = 0; m < n_models; m++) json_array_append_new(list, model_as_json(models, m));
    out = json_pack("{s:I,s:o,s:f,s:o,s:s}", "prompts",
                    (json_int_t)json_array_size(models[0].lines), "models", list, "seconds",
                    o->seconds, "stage_seconds", times_as_json(o), "verdict", verdict);
    if (judge) json_object_set_new(out, "reward_model", json_deep_copy(judge));
    return out;
}

static json_t *read_judge(const char *path)
{
    json_error_t where;
    json_t *judge = path ? json_load_file(path, 0, &where) : NULL;

    if (path && !judge) nu_die("%s: %s", path, where.text);
    return judge;
}

static void write_json(const nu_options *o, json_t *table)
{
    if (!table || json_dump_file(table, o->json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)))
        nu_die("%s: could not be written: %s", o->json, strerror(errno));
    json_decref(table);
}

int nu_cmd_report(const nu_options *o)
{
    judged models[MAX_MODELS] = { 0 };
    nu_text verdict = { 0 };
    json_t *judge = read_judge(o->judge);

    if (!o->n_files) nu_die("report wants --file BASE.jsonl --file SFT.jsonl ...");
    for (size_t m = 0; m < o->n_files; m++) judge_model(&models[m], o->files[m]);
    check_paired(models, o->n_files);
    measure(models, o->n_files, o->seed);
    tell_verdict(&verdict, models, o->n_files, o->seed);
    print_table(models, o->n_files);
    bool clear = print_gains(models, o->n_files);
    print_judge(judge);
    print_times(o);
    print_side_by_side(models, o->n_files);
    if (verdict.len) printf("\nVerdict: %s\n", verdict.data);
    if (o->json) write_json(o, as_json(models, o->n_files, judge, nu_text_str(&verdict), o));
    for (size_t m = 0; m < o->n_files; m++) {
        json_decref(models[m].lines);
        free(models[m].scores);
    }
    json_decref(judge);
    nu_text_free(&verdict);
    return clear ? 0 : 1;
}
