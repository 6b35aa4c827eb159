/* text.c -- a growing string, and the few questions about words that scoring asks of one. */
#include "nursery.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void reserve(nu_text *t, size_t more)
{
    size_t need = t->len + more + 1;

    if (need <= t->cap) return;
    t->cap = need * 2;
    t->data = realloc(t->data, t->cap);
    if (!t->data) nu_die("out of memory");
}

void nu_text_put(nu_text *t, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    size_t n = (size_t)vsnprintf(NULL, 0, format, args);
    reserve(t, n);
    vsnprintf(t->data + t->len, n + 1, format, again);
    t->len += n;
    va_end(again);
    va_end(args);
}

void nu_text_clear(nu_text *t)
{
    t->len = 0;
    if (t->data) t->data[0] = '\0';
}

void nu_text_free(nu_text *t)
{
    free(t->data);
    *t = (nu_text){ 0 };
}

const char *nu_text_str(const nu_text *t)
{
    return t->data ? t->data : "";
}

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) != 0;
}

size_t nu_text_find_word(const char *text, const char *word, size_t from)
{
    size_t n = strlen(word), len = strlen(text);

    if (!n) return SIZE_MAX;
    for (size_t i = from; i + n <= len; i++) {
        bool fresh = i == 0 || !is_letter(text[i - 1]) || !is_letter(word[0]);
        bool over = !is_letter(text[i + n]) || !is_letter(word[n - 1]);
        if (fresh && over && strncasecmp(text + i, word, n) == 0) return i;
    }
    return SIZE_MAX;
}

bool nu_text_has_word(const char *text, const char *word)
{
    return nu_text_find_word(text, word, 0) != SIZE_MAX;
}

static size_t trimmed_len(const char *text)
{
    size_t n = strlen(text);

    while (n && isspace((unsigned char)text[n - 1])) n--;
    return n;
}

bool nu_text_ends_with(const char *text, const char *end)
{
    size_t n = trimmed_len(text), m = trimmed_len(end);

    return m && n >= m && strncmp(text + n - m, end, m) == 0;
}

bool nu_text_begins_with(const char *text, const char *begin)
{
    size_t m = trimmed_len(begin);

    while (isspace((unsigned char)*text)) text++;
    return m && strncmp(text, begin, m) == 0;
}

size_t nu_text_count_words(const char *text)
{
    size_t n = 0;

    for (bool in = false; *text; text++) {
        if (!in && is_letter(*text)) n++;
        in = is_letter(*text) || (in && *text == '\'');
    }
    return n;
}

size_t nu_text_count_sentences(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        if (strchr(".!?", *text) && (text[1] == '\0' || isspace((unsigned char)text[1]))) n++;
    return n;
}

char *nu_text_trim(const char *text)
{
    while (isspace((unsigned char)*text)) text++;
    char *copy = strndup(text, trimmed_len(text));
    if (!copy) nu_die("out of memory");
    return copy;
}
