/* verdict.c -- what a comparison allows one to say, in a sentence. */
#include "compare/compare.h"

#include <math.h>

enum { MOST_PROMPTS = 100000 };

bool ae_verdict_is_decided(const ae_comparison *of)
{
    return of->n > 0 && of->p_holm < of->level && (of->interval.low > 0 || of->interval.high < 0);
}

int64_t ae_verdict_more(const ae_comparison *of)
{
    double more = ae_binomial_items_needed(of->square, of->difference) - (double)of->n, unit = 1;

    if (!(more < MOST_PROMPTS)) return -1;
    if (more < 1) more = 1;
    while (more / unit >= 100) unit *= 10;
    return (int64_t)(ceil(more / unit) * unit);
}

double ae_verdict_visible(const ae_comparison *of)
{
    /* Where no prompt told the models apart, fewer than 3 in n do, with 95 % (the rule of three).
     */
    if (of->square == 0) return fmin(1, 3 / (double)of->n);
    return (1.96 + 0.84) * sqrt(of->square / (double)of->n);
}

/* "+11.0 points", or of scores "+0.31". */
static void add_amount(ae_bytes *out, ae_measure measure, double amount, bool sign)
{
    if (measure == AE_MEASURE_REWARD || measure == AE_MEASURE_SIMILARITY)
        ae_bytes_printf(out, sign ? "%+.3f" : "%.3f", amount);
    else
        ae_bytes_printf(out, sign ? "%+.1f" : "%.1f", 100 * amount);
}

static const char *unit_of(ae_measure measure)
{
    return measure == AE_MEASURE_REWARD || measure == AE_MEASURE_SIMILARITY ? "" : " points";
}

static void add_numbers(ae_bytes *out, const aerie_compare *c, ae_measure measure,
                        const ae_comparison *of, size_t a, size_t b)
{
    const char *name_a = c->models[a].label, *name_b = c->models[b].label;

    switch (measure) {
    case AE_MEASURE_JUDGE:
        ae_bytes_printf(out, "the judge is for %s in %.1f %% (ties count half)", name_b,
                        100 * of->of_b);
        break;
    case AE_MEASURE_CHECKS:
        ae_bytes_printf(out, "replies pass all checks in %.1f %% (%s) and %.1f %% (%s)",
                        100 * of->of_a, name_a, 100 * of->of_b, name_b);
        break;
    case AE_MEASURE_REWARD:
        ae_bytes_printf(out, "the reward model's mean is %.3f (%s) and %.3f (%s)", of->of_a, name_a,
                        of->of_b, name_b);
        break;
    default:
        ae_bytes_printf(out, "the similarity to what is expected is %.3f (%s) and %.3f (%s)",
                        of->of_a, name_a, of->of_b, name_b);
    }
}

static void add_uncertainty(ae_bytes *out, ae_measure measure, const ae_comparison *of)
{
    ae_bytes_add_text(out, "; ");
    add_amount(out, measure, of->difference, true);
    ae_bytes_printf(out, "%s, 95 %% interval ", unit_of(measure));
    add_amount(out, measure, of->interval.low, true);
    ae_bytes_add_text(out, " to ");
    add_amount(out, measure, of->interval.high, true);
    if (of->p_holm >= 0.001)
        ae_bytes_printf(out, "; p = %.3f, %s, %zu prompts", of->p_holm, of->test, of->n);
    else
        ae_bytes_printf(out, "; p < 0.001, %s, %zu prompts", of->test, of->n);
}

static void add_grouped(ae_bytes *out, int64_t n)
{
    if (n >= 1000)
        ae_bytes_printf(out, "%lld,%03lld", (long long)(n / 1000), (long long)(n % 1000));
    else
        ae_bytes_printf(out, "%lld", (long long)n);
}

static void add_undecided(ae_bytes *out, ae_measure measure, const ae_comparison *of)
{
    int64_t more = ae_verdict_more(of);

    if (of->square == 0) {
        ae_bytes_add_text(out, ". No prompt tells them apart");
    } else if (more > 0) {
        ae_bytes_add_text(out, ". About ");
        add_grouped(out, more);
        ae_bytes_add_text(out, " more examples would show a difference of this size");
    } else {
        ae_bytes_add_text(out, ". No reasonable number of examples would show so small a "
                               "difference");
    }
    if (of->square > 0 || measure == AE_MEASURE_CHECKS) {
        ae_bytes_add_text(out, "; these prompts would most likely have shown one above ");
        add_amount(out, measure, ae_verdict_visible(of), false);
        ae_bytes_add_text(out, unit_of(measure));
    }
    ae_bytes_add_char(out, '.');
}

void ae_verdict_sentence(ae_bytes *out, const aerie_compare *c, ae_measure measure,
                         const ae_comparison *of, size_t a, size_t b)
{
    bool decided = ae_verdict_is_decided(of), for_b = of->difference > 0;
    size_t better = for_b ? b : a, worse = for_b ? a : b;

    if (!of->n) {
        ae_bytes_printf(out, "Not decided: there is nothing to compare %s and %s by.",
                        c->models[a].label, c->models[b].label);
        return;
    }
    if (decided)
        ae_bytes_printf(out, "%s is better than %s on these prompts: ", c->models[better].label,
                        c->models[worse].label);
    else
        ae_bytes_printf(out, "Not decided between %s and %s: ", c->models[a].label,
                        c->models[b].label);
    add_numbers(out, c, measure, of, a, b);
    add_uncertainty(out, measure, of);
    if (decided)
        ae_bytes_add_char(out, '.');
    else
        add_undecided(out, measure, of);
}
