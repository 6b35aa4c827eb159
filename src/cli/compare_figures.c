/* compare_figures.c -- the report's plots, as SVG that stands in the page. */
#include "cli/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 720, LEFT = 190, RIGHT = 70, ROW = 30, HIGH_ROW = 46, LONGEST_LABEL = 26, TOP = 34 };

static const char *const colours[] = { "#2563eb", "#c2410c", "#15803d", "#7e22ce",
                                       "#0e7490", "#a16207", "#be123c", "#475569" };

static double across(double x, double low, double high)
{
    double share = high > low ? (x - low) / (high - low) : 0.5;

    return LEFT + fmin(1, fmax(0, share)) * (WIDTH - LEFT - RIGHT);
}

static void begin(ae_bytes *out, const char *title, int height)
{
    ae_bytes_printf(out,
                    "<svg viewBox=\"0 0 %d %d\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">"
                    "<text x=\"0\" y=\"16\" class=\"title\">",
                    WIDTH, height);
    compare_escape(out, title, strlen(title));
    ae_bytes_add_text(out, "</text>\n");
}

static void line(ae_bytes *out, double x1, double y1, double x2, double y2, const char *class)
{
    ae_bytes_printf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n",
                    x1, y1, x2, y2, class);
}

static void words(ae_bytes *out, double x, double y, const char *anchor, const char *text)
{
    ae_bytes_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    compare_escape(out, text, strlen(text));
    ae_bytes_add_text(out, "</text>\n");
}

static void axis(ae_bytes *out, double low, double high, double top, double bottom, double times,
                 const char *unit)
{
    char text[48];

    for (int i = 0; i <= 4; i++) {
        double x = low + (high - low) * i / 4;
        line(out, across(x, low, high), top, across(x, low, high), bottom, "grid");
        snprintf(text, sizeof text, "%.3g%s", x * times, unit);
        words(out, across(x, low, high), bottom + 16, "middle", text);
    }
}

/* Whether a label would not fit beside its bar: then they stand above. */
static bool has_long(const compare_bar *bars, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(bars[i].label) > LONGEST_LABEL) return true;
    return false;
}

void compare_figure_intervals(ae_bytes *out, const char *title, const compare_bar *bars, size_t n,
                              double low, double high, double middle)
{
    bool above = has_long(bars, n);
    int row = above ? HIGH_ROW : ROW, bottom = TOP + row * (int)n;
    char text[48];

    begin(out, title, bottom + 24);
    axis(out, low, high, TOP - 6, bottom, 100, " %");
    if (!isnan(middle))
        line(out, across(middle, low, high), TOP - 6, across(middle, low, high), bottom, "middle");
    for (size_t i = 0; i < n; i++) {
        double y = TOP + row * ((double)i + (above ? 0.7 : 0.5));
        words(out, above ? 0 : LEFT - 12, above ? y - 16 : y + 4, above ? "start" : "end",
              bars[i].label);
        if (isnan(bars[i].value)) continue;
        ae_bytes_printf(out,
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                        "stroke-width=\"6\" stroke-opacity=\".35\" stroke-linecap=\"round\"/>"
                        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>\n",
                        across(bars[i].low, low, high), y, across(bars[i].high, low, high), y,
                        colours[i % AE_COUNT(colours)], across(bars[i].value, low, high), y,
                        colours[i % AE_COUNT(colours)]);
        snprintf(text, sizeof text, "%.1f %%", 100 * bars[i].value);
        words(out, WIDTH - RIGHT + 10, y + 4, "start", text);
    }
    ae_bytes_add_text(out, "</svg>\n");
}

static int upwards(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

static void curve(ae_bytes *out, double *x, size_t n, double most, double top, double height,
                  const char *colour)
{
    qsort(x, n, sizeof *x, upwards);
    ae_bytes_printf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" d=\"M%.1f %.1f",
                    colour, across(0, 0, most), top + height);
    for (size_t i = 0; i < n; i++) {
        double below = top + height * (1 - (double)i / (double)n);
        double above = top + height * (1 - (double)(i + 1) / (double)n);
        ae_bytes_printf(out, "L%.1f %.1fL%.1f %.1f", across(x[i], 0, most), below,
                        across(x[i], 0, most), above);
    }
    ae_bytes_printf(out, "L%.1f %.1f\"/>\n", across(most, 0, most), top);
}

void compare_figure_shares(ae_bytes *out, const char *title, const char *unit,
                           const char *const *labels, double *const *values, const size_t *n,
                           size_t n_series)
{
    enum { HEIGHT = 150 };
    double most = 0;

    for (size_t s = 0; s < n_series; s++)
        for (size_t i = 0; i < n[s]; i++) most = fmax(most, values[s][i]);
    if (!(most > 0)) return;
    begin(out, title, TOP + HEIGHT + 24);
    axis(out, 0, most, TOP, TOP + HEIGHT, 1, unit);
    for (size_t s = 0; s < n_series; s++) {
        const char *colour = colours[s % AE_COUNT(colours)];
        double y = TOP + 14 + 20 * (double)s;
        if (n[s]) curve(out, values[s], n[s], most, TOP, HEIGHT, colour);
        ae_bytes_printf(out, "<circle cx=\"8\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>", y, colour);
        words(out, 20, y + 4, "start", labels[s]);
    }
    ae_bytes_add_text(out, "</svg>\n");
}
