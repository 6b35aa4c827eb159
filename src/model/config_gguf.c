/* config_gguf.c -- a decoder's numbers in GGUF metadata. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POOLING_RANK = 4 }; /* llama.cpp's LLAMA_POOLING_TYPE_RANK */

/* Some models give one number for each layer, which this build does not run. */
static int64_t read_heads(ae_gguf_keys *r, const char *key, int64_t fallback)
{
    if (ae_gguf_keys_has(r, key))
        for (size_t i = 0; i < ae_gguf_entry_count(r->gguf); i++) {
            ae_gguf_entry entry = ae_gguf_entry_at(r->gguf, i);
            if (strcmp(entry.key, r->key) == 0 && entry.type == AE_GGUF_ARRAY)
                aerie_fail(&r->error, AERIE_UNSUPPORTED,
                           "%s: '%s' differs from layer to layer, which "
                           "this build does not run",
                           ae_gguf_name(r->gguf), r->key);
        }
    return r->error.status ? 1 : ae_gguf_keys_count(r, key, fallback);
}

static int64_t read_vocab_size(ae_gguf_keys *r)
{
    const ae_stored_tensor *embedding =
        ae_tensor_list_find(ae_gguf_tensors(r->gguf), "token_embd.weight");

    return ae_gguf_keys_count(r, "vocab_size",
                              embedding && embedding->rows > 0 ? embedding->rows : 0);
}

/* As llama.cpp has it: its attn_factor multiplies what the scaling's factor gives. */
static void read_yarn(ae_config *c, ae_gguf_keys *r)
{
    double more = ae_gguf_keys_number(r, "rope.scaling.attn_factor", 1);

    c->rope_scaling = AE_ROPE_YARN;
    c->rope_attention_factor = more * ae_yarn_attention_factor(c->rope_factor);
    c->rope_beta_fast = ae_gguf_keys_number(r, "rope.scaling.yarn_beta_fast", 32);
    c->rope_beta_slow = ae_gguf_keys_number(r, "rope.scaling.yarn_beta_slow", 1);
    c->rope_original_max_position =
        ae_gguf_keys_count(r, "rope.scaling.original_context_length", c->max_position);
}

static void read_scaling(ae_config *c, ae_gguf_keys *r)
{
    ae_span type = { 0 };

    if (!ae_gguf_keys_has(r, "rope.scaling.type")) return;
    if (ae_gguf_text(r->gguf, r->key, &type, &r->error)) return;
    if (ae_span_is(type, "none")) return;
    c->rope_factor = ae_gguf_keys_number(r, "rope.scaling.factor", 1);
    if (ae_span_is(type, "yarn"))
        read_yarn(c, r);
    else if (!ae_span_is(type, "linear"))
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: rope scaling '%.*s' is none that this build computes (none, linear, yarn)",
                   ae_gguf_name(r->gguf), (int)(type.len < 40 ? type.len : 40), type.data);
    else if (c->rope_factor != 1)
        c->rope_scaling = AE_ROPE_LINEAR;
}

static void read_rope(ae_config *c, ae_gguf_keys *r)
{
    c->rope_theta = ae_gguf_keys_number(r, "rope.freq_base", 10000);
    if (ae_gguf_keys_count(r, "rope.dimension_count", c->head_dim) != c->head_dim)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: only a part of each head is rotated ('%s'), "
                   "which this build does not compute",
                   ae_gguf_name(r->gguf), r->key);
    read_scaling(c, r);
}

static bool has_tensor(const ae_gguf *g, const char *name)
{
    return ae_tensor_list_find(ae_gguf_tensors(g), name) != NULL;
}

/* llama.cpp's: a model that ranks has its head in cls.output.weight, pools by rank, and needs no
 * other head. Beside a language head it is a value function's. */
static void read_heads_of_end(ae_config *c, ae_gguf_keys *r)
{
    bool language = has_tensor(r->gguf, "output.weight");

    c->score_head = has_tensor(r->gguf, "cls.output.weight");
    c->no_language_head =
        c->score_head && !language && ae_gguf_keys_count(r, "pooling_type", 0) == POOLING_RANK;
    c->tied_head = !language && !c->no_language_head;
}

static void read_all(ae_config *c, ae_gguf_keys *r)
{
    const ae_gguf *g = r->gguf;

    c->vocab_size = read_vocab_size(r);
    c->hidden_size = ae_gguf_keys_count(r, "embedding_length", -1);
    c->n_layers = ae_gguf_keys_count(r, "block_count", -1);
    c->intermediate_size = read_heads(r, "feed_forward_length", -1);
    c->n_heads = read_heads(r, "attention.head_count", -1);
    c->n_kv_heads = read_heads(r, "attention.head_count_kv", c->n_heads < 0 ? 0 : c->n_heads);
    if (ae_gguf_keys_count(r, "expert_count", 0) > 0)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: is a mixture of experts, which this build does "
                   "not run",
                   ae_gguf_name(g));
    if (r->error.status) return;
    if (c->n_heads < 1 || c->hidden_size < 1) return; /* the check says so */
    c->head_dim = ae_gguf_keys_count(r, "attention.key_length", c->hidden_size / c->n_heads);
    if (ae_gguf_keys_count(r, "attention.value_length", c->head_dim) != c->head_dim)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: keys and values of different widths are not "
                   "something this build computes",
                   ae_gguf_name(g));
    c->query_pre_attn_scalar = (double)c->head_dim;
    c->max_position = ae_gguf_keys_count(r, "context_length", 2048);
    c->sliding_window = ae_gguf_keys_count(r, "attention.sliding_window", c->sliding_window);
    c->norm_eps = (float)ae_gguf_keys_number(r, "attention.layer_norm_rms_epsilon", 1e-5);
    read_heads_of_end(c, r);
    c->qkv_bias = has_tensor(g, "blk.0.attn_q.bias");
    c->o_bias = has_tensor(g, "blk.0.attn_output.bias");
    read_rope(c, r);
    if (ae_family_of(c)->from_gguf) ae_family_of(c)->from_gguf(c, r);
}

/* GGUF stores what Llama 3.1's formula gives, not its parameters: they are this project's own keys,
 * or else the published models' (1, 4, 8192) with the largest divisor as the factor. Kept only when
 * the formula then gives the table. */
static bool recover_llama3(ae_config *c, ae_gguf_keys *r, const float *factors)
{
    ae_config guess = *c;
    float again[512];

    guess.rope_scaling = AE_ROPE_LLAMA3;
    guess.rope_factor = 1;
    for (int64_t i = 0; i < c->head_dim / 2; i++)
        guess.rope_factor = fmax(guess.rope_factor, factors[i]);
    guess.rope_factor = ae_gguf_keys_number(r, "rope.scaling.llama3.factor", guess.rope_factor);
    guess.rope_low_freq_factor = ae_gguf_keys_number(r, "rope.scaling.llama3.low_freq_factor", 1);
    guess.rope_high_freq_factor = ae_gguf_keys_number(r, "rope.scaling.llama3.high_freq_factor", 4);
    guess.rope_original_max_position =
        ae_gguf_keys_count(r, "rope.scaling.original_context_length", 8192);
    if (r->error.status || ae_config_check(&guess, ae_gguf_name(r->gguf), NULL)) return false;
    ae_config_rope_factors(&guess, again);
    for (int64_t i = 0; i < c->head_dim / 2; i++)
        if (!(fabsf(again[i] - factors[i]) <= 2e-6f * factors[i])) return false;
    *c = guess;
    return true;
}

/* After the check: head_dim is sane. */
static aerie_status read_factors(ae_config *c, ae_gguf_keys *r, ae_arena *arena,
                                 const float **factors, aerie_error *err)
{
    const char *path = ae_gguf_name(r->gguf);
    const ae_stored_tensor *t = ae_tensor_list_find(ae_gguf_tensors(r->gguf), "rope_freqs.weight");
    int64_t n = c->head_dim / 2;

    if (!t) return AERIE_OK;
    if (t->dtype != AE_F32 || t->rows != 1 || t->cols != n)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: rope_freqs.weight must be F32 of %lld numbers",
                          path, (long long)n);
    float *copy = ae_arena_take(arena, (size_t)n, sizeof *copy);
    if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its rotation", path);
    memcpy(copy, t->data, (size_t)n * sizeof *copy);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(copy[i]) || copy[i] <= 0)
            return aerie_fail(err, AERIE_BAD_FILE,
                              "%s: rope_freqs.weight[%lld] is %g; it must be "
                              "positive",
                              path, (long long)i, (double)copy[i]);
    if (!recover_llama3(c, r, copy)) {
        c->rope_scaling = AE_ROPE_FACTORS;
        *factors = copy;
    }
    return AERIE_OK;
}

static bool is_adapter(const ae_gguf *g)
{
    ae_span type;

    return ae_gguf_has(g, "general.type") && !ae_gguf_text(g, "general.type", &type, NULL) &&
           ae_span_is(type, "adapter");
}

static aerie_status read_architecture(ae_config *c, const ae_gguf *g, aerie_error *err)
{
    ae_span text;
    char name[64];
    aerie_status status = ae_gguf_text(g, "general.architecture", &text, err);

    if (status) return status;
    if (is_adapter(g))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: this is an adapter; give its model, and this file with --adapter",
                          ae_gguf_name(g));
    snprintf(name, sizeof name, "%.*s", (int)(text.len < 60 ? text.len : 60), text.data);
    const ae_family *family = ae_family_of_gguf(name);
    if (!family) return ae_family_unknown(ae_gguf_name(g), name, err);
    snprintf(c->architecture, sizeof c->architecture, "%s", family->gguf);
    snprintf(c->family, sizeof c->family, "%s", family->hf_type);
    c->rope_interleaved = family->gguf_interleaved;
    if (family->facts) family->facts(c);
    if (ae_gguf_has(g, "general.name") && !ae_gguf_text(g, "general.name", &text, NULL))
        snprintf(c->name, sizeof c->name, "%.*s", (int)(text.len < 127 ? text.len : 127),
                 text.data);
    return AERIE_OK;
}

aerie_status ae_config_from_gguf(ae_config *out, const ae_gguf *g, ae_arena *arena,
                                 const float **factors, aerie_error *err)
{
    ae_gguf_keys r = { .gguf = g };
    aerie_status status;

    memset(out, 0, sizeof *out);
    *factors = NULL;
    status = read_architecture(out, g, err);
    if (status) return status;
    r.architecture = out->architecture;
    read_all(out, &r);
    if (r.error.status) return aerie_fail(err, r.error.status, "%s", r.error.message);
    status = ae_config_check(out, ae_gguf_name(g), err);
    if (status) return status;
    return read_factors(out, &r, arena, factors, err);
}

static void write_yarn(const ae_config *c, ae_gguf_writer *w)
{
    double more = c->rope_attention_factor / ae_yarn_attention_factor(c->rope_factor);

    ae_gguf_keys_set_count(w, c, "rope.scaling.original_context_length",
                           c->rope_original_max_position);
    if (fabs(more - 1) > 1e-6) ae_gguf_keys_set_number(w, c, "rope.scaling.attn_factor", more);
    if (c->rope_beta_fast != 32)
        ae_gguf_keys_set_number(w, c, "rope.scaling.yarn_beta_fast", c->rope_beta_fast);
    if (c->rope_beta_slow != 1)
        ae_gguf_keys_set_number(w, c, "rope.scaling.yarn_beta_slow", c->rope_beta_slow);
}

static void write_scaling(const ae_config *c, ae_gguf_writer *w)
{
    char key[96];

    if (c->rope_scaling == AE_ROPE_LINEAR || c->rope_scaling == AE_ROPE_YARN) {
        snprintf(key, sizeof key, "%s.rope.scaling.type", c->architecture);
        ae_gguf_set_text(w, key, c->rope_scaling == AE_ROPE_YARN ? "yarn" : "linear");
        ae_gguf_keys_set_number(w, c, "rope.scaling.factor", c->rope_factor);
        if (c->rope_scaling == AE_ROPE_YARN) write_yarn(c, w);
    } else if (c->rope_scaling == AE_ROPE_LLAMA3) {
        ae_gguf_keys_set_number(w, c, "rope.scaling.llama3.factor", c->rope_factor);
        ae_gguf_keys_set_number(w, c, "rope.scaling.llama3.low_freq_factor",
                                c->rope_low_freq_factor);
        ae_gguf_keys_set_number(w, c, "rope.scaling.llama3.high_freq_factor",
                                c->rope_high_freq_factor);
        ae_gguf_keys_set_count(w, c, "rope.scaling.original_context_length",
                               c->rope_original_max_position);
    }
}

void ae_config_to_gguf(const ae_config *c, ae_gguf_writer *w)
{
    ae_gguf_set_text(w, "general.architecture", c->architecture);
    if (c->name[0]) ae_gguf_set_text(w, "general.name", c->name);
    ae_gguf_keys_set_count(w, c, "vocab_size", c->vocab_size);
    ae_gguf_keys_set_count(w, c, "context_length", c->max_position);
    ae_gguf_keys_set_count(w, c, "embedding_length", c->hidden_size);
    ae_gguf_keys_set_count(w, c, "block_count", c->n_layers);
    ae_gguf_keys_set_count(w, c, "feed_forward_length", c->intermediate_size);
    ae_gguf_keys_set_count(w, c, "attention.head_count", c->n_heads);
    ae_gguf_keys_set_count(w, c, "attention.head_count_kv", c->n_kv_heads);
    ae_gguf_keys_set_count(w, c, "attention.key_length", c->head_dim);
    ae_gguf_keys_set_count(w, c, "attention.value_length", c->head_dim);
    ae_gguf_keys_set_number(w, c, "attention.layer_norm_rms_epsilon", c->norm_eps);
    if (c->sliding_window)
        ae_gguf_keys_set_count(w, c, "attention.sliding_window", c->sliding_window);
    ae_gguf_keys_set_count(w, c, "rope.dimension_count", c->head_dim);
    ae_gguf_keys_set_number(w, c, "rope.freq_base", c->rope_theta);
    if (c->no_language_head) ae_gguf_keys_set_count(w, c, "pooling_type", POOLING_RANK);
    write_scaling(c, w);
    if (ae_family_of(c)->to_gguf) ae_family_of(c)->to_gguf(c, w);
}
