/* charclass.c -- classes of characters, by Unicode's general categories. */
#include "text/charclass.h"

#include <utf8proc.h>

static ae_char_class ascii_class(int32_t code)
{
    if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z')) return AE_CHAR_LETTER;
    if (code >= '0' && code <= '9') return AE_CHAR_NUMBER;
    if (code == '\n' || code == '\r') return AE_CHAR_NEWLINE;
    if (code == ' ' || code == '\t' || code == '\v' || code == '\f') return AE_CHAR_SPACE;
    return AE_CHAR_OTHER;
}

ae_char_class ae_char_class_of(int32_t code)
{
    if (code < 0) return AE_CHAR_OTHER;
    if (code < 0x80) return ascii_class(code);
    if (code == 0x85) return AE_CHAR_SPACE; /* NEL has White_Space but is a control */
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return AE_CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return AE_CHAR_NUMBER;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return AE_CHAR_SPACE;
    default:
        return AE_CHAR_OTHER;
    }
}

ae_char_class ae_char_next(ae_span text, size_t at, size_t *end)
{
    uint8_t byte = (uint8_t)text.data[at];

    *end = at;
    if (byte >= 0x80) return ae_char_class_of(ae_utf8_next(text, end));
    *end = at + 1;
    return ascii_class(byte);
}

bool ae_char_is_word(int32_t code)
{
    ae_char_class class = ae_char_class_of(code);

    if (class == AE_CHAR_LETTER || class == AE_CHAR_NUMBER) return true;
    if (code < 0x80) return code == '_';
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return false;
    }
}
