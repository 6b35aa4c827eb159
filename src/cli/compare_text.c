/* compare_text.c -- the report for a terminal: a table of the models, and what follows. */
#include "cli/cli.h"
#include "cli/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 5, MOST_ROWS = 64, CELL = 48, WIDTH = 80, GAP = 4 };

/* Rows being gathered; cells point into `text`. */
typedef struct {
    cli_row rows[MOST_ROWS];
    char text[MOST_ROWS][COLUMNS + 1][CELL];
    size_t n;
    size_t from, to; /* the models that are shown beside each other */
} table;

typedef void cell_fn(char out[CELL], const json_t *model, const char *key);

static double number(const json_t *of, const char *key)
{
    const json_t *x = json_object_get(of, key);

    return json_is_number(x) ? json_number_value(x) : NAN;
}

static void count_cell(char out[CELL], const json_t *model, const char *key)
{
    snprintf(out, CELL, "%.0f", number(model, key));
}

static void put_share(char out[CELL], const json_t *share)
{
    const json_t *interval = json_object_get(share, "interval");

    if (isnan(number(share, "rate"))) {
        snprintf(out, CELL, "-");
        return;
    }
    snprintf(out, CELL, "%.1f %% (%.1f to %.1f)", 100 * number(share, "rate"),
             100 * json_number_value(json_array_get(interval, 0)),
             100 * json_number_value(json_array_get(interval, 1)));
}

static void share_cell(char out[CELL], const json_t *model, const char *key)
{
    put_share(out, json_object_get(model, key));
}

static void check_cell(char out[CELL], const json_t *model, const char *key)
{
    put_share(out, json_object_get(json_object_get(model, "checks"), key));
}

/* Three digits, and never an exponent. */
static const char *short_number(char out[16], double x)
{
    snprintf(out, 16, x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : x >= 1 ? "%.2f" : "%.4f", x);
    return out;
}

static void spread_cell(char out[CELL], const json_t *model, const char *key)
{
    const json_t *of = json_object_get(model, key);
    char a[16], b[16];

    if (isnan(number(of, "p50")))
        snprintf(out, CELL, "-");
    else
        snprintf(out, CELL, "%s / %s", short_number(a, number(of, "p50")),
                 short_number(b, number(of, "p95")));
}

static void mean_cell(char out[CELL], const json_t *model, const char *key)
{
    double mean = number(json_object_get(model, key), "mean");

    if (isnan(mean))
        snprintf(out, CELL, "-");
    else
        snprintf(out, CELL, fabs(mean) < 10 ? "%.3f" : "%.1f", mean);
}

static void bytes_cell(char out[CELL], const json_t *model, const char *key)
{
    char text[32];

    if (isnan(number(model, key)))
        snprintf(out, CELL, "-");
    else
        snprintf(out, CELL, "%s", cli_bytes(text, number(model, key)));
}

static void money_cell(char out[CELL], const json_t *model, const char *key)
{
    if (isnan(number(model, key)))
        snprintf(out, CELL, "-");
    else
        snprintf(out, CELL, "%.4g", number(model, key));
}

static void add_row(table *t, const json_t *models, const char *name, cell_fn *cell,
                    const char *key)
{
    size_t n = t->to - t->from, used = t->n;

    if (used == MOST_ROWS) return;
    snprintf(t->text[used][0], CELL, "%s", name);
    for (size_t i = 0; i < n; i++)
        cell(t->text[used][i + 1], json_array_get(models, t->from + i), key);
    t->rows[used] = (cli_row){ { NULL } };
    for (size_t i = 0; i <= n; i++) t->rows[used].cells[i] = t->text[used][i];
    t->n++;
}

static void label_cell(char out[CELL], const json_t *model, const char *key)
{
    snprintf(out, CELL, "%.40s", json_string_value(json_object_get(model, key)));
}

static bool any(const json_t *models, const char *key, const char *inner)
{
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        if (!isnan(number(inner ? json_object_get(m, key) : m, inner ? inner : key)) &&
            number(inner ? json_object_get(m, key) : m, inner ? inner : key) != 0)
            return true;
    }
    return false;
}

static void no_cell(char out[CELL], const json_t *model, const char *key)
{
    (void)model, (void)key;
    out[0] = '\0';
}

/* Prompts may each bring checks of their own: what few replies were asked has no row. */
static void add_checks(table *t, const json_t *models)
{
    enum { MOST_SHOWN = 12, ONE_IN = 20 };
    const json_t *first = json_array_get(models, 0), *checks = json_object_get(first, "checks");
    size_t n = json_object_size(checks), shown = 0;
    const char *name;
    json_t *check;
    char text[CELL];

    if (!n) return;
    add_row(t, models, "all checks passed", share_cell, "all_checks");
    if (n < 2) return;
    json_object_foreach((json_t *)checks, name, check)
    {
        if (number(check, "replies") * ONE_IN < number(first, "replies") || shown == MOST_SHOWN)
            continue;
        snprintf(text, sizeof text, "  %.44s", name);
        add_row(t, models, text, check_cell, name);
        shown++;
    }
    if (shown == n) return;
    snprintf(text, sizeof text, "  %zu more, in report.html", n - shown);
    add_row(t, models, text, no_cell, "");
}

static void fill_table(table *t, const json_t *models)
{
    t->n = 0;
    add_row(t, models, "", label_cell, "label");
    add_row(t, models, "replies", count_cell, "replies");
    if (any(models, "failed", NULL)) add_row(t, models, "failed", count_cell, "failed");
    if (any(models, "cut", NULL)) add_row(t, models, "cut off by their length", count_cell, "cut");
    if (any(models, "refused", NULL)) add_row(t, models, "refusals", count_cell, "refused");
    add_checks(t, models);
    if (any(models, "reward", "mean")) add_row(t, models, "reward, mean", mean_cell, "reward");
    if (any(models, "similarity", "mean"))
        add_row(t, models, "similarity to the expected", mean_cell, "similarity");
    add_row(t, models, "characters, mean", mean_cell, "reply_characters");
    add_row(t, models, "tokens, mean", mean_cell, "reply_tokens");
    add_row(t, models, "first text, s, p50 / p95", spread_cell, "first_text_seconds");
    add_row(t, models, "whole reply, s, p50 / p95", spread_cell, "seconds");
    add_row(t, models, "tokens/s, p50 / p95", spread_cell, "tokens_per_second");
    if (any(models, "memory_bytes", NULL)) add_row(t, models, "memory", bytes_cell, "memory_bytes");
    if (any(models, "cost_per_1000", NULL))
        add_row(t, models, "cost of 1,000 replies", money_cell, "cost_per_1000");
}

static size_t table_width(const table *t)
{
    size_t sum = 0;
    for (size_t j = 0; j <= t->to - t->from; j++) {
        size_t widest = 0;
        for (size_t i = 0; i < t->n; i++)
            widest = strlen(t->text[i][j]) > widest ? strlen(t->text[i][j]) : widest;
        sum += widest + (j ? GAP : 0);
    }
    return sum;
}

/* As many models beside each other as a terminal has room for, the others below. */
static void print_models(const json_t *report)
{
    static table t;
    const json_t *models = json_object_get(report, "models");
    size_t n = json_array_size(models);

    for (t.from = 0; t.from < n; t.from = t.to) {
        t.to = n - t.from > COLUMNS ? t.from + COLUMNS : n;
        fill_table(&t, models);
        while (t.to - t.from > 1 && table_width(&t) > WIDTH) {
            t.to--;
            fill_table(&t, models);
        }
        if (t.from) putchar('\n');
        cli_print_table(t.rows, t.n, "");
    }
}

static void print_judge(const json_t *pair)
{
    const json_t *of = json_object_get(json_object_get(pair, "judge"), "judge");
    const char *a = json_string_value(json_object_get(pair, "a"));
    const char *b = json_string_value(json_object_get(pair, "b"));
    const json_t *wilson = json_object_get(of, "wilson_of_decided");

    if (!of) return;
    printf("judge: %.0f for %s, %.0f for %s, %.0f ties, of which %.0f turned with the order (flip "
           "rate %.1f %%)",
           number(of, "wins_a"), a, number(of, "wins_b"), b, number(of, "ties"),
           number(of, "turned"), 100 * number(of, "flip_rate"));
    if (number(of, "without") > 0) printf(", %.0f without a verdict", number(of, "without"));
    printf("\n       of the decided %s wins %.1f to %.1f %% (Wilson's 95 %%)", b,
           100 * json_number_value(json_array_get(wilson, 0)),
           100 * json_number_value(json_array_get(wilson, 1)));
    if (!isnan(number(of, "length_controlled_b")))
        printf("; at equal length %.1f %%", 100 * number(of, "length_controlled_b"));
    putchar('\n');
    if (number(of, "flip_rate") > 0.5)
        printf(
            "       beware: most verdicts turn with the order; this judge looks at places, not at "
            "replies\n");
    if (json_is_true(json_object_get(of, "length_turns_it")))
        printf("       beware: at equal length the judge's preference turns to the other side\n");
}

static void print_pairs(const json_t *report)
{
    const json_t *pairs = json_object_get(report, "pairs"), *pair;
    size_t i;

    json_array_foreach((json_t *)pairs, i, pair)
    {
        const char *verdict = json_string_value(json_object_get(pair, "verdict"));
        print_judge(pair);
        if (verdict) printf("%s\n", verdict);
    }
}

static void print_ratings(const json_t *report)
{
    const json_t *ratings = json_object_get(report, "ratings"), *one;
    size_t i;

    json_array_foreach((json_t *)ratings, i, one)
    {
        const json_t *interval = json_object_get(one, "interval");
        printf("rating %7.0f (%.0f to %.0f)  %s\n", number(one, "rating"),
               json_number_value(json_array_get(interval, 0)),
               json_number_value(json_array_get(interval, 1)),
               json_string_value(json_object_get(one, "model")));
    }
}

/* Whether a pair of models has a verdict; so has a single model, of which none is wanted. */
static bool decides(const json_t *report)
{
    const json_t *pairs = json_object_get(report, "pairs"), *pair;
    size_t i;

    json_array_foreach((json_t *)pairs, i, pair)
    {
        if (json_is_string(json_object_get(pair, "verdict"))) return true;
    }
    return json_array_size(json_object_get(report, "models")) < 2;
}

void compare_print(const json_t *report)
{
    const json_t *asked = json_object_get(report, "judge_questions");

    printf("%.0f prompt%s", number(report, "prompts"), number(report, "prompts") == 1 ? "" : "s");
    if (number(report, "repeats") > 1) printf(", %.0f repeats", number(report, "repeats"));
    printf("\n\n");
    print_models(report);
    putchar('\n');
    if (json_is_true(json_object_get(asked, "too_many_without")))
        printf(
            "beware: %.0f of %.0f questions got no verdict from the judge: too many to trust the "
            "rest\n",
            number(asked, "without"), number(asked, "asked"));
    print_ratings(report);
    print_pairs(report);
    if (!decides(report))
        printf("No verdict: nothing says which reply is better. Give --check, --judge or --reward, "
               "or\nprompts with 'checks' or 'expected'.\n");
}
