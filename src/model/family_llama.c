/* family_llama.c -- Llama 2 and 3, CodeLlama, Yi, TinyLlama, SmolLM2. In GGUF Mistral goes by this
 * name too. */
#include "model/family.h"

#include <stdio.h>

static void from_hf(ae_config *c, ae_hf_keys *keys)
{
    c->qkv_bias = c->o_bias = ae_hf_flag(keys, "attention_bias", false);
}

static void to_hf(const ae_config *c, json_t *root)
{
    json_object_set_new(root, "attention_bias", json_boolean(c->o_bias));
}

/* Llama's class computes no window; Mistral's does. */
static void from_gguf(ae_config *c, ae_gguf_keys *keys)
{
    (void)keys;
    if (c->sliding_window) snprintf(c->family, sizeof c->family, "%s", ae_family_mistral.hf_type);
}

static bool sayable(const ae_config *c)
{
    return c->qkv_bias == c->o_bias && !c->sliding_window;
}

const ae_family ae_family_llama = {
    .hf_type = "llama",
    .hf_class = "LlamaForCausalLM",
    .gguf = "llama",
    .gguf_interleaved = true,
    .activation = "silu",
    .from_hf = from_hf,
    .to_hf = to_hf,
    .from_gguf = from_gguf,
    .sayable = sayable,
};
