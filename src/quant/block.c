/* block.c -- the numbers that a whole block is written from.
 *
 * A block of 256: first every group is fitted alone. Then d and dmin are chosen by a quadratic
 * estimate of what rounding each group's scale and minimum to their multiples costs; then the whole
 * numbers beside the rounded ones are tried for real, with d and dmin improved by least squares in
 * turns. */
#include "quant/search.h"

#include "quant/lanes.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

typedef struct {
    const ae_k_format *format;
    ae_group groups[AE_MAX_GROUPS];
    ae_fit
        fits[AE_MAX_GROUPS]; /* at first each group's own best, then what the block makes of it */
    int scale[AE_MAX_GROUPS], min[AE_MAX_GROUPS];
    float d, dmin;
    double error;
} search;

/* The nearest half; past its range the largest. */
static float as_half(float value)
{
    const float most = 65504;

    return ae_f16_to_f32(ae_f32_to_f16(value > most ? most : value < -most ? -most : value));
}

static int clamp(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static int nearest_multiple(float value, float unit, int lo, int hi)
{
    float v = unit != 0 ? value / unit : 0;

    v = v < (float)lo ? (float)lo : v > (float)hi ? (float)hi : v;
    return (int)LANES_WHOLE(v);
}

/* The fits side by side: what choosing the units reads. */
typedef struct {
    float s[AE_MAX_GROUPS], m[AE_MAX_GROUPS];
    float slope_s[AE_MAX_GROUPS], slope_m[AE_MAX_GROUPS]; /* half the error's, by s and by m */
    float qq[AE_MAX_GROUPS], q[AE_MAX_GROUPS], w[AE_MAX_GROUPS], wx[AE_MAX_GROUPS];
} table;

static void fill_table(table *t, const search *k)
{
    for (int i = 0; i < k->format->n_groups; i++) {
        const ae_group *g = &k->groups[i];
        const ae_fit *fit = &k->fits[i];
        t->s[i] = fit->s;
        t->m[i] = fit->m;
        t->slope_s[i] = fit->s * fit->sum_qq - fit->m * fit->sum_q - fit->sum_xq;
        t->slope_m[i] = fit->m * g->sum_w - fit->s * fit->sum_q + g->sum_wx;
        t->qq[i] = fit->sum_qq;
        t->q[i] = fit->sum_q;
        t->w[i] = g->sum_w;
        t->wx[i] = g->sum_wx;
    }
}

/* By how much rounding to these units makes the block worse, q fixed: each group's scale goes down
 * or up, its minimum follows. */
static float estimate(const ae_k_format *f, const table *t, float d, float dmin)
{
    const float per_d = d != 0 ? 1 / d : 0, per_dmin = dmin != 0 ? 1 / dmin : 0;
    const lanes lo = LANES_ALL((float)f->scale_lo), hi = LANES_ALL((float)f->scale_hi);
    const lanes min_hi = LANES_ALL((float)f->min_hi), none = { 0 };
    lanes sum = { 0 }, s, m, slope_s, slope_m, qq, q, w, wx;

    for (int i = 0; i < f->n_groups; i += LANES) {
        lanes least = LANES_ALL(INFINITY);
        LANES_LOAD(s, t->s + i);
        LANES_LOAD(m, t->m + i);
        LANES_LOAD(slope_s, t->slope_s + i);
        LANES_LOAD(slope_m, t->slope_m + i);
        LANES_LOAD(qq, t->qq + i);
        LANES_LOAD(q, t->q + i);
        LANES_LOAD(w, t->w + i);
        LANES_LOAD(wx, t->wx + i);
        for (int up = 0; up < 2; up++) {
            lanes number = s * per_d + (up ? 0.5f : -0.5f);
            number = LANES_MIN(number, hi);
            number = LANES_MAX(number, lo);
            number = LANES_WHOLE(number);
            lanes ds = number * d - s;
            lanes best_m = ((s + ds) * q - wx) / w * per_dmin;
            best_m = LANES_MIN(best_m, min_hi);
            best_m = LANES_MAX(best_m, none);
            lanes dm = LANES_WHOLE(best_m) * dmin - m;
            lanes worse =
                2 * (slope_s * ds + slope_m * dm) + ds * ds * qq - 2 * ds * dm * q + dm * dm * w;
            least = LANES_MIN(worse, least);
        }
        sum += least;
    }
    float all = 0;
    for (int l = 0; l < LANES; l++) all += sum[l];
    return all;
}

/* The largest scale (by size) and minimum of the groups' own fits. */
static void extremes(const search *k, float *s, float *m)
{
    *s = *m = 0;
    for (int i = 0; i < k->format->n_groups; i++) {
        if (fabsf(k->fits[i].s) > fabsf(*s)) *s = k->fits[i].s;
        if (k->fits[i].m > *m) *m = k->fits[i].m;
    }
}

/* Units of which the largest scale and minimum are from a little beyond the range of the whole
 * numbers, so that they are cut, to well inside it. */
static void choose_units(search *k)
{
    enum { CANDIDATES = 12 };
    const ae_k_format *f = k->format;
    float most_s, most_m, best = INFINITY;
    table t;

    fill_table(&t, k);
    extremes(k, &most_s, &most_m);
    for (int sign = 0; sign < (f->scale_lo < 0 ? 2 : 1); sign++)
        for (int a = 0; a < CANDIDATES; a++) {
            float reach = (float)(sign ? f->scale_lo : f->scale_hi);
            float d = as_half(most_s / (reach * (1.06f - 0.03f * (float)a)));
            for (int b = 0; b < (f->min_hi ? CANDIDATES : 1); b++) {
                float part = (float)f->min_hi * (1.06f - 0.03f * (float)b);
                float dmin = f->min_hi ? as_half(most_m / part) : 0;
                float worse = estimate(f, &t, d, dmin);
                if (!(worse < best)) continue;
                best = worse;
                k->d = d;
                k->dmin = dmin;
            }
        }
}

/* Eight pairs of whole numbers about a group's fit: four scales, each with its best minimum rounded
 * down and up; or eight scales. */
static void pairs_about(const search *k, int i, int *scale, int *min)
{
    const ae_k_format *f = k->format;
    const ae_group *g = &k->groups[i];
    const ae_fit *fit = &k->fits[i];
    int near = nearest_multiple(fit->s, k->d, f->scale_lo, f->scale_hi);
    int down = ((float)near * k->d > fit->s) == (k->d > 0) ? near - 1 : near;

    for (int l = 0; l < LANES; l++) {
        scale[l] = clamp(f->min_hi ? down - 1 + l / 2 : down - 3 + l, f->scale_lo, f->scale_hi);
        float m = (k->d * (float)scale[l] * fit->sum_q - g->sum_wx) / g->sum_w;
        min[l] = f->min_hi
                     ? nearest_multiple(m + (l % 2 ? 0.5f : -0.5f) * k->dmin, k->dmin, 0, f->min_hi)
                     : 0;
    }
}

/* Whole numbers for every group, given the units; from the groups' fits so far, measured for real.
 */
static void choose_numbers(search *k)
{
    k->error = 0;
    for (int i = 0; i < k->format->n_groups; i++) {
        int scale[LANES], min[LANES];
        ae_fits fits;
        pairs_about(k, i, scale, min);
        for (int l = 0; l < LANES; l++) {
            fits.s[l] = k->d * (float)scale[l];
            fits.m[l] = k->dmin * (float)min[l];
        }
        ae_group_measure(&k->groups[i], &fits);
        k->fits[i].error = INFINITY;
        int at = ae_group_keep(&k->fits[i], &fits);
        k->scale[i] = at < 0 ? 0 : scale[at];
        k->min[i] = at < 0 ? 0 : min[at];
        k->error += k->fits[i].error;
    }
}

/* Least squares for (d, dmin), everything whole fixed. False when nothing follows. */
static bool solve_units(const search *k, float *d, float *dmin)
{
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;

    for (int i = 0; i < k->format->n_groups; i++) {
        const ae_group *g = &k->groups[i];
        const ae_fit *fit = &k->fits[i];
        double a = k->scale[i], b = k->min[i];
        aa += a * a * fit->sum_qq;
        ab += a * b * fit->sum_q;
        bb += b * b * g->sum_w;
        xa += a * fit->sum_xq;
        xb += b * g->sum_wx;
    }
    double det = aa * bb - ab * ab;
    if (bb > 0 && det > 1e-12 * aa * bb) {
        *d = as_half((float)((bb * xa - ab * xb) / det));
        *dmin = as_half((float)((ab * xa - aa * xb) / det));
        if (*dmin >= 0 && (*d >= 0 || k->format->scale_lo < 0)) return true;
    }
    if (!(aa > 0)) return false;
    *dmin = k->dmin;
    *d = as_half((float)((xa + ab * *dmin) / aa));
    return *d >= 0 || k->format->scale_lo < 0;
}

enum { UNIT_TURNS = 3 };

static void improve_units(search *best)
{
    for (int turn = 0; turn < UNIT_TURNS; turn++) {
        search next = *best;
        if (!solve_units(&next, &next.d, &next.dmin)) return;
        if (next.d == best->d && next.dmin == best->dmin) return;
        choose_numbers(&next);
        if (!(next.error < best->error)) return;
        *best = next;
    }
}

static void fit_k(ae_k_block *out, const ae_k_format *format, const float *x, const float *w)
{
    search k = { .format = format };
    int n = format->group_size;

    for (int i = 0; i < format->n_groups; i++) {
        k.groups[i] = ae_group_of(x + i * n, w + i * n, n, (float)format->lo, (float)format->hi);
        k.fits[i] =
            ae_group_fit(&k.groups[i], format->min_hi ? AE_MINIMUM_POSITIVE : AE_MINIMUM_NONE);
    }
    choose_units(&k);
    choose_numbers(&k);
    improve_units(&k);
    out->d = k.d;
    out->dmin = k.dmin;
    memcpy(out->scale, k.scale, sizeof out->scale);
    memcpy(out->min, k.min, sizeof out->min);
    for (int i = 0; i < format->n_groups; i++)
        ae_group_round(&k.groups[i], k.d * (float)k.scale[i], k.dmin * (float)k.min[i],
                       out->q + i * n);
}

/* A half is coarse enough that the minimum must answer to the scale's rounding: it is tried as it
 * was, and as follows from the scale. */
static void fit_plain(ae_plain_block *out, const ae_plain_format *format, const float *x,
                      const float *w)
{
    ae_group g = ae_group_of(x, w, 32, (float)format->lo, (float)format->hi);
    ae_fit best = ae_group_fit(&g, format->has_minimum ? AE_MINIMUM_FREE : AE_MINIMUM_NONE);
    float s = as_half(best.s), m = format->has_minimum ? as_half(best.m) : 0;
    ae_fits fits = { .s = LANES_ALL(s), .m = LANES_ALL(m) };

    if (format->has_minimum) fits.m[1] = as_half((s * best.sum_q - g.sum_wx) / g.sum_w);
    ae_group_measure(&g, &fits);
    best.error = INFINITY;
    ae_group_keep(&best, &fits);
    out->s = best.s;
    out->m = best.m;
    ae_group_round(&g, best.s, best.m, out->q);
}

const ae_search ae_search_here = { fit_plain, fit_k };
