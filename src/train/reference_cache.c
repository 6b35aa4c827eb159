/* reference_cache.c -- the file of reference log-probabilities.
 *
 *   8 bytes  "aerieref"       4 bytes  version         4 bytes  size of an entry
 *   8 bytes  number of entries                          entries    8 bytes  XXH64 of the entries */
#include "train/reference_cache.h"

#include <stdlib.h>
#include <string.h>

static const char magic[8] = { 'a', 'e', 'r', 'i', 'e', 'r', 'e', 'f' };

enum { VERSION = 1 };

typedef struct {
    char magic[8];
    uint32_t version, entry_bytes;
    uint64_t n;
} header;

static int compare(const void *a, const void *b)
{
    const uint64_t *x = ((const ae_reference_entry *)a)->key;
    const uint64_t *y = ((const ae_reference_entry *)b)->key;

    if (x[0] != y[0]) return x[0] < y[0] ? -1 : 1;
    return x[1] < y[1] ? -1 : x[1] > y[1];
}

/* The number of entries when the file is whole, else 0. */
static size_t count_entries(const ae_file *file)
{
    uint64_t checksum;
    size_t bytes;
    header h;

    if (file->size < sizeof h + sizeof checksum) return 0;
    memcpy(&h, file->data, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.version != VERSION ||
        h.entry_bytes != sizeof(ae_reference_entry) ||
        !ae_mul_size(&bytes, (size_t)h.n, sizeof(ae_reference_entry)) ||
        bytes != file->size - sizeof h - sizeof checksum)
        return 0;
    memcpy(&checksum, file->data + sizeof h + bytes, sizeof checksum);
    return ae_hash64(file->data + sizeof h, bytes, VERSION) == checksum ? (size_t)h.n : 0;
}

aerie_status ae_reference_cache_read(ae_reference_cache *c, const char *path, aerie_error *err)
{
    ae_file file = { 0 };

    *c = (ae_reference_cache){ 0 };
    if (ae_file_open(&file, path, NULL)) return AERIE_OK;
    c->n = c->cap = count_entries(&file);
    c->entries = ae_alloc(c->cap, sizeof *c->entries);
    if (c->entries && c->n > 0)
        memcpy(c->entries, file.data + sizeof(header), c->n * sizeof *c->entries);
    if (c->n == 0 && c->entries)
        ae_log(AERIE_LOG_WARNING, "%s: not a whole cache of this version; it is made again", path);
    ae_file_close(&file);
    if (c->entries) return AERIE_OK;
    *c = (ae_reference_cache){ 0 };
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory to read it", path);
}

const ae_reference_entry *ae_reference_cache_find(const ae_reference_cache *c,
                                                  const uint64_t key[2])
{
    ae_reference_entry wanted = { .key = { key[0], key[1] } };

    if (c->n == 0) return NULL;
    return bsearch(&wanted, c->entries, c->n, sizeof *c->entries, compare);
}

aerie_status ae_reference_cache_add(ae_reference_cache *c, const ae_reference_entry *entry,
                                    aerie_error *err)
{
    if (c->n == c->cap) {
        size_t cap = c->cap * 2 + 256;
        ae_reference_entry *grown = ae_realloc(c->entries, c->cap, cap, sizeof *grown);
        if (!grown)
            return aerie_fail(err, AERIE_NO_MEMORY, "no memory for reference log-probabilities");
        c->entries = grown;
        c->cap = cap;
    }
    c->entries[c->n++] = *entry;
    return AERIE_OK;
}

aerie_status ae_reference_cache_write(ae_reference_cache *c, const char *path, aerie_error *err)
{
    header h = { .version = VERSION, .entry_bytes = sizeof *c->entries, .n = c->n };
    size_t bytes = c->n * sizeof *c->entries;
    ae_file_writer w = { 0 };
    aerie_status status;
    uint64_t checksum;

    if (c->n > 0) qsort(c->entries, c->n, sizeof *c->entries, compare);
    memcpy(h.magic, magic, sizeof magic);
    checksum = ae_hash64(c->entries, bytes, VERSION);
    status = ae_file_writer_open(&w, path, err);
    if (status) return status;
    ae_file_writer_add(&w, &h, sizeof h);
    ae_file_writer_add(&w, c->entries, bytes);
    ae_file_writer_add(&w, &checksum, sizeof checksum);
    return ae_file_writer_commit(&w, err);
}

void ae_reference_cache_free(ae_reference_cache *c)
{
    ae_free(c->entries);
    *c = (ae_reference_cache){ 0 };
}
