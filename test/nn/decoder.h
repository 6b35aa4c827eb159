/* decoder.h -- a small random decoder for tests: an embedding, layers, a norm and a head. */
#ifndef AE_TEST_DECODER_H
#define AE_TEST_DECODER_H

#include "grad/fixture.h"
#include "nn/nn.h"

enum {
    DECODER_D = 32,
    DECODER_H = 4,
    DECODER_K = 2,
    DECODER_HEAD = 8,
    DECODER_F = 64,
    DECODER_V = 50,
    DECODER_L = 2,
    DECODER_R = 3,
    DECODER_PROJECTIONS = 7,
    DECODER_MAX_PARAMS = 64
};

typedef struct {
    ae_decoder_layer layers[DECODER_L];
    ae_lora loras[DECODER_L][DECODER_PROJECTIONS];
    const ae_tensor *embedding, *norm, *head;
    ae_tensor *params[DECODER_MAX_PARAMS]; /* those with gradients */
    int n_params;
    double freq[DECODER_HEAD / 2];
    ae_attention_shape attention;
    bool recompute;
} decoder;

/* Every weight F32 with a gradient. */
void decoder_make_full(decoder *d, fixture *f, int64_t window);
/* Frozen Q8_0 weights with biases on q, k, v; LoRA with dropout over every projection. */
void decoder_make_lora(decoder *d, fixture *f, int64_t window);

/* Hidden states after the last norm, [T, D]. Reserves and commits nothing. */
ae_tensor *decoder_hidden(ae_ctx *cx, const decoder *d, const ae_batch *batch);

/* What a training step looks at: log-probabilities of some tokens. */
typedef struct {
    const decoder *decoder;
    ae_batch batch;
    ae_predictions predictions;
    uint64_t dropout_key;
    const uint64_t *dropout_rows;
} decoder_task;
/* A fixture_fn: params is a decoder_task. [N, 1]. */
ae_tensor *decoder_log_prob(ae_ctx *cx, const void *params);

/* All gradients, one after another, into a block of ae_alloc(); *count numbers. */
float *decoder_gradients(const decoder *d, int64_t *count);
void decoder_zero_grad(const decoder *d);

#endif
