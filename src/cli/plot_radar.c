/* plot_radar.c -- marks of several kinds as a figure around a point, as MT-Bench is shown. */
#include "cli/judge.h"
#include "cli/plot.h"

#include <math.h>

enum { WIDTH = 760, HEIGHT = 560, MIDDLE_X = 300, MIDDLE_Y = 300, RADIUS = 200, RINGS = 5 };

/* The first axis points upwards, the others follow clockwise. */
static double turn_of(size_t axis, size_t n_axes)
{
    return 2 * acos(-1) * (double)axis / (double)n_axes;
}

static double at_x(size_t axis, size_t n_axes, double share)
{
    return MIDDLE_X + RADIUS * share * sin(turn_of(axis, n_axes));
}

static double at_y(size_t axis, size_t n_axes, double share)
{
    return MIDDLE_Y - RADIUS * share * cos(turn_of(axis, n_axes));
}

static void put_ring(ae_bytes *out, size_t n_axes, double share, double value)
{
    ae_bytes_add_text(out, "<polygon fill=\"none\" stroke=\"#e4e4e4\" points=\"");
    for (size_t i = 0; i < n_axes; i++)
        ae_bytes_printf(out, "%.1f,%.1f ", at_x(i, n_axes, share), at_y(i, n_axes, share));
    ae_bytes_printf(out, "\"/>\n<text x=\"%d\" y=\"%.1f\" fill=\"#888\">%g</text>\n", MIDDLE_X + 4,
                    MIDDLE_Y - RADIUS * share - 3, value);
}

static void put_axis(ae_bytes *out, const char *name, size_t axis, size_t n_axes)
{
    double x = at_x(axis, n_axes, 1.1), y = at_y(axis, n_axes, 1.1);
    const char *anchor = fabs(x - MIDDLE_X) < 2 ? "middle" : x > MIDDLE_X ? "start" : "end";

    ae_bytes_printf(out,
                    "<line x1=\"%d\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"#222\">",
                    MIDDLE_X, MIDDLE_Y, at_x(axis, n_axes, 1), at_y(axis, n_axes, 1), x, y + 4,
                    anchor);
    plot_svg_text(out, name);
    ae_bytes_add_text(out, "</text>\n");
}

static void put_series(ae_bytes *out, const radar_series *s, size_t n_axes, double most,
                       const char *colour)
{
    ae_bytes_printf(out,
                    "<polygon fill=\"%s\" fill-opacity=\"0.08\" stroke=\"%s\" "
                    "stroke-width=\"2\" points=\"",
                    colour, colour);
    for (size_t i = 0; i < n_axes; i++) {
        double share = isnan(s->values[i]) ? 0 : s->values[i] / most;
        ae_bytes_printf(out, "%.1f,%.1f ", at_x(i, n_axes, share), at_y(i, n_axes, share));
    }
    ae_bytes_add_text(out, "\"/>\n");
}

void plot_radar(ae_bytes *out, const char *title, const char *const *axes, size_t n_axes,
                double most, const radar_series *series, size_t n_series)
{
    ae_bytes_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                    "viewBox=\"0 0 %d %d\" font-family=\"system-ui, sans-serif\" font-size=\"12\" "
                    "fill=\"#444\">\n<title>",
                    WIDTH, HEIGHT, WIDTH, HEIGHT);
    plot_svg_text(out, title);
    ae_bytes_printf(out,
                    "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
                    "<text x=\"24\" y=\"32\" font-size=\"16\" fill=\"#222\">",
                    WIDTH, HEIGHT);
    plot_svg_text(out, title);
    ae_bytes_add_text(out, "</text>\n");
    for (int ring = 1; ring <= RINGS; ring++)
        put_ring(out, n_axes, (double)ring / RINGS, most * ring / RINGS);
    for (size_t i = 0; i < n_axes; i++) put_axis(out, axes[i], i, n_axes);
    for (size_t i = 0; i < n_series; i++) {
        const char *colour = plot_colours[i % PLOT_MOST];
        int y = 60 + 22 * (int)i;
        put_series(out, &series[i], n_axes, most, colour);
        ae_bytes_printf(out,
                        "<line x1=\"560\" y1=\"%d\" x2=\"580\" y2=\"%d\" stroke=\"%s\" "
                        "stroke-width=\"3\"/><text x=\"588\" y=\"%d\">",
                        y, y, colour, y + 4);
        plot_svg_text(out, series[i].label);
        ae_bytes_add_text(out, "</text>\n");
    }
    ae_bytes_add_text(out, "</svg>\n");
}
