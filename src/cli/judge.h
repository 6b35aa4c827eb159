/* judge.h -- the parts of `aerie judge`, a file each. */
#ifndef AE_CLI_JUDGE_H
#define AE_CLI_JUDGE_H

#include "base/base.h"

/* judge_boards.c: argv[0] is the benchmark's name. False: there is no such benchmark. */
bool cli_judge_board(int argc, char **argv, int *code);

/* Prints a benchmark's board, and lets go of it; svg, MT-Bench's alone, may be NULL. The exit code.
 */
int cli_judge_tell(const char *word, char *json, const char *svg, bool as_json);

/* judge_ask.c: a benchmark with -o, which asks models. Likewise. */
bool cli_judge_ask(int argc, char **argv, int *code);

/* plot_radar.c: one line a series around the axes; values from 0 to `most`, NaN: none. */
typedef struct {
    const char *label;
    const double *values; /* [n_axes] */
} radar_series;
void plot_radar(ae_bytes *out, const char *title, const char *const *axes, size_t n_axes,
                double most, const radar_series *series, size_t n_series);

#endif
