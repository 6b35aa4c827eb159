/* rules.c -- writing rules down, and what makes them fit to be walked. */
#include "grammar/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ELEMENTS = 1 << 18, MOST_REPEATS = 1 << 16, MOST_SETS = 4096 };

void ae_rules_fail(ae_rules *r, aerie_status status, const char *format, ...)
{
    char sentence[512];
    va_list args;
    if (r->status) return;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    r->status = aerie_fail(r->err, status, "%s", sentence);
}

void ae_rules_begin(ae_rules *r, aerie_error *err)
{
    *r = (ae_rules){ .err = err, .grammar = ae_alloc(1, sizeof *r->grammar) };
    if (!r->grammar) ae_rules_fail(r, AERIE_NO_MEMORY, "no memory for a grammar");
}

void ae_grammar_free(ae_grammar *g)
{
    if (!g) return;
    ae_ids_free(&g->code);
    ae_ids_free(&g->alternatives);
    ae_ids_free(&g->first);
    ae_free(g->sets);
    ae_free(g);
}

void ae_rules_abandon(ae_rules *r)
{
    ae_grammar_free(r->grammar);
    ae_ids_free(&r->owner);
    *r = (ae_rules){ 0 };
}

int32_t ae_rules_new(ae_rules *r)
{
    return r->n_rules++;
}

void ae_rules_add(ae_rules *r, int32_t rule, ae_ids *row, size_t from)
{
    ae_grammar *g = r->grammar;
    if (!r->status && (row->failed || row->len < from))
        ae_rules_fail(r, AERIE_NO_MEMORY, "no memory for a grammar");
    if (!r->status && g->code.len + (row->len - from) >= MOST_ELEMENTS)
        ae_rules_fail(r, AERIE_BAD_TEXT,
                      "the grammar is too large; repeat less often, or fewer things");
    if (r->status) return;
    ae_ids_add(&g->alternatives, (int32_t)g->code.len);
    ae_ids_add(&r->owner, rule);
    if (row->len > from) ae_ids_add_all(&g->code, row->data + from, row->len - from);
    ae_ids_add(&g->code, AE_RULE_END);
    row->len = from;
}

static int32_t set_of(ae_rules *r, const ae_byte_set *set)
{
    ae_grammar *g = r->grammar;
    if (r->status) return 0;
    for (size_t i = 0; i < g->n_sets; i++)
        if (!memcmp(&g->sets[i], set, sizeof *set)) return (int32_t)i;
    if (g->n_sets == MOST_SETS) {
        ae_rules_fail(r, AERIE_BAD_TEXT, "the grammar has more than %d classes of bytes",
                      MOST_SETS);
        return 0;
    }
    if (g->n_sets == g->cap_sets) {
        size_t cap = g->cap_sets ? 2 * g->cap_sets : 64;
        ae_byte_set *more = ae_realloc(g->sets, g->cap_sets, cap, sizeof *more);
        if (!more) {
            ae_rules_fail(r, AERIE_NO_MEMORY, "no memory for a grammar");
            return 0;
        }
        g->sets = more;
        g->cap_sets = cap;
    }
    g->sets[g->n_sets] = *set;
    return (int32_t)g->n_sets++;
}

static void set_add(ae_byte_set *s, unsigned first, unsigned last)
{
    for (unsigned b = first; b <= last; b++) s->bits[b / 64] |= UINT64_C(1) << (b % 64);
}

static void row_range(ae_rules *r, ae_ids *row, unsigned first, unsigned last)
{
    ae_byte_set s = { 0 };
    set_add(&s, first, last);
    ae_ids_add(row, ae_set_element(set_of(r, &s)));
}

void ae_rules_byte(ae_rules *r, ae_ids *row, unsigned char b)
{
    row_range(r, row, b, b);
}

void ae_rules_text(ae_rules *r, ae_ids *row, ae_span text)
{
    for (size_t i = 0; i < text.len; i++) ae_rules_byte(r, row, (unsigned char)text.data[i]);
}

void ae_rules_call(ae_ids *row, int32_t rule)
{
    ae_ids_add(row, rule);
}

/* ---- characters as bytes */

static int encode(uint32_t c, unsigned char out[4])
{
    if (c < 0x80) return out[0] = (unsigned char)c, 1;
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6) out[i] = (unsigned char)(0x80 | (c & 0x3F));
    out[0] = (unsigned char)((0xF00 >> n & 0xFF) | c);
    return n;
}

/* Adds to `rule` the rows of bytes of the characters first..last, which all have n bytes: cut where
 * a byte's range is not the whole of what the bytes before it let it be. */
static void add_bytes(ae_rules *r, int32_t rule, uint32_t first, uint32_t last, int n)
{
    for (int i = n - 1; i > 0; i--) {
        uint32_t mask = (UINT32_C(1) << (6 * i)) - 1; /* what the last i bytes say */
        if ((first & ~mask) == (last & ~mask)) continue;
        if (first & mask) {
            add_bytes(r, rule, first, first | mask, n);
            add_bytes(r, rule, (first | mask) + 1, last, n);
            return;
        }
        if ((last & mask) != mask) {
            add_bytes(r, rule, first, (last & ~mask) - 1, n);
            add_bytes(r, rule, last & ~mask, last, n);
            return;
        }
    }
    unsigned char a[4], b[4];
    ae_ids row = { 0 };
    encode(first, a);
    encode(last, b);
    for (int i = 0; i < n; i++) row_range(r, &row, a[i], b[i]);
    ae_rules_add(r, rule, &row, 0);
    ae_ids_free(&row);
}

/* first..last cut by how many bytes a character has, without the surrogates, which are none. */
static void add_characters(ae_rules *r, int32_t rule, uint32_t first, uint32_t last)
{
    static const struct {
        uint32_t first, last;
        int n;
    } spans[] = {
        { 0x80, 0x7FF, 2 }, { 0x800, 0xD7FF, 3 }, { 0xE000, 0xFFFF, 3 }, { 0x10000, 0x10FFFF, 4 }
    };
    for (size_t i = 0; i < AE_COUNT(spans); i++) {
        uint32_t from = first > spans[i].first ? first : spans[i].first,
                 to = last < spans[i].last ? last : spans[i].last;
        if (from <= to) add_bytes(r, rule, from, to, spans[i].n);
    }
}

static int by_first(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* Sorted, without overlap; negated if asked for. out: room for n + 1. */
static size_t tidy(const uint32_t (*ranges)[2], size_t n, bool negated, uint32_t (*sorted)[2],
                   uint32_t (*out)[2])
{
    size_t m = 0, k = 0;
    memcpy(sorted, ranges, n * sizeof *ranges);
    qsort(sorted, n, sizeof *sorted, by_first);
    for (size_t i = 0; i < n; i++)
        if (m && sorted[i][0] <= sorted[m - 1][1] + 1) {
            if (sorted[i][1] > sorted[m - 1][1]) sorted[m - 1][1] = sorted[i][1];
        } else
            memcpy(sorted[m++], sorted[i], sizeof *sorted);
    if (!negated) {
        memcpy(out, sorted, m * sizeof *out);
        return m;
    }
    uint32_t next = 0;
    for (size_t i = 0; i < m; i++) {
        if (sorted[i][0] > next) {
            out[k][0] = next;
            out[k++][1] = sorted[i][0] - 1;
        }
        next = sorted[i][1] + 1;
    }
    if (next <= 0x10FFFF) {
        out[k][0] = next;
        out[k++][1] = 0x10FFFF;
    }
    return k;
}

static void row_ranges(ae_rules *r, ae_ids *row, const uint32_t (*ranges)[2], size_t n)
{
    ae_byte_set ascii = { 0 };
    ae_ids one = { 0 };
    bool wide = false, narrow = false;
    for (size_t i = 0; i < n; i++) {
        if (ranges[i][0] < 0x80) {
            set_add(&ascii, ranges[i][0], ranges[i][1] < 0x80 ? ranges[i][1] : 0x7F);
            narrow = true;
        }
        wide |= ranges[i][1] >= 0x80;
    }
    if (!wide) {
        ae_ids_add(row, ae_set_element(set_of(r, &ascii)));
        return;
    }
    int32_t rule = ae_rules_new(r);
    if (narrow) {
        ae_ids_add(&one, ae_set_element(set_of(r, &ascii)));
        ae_rules_add(r, rule, &one, 0);
    }
    for (size_t i = 0; i < n; i++) add_characters(r, rule, ranges[i][0], ranges[i][1]);
    ae_ids_free(&one);
    ae_rules_call(row, rule);
}

void ae_rules_class(ae_rules *r, ae_ids *row, const uint32_t (*ranges)[2], size_t n, bool negated)
{
    uint32_t(*sorted)[2] = ae_alloc(n + 1, sizeof *sorted),
    (*out)[2] = ae_alloc(n + 1, sizeof *out);
    if (!sorted || !out)
        ae_rules_fail(r, AERIE_NO_MEMORY, "no memory for a grammar");
    else {
        size_t m = tidy(ranges, n, negated, sorted, out);
        row_ranges(r, row, (const uint32_t(*)[2])out, m); /* none: nothing fits */
    }
    ae_free(sorted);
    ae_free(out);
}

/* ---- repetition */

/* One element that stands for all of the row from `from` on, which is taken off. */
static int32_t fold(ae_rules *r, ae_ids *row, size_t from)
{
    if (row->len == from + 1) return row->data[--row->len];
    int32_t rule = ae_rules_new(r);
    ae_rules_add(r, rule, row, from);
    return rule;
}

/* A rule for `rest` more elements, or none: element tail | nothing. */
static int32_t optional(ae_rules *r, int32_t element, int32_t tail, bool has_tail)
{
    int32_t rule = ae_rules_new(r);
    ae_ids row = { 0 };
    ae_ids_add(&row, element);
    if (has_tail) ae_rules_call(&row, tail < 0 ? rule : tail);
    ae_rules_add(r, rule, &row, 0);
    ae_rules_add(r, rule, &row, 0);
    ae_ids_free(&row);
    return rule;
}

void ae_rules_repeat(ae_rules *r, ae_ids *row, size_t from, int64_t least, int64_t most)
{
    if (r->status || row->failed || row->len < from) return;
    if (least < 0 || (most >= 0 && most < least) || least > MOST_REPEATS || most > MOST_REPEATS) {
        ae_rules_fail(r, AERIE_BAD_TEXT,
                      "a repetition of %lld to %lld times cannot be; at most %d is",
                      (long long)least, (long long)most, MOST_REPEATS);
        return;
    }
    if (row->len == from) return; /* nothing, however often */
    int32_t element = fold(r, row, from), tail = -1;
    for (int64_t i = 0; i < least && r->grammar->code.len + row->len < MOST_ELEMENTS; i++)
        ae_ids_add(row, element);
    if (most < 0) ae_rules_call(row, optional(r, element, -1, true));
    for (int64_t i = least; i < most && !r->status; i++)
        tail = optional(r, element, tail, i > least);
    if (most > least) ae_rules_call(row, tail);
}
