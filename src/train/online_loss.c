/* online_loss.c -- what one token's log-probability or value costs, and the slope of that cost. */
#include "train/online.h"

#include <math.h>

static double clamp(double x, double low, double high)
{
    return fmax(low, fmin(high, x));
}

ae_token_loss ae_policy_loss(double logp, double old, double advantage, const ae_ratio_clip *clip)
{
    double ratio = exp(logp - old), whole = -advantage * ratio;
    double held = -advantage * clamp(ratio, 1 - clip->low, 1 + clip->high);
    double most = clip->dual > 0 && advantage < 0 ? -advantage * clip->dual : INFINITY;

    /* Where the clipped branch is larger the ratio is outside the range, and the branch is flat. */
    if (fmax(whole, held) > most) return (ae_token_loss){ most, 0, true };
    if (held > whole) return (ae_token_loss){ held, 0, true };
    return (ae_token_loss){ whole, whole, false };
}

ae_token_loss ae_value_loss(double value, double old, double target, double range)
{
    double whole = value - target;
    double held = range > 0 ? clamp(value, old - range, old + range) - target : whole;

    if (held * held > whole * whole) return (ae_token_loss){ held * held / 2, 0, true };
    return (ae_token_loss){ whole * whole / 2, whole, false };
}

ae_token_loss ae_apa_loss(double logp, double init, double advantage, double lambda)
{
    double apart = logp - advantage / lambda - init;

    return (ae_token_loss){ apart * apart, 2 * apart, false };
}

ae_token_loss ae_awr_loss(double logp, double advantage, double c)
{
    double weight = exp(c * advantage);

    return (ae_token_loss){ -logp * weight, -weight, false };
}

ae_token_loss ae_grpo_loss(double logp, double old, double ref, double advantage,
                           const ae_ratio_clip *clip, double beta)
{
    ae_token_loss out = ae_policy_loss(logp, old, advantage, clip);

    if (beta == 0) return out;
    out.loss += beta * ae_kl_estimate(AE_KL_K3, logp, ref);
    out.slope += beta * ae_kl_slope(AE_KL_K3, logp, ref);
    return out;
}

double ae_entropy_of(const float *logits, int64_t vocab_size, double *dlogits)
{
    double most = -INFINITY, sum = 0, weighted = 0, entropy;

    for (int64_t v = 0; v < vocab_size; v++) most = fmax(most, (double)logits[v]);
    for (int64_t v = 0; v < vocab_size; v++) {
        double x = (double)logits[v] - most, e = exp(x);
        sum += e;
        weighted += e * x;
    }
    entropy = log(sum) - weighted / sum;
    for (int64_t v = 0; dlogits && v < vocab_size; v++) {
        double log_p = (double)logits[v] - most - log(sum);
        dlogits[v] = -exp(log_p) * (log_p + entropy);
    }
    return entropy;
}
