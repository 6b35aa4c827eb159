/* snappy.c -- Snappy's raw format (google/snappy, format_description.txt): the size of the text,
 * then literals and copies of what was written before. */
#include "format/parquet.h"

#include <string.h>

typedef struct {
    const uint8_t *at, *end;
    uint8_t *out;
    size_t done, want;
} unpacking;

static bool read_size(unpacking *u)
{
    uint64_t size = 0;

    for (int shift = 0; shift < 35 && u->at < u->end; shift += 7) {
        uint8_t b = *u->at++;
        size |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return size == u->want;
    }
    return false;
}

/* n bytes, little-endian. */
static bool read_number(unpacking *u, size_t n, size_t *out)
{
    if ((size_t)(u->end - u->at) < n) return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) *out |= (size_t)u->at[i] << (8 * i);
    u->at += n;
    return true;
}

/* Lengths of 60 and more follow the tag, in 1 to 4 bytes. */
static bool literal(unpacking *u, uint8_t tag)
{
    size_t len = tag >> 2;

    if (len >= 60 && !read_number(u, len - 59, &len)) return false;
    len++;
    if (len > (size_t)(u->end - u->at) || len > u->want - u->done) return false;
    memcpy(u->out + u->done, u->at, len);
    u->at += len;
    u->done += len;
    return true;
}

/* A copy may overlap what it writes: a pattern is repeated so. */
static bool copy(unpacking *u, size_t offset, size_t len)
{
    if (offset == 0 || offset > u->done || len > u->want - u->done) return false;
    for (size_t i = 0; i < len; i++, u->done++) u->out[u->done] = u->out[u->done - offset];
    return true;
}

static bool element(unpacking *u)
{
    uint8_t tag = *u->at++;
    size_t low;

    switch (tag & 3) {
    case 0:
        return literal(u, tag);
    case 1:
        return read_number(u, 1, &low) &&
               copy(u, low | (size_t)(tag >> 5) << 8, 4 + ((tag >> 2) & 7));
    case 2:
        return read_number(u, 2, &low) && copy(u, low, 1 + (tag >> 2));
    default:
        return read_number(u, 4, &low) && copy(u, low, 1 + (tag >> 2));
    }
}

bool ae_snappy_unpack(uint8_t *out, size_t want, const uint8_t *data, size_t size)
{
    unpacking u = { .at = data, .end = data + size, .out = out, .want = want };

    if (!read_size(&u)) return false;
    while (u.at < u.end)
        if (!element(&u)) return false;
    return u.done == want;
}
