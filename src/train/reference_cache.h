/* reference_cache.h -- private: numbers by the hash of what they were computed from, on disk. */
#ifndef AE_TRAIN_REFERENCE_CACHE_H
#define AE_TRAIN_REFERENCE_CACHE_H

#include "base/base.h"

typedef struct {
    uint64_t key[2]; /* two 64-bit hashes of the content */
    double chosen, rejected;
} ae_reference_entry;

/* Sorted by key. A zeroed cache is empty. */
typedef struct {
    ae_reference_entry *entries;
    size_t n, cap;
} ae_reference_cache;

/* A file that is missing, damaged or of another version gives an empty cache. */
aerie_status ae_reference_cache_read(ae_reference_cache *c, const char *path, aerie_error *err);
/* NULL: not there. Only entries that were read or sorted are found. */
const ae_reference_entry *ae_reference_cache_find(const ae_reference_cache *c,
                                                  const uint64_t key[2]);
aerie_status ae_reference_cache_add(ae_reference_cache *c, const ae_reference_entry *entry,
                                    aerie_error *err);
/* Sorts and writes. */
aerie_status ae_reference_cache_write(ae_reference_cache *c, const char *path, aerie_error *err);
void ae_reference_cache_free(ae_reference_cache *c);

#endif
