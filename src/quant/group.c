/* group.c -- searches scale and minimum of one group, eight starts at a time. */
#include "quant/group.h"

#include "base/base.h"

#include <math.h>

/* Below this a scale's inverse may overflow; nothing that a half can hold is as small. */
static const float least_scale = 1e-30f;

ae_group ae_group_of(const float *x, const float *w, int n, float lo, float hi)
{
    ae_group g = { x, w, n, lo, hi, 0, 0 };

    for (int i = 0; i < n; i++) {
        g.sum_w += w[i];
        g.sum_wx += w[i] * x[i];
    }
    return g;
}

void ae_group_measure(const ae_group *g, ae_fits *fits)
{
    const lanes s = fits->s, m = fits->m, none = { 0 };
    const lanes lo = LANES_ALL(g->lo), hi = LANES_ALL(g->hi);
    const lane_mask is_small = (s < least_scale) & (s > -least_scale);
    const lanes inverse = LANES_PICK(is_small, none, 1 / s);
    lanes error = { 0 }, sum_q = { 0 }, sum_qq = { 0 }, sum_xq = { 0 };

    for (int i = 0; i < g->n; i++) {
        const float x = g->x[i], w = g->w[i];
        lanes q = (x + m) * inverse;
        q = LANES_MAX(q, lo);
        q = LANES_MIN(q, hi);
        q = LANES_WHOLE(q);
        lanes off = s * q - m - x, wq = w * q;
        error += w * off * off;
        sum_q += wq;
        sum_qq += wq * q;
        sum_xq += wq * x;
    }
    fits->error = error;
    fits->sum_q = sum_q;
    fits->sum_qq = sum_qq;
    fits->sum_xq = sum_xq;
}

int ae_group_keep(ae_fit *best, const ae_fits *fits)
{
    int at = -1;

    for (int l = 0; l < LANES; l++)
        if (fits->error[l] < (at < 0 ? best->error : fits->error[at])) at = l;
    if (at >= 0)
        *best = (ae_fit){ fits->s[at],     fits->m[at],      fits->error[at],
                          fits->sum_q[at], fits->sum_qq[at], fits->sum_xq[at] };
    return at;
}

/* Least squares for s alone, and for (s, m), q fixed. A lane that nothing follows for stays as it
 * is. */
static void solve(const ae_group *g, ae_fits *fits, ae_minimum minimum)
{
    const lanes none = { 0 };
    const lanes alone = LANES_PICK(fits->sum_qq > 0, fits->sum_xq / fits->sum_qq, fits->s);

    if (minimum == AE_MINIMUM_NONE) {
        fits->s = alone;
        return;
    }
    lanes det = g->sum_w * fits->sum_qq - fits->sum_q * fits->sum_q;
    lanes s = (g->sum_w * fits->sum_xq - g->sum_wx * fits->sum_q) / det;
    lanes m = (fits->sum_q * fits->sum_xq - fits->sum_qq * g->sum_wx) / det;
    if (minimum == AE_MINIMUM_POSITIVE) {
        s = LANES_PICK(m > 0, s, LANES_MAX(alone, none));
        m = LANES_MAX(m, none);
    }
    fits->s = LANES_PICK(det > 0, s, fits->s);
    fits->m = LANES_PICK(det > 0, m, fits->m);
}

static void improve(const ae_group *g, ae_minimum minimum, ae_fits *fits, int turns, ae_fit *best)
{
    for (int turn = 0; turn < turns; turn++) {
        if (turn) solve(g, fits, minimum);
        ae_group_measure(g, fits);
        ae_group_keep(best, fits);
    }
}

static void range_of(const ae_group *g, float *least, float *most)
{
    *least = *most = g->x[0];
    for (int i = 1; i < g->n; i++) {
        *least = g->x[i] < *least ? g->x[i] : *least;
        *most = g->x[i] > *most ? g->x[i] : *most;
    }
}

enum { TURNS = 2 }; /* a third gains 0.1 % */

/* Starts of which the grid's ends lie between two places against the ends of the data, in steps
 * inward. */
static void from_the_ends(const ae_group *g, ae_minimum minimum, ae_fit *best)
{
    enum { ENDS = 4 };
    const float first = -0.2f, each = 0.3f;
    float least, most;
    ae_fits fits;

    range_of(g, &least, &most);
    if (minimum == AE_MINIMUM_POSITIVE && least > 0) least = 0;
    float step = (most - least) / g->hi;
    for (int start = 0; start < ENDS * ENDS; start++) {
        float a = first + each * (float)(start / ENDS), b = first + each * (float)(start % ENDS);
        float m = -(least + a * step);
        fits.s[start % LANES] = step * (1 - (a + b) / g->hi);
        fits.m[start % LANES] = minimum == AE_MINIMUM_POSITIVE && m < 0 ? 0 : m;
        if (start % LANES == LANES - 1) improve(g, minimum, &fits, TURNS, best);
    }
}

/* Starts about the best so far: the grid a little wider or narrower about its middle, and moved by
 * parts of a step. With 32 levels the first starts alone lie too far apart (Q5_1: 10 % more error).
 */
static void from_the_best(const ae_group *g, ae_minimum minimum, ae_fit *best)
{
    enum { WAYS = 4 };
    const ae_fit from = *best;
    ae_fits fits;

    for (int start = 0; start < WAYS * WAYS; start++) {
        float wider = ((float)(start / WAYS) - 1.5f) / g->hi;
        float moved = 0.25f * ((float)(start % WAYS) - 1.5f);
        float s = from.s * (1 + wider);
        float m = from.m + (s - from.s) * g->hi * 0.5f + moved * s;
        fits.s[start % LANES] = s;
        fits.m[start % LANES] = minimum == AE_MINIMUM_POSITIVE && m < 0 ? 0 : m;
        if (start % LANES == LANES - 1) improve(g, minimum, &fits, TURNS, best);
    }
}

static void fit_with_minimum(const ae_group *g, ae_minimum minimum, ae_fit *best)
{
    from_the_ends(g, minimum, best);
    from_the_best(g, minimum, best);
}

/* The longer end of q is below zero, so the sign of s is a choice: the largest number may lie at
 * either end. */
static void fit_symmetric(const ae_group *g, ae_fit *best)
{
    enum { BATCHES = 3 };
    const float first = -0.6f, each = 0.15f;
    float least, most;
    ae_fits fits = { .m = { 0 } };

    range_of(g, &least, &most);
    float far = -least > most ? least : most;
    for (int start = 0; start < BATCHES * LANES; start++) {
        float inward = first + each * (float)(start / 2);
        fits.s[start % LANES] = far / (start % 2 ? g->hi - inward : g->lo + inward);
        if (start % LANES == LANES - 1) improve(g, AE_MINIMUM_NONE, &fits, 3, best);
    }
}

ae_fit ae_group_fit(const ae_group *g, ae_minimum minimum)
{
    ae_fit best = { .error = INFINITY };

    if (minimum == AE_MINIMUM_NONE)
        fit_symmetric(g, &best);
    else
        fit_with_minimum(g, minimum, &best);
    return best;
}

void ae_group_round(const ae_group *g, float s, float m, int *q)
{
    const float inverse = s < least_scale && s > -least_scale ? 0 : 1 / s;

    for (int i = 0; i < g->n; i++) {
        float v = (g->x[i] + m) * inverse;
        v = v > g->lo ? v : g->lo;
        v = v < g->hi ? v : g->hi;
        q[i] = (int)LANES_WHOLE(v);
    }
}
