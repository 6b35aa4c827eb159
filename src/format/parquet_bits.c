/* parquet_bits.c -- small integers as Parquet packs them: runs, and differences. */
#include "format/parquet.h"

#include <string.h>

/* `width` (at most 64) bits from bit `at` on, lowest first. The caller has checked the end. */
static uint64_t bits(const uint8_t *data, uint64_t at, int width)
{
    uint64_t value = 0;
    int have = 0;

    for (data += at / 8, at %= 8; have < width; data++, at = 0) {
        value |= (uint64_t)(*data >> at) << have;
        have += 8 - (int)at;
    }
    return width < 64 ? value & (((uint64_t)1 << width) - 1) : value;
}

static uint64_t varint(const uint8_t **at, const uint8_t *end, bool *bad)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t b = *(*at)++;
        value |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return value;
    }
    *bad = true;
    return 0;
}

/* ---- runs ---- */

ae_runs ae_runs_over(const uint8_t *data, size_t size, int width)
{
    return (ae_runs){ .at = data, .end = data + size, .width = width, .bad = width > 32 };
}

/* The header's lowest bit: packed, in groups of eight; else one value again and again. */
static void next_run(ae_runs *r)
{
    size_t bytes = ((size_t)r->width + 7) / 8;
    uint64_t head;

    if (r->packed) r->at += r->bit / 8;
    r->bit = 0;
    r->packed = false;
    head = varint(&r->at, r->end, &r->bad);
    r->packed = head & 1;
    if (r->bad) return;
    if (r->packed) {
        /* The last run may be cut short of its groups' padding. */
        uint64_t most = r->width ? (uint64_t)(r->end - r->at) * 8 / (uint64_t)r->width : UINT32_MAX;
        uint64_t n = head >> 1 > UINT32_MAX / 8 ? UINT32_MAX : (head >> 1) * 8;
        r->left = n < most ? n : most;
        r->bad = r->left == 0;
        return;
    }
    r->left = head >> 1;
    r->bad = r->left == 0 || bytes > (size_t)(r->end - r->at);
    if (r->bad) return;
    r->value = (uint32_t)bits(r->at, 0, (int)bytes * 8);
    r->at += bytes;
}

uint32_t ae_runs_next(ae_runs *r)
{
    uint32_t value;

    if (r->width == 0) return 0;
    if (!r->bad && r->left == 0) next_run(r);
    if (r->bad) return 0;
    r->left--;
    if (!r->packed) return r->value;
    value = (uint32_t)bits(r->at, r->bit, r->width);
    r->bit += (uint64_t)r->width;
    return value;
}

/* ---- differences ---- */

static uint64_t unzigzag(uint64_t v)
{
    return (v >> 1) ^ (~(v & 1) + 1);
}

enum { MOST_IN_BLOCK = 1 << 16 };

ae_deltas ae_deltas_over(const uint8_t *data, size_t size)
{
    ae_deltas d = { .at = data, .end = data + size, .first = true };
    uint64_t n_mini;

    d.block = varint(&d.at, d.end, &d.bad);
    n_mini = varint(&d.at, d.end, &d.bad);
    d.left = varint(&d.at, d.end, &d.bad);
    d.value = unzigzag(varint(&d.at, d.end, &d.bad));
    if (d.block == 0 || d.block > MOST_IN_BLOCK || n_mini == 0 || n_mini > d.block / 8)
        d.bad = true;
    if (d.bad) return d;
    d.n_mini = d.mini = (int)n_mini;
    d.mini_size = d.block / n_mini;
    d.bad = d.mini_size % 8 != 0;
    return d;
}

static void next_block(ae_deltas *d)
{
    d->min_delta = unzigzag(varint(&d->at, d->end, &d->bad));
    if (d->bad || d->n_mini > d->end - d->at) {
        d->bad = true;
        return;
    }
    d->widths = d->at;
    d->at += d->n_mini;
    d->mini = 0;
}

/* Only mini-blocks that hold values have bytes. */
static void next_mini(ae_deltas *d)
{
    size_t bytes;

    if (d->mini == d->n_mini) next_block(d);
    if (d->bad) return;
    d->width = d->widths[d->mini++];
    bytes = (size_t)d->mini_size / 8 * (size_t)d->width;
    d->bad = d->width > 64 || bytes > (size_t)(d->end - d->at);
    if (d->bad) return;
    d->in_mini = d->mini_size;
    d->bit = 0;
    d->at += bytes;
}

int64_t ae_deltas_next(ae_deltas *d)
{
    if (d->left == 0) d->bad = true;
    if (d->bad) return 0;
    d->left--;
    if (d->first) {
        d->first = false;
        return (int64_t)d->value;
    }
    if (d->in_mini == 0) next_mini(d);
    if (d->bad) return 0;
    const uint8_t *mini = d->at - d->mini_size / 8 * (uint64_t)d->width;
    d->value += d->min_delta + (d->width ? bits(mini, d->bit, d->width) : 0);
    d->bit += (uint64_t)d->width;
    d->in_mini--;
    return (int64_t)d->value;
}

const uint8_t *ae_deltas_end(ae_deltas d)
{
    while (d.left && !d.bad) ae_deltas_next(&d);
    return d.bad ? d.end : d.at;
}
