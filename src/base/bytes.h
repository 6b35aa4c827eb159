/* bytes.h -- a growing run of bytes, and a borrowed one. */
#ifndef AE_BYTES_H
#define AE_BYTES_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed text or bytes; not '\0'-terminated. */
typedef struct {
    const char *data;
    size_t len;
} ae_span;

/* Owned. A zeroed ae_bytes is valid and empty. `data` is always followed by '\0' once non-NULL.
 * Growth fails softly: `failed` sticks, later appends do nothing, and the caller looks once. */
typedef struct {
    char *data;
    size_t len, cap;
    bool failed;
} ae_bytes;

void ae_bytes_free(ae_bytes *b);
void ae_bytes_clear(ae_bytes *b); /* len = 0, keeps the memory */
bool ae_bytes_reserve(ae_bytes *b, size_t extra);
void ae_bytes_add(ae_bytes *b, const void *data, size_t len);
void ae_bytes_add_text(ae_bytes *b, const char *text);
void ae_bytes_add_char(ae_bytes *b, char c);
void ae_bytes_printf(ae_bytes *b, const char *format, ...) AERIE_PRINTF(2, 3);
/* AERIE_NO_MEMORY with a sentence when an append has failed, else AERIE_OK. */
aerie_status ae_bytes_status(const ae_bytes *b, aerie_error *err);

static inline ae_span ae_span_of(const ae_bytes *b)
{
    return (ae_span){ b->data, b->len };
}
ae_span ae_span_text(const char *text);
bool ae_span_equal(ae_span a, ae_span b);
bool ae_span_is(ae_span a, const char *text);

/* A growing run of int32, for token ids. Same rules as ae_bytes. */
typedef struct {
    int32_t *data;
    size_t len, cap;
    bool failed;
} ae_ids;

void ae_ids_free(ae_ids *ids);
void ae_ids_clear(ae_ids *ids);
void ae_ids_add(ae_ids *ids, int32_t id);
void ae_ids_add_all(ae_ids *ids, const int32_t *more, size_t n);
aerie_status ae_ids_status(const ae_ids *ids, aerie_error *err);

/* The word of `candidates` (n of them) nearest to `word` by edit distance, or NULL when none is
 * near enough to be a likely slip: for "unknown key 'lerning_rate'; did you mean ...". */
const char *ae_nearest(const char *word, const char *const *candidates, size_t n);

#endif
