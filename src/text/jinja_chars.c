/* jinja_chars.c -- Python's view of characters: white space, letters, case. */
#define _GNU_SOURCE /* memmem */
#include "text/jinja_chars.h"
#include "text/utf8.h"

#include <string.h>
#include <utf8proc.h>

bool jinja_is_space(int32_t c)
{
    if (c < 128) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

size_t jinja_space_prefix(ae_span text)
{
    size_t at = 0;
    while (at < text.len) {
        size_t next = at;
        if (!jinja_is_space(ae_utf8_next(text, &next))) break;
        at = next;
    }
    return at;
}

static bool is_in(int32_t code, ae_span chars)
{
    for (size_t at = 0; at < chars.len;)
        if (ae_utf8_next(chars, &at) == code) return true;
    return false;
}

/* Where the character that ends at `end` begins. */
static size_t char_before(ae_span text, size_t end)
{
    size_t start = end - 1;
    while (start > 0 && end - start < 4 && ((unsigned char)text.data[start] & 0xc0) == 0x80)
        start--;
    return start;
}

static bool is_stripped(int32_t code, const ae_span *chars)
{
    return chars ? is_in(code, *chars) : jinja_is_space(code);
}

static ae_span strip(ae_span text, const ae_span *chars, bool left, bool right)
{
    while (left && text.len) {
        size_t at = 0;
        if (!is_stripped(ae_utf8_next(text, &at), chars)) break;
        text.data += at;
        text.len -= at;
    }
    while (right && text.len) {
        size_t start = char_before(text, text.len), at = start;
        if (!is_stripped(ae_utf8_next(text, &at), chars) || at != text.len) break;
        text.len = start;
    }
    return text;
}

ae_span jinja_strip(ae_span text, bool left, bool right)
{
    return strip(text, NULL, left, right);
}

ae_span jinja_strip_chars(ae_span text, ae_span chars, bool left, bool right)
{
    return strip(text, &chars, left, right);
}

size_t jinja_char_count(ae_span text)
{
    size_t n = 0;
    for (size_t at = 0; at < text.len; n++) ae_utf8_next(text, &at);
    return n;
}

size_t jinja_char_offset(ae_span text, size_t index)
{
    size_t at = 0;
    while (index-- > 0 && at < text.len) ae_utf8_next(text, &at);
    return at;
}

size_t jinja_find_text(ae_span text, ae_span part, size_t from)
{
    if (from > text.len) return SIZE_MAX;
    if (part.len == 0) return from;
    const char *found = memmem(text.data + from, text.len - from, part.data, part.len);
    return found ? (size_t)(found - text.data) : SIZE_MAX;
}

static bool is_ascii_upper(int32_t code)
{
    return code >= 'A' && code <= 'Z';
}

static bool is_ascii_lower(int32_t code)
{
    return code >= 'a' && code <= 'z';
}

bool jinja_is_alpha(int32_t code)
{
    if (code < 128) return is_ascii_upper(code) || is_ascii_lower(code);
    utf8proc_category_t c = utf8proc_category(code);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool jinja_is_digit(int32_t code)
{
    if (code < 128) return code >= '0' && code <= '9';
    return utf8proc_category(code) == UTF8PROC_CATEGORY_ND;
}

bool jinja_is_upper(int32_t code)
{
    if (code < 128) return is_ascii_upper(code);
    utf8proc_category_t c = utf8proc_category(code);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LT;
}

bool jinja_is_lower(int32_t code)
{
    if (code < 128) return is_ascii_lower(code);
    return utf8proc_category(code) == UTF8PROC_CATEGORY_LL;
}

bool jinja_is_printable(int32_t code)
{
    if (code == ' ') return true;
    utf8proc_category_t c = utf8proc_category(code);
    return c != UTF8PROC_CATEGORY_CN && c < UTF8PROC_CATEGORY_ZS;
}

static void put_code(ae_bytes *out, int32_t code)
{
    char buffer[4];
    ae_bytes_add(out, buffer, ae_utf8_put(code, buffer));
}

/* The sharp s is the one common letter whose capital is two letters. */
static void put_upper(ae_bytes *out, int32_t code, bool title)
{
    if (code == 0xdf)
        ae_bytes_add_text(out, title ? "Ss" : "SS");
    else
        put_code(out, title ? utf8proc_totitle(code) : utf8proc_toupper(code));
}

static void put_one(ae_bytes *out, int32_t code, jinja_case how, bool starts, bool after_letter)
{
    bool raise = how == JINJA_UPPER || (how == JINJA_CAPITAL && starts) ||
                 (how == JINJA_TITLE && !after_letter) ||
                 (how == JINJA_SWAP && jinja_is_lower(code));
    if (code >= 0 && code < 128) {
        bool lowers = !raise && is_ascii_upper(code), raises = raise && is_ascii_lower(code);
        ae_bytes_add_char(out, (char)(lowers || raises ? code ^ 32 : code));
    } else if (raise) {
        put_upper(out, code, how == JINJA_CAPITAL || how == JINJA_TITLE);
    } else {
        put_code(out, utf8proc_tolower(code));
    }
}

void jinja_put_case(ae_bytes *out, ae_span text, jinja_case how)
{
    bool after_letter = false;
    for (size_t at = 0; at < text.len;) {
        bool starts = at == 0;
        int32_t code = ae_utf8_next(text, &at);
        put_one(out, code, how, starts, after_letter);
        after_letter = jinja_is_upper(code) || jinja_is_lower(code);
    }
}
