/* family_gemma2.c -- Gemma 2: every other layer has a window, the first among them; scores and
 * logits have soft caps; a layer's outputs are normed before they are added; embeddings are scaled.
 */
#include "model/gemma.h"

enum { LAYERS_OF_27B = 46 };

static void facts(ae_config *c)
{
    c->post_norms = true;
    c->scaled_embedding = true;
    c->activation = AE_GELU_TANH;
    c->tied_head = true;
    c->head_dim = 256;
    c->max_position = 8192;
    c->sliding_window = 4096;
    c->window_period = 2;
    c->attn_logit_softcapping = 50;
    c->final_logit_softcapping = 30;
}

static void from_hf(ae_config *c, ae_hf_keys *keys)
{
    c->sliding_window = ae_hf_count(keys, "sliding_window", c->sliding_window);
    ae_gemma_from_hf(c, keys);
}

static void from_gguf(ae_config *c, ae_gguf_keys *keys)
{
    ae_gemma_from_gguf(c, keys, 2, ae_gemma_scalar(c, LAYERS_OF_27B));
}

static void to_gguf(const ae_config *c, ae_gguf_writer *w)
{
    ae_gemma_to_gguf(c, w, 2, ae_gemma_scalar(c, LAYERS_OF_27B));
}

static bool sayable(const ae_config *c)
{
    return c->qkv_bias == c->o_bias && c->window_period == 2;
}

const ae_family ae_family_gemma2 = {
    .hf_type = "gemma2",
    .hf_class = "Gemma2ForCausalLM",
    .gguf = "gemma2",
    .norms_minus_one = true,
    .activation = "gelu_pytorch_tanh",
    .facts = facts,
    .from_hf = from_hf,
    .to_hf = ae_gemma_to_hf,
    .from_gguf = from_gguf,
    .to_gguf = to_gguf,
    .sayable = sayable,
};
