/* compare_html.c -- the report as one page: verdict, plots, numbers, and all replies side by side.
 */
#include "cli/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MODELS = 8 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Comparison</title>\n<style>\n"
    ":root{--fg:#1f2328;--soft:#59636e;--line:#d1d9e0;--bg:#fff;--box:#f6f8fa;--mark:#fff3bf}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--soft:#9198a1;--line:#3d444d;"
    "--bg:#0d1117;--box:#151b23;--mark:#4d4412}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);"
    "max-width:1200px;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}\n"
    ".verdict{border-left:4px solid #2563eb;background:var(--box);padding:.8rem 1rem;margin:.6rem "
    "0}\n.verdict.open{border-color:#a16207}.warn{border-color:#be123c}\n"
    "table{border-collapse:collapse;width:100%}td,th{text-align:right;padding:.3rem .6rem;"
    "border-bottom:1px solid var(--line)}td:first-child,th:first-child{text-align:left}\n"
    "svg{width:100%;max-width:720px;display:block;margin:1rem 0;font:12px system-ui,sans-serif}"
    "svg text{fill:var(--fg)}svg .title{font-weight:600;font-size:14px}"
    "svg .grid{stroke:var(--line)}svg .middle{stroke:var(--soft);stroke-dasharray:4 3}\n"
    ".item{border-top:1px solid var(--line);padding:1rem 0}.item>header{color:var(--soft)}\n"
    ".prompt{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--box);padding:.6rem "
    ".8rem;border-radius:6px;margin:.4rem 0}.role{color:var(--soft);font-size:.8rem}\n"
    ".row{display:grid;grid-auto-flow:column;grid-auto-columns:1fr;gap:1rem}\n"
    ".reply{min-width:0}.reply h3{font-size:.9rem;margin:.3rem 0}\n"
    ".text{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--line);"
    "border-radius:6px;padding:.6rem .8rem;max-height:24rem;overflow:auto}\n"
    ".won .text{border-color:#15803d;border-width:2px}mark{background:var(--mark);color:inherit}\n"
    ".tag{display:inline-block;font-size:.78rem;padding:0 .45rem;border-radius:9px;"
    "border:1px solid var(--line);margin-right:.25rem}.yes{color:#15803d}.no{color:#be123c}\n"
    "small,.soft{color:var(--soft)}@media(max-width:700px){.row{grid-auto-flow:row}}\n"
    "</style></head><body>\n";

static const char script[] =
    "<script>\nfor(const b of document.querySelectorAll('input[name=show]'))"
    "b.onchange=()=>{for(const i of document.querySelectorAll('.item'))"
    "i.hidden=b.value!=='all'&&!i.classList.contains(b.value)}\n</script>\n</body></html>\n";

static const char *text_of(const json_t *of, const char *key)
{
    const char *text = json_string_value(json_object_get(of, key));

    return text ? text : "";
}

static double number(const json_t *of, const char *key)
{
    const json_t *x = json_object_get(of, key);

    return json_is_number(x) ? json_number_value(x) : NAN;
}

static void put(ae_bytes *out, const char *text)
{
    compare_escape(out, text, strlen(text));
}

static void put_number(ae_bytes *out, double x, const char *format)
{
    char text[64];

    snprintf(text, sizeof text, format, x);
    put(out, isnan(x) ? "–" : text);
}

/* ---- what follows ---- */

static void write_verdicts(ae_bytes *out, const json_t *report)
{
    const json_t *asked = json_object_get(report, "judge_questions"), *pair;
    size_t i;

    json_array_foreach(json_object_get(report, "pairs"), i, pair)
    {
        const json_t *judge = json_object_get(json_object_get(pair, "judge"), "judge");
        bool open = json_is_null(json_object_get(pair, "better"));
        if (!json_object_get(pair, "verdict")) continue;
        ae_bytes_printf(out, "<p class=\"verdict%s\">", open ? " open" : "");
        put(out, text_of(pair, "verdict"));
        ae_bytes_add_text(out, "</p>\n");
        if (number(judge, "flip_rate") > 0.5)
            ae_bytes_add_text(out,
                              "<p class=\"verdict warn\">Most verdicts of the judge turn with the "
                              "order: it looks at places, not at replies.</p>\n");
        if (json_is_true(json_object_get(judge, "length_turns_it")))
            ae_bytes_add_text(out, "<p class=\"verdict warn\">At equal length the judge's "
                                   "preference turns to the other side.</p>\n");
    }
    if (json_is_true(json_object_get(asked, "too_many_without")))
        ae_bytes_add_text(out, "<p class=\"verdict warn\">More than one question in twenty got no "
                               "verdict from the judge: too many to trust the rest.</p>\n");
}

/* ---- plots ---- */

static compare_bar bar_of(const char *label, const json_t *share)
{
    const json_t *interval = json_object_get(share, "interval");

    return (compare_bar){ label, number(share, "rate"),
                          json_number_value(json_array_get(interval, 0)),
                          json_number_value(json_array_get(interval, 1)) };
}

static void plot_checks(ae_bytes *out, const json_t *models)
{
    compare_bar bars[MODELS];
    size_t n = 0, i;
    const json_t *m;

    json_array_foreach((json_t *)models, i, m) if (n < MODELS) bars[n++] =
        bar_of(text_of(m, "label"), json_object_get(m, "all_checks"));
    if (n && !isnan(bars[0].value))
        compare_figure_intervals(out, "Replies that pass all checks (Wilson's 95 %)", bars, n, 0, 1,
                                 NAN);
}

static void plot_judge(ae_bytes *out, const json_t *report)
{
    compare_bar bars[28];
    char labels[28][96];
    const json_t *pair;
    size_t n = 0, i;

    json_array_foreach(json_object_get(report, "pairs"), i, pair)
    {
        const json_t *of = json_object_get(pair, "judge");
        const json_t *interval = json_object_get(of, "interval");
        if (!of || n == AE_COUNT(bars)) continue;
        snprintf(labels[n], sizeof labels[n], "%.40s over %.40s", text_of(pair, "b"),
                 text_of(pair, "a"));
        bars[n] = (compare_bar){ labels[n], number(of, "b"),
                                 0.5 + json_number_value(json_array_get(interval, 0)),
                                 0.5 + json_number_value(json_array_get(interval, 1)) };
        n++;
    }
    if (n)
        compare_figure_intervals(out, "Win rate before the judge (ties half; bootstrap's 95 %)",
                                 bars, n, 0, 1, 0.5);
}

/* A number of every reply of every model. */
static void plot_replies(ae_bytes *out, const json_t *report, const char *title, const char *unit,
                         const char *key)
{
    const json_t *models = json_object_get(report, "models"), *item, *row;
    const char *labels[MODELS] = { 0 };
    size_t n[MODELS] = { 0 }, n_models = json_array_size(models), most, i, k;
    double *values[MODELS] = { 0 };

    if (n_models > MODELS) return;
    most = (size_t)(number(report, "prompts") * number(report, "repeats"));
    for (size_t m = 0; m < n_models; m++) {
        labels[m] = text_of(json_array_get(models, m), "label");
        values[m] = ae_alloc(most, sizeof *values[m]);
    }
    json_array_foreach(json_object_get(report, "items"), i, item) json_array_foreach(
        json_object_get(item, "replies"), k, row) for (size_t m = 0; m < n_models; m++)
    {
        double x = number(json_array_get(row, m), key);
        if (values[m] && n[m] < most && !isnan(x)) values[m][n[m]++] = x;
    }
    compare_figure_shares(out, title, unit, labels, values, n, n_models);
    for (size_t m = 0; m < n_models; m++) ae_free(values[m]);
}

/* ---- the table ---- */

typedef struct {
    const char *name, *key, *inner, *format;
    double times;
} column;

static void write_row(ae_bytes *out, const json_t *models, const column *c)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        any |= !isnan(c->inner ? number(json_object_get(m, c->key), c->inner) : number(m, c->key));
    }
    if (!any) return;
    ae_bytes_printf(out, "<tr><td>%s</td>", c->name);
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        double x = c->inner ? number(json_object_get(m, c->key), c->inner) : number(m, c->key);
        ae_bytes_add_text(out, "<td>");
        put_number(out, x * c->times, c->format);
        ae_bytes_add_text(out, "</td>");
    }
    ae_bytes_add_text(out, "</tr>\n");
}

static void write_checks(ae_bytes *out, const json_t *models)
{
    const json_t *checks = json_object_get(json_array_get(models, 0), "checks");
    const char *name;
    json_t *ignored;

    json_object_foreach((json_t *)checks, name, ignored)
    {
        ae_bytes_add_text(out, "<tr><td>check: ");
        put(out, name);
        ae_bytes_add_text(out, "</td>");
        for (size_t i = 0; i < json_array_size(models); i++) {
            compare_bar b = bar_of(
                "", json_object_get(json_object_get(json_array_get(models, i), "checks"), name));
            ae_bytes_printf(out, "<td>%.1f %% <small>%.1f to %.1f</small></td>", 100 * b.value,
                            100 * b.low, 100 * b.high);
        }
        ae_bytes_add_text(out, "</tr>\n");
    }
}

static void write_table(ae_bytes *out, const json_t *models)
{
    static const column columns[] = {
        { "replies", "replies", NULL, "%.0f", 1 },
        { "failed", "failed", NULL, "%.0f", 1 },
        { "cut off by their length", "cut", NULL, "%.0f", 1 },
        { "refusals", "refused", NULL, "%.0f", 1 },
        { "all checks passed", "all_checks", "rate", "%.1f %%", 100 },
        { "reward, mean", "reward", "mean", "%.4f", 1 },
        { "similarity to the expected, mean", "similarity", "mean", "%.3f", 1 },
        { "characters, mean", "reply_characters", "mean", "%.0f", 1 },
        { "tokens, mean", "reply_tokens", "mean", "%.0f", 1 },
        { "first text, s, p50", "first_text_seconds", "p50", "%.3f", 1 },
        { "first text, s, p95", "first_text_seconds", "p95", "%.3f", 1 },
        { "whole reply, s, p50", "seconds", "p50", "%.2f", 1 },
        { "whole reply, s, p95", "seconds", "p95", "%.2f", 1 },
        { "tokens/s of a reply, p50", "tokens_per_second", "p50", "%.1f", 1 },
        { "memory, MB", "memory_bytes", NULL, "%.0f", 1e-6 },
        { "cost of 1,000 replies", "cost_per_1000", NULL, "%.4g", 1 },
    };

    ae_bytes_add_text(out, "<h2>Numbers</h2>\n<table><tr><th></th>");
    for (size_t i = 0; i < json_array_size(models); i++) {
        ae_bytes_add_text(out, "<th>");
        put(out, text_of(json_array_get(models, i), "label"));
        ae_bytes_add_text(out, "</th>");
    }
    ae_bytes_add_text(out, "</tr>\n");
    for (size_t i = 0; i < AE_COUNT(columns); i++) write_row(out, models, &columns[i]);
    write_checks(out, models);
    ae_bytes_add_text(out, "</table>\n");
}

/* ---- prompts ---- */

static void write_prompt(ae_bytes *out, const json_t *item)
{
    const json_t *m;
    size_t i;

    json_array_foreach(json_object_get(item, "messages"), i, m)
    {
        ae_bytes_add_text(out, "<div class=\"prompt\"><div class=\"role\">");
        put(out, text_of(m, "role"));
        ae_bytes_add_text(out, "</div>");
        put(out, text_of(m, "content"));
        ae_bytes_add_text(out, "</div>\n");
    }
    if (*text_of(item, "expected")) {
        ae_bytes_add_text(out, "<div class=\"prompt\"><div class=\"role\">expected</div>");
        put(out, text_of(item, "expected"));
        ae_bytes_add_text(out, "</div>\n");
    }
}

static void write_tags(ae_bytes *out, const json_t *item, const json_t *reply)
{
    const json_t *checks = json_object_get(item, "checks"), *one;
    size_t i;

    ae_bytes_add_text(out, "<div>");
    json_array_foreach((json_t *)checks, i, one)
    {
        bool passed = json_is_true(json_array_get(json_object_get(reply, "passed"), i));
        ae_bytes_printf(out, "<span class=\"tag %s\">%s ", passed ? "yes" : "no",
                        passed ? "✓" : "✗");
        put(out, json_string_value(one));
        ae_bytes_add_text(out, "</span>");
    }
    if (!isnan(number(reply, "reward")))
        ae_bytes_printf(out, "<span class=\"tag\">reward %.3f</span>", number(reply, "reward"));
    if (json_is_true(json_object_get(reply, "cut")))
        ae_bytes_add_text(out, "<span class=\"tag\">cut off</span>");
    ae_bytes_printf(out, "<small>%.0f tokens, %.2f s</small></div>\n", number(reply, "tokens"),
                    number(reply, "seconds"));
}

/* Two models' verdict on this repeat; NULL: none. */
static const char *outcome_of(const json_t *item, int64_t repeat)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(item, "judged"), i,
                       one) if (json_integer_value(json_object_get(one, "repeat")) ==
                                repeat) return text_of(one, "outcome");
    return NULL;
}

static void write_reply(ae_bytes *out, const json_t *report, const json_t *item, const json_t *row,
                        size_t m, const char *won)
{
    const json_t *models = json_object_get(report, "models"), *reply = json_array_get(row, m);
    const json_t *other = json_array_get(row, m == 0 ? 1 : 0);
    bool has_won = won && ((m == 0 && !strcmp(won, "a")) || (m == 1 && !strcmp(won, "b")));

    ae_bytes_printf(out, "<div class=\"reply%s\"><h3>", has_won ? " won" : "");
    put(out, text_of(json_array_get(models, m), "label"));
    ae_bytes_add_text(out, "</h3>\n<div class=\"text\">");
    if (*text_of(reply, "failed"))
        put(out, text_of(reply, "failed"));
    else if (other)
        compare_diff(out, text_of(reply, "text"), text_of(other, "text"));
    else
        put(out, text_of(reply, "text"));
    ae_bytes_add_text(out, "</div>\n");
    write_tags(out, item, reply);
    ae_bytes_add_text(out, "</div>\n");
}

static bool checks_differ(const json_t *row)
{
    for (size_t i = 1; i < json_array_size(row); i++)
        if (!json_equal(json_object_get(json_array_get(row, 0), "passed"),
                        json_object_get(json_array_get(row, i), "passed")))
            return true;
    return false;
}

static bool replies_differ(const json_t *row)
{
    for (size_t i = 1; i < json_array_size(row); i++)
        if (strcmp(text_of(json_array_get(row, 0), "text"),
                   text_of(json_array_get(row, i), "text")) != 0)
            return true;
    return false;
}

static void write_item(ae_bytes *out, const json_t *report, const json_t *item)
{
    const json_t *rows = json_object_get(item, "replies"), *row;
    bool differ = false, checks = false, decided = false;
    size_t k;

    json_array_foreach((json_t *)rows, k, row)
    {
        const char *won = outcome_of(item, (int64_t)k);
        differ |= replies_differ(row);
        checks |= checks_differ(row);
        decided |= won && (!strcmp(won, "a") || !strcmp(won, "b"));
    }
    ae_bytes_printf(out, "<section class=\"item%s%s%s\"><header>", differ ? " differ" : "",
                    checks ? " checks" : "", decided ? " decided" : "");
    put(out, text_of(item, "id"));
    ae_bytes_add_text(out, "</header>\n");
    write_prompt(out, item);
    json_array_foreach((json_t *)rows, k, row)
    {
        const char *won = outcome_of(item, (int64_t)k);
        if (won) {
            ae_bytes_add_text(out, "<div class=\"soft\">judge: ");
            put(out, won);
            ae_bytes_add_text(out, "</div>");
        }
        ae_bytes_add_text(out, "<div class=\"row\">\n");
        for (size_t m = 0; m < json_array_size(row); m++)
            write_reply(out, report, item, row, m, won);
        ae_bytes_add_text(out, "</div>\n");
    }
    ae_bytes_add_text(out, "</section>\n");
}

void compare_html(const json_t *report, ae_bytes *out)
{
    const json_t *models = json_object_get(report, "models"), *item;
    size_t i;

    ae_bytes_add_text(out, head);
    ae_bytes_add_text(out, "<h1>");
    for (i = 0; i < json_array_size(models); i++) {
        if (i) ae_bytes_add_text(out, " · ");
        put(out, text_of(json_array_get(models, i), "label"));
    }
    ae_bytes_printf(out,
                    "</h1>\n<p class=\"soft\">%.0f prompts, %.0f %s of every model to each</p>\n",
                    number(report, "prompts"), number(report, "repeats"),
                    number(report, "repeats") == 1 ? "reply" : "replies");
    write_verdicts(out, report);
    plot_checks(out, models);
    plot_judge(out, report);
    plot_replies(out, report, "Seconds to the end of a reply: share done", " s", "seconds");
    plot_replies(out, report, "Tokens of a reply: share as short", "", "tokens");
    write_table(out, models);
    compare_pairs(out, report);
    ae_bytes_add_text(
        out, "<h2>Replies</h2>\n<p>Marked is what the other reply has not. Show "
             "<label><input type=\"radio\" name=\"show\" value=\"all\" checked> all</label> "
             "<label><input type=\"radio\" name=\"show\" value=\"differ\"> those that "
             "differ</label> <label><input type=\"radio\" name=\"show\" value=\"checks\"> "
             "checks differ</label> <label><input type=\"radio\" name=\"show\" "
             "value=\"decided\"> the judge decides</label></p>\n");
    json_array_foreach(json_object_get(report, "items"), i, item) write_item(out, report, item);
    ae_bytes_add_text(out, script);
}
