/* alloc.h -- the only door to malloc, with sizes that cannot wrap. */
#ifndef AE_ALLOC_H
#define AE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for `count` things of `size` bytes, 64-byte aligned; NULL when there is no room or
 * the product wraps. A count of 0 gives a valid pointer. Free with ae_free(). */
void *ae_alloc(size_t count, size_t size);

/* Grows or shrinks a block of ae_alloc() (NULL: a new one) from `old_count` to `count` things.
 * New bytes are zero. On failure NULL, and the old block is untouched. */
void *ae_realloc(void *block, size_t old_count, size_t count, size_t size);

void ae_free(void *block); /* NULL is fine */

/* A copy of `len` bytes with a '\0' after them; NULL when there is no room. */
char *ae_strndup(const char *text, size_t len);
char *ae_strdup(const char *text);

/* *out = a + b, or a * b; false when it does not fit. */
static inline bool ae_add_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool ae_mul_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* A large zeroed block straight from the system, page-aligned; NULL when there is no room. It costs
 * memory only where it is written. Counted with the rest. Free with ae_pages_free() and the same
 * size. */
void *ae_pages_take(size_t bytes);
/* Brings the pages of a part of such a block into memory, about to be written: at once costs less
 * than one after another at first touch. Does nothing where the system cannot. */
void ae_pages_touch(void *part, size_t bytes);
void ae_pages_free(void *pages, size_t bytes); /* NULL is fine */

/* For the out-of-memory tests: the n-th allocation from now on fails (1: the next); 0: none.
 * Covers every allocation of base, arenas and pages included. */
void ae_alloc_fail_at(long n);
/* True when the failure asked for has happened. */
bool ae_alloc_has_failed(void);

/* Bytes now held through ae_alloc() and ae_pages_take(), and the most ever held. */
size_t ae_alloc_bytes(void);
size_t ae_alloc_peak_bytes(void);

#endif
