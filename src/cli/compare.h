/* compare.h -- private to the command: the report for people. */
#ifndef AE_CLI_COMPARE_H
#define AE_CLI_COMPARE_H

#include "base/base.h"

#include <jansson.h>

/* The report as text, on stdout. */
void compare_print(const json_t *report);
/* ... and as one HTML file that needs nothing else. */
void compare_html(const json_t *report, ae_bytes *out);

/* Appends every pair's tests, a table each, for HTML. */
void compare_pairs(ae_bytes *out, const json_t *report);
/* Appends `text` for HTML, with what `other` has not marked, word by word. */
void compare_diff(ae_bytes *out, const char *text, const char *other);
/* "&" and its like as HTML has them. */
void compare_escape(ae_bytes *out, const char *text, size_t len);

/* Figures, as inline SVG. */
typedef struct {
    const char *label;
    double value, low, high;
} compare_bar;
/* Dots with their intervals over an axis from `low` to `high`; `middle` is marked (NaN: nothing
 * is). */
void compare_figure_intervals(ae_bytes *out, const char *title, const compare_bar *bars, size_t n,
                              double low, double high, double middle);
/* The share of values at or below x, a curve a model; values need not be sorted. */
void compare_figure_shares(ae_bytes *out, const char *title, const char *unit,
                           const char *const *labels, double *const *values, const size_t *n,
                           size_t n_series);

#endif
