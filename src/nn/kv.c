/* kv.c -- keys and values of past positions, in pages that caches share.
 *
 * A page counts the caches that hold it. Only its one holder writes into it: a cache that goes on
 * from a page that others hold copies it first. So a branch needs nothing of whom it branched from
 * but the pages, and those live as long as anybody holds them. */
#include "nn/kv.h"

#include <stdatomic.h>
#include <string.h>

/* Lies before the page's data, which stays 64-byte aligned. */
typedef struct {
    _Alignas(64) atomic_int holders;
} page_header;

static page_header *header_of(void *page)
{
    return (page_header *)page - 1;
}

static void *page_new(size_t bytes)
{
    page_header *header = ae_alloc(1, sizeof *header + bytes);
    if (!header) return NULL;
    atomic_init(&header->holders, 1);
    return header + 1;
}

static void *page_hold(void *page)
{
    if (page) atomic_fetch_add_explicit(&header_of(page)->holders, 1, memory_order_relaxed);
    return page;
}

static void page_drop(void **page)
{
    if (*page && atomic_fetch_sub(&header_of(*page)->holders, 1) == 1) ae_free(header_of(*page));
    *page = NULL;
}

static bool page_is_shared(void *page)
{
    return atomic_load(&header_of(page)->holders) > 1;
}

static int64_t pages_for(int64_t positions)
{
    return (positions + AE_KV_PAGE - 1) / AE_KV_PAGE;
}

/* Positions that are kept beyond a window, so that a few can be taken back: guessed tokens that did
 * not hold. */
enum { SLACK = AE_KV_PAGE };

/* The first page that a position from `len` on sees. */
static int64_t first_needed(int64_t window, int64_t len)
{
    return window > 0 && len + 1 > window ? (len + 1 - window) / AE_KV_PAGE : 0;
}

static int64_t first_kept(int64_t window, int64_t len)
{
    return len > SLACK ? first_needed(window, len - SLACK) : 0;
}

static aerie_status check_options(const ae_kv_options *o, size_t *page_bytes, aerie_error *err)
{
    if (o->n_layers < 1 || o->capacity < 0 || o->capacity > INT64_MAX - AE_KV_PAGE)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a cache of %lld layers, %lld positions cannot be",
                          (long long)o->n_layers, (long long)o->capacity);
    for (int64_t l = 0; o->windows && l < o->n_layers; l++)
        if (o->windows[l] < 0)
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "layer %lld: a window of %lld positions",
                              (long long)l, (long long)o->windows[l]);
    return ae_kv_page_bytes(page_bytes, &o->shape, err);
}

static aerie_status check_prefix(const ae_kv *kv, const ae_kv *prefix, int64_t n, aerie_error *err)
{
    if (!prefix)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%lld positions of no prefix", (long long)n);
    if (prefix->n_layers != kv->n_layers || prefix->shape.dtype != kv->shape.dtype ||
        prefix->shape.n_kv_heads != kv->shape.n_kv_heads ||
        prefix->shape.head_dim != kv->shape.head_dim)
        return aerie_fail(
            err, AERIE_BAD_SHAPE,
            "the prefix has %lld layers of %lld heads of %lld, the cache %lld of %lld "
            "of %lld, or they are of two types",
            (long long)prefix->n_layers, (long long)prefix->shape.n_kv_heads,
            (long long)prefix->shape.head_dim, (long long)kv->n_layers,
            (long long)kv->shape.n_kv_heads, (long long)kv->shape.head_dim);
    for (int64_t l = 0; l < kv->n_layers; l++)
        if (prefix->layers[l].window != kv->layers[l].window)
            return aerie_fail(err, AERIE_BAD_SHAPE,
                              "layer %lld: the prefix has a window of %lld, the cache of %lld",
                              (long long)l, (long long)prefix->layers[l].window,
                              (long long)kv->layers[l].window);
    if (n > kv->capacity || ae_kv_keepable(prefix, n) != n)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a prefix of %lld positions is not there to share", (long long)n);
    return AERIE_OK;
}

/* Room for the pages of so many positions in every layer's table. */
static bool grow_tables(ae_kv *kv, int64_t positions)
{
    int64_t table = kv->table ? kv->table : 4;
    while (table < pages_for(positions)) table *= 2;
    if (table == kv->table) return true;
    for (int64_t l = 0; l < kv->n_layers; l++) {
        void **bigger =
            ae_realloc(kv->layers[l].pages, (size_t)kv->table, (size_t)table, sizeof *bigger);
        if (!bigger) return false;
        kv->layers[l].pages = bigger; /* the others still have kv->table of their own */
    }
    kv->table = table;
    return true;
}

static aerie_status share_prefix(ae_kv *kv, const ae_kv *prefix, int64_t n, aerie_error *err)
{
    aerie_status status = check_prefix(kv, prefix, n, err);
    if (status) return status;
    if (!grow_tables(kv, n))
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for a cache of %lld layers",
                          (long long)kv->n_layers);
    for (int64_t l = 0; l < kv->n_layers; l++) {
        ae_kv_layer *layer = &kv->layers[l];
        layer->first = first_needed(layer->window, n);
        for (int64_t p = layer->first; p < pages_for(n); p++)
            layer->pages[p] = page_hold(prefix->layers[l].pages[p]);
    }
    kv->len = n;
    return AERIE_OK;
}

aerie_status ae_kv_new(ae_kv **out, const ae_kv_options *o, const ae_kv *prefix, int64_t prefix_len,
                       aerie_error *err)
{
    size_t page_bytes;
    *out = NULL;
    aerie_status status = check_options(o, &page_bytes, err);
    if (status) return status;
    ae_kv *kv = ae_alloc(1, sizeof *kv);
    ae_kv_layer *layers = ae_alloc((size_t)o->n_layers, sizeof *layers);
    if (!kv || !layers) {
        ae_free(layers);
        ae_free(kv);
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for a cache of %lld layers",
                          (long long)o->n_layers);
    }
    for (int64_t l = 0; o->windows && l < o->n_layers; l++) layers[l].window = o->windows[l];
    *kv = (ae_kv){ .shape = o->shape,
                   .n_layers = o->n_layers,
                   .capacity = o->capacity,
                   .page_bytes = page_bytes,
                   .layers = layers };
    if (o->rehearsal && !(kv->only_page = page_new(page_bytes)))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no room for a cache's page");
    if (!status && (prefix || prefix_len)) status = share_prefix(kv, prefix, prefix_len, err);
    if (status)
        ae_kv_free(kv);
    else
        *out = kv;
    return status;
}

void ae_kv_free(ae_kv *kv)
{
    if (!kv) return;
    for (int64_t l = 0; l < kv->n_layers; l++) {
        for (int64_t p = 0; p < kv->table; p++)
            if (kv->layers[l].pages) page_drop(&kv->layers[l].pages[p]);
        ae_free(kv->layers[l].pages);
    }
    page_drop(&kv->only_page);
    ae_free(kv->layers);
    ae_free(kv);
}

int64_t ae_kv_len(const ae_kv *kv)
{
    return kv->len;
}

int64_t ae_kv_capacity(const ae_kv *kv)
{
    return kv->capacity;
}

int64_t ae_kv_keepable(const ae_kv *kv, int64_t len)
{
    if (len < 0) return 0;
    if (len > kv->len) len = kv->len;
    for (int64_t l = 0; l < kv->n_layers; l++)
        if (first_needed(kv->layers[l].window, len) < kv->layers[l].first) return 0;
    return len;
}

int64_t ae_kv_truncate(ae_kv *kv, int64_t len)
{
    kv->len = ae_kv_keepable(kv, len);
    kv->pending = 0;
    for (int64_t l = 0; l < kv->n_layers; l++) {
        ae_kv_layer *layer = &kv->layers[l];
        for (int64_t p = pages_for(kv->len); p < kv->table; p++) page_drop(&layer->pages[p]);
        if (kv->len == 0) layer->first = 0;
    }
    return kv->len;
}

int64_t ae_kv_shared(const ae_kv *a, const ae_kv *b)
{
    int64_t same = ae_min64(a->table, b->table);
    if (a->n_layers != b->n_layers) return 0;
    for (int64_t l = 0; l < a->n_layers; l++) {
        int64_t p = 0;
        while (p < same && a->layers[l].pages[p] == b->layers[l].pages[p]) p++;
        same = p;
    }
    return ae_min64(same * AE_KV_PAGE, ae_min64(a->len, b->len));
}

static size_t bytes_of(int64_t n_layers, int64_t table, int64_t pages, size_t page_bytes)
{
    return sizeof(ae_kv) + (size_t)n_layers * sizeof(ae_kv_layer) +
           (size_t)(n_layers * table) * sizeof(void *) +
           (size_t)pages * (sizeof(page_header) + page_bytes);
}

size_t ae_kv_bytes(const ae_kv *kv)
{
    int64_t pages = 0;
    for (int64_t l = 0; l < kv->n_layers; l++)
        for (int64_t p = 0; p < kv->table; p++) pages += kv->layers[l].pages[p] != NULL;
    return bytes_of(kv->n_layers, kv->table, pages, kv->page_bytes);
}

/* The most pages that a layer holds at once while it grows. Of a window no more than at its start:
 * after 64 batches they lie in the pages as before. */
static int64_t most_pages(int64_t window, int64_t positions, int64_t batch)
{
    int64_t most = 0;
    if (window == 0) return pages_for(positions);
    for (int64_t len = 0; len < positions && (len - window - SLACK) / (AE_KV_PAGE + 1) < batch;
         len += batch) {
        int64_t end = positions - len < batch ? positions : len + batch;
        int64_t held = pages_for(end) - first_kept(window, len);
        if (held > most) most = held;
    }
    return most;
}

aerie_status ae_kv_predict(size_t *out, const ae_kv_options *o, int64_t positions, int64_t batch,
                           aerie_error *err)
{
    size_t page_bytes;
    aerie_status status = check_options(o, &page_bytes, err);
    if (status) return status;
    if (positions < 0 || batch < 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%lld positions in batches of %lld",
                          (long long)positions, (long long)batch);
    int64_t pages = 0, table = 4;
    while (table < pages_for(positions)) table *= 2;
    for (int64_t l = 0; l < o->n_layers; l++)
        pages += most_pages(o->windows ? o->windows[l] : 0, positions, batch);
    *out = bytes_of(o->n_layers, positions > 0 ? table : 0, pages, page_bytes);
    return AERIE_OK;
}

/* A page of the cache's own at p, with what was there if others hold that. */
static bool own_page(const ae_kv *kv, ae_kv_layer *layer, int64_t p)
{
    void *old = layer->pages[p];
    if (kv->only_page) {
        if (!old) layer->pages[p] = page_hold(kv->only_page);
        return true;
    }
    if (old && !page_is_shared(old)) return true;
    void *page = page_new(kv->page_bytes);
    if (!page) return false;
    if (old) memcpy(page, old, kv->page_bytes);
    page_drop(&layer->pages[p]);
    layer->pages[p] = page;
    return true;
}

static bool own_pages(ae_kv *kv, int64_t n)
{
    if (!grow_tables(kv, kv->len + n)) return false;
    for (int64_t l = 0; l < kv->n_layers; l++)
        for (int64_t p = kv->len / AE_KV_PAGE; p < pages_for(kv->len + n); p++)
            if (!own_page(kv, &kv->layers[l], p)) return false;
    return true;
}

aerie_status ae_kv_reserve(ae_kv *kv, int64_t n, aerie_error *err)
{
    if (n > kv->capacity - kv->len)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%lld more tokens do not fit: the context holds %lld of %lld",
                          (long long)n, (long long)kv->len, (long long)kv->capacity);
    if (own_pages(kv, n)) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY,
                      "no room for keys and values of %lld positions beside %zu bytes",
                      (long long)n, ae_kv_bytes(kv));
}

void ae_kv_commit(ae_kv *kv)
{
    kv->len += kv->pending;
    kv->pending = 0;
    for (int64_t l = 0; l < kv->n_layers; l++) {
        ae_kv_layer *layer = &kv->layers[l];
        int64_t kept = kv->only_page ? 0 : first_kept(layer->window, kv->len);
        for (; layer->first < kept; layer->first++) page_drop(&layer->pages[layer->first]);
    }
}
