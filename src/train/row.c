/* row.c -- lays sequences and branches into one packed, padding-free row. */
#include "train/row.h"

#include <string.h>

aerie_status ae_row_new(ae_row *row, ae_arena *arena, int64_t max_tokens, int64_t max_segments,
                        int64_t max_predictions, aerie_error *err)
{
    size_t t = (size_t)max_tokens, s = (size_t)max_segments, p = (size_t)max_predictions;

    *row = (ae_row){ .max_tokens = max_tokens,
                     .max_segments = max_segments,
                     .max_predictions = max_predictions };
    row->ids = ae_arena_take_raw(arena, t, sizeof *row->ids);
    row->pos = ae_arena_take_raw(arena, t, sizeof *row->pos);
    row->dropout_rows = ae_arena_take_raw(arena, t, sizeof *row->dropout_rows);
    row->segments = ae_arena_take_raw(arena, s, sizeof *row->segments);
    row->rows = ae_arena_take_raw(arena, p, sizeof *row->rows);
    row->targets = ae_arena_take_raw(arena, p, sizeof *row->targets);
    row->weights = ae_arena_take_raw(arena, p, sizeof *row->weights);
    if (row->ids && row->pos && row->dropout_rows && row->segments && row->rows && row->targets &&
        row->weights)
        return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY,
                      "no memory for a row of %lld tokens; lower "
                      "'micro_batch_tokens' or 'max_length'",
                      (long long)max_tokens);
}

int64_t ae_row_segment(ae_row *row, int64_t parent, const int32_t *ids, int64_t n, uint64_t key)
{
    int64_t first = row->n_tokens;
    int32_t pos = 0;

    if (parent >= 0) {
        const ae_segment *p = &row->segments[parent];
        pos = row->pos[p->first + p->n - 1] + 1;
    }
    memcpy(row->ids + first, ids, (size_t)n * sizeof *ids);
    for (int64_t i = 0; i < n; i++, pos++) {
        row->pos[first + i] = pos;
        row->dropout_rows[first + i] = key + (uint64_t)i;
    }
    row->segments[row->n_segments] = (ae_segment){ first, n, parent, -1 };
    row->n_tokens += n;
    return row->n_segments++;
}

void ae_row_predict(ae_row *row, int64_t at, int32_t target, float weight)
{
    int64_t i = row->n_predictions++;

    row->rows[i] = (int32_t)at;
    row->targets[i] = target;
    row->weights[i] = weight;
}

void ae_row_predict_answer(ae_row *row, int64_t before, int64_t first, const int32_t *answer,
                           int64_t n, const float *weights)
{
    for (int64_t i = 0; i < n; i++)
        ae_row_predict(row, i == 0 ? before : first + i - 1, answer[i], weights[i]);
}
