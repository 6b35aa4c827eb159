/* name.c -- what is a name, by Ollama's rules, so that none can lead out of the store. */
#include "hub/store.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char default_host[] = "registry.ollama.ai", default_space[] = "library",
                  default_tag[] = "latest";

static bool is_plain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Copies a part into out[size] when it is one: its first character is plain, so neither ".." nor an
 * option is a part; the others may be '-' and those of `also`. */
static bool take_part(char *out, size_t size, const char *text, size_t len, const char *also)
{
    if (!len || len >= size || !is_plain_char(text[0])) return false;
    for (size_t i = 1; i < len; i++)
        if (!is_plain_char(text[i]) && text[i] != '-' && !strchr(also, text[i])) return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* The scheme says how to reach the host; only http is worth a note. */
static const char *skip_scheme(ae_name *out, const char *text)
{
    if (!strncmp(text, "https://", 8)) return text + 8;
    if (strncmp(text, "http://", 7)) return text;
    out->plain_http = true;
    return text + 7;
}

/* The last character `c` of text[len], or NULL. */
static const char *find_last(const char *text, size_t len, char c)
{
    for (size_t i = len; i > 0; i--)
        if (text[i - 1] == c) return text + i - 1;
    return NULL;
}

static bool take_tag(ae_name *out, const char *text, size_t *len)
{
    const char *slash = find_last(text, *len, '/'), *colon = find_last(text, *len, ':');
    size_t at;

    strcpy(out->tag, default_tag);
    if (!colon || (slash && slash > colon)) return true;
    at = (size_t)(colon - text);
    if (!take_part(out->tag, sizeof out->tag, colon + 1, *len - at - 1, ".")) return false;
    *len = at;
    return true;
}

bool ae_name_parse(ae_name *out, const char *text)
{
    const char *slash;
    size_t len, at;

    *out = (ae_name){ 0 };
    text = skip_scheme(out, text);
    len = strlen(text);
    strcpy(out->host, default_host);
    strcpy(out->space, default_space);
    if (len >= AE_NAME_TEXT || !take_tag(out, text, &len)) return false;
    slash = find_last(text, len, '/');
    at = slash ? (size_t)(slash - text) + 1 : 0;
    if (!take_part(out->model, sizeof out->model, text + at, len - at, ".")) return false;
    if (!slash) return true;
    len = at - 1;
    slash = find_last(text, len, '/');
    at = slash ? (size_t)(slash - text) + 1 : 0;
    if (!take_part(out->space, sizeof out->space, text + at, len - at, "")) return false;
    return !slash || take_part(out->host, sizeof out->host, text, at - 1, ".:");
}

void ae_name_full(const ae_name *name, char out[AE_NAME_TEXT])
{
    snprintf(out, AE_NAME_TEXT, "%s/%s/%s:%s", name->host, name->space, name->model, name->tag);
}

void ae_name_short(const ae_name *name, char out[AE_NAME_TEXT])
{
    if (strcasecmp(name->host, default_host) != 0)
        ae_name_full(name, out);
    else if (strcasecmp(name->space, default_space) != 0)
        snprintf(out, AE_NAME_TEXT, "%s/%s:%s", name->space, name->model, name->tag);
    else
        snprintf(out, AE_NAME_TEXT, "%s:%s", name->model, name->tag);
}
