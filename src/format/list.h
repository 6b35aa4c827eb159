/* list.h -- names with an index, and the list of tensors made of them. Private to format. */
#ifndef AE_LIST_H
#define AE_LIST_H

#include "format/format.h"

/* Unique names, numbered as they come; borrowed. A zeroed ae_names is valid and empty. */
typedef struct {
    const char **names;
    uint32_t *slots; /* open addressing: number + 1, 0: free; 2 * cap of them */
    size_t n, cap;
} ae_names;

void ae_names_free(ae_names *names);
/* AERIE_OK, AERIE_NO_MEMORY, or AERIE_BAD_FILE when the name is there already. No sentence. */
aerie_status ae_names_add(ae_names *names, const char *name);
/* Its number, or SIZE_MAX. */
size_t ae_names_find(const ae_names *names, const char *name);

struct ae_tensor_list {
    ae_stored_tensor *items;
    size_t cap;
    ae_names names;
};

void ae_tensor_list_free(ae_tensor_list *list);
/* `file` is for the sentence. The name and the data are borrowed. */
aerie_status ae_tensor_list_add(ae_tensor_list *list, const ae_stored_tensor *tensor,
                                const char *file, aerie_error *err);

/* Names go into sentences and onto terminals: 1 to `most` bytes, no control characters. */
bool ae_name_is_plain(const char *name, size_t len, size_t most);

/* Where a tensor's bytes lie within the data of a file. */
typedef struct {
    uint64_t begin, end;
    const char *name;
} ae_extent;

/* Orders extents by their begin. */
void ae_extents_sort(ae_extent *extents, size_t n);

#endif
