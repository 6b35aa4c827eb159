/* bytes.c -- growing bytes and ids, borrowed spans, and the nearest word. */
#include "base/bytes.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_CAP = 64, LONGEST_WORD = 63 };

void ae_bytes_free(ae_bytes *b)
{
    ae_free(b->data);
    *b = (ae_bytes){ 0 };
}

void ae_bytes_clear(ae_bytes *b)
{
    b->len = 0;
    if (b->data) b->data[0] = '\0';
}

/* The next capacity that holds `need`: doubled, so that appending costs linear time. */
static size_t next_cap(size_t cap, size_t need)
{
    size_t doubled = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;

    if (doubled < FIRST_CAP) doubled = FIRST_CAP;
    return doubled > need ? doubled : need;
}

bool ae_bytes_reserve(ae_bytes *b, size_t extra)
{
    size_t need, cap;
    char *grown;

    if (b->failed) return false;
    if (!ae_add_size(&need, b->len, extra) || !ae_add_size(&need, need, 1)) goto failed;
    if (need <= b->cap) return true;
    cap = next_cap(b->cap, need);
    grown = ae_realloc(b->data, b->data ? b->len + 1 : 0, cap, 1);
    if (!grown) goto failed;
    b->data = grown;
    b->cap = cap;
    return true;
failed:
    b->failed = true;
    return false;
}

void ae_bytes_add(ae_bytes *b, const void *data, size_t len)
{
    if (!ae_bytes_reserve(b, len)) return;
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void ae_bytes_add_text(ae_bytes *b, const char *text)
{
    ae_bytes_add(b, text, strlen(text));
}

void ae_bytes_add_char(ae_bytes *b, char c)
{
    ae_bytes_add(b, &c, 1);
}

void ae_bytes_printf(ae_bytes *b, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        b->failed = true;
        return;
    }
    if (!ae_bytes_reserve(b, (size_t)len)) return;
    va_start(args, format);
    vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

aerie_status ae_bytes_status(const ae_bytes *b, aerie_error *err)
{
    if (!b->failed) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "out of memory while adding to %zu bytes", b->len);
}

ae_span ae_span_text(const char *text)
{
    return (ae_span){ text, strlen(text) };
}

bool ae_span_equal(ae_span a, ae_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool ae_span_is(ae_span a, const char *text)
{
    return ae_span_equal(a, ae_span_text(text));
}

void ae_ids_free(ae_ids *ids)
{
    ae_free(ids->data);
    *ids = (ae_ids){ 0 };
}

void ae_ids_clear(ae_ids *ids)
{
    ids->len = 0;
}

static bool ids_reserve(ae_ids *ids, size_t extra)
{
    size_t need, cap;
    int32_t *grown;

    if (ids->failed) return false;
    if (!ae_add_size(&need, ids->len, extra)) goto failed;
    if (need <= ids->cap) return true;
    cap = next_cap(ids->cap, need);
    grown = ae_realloc(ids->data, ids->len, cap, sizeof *grown);
    if (!grown) goto failed;
    ids->data = grown;
    ids->cap = cap;
    return true;
failed:
    ids->failed = true;
    return false;
}

void ae_ids_add(ae_ids *ids, int32_t id)
{
    if (ids_reserve(ids, 1)) ids->data[ids->len++] = id;
}

void ae_ids_add_all(ae_ids *ids, const int32_t *more, size_t n)
{
    if (!n || !ids_reserve(ids, n)) return;
    memcpy(ids->data + ids->len, more, n * sizeof *more);
    ids->len += n;
}

aerie_status ae_ids_status(const ae_ids *ids, aerie_error *err)
{
    if (!ids->failed) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "out of memory while adding to %zu ids", ids->len);
}

static int smallest(int a, int b, int c)
{
    if (b < a) a = b;
    return c < a ? c : a;
}

/* Insertions, deletions, changes and swaps of neighbours that turn `a` into `b`. */
static int edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int rows[3][LONGEST_WORD + 1];
    int *two_before = rows[0], *before = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b_len; j++) before[j] = (int)j;
    for (size_t i = 1; i <= a_len; i++) {
        int *free_row = two_before;
        now[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            int change = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = smallest(before[j] + 1, now[j - 1] + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = smallest(now[j], two_before[j - 2] + 1, now[j]);
        }
        two_before = before;
        before = now;
        now = free_row;
    }
    return before[b_len];
}

const char *ae_nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t len = strlen(word);
    int best_distance = 0;

    if (!len || len > LONGEST_WORD) return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        size_t longer = len > other ? len : other;
        int distance;
        if (!other || other > LONGEST_WORD) continue;
        distance = edit_distance(word, len, candidates[i], other);
        if (distance > (int)(longer + 2) / 3 || distance >= (int)longer) continue;
        if (best && distance >= best_distance) continue;
        best = candidates[i];
        best_distance = distance;
    }
    return best;
}
