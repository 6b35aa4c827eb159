/* expect.c -- curves that a recipe says its run will follow: a run that leaves them is told so
 * early, while there is still time to stop it. */
#include "train/expect.h"

#include "train/metrics.h"

#include <math.h>

/* The means that are compared are of so many steps: a single one's margin jumps about. */
enum { WINDOW = 10 };

static void first_step(const ae_recipe *r, const aerie_train_progress *p)
{
    double wanted = r->expect_first_loss;

    if (isnan(wanted) || p->step != 1 || fabs(p->loss - wanted) <= 1e-3 * (1 + fabs(wanted)))
        return;
    ae_log(
        AERIE_LOG_WARNING,
        "the first loss is %.6g, the recipe expects %.6g: the model, the data or the template is "
        "not what it was made for",
        p->loss, wanted);
}

static void in_band(const char *what, const ae_numbers *band, double value, int64_t step)
{
    bool inside = band->n == 0 || (value >= band->items[0] && value <= band->items[1]);

    if (inside || !isfinite(value)) return;
    ae_log(AERIE_LOG_WARNING,
           "by step %lld the %s is %.4g, the recipe expects %.4g to %.4g: compare data, rate, beta "
           "and batch with the recipe's",
           (long long)step, what, value, band->items[0], band->items[1]);
}

void ae_expect_step(ae_expectation *e, const ae_recipe *r, const aerie_train_progress *p)
{
    int64_t at = r->expect_step;

    first_step(r, p);
    if (p->step > at || p->step <= at - WINDOW) return;
    e->loss += p->loss;
    e->margin += p->has_rewards ? p->margin : NAN;
    e->n++;
    if (p->step < at) return;
    in_band("loss", &r->expect_loss, e->loss / (double)e->n, at);
    in_band("margin", &r->expect_margin, e->margin / (double)e->n, at);
}
