/* config_hf.c -- config.json, read and written. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ae_family *read_family(ae_hf_keys *r)
{
    const char *type = ae_hf_text(r, "model_type");
    const char *class = json_string_value(json_array_get(ae_hf_value(r, "architectures"), 0));
    const ae_family *by_type = type ? ae_family_of_hf(type) : NULL;
    const ae_family *by_class = class ? ae_family_of_hf(class) : NULL;

    if (class && !by_class) by_class = ae_family_of_classifier(class);
    /* A class that is unknown although the type is known is another model. */
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

/* A classifier with one label: transformers' form of a reward model. */
static void read_heads(ae_config *c, ae_hf_keys *r)
{
    const char *class = json_string_value(json_array_get(ae_hf_value(r, "architectures"), 0));
    size_t n_labels = json_object_size(ae_hf_value(r, "id2label"));

    c->tied_head = ae_hf_flag(r, "tie_word_embeddings", c->tied_head);
    if (!class || !ae_family_of_classifier(class)) return;
    c->score_head = c->no_language_head = true;
    c->tied_head = false;
    if (n_labels > 1)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: is a classifier of %zu labels (id2label); this build reads those of one, "
                   "which are reward models",
                   r->path, n_labels);
}

static void read_llama3(ae_config *c, ae_hf_keys *r)
{
    c->rope_low_freq_factor = ae_hf_number(r, "low_freq_factor", 1);
    c->rope_high_freq_factor = ae_hf_number(r, "high_freq_factor", 4);
    c->rope_original_max_position = ae_hf_count(r, "original_max_position_embeddings", -1);
}

/* The configuration's length may be the original's: then the scaling makes it longer. */
static void read_yarn(ae_config *c, ae_hf_keys *r)
{
    c->rope_beta_fast = ae_hf_number(r, "beta_fast", 32);
    c->rope_beta_slow = ae_hf_number(r, "beta_slow", 1);
    c->rope_attention_factor =
        ae_hf_number(r, "attention_factor", ae_yarn_attention_factor(c->rope_factor));
    c->rope_original_max_position =
        ae_hf_count(r, "original_max_position_embeddings", c->max_position);
    double reach = (double)c->rope_original_max_position * c->rope_factor;
    if (reach > (double)c->max_position && reach < INT32_MAX) c->max_position = (int64_t)reach;
    if (ae_hf_value(r, "mscale") || ae_hf_value(r, "mscale_all_dim") ||
        !ae_hf_flag(r, "truncate", true))
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: yarn rope scaling with mscale or without truncate is not something this "
                   "build computes",
                   r->path);
}

/* `r` reads rope_scaling, or the newer rope_parameters. */
static void read_rope_scaling(ae_config *c, ae_hf_keys *r)
{
    static const struct {
        const char *name;
        ae_rope_scaling_kind kind;
        void (*more)(ae_config *c, ae_hf_keys *r);
    } kinds[] = { { "linear", AE_ROPE_LINEAR, NULL },
                  { "llama3", AE_ROPE_LLAMA3, read_llama3 },
                  { "yarn", AE_ROPE_YARN, read_yarn } };
    static const char *const known[] = { "default", "linear", "llama3", "yarn" };
    const char *type = ae_hf_text(r, "rope_type");

    if (!type) type = ae_hf_text(r, "type");
    if (!type || strcmp(type, "default") == 0) return;
    for (size_t i = 0; i < AE_COUNT(kinds); i++) {
        if (strcmp(type, kinds[i].name) != 0) continue;
        c->rope_scaling = kinds[i].kind;
        c->rope_factor = ae_hf_number(r, "factor", 0);
        if (kinds[i].more) kinds[i].more(c, r);
        return;
    }
    const char *near = ae_nearest(type, known, AE_COUNT(known));
    aerie_fail(&r->error, AERIE_UNSUPPORTED,
               "%s: rope scaling '%.40s' is none that this build computes (default, linear, "
               "llama3, yarn)%s%s",
               r->path, type, near ? "; the nearest is " : "", near ? near : "");
}

static void read_rope(ae_config *c, ae_hf_keys *r)
{
    c->rope_theta = ae_hf_number(r, "rope_theta", c->rope_theta);
    const json_t *scaling = ae_hf_value(r, "rope_parameters");
    if (json_object_get(scaling, "full_attention"))
        scaling = json_object_get(scaling, "full_attention"); /* one for each kind of layer */
    if (!scaling) scaling = ae_hf_value(r, "rope_scaling");
    if (ae_hf_number(r, "partial_rotary_factor", 1) != 1)
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
    ae_hf_keys inner = { scaling, r->path, r->error };
    c->rope_theta = ae_hf_number(&inner, "rope_theta", c->rope_theta);
    read_rope_scaling(c, &inner);
    r->error = inner.error;
}

static void read_activation(const ae_family *family, ae_hf_keys *r)
{
    const char *act = ae_hf_text(r, "hidden_activation");

    if (!act) act = ae_hf_text(r, "hidden_act");
    if (act && strcmp(act, family->activation) != 0)
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: the activation '%.40s' is not something this build computes for %s (%s)",
                   r->path, act, family->hf_type, family->activation);
}

/* Newer files say of every layer whether it has a window; the family's own keys said it already. */
static void check_layer_types(const ae_config *c, ae_hf_keys *r)
{
    const json_t *types = ae_hf_value(r, "layer_types");

    for (int64_t i = 0; i < c->n_layers && i < (int64_t)json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        bool local = type && strcmp(type, "sliding_attention") == 0;
        if (type && local == (ae_config_window(c, i) > 0)) continue;
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: layer %lld is '%.40s' (layer_types), which this build does not compute for "
                   "%s",
                   r->path, (long long)i, type ? type : "no text", c->family);
        return;
    }
}

/* What a config.json means that leaves keys out. */
static void set_defaults(ae_config *c, const ae_family *family)
{
    c->vocab_size = c->hidden_size = c->intermediate_size = c->n_layers = c->n_heads = -1;
    c->max_position = 2048;
    c->rope_theta = 10000;
    c->qkv_bias = c->o_bias = false;
    snprintf(c->architecture, sizeof c->architecture, "%s", family->gguf);
    snprintf(c->family, sizeof c->family, "%s", family->hf_type);
    if (family->facts) family->facts(c);
}

static void read_sizes(ae_config *c, ae_hf_keys *r)
{
    c->vocab_size = ae_hf_count(r, "vocab_size", c->vocab_size);
    c->hidden_size = ae_hf_count(r, "hidden_size", c->hidden_size);
    c->intermediate_size = ae_hf_count(r, "intermediate_size", c->intermediate_size);
    c->n_layers = ae_hf_count(r, "num_hidden_layers", c->n_layers);
    c->n_heads = ae_hf_count(r, "num_attention_heads", c->n_heads);
    c->n_kv_heads =
        ae_hf_count(r, "num_key_value_heads", c->n_kv_heads > 0 ? c->n_kv_heads : c->n_heads);
    if (r->error.status) return;
    if (c->n_heads < 1 ||
        (!ae_hf_value(r, "head_dim") && !c->head_dim && c->hidden_size % c->n_heads)) {
        aerie_fail(&r->error, AERIE_BAD_FILE, "%s: hidden_size %lld is no multiple of %lld heads",
                   r->path, (long long)c->hidden_size, (long long)c->n_heads);
        return;
    }
    c->head_dim =
        ae_hf_count(r, "head_dim", c->head_dim ? c->head_dim : c->hidden_size / c->n_heads);
    c->max_position = ae_hf_count(r, "max_position_embeddings", c->max_position);
}

/* Of a Gemma 3 that reads images too, the model of text. */
static void take_text_config(ae_hf_keys *r)
{
    const char *type = json_string_value(ae_hf_value(r, "model_type"));
    const json_t *inner = ae_hf_value(r, "text_config");

    if (type && strcmp(type, "gemma3") == 0 && json_is_object(inner)) r->object = inner;
}

static void read_all(ae_config *c, ae_hf_keys *r)
{
    take_text_config(r);
    const ae_family *family = read_family(r);

    if (!family) return;
    set_defaults(c, family);
    read_sizes(c, r);
    if (r->error.status) return;
    c->query_pre_attn_scalar = (double)c->head_dim;
    c->norm_eps = (float)ae_hf_number(r, "rms_norm_eps", 1e-6);
    read_heads(c, r);
    read_activation(family, r);
    if (ae_hf_flag(r, "mlp_bias", false))
        aerie_fail(&r->error, AERIE_UNSUPPORTED,
                   "%s: biases in the MLP (mlp_bias) are not something this build computes",
                   r->path);
    read_rope(c, r);
    family->from_hf(c, r);
    check_layer_types(c, r);
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
    ae_hf_keys r = { .path = path };

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

static void write_yarn(const ae_config *c, json_t *scaling)
{
    json_object_set_new(scaling, "original_max_position_embeddings",
                        json_integer(c->rope_original_max_position));
    json_object_set_new(scaling, "attention_factor", json_real(c->rope_attention_factor));
    json_object_set_new(scaling, "beta_fast", json_real(c->rope_beta_fast));
    json_object_set_new(scaling, "beta_slow", json_real(c->rope_beta_slow));
}

static void write_rope(const ae_config *c, json_t *root)
{
    json_object_set_new(root, "rope_theta", json_real(c->rope_theta));
    if (c->rope_scaling == AE_ROPE_PLAIN) return;
    json_t *scaling = json_object();
    json_object_set_new(root, "rope_scaling", scaling);
    json_object_set_new(scaling, "factor", json_real(c->rope_factor));
    json_object_set_new(scaling, "rope_type",
                        json_string(c->rope_scaling == AE_ROPE_LLAMA3 ? "llama3"
                                    : c->rope_scaling == AE_ROPE_YARN ? "yarn"
                                                                      : "linear"));
    if (c->rope_scaling == AE_ROPE_YARN) write_yarn(c, scaling);
    if (c->rope_scaling != AE_ROPE_LLAMA3) return;
    json_object_set_new(scaling, "low_freq_factor", json_real(c->rope_low_freq_factor));
    json_object_set_new(scaling, "high_freq_factor", json_real(c->rope_high_freq_factor));
    json_object_set_new(scaling, "original_max_position_embeddings",
                        json_integer(c->rope_original_max_position));
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

static void write_classifier(const ae_config *c, json_t *root)
{
    const char *class = ae_family_of(c)->hf_class;
    int stem = (int)(strlen(class) - strlen("ForCausalLM"));
    char name[64];

    snprintf(name, sizeof name, "%.*sForSequenceClassification", stem, class);
    json_object_set_new(root, "architectures", json_pack("[s]", name));
    json_object_set_new(root, "id2label", json_pack("{s:s}", "0", "LABEL_0"));
    json_object_set_new(root, "label2id", json_pack("{s:i}", "LABEL_0", 0));
}

static json_t *config_json(const ae_config *c, ae_dtype dtype, const ae_vocab *vocab)
{
    json_t *root =
        json_pack("{s:[s],s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:s,s:b,s:s,s:I}", "architectures",
                  ae_family_of(c)->hf_class, "model_type", c->family, "hidden_size",
                  (json_int_t)c->hidden_size, "intermediate_size", (json_int_t)c->intermediate_size,
                  "num_hidden_layers", (json_int_t)c->n_layers, "num_attention_heads",
                  (json_int_t)c->n_heads, "num_key_value_heads", (json_int_t)c->n_kv_heads,
                  "head_dim", (json_int_t)c->head_dim, "max_position_embeddings",
                  (json_int_t)c->max_position, "rms_norm_eps", shortest(c->norm_eps), "hidden_act",
                  ae_family_of(c)->activation, "tie_word_embeddings", (int)c->tied_head,
                  "torch_dtype", torch_name(dtype), "vocab_size", (json_int_t)c->vocab_size);

    if (!root) return NULL;
    if (c->no_language_head) write_classifier(c, root);
    write_rope(c, root);
    ae_family_of(c)->to_hf(c, root);
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
    if (c->score_head && !c->no_language_head)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "the model has a head that scores beside its language head, which no "
                          "class of transformers has; save it as GGUF");
    if (!ae_family_of(c)->sayable(c))
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
