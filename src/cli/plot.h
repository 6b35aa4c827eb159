/* plot.h -- curves, for a terminal and as SVG. */
#ifndef AE_CLI_PLOT_H
#define AE_CLI_PLOT_H

#include "base/base.h"

enum { PLOT_MOST = 8 }; /* series: as many colours as can be told apart */

typedef struct {
    char label[80];
    double *x, *y; /* [n], x rising; owned, see plot_free() */
    double *raw;   /* [n], y before it was smoothed; NULL: it was not */
    size_t n, cap;
    bool failed; /* there was no memory for a point */
} plot_series;

typedef struct {
    const char *title, *x_label;
    plot_series series[PLOT_MOST];
    int n;
} plot;

void plot_add(plot_series *s, double x, double y);
/* Each value becomes the mean of the `window` values up to it. False: no memory. */
bool plot_smooth(plot_series *s, int64_t window);
void plot_free(plot *p);

/* What the axes span, and where their marks are: at 1, 2 or 5 times a power of ten. */
typedef struct {
    double low, high, step;
} plot_axis;
plot_axis plot_axis_x(const plot *p);
plot_axis plot_axis_y(const plot *p);
double plot_first_mark(const plot_axis *a);
/* "0.25", as long as the axis' step needs. */
const char *plot_number(char out[32], double value, const plot_axis *a);

/* Okabe and Ito's colours, which are told apart without red and green, and a grey. */
extern const char *const plot_colours[PLOT_MOST];
/* Text as SVG has it: escaped, without control characters. */
void plot_svg_text(ae_bytes *out, const char *text);

/* Dots of Braille; with several series and no colours, letters. At least 20 columns and 4 rows. */
void plot_terminal(const plot *p, int columns, int rows, bool colours, ae_bytes *out);
/* A file that stands by itself: no fonts, scripts or styles from elsewhere. */
void plot_svg(const plot *p, ae_bytes *out);
/* A curve in one line of `width` blocks. */
void plot_sparkline(const plot_series *s, int width, ae_bytes *out);

#endif
