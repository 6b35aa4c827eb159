/* config_rope.c -- how fast each pair of a head turns. */
#include "model/config.h"

#include <math.h>

static bool positive(double x)
{
    return isfinite(x) && x > 0;
}

static aerie_status check_yarn(const ae_config *c, const char *path, aerie_error *err)
{
    if (positive(c->rope_beta_slow) && positive(c->rope_beta_fast) &&
        c->rope_beta_slow < c->rope_beta_fast && positive(c->rope_attention_factor) &&
        c->rope_original_max_position > 0 && c->rope_theta > 1)
        return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: yarn rope scaling needs 0 < beta_slow < beta_fast, a positive "
                      "attention_factor and original_max_position_embeddings, and a rope_theta "
                      "above 1, not %g, %g, %g, %lld, %g",
                      path, c->rope_beta_slow, c->rope_beta_fast, c->rope_attention_factor,
                      (long long)c->rope_original_max_position, c->rope_theta);
}

aerie_status ae_config_check_rope(const ae_config *c, const char *path, aerie_error *err)
{
    if (!positive(c->rope_theta))
        return aerie_fail(err, AERIE_BAD_FILE, "%s: rope_theta is %g; it must be positive", path,
                          c->rope_theta);
    if (c->rope_local_theta && !positive(c->rope_local_theta))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: rope_local_base_freq is %g; it must be positive", path,
                          c->rope_local_theta);
    if (c->rope_scaling == AE_ROPE_PLAIN || c->rope_scaling == AE_ROPE_FACTORS) return AERIE_OK;
    if (!positive(c->rope_factor))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: the rope scaling's factor is %g; it must be "
                          "positive",
                          path, c->rope_factor);
    if (c->rope_scaling == AE_ROPE_LINEAR) return AERIE_OK;
    if (c->rope_scaling == AE_ROPE_YARN) return check_yarn(c, path, err);
    if (!positive(c->rope_low_freq_factor) || !positive(c->rope_high_freq_factor) ||
        c->rope_low_freq_factor >= c->rope_high_freq_factor || c->rope_original_max_position < 1)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: llama3 rope scaling needs 0 < low_freq_factor < high_freq_factor and "
            "a positive original_max_position_embeddings, not %g, %g, %lld",
            path, c->rope_low_freq_factor, c->rope_high_freq_factor,
            (long long)c->rope_original_max_position);
    return AERIE_OK;
}

/* Llama 3.1: long wavelengths are stretched by the factor, short ones kept, those between blended.
 */
static double llama3_divisor(const ae_config *c, double freq)
{
    double turns = (double)c->rope_original_max_position * freq / (2 * 3.14159265358979323846);

    if (turns < c->rope_low_freq_factor) return c->rope_factor;
    if (turns > c->rope_high_freq_factor) return 1;
    double smooth =
        (turns - c->rope_low_freq_factor) / (c->rope_high_freq_factor - c->rope_low_freq_factor);
    return 1 / ((1 - smooth) / c->rope_factor + smooth);
}

/* The pair, not rounded, that turns `turns` times within the original context. */
static double yarn_pair(const ae_config *c, double turns)
{
    double original = (double)c->rope_original_max_position;

    return (double)c->head_dim * log(original / (turns * 2 * 3.14159265358979323846)) /
           (2 * log(c->rope_theta));
}

/* YaRN: pairs before `low` turn often and are kept, those from `high` on are stretched by the
 * factor, and a ramp lies between. */
static double yarn_divisor(const ae_config *c, int64_t i)
{
    double low = fmax(floor(yarn_pair(c, c->rope_beta_fast)), 0);
    double high = fmin(ceil(yarn_pair(c, c->rope_beta_slow)), (double)c->head_dim - 1);
    double ramp = ((double)i - low) / fmax(high - low, 0.001);
    double stretched = fmin(fmax(ramp, 0), 1);

    return 1 / (stretched / c->rope_factor + (1 - stretched));
}

double ae_yarn_attention_factor(double factor)
{
    return factor > 1 ? 0.1 * log(factor) + 1 : 1;
}

static double base_frequency(const ae_config *c, double theta, int64_t i)
{
    return pow(theta, -2.0 * (double)i / (double)c->head_dim);
}

void ae_config_rope(const ae_config *c, const float *factors, double *freq)
{
    for (int64_t i = 0; i < c->head_dim / 2; i++) {
        double f = base_frequency(c, c->rope_theta, i);
        switch (c->rope_scaling) {
        case AE_ROPE_PLAIN:
            break;
        case AE_ROPE_LINEAR:
            f /= c->rope_factor;
            break;
        case AE_ROPE_LLAMA3:
            f /= llama3_divisor(c, f);
            break;
        case AE_ROPE_YARN:
            f /= yarn_divisor(c, i);
            break;
        case AE_ROPE_FACTORS:
            f /= factors[i];
            break;
        }
        freq[i] = f;
    }
}

void ae_config_local_rope(const ae_config *c, double *freq)
{
    for (int64_t i = 0; i < c->head_dim / 2; i++)
        freq[i] = base_frequency(c, c->rope_local_theta, i);
}

void ae_config_rope_factors(const ae_config *c, float *factors)
{
    for (int64_t i = 0; i < c->head_dim / 2; i++)
        factors[i] = c->rope_scaling == AE_ROPE_LLAMA3
                         ? (float)llama3_divisor(c, base_frequency(c, c->rope_theta, i))
                         : 1.0f;
}
