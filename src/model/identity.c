/* identity.c -- a name for what a model computes: equal for equal configuration and weights. */
#include "model/model_private.h"

#include <stdio.h>
#include <string.h>

static void add_text(ae_sha256 *s, const char *text)
{
    ae_sha256_add(s, text, strlen(text) + 1);
}

/* What the first families did not have is added only where it is there: their names stay. */
static void add_number(ae_sha256 *s, const char *name, double value)
{
    char text[64];

    if (!value) return;
    snprintf(text, sizeof text, "%s %.9g", name, value);
    add_text(s, text);
}

static void add_later_numbers(ae_sha256 *s, const ae_config *c)
{
    double scalar = c->query_pre_attn_scalar;

    add_number(s, "window_period", (double)c->window_period);
    add_number(s, "rope_local_theta", c->rope_local_theta);
    add_number(s, "rope_beta_fast", c->rope_beta_fast);
    add_number(s, "rope_beta_slow", c->rope_beta_slow);
    add_number(s, "rope_attention_factor", c->rope_attention_factor);
    add_number(s, "scaled_embedding", c->scaled_embedding);
    add_number(s, "activation", c->activation);
    add_number(s, "query_pre_attn_scalar", scalar == (double)c->head_dim ? 0 : scalar);
    add_number(s, "attn_logit_softcapping", (double)c->attn_logit_softcapping);
    add_number(s, "final_logit_softcapping", (double)c->final_logit_softcapping);
    add_number(s, "no_language_head", c->no_language_head);
}

static void add_numbers(ae_sha256 *s, const ae_config *c)
{
    const int64_t whole[] = {
        c->vocab_size,        c->hidden_size,
        c->intermediate_size, c->n_layers,
        c->n_heads,           c->n_kv_heads,
        c->head_dim,          c->sliding_window,
        c->rope_scaling,      c->rope_original_max_position,
        c->rope_interleaved,  c->tied_head,
        c->qkv_bias,          c->o_bias,
    };
    const double real[] = { c->rope_theta, c->rope_factor, c->rope_low_freq_factor,
                            c->rope_high_freq_factor, c->norm_eps };
    char text[64];

    add_text(s, c->architecture);
    for (size_t i = 0; i < AE_COUNT(whole); i++) {
        snprintf(text, sizeof text, "%lld", (long long)whole[i]);
        add_text(s, text);
    }
    for (size_t i = 0; i < AE_COUNT(real); i++) {
        snprintf(text, sizeof text, "%.9g", real[i]);
        add_text(s, text);
    }
    add_later_numbers(s, c);
}

/* XXH64 with two seeds over each MiB, and SHA-256 over those: as fast as memory is read, where
 * SHA-256 alone takes ten seconds for a 4 GB file at every start with an adapter. It tells models
 * apart; it is no defence against someone who makes two alike on purpose. */
static void add_bytes(ae_sha256 *s, const char *data, size_t bytes)
{
    enum { CHUNK = 1 << 20 };

    for (size_t at = 0; at < bytes; at += CHUNK) {
        size_t n = bytes - at < CHUNK ? bytes - at : CHUNK;
        uint64_t pair[2] = { ae_hash64(data + at, n, 0), ae_hash64(data + at, n, 1) };
        for (int i = 0; i < 16; i++) {
            uint8_t byte = (uint8_t)(pair[i / 8] >> i % 8 * 8);
            ae_sha256_add(s, &byte, 1);
        }
    }
}

static void add_tensor(ae_sha256 *s, const ae_named_param *p)
{
    const ae_tensor *t = p->tensor;
    size_t bytes = 0;

    add_text(s, p->name);
    add_text(s, ae_dtype_info_of(t->dtype)->name);
    if (ae_dtype_bytes(&bytes, t->dtype, t->rows, t->cols)) add_bytes(s, t->data, bytes);
}

static void compute(const ae_model *m, char out[65])
{
    ae_sha256 s;

    ae_sha256_start(&s);
    add_numbers(&s, &m->config);
    if (m->rope_factors)
        add_bytes(&s, (const char *)m->rope_factors,
                  (size_t)m->config.head_dim / 2 * sizeof *m->rope_factors);
    for (int64_t i = 0; i < m->n_params; i++) add_tensor(&s, &m->params[i]);
    ae_sha256_hex(&s, out);
}

/* Weights of a trainable model move; only those in a file are remembered. The model is otherwise
 * immutable and shared by threads: the first to have computed the hash leaves it for all. */
aerie_status ae_model_hash(const ae_model *m, char out[65], aerie_error *err)
{
    ae_model *cache = (ae_model *)m;
    int unknown = 0;

    (void)err;
    if (atomic_load(&cache->hash_state) == 2) {
        memcpy(out, m->hash, 65);
        return AERIE_OK;
    }
    compute(m, out);
    if ((m->gguf || m->safetensors) &&
        atomic_compare_exchange_strong(&cache->hash_state, &unknown, 1)) {
        memcpy(cache->hash, out, 65);
        atomic_store(&cache->hash_state, 2);
    }
    return AERIE_OK;
}
