/* list.c -- the names that there are. */
#include "hub/name.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 8 }; /* folders of a name: hf.co/user/repo needs 3 */

/* Names as lines, while they are gathered. */
typedef struct {
    ae_bytes lines;
    size_t n;
} gathered;

static const char suffix[] = ".gguf";

/* The file's name without ".gguf"; an empty span when it has another ending. */
static ae_span stem_of(const char *file)
{
    size_t len = strlen(file), end = strlen(suffix);

    if (len <= end || strcmp(file + len - end, suffix) != 0) return (ae_span){ file, 0 };
    return (ae_span){ file, len - end };
}

static void add_name(gathered *g, const char *name, ae_span tag)
{
    size_t start = g->lines.len;

    ae_bytes_add_text(&g->lines, name);
    if (!ae_span_is(tag, "latest")) {
        ae_bytes_add_char(&g->lines, ':');
        ae_bytes_add(&g->lines, tag.data, tag.len);
    }
    if (g->lines.failed) return;
    if (!ae_hub_is_name(g->lines.data + start)) { /* a stranger's file */
        g->lines.len = start;
        g->lines.data[start] = '\0';
        return;
    }
    ae_bytes_add_char(&g->lines, '\0');
    g->n++;
}

/* `name` is what the folder stands for: its path below the store's models. */
static void gather_store(gathered *g, const char *folder, const char *name, int depth)
{
    DIR *entries = depth < DEEPEST ? opendir(folder) : NULL;
    struct dirent *entry;

    if (!entries) return;
    while ((entry = readdir(entries)) && !g->lines.failed) {
        char *path = ae_path_join(folder, entry->d_name);
        char *inner = ae_path_join(name, entry->d_name);
        if (!path || !inner) {
            g->lines.failed = true;
        } else if (entry->d_name[0] != '.') {
            ae_span tag = stem_of(entry->d_name);
            if (ae_file_is_folder(path))
                gather_store(g, path, inner, depth + 1);
            else if (tag.len)
                add_name(g, name, tag);
        }
        ae_free(path);
        ae_free(inner);
    }
    closedir(entries);
}

static void gather_share(gathered *g, const char *share)
{
    static const char nursery[] = "nursery";
    DIR *entries = opendir(share);
    struct dirent *entry;

    if (!entries) return;
    while ((entry = readdir(entries))) {
        ae_span stem = stem_of(entry->d_name);
        size_t len = strlen(nursery);
        if (ae_span_is(stem, nursery))
            add_name(g, nursery, ae_span_text("latest"));
        else if (stem.len > len + 1 && memcmp(stem.data, "nursery-", len + 1) == 0)
            add_name(g, nursery, (ae_span){ stem.data + len + 1, stem.len - len - 1 });
    }
    closedir(entries);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once: a name may be in the store and in the share. */
static aerie_status sort_names(const char *const **names, size_t *n, ae_arena *arena,
                               const gathered *g, aerie_error *err)
{
    const char **sorted = ae_arena_take(arena, g->n, sizeof *sorted);
    const char *at = g->lines.data;
    size_t kept = 0;

    for (size_t i = 0; sorted && i < g->n; i++, at += strlen(at) + 1) {
        sorted[i] = ae_arena_strndup(arena, at, strlen(at));
        if (!sorted[i]) sorted = NULL;
    }
    if (!sorted) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory while listing models");
    if (g->n) qsort(sorted, g->n, sizeof *sorted, compare_names);
    for (size_t i = 0; i < g->n; i++)
        if (!kept || strcmp(sorted[kept - 1], sorted[i]) != 0) sorted[kept++] = sorted[i];
    *names = sorted;
    *n = kept;
    return AERIE_OK;
}

aerie_status ae_hub_list(const char *const **names, size_t *n, ae_arena *arena, const char *store,
                         const char *share, aerie_error *err)
{
    gathered g = { 0 };
    char *models = store ? ae_path_join(store, "models") : NULL;
    aerie_status status;

    if (models) gather_store(&g, models, "", 0);
    if (share) gather_share(&g, share);
    if (store && !models) g.lines.failed = true;
    status = g.lines.failed ? ae_bytes_status(&g.lines, err) : sort_names(names, n, arena, &g, err);
    ae_free(models);
    ae_bytes_free(&g.lines);
    return status;
}
