/* gemma.c -- the keys that Gemma 2 and 3 share. */
#include "model/gemma.h"

#include <math.h>
#include <string.h>

static float cap_from_hf(ae_hf_keys *keys, const char *key, float fallback)
{
    if (json_is_null(json_object_get(keys->object, key))) return 0;
    return (float)ae_hf_number(keys, key, (double)fallback);
}

void ae_gemma_from_hf(ae_config *c, ae_hf_keys *keys)
{
    c->qkv_bias = c->o_bias = ae_hf_flag(keys, "attention_bias", false);
    c->query_pre_attn_scalar = ae_hf_number(keys, "query_pre_attn_scalar", 256);
    c->attn_logit_softcapping =
        cap_from_hf(keys, "attn_logit_softcapping", c->attn_logit_softcapping);
    c->final_logit_softcapping =
        cap_from_hf(keys, "final_logit_softcapping", c->final_logit_softcapping);
}

static json_t *cap_to_hf(float cap)
{
    return cap > 0 ? json_real((double)cap) : json_null();
}

void ae_gemma_to_hf(const ae_config *c, json_t *root)
{
    double scalar = c->query_pre_attn_scalar;

    json_object_set_new(root, "attention_bias", json_boolean(c->o_bias));
    json_object_set_new(root, "sliding_window", json_integer(c->sliding_window));
    json_object_set_new(root, "hidden_activation", json_string("gelu_pytorch_tanh"));
    json_object_set_new(root, "query_pre_attn_scalar",
                        scalar == floor(scalar) ? json_integer((json_int_t)scalar)
                                                : json_real(scalar));
    json_object_set_new(root, "attn_logit_softcapping", cap_to_hf(c->attn_logit_softcapping));
    json_object_set_new(root, "final_logit_softcapping", cap_to_hf(c->final_logit_softcapping));
}

double ae_gemma_scalar(const ae_config *c, int64_t layers_of_27b)
{
    if (c->n_layers != layers_of_27b) return (double)c->head_dim;
    return (double)c->hidden_size / (double)c->n_heads;
}

void ae_gemma_from_gguf(ae_config *c, ae_gguf_keys *keys, int64_t period, double scalar)
{
    c->window_period = ae_gguf_keys_count(keys, "attention.sliding_window_pattern", period);
    c->attn_logit_softcapping = (float)ae_gguf_keys_number(keys, "attn_logit_softcapping",
                                                           (double)c->attn_logit_softcapping);
    c->final_logit_softcapping = (float)ae_gguf_keys_number(keys, "final_logit_softcapping",
                                                            (double)c->final_logit_softcapping);
    c->query_pre_attn_scalar = scalar;
    if (ae_gguf_keys_has(keys, "attention.query_pre_attn_scalar"))
        c->query_pre_attn_scalar =
            ae_gguf_keys_number(keys, "attention.query_pre_attn_scalar", scalar);
}

void ae_gemma_to_gguf(const ae_config *c, ae_gguf_writer *w, int64_t period, double scalar)
{
    if (c->sliding_window && c->window_period != period)
        ae_gguf_keys_set_count(w, c, "attention.sliding_window_pattern", c->window_period);
    if (c->attn_logit_softcapping > 0 || !strcmp(c->architecture, "gemma2"))
        ae_gguf_keys_set_number(w, c, "attn_logit_softcapping", (double)c->attn_logit_softcapping);
    if (c->final_logit_softcapping > 0 || !strcmp(c->architecture, "gemma2"))
        ae_gguf_keys_set_number(w, c, "final_logit_softcapping",
                                (double)c->final_logit_softcapping);
    if (c->query_pre_attn_scalar != scalar)
        ae_gguf_keys_set_number(w, c, "attention.query_pre_attn_scalar", c->query_pre_attn_scalar);
}
