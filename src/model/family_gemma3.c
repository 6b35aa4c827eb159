/* family_gemma3.c -- the text models of Gemma 3: five layers with a window, then one that sees all;
 * norms over the heads of q and k; the layers with a window rotate by a base of their own. */
#include "model/gemma.h"

enum { LAYERS_OF_27B = 62, PERIOD = 6 };

static void facts(ae_config *c)
{
    c->post_norms = true;
    c->qk_norm = true;
    c->scaled_embedding = true;
    c->activation = AE_GELU_TANH;
    c->tied_head = true;
    /* What the published config.json of the larger ones leave to the class. */
    c->vocab_size = 262208;
    c->hidden_size = 2304;
    c->intermediate_size = 9216;
    c->n_layers = 26;
    c->n_heads = 8;
    c->n_kv_heads = 4;
    c->head_dim = 256;
    c->max_position = 131072;
    c->rope_theta = 1e6;
    c->rope_local_theta = 1e4;
}

/* The newer way to write rotation gives each kind of layer its own. */
static double local_theta(ae_hf_keys *keys)
{
    ae_hf_keys inner = { ae_hf_value(keys, "rope_parameters"), keys->path, { 0 } };

    inner.object = json_object_get(inner.object, "sliding_attention");
    if (!json_is_object(inner.object)) return ae_hf_number(keys, "rope_local_base_freq", 1e4);
    double theta = ae_hf_number(&inner, "rope_theta", 1e4);
    if (inner.error.status) keys->error = inner.error;
    return theta;
}

static void from_hf(ae_config *c, ae_hf_keys *keys)
{
    int64_t period = ae_hf_count(keys, "_sliding_window_pattern", PERIOD);

    c->sliding_window = ae_hf_count(keys, "sliding_window", 4096);
    c->window_period = ae_hf_count(keys, "sliding_window_pattern", period);
    c->rope_local_theta = local_theta(keys);
    ae_gemma_from_hf(c, keys);
    if (ae_hf_flag(keys, "use_bidirectional_attention", false))
        aerie_fail(&keys->error, AERIE_UNSUPPORTED,
                   "%s: is an encoder (use_bidirectional_attention), which this build does not run",
                   keys->path);
}

static void to_hf(const ae_config *c, json_t *root)
{
    json_object_set_new(root, "sliding_window_pattern", json_integer(c->window_period));
    json_object_set_new(root, "rope_local_base_freq", json_real(c->rope_local_theta));
    ae_gemma_to_hf(c, root);
}

static void from_gguf(ae_config *c, ae_gguf_keys *keys)
{
    c->rope_local_theta = ae_gguf_keys_number(keys, "rope.freq_base_swa", 1e4);
    ae_gemma_from_gguf(c, keys, PERIOD, ae_gemma_scalar(c, LAYERS_OF_27B));
}

static void to_gguf(const ae_config *c, ae_gguf_writer *w)
{
    ae_gguf_keys_set_number(w, c, "rope.freq_base_swa", c->rope_local_theta);
    ae_gemma_to_gguf(c, w, PERIOD, ae_gemma_scalar(c, LAYERS_OF_27B));
}

static bool sayable(const ae_config *c)
{
    return c->qkv_bias == c->o_bias;
}

const ae_family ae_family_gemma3 = {
    .hf_type = "gemma3_text",
    .hf_class = "Gemma3ForCausalLM",
    .gguf = "gemma3",
    .norms_minus_one = true,
    .activation = "gelu_pytorch_tanh",
    .facts = facts,
    .from_hf = from_hf,
    .to_hf = to_hf,
    .from_gguf = from_gguf,
    .to_gguf = to_gguf,
    .sayable = sayable,
};
