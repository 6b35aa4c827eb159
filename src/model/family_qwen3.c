/* family_qwen3.c -- Qwen3, the dense ones: norms over the heads of q and k, and no biases. */
#include "model/family.h"

static void facts(ae_config *c)
{
    c->qk_norm = true;
    c->head_dim = 128;
}

static void from_hf(ae_config *c, ae_hf_keys *keys)
{
    c->qkv_bias = c->o_bias = ae_hf_flag(keys, "attention_bias", false);
    ae_hf_switched_window(c, keys);
}

static void to_hf(const ae_config *c, json_t *root)
{
    json_object_set_new(root, "attention_bias", json_boolean(c->o_bias));
    json_object_set_new(root, "use_sliding_window", json_boolean(c->sliding_window > 0));
    json_object_set_new(root, "max_window_layers", json_integer(0));
    json_object_set_new(root, "sliding_window",
                        c->sliding_window ? json_integer(c->sliding_window) : json_null());
}

static bool sayable(const ae_config *c)
{
    return c->qkv_bias == c->o_bias;
}

const ae_family ae_family_qwen3 = {
    .hf_type = "qwen3",
    .hf_class = "Qwen3ForCausalLM",
    .gguf = "qwen3",
    .activation = "silu",
    .facts = facts,
    .from_hf = from_hf,
    .to_hf = to_hf,
    .sayable = sayable,
};
