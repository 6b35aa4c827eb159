/* adapter.c -- LoRA adapters: made, laid over a model, told apart. */
#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

aerie_status ae_adapter_check_options(const ae_lora_options *o, const char *what, aerie_error *err)
{
    bool any = false;

    for (int p = 0; p < AE_N_PROJ; p++) any |= o->targets[p];
    if (o->rank < 1 || o->rank > 4096)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: a LoRA's rank is from 1 to 4096, not %lld",
                          what, (long long)o->rank);
    if (!isfinite(o->alpha) || o->alpha <= 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: a LoRA's alpha must be positive, not %g",
                          what, (double)o->alpha);
    if (!(o->dropout >= 0 && o->dropout < 1))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: dropout is from 0 to below 1, not %g", what,
                          (double)o->dropout);
    if (!any)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: a LoRA needs at least one target (q_proj, k_proj, "
                          "v_proj, o_proj, gate_proj, up_proj, down_proj)",
                          what);
    return AERIE_OK;
}

aerie_status ae_adapter_begin(ae_adapter **out, const ae_model *m, bool trainable, aerie_error *err)
{
    ae_adapter *a = ae_alloc(1, sizeof *a);

    *out = NULL;
    if (!a) return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter");
    a->n_layers = m->config.n_layers;
    a->rope_interleaved = m->config.rope_interleaved;
    a->trainable = trainable;
    a->name = "";
    a->scale = 1;
    size_t n = (size_t)a->n_layers * AE_N_PROJ;
    a->loras = ae_arena_take(&a->arena, n, sizeof *a->loras);
    a->alphas = ae_arena_take(&a->arena, n, sizeof *a->alphas);
    a->params = ae_arena_take(&a->arena, 3 * n + 1, sizeof *a->params);
    if (!a->loras || !a->alphas || !a->params) {
        ae_adapter_close(a);
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter");
    }
    *out = a;
    return AERIE_OK;
}

void ae_adapter_close(ae_adapter *a)
{
    if (!a) return;
    ae_arena_free(&a->arena);
    ae_free(a);
}

static ae_tensor *new_matrix(ae_adapter *a, int64_t rows, int64_t cols)
{
    ae_tensor *t = ae_arena_take(&a->arena, 1, sizeof *t);
    size_t n = (size_t)(rows * cols);

    if (!t) return NULL;
    *t = (ae_tensor){ .dtype = AE_F32, .rows = rows, .cols = cols };
    t->data = ae_arena_take(&a->arena, n, sizeof(float));
    if (a->trainable) t->grad = ae_arena_take(&a->arena, n, sizeof(float));
    return t->data && (t->grad || !a->trainable) ? t : NULL;
}

/* "model.layers.0.self_attn.q_proj.weight" -> "model.layers.0.self_attn.q_proj.lora_A.weight" */
static const char *param_name(ae_adapter *a, const ae_param_site *site, const char *which)
{
    char weight[AE_PARAM_NAME], name[AE_PARAM_NAME + 32];

    ae_param_hf_name(site, weight);
    int stem = (int)(strlen(weight) - strlen("weight"));
    int len = snprintf(name, sizeof name, "%.*s%s", stem, weight, which);
    return ae_arena_strndup(&a->arena, name, (size_t)len);
}

static aerie_status add_magnitudes(ae_adapter *a, ae_lora *lora, const ae_param_site *site,
                                   aerie_error *err)
{
    const char *name = param_name(a, site, "lora_magnitude_vector");

    lora->m = new_matrix(a, site->rows, 1);
    lora->norm = ae_arena_take(&a->arena, (size_t)site->rows, sizeof *lora->norm);
    if (!name || !lora->m || !lora->norm)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter's magnitudes");
    a->params[a->n_params++] = (ae_named_param){ name, lora->m, false };
    return AERIE_OK;
}

bool ae_adapter_is_special(const ae_adapter *a, int64_t i)
{
    return a->loras[i].a &&
           (a->loras[i].a->rows != a->options.rank || a->alphas[i] != a->options.alpha);
}

bool ae_adapter_has_special(const ae_adapter *a)
{
    for (int64_t i = 0; i < a->n_layers * AE_N_PROJ; i++)
        if (ae_adapter_is_special(a, i)) return true;
    return false;
}

aerie_status ae_adapter_add(ae_adapter *a, const ae_model *m, int64_t layer, int projection,
                            const ae_lora_size *size, aerie_error *err)
{
    ae_param_site site = ae_param_of_projection(&m->config, &m->weights, layer, projection);
    ae_lora *lora = &a->loras[layer * AE_N_PROJ + projection];
    const ae_lora_options *o = &a->options;
    double rank = (double)size->rank;
    ae_tensor *down = new_matrix(a, size->rank, site.cols),
              *up = new_matrix(a, site.rows, size->rank);
    const char *down_name = param_name(a, &site, "lora_A.weight"),
               *up_name = param_name(a, &site, "lora_B.weight");

    if (!down || !up || !down_name || !up_name)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for an adapter of rank %lld",
                          (long long)size->rank);
    a->alphas[layer * AE_N_PROJ + projection] = size->alpha;
    *lora = (ae_lora){
        .a = down,
        .b = up,
        .scale = (float)(size->alpha / (o->rslora ? sqrt(rank) : rank)),
        .dropout = o->dropout,
        .site = (uint64_t)(layer * AE_N_PROJ + projection + 1),
    };
    a->params[a->n_params++] = (ae_named_param){ down_name, down, true };
    a->params[a->n_params++] = (ae_named_param){ up_name, up, true };
    a->options.targets[projection] = true;
    return o->dora ? add_magnitudes(a, lora, &site, err) : AERIE_OK;
}

aerie_status ae_adapter_add_score(ae_adapter *a, const ae_model *m, aerie_error *err)
{
    ae_param_site site = ae_param_of_score(&m->config, &m->weights);
    const char *name = param_name(a, &site, "weight");

    a->score = new_matrix(a, 1, site.cols);
    if (!a->score || !name) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a head");
    a->params[a->n_params++] = (ae_named_param){ name, a->score, true };
    a->options.head.score = true;
    return AERIE_OK;
}

/* A new adapter's own head: the model's numbers, or new ones. */
static aerie_status new_score(ae_adapter *a, const ae_model *m, aerie_error *err)
{
    const ae_head_options head = a->options.head;
    aerie_status status = ae_adapter_add_score(a, m, err);

    if (!status && !head.zero)
        ae_param_fill(&a->params[a->n_params - 1], AE_START_NORMAL, a->n_layers, head.seed);
    if (!status) ae_adapter_take_head(a, &m->net);
    return status;
}

void ae_adapter_drop_score(ae_adapter *a)
{
    if (!a->score) return;
    a->score = NULL;
    a->n_params--; /* it was added last */
    a->options.head = (ae_head_options){ 0 };
}

void ae_adapter_take_head(ae_adapter *a, const ae_net *net)
{
    if (a->score && net->score)
        memcpy(a->score->data, net->score->data, (size_t)a->score->cols * sizeof(float));
}

/* Seeded by its name, as a random model's weights are. */
static void fill_uniform(const ae_named_param *p, uint64_t seed)
{
    double bound = 1 / sqrt((double)p->tensor->cols);
    int64_t n = p->tensor->rows * p->tensor->cols;
    ae_rng rng;

    ae_rng_seed(&rng, ae_hash64(p->name, strlen(p->name), seed));
    for (int64_t i = 0; i < n; i++)
        ae_f32(p->tensor)[i] = (float)(bound * (2 * ae_rng_uniform(&rng) - 1));
}

aerie_status ae_adapter_new(ae_adapter **out, const ae_model *m, const ae_lora_options *options,
                            uint64_t seed, aerie_error *err)
{
    ae_adapter *a = NULL;
    aerie_status status = ae_adapter_check_options(options, "a new adapter", err);

    *out = NULL;
    if (!status) status = ae_adapter_begin(&a, m, true, err);
    if (status) return status;
    a->options = *options;
    const ae_lora_size size = { options->rank, options->alpha };
    for (int64_t layer = ae_first_trained(a->n_layers, options->last_layers); layer < a->n_layers;
         layer++)
        for (int p = 0; !status && p < AE_N_PROJ; p++)
            if (options->targets[p]) status = ae_adapter_add(a, m, layer, p, &size, err);
    for (int64_t i = 0; !status && i < a->n_params; i += options->dora ? 3 : 2)
        fill_uniform(&a->params[i], seed);
    if (!status && options->head.score) status = new_score(a, m, err);
    if (status)
        ae_adapter_close(a);
    else
        *out = a;
    return status;
}

aerie_status ae_adapter_read(ae_adapter **out, const char *path, const ae_model *m, bool trainable,
                             aerie_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash && slash[1] ? slash + 1 : path;
    aerie_status status = ae_file_is_folder(path)
                              ? ae_adapter_read_peft(out, path, m, trainable, err)
                              : ae_adapter_read_gguf(out, path, m, trainable, err);

    if (status) return status;
    (*out)->name = ae_arena_strndup(&(*out)->arena, name, strlen(name));
    if ((*out)->name) return AERIE_OK;
    ae_adapter_close(*out);
    *out = NULL;
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its name", path);
}

int64_t ae_adapter_params(const ae_adapter *a, ae_named_param *out, int64_t cap)
{
    int64_t n = a->n_params < cap ? a->n_params : cap;

    if (n > 0) memcpy(out, a->params, (size_t)n * sizeof *out);
    return a->n_params;
}

const ae_lora_options *ae_adapter_options(const ae_adapter *a)
{
    return &a->options;
}

void ae_adapter_hash(const ae_adapter *a, char out[65])
{
    ae_sha256 s;
    char text[64];

    ae_sha256_start(&s);
    snprintf(text, sizeof text, "%lld %.9g %d", (long long)a->options.rank,
             (double)a->options.alpha, a->options.rslora);
    ae_sha256_add(&s, text, strlen(text) + 1);
    if (ae_adapter_has_special(a))
        ae_sha256_add(&s, a->alphas, (size_t)(a->n_layers * AE_N_PROJ) * sizeof *a->alphas);
    for (int64_t i = 0; i < a->n_params; i++) {
        const ae_tensor *t = a->params[i].tensor;
        ae_sha256_add(&s, a->params[i].name, strlen(a->params[i].name) + 1);
        ae_sha256_add(&s, t->data, (size_t)(t->rows * t->cols) * sizeof(float));
    }
    ae_sha256_hex(&s, out);
}

/* ---- over a model ---- */

static aerie_status norms_of_layer(ae_lora *loras, ae_decoder_layer layer, ae_device *device,
                                   bool start)
{
    ae_arena scratch = { 0 };
    aerie_status status = AERIE_OK;

    for (int p = 0; p < AE_N_PROJ && !status; p++) {
        const ae_tensor *w = ae_layer_projection(&layer, p)->w;
        const ae_lora *l = &loras[p];
        if (!l->m) continue;
        status = device->row_norms(device, &scratch, l->norm, w, l->a, l->b, l->scale);
        if (start) memcpy(l->m->data, l->norm, (size_t)w->rows * sizeof(float));
    }
    ae_arena_free(&scratch);
    return status;
}

aerie_status ae_adapter_norms(ae_adapter *a, const ae_model *m, ae_device *device, bool start,
                              aerie_error *err)
{
    for (int64_t layer = 0; layer < a->n_layers; layer++)
        if (norms_of_layer(&a->loras[layer * AE_N_PROJ], m->net.layers[layer], device, start))
            return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the norms of an adapter's rows");
    return AERIE_OK;
}

static aerie_status lay_over(ae_decoder_layer *layer, const ae_lora *loras, aerie_error *err)
{
    for (int p = 0; p < AE_N_PROJ; p++) {
        ae_projection *projection = ae_layer_projection(layer, p);
        const ae_lora *lora = &loras[p];
        if (!lora->a) continue;
        if (lora->a->cols != projection->w->cols || lora->b->rows != projection->w->rows)
            return aerie_fail(err, AERIE_BAD_SHAPE,
                              "an adapter for a %s of %lld x %lld does not fit one of %lld x %lld",
                              ae_proj_name(p), (long long)lora->b->rows, (long long)lora->a->cols,
                              (long long)projection->w->rows, (long long)projection->w->cols);
        if (lora->m && projection->n_lora > 0)
            return aerie_fail(err, AERIE_UNSUPPORTED,
                              "a DoRA adapter scales the rows of the model's own weights and can "
                              "lie over no other adapter; lay it over the model first, or use one "
                              "without DoRA");
        projection->lora[projection->n_lora++] = lora;
    }
    return AERIE_OK;
}

aerie_status ae_net_with_adapters(ae_net *out, ae_arena *arena, const ae_model *m,
                                  ae_adapter *const *adapters, int n_adapters, aerie_error *err)
{
    size_t n = (size_t)m->config.n_layers;

    *out = m->net;
    if (n_adapters < 1) return AERIE_OK;
    if (n_adapters > AE_MAX_LORA)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%d adapters at once are more than the %d possible", n_adapters,
                          AE_MAX_LORA);
    ae_decoder_layer *layers = ae_arena_take(arena, n, sizeof *layers);
    if (!layers) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a model's layers");
    memcpy(layers, m->net.layers, n * sizeof *layers);
    out->layers = layers;
    for (int i = 0; i < n_adapters; i++) {
        const ae_adapter *a = adapters[i];
        if (a->score) out->score = a->score;
        if (a->n_layers != m->config.n_layers || a->rope_interleaved != m->config.rope_interleaved)
            return aerie_fail(err, AERIE_BAD_SHAPE, "adapter %d was opened over another model",
                              i + 1);
        for (size_t layer = 0; layer < n; layer++) {
            aerie_status status = lay_over(&layers[layer], &a->loras[layer * AE_N_PROJ], err);
            if (status) return status;
        }
    }
    return AERIE_OK;
}
