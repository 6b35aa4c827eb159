/* online_reward.c -- from a reply's score to the advantage of each of its tokens. */
#include "train/online.h"

#include <math.h>

static const double whiten_epsilon = 1e-8; /* TRL's and trlX's, inside the root */

const char *ae_kl_name(int kind)
{
    static const char *const names[] = { "k1", "k2", "k3" };

    return kind >= 0 && kind < AE_N_KL ? names[kind] : NULL;
}

double ae_kl_estimate(ae_kl_kind kind, double logp, double ref)
{
    double x = logp - ref;

    if (kind == AE_KL_K1) return x;
    return kind == AE_KL_K2 ? x * x / 2 : expm1(-x) + x;
}

double ae_kl_slope(ae_kl_kind kind, double logp, double ref)
{
    double x = logp - ref;

    if (kind == AE_KL_K1) return 1;
    return kind == AE_KL_K2 ? x : -expm1(-x);
}

void ae_token_rewards(double *rewards, const double *logp, const double *ref, int64_t n,
                      ae_kl_kind kind, double coef, double score)
{
    for (int64_t t = 0; t < n; t++)
        rewards[t] = coef != 0 ? -coef * ae_kl_estimate(kind, logp[t], ref[t]) : 0;
    rewards[n - 1] += score;
}

void ae_gae(double *advantages, double *returns, const double *rewards, const double *values,
            int64_t n, double gamma, double lambda)
{
    double next_value = 0, next = 0;

    for (int64_t t = n - 1; t >= 0; t--) {
        double value = values ? values[t] : 0;
        next = rewards[t] + gamma * next_value - value + gamma * lambda * next;
        next_value = value;
        advantages[t] = next;
        returns[t] = next + value;
    }
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static double squares_around(const double *x, int64_t n, double mean)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

void ae_whiten(double *x, int64_t n, bool keep_mean)
{
    double mean, scale;

    if (n < 2) return;
    mean = mean_of(x, n);
    scale = 1 / sqrt(squares_around(x, n, mean) / (double)(n - 1) + whiten_epsilon);
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] - mean) * scale + (keep_mean ? mean : 0);
}

double ae_score_shaped(double score, bool ended, double missing_eos, double clip)
{
    if (!ended) score -= missing_eos;
    return clip > 0 ? fmax(-clip, fmin(clip, score)) : score;
}

void ae_moments_scale(ae_moments *m, double *scores, int64_t n)
{
    double mean = n > 0 ? mean_of(scores, n) : 0, delta = mean - m->mean;
    double count = m->count + (double)n, deviation;

    if (n < 1) return;
    m->variance = (m->variance * m->count + squares_around(scores, n, mean) +
                   delta * delta * m->count * (double)n / count) /
                  count;
    m->mean += delta * (double)n / count;
    m->count = count;
    deviation = count > 1 ? sqrt(m->variance * count / (count - 1)) : 0;
    for (int64_t i = 0; i < n && deviation > 0; i++) scores[i] /= deviation;
}

double ae_adapted_kl_coef(double coef, double kl, double target, double n, double horizon)
{
    return coef * (1 + fmax(-0.2, fmin(0.2, kl / target - 1)) * n / horizon);
}
