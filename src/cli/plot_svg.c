/* plot_svg.c -- the same curves as a drawing. */
#include "cli/plot.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 880, HEIGHT = 480, LEFT = 72, TOP = 48, BOTTOM = 52, MOST_POINTS = 1600 };

const char *const plot_colours[PLOT_MOST] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                              "#e69f00", "#56b4e9", "#8c6d00", "#666666" };

typedef struct {
    ae_bytes *out;
    plot_axis x, y;
    int right; /* of the axes */
} drawing;

void plot_svg_text(ae_bytes *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '<')
            ae_bytes_add_text(out, "&lt;");
        else if (*c == '&')
            ae_bytes_add_text(out, "&amp;");
        else if ((unsigned char)*c >= ' ')
            ae_bytes_add_char(out, *c);
    }
}

static double at_x(const drawing *d, double x)
{
    return LEFT + (x - d->x.low) / (d->x.high - d->x.low) * (d->right - LEFT);
}

static double at_y(const drawing *d, double y)
{
    return HEIGHT - BOTTOM - (y - d->y.low) / (d->y.high - d->y.low) * (HEIGHT - BOTTOM - TOP);
}

static void put_axes(const drawing *d, const plot *p)
{
    char number[32];
    ae_bytes *out = d->out;

    for (double v = plot_first_mark(&d->y); v <= d->y.high + d->y.step * 1e-9; v += d->y.step)
        ae_bytes_printf(out,
                        "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>"
                        "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                        LEFT, at_y(d, v), d->right, at_y(d, v), LEFT - 8, at_y(d, v) + 4,
                        plot_number(number, v, &d->y));
    for (double v = plot_first_mark(&d->x); v <= d->x.high + d->x.step * 1e-9; v += d->x.step)
        ae_bytes_printf(out,
                        "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#888\"/>"
                        "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                        at_x(d, v), HEIGHT - BOTTOM, at_x(d, v), HEIGHT - BOTTOM + 5, at_x(d, v),
                        HEIGHT - BOTTOM + 20, plot_number(number, v, &d->x));
    ae_bytes_printf(out,
                    "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#888\"/>\n"
                    "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
                    LEFT, TOP, HEIGHT - BOTTOM, d->right, (LEFT + d->right) / 2, HEIGHT - 10);
    plot_svg_text(out, p->x_label);
    ae_bytes_add_text(out, "</text>\n");
}

static void put_point(const drawing *d, double x, double y)
{
    /* Raw values may lie outside the axes, which are the smoothed ones'. */
    double clipped = fmin(fmax(y, d->y.low), d->y.high);

    ae_bytes_printf(d->out, "%.1f,%.1f ", at_x(d, x), at_y(d, clipped));
}

/* Of more points than can be seen, the least and the most of each stretch. */
static void put_line(const drawing *d, const plot_series *s, const double *y, const char *colour,
                     const char *style)
{
    size_t per = s->n > MOST_POINTS ? 2 * s->n / MOST_POINTS : 1;

    ae_bytes_printf(d->out, "<polyline fill=\"none\" stroke=\"%s\" %s points=\"", colour, style);
    for (size_t from = 0; from < s->n; from += per) {
        size_t least = from, most = from;
        for (size_t i = from; i < from + per && i < s->n; i++) {
            if (y[i] < y[least]) least = i;
            if (y[i] > y[most]) most = i;
        }
        size_t first = least < most ? least : most, second = least < most ? most : least;
        put_point(d, s->x[first], y[first]);
        if (second != first) put_point(d, s->x[second], y[second]);
    }
    ae_bytes_add_text(d->out, "\"/>\n");
    if (s->n == 1)
        ae_bytes_printf(d->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                        at_x(d, s->x[0]), at_y(d, y[0]), colour);
}

static void put_legend(const drawing *d, const plot *p)
{
    for (int i = 0; p->n > 1 && i < p->n; i++) {
        int y = TOP + 12 + 22 * i;
        ae_bytes_printf(d->out,
                        "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"%s\" "
                        "stroke-width=\"3\"/><text x=\"%d\" y=\"%d\">",
                        d->right + 16, y, d->right + 36, y, plot_colours[i], d->right + 44, y + 4);
        plot_svg_text(d->out, p->series[i].label);
        ae_bytes_add_text(d->out, "</text>\n");
    }
}

void plot_svg(const plot *p, ae_bytes *out)
{
    size_t longest = 0;

    for (int i = 0; p->n > 1 && i < p->n; i++)
        if (strlen(p->series[i].label) > longest) longest = strlen(p->series[i].label);
    drawing d = { out, plot_axis_x(p), plot_axis_y(p), WIDTH - 24 };
    if (longest > 0) d.right = WIDTH - 60 - 7 * (int)(longest < 36 ? longest : 36);

    ae_bytes_printf(out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                    "viewBox=\"0 0 %d %d\" font-family=\"system-ui, sans-serif\" font-size=\"12\" "
                    "fill=\"#444\">\n<title>",
                    WIDTH, HEIGHT, WIDTH, HEIGHT);
    plot_svg_text(out, p->title);
    ae_bytes_printf(out,
                    "</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
                    "<text x=\"%d\" y=\"28\" font-size=\"16\" fill=\"#222\">",
                    WIDTH, HEIGHT, LEFT);
    plot_svg_text(out, p->title);
    ae_bytes_add_text(out, "</text>\n");
    put_axes(&d, p);
    for (int i = 0; i < p->n; i++) {
        const plot_series *s = &p->series[i];
        if (s->raw) put_line(&d, s, s->raw, plot_colours[i], "stroke-opacity=\"0.25\"");
        put_line(&d, s, s->y, plot_colours[i], "stroke-width=\"1.8\" stroke-linejoin=\"round\"");
    }
    put_legend(&d, p);
    ae_bytes_add_text(out, "</svg>\n");
}
