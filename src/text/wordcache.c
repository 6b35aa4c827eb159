/* wordcache.c -- within one call the same words come again and again: their tokens are copied. */
#include "text/tokenizer_parts.h"

#include <string.h>

bool ae_encoding_recall(ae_encoding *e, ae_span word, ae_cached_word **slot)
{
    const ae_cached_word *found;

    *slot = NULL;
    e->met_unknown = false;
    if (!e->cache || word.len == 0 || word.len > AE_WORD_CACHED) return false;
    found = *slot = &e->cache[ae_hash64(word.data, word.len, 0) & e->cache_mask];
    if (found->len != word.len || memcmp(found->word, word.data, word.len) != 0) return false;
    for (uint32_t i = 0; i < found->n_ids; i++) ae_ids_add(e->ids, e->ids->data[found->ids_at + i]);
    return true;
}

void ae_encoding_remember(ae_encoding *e, ae_cached_word *slot, ae_span word, size_t ids_at)
{
    /* Unknown characters of neighbouring words fuse: such a word is not the same everywhere. */
    if (!slot || e->ids->failed || e->met_unknown) return;
    memcpy(slot->word, word.data, word.len);
    slot->len = (uint8_t)word.len;
    slot->ids_at = ids_at;
    slot->n_ids = (uint32_t)(e->ids->len - ids_at);
}
