/* config.c -- the families of models that this build knows, and the limits of a configuration. */
#include "model/config.h"

#include <math.h>
#include <string.h>

static const ae_family families[] = {
    { "llama", "LlamaForCausalLM", "llama", true, false },
    { "mistral", "MistralForCausalLM", "llama", true, false },
    { "qwen2", "Qwen2ForCausalLM", "qwen2", false, true },
};

const ae_family *ae_family_of_hf(const char *type_or_class)
{
    for (size_t i = 0; i < AE_COUNT(families); i++)
        if (strcmp(type_or_class, families[i].hf_type) == 0 ||
            strcmp(type_or_class, families[i].hf_class) == 0)
            return &families[i];
    return NULL;
}

const ae_family *ae_family_of_gguf(const char *architecture)
{
    for (size_t i = 0; i < AE_COUNT(families); i++)
        if (strcmp(architecture, families[i].gguf) == 0) return &families[i];
    return NULL;
}

aerie_status ae_family_unknown(const char *path, const char *architecture, aerie_error *err)
{
    const char *names[2 * AE_COUNT(families)];

    for (size_t i = 0; i < AE_COUNT(families); i++) {
        names[2 * i] = families[i].hf_type;
        names[2 * i + 1] = families[i].hf_class;
    }
    const char *near = ae_nearest(architecture, names, AE_COUNT(names));
    return aerie_fail(err, AERIE_UNSUPPORTED,
                      "%s: the architecture '%.60s' is none that this build runs (llama, mistral, "
                      "qwen2)%s%s%s",
                      path, architecture, near ? "; the nearest is '" : "", near ? near : "",
                      near ? "'" : "");
}

typedef struct {
    const char *name;
    int64_t value, least, most;
} limit;

static aerie_status check_limits(const limit *limits, size_t n, const char *path, aerie_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (limits[i].value < limits[i].least || limits[i].value > limits[i].most)
            return aerie_fail(err, AERIE_BAD_FILE, "%s: %s is %lld; it must be from %lld to %lld",
                              path, limits[i].name, (long long)limits[i].value,
                              (long long)limits[i].least, (long long)limits[i].most);
    return AERIE_OK;
}

static bool positive(double x)
{
    return isfinite(x) && x > 0;
}

static aerie_status check_rope(const ae_config *c, const char *path, aerie_error *err)
{
    if (!positive(c->rope_theta))
        return aerie_fail(err, AERIE_BAD_FILE, "%s: rope_theta is %g; it must be positive", path,
                          c->rope_theta);
    if (c->rope_scaling == AE_ROPE_PLAIN || c->rope_scaling == AE_ROPE_FACTORS) return AERIE_OK;
    if (!positive(c->rope_factor))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: the rope scaling's factor is %g; it must be "
                          "positive",
                          path, c->rope_factor);
    if (c->rope_scaling == AE_ROPE_LINEAR) return AERIE_OK;
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

aerie_status ae_config_check(const ae_config *c, const char *path, aerie_error *err)
{
    const limit limits[] = {
        { "vocab_size", c->vocab_size, 1, 1 << 24 },
        { "hidden_size", c->hidden_size, 1, 1 << 17 },
        { "intermediate_size", c->intermediate_size, 1, 1 << 20 },
        { "the number of layers", c->n_layers, 1, 1024 },
        { "the number of attention heads", c->n_heads, 1, 1024 },
        { "the number of key/value heads", c->n_kv_heads, 1, c->n_heads },
        { "the width of a head", c->head_dim, 2, 1024 },
        { "the context length", c->max_position, 1, INT32_MAX },
        { "sliding_window", c->sliding_window, 0, INT32_MAX },
    };
    aerie_status status = check_limits(limits, AE_COUNT(limits), path, err);

    if (status) return status;
    if (c->n_heads % c->n_kv_heads)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: %lld attention heads cannot share %lld key/value "
                          "heads evenly",
                          path, (long long)c->n_heads, (long long)c->n_kv_heads);
    if (c->head_dim % 2)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: the width of a head is %lld; rotation needs an "
                          "even one",
                          path, (long long)c->head_dim);
    if (!positive(c->norm_eps) || c->norm_eps >= 1)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: the norm's epsilon is %g; it must be positive and "
                          "small",
                          path, (double)c->norm_eps);
    return check_rope(c, path, err);
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

static double base_frequency(const ae_config *c, int64_t i)
{
    return pow(c->rope_theta, -2.0 * (double)i / (double)c->head_dim);
}

void ae_config_rope(const ae_config *c, const float *factors, double *freq)
{
    for (int64_t i = 0; i < c->head_dim / 2; i++) {
        double f = base_frequency(c, i);
        switch (c->rope_scaling) {
        case AE_ROPE_PLAIN:
            break;
        case AE_ROPE_LINEAR:
            f /= c->rope_factor;
            break;
        case AE_ROPE_LLAMA3:
            f /= llama3_divisor(c, f);
            break;
        case AE_ROPE_FACTORS:
            f /= factors[i];
            break;
        }
        freq[i] = f;
    }
}

void ae_config_rope_factors(const ae_config *c, float *factors)
{
    for (int64_t i = 0; i < c->head_dim / 2; i++)
        factors[i] = c->rope_scaling == AE_ROPE_LLAMA3
                         ? (float)llama3_divisor(c, base_frequency(c, i))
                         : 1.0f;
}
