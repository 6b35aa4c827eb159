/* row.h -- private: a packed row of tokens under construction, with what it is to predict. */
#ifndef AE_TRAIN_ROW_H
#define AE_TRAIN_ROW_H

#include "nn/nn.h"

typedef struct {
    int64_t n_tokens, n_segments, n_predictions;
    int64_t max_tokens, max_segments, max_predictions;
    int32_t *ids, *pos;     /* [n_tokens] */
    uint64_t *dropout_rows; /* [n_tokens] */
    ae_segment *segments;
    int32_t *rows, *targets; /* [n_predictions] */
    float *weights;          /* [n_predictions] */
    bool looks;              /* it is for numbers alone that others will be made of */
} ae_row;

/* Takes room for that many from the arena. */
aerie_status ae_row_new(ae_row *row, ae_arena *arena, int64_t max_tokens, int64_t max_segments,
                        int64_t max_predictions, aerie_error *err);

/* Appends a run of tokens that goes on from the end of segment `parent` (-1: a new sequence) and
 * returns its index. `key` tells its tokens' dropout from others', whatever the packing. */
int64_t ae_row_segment(ae_row *row, int64_t parent, const int32_t *ids, int64_t n, uint64_t key);

/* Row `at` of the batch predicts `target`. */
void ae_row_predict(ae_row *row, int64_t at, int32_t target, float weight);

/* Appends predictions of answer[0 .. n-1]: the first from row `before`, the others from the rows
 * of the answer itself, which begins at row `first`. */
void ae_row_predict_answer(ae_row *row, int64_t before, int64_t first, const int32_t *answer,
                           int64_t n, const float *weights);

#endif
