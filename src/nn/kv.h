/* kv.h -- the inside of a key/value cache, for the batch and the layer. Private to nn. */
#ifndef AE_NN_KV_H
#define AE_NN_KV_H

#include "nn/nn.h"

/* One layer's own positions: rows of K * d keys followed by K * d values. */
typedef struct {
    float *rows;
    int64_t held; /* rows that fit */
} ae_kv_layer;

struct ae_kv {
    int64_t n_layers, kv_width, capacity; /* capacity: own positions */
    int64_t len;                          /* own positions held */
    int64_t pending;                      /* reserved by the batch under way, not counted in yet */
    const ae_kv *prefix;
    int64_t prefix_len;
    ae_kv_layer *layers;
};

/* Makes room for n more positions in every layer. Nothing held is lost when that fails. */
aerie_status ae_kv_reserve(ae_kv *kv, int64_t n, aerie_error *err);

/* Copies the pending positions' keys and values, [pending, K * d] each, into a layer. */
void ae_kv_write(ae_kv *kv, int64_t layer, const float *k, const float *v);

/* Spans that hold the first positions of a cache, pending ones included, prefixes first. */
int64_t ae_kv_span_count(const ae_kv *kv);
void ae_kv_spans(const ae_kv *kv, int64_t layer, ae_attention_span *spans);

#endif
