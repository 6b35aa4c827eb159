/* compare_pairs.c -- the report's tests of every two models, a table each: what was measured, how
 * far apart they are, and what the judge did. */
#include "cli/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double number(const json_t *of, const char *key)
{
    const json_t *x = json_object_get(of, key);

    return json_is_number(x) ? json_number_value(x) : NAN;
}

static const char *text_of(const json_t *of, const char *key)
{
    const char *text = json_string_value(json_object_get(of, key));

    return text ? text : "";
}

static void put(ae_bytes *out, const char *text)
{
    compare_escape(out, text, strlen(text));
}

static void put_cell(ae_bytes *out, const char *format, double x)
{
    char text[64];

    snprintf(text, sizeof text, format, x);
    ae_bytes_printf(out, "<td>%s</td>", isnan(x) ? "–" : text);
}

/* Shares are told in points of a hundred; marks of a reward model as they are. */
static void write_measure(ae_bytes *out, const json_t *of, const char *name)
{
    const json_t *interval = json_object_get(of, "interval");
    double scale = strcmp(name, "reward") != 0 ? 100 : 1;

    if (!json_is_object(of)) return;
    ae_bytes_printf(out, "<tr><td>%s</td>", name);
    put_cell(out, "%.0f", number(of, "prompts"));
    put_cell(out, "%.0f", number(of, "better_a"));
    put_cell(out, "%.0f", number(of, "better_b"));
    put_cell(out, "%+.2f", scale * number(of, "difference"));
    ae_bytes_printf(out, "<td>%+.2f to %+.2f</td><td>",
                    scale * json_number_value(json_array_get(interval, 0)),
                    scale * json_number_value(json_array_get(interval, 1)));
    put(out, text_of(of, "test"));
    ae_bytes_add_text(out, "</td>");
    put_cell(out, "%.4f", number(of, "p"));
    put_cell(out, "%.4f", number(of, "p_holm"));
    put_cell(out, "%.0f", number(of, "more_needed"));
    ae_bytes_add_text(out, "</tr>\n");
}

/* `of`: the judge's own counts. */
static void write_judge(ae_bytes *out, const json_t *pair, const json_t *of)
{
    const json_t *wilson = json_object_get(of, "wilson_of_decided");

    if (!json_is_object(of)) return;
    ae_bytes_printf(out, "<p>The judge: %.0f for ", number(of, "wins_a"));
    put(out, text_of(pair, "a"));
    ae_bytes_printf(out, ", %.0f for ", number(of, "wins_b"));
    put(out, text_of(pair, "b"));
    ae_bytes_printf(out,
                    ", %.0f ties, of which %.0f turned with the order (flip rate %.1f %%), %.0f "
                    "without a verdict. ",
                    number(of, "ties"), number(of, "turned"), 100 * number(of, "flip_rate"),
                    number(of, "without"));
    put(out, text_of(pair, "b"));
    ae_bytes_printf(
        out, " wins %.1f %% (ties half), of the decided %.1f to %.1f %% (Wilson's 95 %%)",
        100 * number(of, "win_rate_b"), 100 * json_number_value(json_array_get(wilson, 0)),
        100 * json_number_value(json_array_get(wilson, 1)));
    if (!isnan(number(of, "length_controlled_b")))
        ae_bytes_printf(out, "; at equal length %.1f %%", 100 * number(of, "length_controlled_b"));
    ae_bytes_add_text(out, ".</p>\n");
}

static void write_pair(ae_bytes *out, const json_t *pair)
{
    static const char *const measures[] = { "checks", "judge", "reward", "similarity" };

    ae_bytes_add_text(out, "<h3>");
    put(out, text_of(pair, "b"));
    ae_bytes_add_text(out, " less ");
    put(out, text_of(pair, "a"));
    ae_bytes_add_text(out, "</h3>\n<table><tr><th>by</th><th>prompts</th><th>");
    put(out, text_of(pair, "a"));
    ae_bytes_add_text(out, " better</th><th>");
    put(out, text_of(pair, "b"));
    ae_bytes_add_text(out, " better</th><th>difference</th><th>95 %</th><th>test</th><th>p</th>"
                           "<th>p (Holm)</th><th>prompts still needed</th></tr>\n");
    for (size_t i = 0; i < AE_COUNT(measures); i++)
        write_measure(out, json_object_get(pair, measures[i]), measures[i]);
    ae_bytes_add_text(out, "</table>\n");
    write_judge(out, pair, json_object_get(json_object_get(pair, "judge"), "judge"));
}

void compare_pairs(ae_bytes *out, const json_t *report)
{
    const json_t *pairs = json_object_get(report, "pairs"), *pair;
    size_t i;

    if (json_array_size(pairs) == 0) return;
    ae_bytes_add_text(out, "<h2>Tests</h2>\n");
    json_array_foreach(pairs, i, pair) write_pair(out, pair);
}
