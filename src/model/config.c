/* config.c -- the limits of a configuration, and what follows from it for each layer. */
#include "model/config.h"

#include <math.h>

int64_t ae_config_window(const ae_config *c, int64_t layer)
{
    return c->window_period && (layer + 1) % c->window_period == 0 ? 0 : c->sliding_window;
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

static aerie_status check_scores(const ae_config *c, const char *path, aerie_error *err)
{
    if (!isfinite(c->query_pre_attn_scalar) || c->query_pre_attn_scalar <= 0)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: query_pre_attn_scalar is %g; it must be positive", path,
                          c->query_pre_attn_scalar);
    if (!(c->attn_logit_softcapping >= 0 && c->final_logit_softcapping >= 0) ||
        !isfinite(c->attn_logit_softcapping) || !isfinite(c->final_logit_softcapping))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: the soft caps of scores and logits are %g and %g; they must be "
                          "positive, or 0 for none",
                          path, (double)c->attn_logit_softcapping,
                          (double)c->final_logit_softcapping);
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
        { "the period of windows", c->window_period, 0, 1024 },
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
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: the norm's epsilon is %g; it must be positive and "
                          "small",
                          path, (double)c->norm_eps);
    status = check_scores(c, path, err);
    return status ? status : ae_config_check_rope(c, path, err);
}
