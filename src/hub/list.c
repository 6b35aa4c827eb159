/* list.c -- every model that has a name, of all places. */
#include "hub/store.h"

#include <stdlib.h>
#include <string.h>

static const char *keep(ae_listing *l, const char *text)
{
    char *copy = text ? ae_arena_strndup(l->arena, text, strlen(text)) : NULL;

    if (text && !copy) l->failed = true;
    return copy;
}

void ae_listing_add(ae_listing *l, const ae_hub_entry *entry)
{
    if (l->n == l->cap && !l->failed) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        ae_hub_entry *grown = ae_realloc(l->entries, l->cap, cap, sizeof *grown);
        if (grown) {
            l->entries = grown;
            l->cap = cap;
        } else {
            l->failed = true;
        }
    }
    if (l->failed) return;
    l->entries[l->n] = *entry;
    l->entries[l->n].name = keep(l, entry->name);
    l->entries[l->n].path = keep(l, entry->path);
    if (!l->failed) l->n++;
}

/* What of a layer must be known of a model: where its weights lie. A store without them can still
 * be listed. */
aerie_status ae_manifest_entry(ae_hub_entry *out, ae_arena *arena, const ae_manifest *m,
                               const ae_name *name, ae_where where, const ae_places *places,
                               bool need_weights, aerie_error *err)
{
    const ae_layer *weights = ae_manifest_layer(m, "model", 0);
    ae_manifest *kept = ae_arena_take(arena, 1, sizeof *kept);
    char text[AE_NAME_TEXT];
    ae_bytes path = { 0 };
    int64_t bytes = 0;
    aerie_status status = AERIE_OK;

    ae_name_short(name, text);
    *out = (ae_hub_entry){ .name = ae_arena_strndup(arena, text, strlen(text)),
                           .where = where,
                           .bytes = ae_manifest_bytes(m),
                           .modified = m->modified };
    if (kept && out->name) {
        *kept = *m;
        out->manifest = kept;
    } else {
        status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory while looking at '%s'", text);
    }
    if (!status && weights)
        status = ae_blob_find(&path, &bytes, places, weights->hex, need_weights ? err : NULL);
    if (!status && weights && bytes != weights->bytes)
        status = aerie_fail(need_weights ? err : NULL, AERIE_BAD_FILE,
                            "%s: has %lld bytes, its manifest says %lld", path.data,
                            (long long)bytes, (long long)weights->bytes);
    if (!status && weights) out->path = ae_arena_strndup(arena, path.data, path.len);
    if (status && status != AERIE_NO_MEMORY && !need_weights) status = AERIE_OK;
    if (status && need_weights)
        aerie_error_prefix(err, "'%s' is not whole (`aerie verify` tells more)", text);
    ae_bytes_free(&path);
    return status;
}

typedef struct {
    ae_listing *list;
    const ae_places *places;
    ae_where where;
} manifests;

static bool add_manifest(void *user, const char *path, const ae_name *name)
{
    manifests *m = user;
    ae_manifest manifest;
    ae_hub_entry entry;
    aerie_error err = { 0 };
    aerie_status status = ae_manifest_read(&manifest, m->list->arena, path, &err);

    if (!status)
        status = ae_manifest_entry(&entry, m->list->arena, &manifest, name, m->where, m->places,
                                   false, &err);
    if (!status)
        ae_listing_add(m->list, &entry);
    else if (status == AERIE_NO_MEMORY)
        m->list->failed = true;
    else
        ae_log(AERIE_LOG_WARNING, "left out: %s", err.message);
    return !m->list->failed;
}

static int compare(const void *a, const void *b)
{
    const ae_hub_entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (int)x->where - (int)y->where;
}

aerie_status ae_hub_list(const ae_hub_entry **out, size_t *n, ae_arena *arena,
                         const ae_places *places, aerie_error *err)
{
    ae_listing l = { .arena = arena };
    manifests ours = { &l, places, AE_WHERE_STORE }, others = { &l, places, AE_WHERE_OLLAMA };
    ae_hub_entry *sorted = NULL;
    aerie_status status = AERIE_OK;

    *out = NULL;
    *n = 0;
    if (places->models) status = ae_manifest_walk(places->models, add_manifest, &ours, err);
    /* A stranger's store that may not be read has nothing. */
    if (places->ollama &&
        ae_manifest_walk(places->ollama, add_manifest, &others, NULL) == AERIE_NO_MEMORY)
        l.failed = true;
    ae_plain_list(&l, places);
    if (places->hf) ae_hf_list(&l, places->hf);
    if (!l.failed) sorted = ae_arena_take(arena, l.n, sizeof *sorted);
    if (sorted) {
        size_t kept = 0;
        if (l.n) qsort(l.entries, l.n, sizeof *l.entries, compare);
        for (size_t i = 0; i < l.n; i++)
            if (!kept || strcmp(sorted[kept - 1].name, l.entries[i].name) != 0)
                sorted[kept++] = l.entries[i];
        *out = sorted;
        *n = kept;
    }
    ae_free(l.entries);
    if (!sorted) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory while listing models");
    return status;
}
