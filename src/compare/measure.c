/* measure.c -- replies as numbers, and two models' numbers as a difference with its uncertainty.
 * Repeats of a prompt are averaged before anything is tested: prompts are what was drawn. */
#include "compare/compare.h"

#include <math.h>
#include <string.h>

/* Equal models are to be told apart in no more than 5 of 100 comparisons. Exact tests of signs at 5
 * % do so in 2 or 3, their p being of few values; flipped signs of scores in 5 on average, which is
 * more than 5 in four hundreds of ten. At 3 % it is so in less than one. */
#define SIGNS_LEVEL 0.05
#define FLIPS_LEVEL 0.03

const char *const ae_measure_names[AE_MEASURES] = { "checks", "judge", "reward", "similarity" };

bool ae_measure_exists(const aerie_compare *c, ae_measure measure)
{
    bool has_expected = false;

    for (size_t i = 0; i < c->data.n; i++) has_expected |= c->data.items[i].expected != NULL;
    switch (measure) {
    case AE_MEASURE_CHECKS:
        return c->data.n_checks > 0;
    case AE_MEASURE_JUDGE:
        return c->judge_name != NULL;
    case AE_MEASURE_REWARD:
        return c->reward_name != NULL;
    default:
        return has_expected;
    }
}

/* A reply's number; NaN: it has none. */
static double value_of(const aerie_compare *c, ae_measure measure, const ae_compare_reply *r,
                       size_t row)
{
    const ae_compare_item *item = &c->data.items[ae_compare_item_of(c, row)];
    size_t n = 0;

    if (!r->text) return NAN;
    if (measure == AE_MEASURE_REWARD) return r->reward;
    if (measure == AE_MEASURE_SIMILARITY) return r->failed && item->expected ? 0 : r->similarity;
    for (size_t i = 0; i < item->n_checks; i++) n += r->passed[i];
    return item->n_checks ? n == item->n_checks : NAN;
}

/* The mean over a prompt's repeats that both models have. */
static bool item_values(const aerie_compare *c, ae_measure measure, size_t a, size_t b, size_t item,
                        double *of_a, double *of_b)
{
    size_t repeats = (size_t)c->with.repeats, n = 0;

    *of_a = *of_b = 0;
    for (size_t row = item * repeats; row < (item + 1) * repeats; row++) {
        double x = value_of(c, measure, &c->models[a].replies[row], row);
        double y = value_of(c, measure, &c->models[b].replies[row], row);
        if (isnan(x) || isnan(y)) continue;
        *of_a += x;
        *of_b += y;
        n++;
    }
    if (!n) return false;
    *of_a /= (double)n;
    *of_b /= (double)n;
    return true;
}

aerie_status ae_measure_differences(ae_comparison *out, const double *d, size_t n, bool signs,
                                    int64_t resamples, uint64_t seed, aerie_error *err)
{
    ae_paired_result boot;
    aerie_status status;
    double squares = 0;

    out->n = n;
    out->p = out->p_holm = 1;
    out->level = signs ? SIGNS_LEVEL : FLIPS_LEVEL;
    if (!n) return AERIE_OK;
    for (size_t i = 0; i < n; i++) {
        out->for_a += d[i] < 0;
        out->for_b += d[i] > 0;
        squares += d[i] * d[i];
    }
    out->square = squares / (double)n;
    status = ae_paired_bootstrap(&boot, d, n, resamples, seed, NULL, err);
    if (status) return status;
    out->difference = boot.mean;
    out->interval = boot.ci95;
    if (!signs) {
        out->test = "sign-flip permutation test";
        return ae_paired_sign_flip(&out->p, d, n, resamples, seed, err);
    }
    out->test = "exact sign test";
    out->p = ae_binomial_sign_test(out->for_b, out->for_a);
    return AERIE_OK;
}

/* ---- values ---- */

static aerie_status compare_values(ae_comparison *out, const aerie_compare *c, ae_measure measure,
                                   size_t a, size_t b, double *d, aerie_error *err)
{
    bool signs = measure == AE_MEASURE_CHECKS && c->with.repeats == 1;
    double sum_a = 0, sum_b = 0, x, y;
    aerie_status status;
    size_t n = 0;

    for (size_t i = 0; i < c->data.n; i++) {
        if (!item_values(c, measure, a, b, i, &x, &y)) continue;
        sum_a += x;
        sum_b += y;
        d[n++] = y - x;
    }
    status = ae_measure_differences(out, d, n, signs, c->with.resamples, c->with.seed, err);
    out->of_a = sum_a / (double)n;
    out->of_b = sum_b / (double)n;
    if (signs) out->test = "McNemar's exact test";
    return status;
}

/* ---- verdicts ---- */

/* What b got: 1, 0.5 or 0; NaN: no verdict. */
static double won_by_b(const ae_compare_outcome *o)
{
    if (o->outcome == AERIE_PAIR_WITHOUT) return NAN;
    return o->outcome == AERIE_PAIR_FIRST ? 0 : o->outcome == AERIE_PAIR_SECOND ? 1 : 0.5;
}

static void count_outcome(ae_comparison *out, const ae_compare_outcome *o)
{
    bool decided = o->outcome == AERIE_PAIR_FIRST || o->outcome == AERIE_PAIR_SECOND;

    out->n_decided += decided;
    out->n_wins_b += o->outcome == AERIE_PAIR_SECOND;
    out->n_turned += o->outcome == AERIE_PAIR_TURNED;
    out->n_without += o->outcome == AERIE_PAIR_WITHOUT;
    out->n_tied += !decided && o->outcome != AERIE_PAIR_WITHOUT;
}

/* y, length_a, length_b [n_rows] of all verdicts on a and b; d [n_items], items' means less a
 * half. */
typedef struct {
    double *y, *length_a, *length_b, *d;
    size_t n, n_items;
} verdicts;

static double reply_length(const ae_compare_model *m, int64_t row)
{
    const char *text = m->replies[row].text;

    return (double)ae_reply_characters(text, strlen(text));
}

static void take_verdicts(verdicts *v, ae_comparison *out, const aerie_compare *c, size_t a,
                          size_t b)
{
    size_t item = SIZE_MAX, n_of_item = 0;
    double sum = 0;

    for (size_t i = 0; i < c->n_outcomes; i++) {
        const ae_compare_outcome *o = &c->outcomes[i];
        if (o->a != (int)a || o->b != (int)b) continue;
        count_outcome(out, o);
        double y = won_by_b(o);
        if (isnan(y)) continue;
        v->y[v->n] = y;
        v->length_a[v->n] = reply_length(&c->models[a], o->row);
        v->length_b[v->n++] = reply_length(&c->models[b], o->row);
        if (ae_compare_item_of(c, (size_t)o->row) != item) {
            if (n_of_item) v->d[v->n_items++] = sum / (double)n_of_item - 0.5;
            item = ae_compare_item_of(c, (size_t)o->row);
            sum = 0;
            n_of_item = 0;
        }
        sum += y;
        n_of_item++;
    }
    if (n_of_item) v->d[v->n_items++] = sum / (double)n_of_item - 0.5;
}

static aerie_status compare_verdicts(ae_comparison *out, const aerie_compare *c, size_t a, size_t b,
                                     double *room, aerie_error *err)
{
    verdicts v = { .y = room,
                   .length_a = room + c->n_rows,
                   .length_b = room + 2 * c->n_rows,
                   .d = room + 3 * c->n_rows };
    aerie_status status;

    take_verdicts(&v, out, c, a, b);
    status = ae_measure_differences(out, v.d, v.n_items, c->with.repeats == 1, c->with.resamples,
                                    c->with.seed, err);
    out->of_b = 0.5 + out->difference;
    out->of_a = 0.5 - out->difference;
    out->has_length = v.n >= 2;
    if (!status && out->has_length)
        status = ae_length_control(&out->length, v.y, v.length_a, v.length_b, v.n, err);
    return status;
}

aerie_status ae_measure_pair(ae_comparison *out, const aerie_compare *c, ae_measure measure,
                             size_t a, size_t b, aerie_error *err)
{
    double *room = ae_alloc(4 * c->n_rows, sizeof *room);
    aerie_status status;

    *out = (ae_comparison){ .test = "" };
    if (!room) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu numbers", c->n_rows);
    if (measure == AE_MEASURE_JUDGE)
        status = compare_verdicts(out, c, a, b, room, err);
    else
        status = compare_values(out, c, measure, a, b, room, err);
    ae_free(room);
    return status;
}
