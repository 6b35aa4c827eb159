/* config_gguf.c -- a decoder's numbers in GGUF metadata. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Reads "<architecture>.<key>"; the first failure sticks. */
typedef struct {
    const ae_gguf *gguf;
    const char *architecture;
    char key[96];
    aerie_error error;
} reader;

static bool has(reader *r, const char *key)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->architecture, key);
    return ae_gguf_has(r->gguf, r->key);
}

/* fallback < 0: the key must be there. */
static int64_t read_count(reader *r, const char *key, int64_t fallback)
{
    int64_t value = fallback;

    if (!has(r, key) && fallback >= 0) return fallback;
    ae_gguf_i64(r->gguf, r->key, &value, &r->error);
    return value;
}

static double read_number(reader *r, const char *key, double fallback)
{
    float value = (float)fallback;

    if (!has(r, key)) return fallback;
    ae_gguf_f32(r->gguf, r->key, &value, &r->error);
    return value;
}

/* Some models give one number for each layer, which this build does not run. */
static int64_t read_heads(reader *r, const char *key, int64_t fallback)
{
    if (has(r, key))
        for (size_t i = 0; i < ae_gguf_entry_count(r->gguf); i++) {
            ae_gguf_entry entry = ae_gguf_entry_at(r->gguf, i);
            if (strcmp(entry.key, r->key) == 0 && entry.type == AE_GGUF_ARRAY)
                aerie_fail(&r->error, AERIE_UNSUPPORTED,
                           "%s: '%s' differs from layer to layer, which "
                           "this build does not run",
                           ae_gguf_name(r->gguf), r->key);
        }
    return r->error.status ? 1 : read_count(r, key, fallback);
}

static int64_t read_vocab_size(reader *r)
{
    const ae_stored_tensor *embedding =
        ae_tensor_list_find(ae_gguf_tensors(r->gguf), "token_embd.weight");

    return read_count(r, "vocab_size", embedding && embedding->rows > 0 ? embedding->rows : 0);
}

static void read_scaling(ae_config *c, reader *r)
{
    ae_span type = { 0 };

    if (!has(r, "rope.scaling.type")) return;
    if (ae_gguf_text(r->gguf, r->key, &type, &r->error)) return;
    if (ae_span_is(type, "none")) return;
    if (!ae_span_is(type, "linear")) {
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: rope scaling '%.*s' is none that this build computes (none, linear)",
                   ae_gguf_name(r->gguf), (int)(type.len < 40 ? type.len : 40), type.data);
        return;
    }
    c->rope_factor = read_number(r, "rope.scaling.factor", 1);
    if (c->rope_factor != 1) c->rope_scaling = AE_ROPE_LINEAR;
}

static void read_rope(ae_config *c, reader *r)
{
    c->rope_theta = read_number(r, "rope.freq_base", 10000);
    if (read_count(r, "rope.dimension_count", c->head_dim) != c->head_dim)
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

static void read_all(ae_config *c, reader *r)
{
    const ae_gguf *g = r->gguf;

    c->vocab_size = read_vocab_size(r);
    c->hidden_size = read_count(r, "embedding_length", -1);
    c->n_layers = read_count(r, "block_count", -1);
    c->intermediate_size = read_heads(r, "feed_forward_length", -1);
    c->n_heads = read_heads(r, "attention.head_count", -1);
    c->n_kv_heads = read_heads(r, "attention.head_count_kv", c->n_heads < 0 ? 0 : c->n_heads);
    if (read_count(r, "expert_count", 0) > 0)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: is a mixture of experts, which this build does "
                   "not run",
                   ae_gguf_name(g));
    if (r->error.status) return;
    if (c->n_heads < 1 || c->hidden_size < 1) return; /* the check says so */
    c->head_dim = read_count(r, "attention.key_length", c->hidden_size / c->n_heads);
    if (read_count(r, "attention.value_length", c->head_dim) != c->head_dim)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: keys and values of different widths are not "
                   "something this build computes",
                   ae_gguf_name(g));
    c->max_position = read_count(r, "context_length", 2048);
    c->sliding_window = read_count(r, "attention.sliding_window", 0);
    c->norm_eps = (float)read_number(r, "attention.layer_norm_rms_epsilon", 1e-5);
    c->tied_head = !has_tensor(g, "output.weight");
    c->qkv_bias = has_tensor(g, "blk.0.attn_q.bias");
    c->o_bias = has_tensor(g, "blk.0.attn_output.bias");
    read_rope(c, r);
}

/* GGUF stores what Llama 3.1's formula gives, not its parameters: they are this project's own keys,
 * or else the published models' (1, 4, 8192) with the largest divisor as the factor. Kept only when
 * the formula then gives the table. */
static bool recover_llama3(ae_config *c, reader *r, const float *factors)
{
    ae_config guess = *c;
    float again[512];

    guess.rope_scaling = AE_ROPE_LLAMA3;
    guess.rope_factor = 1;
    for (int64_t i = 0; i < c->head_dim / 2; i++)
        guess.rope_factor = fmax(guess.rope_factor, factors[i]);
    guess.rope_factor = read_number(r, "rope.scaling.llama3.factor", guess.rope_factor);
    guess.rope_low_freq_factor = read_number(r, "rope.scaling.llama3.low_freq_factor", 1);
    guess.rope_high_freq_factor = read_number(r, "rope.scaling.llama3.high_freq_factor", 4);
    guess.rope_original_max_position = read_count(r, "rope.scaling.original_context_length", 8192);
    if (r->error.status || ae_config_check(&guess, ae_gguf_name(r->gguf), NULL)) return false;
    ae_config_rope_factors(&guess, again);
    for (int64_t i = 0; i < c->head_dim / 2; i++)
        if (!(fabsf(again[i] - factors[i]) <= 2e-6f * factors[i])) return false;
    *c = guess;
    return true;
}

/* After the check: head_dim is sane. */
static aerie_status read_factors(ae_config *c, reader *r, ae_arena *arena, const float **factors,
                                 aerie_error *err)
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

static aerie_status read_architecture(ae_config *c, const ae_gguf *g, aerie_error *err)
{
    ae_span text;
    char name[64];
    aerie_status status = ae_gguf_text(g, "general.architecture", &text, err);

    if (status) return status;
    snprintf(name, sizeof name, "%.*s", (int)(text.len < 60 ? text.len : 60), text.data);
    const ae_family *family = ae_family_of_gguf(name);
    if (!family) return ae_family_unknown(ae_gguf_name(g), name, err);
    snprintf(c->architecture, sizeof c->architecture, "%s", family->gguf);
    if (ae_gguf_has(g, "general.name") && !ae_gguf_text(g, "general.name", &text, NULL))
        snprintf(c->name, sizeof c->name, "%.*s", (int)(text.len < 127 ? text.len : 127),
                 text.data);
    return AERIE_OK;
}

aerie_status ae_config_from_gguf(ae_config *out, const ae_gguf *g, ae_arena *arena,
                                 const float **factors, aerie_error *err)
{
    reader r = { .gguf = g };
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
    const ae_family *family = ae_family_of_gguf(out->architecture);
    out->rope_interleaved = family->gguf_interleaved;
    snprintf(out->family, sizeof out->family, "%s",
             family->gguf_interleaved && out->sliding_window ? "mistral" : family->hf_type);
    return read_factors(out, &r, arena, factors, err);
}

static void set_u32(ae_gguf_writer *w, const ae_config *c, const char *key, int64_t value)
{
    char full[96];

    snprintf(full, sizeof full, "%s.%s", c->architecture, key);
    ae_gguf_set_u32(w, full, (uint32_t)value);
}

static void set_f32(ae_gguf_writer *w, const ae_config *c, const char *key, double value)
{
    char full[96];

    snprintf(full, sizeof full, "%s.%s", c->architecture, key);
    ae_gguf_set_f32(w, full, (float)value);
}

static void write_scaling(const ae_config *c, ae_gguf_writer *w)
{
    char key[96];

    if (c->rope_scaling == AE_ROPE_LINEAR) {
        snprintf(key, sizeof key, "%s.rope.scaling.type", c->architecture);
        ae_gguf_set_text(w, key, "linear");
        set_f32(w, c, "rope.scaling.factor", c->rope_factor);
    } else if (c->rope_scaling == AE_ROPE_LLAMA3) {
        set_f32(w, c, "rope.scaling.llama3.factor", c->rope_factor);
        set_f32(w, c, "rope.scaling.llama3.low_freq_factor", c->rope_low_freq_factor);
        set_f32(w, c, "rope.scaling.llama3.high_freq_factor", c->rope_high_freq_factor);
        set_u32(w, c, "rope.scaling.original_context_length", c->rope_original_max_position);
    }
}

void ae_config_to_gguf(const ae_config *c, ae_gguf_writer *w)
{
    ae_gguf_set_text(w, "general.architecture", c->architecture);
    if (c->name[0]) ae_gguf_set_text(w, "general.name", c->name);
    set_u32(w, c, "vocab_size", c->vocab_size);
    set_u32(w, c, "context_length", c->max_position);
    set_u32(w, c, "embedding_length", c->hidden_size);
    set_u32(w, c, "block_count", c->n_layers);
    set_u32(w, c, "feed_forward_length", c->intermediate_size);
    set_u32(w, c, "attention.head_count", c->n_heads);
    set_u32(w, c, "attention.head_count_kv", c->n_kv_heads);
    set_u32(w, c, "attention.key_length", c->head_dim);
    set_u32(w, c, "attention.value_length", c->head_dim);
    set_f32(w, c, "attention.layer_norm_rms_epsilon", c->norm_eps);
    if (c->sliding_window) set_u32(w, c, "attention.sliding_window", c->sliding_window);
    set_u32(w, c, "rope.dimension_count", c->head_dim);
    set_f32(w, c, "rope.freq_base", c->rope_theta);
    write_scaling(c, w);
}
