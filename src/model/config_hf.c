/* config_hf.c -- config.json, read and written. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads keys of one object; the first failure sticks, so that reading goes on as a list. */
typedef struct {
    const json_t *object;
    const char *path;
    aerie_error error;
} reader;

static const json_t *lookup(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->object, key);
    return json_is_null(value) ? NULL : value;
}

static double read_number(reader *r, const char *key, double fallback)
{
    const json_t *value = lookup(r, key);

    if (!value) return fallback;
    if (json_is_number(value)) return json_number_value(value);
    aerie_fail(&r->error, AERIE_BAD_FILE, "%s: '%s' must be a number", r->path, key);
    return fallback;
}

/* fallback < 0: the key must be there. */
static int64_t read_count(reader *r, const char *key, int64_t fallback)
{
    double value = read_number(r, key, (double)fallback);

    if (!lookup(r, key) && fallback < 0)
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: '%s' is missing", r->path, key);
    if (value >= 0 && value <= 1e15 && value == floor(value)) return (int64_t)value;
    aerie_fail(&r->error, AERIE_BAD_FILE, "%s: '%s' must be a whole number, not %g", r->path, key,
               value);
    return 0;
}

static bool read_flag(reader *r, const char *key, bool fallback)
{
    const json_t *value = lookup(r, key);

    if (!value) return fallback;
    if (!json_is_boolean(value))
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: '%s' must be true or false", r->path, key);
    return json_is_true(value);
}

static const char *read_text(reader *r, const char *key)
{
    const json_t *value = lookup(r, key);

    if (value && !json_is_string(value))
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: '%s' must be a string", r->path, key);
    return value ? json_string_value(value) : NULL;
}

static const ae_family *read_family(reader *r)
{
    const char *type = read_text(r, "model_type");
    const char *class = json_string_value(json_array_get(lookup(r, "architectures"), 0));
    const ae_family *by_type = type ? ae_family_of_hf(type) : NULL;
    const ae_family *by_class = class ? ae_family_of_hf(class) : NULL;

    /* A class that is unknown although the type is known is another model: a classifier, say. */
    if (class && !by_class)
        ae_family_unknown(r->path, class, &r->error);
    else if (type && !by_type)
        ae_family_unknown(r->path, type, &r->error);
    else if (!type && !class)
        aerie_fail(&r->error, AERIE_BAD_FILE,
                   "%s: has neither 'model_type' nor 'architectures'; is it a model's config.json?",
                   r->path);
    return r->error.status ? NULL : by_class ? by_class : by_type;
}

/* `r` reads rope_scaling, or the newer rope_parameters. */
static void read_rope_scaling(ae_config *c, reader *r)
{
    static const char *const known[] = { "default", "linear", "llama3" };
    const char *type = read_text(r, "rope_type");

    if (!type) type = read_text(r, "type");
    if (!type || strcmp(type, "default") == 0) return;
    if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0) {
        const char *near = ae_nearest(type, known, AE_COUNT(known));
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: rope scaling '%.40s' is none that this build computes (default, linear, "
                   "llama3)%s%s",
                   r->path, type, near ? "; the nearest is " : "", near ? near : "");
        return;
    }
    c->rope_factor = read_number(r, "factor", 0);
    c->rope_scaling = AE_ROPE_LINEAR;
    if (strcmp(type, "linear") == 0) return;
    c->rope_scaling = AE_ROPE_LLAMA3;
    c->rope_low_freq_factor = read_number(r, "low_freq_factor", 1);
    c->rope_high_freq_factor = read_number(r, "high_freq_factor", 4);
    c->rope_original_max_position = read_count(r, "original_max_position_embeddings", -1);
}

static void read_rope(ae_config *c, reader *r)
{
    c->rope_theta = read_number(r, "rope_theta", 10000);
    const json_t *scaling = lookup(r, "rope_parameters");
    if (!scaling) scaling = lookup(r, "rope_scaling");
    if (read_number(r, "partial_rotary_factor", 1) != 1)
        aerie_fail(
            &r->error, AERIE_UNSUPPORTED,
            "%s: only a part of each head is rotated (partial_rotary_factor), which this build "
            "does not compute",
            r->path);
    if (!scaling) return;
    if (!json_is_object(scaling)) {
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: the rope scaling must be an object", r->path);
        return;
    }
    reader inner = { scaling, r->path, r->error };
    c->rope_theta = read_number(&inner, "rope_theta", c->rope_theta);
    read_rope_scaling(c, &inner);
    r->error = inner.error;
}

/* Qwen2 has a switch, and may give a window to its upper layers only. */
static void read_window(ae_config *c, const ae_family *family, reader *r)
{
    c->sliding_window = read_count(r, "sliding_window", 0);
    if (strcmp(family->hf_type, "qwen2") == 0) {
        int64_t first = read_count(r, "max_window_layers", 0);
        if (!read_flag(r, "use_sliding_window", false) || first >= c->n_layers)
            c->sliding_window = 0;
        else if (first > 0)
            aerie_fail(
                &r->error, AERIE_UNSUPPORTED,
                "%s: a sliding window on layers from %lld on only (max_window_layers) is not "
                "something this build computes",
                r->path, (long long)first);
    } else if (strcmp(family->hf_type, "llama") == 0) {
        c->sliding_window = 0; /* Llama's code never reads it */
    }
}

static void read_biases(ae_config *c, const ae_family *family, reader *r)
{
    bool all = strcmp(family->hf_type, "llama") == 0 && read_flag(r, "attention_bias", false);

    c->qkv_bias = family->qkv_bias || all;
    c->o_bias = all;
    if (read_flag(r, "mlp_bias", false))
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: biases in the MLP (mlp_bias) are not something "
                   "this build computes",
                   r->path);
}

static void read_all(ae_config *c, reader *r)
{
    const ae_family *family = read_family(r);
    const char *act;

    if (!family) return;
    snprintf(c->architecture, sizeof c->architecture, "%s", family->gguf);
    snprintf(c->family, sizeof c->family, "%s", family->hf_type);
    c->vocab_size = read_count(r, "vocab_size", -1);
    c->hidden_size = read_count(r, "hidden_size", -1);
    c->intermediate_size = read_count(r, "intermediate_size", -1);
    c->n_layers = read_count(r, "num_hidden_layers", -1);
    c->n_heads = read_count(r, "num_attention_heads", -1);
    c->n_kv_heads = read_count(r, "num_key_value_heads", c->n_heads);
    if (r->error.status) return;
    if (c->n_heads < 1 || (!lookup(r, "head_dim") && c->hidden_size % c->n_heads)) {
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: hidden_size %lld is no multiple of %lld heads",
                   r->path, (long long)c->hidden_size, (long long)c->n_heads);
        return;
    }
    c->head_dim = read_count(r, "head_dim", c->hidden_size / c->n_heads);
    c->max_position = read_count(r, "max_position_embeddings", 2048);
    c->norm_eps = (float)read_number(r, "rms_norm_eps", 1e-6);
    c->tied_head = read_flag(r, "tie_word_embeddings", false);
    act = read_text(r, "hidden_act");
    if (act && strcmp(act, "silu") != 0)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: the activation '%.40s' is not something this "
                   "build computes (silu)",
                   r->path, act);
    read_biases(c, family, r);
    read_window(c, family, r);
    read_rope(c, r);
}

/* The folder's name, for a model that has no other. */
static void name_after_folder(ae_config *c, const char *path)
{
    const char *end = strrchr(path, '/');
    const char *start;

    if (!end) return;
    while (end > path && end[-1] == '/') end--;
    for (start = end; start > path && start[-1] != '/';) start--;
    snprintf(c->name, sizeof c->name, "%.*s", (int)(end - start), start);
}

aerie_status ae_config_from_hf(ae_config *out, const char *path, aerie_error *err)
{
    aerie_status status;
    ae_bytes text = { 0 };
    json_error_t where;
    json_t *root = NULL;
    reader r = { .path = path };

    memset(out, 0, sizeof *out);
    status = ae_file_read(&text, path, 16 << 20, err);
    if (status) goto done;
    root = json_loadb(text.data ? text.data : "", text.len, 0, &where);
    if (!json_is_object(root)) {
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: is no JSON object (line %d: %s)", path,
                            root ? 1 : where.line, root ? "something else" : where.text);
        goto done;
    }
    r.object = root;
    read_all(out, &r);
    if (r.error.status) {
        status = aerie_fail(err, r.error.status, "%s", r.error.message);
        goto done;
    }
    name_after_folder(out, path);
    status = ae_config_check(out, path, err);
done:
    json_decref(root);
    ae_bytes_free(&text);
    return status;
}

static void write_rope(const ae_config *c, json_t *root)
{
    json_object_set_new(root, "rope_theta", json_real(c->rope_theta));
    if (c->rope_scaling == AE_ROPE_PLAIN) return;
    json_t *scaling = json_object();
    json_object_set_new(root, "rope_scaling", scaling);
    json_object_set_new(scaling, "factor", json_real(c->rope_factor));
    json_object_set_new(scaling, "rope_type",
                        json_string(c->rope_scaling == AE_ROPE_LLAMA3 ? "llama3" : "linear"));
    if (c->rope_scaling != AE_ROPE_LLAMA3) return;
    json_object_set_new(scaling, "low_freq_factor", json_real(c->rope_low_freq_factor));
    json_object_set_new(scaling, "high_freq_factor", json_real(c->rope_high_freq_factor));
    json_object_set_new(scaling, "original_max_position_embeddings",
                        json_integer(c->rope_original_max_position));
}

static void write_window(const ae_config *c, json_t *root)
{
    if (strcmp(c->family, "qwen2") == 0) {
        json_object_set_new(root, "use_sliding_window", json_boolean(c->sliding_window > 0));
        json_object_set_new(root, "max_window_layers", json_integer(0));
    }
    json_object_set_new(root, "sliding_window",
                        c->sliding_window ? json_integer(c->sliding_window) : json_null());
}

static void write_ids(const ae_vocab *v, json_t *root)
{
    json_object_set_new(root, "bos_token_id", v->bos >= 0 ? json_integer(v->bos) : json_null());
    json_object_set_new(root, "eos_token_id", v->eos >= 0 ? json_integer(v->eos) : json_null());
    if (v->pad >= 0) json_object_set_new(root, "pad_token_id", json_integer(v->pad));
}

static const char *torch_name(ae_dtype dtype)
{
    return dtype == AE_F16 ? "float16" : dtype == AE_BF16 ? "bfloat16" : "float32";
}

/* An epsilon is a float32 made from a short decimal; write that decimal back. */
static double shortest(float value)
{
    char text[32];
    double parsed = value;

    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        parsed = strtod(text, NULL);
        if ((float)parsed == value) break;
    }
    return parsed;
}

static json_t *config_json(const ae_config *c, ae_dtype dtype, const ae_vocab *vocab)
{
    json_t *root = json_pack(
        "{s:[s],s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:s,s:b,s:s,s:I}", "architectures",
        ae_family_of_hf(c->family)->hf_class, "model_type", c->family, "hidden_size",
        (json_int_t)c->hidden_size, "intermediate_size", (json_int_t)c->intermediate_size,
        "num_hidden_layers", (json_int_t)c->n_layers, "num_attention_heads", (json_int_t)c->n_heads,
        "num_key_value_heads", (json_int_t)c->n_kv_heads, "head_dim", (json_int_t)c->head_dim,
        "max_position_embeddings", (json_int_t)c->max_position, "rms_norm_eps",
        shortest(c->norm_eps), "hidden_act", "silu", "tie_word_embeddings", (int)c->tied_head,
        "torch_dtype", torch_name(dtype), "vocab_size", (json_int_t)c->vocab_size);

    if (!root) return NULL;
    if (strcmp(c->family, "llama") == 0)
        json_object_set_new(root, "attention_bias", json_boolean(c->o_bias));
    write_rope(c, root);
    write_window(c, root);
    if (vocab) write_ids(vocab, root);
    return root;
}

/* What a GGUF may hold and no config.json can say. */
static aerie_status check_sayable(const ae_config *c, aerie_error *err)
{
    if (c->rope_scaling == AE_ROPE_FACTORS)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "the model's rope_freqs.weight follows no formula that a config.json can "
                          "say; save it as GGUF");
    bool llama = strcmp(c->family, "llama") == 0;
    bool qkv_bias = llama ? c->o_bias : ae_family_of_hf(c->family)->qkv_bias;
    if (c->qkv_bias != qkv_bias || (c->o_bias && !llama) || (llama && c->sliding_window))
        return aerie_fail(
            err, AERIE_UNSUPPORTED,
            "the model's mix of biases and sliding window is none that Hugging Face's "
            "%s class computes; save it as GGUF",
            c->family);
    return AERIE_OK;
}

aerie_status ae_config_to_hf(const ae_config *c, ae_dtype dtype, const ae_vocab *vocab,
                             ae_bytes *out, aerie_error *err)
{
    aerie_status status = check_sayable(c, err);

    if (status) return status;
    json_t *root = config_json(c, dtype, vocab);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;

    json_decref(root);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a config.json");
    ae_bytes_add_text(out, text);
    ae_bytes_add_char(out, '\n');
    free(text);
    return ae_bytes_status(out, err);
}
