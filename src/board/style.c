/* style.c -- what upstream's regular expressions count, by hand. */
#include "board/style.h"

#include <string.h>

/* ---- characters, as Python's \s and \d have them ---- */

/* The bytes of the white space at the text's beginning; 0: it begins with none. */
static size_t space_at(const char *at, const char *end)
{
    const unsigned char *c = (const unsigned char *)at;
    size_t n = (size_t)(end - at);

    if (!n) return 0;
    if (*c == ' ' || (*c >= '\t' && *c <= '\r') || (*c >= 0x1C && *c <= 0x1F)) return 1;
    if (n >= 2 && *c == 0xC2) return c[1] == 0x85 || c[1] == 0xA0 ? 2 : 0;
    if (n < 3) return 0;
    if (!memcmp(at, "\xE1\x9A\x80", 3) || !memcmp(at, "\xE2\x81\x9F", 3) ||
        !memcmp(at, "\xE3\x80\x80", 3))
        return 3;
    if (*c != 0xE2 || c[1] != 0x80) return 0;
    return (c[2] >= 0x80 && c[2] <= 0x8A) || c[2] == 0xA8 || c[2] == 0xA9 || c[2] == 0xAF ? 3 : 0;
}

static const char *skip_space(const char *at, const char *end)
{
    size_t n;

    while ((n = space_at(at, end)) > 0) at += n;
    return at;
}

/* ---- what matches at a place; NULL: nothing, else where the match ends ---- */

typedef const char *match_fn(const char *at, const char *end);

/* ^#{1,6}\s */
static const char *match_header(const char *at, const char *end)
{
    int n = 0;

    for (; at < end && *at == '#'; at++) n++;
    size_t space = n >= 1 && n <= 6 ? space_at(at, end) : 0;
    return space ? at + space : NULL;
}

/* ^\s*(\d+\.|[-*+])\s */
static const char *match_item(const char *at, const char *end)
{
    at = skip_space(at, end);
    if (at < end && strchr("-*+", *at) && *at) {
        at++;
    } else {
        const char *digits = at;
        while (at < end && *at >= '0' && *at <= '9') at++;
        if (at == digits || at == end || *at++ != '.') return NULL;
    }
    size_t space = space_at(at, end);
    return space ? at + space : NULL;
}

/* The mark twice, something without it in the line, and the mark twice. */
static const char *match_span(const char *at, const char *end, char mark)
{
    const char *begin = at + 2;

    if (end - at < 5 || at[0] != mark || at[1] != mark) return NULL;
    for (at = begin; at < end && *at != mark && *at != '\n';) at++;
    return at > begin && end - at >= 2 && at[0] == mark && at[1] == mark ? at + 2 : NULL;
}

static const char *match_stars(const char *at, const char *end)
{
    return match_span(at, end, '*');
}

static const char *match_lines(const char *at, const char *end)
{
    return match_span(at, end, '_');
}

/* As findall() counts: one match after another. */
static double count(ae_span text, match_fn *match, bool of_lines)
{
    const char *end = text.data + text.len;
    double n = 0;

    for (const char *at = text.data; at < end;) {
        bool is_line = at == text.data || at[-1] == '\n';
        const char *after = !of_lines || is_line ? match(at, end) : NULL;
        n += after != NULL;
        at = after ? after : at + 1;
    }
    return n;
}

/* ---- code blocks ---- */

/* What is between the fences of the block that begins at `at`; len 0 and NULL: none does. */
static ae_span block_at(const char *at, const char *end)
{
    if (end - at < 6 || memcmp(at, "```", 3) != 0) return (ae_span){ 0 };
    const char *begin = at + 3, *close = memchr(begin, '`', (size_t)(end - begin));
    if (!close || end - close < 3 || memcmp(close, "```", 3) != 0) return (ae_span){ 0 };
    return (ae_span){ begin, (size_t)(close - begin) };
}

/* Every place where `what` stands is cut out, from left to right. */
static void cut_out(ae_bytes *text, ae_span what)
{
    size_t kept = 0, at = 0;

    while (at < text->len) {
        if (text->len - at >= what.len && !memcmp(text->data + at, what.data, what.len)) {
            at += what.len;
        } else {
            text->data[kept++] = text->data[at++];
        }
    }
    text->len = kept;
}

/* What stands within fences goes, wherever else it stands, too; the fences stay (remove_pattern()
 * replaces what its group holds). */
static bool without_code(ae_bytes *out, ae_span answer)
{
    const char *end = answer.data + answer.len;

    ae_bytes_add(out, answer.data, answer.len);
    for (const char *at = answer.data; !out->failed && at < end;) {
        ae_span block = block_at(at, end);
        if (block.len) cut_out(out, block);
        at = block.data ? block.data + block.len + 3 : at + 1;
    }
    return !out->failed;
}

bool ae_board_style_count(ae_board_style *out, ae_span answer)
{
    ae_bytes text = { 0 };
    bool done = without_code(&text, answer);
    ae_span plain = { text.data ? text.data : "", text.len };

    if (done) {
        out->headers = count(plain, match_header, true);
        out->lists = count(plain, match_item, true);
        out->bold = count(plain, match_stars, false) + count(plain, match_lines, false);
    }
    ae_bytes_free(&text);
    return done;
}

/* ---- features ---- */

static double ratio(double a, double b, double more)
{
    return a + b + more > 0 ? (a - b) / (a + b + more) : 0;
}

void ae_board_style_features(double out[AE_BOARD_STYLES], const ae_board_style *model,
                             const ae_board_style *baseline)
{
    const double a[] = { model->headers, model->lists, model->bold };
    const double b[] = { baseline->headers, baseline->lists, baseline->bold };

    out[0] = ratio(model->length, baseline->length, 0);
    for (int i = 0; i < 3; i++)
        out[i + 1] = ratio(a[i] / (model->length + 1), b[i] / (baseline->length + 1), 1);
}
