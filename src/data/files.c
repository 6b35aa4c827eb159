/* files.c -- the files that a path of a recipe stands for: one, a folder's, or a pattern's. */
#include "data/data.h"

#include <dirent.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char **items;
    size_t n, cap;
    ae_arena *arena;
} listing;

static aerie_status no_memory(const char *path, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the names of its files", path);
}

static bool add(listing *l, const char *path)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 8;
        const char **grown = ae_arena_take(l->arena, cap, sizeof *grown);
        if (!grown) return false;
        if (l->n) memcpy(grown, l->items, l->n * sizeof *grown);
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->n] = ae_arena_strndup(l->arena, path, strlen(path));
    return l->items[l->n] && ++l->n;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);

    return n > k && strcmp(name + n - k, end) == 0;
}

static bool is_parquet(const char *name)
{
    return ends_with(name, ".parquet");
}

/* What stands beside a data set and is none: hidden files, descriptions. */
static bool is_data(const char *name)
{
    static const char *const ends[] = { ".parquet", ".jsonl", ".jsonl.gz", ".json", ".json.gz" };

    if (name[0] == '.' || strncmp(name, "dataset_info", 12) == 0 || strcmp(name, "state.json") == 0)
        return false;
    for (size_t i = 0; i < AE_COUNT(ends); i++)
        if (ends_with(name, ends[i])) return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "train_prefs-00000-of-00002.parquet" is a part of "train_prefs"; 0: it names no split. */
static size_t split_len(const char *name)
{
    static const char *const words[] = { "train", "test", "valid", "eval", "dev" };
    size_t n = strcspn(name, ".");

    for (size_t i = 0; i < AE_COUNT(words); i++) {
        if (strncmp(name, words[i], strlen(words[i])) != 0) continue;
        for (size_t k = 0; k + 3 < n; k++)
            if (strncmp(name + k, "-of-", 4) == 0) n = k;
        while (n && strchr("0123456789-_", name[n - 1])) n--;
        return n;
    }
    return 0;
}

/* A folder that holds training and test rows side by side must not be trained on whole. */
static aerie_status check_splits(const listing *l, const char *path, aerie_error *err)
{
    const char *first = NULL;
    size_t first_len = 0;

    for (size_t i = 0; i < l->n; i++) {
        const char *name = base_name(l->items[i]);
        size_t n = split_len(name);
        if (!n) continue;
        if (first && (n != first_len || strncmp(first, name, n) != 0))
            return aerie_fail(
                err, AERIE_BAD_ARGUMENT,
                "%s: holds more than one split, '%.*s' and '%.*s'; name one, as in '%s/%.*s*'",
                path, (int)first_len, first, (int)n, name, path, (int)first_len, first);
        first = name;
        first_len = n;
    }
    return AERIE_OK;
}

/* Files of a folder; where there is Parquet, the rest is taken for its description. */
static aerie_status list_folder(listing *l, const char *path, aerie_error *err)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool good = true, parquet = false;
    size_t kept = 0;

    if (!folder) return aerie_fail(err, AERIE_IO, "%s: the folder cannot be read", path);
    while (good && (entry = readdir(folder))) {
        char *inner = is_data(entry->d_name) ? ae_path_join(path, entry->d_name) : NULL;
        if (!is_data(entry->d_name)) continue;
        good = inner && add(l, inner);
        ae_free(inner);
    }
    closedir(folder);
    if (!good) return no_memory(path, err);
    for (size_t i = 0; i < l->n; i++) parquet = parquet || is_parquet(l->items[i]);
    for (size_t i = 0; i < l->n; i++)
        if (!parquet || is_parquet(l->items[i])) l->items[kept++] = l->items[i];
    l->n = kept;
    if (l->n) return check_splits(l, path, err);
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "%s: the folder holds no .parquet, .jsonl or .json file (also .gz)", path);
}

static aerie_status list_pattern(listing *l, const char *path, aerie_error *err)
{
    glob_t found = { 0 };
    int code = glob(path, 0, NULL, &found);
    bool good = true;

    for (size_t i = 0; !code && i < found.gl_pathc && good; i++) good = add(l, found.gl_pathv[i]);
    globfree(&found);
    if (code == GLOB_NOSPACE || !good) return no_memory(path, err);
    if (l->n) return AERIE_OK;
    return aerie_fail(err, AERIE_NOT_FOUND, "%s: no file matches this pattern", path);
}

aerie_status ae_files_of(const char ***out, size_t *n, const char *path, ae_arena *arena,
                         aerie_error *err)
{
    listing l = { .arena = arena };
    aerie_status status = AERIE_OK;

    if (ae_file_is_folder(path))
        status = list_folder(&l, path, err);
    else if (strpbrk(path, "*?[") && !ae_file_exists(path))
        status = list_pattern(&l, path, err);
    else if (!add(&l, path))
        status = no_memory(path, err);
    if (status) return status;
    qsort(l.items, l.n, sizeof *l.items, by_name);
    *out = l.items;
    *n = l.n;
    return AERIE_OK;
}
