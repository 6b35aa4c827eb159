/* kv.h -- the inside of a key/value cache, for the batch and the layer. Private to nn. */
#ifndef AE_NN_KV_H
#define AE_NN_KV_H

#include "nn/nn.h"

/* One layer's pages, by position. */
typedef struct {
    void **pages;  /* [ae_kv.table]; NULL: not there */
    int64_t first; /* pages before this one fell out of the window */
    int64_t window;
} ae_kv_layer;

struct ae_kv {
    ae_kv_shape shape;
    int64_t n_layers, capacity;
    size_t page_bytes;
    void *only_page; /* all there is in a rehearsal; else NULL */
    int64_t table;   /* pages that a layer's table has room for */
    int64_t len;     /* positions held */
    int64_t pending; /* reserved by the batch under way, not counted in yet */
    ae_kv_layer *layers;
};

/* Makes room for n more positions in every layer; a page that other caches hold too is copied
 * before it is written. Nothing held is lost when that fails. */
aerie_status ae_kv_reserve(ae_kv *kv, int64_t n, aerie_error *err);
/* Counts the pending positions in, and lets go of what no later position sees. */
void ae_kv_commit(ae_kv *kv);

#endif
