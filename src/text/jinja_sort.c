/* jinja_sort.c -- a stable merge sort whose comparison may fail. */
#include "text/jinja.h"

#include <string.h>

typedef struct {
    jinja_value item, key;
} entry;

static void merge(jinja *j, entry *to, const entry *from, size_t begin, size_t middle, size_t end,
                  bool reverse)
{
    size_t left = begin, right = middle;
    for (size_t at = begin; at < end; at++) {
        bool take_right = left == middle;
        if (!take_right && right < end) {
            int order = jinja_order(j, from[right].key, from[left].key);
            take_right = reverse ? order > 0 : order < 0;
        }
        to[at] = take_right ? from[right++] : from[left++];
    }
}

void jinja_sort(jinja *j, jinja_value *items, const jinja_value *keys, size_t n, bool reverse)
{
    entry *from = jinja_take(j, n + 1, sizeof *from), *to = jinja_take(j, n + 1, sizeof *to);
    if (!from || !to) return;
    for (size_t i = 0; i < n; i++) from[i] = (entry){ items[i], keys ? keys[i] : items[i] };
    for (size_t width = 1; width < n && jinja_spend(j, n); width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            size_t middle = begin + width < n ? begin + width : n;
            size_t end = middle + width < n ? middle + width : n;
            merge(j, to, from, begin, middle, end, reverse);
        }
        entry *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++) items[i] = from[i].item;
}
