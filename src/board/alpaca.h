/* alpaca.h -- AlpacaEval's verdicts, as read. Private. */
#ifndef AE_BOARD_ALPACA_H
#define AE_BOARD_ALPACA_H

#include "board/rows.h"
#include "stats/stats.h"

typedef struct {
    char *name, *annotator, *baseline;
    ae_board_list y; /* 0 .. 1: how far the model is preferred */
    /* Of the rows whose lengths are known: y, NaN without a preference; characters; the
     * instruction's number among all, and its place in the benchmark. */
    ae_board_list sure, base_length, length, instruction, place;
    int64_t n_rows, n_wins, n_wins_base, n_draws;
    int64_t n_none; /* no preference in the judge's words */
} ae_alpaca_model;

typedef struct {
    ae_board_names names, instructions;
    ae_alpaca_model *models;
    size_t cap;
    json_t *lengths; /* "who\x1fid or instruction": characters */
} ae_alpaca;

/* Adds to each of `models` (an object, in a->models' order) what it would win at equal length.
 * `difficulty` may be NULL. */
aerie_status ae_alpaca_tell_lengths(json_t *models, const ae_alpaca *a, const char *difficulty,
                                    aerie_error *err);

#endif
