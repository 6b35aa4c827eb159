/* binomial.c -- Wilson's interval, exact tests of a fair coin, Holm's correction. */
#include "stats/binomial.h"

#include <math.h>

#define Z95     1.959963984540054 /* the normal distribution's 97.5 % quantile */
#define Z_TOTAL (1.96 + 0.84)     /* 5 % two-sided, and 80 % power */

ae_interval ae_binomial_wilson(int64_t k, int64_t n)
{
    double share, size = (double)n, z2 = Z95 * Z95;

    if (n <= 0) return (ae_interval){ 0, 1 };
    share = (double)k / size;
    double middle = (share + z2 / (2 * size)) / (1 + z2 / size);
    double half = Z95 * sqrt(share * (1 - share) / size + z2 / (4 * size * size)) / (1 + z2 / size);
    /* The ends are exact where all or none of them are. */
    return (ae_interval){ k == 0 ? 0 : middle - half, k == n ? 1 : middle + half };
}

double ae_binomial_sign_test(int64_t wins, int64_t losses)
{
    int64_t n = wins + losses, least = wins < losses ? wins : losses;
    double sum = 0, size = (double)n;

    if (n <= 0 || wins == losses) return 1;
    /* From the largest term down. Up to n = 1000 it and its factor are exact enough without
     * logarithms, and 2^-n is a normal number. */
    double term = 1;
    if (n <= 1000) {
        for (int64_t i = 1; i <= least; i++) term = term * (double)(n - least + i) / (double)i;
        term = ldexp(term, -(int)n);
    } else {
        term = exp(lgamma(size + 1) - lgamma((double)least + 1) - lgamma((double)(n - least) + 1) -
                   size * log(2));
    }
    for (int64_t i = least; i >= 0 && term > 0; i--) {
        sum += term;
        term = term * (double)i / (double)(n - i + 1);
    }
    return 2 * sum < 1 ? 2 * sum : 1;
}

double ae_binomial_mcnemar_chi2(int64_t b, int64_t c, double *p)
{
    double off = fabs((double)(b - c)) - 1, chi2 = b + c > 0 ? off * off / (double)(b + c) : 0;

    if (p) *p = b + c > 0 ? erfc(sqrt(chi2 / 2)) : 1;
    return chi2;
}

double ae_binomial_items_needed(double discordant, double delta)
{
    return Z_TOTAL * Z_TOTAL * discordant / (delta * delta);
}

void ae_binomial_holm(const double *p, size_t n, double *out, size_t *order)
{
    double least = 0;

    for (size_t i = 0; i < n; i++) { /* insertion: a handful of tests, equal ones in order */
        size_t at = i;
        for (; at > 0 && p[order[at - 1]] > p[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (size_t i = 0; i < n; i++) {
        double is = p[order[i]] * (double)(n - i);
        if (is > least) least = is;
        out[order[i]] = least < 1 ? least : 1;
    }
}
