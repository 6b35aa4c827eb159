/* mix.c -- which tensor gets which type. The rules are llama.cpp's (llama_tensor_get_type of 2026),
 * that a file's size is the one that people expect of its name. */
#include "quant/quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The numbers are llama.cpp's. */
enum {
    ALL_F32 = 0,
    MOSTLY_F16 = 1,
    MOSTLY_Q4_0 = 2,
    MOSTLY_Q4_1 = 3,
    MOSTLY_Q8_0 = 7,
    MOSTLY_Q5_0 = 8,
    MOSTLY_Q5_1 = 9,
    MOSTLY_Q2_K = 10,
    MOSTLY_Q3_K_S = 11,
    MOSTLY_Q3_K_M = 12,
    MOSTLY_Q3_K_L = 13,
    MOSTLY_Q4_K_S = 14,
    MOSTLY_Q4_K_M = 15,
    MOSTLY_Q5_K_S = 16,
    MOSTLY_Q5_K_M = 17,
    MOSTLY_Q6_K = 18,
    MOSTLY_Q2_K_S = 21,
    MOSTLY_BF16 = 32
};

static const ae_mix mixes[] = {
    { "Q2_K_S", AE_Q2_K, MOSTLY_Q2_K_S }, { "Q2_K", AE_Q2_K, MOSTLY_Q2_K },
    { "Q3_K_S", AE_Q3_K, MOSTLY_Q3_K_S }, { "Q3_K_M", AE_Q3_K, MOSTLY_Q3_K_M },
    { "Q3_K_L", AE_Q3_K, MOSTLY_Q3_K_L }, { "Q4_0", AE_Q4_0, MOSTLY_Q4_0 },
    { "Q4_1", AE_Q4_1, MOSTLY_Q4_1 },     { "Q4_K_S", AE_Q4_K, MOSTLY_Q4_K_S },
    { "Q4_K_M", AE_Q4_K, MOSTLY_Q4_K_M }, { "Q5_0", AE_Q5_0, MOSTLY_Q5_0 },
    { "Q5_1", AE_Q5_1, MOSTLY_Q5_1 },     { "Q5_K_S", AE_Q5_K, MOSTLY_Q5_K_S },
    { "Q5_K_M", AE_Q5_K, MOSTLY_Q5_K_M }, { "Q6_K", AE_Q6_K, MOSTLY_Q6_K },
    { "Q8_0", AE_Q8_0, MOSTLY_Q8_0 },     { "F16", AE_F16, MOSTLY_F16 },
    { "BF16", AE_BF16, MOSTLY_BF16 },     { "F32", AE_F32, ALL_F32 },
};

size_t ae_mix_count(void)
{
    return AE_COUNT(mixes);
}

const ae_mix *ae_mix_at(size_t i)
{
    return i < AE_COUNT(mixes) ? &mixes[i] : NULL;
}

const ae_mix *ae_mix_find(const char *name)
{
    static const char *const shorts[][2] = { { "Q3_K", "Q3_K_M" },
                                             { "Q4_K", "Q4_K_M" },
                                             { "Q5_K", "Q5_K_M" } };

    for (size_t i = 0; i < AE_COUNT(shorts); i++)
        if (strcasecmp(name, shorts[i][0]) == 0) name = shorts[i][1];
    for (size_t i = 0; i < AE_COUNT(mixes); i++)
        if (strcasecmp(name, mixes[i].name) == 0) return &mixes[i];
    return NULL;
}

/* ---- what a tensor is, by its name ---- */

typedef enum { OTHER, OUTPUT, EMBEDDING, QKV, KV_B, VALUE, KEY, ATTENTION_OUT, DOWN } part;

static part part_of(const char *name)
{
    static const struct {
        const char *within;
        part part;
    } parts[] = {
        { "attn_qkv.weight", QKV },
        { "attn_kv_b.weight", KV_B },
        { "attn_v.weight", VALUE },
        { "attn_k.weight", KEY },
        { "attn_output.weight", ATTENTION_OUT },
        { "ffn_down", DOWN },
    };

    if (!strcmp(name, "output.weight")) return OUTPUT;
    if (!strcmp(name, "token_embd.weight") || !strcmp(name, "per_layer_token_embd.weight"))
        return EMBEDDING;
    for (size_t i = 0; i < AE_COUNT(parts); i++)
        if (strstr(name, parts[i].within)) return parts[i].part;
    return OTHER;
}

static bool is_value(part p)
{
    return p == VALUE || p == QKV || p == KV_B;
}

/* Matrices only, and of them none that is small or that routes. */
static bool may_change(const ae_mix_tensor *t)
{
    static const char *const kept[] = { "_norm.weight",
                                        "ffn_gate_inp.weight",
                                        "altup",
                                        "laurel",
                                        "per_layer_model_proj",
                                        "ssm_conv1d",
                                        "shortconv.conv.weight",
                                        "attn_rel_b.weight",
                                        ".position_embd" };
    size_t len = strlen(t->name);

    if (t->n_dims < 2 || len < 6 || strcmp(t->name + len - 6, "weight")) return false;
    if (!strcmp(t->name, "position_embd.weight") || !strcmp(t->name, "token_types.weight"))
        return false;
    for (size_t i = 0; i < AE_COUNT(kept); i++)
        if (strstr(t->name, kept[i])) return false;
    return true;
}

/* ---- the rules ---- */

typedef struct {
    const ae_mix *mix;
    const ae_mix_model *model;
    const ae_mix_options *options;
    bool tied;               /* no output matrix: the embedding is it */
    int64_t value, n_values; /* place among the value matrices */
    int64_t down;            /* place among the ffn_down matrices, or the layer of an expert's */
} state;

/* The first and last eighth of the layers, and every third between. */
static bool deserves_more(int64_t i, int64_t n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

/* Many query heads to a key head: the value matrix is small beside what hangs on it. */
static bool shares_heads(const ae_mix_model *m)
{
    return m->n_kv_heads > 0 && m->n_heads / m->n_kv_heads >= 4;
}

/* 80 layers with shared heads, which llama.cpp calls a 70B. */
static bool is_70b(const ae_mix_model *m)
{
    return m->n_layers == 80 &&
           ((!strcmp(m->architecture, "llama") && m->n_heads != m->n_kv_heads) ||
            !strcmp(m->architecture, "qwen2"));
}

static ae_dtype output_type(const state *s, const ae_mix_tensor *t, ae_dtype type)
{
    if (s->options->output_type != AE_DTYPE_NONE) return s->options->output_type;
    if (t->cols % ae_dtype_info_of(type)->block_elements) return AE_Q8_0;
    return type == AE_Q8_0 ? type : AE_Q6_K;
}

static ae_dtype value_type(const state *s, ae_dtype type)
{
    const ae_mix_model *m = s->model;

    switch (s->mix->file_type) {
    case MOSTLY_Q2_K:
        type = shares_heads(m) ? AE_Q4_K : AE_Q3_K;
        break;
    case MOSTLY_Q2_K_S:
        if (shares_heads(m)) type = AE_Q4_K;
        break;
    case MOSTLY_Q3_K_M:
        type = s->value < 2 ? AE_Q5_K : AE_Q4_K;
        break;
    case MOSTLY_Q3_K_L:
        type = AE_Q5_K;
        break;
    case MOSTLY_Q4_K_S:
        if (s->value < 4) type = AE_Q5_K;
        break;
    case MOSTLY_Q4_K_M:
    case MOSTLY_Q5_K_M:
        if (deserves_more(s->value, s->n_values)) type = AE_Q6_K;
        break;
    default:
        break;
    }
    if (is_70b(m) && (type == AE_Q3_K || type == AE_Q4_K)) type = AE_Q5_K;
    return m->n_experts == 8 ? AE_Q8_0 : type;
}

static ae_dtype down_type(const state *s, ae_dtype type)
{
    int64_t i = s->down, n = s->model->n_layers;
    bool falcon = !strcmp(s->model->architecture, "falcon"), more = deserves_more(i, n);

    switch (s->mix->file_type) {
    case MOSTLY_Q2_K:
        return AE_Q3_K;
    case MOSTLY_Q2_K_S:
        return i < n / 8 ? AE_Q4_K : type;
    case MOSTLY_Q3_K_M:
        return i < n / 16 ? AE_Q5_K : !falcon || more ? AE_Q4_K : AE_Q3_K;
    case MOSTLY_Q3_K_L:
        return falcon ? AE_Q4_K : AE_Q5_K;
    case MOSTLY_Q4_K_M:
        if (falcon) return i < n / 16 ? AE_Q6_K : more ? AE_Q5_K : AE_Q4_K;
        return more ? AE_Q6_K : type;
    case MOSTLY_Q5_K_M:
        return more ? AE_Q6_K : type;
    case MOSTLY_Q4_K_S:
        return !falcon && i < n / 8 ? AE_Q5_K : type;
    case MOSTLY_Q4_0:
        return s->options->has_importance && i < n / 8 ? AE_Q4_1 : type;
    case MOSTLY_Q5_0:
        return s->options->has_importance && i < n / 8 ? AE_Q5_1 : type;
    default:
        return type;
    }
}

static ae_dtype attention_out_type(const state *s, ae_dtype type)
{
    uint32_t ft = s->mix->file_type;

    if (!strcmp(s->model->architecture, "falcon")) return ft == MOSTLY_Q3_K_L ? AE_Q4_K : type;
    if (s->model->n_experts == 8) {
        bool low = ft == MOSTLY_Q2_K || ft == MOSTLY_Q3_K_S || ft == MOSTLY_Q3_K_M ||
                   ft == MOSTLY_Q4_K_S || ft == MOSTLY_Q4_K_M;
        return low ? AE_Q5_K : type;
    }
    return ft == MOSTLY_Q2_K     ? AE_Q3_K
           : ft == MOSTLY_Q3_K_M ? AE_Q4_K
           : ft == MOSTLY_Q3_K_L ? AE_Q5_K
                                 : type;
}

static ae_dtype mixed_type(const state *s, const ae_mix_tensor *t, part p)
{
    ae_dtype type = s->mix->dtype;

    if (p == OUTPUT || (s->tied && p == EMBEDDING)) return output_type(s, t, type);
    if (is_value(p)) return value_type(s, type);
    if (p == KEY) return s->model->n_experts == 8 ? AE_Q8_0 : type;
    if (p == DOWN) return down_type(s, type);
    if (p == ATTENTION_OUT) return attention_out_type(s, type);
    return type;
}

/* What stands in for a type whose blocks do not divide the row. */
static ae_dtype fitting_type(ae_dtype type, int64_t cols)
{
    if (cols % ae_dtype_info_of(type)->block_elements == 0) return type;
    switch (type) {
    case AE_Q2_K:
    case AE_Q3_K:
        type = AE_Q4_0;
        break;
    case AE_Q4_K:
        type = AE_Q5_0;
        break;
    case AE_Q5_K:
        type = AE_Q5_1;
        break;
    default:
        type = AE_Q8_0;
    }
    return cols % ae_dtype_info_of(type)->block_elements == 0 ? type : AE_F16;
}

static bool is_plain(ae_dtype type)
{
    return ae_dtype_info_of(type)->block_elements == 1;
}

static ae_dtype type_of(const state *s, const ae_mix_tensor *t, part p)
{
    const ae_mix_options *o = s->options;

    if (!may_change(t)) return t->dtype;
    if (p == EMBEDDING && o->embedding_type != AE_DTYPE_NONE)
        return fitting_type(o->embedding_type, t->cols);
    if (p == OUTPUT && o->output_type != AE_DTYPE_NONE)
        return fitting_type(o->output_type, t->cols);
    if (is_plain(s->mix->dtype)) return s->mix->dtype;
    return fitting_type(o->pure ? s->mix->dtype : mixed_type(s, t, p), t->cols);
}

/* ---- the walk ---- */

static int64_t layer_of(const char *name)
{
    int layer;

    return sscanf(name, "blk.%8d.", &layer) == 1 ? layer : -1;
}

static int by_layer_and_name(const void *a, const void *b)
{
    const ae_mix_tensor *x = *(ae_mix_tensor *const *)a, *y = *(ae_mix_tensor *const *)b;
    int64_t i = layer_of(x->name), j = layer_of(y->name);

    return i != j ? (i < j ? -1 : 1) : strcmp(x->name, y->name);
}

static void assign_in_order(state *s, ae_mix_tensor *const *order, size_t n)
{
    int64_t downs = 0;

    for (size_t i = 0; i < n; i++) {
        ae_mix_tensor *t = order[i];
        part p = part_of(t->name);
        s->down = s->model->n_experts > 1 ? layer_of(t->name) : downs;
        t->result = type_of(s, t, p);
        if (!may_change(t)) continue;
        s->value += is_value(p);
        downs += p == DOWN;
    }
}

aerie_status ae_mix_assign(const ae_mix *mix, const ae_mix_model *model,
                           const ae_mix_options *options, ae_mix_tensor *tensors, size_t n,
                           aerie_error *err)
{
    ae_mix_tensor **order = ae_alloc(n, sizeof *order);
    state s = { .mix = mix, .model = model, .options = options, .tied = true };

    if (!order) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++) {
        part p = part_of(tensors[i].name);
        order[i] = &tensors[i];
        s.n_values += is_value(p);
        if (p == OUTPUT) s.tied = false;
    }
    qsort(order, n, sizeof *order, by_layer_and_name);
    assign_in_order(&s, order, n);
    ae_free(order);
    return AERIE_OK;
}
