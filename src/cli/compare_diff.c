/* compare_diff.c -- what of a text another one has not: words outside of a longest common
 * subsequence are marked. */
#include "cli/compare.h"

#include <string.h>

enum { MOST_WORDS = 1500 };

void compare_escape(ae_bytes *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        switch (c) {
        case '&':
            ae_bytes_add_text(out, "&amp;");
            break;
        case '<':
            ae_bytes_add_text(out, "&lt;");
            break;
        case '>':
            ae_bytes_add_text(out, "&gt;");
            break;
        case '"':
            ae_bytes_add_text(out, "&quot;");
            break;
        case '\'':
            ae_bytes_add_text(out, "&#39;");
            break;
        default:
            /* Of the control characters HTML has these three alone. */
            if (c >= 32 || c == '\n' || c == '\t' || c == '\r') ae_bytes_add_char(out, (char)c);
        }
    }
}

typedef struct {
    const char *at;
    size_t len;   /* of the word */
    size_t after; /* white space after it */
    bool common;
} part;

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Words of a text; what is past the room for them is left to the caller: *end. */
static size_t cut(part *parts, const char *text, const char **end)
{
    size_t n = 0;

    while (*text && n < MOST_WORDS) {
        part *p = &parts[n++];
        *p = (part){ .at = text };
        while (*text && !is_blank(*text)) text++;
        p->len = (size_t)(text - p->at);
        while (*text && is_blank(*text)) text++;
        p->after = (size_t)(text - p->at) - p->len;
    }
    *end = text;
    return n;
}

static bool same(const part *a, const part *b)
{
    return a->len == b->len && !memcmp(a->at, b->at, a->len);
}

/* longest [(na + 1), (nb + 1)]: of what follows word i of a and k of b. */
static void mark_common(part *a, size_t na, part *b, size_t nb, uint16_t *longest)
{
    size_t width = nb + 1, i = 0, k = 0;

    for (size_t x = na; x-- > 0;)
        for (size_t y = nb; y-- > 0;) {
            uint16_t down = longest[(x + 1) * width + y], right = longest[x * width + y + 1];
            longest[x * width + y] = same(&a[x], &b[y])
                                         ? (uint16_t)(longest[(x + 1) * width + y + 1] + 1)
                                     : down > right ? down
                                                    : right;
        }
    while (i < na && k < nb) {
        if (same(&a[i], &b[k]))
            a[i++].common = true, k++;
        else if (longest[(i + 1) * width + k] >= longest[i * width + k + 1])
            i++;
        else
            k++;
    }
}

static void write_parts(ae_bytes *out, const part *parts, size_t n)
{
    bool marked = false;

    for (size_t i = 0; i < n; i++) {
        const part *p = &parts[i];
        if (!p->common && !marked) ae_bytes_add_text(out, "<mark>");
        marked = !p->common;
        compare_escape(out, p->at, p->len);
        if (marked && (i + 1 == n || parts[i + 1].common)) ae_bytes_add_text(out, "</mark>");
        compare_escape(out, p->at + p->len, p->after);
    }
}

void compare_diff(ae_bytes *out, const char *text, const char *other)
{
    part *a = ae_alloc(2 * MOST_WORDS, sizeof *a), *b = a + MOST_WORDS;
    uint16_t *longest = NULL;
    const char *end, *ignored;

    if (a) {
        size_t na = cut(a, text, &end), nb = cut(b, other, &ignored);
        longest = ae_alloc((na + 1) * (nb + 1), sizeof *longest);
        if (longest) {
            mark_common(a, na, b, nb, longest);
            write_parts(out, a, na);
            compare_escape(out, end, strlen(end));
        }
    }
    if (!longest) compare_escape(out, text, strlen(text)); /* no memory for more than the text */
    ae_free(longest);
    ae_free(a);
}
