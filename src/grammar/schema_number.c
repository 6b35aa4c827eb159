/* schema_number.c -- numbers of a schema, between bounds. */
#include "grammar/schema.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 16 }; /* before and after the point: more than a double tells apart */

static void add(ae_schema *s, int32_t rule, ae_ids *row)
{
    ae_rules_add(&s->rules, rule, row, 0);
}

static void digits(ae_schema *s, ae_ids *row, char first, char last, int64_t least, int64_t most)
{
    const uint32_t range[1][2] = { { (unsigned char)first, (unsigned char)last } };
    size_t from = row->len;
    ae_rules_class(&s->rules, row, range, 1, false);
    ae_rules_repeat(&s->rules, row, from, least, most);
}

/* Adds the numbers of n digits from `low` to `high`, whose leading digits are in `row` already. */
static void add_digits(ae_schema *s, int32_t rule, ae_ids *row, const char *low, const char *high,
                       size_t n)
{
    static const char nines[] = "99999999999999999999", zeros[] = "00000000000000000000";
    size_t begin = row->len;
    if (!memcmp(low, zeros, n) && !memcmp(high, nines, n)) {
        ae_ids copy = { 0 };
        ae_ids_add_all(&copy, row->data, row->len);
        if (n) digits(s, &copy, '0', '9', (int64_t)n, (int64_t)n);
        add(s, rule, &copy);
        ae_ids_free(&copy);
        return;
    }
    for (char d = low[0]; d <= high[0] && !ae_schema_failed(s); d++) {
        ae_rules_byte(&s->rules, row, (unsigned char)d);
        add_digits(s, rule, row, d == low[0] ? low + 1 : zeros, d == high[0] ? high + 1 : nines,
                   n - 1);
        row->len = begin;
    }
}

/* Whole numbers from low to high, 0 <= low <= high, with `sign` before them. */
static void add_whole(ae_schema *s, int32_t rule, const char *sign, uint64_t low, uint64_t high)
{
    char from[24], to[24];
    ae_ids row = { 0 };
    for (uint64_t first = low;;) {
        /* As many as have the digits of `first`. */
        int n = snprintf(from, sizeof from, "%" PRIu64, first);
        uint64_t last = 9;
        for (int i = 1; i < n; i++) last = last * 10 + 9;
        if (n >= 20 || last > high) last = high;
        snprintf(to, sizeof to, "%" PRIu64, last);
        ae_rules_text(&s->rules, &row, ae_span_text(sign));
        add_digits(s, rule, &row, from, to, (size_t)n);
        row.len = 0;
        if (last == high || ae_schema_failed(s)) break;
        first = last + 1;
    }
    ae_ids_free(&row);
}

/* A rule for "." and digits, or nothing. */
static int32_t fraction(ae_schema *s, char last_digit)
{
    int32_t rule = ae_rules_new(&s->rules);
    ae_ids row = { 0 };
    add(s, rule, &row);
    ae_rules_byte(&s->rules, &row, '.');
    digits(s, &row, '0', last_digit, 1, DIGITS);
    add(s, rule, &row);
    ae_ids_free(&row);
    return rule;
}

/* Numbers from low to high, 0 <= low <= high. */
static void add_side(ae_schema *s, int32_t rule, const char *sign, uint64_t low, uint64_t high,
                     bool whole)
{
    ae_ids row = { 0 };
    if (whole) {
        add_whole(s, rule, sign, low, high);
        return;
    }
    if (low < high) { /* what is below `high`, with any fraction */
        int32_t below = ae_rules_new(&s->rules);
        add_whole(s, below, sign, low, high - 1);
        ae_rules_call(&row, below);
        ae_rules_call(&row, fraction(s, '9'));
        add(s, rule, &row);
    }
    int32_t last = ae_rules_new(&s->rules);
    add_whole(s, last, sign, high, high);
    ae_rules_call(&row, last);
    ae_rules_call(&row, fraction(s, '0'));
    add(s, rule, &row);
    ae_ids_free(&row);
}

static void add_any(ae_schema *s, int32_t rule, bool whole)
{
    static const uint32_t e[2][2] = { { 'e', 'e' }, { 'E', 'E' } },
                          sign[2][2] = { { '+', '+' }, { '-', '-' } };
    ae_ids row = { 0 };
    int32_t integer = ae_rules_new(&s->rules);
    ae_rules_byte(&s->rules, &row, '0');
    add(s, integer, &row);
    digits(s, &row, '1', '9', 1, 1);
    digits(s, &row, '0', '9', 0, DIGITS - 1);
    add(s, integer, &row);

    ae_rules_byte(&s->rules, &row, '-');
    ae_rules_repeat(&s->rules, &row, 0, 0, 1);
    ae_rules_call(&row, integer);
    if (!whole) {
        ae_rules_call(&row, fraction(s, '9'));
        size_t from = row.len;
        ae_rules_class(&s->rules, &row, e, 2, false);
        size_t mark = row.len;
        ae_rules_class(&s->rules, &row, sign, 2, false);
        ae_rules_repeat(&s->rules, &row, mark, 0, 1);
        digits(s, &row, '0', '9', 1, 2); /* a double's exponent has three, and ends at 308 */
        ae_rules_repeat(&s->rules, &row, from, 0, 1);
    }
    add(s, rule, &row);
    ae_ids_free(&row);
}

/* A bound as a whole number; `otherwise` when it is not there. */
static int64_t bound(ae_schema *s, const json_t *schema, const char *plain, const char *exclusive,
                     int direction, bool whole, int64_t otherwise)
{
    const json_t *p = json_object_get(schema, plain), *x = json_object_get(schema, exclusive);
    if (json_is_boolean(x)) /* draft 4: a word about the other */
        ae_schema_refuse(s, "the schema's %s is true or false; give the number there", exclusive);
    if (p && x) ae_schema_refuse(s, "%s beside %s cannot be enforced; keep one", plain, exclusive);
    const json_t *v = p ? p : x;
    if (!v || ae_schema_failed(s)) return otherwise;
    double n = json_number_value(v);
    if (!json_is_number(v) || !(fabs(n) <= 1e15)) {
        ae_schema_refuse(s, "the schema's %s is not a number up to 10^15", p ? plain : exclusive);
        return otherwise;
    }
    double inwards = direction > 0 ? ceil(n) : floor(n);
    if (!whole && (x || inwards != n)) {
        ae_schema_refuse(
            s, "of numbers with a fraction only minimum and maximum that are whole can be "
               "enforced");
        return otherwise;
    }
    return (int64_t)inwards + (x && inwards == n ? direction : 0);
}

void ae_schema_number(ae_schema *s, int32_t rule, const json_t *schema, bool whole)
{
    const json_t *multiple = json_object_get(schema, "multipleOf");
    const int64_t none = (int64_t)1e16;
    if (multiple) {
        if (json_number_value(multiple) != 1)
            ae_schema_refuse(s, "the schema's multipleOf cannot be enforced, unless it is 1");
        whole = true;
    }
    int64_t low = bound(s, schema, "minimum", "exclusiveMinimum", 1, whole, -none),
            high = bound(s, schema, "maximum", "exclusiveMaximum", -1, whole, none);
    if (ae_schema_failed(s)) return;
    if (low > high) {
        ae_rules_fail(&s->rules, AERIE_BAD_TEXT, "no number fits the schema's minimum and maximum");
        return;
    }
    if (low == -none && high == none) {
        add_any(s, rule, whole);
        return;
    }
    if (high == none) high--; /* 16 digits */
    if (low == -none) low++;
    if (high >= 0) add_side(s, rule, "", (uint64_t)(low > 0 ? low : 0), (uint64_t)high, whole);
    /* Below zero: -0.5 lies between -1 and 0 too, but -0 is written as 0. */
    if (low < 0)
        add_side(s, rule, "-", (uint64_t)(high < 0 ? -high : whole ? 1 : 0), (uint64_t)-low, whole);
}
