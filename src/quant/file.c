/* file.c -- a GGUF file as another one, tensor by tensor. */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

enum { QUANTIZATION_VERSION = 2, BATCH_BYTES = 8 << 20 };

/* ---- what the rules ask about the model ---- */

/* A number, or the first of an array of one a layer; `otherwise` when there is none. */
static int64_t number_of(const ae_gguf *g, const char *architecture, const char *key,
                         int64_t otherwise, ae_arena *arena)
{
    char name[128];
    int64_t value;
    int32_t *each;
    size_t n;

    snprintf(name, sizeof name, "%s.%s", architecture, key);
    if (!ae_gguf_has(g, name)) return otherwise;
    if (ae_gguf_i64(g, name, &value, NULL) == AERIE_OK) return value;
    if (ae_gguf_i32s(g, name, &each, &n, arena, NULL) == AERIE_OK && n > 0) return each[0];
    return otherwise;
}

static aerie_status describe(ae_mix_model *out, const ae_gguf *g, ae_arena *arena, aerie_error *err)
{
    ae_span text, type;

    if (ae_gguf_has(g, "general.type") &&
        ae_gguf_text(g, "general.type", &type, NULL) == AERIE_OK && !ae_span_is(type, "model"))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: this is no model but of type '%.*s'; give a model", ae_gguf_name(g),
                          (int)(type.len < 40 ? type.len : 40), type.data);
    if (!ae_gguf_has(g, "general.architecture"))
        return aerie_fail(err, AERIE_BAD_FILE, "%s: no 'general.architecture': this is no model",
                          ae_gguf_name(g));
    aerie_status status = ae_gguf_text(g, "general.architecture", &text, err);
    if (status) return status;
    out->architecture = ae_arena_strndup(arena, text.data, text.len < 64 ? text.len : 64);
    if (!out->architecture) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to quantize");
    out->n_layers = number_of(g, out->architecture, "block_count", 0, arena);
    out->n_heads = number_of(g, out->architecture, "attention.head_count", 0, arena);
    out->n_kv_heads =
        number_of(g, out->architecture, "attention.head_count_kv", out->n_heads, arena);
    out->n_experts = number_of(g, out->architecture, "expert_count", 0, arena);
    return AERIE_OK;
}

static int64_t dims_above_one(const ae_stored_tensor *t)
{
    int first = 0;

    while (first < t->n_dims && t->dims[first] == 1) first++;
    return t->n_dims - first;
}

/* ---- one tensor ---- */

typedef struct {
    ae_pool *pool;
    ae_gguf_writer *writer;
    const ae_quantize_options *options;
    const ae_gguf *in;
    double elements, elements_done;
    ae_arena arena; /* the plan; from a mark on, what one tensor needs */
} run;

/* Rows of a tensor on their way. */
typedef struct {
    const ae_stored_tensor *from;
    ae_dtype type;
    const float *importance;
    const int64_t *order; /* NULL: as they lie */
    int64_t rows_per_matrix;
    const ae_quantize_options *options;
    int64_t change;             /* handle; -1: none */
    int64_t first;              /* the row of the tensor that `out` begins with */
    size_t in_bytes, out_bytes; /* of a row */
    uint8_t *out;
    float *scratch;           /* [workers, 2, cols] */
    double *squares, *errors; /* [rows of a batch]; squares below 0: a number that does not fit */
} batch;

/* A half holds no more than this; other types hold all numbers, or cut them. */
static float largest_of(ae_dtype type)
{
    const float half = 65519.996f;

    return type == AE_F16 ? half : type == AE_Q8_0 ? 127 * half : INFINITY;
}

static void quantize_rows(void *job, int64_t begin, int64_t end, int worker)
{
    batch *b = job;
    int64_t cols = b->from->cols;
    float *x = b->scratch + 2 * worker * cols, *back = x + cols;
    const float most = largest_of(b->type);

    for (int64_t i = begin; i < end; i++) {
        int64_t row = b->first + i, from = b->order ? b->order[row] : row;
        uint8_t *out = b->out + (size_t)i * b->out_bytes;
        const float *importance =
            b->importance ? b->importance + row / b->rows_per_matrix * cols : NULL;
        double squares = 0, errors = 0;
        bool fits = true;
        ae_dtype_decode_row(b->from->dtype,
                            (const uint8_t *)b->from->data + (size_t)from * b->in_bytes, cols, x);
        if (b->change >= 0) b->options->change(b->options->user, b->change, row, x);
        for (int64_t c = 0; c < cols; c++) fits = fits && fabsf(x[c]) < most;
        if (fits) {
            ae_quantize_row(b->type, x, cols, importance, out);
            ae_dtype_decode_row(b->type, out, cols, back);
        }
        for (int64_t c = 0; c < cols && fits; c++) {
            double off = (double)back[c] - (double)x[c];
            squares += (double)x[c] * (double)x[c];
            errors += off * off;
        }
        b->squares[i] = fits ? squares : -1;
        b->errors[i] = errors;
    }
}

static aerie_status unfit(const run *r, const batch *b, int64_t row, aerie_error *err)
{
    const char *type = ae_dtype_info_of(b->type)->name;
    bool is_bounded = isfinite(largest_of(b->type));

    return aerie_fail(
        err, AERIE_BAD_NUMBER,
        "%s: tensor '%s' has a number in row %lld that is not finite%s%s; the model is "
        "damaged%s",
        ae_gguf_name(r->in), b->from->name, (long long)row, is_bounded ? " or too large for " : "",
        is_bounded ? type : "", is_bounded ? ", or wants BF16" : "");
}

static aerie_status interrupted(const run *r, aerie_error *err)
{
    return aerie_fail(err, AERIE_INTERRUPTED, "%s: quantizing was stopped; nothing was written",
                      ae_gguf_name(r->in));
}

static bool go_on(const run *r, const ae_quantized *done)
{
    const ae_quantize_options *o = r->options;

    return !o->progress || o->progress(o->user, r->elements_done / r->elements, done);
}

/* The rows b->first .. + n. */
static aerie_status one_batch(run *r, batch *b, int64_t n, ae_quantized *q, aerie_error *err)
{
    int64_t grain = 1 + 4096 / b->from->cols;

    ae_pool_run(r->pool, n, grain, quantize_rows, b);
    for (int64_t i = 0; i < n; i++) {
        if (b->squares[i] < 0) return unfit(r, b, b->first + i, err);
        q->sum_squares += b->squares[i];
        q->sum_error += b->errors[i];
    }
    ae_gguf_writer_add(r->writer, b->out, (size_t)n * b->out_bytes);
    r->elements_done += (double)(n * b->from->cols);
    return go_on(r, NULL) ? AERIE_OK : interrupted(r, err);
}

static aerie_status requantize(run *r, const ae_stored_tensor *t, const int64_t *order,
                               int64_t change, ae_quantized *q, aerie_error *err)
{
    batch b = {
        .from = t, .type = q->type, .order = order, .options = r->options, .change = change
    };
    aerie_status status = AERIE_OK;

    if (r->options->importance)
        status = r->options->importance(&b.importance, r->options->user, t, err);
    if (status) return status;
    q->has_importance = b.importance != NULL;
    b.rows_per_matrix = t->n_dims > 2 ? t->rows / t->dims[0] : t->rows;
    b.in_bytes = t->bytes / (size_t)t->rows;
    b.out_bytes = (size_t)q->bytes / (size_t)t->rows;
    int64_t most = 1 + (int64_t)(BATCH_BYTES / b.out_bytes), n = t->rows < most ? t->rows : most;
    b.out = ae_arena_take_raw(&r->arena, (size_t)n, b.out_bytes);
    b.scratch = ae_arena_take_raw(&r->arena, 2 * (size_t)ae_pool_size(r->pool) * (size_t)t->cols,
                                  sizeof *b.scratch);
    b.squares = ae_arena_take_raw(&r->arena, (size_t)n, sizeof *b.squares);
    b.errors = ae_arena_take_raw(&r->arena, (size_t)n, sizeof *b.errors);
    if (!b.out || !b.scratch || !b.squares || !b.errors)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for rows of tensor '%s'", t->name);
    for (; b.first < t->rows && !status; b.first += n)
        status = one_batch(r, &b, t->rows - b.first < n ? t->rows - b.first : n, q, err);
    return status;
}

static void copy_rows(run *r, const ae_stored_tensor *t, const int64_t *order)
{
    size_t row_bytes = t->bytes / (size_t)t->rows;

    for (int64_t i = 0; i < t->rows && order; i++)
        ae_gguf_writer_add(r->writer, (const uint8_t *)t->data + (size_t)order[i] * row_bytes,
                           row_bytes);
    if (!order) ae_gguf_writer_add(r->writer, t->data, t->bytes);
    r->elements_done += (double)(t->rows * t->cols);
}

static aerie_status one_tensor(run *r, const ae_stored_tensor *t, ae_dtype type, aerie_error *err)
{
    ae_arena_mark here = ae_arena_here(&r->arena);
    const ae_quantize_options *o = r->options;
    int64_t change = o->change_of ? o->change_of(o->user, t) : -1;
    ae_quantized q = { .from = t, .type = type, .is_copy = type == t->dtype && change < 0 };
    const int64_t *order = NULL;
    aerie_status status = AERIE_OK;
    size_t bytes = 0;

    ae_dtype_bytes(&bytes, type, t->rows, t->cols);
    q.bytes = bytes;
    if (o->order) status = o->order(&order, o->user, t, err);
    if (!status && q.is_copy)
        copy_rows(r, t, order);
    else if (!status)
        status = requantize(r, t, order, change, &q, err);
    ae_arena_reset(&r->arena, here);
    ae_gguf_forget(r->in, t->data, t->bytes);
    if (!status && !go_on(r, &q)) status = interrupted(r, err);
    return status;
}

/* ---- the file ---- */

static void put_metadata(run *r)
{
    const ae_gguf *g = r->in;

    for (size_t i = 0; i < ae_gguf_entry_count(g); i++) {
        const char *key = ae_gguf_entry_at(g, i).key;
        bool is_ours = !strcmp(key, "general.file_type") ||
                       !strcmp(key, "general.quantization_version") || !strncmp(key, "split.", 6) ||
                       !strncmp(key, "quantize.imatrix.", 17);
        if (r->options->drop_key && !strcmp(key, r->options->drop_key)) continue;
        if (!is_ours) ae_gguf_set_copy(r->writer, g, i);
    }
    ae_gguf_set_u32(r->writer, "general.file_type", r->options->mix->file_type);
    ae_gguf_set_u32(r->writer, "general.quantization_version", QUANTIZATION_VERSION);
    if (r->options->annotate) r->options->annotate(r->options->user, r->writer);
}

static aerie_status plan(run *r, ae_mix_tensor **out, aerie_error *err)
{
    const ae_tensor_list *list = ae_gguf_tensors(r->in);
    size_t n = ae_tensor_list_len(list);
    ae_mix_tensor *tensors = ae_arena_take(&r->arena, n, sizeof *tensors);
    ae_mix_options types = r->options->types;
    ae_mix_model model = { 0 };
    aerie_status status = describe(&model, r->in, &r->arena, err);

    if (status) return status;
    if (n == 0)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: there is no tensor in it", ae_gguf_name(r->in));
    if (!tensors) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        ae_tensor view;
        status = ae_stored_tensor_view(&view, t, err);
        if (status) {
            aerie_error_prefix(err, "%s", ae_gguf_name(r->in));
            return status;
        }
        tensors[i] = (ae_mix_tensor){ t->name, t->dtype, dims_above_one(t), t->cols, t->dtype };
        r->elements += (double)t->rows * (double)t->cols;
    }
    types.has_importance = r->options->importance != NULL;
    *out = tensors;
    return ae_mix_assign(r->options->mix, &model, &types, tensors, n, err);
}

static aerie_status write_all(run *r, const ae_mix_tensor *plan_of, aerie_error *err)
{
    const ae_tensor_list *list = ae_gguf_tensors(r->in);
    const char *added = r->options->added.name;
    aerie_status status = AERIE_OK;

    put_metadata(r);
    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        ae_gguf_writer_tensor_dims(r->writer, t->name, plan_of[i].result, t->dims, t->n_dims);
    }
    if (added) ae_gguf_writer_tensor(r->writer, added, AE_F32, 1, r->options->added.n);
    for (size_t i = 0; i < ae_tensor_list_len(list) && !status; i++)
        status = one_tensor(r, ae_tensor_list_at(list, i), plan_of[i].result, err);
    if (added && !status)
        ae_gguf_writer_add(r->writer, r->options->added.values,
                           (size_t)r->options->added.n * sizeof(float));
    return status;
}

aerie_status ae_quantize_gguf(ae_pool *pool, const ae_gguf *in, const char *out_path,
                              const ae_quantize_options *options, aerie_error *err)
{
    run r = { .pool = pool, .in = in, .options = options };
    ae_mix_tensor *tensors = NULL;
    aerie_status status = plan(&r, &tensors, err);

    if (!status) status = ae_gguf_writer_open(&r.writer, out_path, err);
    if (!status) status = write_all(&r, tensors, err);
    if (!status)
        status = ae_gguf_writer_commit(r.writer, err);
    else
        ae_gguf_writer_abandon(r.writer);
    ae_arena_free(&r.arena);
    return status;
}
