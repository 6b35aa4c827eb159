/* lookup.h -- the two hash tables of a tokenizer: numbers to numbers, and token texts to ids.
 *
 * Both are filled once, in arena memory that the caller owns, and only read afterwards. Open
 * addressing, at most half full. */
#ifndef AE_LOOKUP_H
#define AE_LOOKUP_H

#include "base/base.h"

typedef struct {
    uint64_t key; /* LOOKUP_FREE: no entry */
    uint32_t rank;
    int32_t id;
} ae_number_entry;

typedef struct {
    ae_number_entry *entries;
    size_t mask, count;
} ae_number_table;

/* Room for `count` entries. */
aerie_status ae_number_table_new(ae_number_table *t, ae_arena *arena, size_t count,
                                 aerie_error *err);
/* Adds a key that is not there yet; false when it was: the first one stays. */
bool ae_number_table_add(ae_number_table *t, uint64_t key, uint32_t rank, int32_t id);
/* NULL: no such key. */
const ae_number_entry *ae_number_table_find(const ae_number_table *t, uint64_t key);

static inline uint64_t ae_pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

typedef struct {
    uint32_t hash;
    int32_t id; /* -1: no entry */
} ae_text_entry;

typedef struct {
    ae_text_entry *entries;
    const ae_span *texts; /* borrowed: texts[id] */
    size_t mask;
} ae_text_table;

/* Room for `count` texts, which lie in `texts` by id. */
aerie_status ae_text_table_new(ae_text_table *t, ae_arena *arena, const ae_span *texts,
                               size_t count, aerie_error *err);
/* Adds texts[id]; false when an equal text is there already: the lower id stays. */
bool ae_text_table_add(ae_text_table *t, int32_t id);
/* -1: no such text. */
int32_t ae_text_table_find(const ae_text_table *t, ae_span text);

#endif
