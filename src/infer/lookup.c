/* lookup.c -- an index of pairs and triples of tokens, extended as the text grows. */
#include "infer/lookup.h"

#include <string.h>

enum {
    LEAST_BITS = 10,
    MOST_BITS = 15,
    FIRST_ROOM = 256,
    CANDIDATES = 16 /* earlier places of a triple that are looked at */
};

bool ae_lookup_open(ae_lookup *l, int64_t expected)
{
    int bits = LEAST_BITS;
    while (bits < MOST_BITS && (INT64_C(1) << bits) / 2 < expected) bits++;
    size_t n = (size_t)1 << bits;
    *l = (ae_lookup){ .bits = bits };
    l->triples = ae_alloc(2 * n, sizeof *l->triples);
    if (!l->triples) return false;
    l->pairs = l->triples + n;
    memset(l->triples, 0xff, 2 * n * sizeof *l->triples);
    return true;
}

void ae_lookup_free(ae_lookup *l)
{
    ae_free(l->triples);
    ae_free(l->earlier);
    *l = (ae_lookup){ 0 };
}

static size_t slot_of(const ae_lookup *l, int32_t a, int32_t b, int32_t c)
{
    uint64_t key = (uint64_t)(uint32_t)a << 42 ^ (uint64_t)(uint32_t)b << 21 ^ (uint32_t)c;
    return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - l->bits));
}

/* The tokens before `at`; pairs are told from triples by an id that is none. */
static size_t triple_before(const ae_lookup *l, const int32_t *ids, int64_t at)
{
    return slot_of(l, ids[at - 3], ids[at - 2], ids[at - 1]);
}
static size_t pair_before(const ae_lookup *l, const int32_t *ids, int64_t at)
{
    return slot_of(l, -1, ids[at - 2], ids[at - 1]);
}

static bool make_room(ae_lookup *l, int64_t n)
{
    int64_t room = l->room > 0 ? l->room : FIRST_ROOM;
    if (n > INT32_MAX) return false;
    while (room < n) room *= 2;
    if (room == l->room) return true;
    int32_t *grown = ae_realloc(l->earlier, (size_t)l->room, (size_t)room, sizeof *grown);
    if (!grown) return false;
    l->earlier = grown;
    l->room = room;
    return true;
}

static void extend(ae_lookup *l, const int32_t *ids, int64_t n)
{
    for (int64_t at = l->indexed; at < n; at++) {
        l->earlier[at] = -1;
        if (at >= 2) l->pairs[pair_before(l, ids, at)] = (int32_t)at;
        if (at < 3) continue;
        int32_t *head = &l->triples[triple_before(l, ids, at)];
        l->earlier[at] = *head;
        *head = (int32_t)at;
    }
    l->indexed = n;
}

static void consider(ae_match *best, int64_t at, const int32_t *ids, int64_t n)
{
    int64_t length = 0;
    if (at < 1 || at >= n) return;
    while (length < AE_MATCH_MOST && length < at && ids[at - 1 - length] == ids[n - 1 - length])
        length++;
    if (length > best->length && length >= AE_MATCH_LEAST) *best = (ae_match){ at, length };
}

ae_match ae_lookup_find(ae_lookup *l, const int32_t *ids, int64_t n)
{
    ae_match best = { 0, 0 };
    if (!l->triples || n <= AE_MATCH_LEAST || !make_room(l, n)) return best;
    extend(l, ids, n);
    /* A quotation goes on where it went on before. */
    if (l->distance > 0) consider(&best, n - l->distance, ids, n);
    int32_t at = n >= 3 ? l->triples[triple_before(l, ids, n)] : -1;
    for (int i = 0; i < CANDIDATES && at >= 0; i++, at = l->earlier[at])
        consider(&best, at, ids, n);
    if (best.length == 0) consider(&best, l->pairs[pair_before(l, ids, n)], ids, n);
    l->distance = best.length > 0 ? n - best.at : 0;
    return best;
}

void ae_match_copy(ae_match m, const int32_t *ids, int64_t n, int32_t *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) out[i] = m.at + i < n ? ids[m.at + i] : out[m.at + i - n];
}
