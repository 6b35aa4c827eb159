/* python.c -- texts as Python sees them: white space, lengths, and json.dumps(). */
#include "task/task_private.h"

#include "text/text.h"

#include <string.h>

bool python_is_space(int32_t code)
{
    return (code >= 9 && code <= 13) || (code >= 28 && code <= 32) || code == 0x85 ||
           code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static size_t space_before(ae_span text)
{
    size_t at = 0, last = 0;

    while (at < text.len && python_is_space(ae_utf8_next(text, &at))) last = at;
    return last;
}

/* Where the white space at the end begins: UTF-8 is read backwards from its lead bytes. */
static size_t space_after(ae_span text)
{
    size_t end = text.len;

    while (end) {
        size_t start = end - 1, at;
        while (start && end - start < 4 && (text.data[start] & 0xc0) == 0x80) start--;
        at = start;
        if (!python_is_space(ae_utf8_next((ae_span){ text.data, end }, &at)) || at != end) break;
        end = start;
    }
    return end;
}

ae_span python_strip(ae_span text, bool left, bool right)
{
    size_t begin = left ? space_before(text) : 0;

    text.data += begin;
    text.len -= begin;
    if (right) text.len = space_after(text);
    return text;
}

int64_t python_len(ae_span text)
{
    int64_t n = 0;

    for (size_t at = 0; at < text.len; n++) ae_utf8_next(text, &at);
    return n;
}

static void put_escape(ae_bytes *out, int32_t code)
{
    if (code < 0) code = 0xfffd;
    if (code >= 0x10000) {
        code -= 0x10000;
        ae_bytes_printf(out, "\\u%04x", 0xd800 + (unsigned)(code >> 10));
        code = 0xdc00 + (code & 0x3ff);
    }
    ae_bytes_printf(out, "\\u%04x", (unsigned)code);
}

/* Bytes at the beginning that are written as they are. */
static size_t plain_run(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && text[n] >= 32 && text[n] < 127 && text[n] != '"' && text[n] != '\\') n++;
    return n;
}

void python_json_text(ae_bytes *out, ae_span text)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";

    ae_bytes_add_char(out, '"');
    for (size_t at = 0; at < text.len;) {
        size_t n = plain_run(text.data + at, text.len - at);
        const char *special;
        int32_t code;
        ae_bytes_add(out, text.data + at, n);
        at += n;
        if (at == text.len) break;
        code = ae_utf8_next(text, &at);
        special = code > 0 && code < 128 ? strchr(from, code) : NULL;
        if (special)
            ae_bytes_printf(out, "\\%c", to[special - from]);
        else
            put_escape(out, code);
    }
    ae_bytes_add_char(out, '"');
}
