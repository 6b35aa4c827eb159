/* stops.c -- the first stop string in a text, or where one might begin. */
#include "text/stops.h"

#include <string.h>

/* Where `stop`, or as much of it as there is text for, first stands; text.len: nowhere. */
static size_t first_of(ae_span stop, ae_span text, bool *whole)
{
    *whole = false;
    for (size_t at = 0; at < text.len; at++) {
        const char *here = memchr(text.data + at, stop.data[0], text.len - at);
        if (!here) break;
        at = (size_t)(here - text.data);
        size_t n = text.len - at < stop.len ? text.len - at : stop.len;
        if (memcmp(here, stop.data, n) != 0) continue;
        *whole = n == stop.len;
        return at;
    }
    return text.len;
}

bool ae_stops_find(const ae_span *stops, size_t n, ae_span text, size_t *at, size_t *which)
{
    bool found = false;
    size_t may_begin = text.len;

    *at = text.len;
    for (size_t i = 0; i < n; i++) {
        bool whole;
        size_t here = stops[i].len > 0 ? first_of(stops[i], text, &whole) : text.len;
        if (here == text.len) continue;
        if (!whole) {
            /* The text ends within it: nothing of this one begins whole further on. */
            if (here < may_begin) may_begin = here;
        } else if (here < *at) {
            *at = here;
            *which = i;
            found = true;
        }
    }
    if (!found) *at = may_begin;
    return found;
}
