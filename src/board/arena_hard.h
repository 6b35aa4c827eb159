/* arena_hard.h -- Arena-Hard's verdicts, as read. Private. */
#ifndef AE_BOARD_ARENA_HARD_H
#define AE_BOARD_ARENA_HARD_H

#include "board/rows.h"
#include "stats/stats.h"

/* What a question's two games came to: votes, and how many of them are the model's. */
typedef struct {
    double votes, won;
    size_t uid; /* its number among all */
} ae_arena_hard_question;

typedef struct {
    char *name, *judge, *baseline;
    ae_arena_hard_question *questions;
    size_t n, cap;
    int64_t n_dropped; /* a game without a verdict */
} ae_arena_hard_model;

typedef struct {
    ae_board_names names, uids;
    ae_arena_hard_model *models;
    size_t cap;
} ae_arena_hard;

/* Adds to the board's models what they would score in the baseline's style, from files->texts, the
 * answers. */
aerie_status ae_arena_hard_style(json_t *board, const ae_arena_hard *b, const ae_board_files *files,
                                 aerie_error *err);

#endif
