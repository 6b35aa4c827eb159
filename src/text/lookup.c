/* lookup.c -- hash tables from numbers and from texts to token ids. */
#include "text/lookup.h"

#include <string.h>

static const uint64_t FREE_KEY = UINT64_MAX;

/* The power of two that keeps `count` entries at most half of the table; 0: too many. */
static size_t table_size(size_t count)
{
    size_t size = 16;

    if (count > SIZE_MAX / 8) return 0;
    while (size < count * 2) size *= 2;
    return size;
}

aerie_status ae_number_table_new(ae_number_table *t, ae_arena *arena, size_t count,
                                 aerie_error *err)
{
    size_t size = table_size(count);

    t->entries = size ? ae_arena_take_raw(arena, size, sizeof *t->entries) : NULL;
    if (!t->entries)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a table of %zu entries", count);
    t->mask = size - 1;
    t->count = 0;
    for (size_t i = 0; i < size; i++) t->entries[i] = (ae_number_entry){ FREE_KEY, 0, -1 };
    return AERIE_OK;
}

bool ae_number_table_add(ae_number_table *t, uint64_t key, uint32_t rank, int32_t id)
{
    size_t at = ae_mix64(key) & t->mask;

    for (; t->entries[at].key != FREE_KEY; at = (at + 1) & t->mask)
        if (t->entries[at].key == key) return false;
    t->entries[at] = (ae_number_entry){ key, rank, id };
    t->count++;
    return true;
}

const ae_number_entry *ae_number_table_find(const ae_number_table *t, uint64_t key)
{
    size_t at = ae_mix64(key) & t->mask;

    for (; t->entries[at].key != FREE_KEY; at = (at + 1) & t->mask)
        if (t->entries[at].key == key) return &t->entries[at];
    return NULL;
}

aerie_status ae_text_table_new(ae_text_table *t, ae_arena *arena, const ae_span *texts,
                               size_t count, aerie_error *err)
{
    size_t size = table_size(count);

    t->entries = size ? ae_arena_take_raw(arena, size, sizeof *t->entries) : NULL;
    if (!t->entries)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a table of %zu texts", count);
    t->texts = texts;
    t->mask = size - 1;
    for (size_t i = 0; i < size; i++) t->entries[i] = (ae_text_entry){ 0, -1 };
    return AERIE_OK;
}

/* The entry of `text`, or the free one where it belongs. */
static ae_text_entry *text_entry(const ae_text_table *t, ae_span text, uint32_t *hash)
{
    uint64_t full = ae_hash64(text.data, text.len, 0);
    size_t at = full & t->mask;

    *hash = (uint32_t)(full >> 32);
    for (; t->entries[at].id >= 0; at = (at + 1) & t->mask)
        if (t->entries[at].hash == *hash && ae_span_equal(t->texts[t->entries[at].id], text)) break;
    return &t->entries[at];
}

bool ae_text_table_add(ae_text_table *t, int32_t id)
{
    uint32_t hash;
    ae_text_entry *entry = text_entry(t, t->texts[id], &hash);

    if (entry->id >= 0) return false;
    *entry = (ae_text_entry){ hash, id };
    return true;
}

int32_t ae_text_table_find(const ae_text_table *t, ae_span text)
{
    uint32_t hash;

    return text_entry(t, text, &hash)->id;
}
