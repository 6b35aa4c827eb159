/* runs.h -- what the parts of `aerie runs` share. */
#ifndef AE_CLI_RUNS_H
#define AE_CLI_RUNS_H

#include "aerie/runs.h"
#include "cli/cli.h"
#include "cli/plot.h"

#include <jansson.h>

typedef struct {
    const char *file; /* -o */
    cli_list metrics;
    int64_t limit, smooth, columns, rows;
} cli_runs_options;

/* Everything about the run that a word means, as `show --json` prints it; NULL after a failure. */
json_t *cli_runs_load(aerie_runs *runs, const char *word, aerie_error *err);
/* One metric's values. A failure leaves an empty series. */
aerie_status cli_runs_series(aerie_runs *runs, int64_t id, const char *metric, plot_series *out,
                             aerie_error *err);

/* Each prints its answer. */
aerie_status cli_runs_show(aerie_runs *runs, const char *word, const cli_common *common,
                           aerie_error *err);
aerie_status cli_runs_diff(aerie_runs *runs, const char *a, const char *b, const cli_common *common,
                           aerie_error *err);
aerie_status cli_runs_plot(aerie_runs *runs, const char *const *words, int n,
                           const cli_runs_options *o, const cli_common *common, aerie_error *err);

#endif
