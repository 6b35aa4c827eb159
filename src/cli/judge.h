/* judge.h -- the parts of `aerie judge`, a file each. */
#ifndef AE_CLI_JUDGE_H
#define AE_CLI_JUDGE_H

#include "base/base.h"

/* judge_boards.c: argv[0] is the benchmark's name. False: there is no such benchmark. */
bool cli_judge_board(int argc, char **argv, int *code);

/* Prints MT-Bench's board, and lets go of it; svg may be NULL. The exit code. */
int cli_judge_mtbench_tell(char *json, const char *svg, bool as_json);

/* judge_mtbench.c: `aerie judge mtbench` with -o, which asks models. */
int cli_judge_panel(int argc, char **argv);

/* plot_radar.c: one line a series around the axes; values from 0 to `most`, NaN: none. */
typedef struct {
    const char *label;
    const double *values; /* [n_axes] */
} radar_series;
void plot_radar(ae_bytes *out, const char *title, const char *const *axes, size_t n_axes,
                double most, const radar_series *series, size_t n_series);

#endif
