/* adapter_file.c -- adapters as GGUF, laid out as llama.cpp's LoRA files are, with provenance under
 * keys of this project's own. */
#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define OWN "aerie.adapter."

/* llama.cpp's name of a model's head that ranks; it refuses adapters that bring one. */
static const char score_name[] = AE_GGUF_SCORE;

/* llama.cpp has no DoRA: the third suffix is this project's, and makes it refuse the file. */
static void gguf_name(const ae_param_site *site, ae_lora_part part, char out[AE_PARAM_NAME + 64])
{
    static const char *const suffixes[] = { "lora_a", "lora_b", "lora_magnitude" };
    char weight[AE_PARAM_NAME];

    ae_param_gguf_name(site, weight);
    snprintf(out, AE_PARAM_NAME + 64, "%s.%s", weight, suffixes[part]);
}

/* ---- reading ---- */

static aerie_status read_matrix(const ae_tensor *out, const ae_stored_tensor *t, int64_t head_dim,
                                bool to_interleaved, const char *path, aerie_error *err)
{
    size_t row_bytes;

    if (t->rows != out->rows || t->cols != out->cols)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: '%s' is %lld x %lld, but the model and the rank ask "
                          "for %lld x %lld",
                          path, t->name, (long long)t->rows, (long long)t->cols,
                          (long long)out->rows, (long long)out->cols);
    if (!ae_dtype_bytes(&row_bytes, t->dtype, 1, t->cols))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: '%s' has the type %s, which this build does not "
                          "read",
                          path, t->name, t->type_name);
    for (int64_t r = 0; r < out->rows; r++) {
        int64_t row = head_dim ? ae_rope_row(r, head_dim, to_interleaved) : r;
        ae_dtype_decode_row(t->dtype, (const char *)t->data + (size_t)row * row_bytes, t->cols,
                            ae_f32(out) + r * out->cols);
    }
    return AERIE_OK;
}

/* Magnitudes lie in files as vectors. */
static ae_stored_tensor as_column(const ae_stored_tensor *t)
{
    ae_stored_tensor column = *t;

    if (t->rows == 1) {
        column.rows = t->cols;
        column.cols = 1;
    }
    return column;
}

/* What the file has of one projection. */
typedef struct {
    const ae_stored_tensor *part[3];
    char name[3][AE_PARAM_NAME + 64];
} stored_lora;

static aerie_status check_size(const ae_lora_size *size, const char *path, const char *name,
                               aerie_error *err)
{
    if (size->rank >= 1 && size->rank <= 4096 && isfinite(size->alpha) && size->alpha > 0)
        return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: '%s' has a rank of %lld and an alpha of %g; a rank is from 1 to 4096, "
                      "and an alpha is positive",
                      path, name, (long long)size->rank, (double)size->alpha);
}

static aerie_status fill_one(ae_adapter *a, const ae_model *m, const ae_param_site *site,
                             const stored_lora *stored, const ae_adapter_source *source,
                             aerie_error *err)
{
    const char *path = source->path;
    int projection = site->param->projection;
    bool to = m->config.rope_interleaved;
    bool reorder = site->param->permuted && source->interleaved != to;
    int64_t head_dim = reorder ? m->config.head_dim : 0;
    ae_lora_size size = source->size_of(source->user, site, stored->part[AE_LORA_A]);
    aerie_status status = check_size(&size, path, stored->name[AE_LORA_A], err);
    if (!status) status = ae_adapter_add(a, m, site->layer, projection, &size, err);
    const ae_lora *lora = &a->loras[site->layer * AE_N_PROJ + projection];
    ae_stored_tensor column;

    if (!status) status = read_matrix(lora->a, stored->part[AE_LORA_A], 0, false, path, err);
    if (!status) status = read_matrix(lora->b, stored->part[AE_LORA_B], head_dim, to, path, err);
    if (status || !lora->m) return status;
    column = as_column(stored->part[AE_LORA_M]);
    return read_matrix(lora->m, &column, head_dim, to, path, err);
}

/* How many of the projection's n parts the list has. All, or none. */
static aerie_status find_parts(stored_lora *out, size_t *found, size_t n,
                               const ae_tensor_list *list, const ae_param_site *site,
                               ae_adapter_name_fn *name, const char *path, aerie_error *err)
{
    size_t there = 0, missing = 0;

    *found = 0;
    for (size_t k = 0; k < n; k++) {
        name(site, (ae_lora_part)k, out->name[k]);
        out->part[k] = ae_tensor_list_find(list, out->name[k]);
        if (out->part[k]) {
            ++*found;
            there = k;
        } else {
            missing = k;
        }
    }
    if (*found == 0 || *found == n) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE, "%s: has '%s', but not '%s'", path, out->name[there],
                      out->name[missing]);
}

static aerie_status fill_score(ae_adapter *a, const ae_model *m, const ae_stored_tensor *stored,
                               const char *path, aerie_error *err)
{
    aerie_status status = ae_adapter_add_score(a, m, err);

    return status ? status : read_matrix(a->score, stored, 0, false, path, err);
}

aerie_status ae_adapter_fill(ae_adapter *a, const ae_model *m, const ae_adapter_source *source,
                             aerie_error *err)
{
    const ae_tensor_list *list = source->list;
    const char *path = source->path;
    const ae_stored_tensor *head = ae_tensor_list_find(list, source->score);
    aerie_status status = AERIE_OK;
    stored_lora stored;
    size_t used = 0, found;

    for (int64_t i = 0; !status && i < a->n_layers * AE_N_PROJ; i++) {
        ae_param_site site =
            ae_param_of_projection(&m->config, &m->weights, i / AE_N_PROJ, (int)(i % AE_N_PROJ));
        status = find_parts(&stored, &found, a->options.dora ? 3 : 2, list, &site, source->name,
                            path, err);
        if (status || found == 0) continue;
        used += found;
        status = fill_one(a, m, &site, &stored, source, err);
    }
    if (!status && head) status = fill_score(a, m, head, path, err);
    if (head) used++;
    if (!status && (used == 0 || used != ae_tensor_list_len(list)))
        return aerie_fail(
            err, AERIE_UNSUPPORTED,
            "%s: only %zu of its %zu tensors belong to projections of this model; was it "
            "made for another one, or does it change more than those?",
            path, used, ae_tensor_list_len(list));
    return status;
}

/* The rank is the width of any B. */
static int64_t find_rank(const ae_tensor_list *list)
{
    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        size_t len = strlen(t->name);
        if (len > 7 && strcmp(t->name + len - 7, ".lora_b") == 0) return t->cols;
    }
    return 0;
}

static aerie_status read_options(ae_lora_options *o, const ae_gguf *g, aerie_error *err)
{
    aerie_status status = ae_gguf_f32(g, "adapter.lora.alpha", &o->alpha, err);

    o->rank = find_rank(ae_gguf_tensors(g));
    if (!status && ae_gguf_has(g, OWN "dropout"))
        status = ae_gguf_f32(g, OWN "dropout", &o->dropout, err);
    if (!status && ae_gguf_has(g, OWN "rslora"))
        status = ae_gguf_bool(g, OWN "rslora", &o->rslora, err);
    if (!status && ae_gguf_has(g, OWN "dora")) status = ae_gguf_bool(g, OWN "dora", &o->dora, err);
    /* Other programs divide by the rank always: the file's alpha is made for that. */
    if (o->rslora && o->rank > 0) o->alpha = (float)(o->alpha / sqrt((double)o->rank));
    if (status) return status;
    ae_lora_options probe = *o;
    probe.targets[AE_PROJ_Q] = true; /* which there are is seen later */
    return ae_adapter_check_options(&probe, ae_gguf_name(g), err);
}

/* Ranks may differ, as llama.cpp allows it; alpha is the file's, which is divided by the rank. */
static ae_lora_size size_of(const void *user, const ae_param_site *site,
                            const ae_stored_tensor *down)
{
    const ae_lora_options *o = user;
    double ratio = o->rslora && down->rows > 0 ? (double)o->rank / (double)down->rows : 1;

    (void)site;
    return (ae_lora_size){ down->rows, (float)(o->alpha * (ratio == 1 ? 1 : sqrt(ratio))) };
}

static aerie_status read_chain(ae_adapter *a, const ae_gguf *g, aerie_error *err)
{
    ae_span text;
    aerie_status status;

    if (!ae_gguf_has(g, AE_CHAIN_KEY)) return AERIE_OK;
    status = ae_gguf_text(g, AE_CHAIN_KEY, &text, err);
    return status ? status : ae_chain_read(&a->chain, &a->arena, text, ae_gguf_name(g), err);
}

static aerie_status check_kind(const ae_gguf *g, const ae_model *m, aerie_error *err)
{
    ae_span text = { 0 };
    const char *path = ae_gguf_name(g);

    if (!ae_gguf_has(g, "general.type") || ae_gguf_text(g, "general.type", &text, NULL) ||
        !ae_span_is(text, "adapter"))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: is a GGUF file, but no adapter; give it as the model", path);
    if (ae_gguf_has(g, "adapter.type") && !ae_gguf_text(g, "adapter.type", &text, NULL) &&
        !ae_span_is(text, "lora"))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: an adapter of the kind '%.*s'; this build knows "
                          "lora",
                          path, (int)(text.len < 40 ? text.len : 40), text.data);
    if (ae_gguf_has(g, "general.architecture") &&
        !ae_gguf_text(g, "general.architecture", &text, NULL) &&
        !ae_span_is(text, m->config.architecture))
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT, "%s: is an adapter for '%.*s' models, %s is '%s'", path,
            (int)(text.len < 40 ? text.len : 40), text.data, m->path, m->config.architecture);
    return AERIE_OK;
}

aerie_status ae_adapter_read_gguf(ae_adapter **out, const char *path, const ae_model *m,
                                  bool trainable, aerie_error *err)
{
    ae_gguf *g = NULL;
    ae_adapter *a = NULL;
    bool interleaved = ae_family_of(&m->config)->gguf_interleaved;
    aerie_status status = ae_gguf_open(&g, path, err);

    if (!status) status = check_kind(g, m, err);
    if (!status) status = ae_adapter_begin(&a, m, trainable, err);
    if (!status) status = read_options(&a->options, g, err);
    if (!status) status = read_chain(a, g, err);
    if (!status)
        status = ae_adapter_fill(a, m,
                                 &(ae_adapter_source){ .list = ae_gguf_tensors(g),
                                                       .path = path,
                                                       .name = gguf_name,
                                                       .score = score_name,
                                                       .interleaved = interleaved,
                                                       .size_of = size_of,
                                                       .user = &a->options },
                                 err);
    ae_gguf_close(g);
    if (status) {
        ae_adapter_close(a);
        a = NULL;
    }
    *out = a;
    return status;
}

/* ---- writing ---- */

/* Other programs divide it by the rank always. */
static double file_alpha(const ae_lora_options *o)
{
    return o->alpha * (o->rslora ? sqrt((double)o->rank) : 1);
}

/* What B is multiplied with, so that the file's one alpha over the rank is the lora's scale: 1
 * unless it has a rank under rsLoRA, or an alpha, of its own. */
static float factor_of(const ae_adapter *a, int64_t i)
{
    double rank = (double)a->loras[i].a->rows, alpha = (double)a->alphas[i];

    return (float)(alpha * (a->options.rslora ? sqrt(rank) : 1) / file_alpha(&a->options));
}

static void write_header(const ae_adapter *a, const ae_model *m, const ae_bytes *chain,
                         ae_gguf_writer *w)
{
    const ae_lora_options *o = &a->options;

    ae_gguf_set_text(w, "general.type", "adapter");
    ae_gguf_set_text(w, "general.architecture", m->config.architecture);
    ae_gguf_set_text(w, "adapter.type", "lora");
    ae_gguf_set_f32(w, "adapter.lora.alpha", (float)file_alpha(o));
    ae_gguf_set_bool(w, OWN "rslora", o->rslora && !ae_adapter_has_special(a));
    if (o->dora) ae_gguf_set_bool(w, OWN "dora", true);
    ae_gguf_set_f32(w, OWN "dropout", o->dropout);
    ae_gguf_set_span(w, AE_CHAIN_KEY, ae_span_of(chain));
}

void ae_adapter_send(const ae_tensor *t, int64_t head_dim, bool to_interleaved,
                     ae_adapter_sink *sink, void *file)
{
    for (int64_t r = 0; r < t->rows; r++) {
        int64_t row = head_dim ? ae_rope_row(r, head_dim, to_interleaved) : r;
        sink(file, ae_f32(t) + row * t->cols, (size_t)t->cols * sizeof(float));
    }
}

static void gguf_sink(void *file, const void *data, size_t bytes)
{
    ae_gguf_writer_add(file, data, bytes);
}

/* Its columns are the rank, at most 4096. */
static void send_scaled(const ae_tensor *t, float factor, int64_t head_dim, bool to_interleaved,
                        ae_gguf_writer *w)
{
    float x[4096];

    for (int64_t r = 0; r < t->rows; r++) {
        int64_t row = head_dim ? ae_rope_row(r, head_dim, to_interleaved) : r;
        for (int64_t c = 0; c < t->cols; c++) x[c] = factor * ae_f32(t)[row * t->cols + c];
        ae_gguf_writer_add(w, x, (size_t)t->cols * sizeof *x);
    }
}

/* The data of part k, its rows as the family's files have them. */
static void send_part(const ae_adapter *a, int64_t i, int k, const ae_tensor *t, int64_t head_dim,
                      bool interleaved, ae_gguf_writer *w)
{
    float factor = factor_of(a, i);

    if (k == AE_LORA_B && factor != 1)
        send_scaled(t, factor, head_dim, interleaved, w);
    else
        ae_adapter_send(t, k == AE_LORA_A ? 0 : head_dim, interleaved, gguf_sink, w);
}

static void write_score(const ae_adapter *a, bool announce, ae_gguf_writer *w)
{
    if (!a->score) return;
    if (announce)
        ae_gguf_writer_tensor(w, score_name, AE_F32, 1, a->score->cols);
    else
        ae_adapter_send(a->score, 0, false, gguf_sink, w);
}

/* Two walks: all names and shapes come before any data. */
static void write_matrices(const ae_adapter *a, const ae_model *m, bool announce, ae_gguf_writer *w)
{
    bool interleaved = ae_family_of(&m->config)->gguf_interleaved;
    char name[AE_PARAM_NAME + 64];

    for (int64_t i = 0; i < a->n_layers * AE_N_PROJ; i++) {
        const ae_lora *lora = &a->loras[i];
        if (!lora->a) continue;
        ae_param_site site =
            ae_param_of_projection(&m->config, &m->weights, i / AE_N_PROJ, (int)(i % AE_N_PROJ));
        bool reorder = site.param->permuted && interleaved != a->rope_interleaved;
        int64_t head_dim = reorder ? m->config.head_dim : 0;
        const ae_tensor *parts[] = { lora->a, lora->b, lora->m };
        for (int k = 0; k < (lora->m ? 3 : 2); k++) {
            const ae_tensor *t = parts[k];
            bool vector = k == AE_LORA_M;
            gguf_name(&site, (ae_lora_part)k, name);
            if (announce)
                ae_gguf_writer_tensor(w, name, AE_F32, vector ? 1 : t->rows,
                                      vector ? t->rows : t->cols);
            else
                send_part(a, i, k, t, head_dim, interleaved, w);
        }
    }
    write_score(a, announce, w);
}

aerie_status ae_adapter_save(const ae_adapter *a, const char *path, const ae_model *m,
                             aerie_error *err)
{
    ae_gguf_writer *w = NULL;
    ae_bytes chain = { 0 };
    aerie_status status = ae_adapter_chain_text(a, m, &chain, err);

    if (!status) status = ae_gguf_writer_open(&w, path, err);
    if (!status) {
        write_header(a, m, &chain, w);
        write_matrices(a, m, true, w);
        write_matrices(a, m, false, w);
        status = ae_gguf_writer_commit(w, err);
    }
    ae_bytes_free(&chain);
    if (!status && a->options.dora)
        ae_log(AERIE_LOG_WARNING,
               "%s: a DoRA adapter; llama.cpp and Ollama know none and refuse it: merge it into "
               "its model for them (aerie merge)",
               path);
    return status;
}
