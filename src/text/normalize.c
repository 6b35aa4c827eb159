/* normalize.c -- normalisation that leaves untouched text where it lies, and remembers where each
 * byte came from. */
#include "text/normalize.h"

#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { LONG_CHUNK = 128, MOST_CHUNK = 1024 }; /* bytes */

void ae_normalized_free(ae_normalized *n)
{
    ae_bytes_free(&n->text);
    ae_ids_free(&n->origin);
}

/* Appends text[begin, end) as it is. */
static void keep(ae_normalized *n, bool want_origin, ae_span text, size_t begin, size_t end)
{
    ae_bytes_add(&n->text, text.data + begin, end - begin);
    for (size_t i = begin; want_origin && i < end; i++) ae_ids_add(&n->origin, (int32_t)i);
}

/* Appends what comes in place of the bytes at `begin`. */
static void replace(ae_normalized *n, bool want_origin, size_t begin, const void *with, size_t len)
{
    ae_bytes_add(&n->text, with, len);
    for (size_t i = 0; want_origin && i < len; i++) ae_ids_add(&n->origin, (int32_t)begin);
}

/* Scripts whose characters NFC leaves alone whatever follows from this same list: Latin, the CJK
 * ideographs, kana without the sound marks, Hangul syllables, general punctuation. */
static bool is_inert(int32_t code)
{
    if (code < 0x300) return code >= 0;
    if (code >= 0x400 && code < 0x483) return true; /* Cyrillic letters */
    if (code >= 0x2010 && code < 0x2028) return true;
    if (code >= 0x3001 && code < 0x302a) return true;
    if (code >= 0x3041 && code < 0x3097) return true;
    if (code >= 0x30a1 && code < 0x30fb) return true;
    return (code >= 0x4e00 && code < 0xa000) || (code >= 0xac00 && code < 0xd7a4) ||
           (code >= 0xff01 && code < 0xff5f);
}

/* The end of the stretch from `at` that NFC leaves alone for sure. */
static size_t inert_until(ae_span text, size_t at)
{
    size_t safe = at; /* behind the last ASCII character that a mark cannot change any more */

    while (at < text.len) {
        size_t here = at;
        int32_t code = ae_utf8_next(text, &at);

        if (!is_inert(code)) return safe;
        safe = here; /* the character before this one is done; this one may yet take a mark */
    }
    return text.len;
}

/* Whether nothing before this character can change it or be changed by it: no mark, and no vowel or
 * final consonant of a Hangul syllable written in parts. */
static bool begins_anew(int32_t code)
{
    if (code >= 0x1160 && code < 0x1200) return false;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return false;
    default:
        return true;
    }
}

/* The end of the stretch from `at` that is normalised as one: up to an ASCII character or
 * ill-formed byte, or in a long stretch any character that begins anew. Marks without end are cut
 * anywhere: sorting them costs their number squared. */
static size_t chunk_until(ae_span text, size_t at)
{
    size_t begin = at;

    if (ae_utf8_next(text, &at) < 0) return at;
    while (at < text.len && (uint8_t)text.data[at] >= 0x80 && at - begin < MOST_CHUNK) {
        size_t here = at;
        int32_t code = ae_utf8_next(text, &at);

        if (code < 0 || (here - begin >= LONG_CHUNK && begins_anew(code))) return here;
    }
    return at;
}

static void compose(ae_normalized *n, bool want_origin, ae_span text, size_t begin, size_t end)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t len =
        utf8proc_map((const utf8proc_uint8_t *)text.data + begin, (utf8proc_ssize_t)(end - begin),
                     &composed, UTF8PROC_STABLE | UTF8PROC_COMPOSE);

    if (len == UTF8PROC_ERROR_NOMEM)
        n->text.failed = true;
    else if (len < 0 ||
             ((size_t)len == end - begin && memcmp(composed, text.data + begin, end - begin) == 0))
        keep(n, want_origin, text, begin, end); /* ill-formed bytes stay as they are */
    else
        replace(n, want_origin, begin, composed, (size_t)len);
    free(composed);
}

static void add_nfc(ae_normalized *n, bool want_origin, ae_span text)
{
    size_t at = 0;

    while (at < text.len) {
        size_t end = inert_until(text, at);

        keep(n, want_origin, text, at, end);
        at = end;
        if (at == text.len) break;
        end = chunk_until(text, at);
        compose(n, want_origin, text, at, end);
        at = end;
    }
}

static bool ends_with(const ae_bytes *text, const char *end, size_t len)
{
    return text->len >= len && memcmp(text->data + text->len - len, end, len) == 0;
}

/* Takes spaces and, as SentencePiece does, the marks that stand for them from the end. */
static void trim_end(ae_normalized *n)
{
    size_t len = n->text.len;

    while (n->text.len > 0) {
        if (ends_with(&n->text, " ", 1))
            n->text.len--;
        else if (ends_with(&n->text, "\xe2\x96\x81", 3))
            n->text.len -= 3;
        else
            break;
    }
    if (n->text.len < len) n->text.data[n->text.len] = '\0';
    if (n->origin.len > n->text.len) n->origin.len = n->text.len;
}

/* Spaces at the ends go, runs of them become one. */
static void squeeze(ae_normalized *n, ae_span text, const ae_normalizing *how)
{
    bool after_space = how->at_start;

    for (size_t i = 0; i < text.len; i++) {
        bool space = text.data[i] == ' ';

        if (!space || !after_space) keep(n, how->want_origin, text, i, i + 1);
        after_space = space;
    }
    if (how->at_end) trim_end(n);
}

static bool only_spaces(ae_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != ' ') return false;
    return text.len > 0;
}

aerie_status ae_normalize(ae_normalized *n, ae_span text, ae_normalizing how, ae_span *out,
                          bool *changed, aerie_error *err)
{
    bool compose_it = how.nfc && inert_until(text, 0) < text.len;
    aerie_status status;

    *out = text;
    *changed = how.prefix || how.squeeze || compose_it;
    if (!*changed) return AERIE_OK;
    ae_bytes_clear(&n->text);
    ae_ids_clear(&n->origin);
    if (how.prefix && !(how.squeeze && only_spaces(text))) replace(n, how.want_origin, 0, " ", 1);
    if (how.squeeze)
        squeeze(n, text, &how);
    else if (compose_it)
        add_nfc(n, how.want_origin, text);
    else
        keep(n, how.want_origin, text, 0, text.len);
    *out = ae_span_of(&n->text);
    status = ae_bytes_status(&n->text, err);
    return status ? status : ae_ids_status(&n->origin, err);
}
