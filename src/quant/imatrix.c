/* imatrix.c -- an importance matrix, read from GGUF and made ready for use. */
#include "quant/imatrix.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAME = 200 };

aerie_status ae_imatrix_damaged(const ae_imatrix *m, aerie_error *err, const char *format, ...)
{
    char what[300];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return aerie_fail(err, AERIE_BAD_FILE, "%s: not an importance matrix, or a damaged one: %s",
                      m->path, what);
}

static aerie_status no_memory(const ae_imatrix *m, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the importance matrix", m->path);
}

/* ---- entries ---- */

static bool is_plain(ae_span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < ' ' || name.data[i] == 127) return false;
    return name.len > 0 && name.len <= LONGEST_NAME;
}

static double float_at(const void *data, int64_t i)
{
    float value;

    memcpy(&value, (const char *)data + (size_t)i * sizeof value, sizeof value);
    return (double)value;
}

/* Copies n numbers; false when one is not finite or negative. */
static bool copy_numbers(double *out, const void *in, int64_t n, double scale)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = float_at(in, i) * scale;
        if (!(out[i] >= 0 && out[i] <= 3e38)) return false;
    }
    return true;
}

/* Means; a matrix without inputs weighs its columns evenly. */
static void fill_weights(float *out, const ae_imatrix_entry *e)
{
    for (int64_t k = 0; k < e->n_matrices; k++)
        for (int64_t i = k * e->cols; i < (k + 1) * e->cols; i++) {
            double mean = e->counts[k] > 0 ? e->sums[i] / e->counts[k] : 1;
            out[i] = mean < 3e38 ? (float)mean : 3e38f;
        }
}

static bool grow(ae_imatrix *m)
{
    size_t cap = m->cap ? 2 * m->cap : 256;
    ae_imatrix_entry *entries;

    if (m->n < m->cap) return true;
    entries = ae_realloc(m->entries, m->cap, cap, sizeof *entries);
    if (!entries) return false;
    m->entries = entries;
    m->cap = cap;
    return true;
}

aerie_status ae_imatrix_add(ae_imatrix *m, ae_span name, const void *sums, int64_t cols,
                            int64_t n_matrices, double scale, const void *counts, aerie_error *err)
{
    int64_t n = cols * n_matrices; /* both are counts of things in memory */
    double *own_sums = ae_arena_take_raw(&m->arena, (size_t)n, sizeof *own_sums);
    double *own_counts = ae_arena_take_raw(&m->arena, (size_t)n_matrices, sizeof *own_counts);
    const char *own_name;

    if (!is_plain(name))
        return ae_imatrix_damaged(m, err, "a tensor's name is empty, long or no text");
    own_name = ae_arena_strndup(&m->arena, name.data, name.len);
    if (!own_sums || !own_counts || !own_name || !grow(m)) return no_memory(m, err);
    for (int64_t k = 0; k < n_matrices; k++) own_counts[k] = 1;
    if ((counts && !copy_numbers(own_counts, counts, n_matrices, 1)) ||
        !copy_numbers(own_sums, sums, n, scale))
        return ae_imatrix_damaged(m, err, "a number of '%s' is negative or not finite", own_name);
    m->entries[m->n++] = (ae_imatrix_entry){ own_name, own_sums, own_counts, cols, n_matrices };
    return AERIE_OK;
}

/* ---- GGUF ---- */

static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";

static const ae_stored_tensor *counts_of(const ae_gguf *g, const char *name, size_t len)
{
    char key[LONGEST_NAME + sizeof counts_suffix];

    if (len > LONGEST_NAME) return NULL;
    snprintf(key, sizeof key, "%.*s%s", (int)len, name, counts_suffix);
    return ae_tensor_list_find(ae_gguf_tensors(g), key);
}

static aerie_status add_tensor(ae_imatrix *m, const ae_gguf *g, const ae_stored_tensor *sums,
                               size_t name_len, aerie_error *err)
{
    const ae_stored_tensor *counts = counts_of(g, sums->name, name_len);

    if (!counts) return ae_imatrix_damaged(m, err, "'%s' comes without its counts", sums->name);
    int64_t n_matrices = counts->rows * counts->cols, n = sums->rows * sums->cols;
    if (sums->dtype != AE_F32 || counts->dtype != AE_F32 || n % n_matrices)
        return ae_imatrix_damaged(m, err, "'%s' and its counts do not fit together or are not F32",
                                  sums->name);
    return ae_imatrix_add(m, (ae_span){ sums->name, name_len }, sums->data, n / n_matrices,
                          n_matrices, 1, counts->data, err);
}

static aerie_status read_about(ae_imatrix *m, const ae_gguf *g, aerie_error *err)
{
    ae_span type = { 0 };
    const ae_span *texts;
    size_t n;

    if (!ae_gguf_has(g, "general.type") || ae_gguf_text(g, "general.type", &type, NULL) ||
        !ae_span_is(type, "imatrix"))
        return ae_imatrix_damaged(m, err, "its general.type is not 'imatrix'");
    if (ae_gguf_has(g, "imatrix.chunk_count"))
        ae_gguf_i64(g, "imatrix.chunk_count", &m->chunks, NULL);
    if (!ae_gguf_has(g, "imatrix.datasets") ||
        ae_gguf_texts(g, "imatrix.datasets", &texts, &n, NULL) || n == 0 || !is_plain(texts[0]))
        return AERIE_OK;
    m->dataset = ae_arena_strndup(&m->arena, texts[0].data, texts[0].len);
    return m->dataset ? AERIE_OK : no_memory(m, err);
}

static aerie_status read_gguf(ae_imatrix *m, aerie_error *err)
{
    const size_t suffix = sizeof sums_suffix - 1;
    ae_gguf *g = NULL;
    aerie_status status = ae_gguf_open(&g, m->path, err);

    if (!status) status = read_about(m, g, err);
    for (size_t i = 0; !status && i < ae_tensor_list_len(ae_gguf_tensors(g)); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(ae_gguf_tensors(g), i);
        size_t len = strlen(t->name);
        if (len > suffix && !strcmp(t->name + len - suffix, sums_suffix))
            status = add_tensor(m, g, t, len - suffix, err);
    }
    ae_gguf_close(g);
    return status;
}

/* ---- open, find ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ae_imatrix_entry *)a)->tensor, ((const ae_imatrix_entry *)b)->tensor);
}

/* Sorts, and makes the weights. */
static aerie_status settle(ae_imatrix *m, aerie_error *err)
{
    if (m->n == 0) return ae_imatrix_damaged(m, err, "it is about no tensor");
    m->weights = ae_arena_take(&m->arena, m->n, sizeof *m->weights);
    if (!m->weights) return no_memory(m, err);
    qsort(m->entries, m->n, sizeof *m->entries, by_name);
    for (size_t i = 0; i < m->n; i++) {
        const ae_imatrix_entry *e = &m->entries[i];
        if (i && !strcmp(e->tensor, e[-1].tensor))
            return ae_imatrix_damaged(m, err, "'%s' is there twice", e->tensor);
        m->weights[i] =
            ae_arena_take_raw(&m->arena, (size_t)(e->cols * e->n_matrices), sizeof(float));
        if (!m->weights[i]) return no_memory(m, err);
        fill_weights(m->weights[i], e);
    }
    return AERIE_OK;
}

static aerie_status read_any(ae_imatrix *m, aerie_error *err)
{
    ae_file file = { 0 };
    aerie_status status = ae_file_open(&file, m->path, err);
    bool is_gguf = !status && file.size >= 4 && !memcmp(file.data, "GGUF", 4);

    if (!status && !is_gguf) status = ae_imatrix_read_dat(m, file.data, file.size, err);
    ae_file_close(&file);
    if (is_gguf) status = read_gguf(m, err);
    return status ? status : settle(m, err);
}

aerie_status ae_imatrix_open(ae_imatrix **out, const char *path, aerie_error *err)
{
    ae_imatrix *m = ae_alloc(1, sizeof *m);
    aerie_status status = AERIE_NO_MEMORY;

    *out = NULL;
    if (m) m->path = ae_strdup(path);
    if (m && m->path) {
        m->dataset = "";
        status = read_any(m, err);
    } else {
        aerie_fail(err, status, "%s: no memory for the importance matrix", path);
    }
    if (status)
        ae_imatrix_close(m);
    else
        *out = m;
    return status;
}

void ae_imatrix_close(ae_imatrix *m)
{
    if (!m) return;
    ae_arena_free(&m->arena);
    ae_free(m->entries);
    ae_free(m->path);
    ae_free(m);
}

size_t ae_imatrix_len(const ae_imatrix *m)
{
    return m->n;
}

ae_imatrix_entry ae_imatrix_at(const ae_imatrix *m, size_t i)
{
    return m->entries[i];
}

int64_t ae_imatrix_chunks(const ae_imatrix *m)
{
    return m->chunks;
}

const char *ae_imatrix_dataset(const ae_imatrix *m)
{
    return m->dataset;
}

aerie_status ae_imatrix_weights(const float **out, const ae_imatrix *m, const ae_stored_tensor *t,
                                aerie_error *err)
{
    const ae_imatrix_entry key = { .tensor = t->name };
    const ae_imatrix_entry *e = bsearch(&key, m->entries, m->n, sizeof key, by_name);
    int64_t matrices = t->n_dims > 2 ? t->dims[0] : 1;

    *out = NULL;
    if (!e) return AERIE_OK;
    if (e->cols == t->cols && e->n_matrices == matrices) {
        *out = m->weights[e - m->entries];
        return AERIE_OK;
    }
    if (!strcmp(t->name, "token_embd.weight")) return AERIE_OK;
    return aerie_fail(
        err, AERIE_BAD_SHAPE,
        "%s: made for another model: '%s' has %lld x %lld columns there, %lld x %lld in "
        "this one",
        m->path, t->name, (long long)e->n_matrices, (long long)e->cols, (long long)matrices,
        (long long)t->cols);
}

/* ---- saved ---- */

static void put_numbers(ae_gguf_writer *w, const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float value = (float)values[i];
        ae_gguf_writer_add(w, &value, sizeof value);
    }
}

static void announce(ae_gguf_writer *w, const ae_imatrix_entry *e)
{
    char name[LONGEST_NAME + sizeof sums_suffix];

    snprintf(name, sizeof name, "%.*s%s", LONGEST_NAME, e->tensor, sums_suffix);
    ae_gguf_writer_tensor(w, name, AE_F32, e->n_matrices, e->cols);
    snprintf(name, sizeof name, "%.*s%s", LONGEST_NAME, e->tensor, counts_suffix);
    ae_gguf_writer_tensor(w, name, AE_F32, e->n_matrices, 1);
}

aerie_status ae_imatrix_save(const ae_imatrix_entry *entries, size_t n, const char *path,
                             const char *dataset, int64_t n_chunks, int64_t chunk_tokens,
                             aerie_error *err)
{
    ae_span datasets[] = { ae_span_text(dataset) };
    ae_gguf_writer *w = NULL;
    aerie_status status = ae_gguf_writer_open(&w, path, err);

    if (status) return status;
    ae_gguf_set_text(w, "general.type", "imatrix");
    ae_gguf_set_texts(w, "imatrix.datasets", datasets, 1);
    ae_gguf_set_u32(w, "imatrix.chunk_count", (uint32_t)n_chunks);
    ae_gguf_set_u32(w, "imatrix.chunk_size", (uint32_t)chunk_tokens);
    for (size_t i = 0; i < n; i++) announce(w, &entries[i]);
    for (size_t i = 0; i < n; i++) {
        put_numbers(w, entries[i].sums, entries[i].cols * entries[i].n_matrices);
        put_numbers(w, entries[i].counts, entries[i].n_matrices);
    }
    return ae_gguf_writer_commit(w, err);
}
