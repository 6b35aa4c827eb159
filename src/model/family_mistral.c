/* family_mistral.c -- Mistral 7B v0.1 to v0.3, Zephyr, OpenChat 3.5, Starling, Mathstral. */
#include "model/family.h"

static void from_hf(ae_config *c, ae_hf_keys *keys)
{
    c->sliding_window = ae_hf_count(keys, "sliding_window", 0);
}

static bool sayable(const ae_config *c)
{
    return !c->qkv_bias && !c->o_bias;
}

static void to_hf(const ae_config *c, json_t *root)
{
    json_object_set_new(root, "sliding_window",
                        c->sliding_window ? json_integer(c->sliding_window) : json_null());
}

const ae_family ae_family_mistral = {
    .hf_type = "mistral",
    .hf_class = "MistralForCausalLM",
    .gguf = "llama",
    .gguf_interleaved = true,
    .activation = "silu",
    .from_hf = from_hf,
    .to_hf = to_hf,
    .sayable = sayable,
};
