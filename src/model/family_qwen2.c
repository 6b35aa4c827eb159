/* family_qwen2.c -- Qwen2, Qwen2.5 and its Coder: biases on q, k and v. */
#include "model/family.h"

static void facts(ae_config *c)
{
    c->qkv_bias = true;
}

static void to_hf(const ae_config *c, json_t *root)
{
    json_object_set_new(root, "use_sliding_window", json_boolean(c->sliding_window > 0));
    json_object_set_new(root, "max_window_layers", json_integer(0));
    json_object_set_new(root, "sliding_window",
                        c->sliding_window ? json_integer(c->sliding_window) : json_null());
}

static bool sayable(const ae_config *c)
{
    return c->qkv_bias && !c->o_bias;
}

const ae_family ae_family_qwen2 = {
    .hf_type = "qwen2",
    .hf_class = "Qwen2ForCausalLM",
    .gguf = "qwen2",
    .activation = "silu",
    .facts = facts,
    .from_hf = ae_hf_switched_window,
    .to_hf = to_hf,
    .sayable = sayable,
};
