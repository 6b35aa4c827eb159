/* name.c -- what is a name, so that none can lead out of the store. */
#include "hub/name.h"

#include <string.h>

enum { LONGEST_NAME = 200 };

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* One part between slashes; no part begins with '.', so neither "." nor ".." is one. */
static bool is_part(const char *text, size_t len)
{
    if (!len || text[0] == '.') return false;
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(text[i])) return false;
    return true;
}

bool ae_name_parse(ae_name *out, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);

    if (strlen(text) > LONGEST_NAME) return false;
    out->name = (ae_span){ text, len };
    out->tag = ae_span_text(colon ? colon + 1 : "latest");
    if (!is_part(out->tag.data, out->tag.len)) return false;
    for (size_t at = 0; at <= len;) {
        const char *slash = memchr(text + at, '/', len - at);
        size_t part = slash ? (size_t)(slash - text) - at : len - at;
        if (!is_part(text + at, part)) return false;
        at += part + 1;
    }
    return true;
}

bool ae_hub_is_name(const char *text)
{
    ae_name name;

    return ae_name_parse(&name, text);
}
