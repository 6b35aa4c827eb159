/* kv.c -- keys and values of past positions: memory that grows as it fills, and prefixes lent by
 * one sequence to others. */
#include "nn/kv.h"

#include <string.h>

enum { FIRST_ROWS = 64 };

static aerie_status check_new(int64_t n_layers, int64_t kv_width, int64_t capacity,
                              const ae_kv *prefix, int64_t prefix_len, aerie_error *err)
{
    if (n_layers < 1 || kv_width < 1 || kv_width > INT64_MAX / 2 || capacity < 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a cache of %lld layers, width %lld, %lld positions cannot be",
                          (long long)n_layers, (long long)kv_width, (long long)capacity);
    if (!prefix && prefix_len == 0) return AERIE_OK;
    if (!prefix || prefix_len < 0 || prefix_len > ae_kv_len(prefix) ||
        capacity > INT64_MAX - prefix_len)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a prefix of %lld positions is not there to lend", (long long)prefix_len);
    if (prefix->n_layers != n_layers || prefix->kv_width != kv_width)
        return aerie_fail(err, AERIE_BAD_SHAPE,
                          "the prefix has %lld layers of width %lld, the cache %lld of %lld",
                          (long long)prefix->n_layers, (long long)prefix->kv_width,
                          (long long)n_layers, (long long)kv_width);
    return AERIE_OK;
}

aerie_status ae_kv_new(ae_kv **out, int64_t n_layers, int64_t kv_width, int64_t capacity,
                       const ae_kv *prefix, int64_t prefix_len, aerie_error *err)
{
    *out = NULL;
    aerie_status status = check_new(n_layers, kv_width, capacity, prefix, prefix_len, err);
    if (status) return status;
    ae_kv *kv = ae_alloc(1, sizeof *kv);
    ae_kv_layer *layers = ae_alloc((size_t)n_layers, sizeof *layers);
    if (!kv || !layers) {
        ae_free(layers);
        ae_free(kv);
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for a cache of %lld layers",
                          (long long)n_layers);
    }
    *kv = (ae_kv){ .n_layers = n_layers,
                   .kv_width = kv_width,
                   .capacity = capacity,
                   .prefix = prefix_len > 0 ? prefix : NULL,
                   .prefix_len = prefix_len,
                   .layers = layers };
    *out = kv;
    return AERIE_OK;
}

void ae_kv_free(ae_kv *kv)
{
    if (!kv) return;
    for (int64_t l = 0; l < kv->n_layers; l++) ae_free(kv->layers[l].rows);
    ae_free(kv->layers);
    ae_free(kv);
}

int64_t ae_kv_len(const ae_kv *kv)
{
    return kv->prefix_len + kv->len;
}

int64_t ae_kv_capacity(const ae_kv *kv)
{
    return kv->prefix_len + kv->capacity;
}

void ae_kv_truncate(ae_kv *kv, int64_t len)
{
    int64_t own = len > kv->prefix_len ? len - kv->prefix_len : 0;
    if (own < kv->len) kv->len = own;
    kv->pending = 0;
}

size_t ae_kv_bytes(const ae_kv *kv)
{
    size_t bytes = sizeof *kv + (size_t)kv->n_layers * sizeof *kv->layers;
    for (int64_t l = 0; l < kv->n_layers; l++)
        bytes += (size_t)kv->layers[l].held * 2 * (size_t)kv->kv_width * sizeof(float);
    return bytes;
}

static bool grow(ae_kv_layer *layer, int64_t rows, int64_t kv_width)
{
    size_t row_bytes;
    if (!ae_mul_size(&row_bytes, 2 * (size_t)kv_width, sizeof(float))) return false;
    float *bigger = ae_realloc(layer->rows, (size_t)layer->held, (size_t)rows, row_bytes);
    if (!bigger) return false;
    *layer = (ae_kv_layer){ bigger, rows };
    return true;
}

aerie_status ae_kv_reserve(ae_kv *kv, int64_t n, aerie_error *err)
{
    if (n > kv->capacity - kv->len)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%lld more tokens do not fit: the context holds %lld of %lld",
                          (long long)n, (long long)ae_kv_len(kv), (long long)ae_kv_capacity(kv));
    int64_t needed = kv->len + n;
    for (int64_t l = 0; l < kv->n_layers; l++) {
        ae_kv_layer *layer = &kv->layers[l];
        if (layer->held >= needed) continue;
        int64_t rows = layer->held > kv->capacity / 2 ? kv->capacity : 2 * layer->held;
        if (rows < FIRST_ROWS) rows = FIRST_ROWS;
        if (rows > kv->capacity) rows = kv->capacity;
        if (rows < needed) rows = needed;
        if (!grow(layer, rows, kv->kv_width))
            return aerie_fail(err, AERIE_NO_MEMORY,
                              "no room for keys and values of %lld positions beside %zu bytes",
                              (long long)rows, ae_kv_bytes(kv));
    }
    return AERIE_OK;
}

void ae_kv_write(ae_kv *kv, int64_t layer, const float *k, const float *v)
{
    int64_t width = kv->kv_width;
    float *row = kv->layers[layer].rows + kv->len * 2 * width;
    for (int64_t i = 0; i < kv->pending; i++, row += 2 * width) {
        memcpy(row, k + i * width, (size_t)width * sizeof *row);
        memcpy(row + width, v + i * width, (size_t)width * sizeof *row);
    }
}

int64_t ae_kv_span_count(const ae_kv *kv)
{
    int64_t count = 0;
    for (; kv; kv = kv->prefix) count++;
    return count;
}

void ae_kv_spans(const ae_kv *kv, int64_t layer, ae_attention_span *spans)
{
    int64_t end = ae_kv_len(kv) + kv->pending; /* positions wanted of this cache */
    for (int64_t at = ae_kv_span_count(kv) - 1; at >= 0; at--, kv = kv->prefix) {
        /* A lender may have lent fewer positions than it borrowed itself. */
        int64_t own = end > kv->prefix_len ? end - kv->prefix_len : 0;
        const float *rows = kv->layers[layer].rows;
        spans[at] = (ae_attention_span){
            .k = rows, .v = rows ? rows + kv->kv_width : NULL, .n = own, .stride = 2 * kv->kv_width
        };
        if (kv->prefix_len < end) end = kv->prefix_len;
    }
}
