/* list.c -- names found in constant time, and the tensors that bear them. */
#include "format/list.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 16 };

void ae_names_free(ae_names *names)
{
    ae_free(names->names);
    ae_free(names->slots);
    *names = (ae_names){ 0 };
}

/* The slot that holds `name`, or the free one where it belongs. */
static size_t slot_of(const ae_names *names, const char *name)
{
    size_t mask = 2 * names->cap - 1; /* cap is a power of two */
    size_t slot = (size_t)ae_hash64(name, strlen(name), 0) & mask;

    while (names->slots[slot] && strcmp(names->names[names->slots[slot] - 1], name) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static bool grow_names(ae_names *names)
{
    size_t cap = names->cap ? 2 * names->cap : FIRST_CAP;
    ae_names grown = { .n = names->n, .cap = cap };

    if (cap > UINT32_MAX / 2) return false;
    grown.names = ae_alloc(cap, sizeof *grown.names);
    grown.slots = ae_alloc(2 * cap, sizeof *grown.slots);
    if (!grown.names || !grown.slots) {
        ae_names_free(&grown);
        return false;
    }
    for (size_t i = 0; i < names->n; i++) {
        grown.names[i] = names->names[i];
        grown.slots[slot_of(&grown, grown.names[i])] = (uint32_t)i + 1;
    }
    ae_names_free(names);
    *names = grown;
    return true;
}

aerie_status ae_names_add(ae_names *names, const char *name)
{
    size_t slot;

    if (names->n == names->cap && !grow_names(names)) return AERIE_NO_MEMORY;
    slot = slot_of(names, name);
    if (names->slots[slot]) return AERIE_BAD_FILE;
    names->names[names->n++] = name;
    names->slots[slot] = (uint32_t)names->n;
    return AERIE_OK;
}

size_t ae_names_find(const ae_names *names, const char *name)
{
    uint32_t number = names->cap ? names->slots[slot_of(names, name)] : 0;

    return number ? number - 1 : SIZE_MAX;
}

void ae_tensor_list_free(ae_tensor_list *list)
{
    ae_free(list->items);
    ae_names_free(&list->names);
    *list = (ae_tensor_list){ 0 };
}

aerie_status ae_tensor_list_add(ae_tensor_list *list, const ae_stored_tensor *tensor,
                                const char *file, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t n = list->names.n;

    if (n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : FIRST_CAP;
        ae_stored_tensor *grown = ae_realloc(list->items, list->cap, cap, sizeof *grown);
        if (!grown) goto no_memory;
        list->items = grown;
        list->cap = cap;
    }
    status = ae_names_add(&list->names, tensor->name);
    if (status == AERIE_NO_MEMORY) goto no_memory;
    if (status)
        return aerie_fail(err, status, "%s: damaged: it holds two tensors named '%s'", file,
                          tensor->name);
    list->items[n] = *tensor;
    return AERIE_OK;
no_memory:
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for a list of %zu tensors", file, n);
}

size_t ae_tensor_list_len(const ae_tensor_list *list)
{
    return list->names.n;
}

const ae_stored_tensor *ae_tensor_list_at(const ae_tensor_list *list, size_t i)
{
    return &list->items[i];
}

const ae_stored_tensor *ae_tensor_list_find(const ae_tensor_list *list, const char *name)
{
    size_t i = ae_names_find(&list->names, name);

    return i == SIZE_MAX ? NULL : &list->items[i];
}

aerie_status ae_stored_tensor_view(ae_tensor *out, const ae_stored_tensor *stored, aerie_error *err)
{
    if (stored->dtype == AE_DTYPE_NONE)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "tensor '%s' is of type %s, which this build does not read", stored->name,
                          stored->type_name);
    *out = (ae_tensor){ .dtype = stored->dtype,
                        .rows = stored->rows,
                        .cols = stored->cols,
                        .data = (void *)(uintptr_t)stored->data };
    return AERIE_OK;
}

bool ae_name_is_plain(const char *name, size_t len, size_t most)
{
    if (!len || len > most) return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return false;
    return true;
}

static int compare_extents(const void *left, const void *right)
{
    const ae_extent *a = left, *b = right;

    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

void ae_extents_sort(ae_extent *extents, size_t n)
{
    if (n) qsort(extents, n, sizeof *extents, compare_extents);
}
