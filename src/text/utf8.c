/* utf8.c -- UTF-8 in and out. */
#include "text/utf8.h"

#include <string.h>

/* What a first byte promises: how many bytes follow it and the range of the second one, which
 * alone keeps out overlong forms, surrogates and code points past U+10FFFF (Unicode, table 3-7). */
typedef struct {
    int more;
    uint8_t low, high;
} lead;

static lead lead_of(uint8_t byte)
{
    if (byte >= 0xc2 && byte <= 0xdf) return (lead){ 1, 0x80, 0xbf };
    if (byte == 0xe0) return (lead){ 2, 0xa0, 0xbf };
    if (byte == 0xed) return (lead){ 2, 0x80, 0x9f };
    if (byte >= 0xe1 && byte <= 0xef) return (lead){ 2, 0x80, 0xbf };
    if (byte == 0xf0) return (lead){ 3, 0x90, 0xbf };
    if (byte >= 0xf1 && byte <= 0xf3) return (lead){ 3, 0x80, 0xbf };
    if (byte == 0xf4) return (lead){ 3, 0x80, 0x8f };
    return (lead){ 0 };
}

/* Reads what begins at `at`: *code is the code point or -1, *unfinished tells that the text ended
 * inside a sequence that was good so far. Returns how many bytes belong to it. */
static size_t read_one(ae_span text, size_t at, int32_t *code, bool *unfinished)
{
    const uint8_t *bytes = (const uint8_t *)text.data + at;
    size_t left = text.len - at;
    lead first = lead_of(bytes[0]);
    int32_t value;

    *unfinished = false;
    *code = bytes[0];
    if (bytes[0] < 0x80) return 1;
    *code = -1;
    if (first.more == 0) return 1;
    value = bytes[0] & (0x3f >> first.more);
    for (int i = 1; i <= first.more; i++) {
        if ((size_t)i == left) {
            *unfinished = true;
            return left;
        }
        if (bytes[i] < first.low || bytes[i] > first.high) return (size_t)i;
        value = value << 6 | (bytes[i] & 0x3f);
        first.low = 0x80;
        first.high = 0xbf;
    }
    *code = value;
    return (size_t)first.more + 1;
}

int32_t ae_utf8_next(ae_span text, size_t *at)
{
    int32_t code;
    bool unfinished;

    *at += read_one(text, *at, &code, &unfinished);
    return code;
}

size_t ae_utf8_put(int32_t code, char out[4])
{
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) code = 0xfffd;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t ae_utf8_complete(ae_span text)
{
    /* An unfinished sequence has at most three bytes: look for its first byte from the end. */
    for (size_t back = 1; back <= 3 && back <= text.len; back++) {
        size_t at = text.len - back;
        int32_t code;
        bool unfinished;

        if (((uint8_t)text.data[at] & 0xc0) == 0x80) continue;
        if (read_one(text, at, &code, &unfinished) == back && unfinished) return at;
        break;
    }
    return text.len;
}

bool ae_utf8_valid(ae_span text)
{
    size_t at = 0;

    while (at < text.len)
        if (ae_utf8_next(text, &at) < 0) return false;
    return true;
}
