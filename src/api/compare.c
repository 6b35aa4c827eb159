/* compare.c -- the weights of a file, tensor by tensor: whether they are numbers, and what they
 * have lost against those of another file of the model. Rows are decoded, looked at and forgotten,
 * so that no file needs to fit into memory. */
#include "api/api.h"

#include <math.h>
#include <string.h>

/* One of the two files. */
typedef struct {
    ae_gguf *gguf;
    ae_safetensors *safetensors;
    const ae_tensor_list *list;
    const char *path;
} weight_file;

static aerie_status open_weights(weight_file *f, const char *path, aerie_error *err)
{
    const char *ending = strrchr(path, '.');
    aerie_status status;

    *f = (weight_file){ .path = path };
    if (ae_file_is_folder(path) || (ending && !strcmp(ending, ".safetensors"))) {
        status = ae_safetensors_open(&f->safetensors, path, err);
        if (!status) f->list = ae_safetensors_tensors(f->safetensors);
    } else {
        status = ae_gguf_open(&f->gguf, path, err);
        if (!status) f->list = ae_gguf_tensors(f->gguf);
    }
    return status;
}

static void close_weights(weight_file *f)
{
    ae_gguf_close(f->gguf);
    ae_safetensors_close(f->safetensors);
}

static void forget(const weight_file *f, const ae_stored_tensor *t)
{
    if (f->gguf) ae_gguf_forget(f->gguf, t->data, t->bytes);
    if (f->safetensors) ae_safetensors_forget(f->safetensors, t->data, t->bytes);
}

/* What one row gives; rows are added in order, so that threads are not seen in the sums. */
typedef struct {
    double error, size, most; /* sums of (a - b)^2 and b^2; largest |a - b| */
} row_sums;

typedef struct {
    const ae_stored_tensor *a, *b;
    float *room; /* [workers, 2, cols] */
    row_sums *rows;
} comparison;

static void decode(float *out, const ae_stored_tensor *t, int64_t row)
{
    size_t row_bytes = t->bytes / (size_t)t->rows;

    ae_dtype_decode_row(t->dtype, (const char *)t->data + (size_t)row * row_bytes, t->cols, out);
}

static void compare_rows(void *job, int64_t begin, int64_t end, int worker)
{
    const comparison *c = job;
    int64_t n = c->a->cols;
    float *a = c->room + 2 * n * worker, *b = a + n;

    for (int64_t r = begin; r < end; r++) {
        row_sums s = { 0 };
        decode(a, c->a, r);
        decode(b, c->b, r);
        for (int64_t i = 0; i < n; i++) {
            double d = (double)a[i] - b[i];
            s.error += d * d;
            s.size += (double)b[i] * b[i];
            s.most = d == d ? fmax(s.most, fabs(d)) : NAN;
        }
        c->rows[r] = s;
    }
}

static aerie_weight_difference sum_up(const comparison *c)
{
    row_sums all = { 0 };
    double n = (double)c->a->rows * (double)c->a->cols;

    for (int64_t r = 0; r < c->a->rows; r++) {
        all.error += c->rows[r].error;
        all.size += c->rows[r].size;
        all.most = fmax(all.most, c->rows[r].most);
    }
    return (aerie_weight_difference){ .name = c->a->name,
                                      .type = c->a->type_name,
                                      .against_type = c->b->type_name,
                                      .rows = c->a->rows,
                                      .cols = c->a->cols,
                                      .bytes = c->a->bytes,
                                      .rmse = sqrt(all.error / n),
                                      .max = all.most,
                                      .relative = all.size > 0 ? sqrt(all.error / all.size) : 0 };
}

static aerie_status compare_tensor(const comparison *given, ae_pool *pool,
                                   aerie_weight_difference *out, aerie_error *err)
{
    comparison c = *given;
    aerie_status status = AERIE_OK;

    c.room = ae_alloc((size_t)(2 * ae_pool_size(pool)), (size_t)c.a->cols * sizeof *c.room);
    c.rows = ae_alloc((size_t)c.a->rows, sizeof *c.rows);
    if (c.room && c.rows) {
        ae_pool_run(pool, c.a->rows, 16, compare_rows, &c);
        *out = sum_up(&c);
    } else
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory to compare '%s'", c.a->name);
    ae_free(c.room);
    ae_free(c.rows);
    return status;
}

/* The tensor of the other file that this one is compared with. */
static aerie_status find_pair(comparison *c, const weight_file *a, const weight_file *b, size_t i,
                              aerie_error *err)
{
    ae_tensor view;
    aerie_status status;

    c->a = ae_tensor_list_at(a->list, i);
    c->b = ae_tensor_list_find(b->list, c->a->name);
    if (!c->b)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s has no tensor '%s'; only two files of one model, in the same format, "
                          "can be compared",
                          b->path, c->a->name);
    if (c->a->rows != c->b->rows || c->a->cols != c->b->cols)
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT,
            "tensor '%s' is %lld x %lld in %s, but %lld x %lld in %s; they are not of "
            "one model",
            c->a->name, (long long)c->a->rows, (long long)c->a->cols, a->path,
            (long long)c->b->rows, (long long)c->b->cols, b->path);
    status = ae_stored_tensor_view(&view, c->a, err);
    if (status) aerie_error_prefix(err, "%s", a->path);
    if (status || !(status = ae_stored_tensor_view(&view, c->b, err))) return status;
    aerie_error_prefix(err, "%s", b->path);
    return status;
}

static aerie_status compare_all(const weight_file *a, const weight_file *b, ae_pool *pool,
                                aerie_weight_difference_fn *each, void *user, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < ae_tensor_list_len(a->list) && !status; i++) {
        aerie_weight_difference difference;
        comparison c = { 0 };
        status = find_pair(&c, a, b, i, err);
        if (!status) status = compare_tensor(&c, pool, &difference, err);
        if (status) break;
        forget(a, c.a);
        forget(b, c.b);
        if (!each(user, &difference)) status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    }
    return status;
}

aerie_status aerie_compare_weights(const char *path, const char *against, int threads,
                                   aerie_weight_difference_fn *each, void *user, aerie_error *err)
{
    weight_file a = { 0 }, b = { 0 };
    ae_pool *pool = NULL;
    aerie_status status = open_weights(&a, path, err);

    if (!status) status = open_weights(&b, against, err);
    if (!status) status = ae_pool_open(&pool, threads, err);
    if (!status) status = compare_all(&a, &b, pool, each, user, err);
    ae_pool_close(pool);
    close_weights(&a);
    close_weights(&b);
    return status;
}

/* ---- one file ---- */

typedef struct {
    const ae_stored_tensor *t;
    bool *finite; /* [rows] */
} check_job;

static void check_rows(void *job, int64_t begin, int64_t end, int worker)
{
    const check_job *c = job;
    size_t row_bytes = c->t->bytes / (size_t)c->t->rows;

    (void)worker;
    for (int64_t r = begin; r < end; r++)
        c->finite[r] = ae_dtype_scales_finite(
            c->t->dtype, (const char *)c->t->data + (size_t)r * row_bytes, c->t->cols);
}

static aerie_status check_tensor(const weight_file *f, const ae_stored_tensor *t, ae_pool *pool,
                                 aerie_error *err)
{
    ae_tensor view;
    check_job c = { t, NULL };
    aerie_status status = ae_stored_tensor_view(&view, t, err);

    if (status) aerie_error_prefix(err, "%s", f->path);
    if (status) return status;
    c.finite = ae_alloc((size_t)t->rows, sizeof *c.finite);
    if (!c.finite) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to check '%s'", t->name);
    ae_pool_run(pool, t->rows, 64, check_rows, &c);
    for (int64_t r = 0; r < t->rows && !status; r++)
        if (!c.finite[r])
            status = aerie_fail(err, AERIE_BAD_FILE,
                                "%s: damaged: row %lld of tensor '%s' (%s) has scales or numbers "
                                "that are infinite or not a number; fetch the file again",
                                f->path, (long long)r, t->name, t->type_name);
    ae_free(c.finite);
    forget(f, t);
    return status;
}

aerie_status aerie_check_weights(const char *path, int threads, int64_t *n_tensors,
                                 aerie_error *err)
{
    weight_file f = { 0 };
    ae_pool *pool = NULL;
    aerie_status status = open_weights(&f, path, err);

    if (!status) status = ae_pool_open(&pool, threads, err);
    for (size_t i = 0; !status && i < ae_tensor_list_len(f.list); i++)
        status = check_tensor(&f, ae_tensor_list_at(f.list, i), pool, err);
    if (!status && n_tensors) *n_tensors = (int64_t)ae_tensor_list_len(f.list);
    ae_pool_close(pool);
    close_weights(&f);
    return status;
}
