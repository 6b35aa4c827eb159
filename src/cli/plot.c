/* plot.c -- series, axes, and curves in a terminal. */
#include "cli/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- series ---- */

void plot_add(plot_series *s, double x, double y)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        double *more_x = ae_realloc(s->x, s->cap, cap, sizeof *more_x);
        if (more_x) s->x = more_x;
        double *more_y = more_x ? ae_realloc(s->y, s->cap, cap, sizeof *more_y) : NULL;
        if (more_y) s->y = more_y;
        if (!more_y) {
            s->failed = true;
            return;
        }
        s->cap = cap;
    }
    s->x[s->n] = x;
    s->y[s->n++] = y;
}

bool plot_smooth(plot_series *s, int64_t window)
{
    double sum = 0;

    if (window < 2 || s->n == 0) return true;
    s->raw = ae_alloc(s->n, sizeof *s->raw);
    if (!s->raw) return false;
    memcpy(s->raw, s->y, s->n * sizeof *s->raw);
    for (size_t i = 0; i < s->n; i++) {
        size_t n = i + 1 < (size_t)window ? i + 1 : (size_t)window;
        sum += s->raw[i];
        if (i >= (size_t)window) sum -= s->raw[i - (size_t)window];
        s->y[i] = sum / (double)n;
    }
    return true;
}

void plot_free(plot *p)
{
    for (int i = 0; i < p->n; i++) {
        ae_free(p->series[i].x);
        ae_free(p->series[i].y);
        ae_free(p->series[i].raw);
    }
    *p = (plot){ 0 };
}

/* ---- axes ---- */

static plot_axis axis_of(double low, double high, int marks)
{
    double range, size, power;

    if (!(low <= high)) low = high = 0;
    if (low == high) {
        double room = low != 0 ? fabs(low) * 0.1 : 1;
        low -= room;
        high += room;
    }
    range = high - low;
    power = pow(10, floor(log10(range / marks)));
    size = range / marks / power;
    return (plot_axis){ low, high, power * (size <= 1 ? 1 : size <= 2 ? 2 : size <= 5 ? 5 : 10) };
}

plot_axis plot_axis_x(const plot *p)
{
    double low = INFINITY, high = -INFINITY;

    for (int i = 0; i < p->n; i++)
        if (p->series[i].n > 0) {
            low = fmin(low, p->series[i].x[0]);
            high = fmax(high, p->series[i].x[p->series[i].n - 1]);
        }
    plot_axis a = axis_of(low, high, 6);
    if (a.step < 1) a.step = 1; /* there is no half a step */
    return a;
}

plot_axis plot_axis_y(const plot *p)
{
    double low = INFINITY, high = -INFINITY;

    for (int i = 0; i < p->n; i++)
        for (size_t k = 0; k < p->series[i].n; k++) {
            low = fmin(low, p->series[i].y[k]);
            high = fmax(high, p->series[i].y[k]);
        }
    return axis_of(low, high, 5);
}

double plot_first_mark(const plot_axis *a)
{
    return ceil(a->low / a->step - 1e-9) * a->step;
}

const char *plot_number(char out[32], double value, const plot_axis *a)
{
    int digits = a->step < 1 ? (int)ceil(-log10(a->step) - 1e-9) : 0;

    if (fabs(value) < a->step * 1e-6) value = 0; /* no -0.0 */
    if (digits > 6 || fabs(value) >= 1e7)
        snprintf(out, 32, "%.3g", value);
    else
        snprintf(out, 32, "%.*f", digits, value);
    return out;
}

/* ---- in a terminal ---- */

typedef struct {
    int columns, rows;
    uint8_t *dots;  /* [rows * columns], Braille's eight */
    uint8_t *owner; /* the series that was there last, from 1 */
} canvas;

static void set_dot(canvas *c, int x, int y, int owner)
{
    /* Unicode numbers the dots of U+2800 down the left column, then the right, row 4 last. */
    static const uint8_t bits[4][2] = { { 1, 8 }, { 2, 16 }, { 4, 32 }, { 64, 128 } };
    int cell = y / 4 * c->columns + x / 2;

    c->dots[cell] |= bits[y % 4][x % 2];
    c->owner[cell] = (uint8_t)owner;
}

static void draw_line(canvas *c, int x0, int y0, int x1, int y1, int owner)
{
    int steps = abs(x1 - x0) > abs(y1 - y0) ? abs(x1 - x0) : abs(y1 - y0);

    for (int i = 0; i <= steps; i++) {
        double part = steps ? (double)i / steps : 0;
        set_dot(c, (int)lround(x0 + part * (x1 - x0)), (int)lround(y0 + part * (y1 - y0)), owner);
    }
}

static int place(double value, const plot_axis *a, int size)
{
    int at = (int)lround((value - a->low) / (a->high - a->low) * (size - 1));

    return at < 0 ? 0 : at >= size ? size - 1 : at;
}

static void draw_series(canvas *c, const plot_series *s, const plot_axis *x, const plot_axis *y,
                        int owner)
{
    int before_x = 0, before_y = 0;

    for (size_t i = 0; i < s->n; i++) {
        int at_x = place(s->x[i], x, 2 * c->columns);
        int at_y = 4 * c->rows - 1 - place(s->y[i], y, 4 * c->rows);
        draw_line(c, i ? before_x : at_x, i ? before_y : at_y, at_x, at_y, owner);
        before_x = at_x;
        before_y = at_y;
    }
}

static const char *const colours_of[PLOT_MOST] = { "34", "31", "32", "35", "33", "36", "94", "91" };

static void put_cell(const canvas *c, int cell, bool letters, bool colours, ae_bytes *out)
{
    unsigned code = 0x2800u + c->dots[cell];
    int owner = c->owner[cell];
    char utf8[4] = { (char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 63)),
                     (char)(0x80 | (code & 63)), '\0' };

    if (!owner)
        ae_bytes_add_char(out, ' ');
    else if (letters)
        ae_bytes_add_char(out, (char)('a' + owner - 1));
    else if (colours)
        ae_bytes_printf(out, "\033[%sm%s\033[0m", colours_of[owner - 1], utf8);
    else
        ae_bytes_add_text(out, utf8);
}

static void put_legend(const plot *p, bool letters, bool colours, ae_bytes *out)
{
    ae_bytes_printf(out, "%s\n", p->title);
    for (int i = 0; p->n > 1 && i < p->n; i++) {
        if (letters)
            ae_bytes_printf(out, "  %c  %s\n", 'a' + i, p->series[i].label);
        else if (colours)
            ae_bytes_printf(out, "  \033[%sm\xe2\xa0\xbf\033[0m  %s\n", colours_of[i],
                            p->series[i].label);
    }
}

enum { LEFT = 11 }; /* columns of the marks beside the canvas */

static void put_rows(const canvas *c, const plot_axis *y, bool letters, bool colours, ae_bytes *out)
{
    char number[32];

    for (int row = 0; row < c->rows; row++) {
        const char *mark = "";
        for (double v = plot_first_mark(y); v <= y->high + y->step * 1e-9; v += y->step)
            if (c->rows - 1 - place(v, y, c->rows) == row) mark = plot_number(number, v, y);
        ae_bytes_printf(out, "%*.*s %s", LEFT - 2, LEFT - 2, mark,
                        *mark ? "\xe2\x94\xa4" : "\xe2\x94\x82");
        for (int k = 0; k < c->columns; k++)
            put_cell(c, row * c->columns + k, letters, colours, out);
        while (out->len > 0 && out->data[out->len - 1] == ' ') out->data[--out->len] = '\0';
        ae_bytes_add_char(out, '\n');
    }
}

static void put_x_axis(const canvas *c, const plot *p, const plot_axis *x, ae_bytes *out)
{
    char number[32];
    int at = 0;

    ae_bytes_printf(out, "%*s\xe2\x94\x94", LEFT - 1, "");
    for (int k = 0; k < c->columns; k++) ae_bytes_add_text(out, "\xe2\x94\x80");
    ae_bytes_printf(out, "\n%*s ", LEFT - 1, p->x_label);
    for (double v = plot_first_mark(x); v <= x->high + x->step * 1e-9; v += x->step) {
        int wanted = place(v, x, c->columns), len = (int)strlen(plot_number(number, v, x));
        if (wanted < at || wanted + len > c->columns) continue;
        ae_bytes_printf(out, "%*s%s", wanted - at, "", number);
        ae_bytes_add_char(out, ' ');
        at = wanted + len + 1;
    }
    ae_bytes_add_char(out, '\n');
}

void plot_terminal(const plot *p, int columns, int rows, bool colours, ae_bytes *out)
{
    plot_axis x = plot_axis_x(p), y = plot_axis_y(p);
    canvas c = { .columns = columns > 20 ? columns - LEFT : 20 - LEFT,
                 .rows = rows > 4 ? rows : 4 };
    bool letters = p->n > 1 && !colours;

    c.dots = ae_alloc((size_t)(c.columns * c.rows), 2);
    if (!c.dots) {
        out->failed = true;
        return;
    }
    c.owner = c.dots + c.columns * c.rows;
    for (int i = 0; i < p->n; i++) draw_series(&c, &p->series[i], &x, &y, i + 1);
    put_legend(p, letters, colours, out);
    put_rows(&c, &y, letters, colours, out);
    put_x_axis(&c, p, &x, out);
    ae_free(c.dots);
}

void plot_sparkline(const plot_series *s, int width, ae_bytes *out)
{
    double low = INFINITY, high = -INFINITY;

    if ((size_t)width > s->n) width = (int)s->n;
    for (size_t i = 0; i < s->n; i++) {
        low = fmin(low, s->y[i]);
        high = fmax(high, s->y[i]);
    }
    for (int k = 0; k < width; k++) {
        size_t from = s->n * (size_t)k / (size_t)width, to = s->n * (size_t)(k + 1) / (size_t)width;
        double sum = 0;
        for (size_t i = from; i < to; i++) sum += s->y[i];
        double part = high > low ? (sum / (double)(to - from) - low) / (high - low) : 0;
        ae_bytes_printf(out, "\xe2\x96%c", (char)(0x81 + (int)fmin(7, floor(part * 8))));
    }
}
