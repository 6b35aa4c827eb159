/* quantize.c -- the public face of quantizing. */
#include "api/quantize.h"

#include "base/base.h"
#include "model/model.h"
#include "quant/quant.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

const char *aerie_quantize_type(size_t i)
{
    return i < ae_mix_count() ? ae_mix_at(i)->name : NULL;
}

static aerie_status find_mix(const ae_mix **out, const char *type, aerie_error *err)
{
    ae_bytes names = { 0 };

    *out = ae_mix_find(type);
    if (*out) return AERIE_OK;
    for (size_t i = 0; i < ae_mix_count(); i++)
        ae_bytes_printf(&names, "%s%s", i ? ", " : "", ae_mix_at(i)->name);
    aerie_fail(err, AERIE_BAD_ARGUMENT, "there is no type \"%s\"; give one of %s", type,
               names.data ? names.data : "?");
    ae_bytes_free(&names);
    return AERIE_BAD_ARGUMENT;
}

/* The type of one tensor: a mix whose name is a type's. */
static aerie_status find_dtype(ae_dtype *out, const char *word, const char *what, aerie_error *err)
{
    const ae_mix *mix;

    *out = AE_DTYPE_NONE;
    if (!word) return AERIE_OK;
    *out = ae_dtype_by_name(word);
    for (size_t i = 0; i < ae_mix_count() && *out != AE_DTYPE_NONE; i++) {
        mix = ae_mix_at(i);
        if (mix->dtype == *out) return AERIE_OK;
    }
    return aerie_fail(
        err, AERIE_BAD_ARGUMENT,
        "%s: there is no type \"%s\" to write; give Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, "
        "Q5_1, Q5_K, Q6_K, Q8_0, F16, BF16 or F32",
        what, word);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A folder's model as the GGUF file it would be; *model stays NULL for a file. */
static aerie_status open_folder(ae_gguf **out, ae_model **model, const char *in_path,
                                const char *out_path, aerie_error *err)
{
    ae_bytes scratch = { 0 };
    aerie_status status = ae_model_open(model, in_path, err);

    ae_bytes_printf(&scratch, "%s.metadata", out_path);
    if (!status) status = ae_bytes_status(&scratch, err);
    if (!status) status = ae_model_as_gguf(out, *model, scratch.data, err);
    ae_bytes_free(&scratch);
    return status;
}

static aerie_status open_input(ae_gguf **out, ae_model **model, const char *in_path,
                               const char *out_path, aerie_error *err)
{
    *out = NULL;
    if (is_same_file(in_path, out_path))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: the output is the input; give the quantized model a name of its own",
                          out_path);
    if (ae_file_is_folder(in_path)) return open_folder(out, model, in_path, out_path, err);
    return ae_gguf_open(out, in_path, err);
}

/* ---- what is told on the way, and what is asked ---- */

typedef struct {
    const aerie_quantize_options *options;
    aerie_quantize_summary sum;
    ae_imatrix *imatrix; /* NULL: none */
    ae_model *model;     /* of a folder; NULL: the input is a GGUF file */
    int64_t *order;      /* of one tensor's rows */
    const ae_fold *fold; /* NULL: none */
} run;

/* Before anything is written: some tensor must be known, and none of another size. */
static aerie_status check_imatrix(const ae_imatrix *m, const ae_gguf *g, const char *path,
                                  aerie_error *err)
{
    const ae_tensor_list *list = ae_gguf_tensors(g);
    bool is_known = false;

    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const float *weights;
        aerie_status status = ae_imatrix_weights(&weights, m, ae_tensor_list_at(list, i), err);
        if (status) return status;
        is_known = is_known || weights;
    }
    if (is_known) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "%s: made for another model: it knows none of this one's tensors ('%s', for "
                      "instance, is not in it)",
                      path, ae_tensor_list_len(list) ? ae_tensor_list_at(list, 0)->name : "");
}

static aerie_status importance_of(const float **out, void *user, const ae_stored_tensor *t,
                                  aerie_error *err)
{
    return ae_imatrix_weights(out, ((run *)user)->imatrix, t, err);
}

static aerie_status order_of(const int64_t **out, void *user, const ae_stored_tensor *t,
                             aerie_error *err)
{
    run *r = user;

    *out = NULL;
    ae_free(r->order);
    r->order = ae_alloc((size_t)t->rows, sizeof *r->order);
    if (!r->order) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for rows of '%s'", t->name);
    if (ae_model_gguf_order(r->model, t->name, r->order)) *out = r->order;
    return AERIE_OK;
}

/* llama.cpp's keys: the file says what decided where its bits went. */
static void annotate_imatrix(const run *r, ae_gguf_writer *w)
{
    const char *path = r->options->imatrix, *slash = strrchr(path, '/');

    ae_gguf_set_text(w, "quantize.imatrix.file", slash ? slash + 1 : path);
    ae_gguf_set_text(w, "quantize.imatrix.dataset", ae_imatrix_dataset(r->imatrix));
    ae_gguf_set_u32(w, "quantize.imatrix.entries_count", (uint32_t)ae_imatrix_len(r->imatrix));
    ae_gguf_set_u32(w, "quantize.imatrix.chunks_count", (uint32_t)ae_imatrix_chunks(r->imatrix));
}

static void annotate(void *user, ae_gguf_writer *w)
{
    const run *r = user;

    if (r->imatrix) annotate_imatrix(r, w);
    if (r->fold) r->fold->annotate(r->fold->user, w);
}

static int64_t change_of(void *user, const ae_stored_tensor *t)
{
    const ae_fold *fold = ((run *)user)->fold;

    return fold->change_of(fold->user, t);
}

static void change(void *user, int64_t handle, int64_t row, float *x)
{
    const ae_fold *fold = ((run *)user)->fold;

    fold->change(fold->user, handle, row, x);
}

static void take_fold(ae_quantize_options *q, const ae_fold *fold)
{
    if (!fold) return;
    q->change_of = change_of;
    q->change = change;
    q->drop_key = fold->key;
    q->added.name = fold->added_name;
    q->added.values = fold->added;
    q->added.n = fold->n_added;
}

static bool on_progress(void *user, double part, const ae_quantized *q)
{
    run *t = user;
    const aerie_quantize_options *o = t->options;

    if (!q) return !o || !o->progress || o->progress(o->user, part, NULL);
    const ae_stored_tensor *from = q->from;
    double n = (double)from->rows * (double)from->cols;
    t->sum.n_tensors++;
    t->sum.n_elements += from->rows * from->cols;
    t->sum.bytes_before += from->bytes;
    t->sum.bytes += q->bytes;
    aerie_quantized_tensor tensor = {
        .name = from->name,
        .from_type = from->type_name,
        .type = ae_dtype_info_of(q->type)->name,
        .dims = from->dims,
        .n_dims = from->n_dims,
        .bytes_before = from->bytes,
        .bytes = q->bytes,
        .rmse = sqrt(q->sum_error / n),
        .relative = q->sum_squares > 0 ? sqrt(q->sum_error / q->sum_squares) : 0,
        .has_importance = q->has_importance,
    };
    return !o || !o->progress || o->progress(o->user, part, &tensor);
}

/* A matrix in blocks: what is quantized again loses twice. */
static void warn_of_blocks(const ae_gguf *g)
{
    const ae_tensor_list *list = ae_gguf_tensors(g);

    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        const ae_dtype_info *info = ae_dtype_info_of(t->dtype);
        if (!info || info->block_elements == 1) continue;
        ae_log(
            AERIE_LOG_WARNING,
            "%s: quantized already ('%s' is %s): what was lost then stays lost; the original model "
            "gives a better one",
            ae_gguf_name(g), t->name, t->type_name);
        return;
    }
}

aerie_status ae_api_quantize(const char *in_path, const char *out_path, const char *type,
                             const aerie_quantize_options *options, const ae_fold *fold,
                             aerie_quantize_summary *summary, aerie_error *err)
{
    aerie_quantize_options o = options ? *options : (aerie_quantize_options){ 0 };
    run t = { .options = options, .fold = fold };
    ae_quantize_options q = {
        .types = { .pure = o.pure }, .progress = on_progress, .annotate = annotate, .user = &t
    };
    double begun = ae_clock_seconds();
    ae_pool *pool = NULL;
    ae_gguf *in = NULL;
    aerie_status status = find_mix(&q.mix, type, err);

    if (!status)
        status = find_dtype(&q.types.output_type, o.output_tensor_type, "output tensor", err);
    if (!status)
        status =
            find_dtype(&q.types.embedding_type, o.token_embedding_type, "token embedding", err);
    if (!status) status = open_input(&in, &t.model, in_path, out_path, err);
    if (t.model) q.order = order_of;
    if (!status && o.imatrix) {
        q.importance = importance_of;
        status = ae_imatrix_open(&t.imatrix, o.imatrix, err);
        if (!status) status = check_imatrix(t.imatrix, in, o.imatrix, err);
    }
    take_fold(&q, fold);
    if (!status) status = ae_pool_open(&pool, o.threads, err);
    if (!status) {
        warn_of_blocks(in);
        status = ae_quantize_gguf(pool, in, out_path, &q, err);
    }
    ae_pool_close(pool);
    ae_imatrix_close(t.imatrix);
    ae_gguf_close(in);
    ae_model_close(t.model);
    ae_free(t.order);
    t.sum.seconds = ae_clock_seconds() - begun;
    if (t.sum.n_elements)
        t.sum.bits_per_weight = 8 * (double)t.sum.bytes / (double)t.sum.n_elements;
    if (summary && !status) *summary = t.sum;
    return status;
}

aerie_status aerie_quantize(const char *in_path, const char *out_path, const char *type,
                            const aerie_quantize_options *options, aerie_quantize_summary *summary,
                            aerie_error *err)
{
    return ae_api_quantize(in_path, out_path, type, options, NULL, summary, err);
}
