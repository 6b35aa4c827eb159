/* change.c -- copying and removing names, and the blobs that nothing needs any more. */
#include "hub/store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static aerie_status parse_name(ae_name *out, const char *text, aerie_error *err)
{
    if (ae_name_parse(out, text)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "'%s' is no name for a model: use NAME or NAME:TAG of letters, digits, '.', "
                      "'_' and '-'",
                      text);
}

/* ---- copied ---- */

aerie_status ae_manifest_text(ae_bytes *text, const char *word, const ae_places *places,
                              ae_where where, aerie_error *err)
{
    ae_bytes path = { 0 };
    ae_name name;
    aerie_status status = parse_name(&name, word, err);

    if (!status)
        status = ae_manifest_path(&path, &name,
                                  where == AE_WHERE_STORE ? places->models : places->ollama, err);
    if (!status) status = ae_file_read(text, path.data, 0, err);
    ae_bytes_free(&path);
    return status;
}

aerie_status ae_hub_copy(const char *from, const char *to, const ae_places *places,
                         aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_bytes text = { 0 };
    ae_hub_entry entry;
    ae_manifest old = { 0 };
    ae_name name;
    aerie_status status = parse_name(&name, to, err), had = AERIE_NOT_FOUND;

    if (!status) status = ae_hub_open(&entry, &arena, from, places, true, err);
    if (!status && !entry.manifest)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "'%s' is the plain file %s; give it a name with `aerie create`", from,
                            entry.path);
    if (!status) status = ae_manifest_text(&text, from, places, entry.where, err);
    if (!status) had = ae_hub_manifest(&old, &arena, &name, places, NULL);
    if (!status) status = ae_manifest_save(entry.manifest, text.data, &name, places, err);
    if (!status && !had) status = ae_hub_collect(&old, places, err);
    ae_bytes_free(&text);
    ae_arena_free(&arena);
    return status;
}

/* ---- removed ---- */

/* Which of some digests are still in use. */
typedef struct {
    const ae_manifest *old;
    bool *used; /* [old->n + 1]; the last is the config */
    ae_arena *arena;
    aerie_status status;
    aerie_error *err;
} usage;

static const ae_layer *layer_at(const ae_manifest *m, size_t i)
{
    return i < m->n ? &m->layers[i] : &m->config;
}

static bool mark_used(void *user, const char *path, const ae_name *name)
{
    usage *u = user;
    ae_arena_mark mark = ae_arena_here(u->arena);
    ae_manifest m;
    aerie_error err = { 0 };
    aerie_status status = ae_manifest_read(&m, u->arena, path, &err);

    (void)name;
    for (size_t i = 0; !status && i <= u->old->n; i++)
        for (size_t j = 0; j <= m.n && !u->used[i]; j++)
            u->used[i] = !strcmp(layer_at(u->old, i)->hex, layer_at(&m, j)->hex);
    ae_arena_reset(u->arena, mark);
    /* A damaged manifest needs nothing that it could use; one that could not be read may. */
    if (status && status != AERIE_BAD_FILE)
        u->status = aerie_fail(u->err, status, "%s", err.message);
    return !u->status;
}

/* The lock is held. */
static aerie_status collect(const ae_manifest *old, const ae_places *places, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_bytes path = { 0 };
    usage u = { .old = old, .arena = &arena, .err = err };
    aerie_status status;

    u.used = ae_alloc(old->n + 1, sizeof *u.used);
    status = u.used ? ae_manifest_walk(places->models, mark_used, &u, err)
                    : aerie_fail(err, AERIE_NO_MEMORY, "out of memory; unused blobs stay");
    if (!status) status = u.status;
    for (size_t i = 0; i <= old->n && !status; i++) {
        const char *hex = layer_at(old, i)->hex;
        if (u.used[i] || !hex[0]) continue;
        ae_bytes_clear(&path);
        ae_bytes_printf(&path, "%s/blobs/sha256-%s", places->models, hex);
        status = ae_bytes_status(&path, err);
        /* One that lies in another store has no file here. */
        if (!status && unlink(path.data) && errno != ENOENT)
            status =
                aerie_fail(err, AERIE_IO, "%s: cannot be removed: %s", path.data, strerror(errno));
    }
    ae_free(u.used);
    ae_bytes_free(&path);
    ae_arena_free(&arena);
    return status;
}

aerie_status ae_hub_collect(const ae_manifest *old, const ae_places *places, aerie_error *err)
{
    int lock = -1;
    aerie_status status = ae_store_lock(&lock, places, true, err);

    if (!status) status = collect(old, places, err);
    ae_store_unlock(lock);
    return status;
}

/* Removes a file, and those of its folders up to `root` that are then empty. */
static aerie_status remove_file(char *path, const char *root, aerie_error *err)
{
    char *slash;

    if (unlink(path))
        return aerie_fail(err, errno == ENOENT ? AERIE_NOT_FOUND : AERIE_IO,
                          "%s: cannot be removed: %s", path, strerror(errno));
    while ((slash = strrchr(path, '/')) && (size_t)(slash - path) > strlen(root)) {
        *slash = '\0';
        if (rmdir(path)) break;
    }
    return AERIE_OK;
}

static aerie_status remove_manifest(const char *word, const ae_manifest *m, const ae_places *places,
                                    aerie_error *err)
{
    ae_bytes path = { 0 }, root = { 0 };
    ae_name name;
    int lock = -1;
    aerie_status status = parse_name(&name, word, err);

    ae_bytes_printf(&root, "%s/manifests", places->models);
    if (!status) status = ae_bytes_status(&root, err);
    if (!status) status = ae_store_lock(&lock, places, true, err);
    if (!status) status = ae_manifest_path(&path, &name, places->models, err);
    if (!status) status = remove_file(path.data, root.data, err);
    if (!status) status = collect(m, places, err);
    ae_store_unlock(lock);
    ae_bytes_free(&path);
    ae_bytes_free(&root);
    return status;
}

static aerie_status remove_plain(const char *path, const ae_places *places, aerie_error *err)
{
    char *copy = ae_strdup(path);
    aerie_status status = copy ? remove_file(copy, places->models, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");

    ae_free(copy);
    return status;
}

/* One whose weights are missing can still be removed, and one whose manifest cannot be read. */
static aerie_status remove_broken(const char *word, const ae_places *places, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_bytes path = { 0 };
    ae_manifest m = { 0 };
    ae_name name;
    aerie_status status = AERIE_NOT_FOUND;

    if (places->models && ae_name_parse(&name, word))
        status = ae_manifest_path(&path, &name, places->models, NULL);
    if (!status && !ae_store_stat(path.data, NULL, NULL)) status = AERIE_NOT_FOUND;
    if (!status) {
        if (ae_manifest_read(&m, &arena, path.data, NULL)) m = (ae_manifest){ 0 };
        status = remove_manifest(word, &m, places, err);
    }
    ae_bytes_free(&path);
    ae_arena_free(&arena);
    return status;
}

aerie_status ae_hub_remove(const char *word, const ae_places *places, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_hub_entry entry;
    aerie_error problem = { 0 };
    aerie_status status = remove_broken(word, places, &problem);

    if (status != AERIE_NOT_FOUND || problem.message[0])
        return status ? aerie_fail(err, status, "%s", problem.message) : AERIE_OK;
    status = ae_hub_open(&entry, &arena, word, places, true, err);
    if (!status && entry.where == AE_WHERE_PLAIN)
        status = remove_plain(entry.path, places, err);
    else if (!status)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "'%s' is not the store's: %s is read where it lies; remove it there",
                            word, entry.path ? entry.path : "its manifest");
    ae_arena_free(&arena);
    return status;
}
