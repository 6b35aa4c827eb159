/* verify.c -- whether the store holds what it says: every manifest read, every blob hashed. */
#include "hub/store.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRACE_SECONDS = 3600 }; /* a blob that was just uploaded is about to get its manifest */

/* A blob that manifests want, once for each of them. */
typedef struct {
    char hex[AE_HEX];
    int64_t bytes;
    const char *model;
} wanted;

typedef struct {
    const ae_places *places;
    bool repair, keep_unused, stop, failed;
    ae_checked_fn *each;
    void *user;
    ae_check_summary *sum;
    ae_arena arena;
    wanted *list; /* growing; sorted once all are there */
    size_t n, cap;
} checker;

static void tell(checker *c, const char *model, const char *what, ae_check result, int64_t bytes,
                 const char *sentence)
{
    const ae_checked told = { model, what, result, bytes, sentence };

    if (result != AE_CHECK_OK) c->sum->wrong++;
    if (c->each && !c->each(c->user, &told)) c->stop = true;
}

/* ---- manifests ---- */

static void want(checker *c, const ae_layer *l, const char *model)
{
    if (!l->hex[0]) return;
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        wanted *grown = ae_realloc(c->list, c->cap, cap, sizeof *grown);
        if (!grown) {
            c->failed = true;
            return;
        }
        c->list = grown;
        c->cap = cap;
    }
    memcpy(c->list[c->n].hex, l->hex, sizeof l->hex);
    c->list[c->n].bytes = l->bytes;
    c->list[c->n++].model = model;
}

static bool take_manifest(void *user, const char *path, const ae_name *name)
{
    checker *c = user;
    ae_manifest m;
    char text[AE_NAME_TEXT];
    aerie_error err = { 0 };
    aerie_status status = ae_manifest_read(&m, &c->arena, path, &err);
    const char *model;

    ae_name_short(name, text);
    model = ae_arena_strndup(&c->arena, text, strlen(text));
    if (!model || status == AERIE_NO_MEMORY) {
        c->failed = true;
    } else if (status) {
        tell(c, model, path, AE_CHECK_MANIFEST, 0, err.message);
        if (status != AERIE_BAD_FILE) c->keep_unused = true; /* it may want any of them */
    } else {
        c->sum->manifests++;
        for (size_t i = 0; i < m.n; i++) want(c, &m.layers[i], model);
        want(c, &m.config, model);
    }
    return !c->failed && !c->stop;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const wanted *)a)->hex, ((const wanted *)b)->hex);
}

/* ---- blobs ---- */

static void remove_blob(checker *c, const char *path)
{
    if (unlink(path) == 0) c->sum->removed++;
}

static bool is_ours(const checker *c, const char *path)
{
    size_t len = strlen(c->places->models);

    return !strncmp(path, c->places->models, len) && path[len] == '/';
}

static bool go_on(void *user, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return !((checker *)user)->stop;
}

static void check_digest(checker *c, const wanted *w, const char *path, int64_t bytes)
{
    aerie_error err = { 0 };
    ae_bytes text = { 0 };
    char hex[AE_HEX];
    aerie_status status = ae_file_sha256(hex, path, go_on, c, &err);

    c->sum->blobs++;
    c->sum->bytes += bytes;
    if (status)
        ae_bytes_add_text(&text, err.message);
    else if (strcmp(hex, w->hex) != 0)
        ae_bytes_printf(&text, "%s: its content has the digest sha256:%s%s", path, hex,
                        c->repair && is_ours(c, path) ? "; removed" : "");
    if (text.failed)
        c->failed = true;
    else if (!text.len)
        tell(c, w->model, w->hex, AE_CHECK_OK, bytes, "");
    else
        tell(c, w->model, w->hex, AE_CHECK_DIGEST, bytes, text.data);
    /* What could not be read is not known to be wrong. */
    if (!status && text.len && c->repair && is_ours(c, path)) remove_blob(c, path);
    ae_bytes_free(&text);
}

static void check_size(checker *c, const wanted *w, const char *path, int64_t bytes)
{
    ae_bytes text = { 0 };

    if (bytes == w->bytes) return;
    ae_bytes_printf(&text, "%s: has %lld bytes, the manifest of '%s' says %lld", path,
                    (long long)bytes, w->model, (long long)w->bytes);
    if (text.failed)
        c->failed = true;
    else
        tell(c, w->model, w->hex, AE_CHECK_SIZE, bytes, text.data);
    ae_bytes_free(&text);
}

/* All that want one blob; it is hashed once. */
static void check_wanted(checker *c, const wanted *w, size_t n)
{
    ae_bytes path = { 0 };
    aerie_error err = { 0 };
    int64_t bytes = 0;
    aerie_status status = ae_blob_find(&path, &bytes, c->places, w->hex, &err);

    for (size_t i = 0; i < n && !c->stop; i++)
        if (status)
            tell(c, w[i].model, w->hex, AE_CHECK_MISSING, w[i].bytes, err.message);
        else
            check_size(c, &w[i], path.data, bytes);
    if (!status && !c->stop) check_digest(c, w, path.data, bytes);
    ae_bytes_free(&path);
}

/* ---- what nobody wants ---- */

/* Left by a writer (NAME.part-PID-N) whose process is gone. */
static bool is_leftover(const char *file)
{
    const char *part = NULL;
    long pid;

    for (const char *at = strstr(file, ".part-"); at; at = strstr(at + 1, ".part-")) part = at;
    pid = part ? strtol(part + 6, NULL, 10) : 0;
    return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* Links to blobs under the names that they had, which a conversion reads as a folder. */
static void remove_folder(checker *c, const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;

    while (entries && (entry = readdir(entries))) {
        char *path = entry->d_name[0] == '.' ? NULL : ae_path_join(folder, entry->d_name);
        if (path) unlink(path);
        ae_free(path);
    }
    if (entries) closedir(entries);
    if (rmdir(folder) == 0) c->sum->removed++;
}

static void check_unwanted(checker *c, const char *folder, const char *file)
{
    char *path = ae_path_join(folder, file);
    wanted key = { .bytes = 0 };
    int64_t bytes = 0, modified = 0;
    bool is_blob = ae_digest_parse(key.hex, file);

    if (!path) {
        c->failed = true;
    } else if (is_blob && c->n && bsearch(&key, c->list, c->n, sizeof key, compare)) {
        /* somebody does */
    } else if (ae_store_stat(path, &bytes, &modified) && (is_blob || is_leftover(file))) {
        bool is_fresh = modified / 1000000000 > ae_clock_unix_seconds() - GRACE_SECONDS;
        c->sum->unused++;
        c->sum->unused_bytes += bytes;
        if (c->repair && (!is_blob || !(is_fresh || c->keep_unused))) remove_blob(c, path);
    } else if (is_leftover(file) && ae_file_is_folder(path)) {
        c->sum->unused++;
        if (c->repair) remove_folder(c, path);
    }
    ae_free(path);
}

static void check_folder(checker *c)
{
    char *folder = ae_path_join(c->places->models, "blobs");
    DIR *entries = folder ? opendir(folder) : NULL;
    struct dirent *entry;

    if (!folder) c->failed = true;
    while (entries && !c->failed && (entry = readdir(entries)))
        check_unwanted(c, folder, entry->d_name);
    if (entries) closedir(entries);
    ae_free(folder);
}

static aerie_status check_all(checker *c, aerie_error *err)
{
    aerie_status status = ae_manifest_walk(c->places->models, take_manifest, c, err);

    if (status) return status;
    if (c->n) qsort(c->list, c->n, sizeof *c->list, compare);
    for (size_t i = 0, end; i < c->n && !c->stop && !c->failed; i = end) {
        for (end = i + 1; end < c->n && !compare(&c->list[i], &c->list[end]); end++) continue;
        check_wanted(c, &c->list[i], end - i);
    }
    if (!c->stop && !c->failed) check_folder(c);
    return AERIE_OK;
}

aerie_status ae_hub_verify(const ae_places *places, bool repair, ae_checked_fn *each, void *user,
                           ae_check_summary *sum, aerie_error *err)
{
    checker c = { .places = places, .repair = repair, .each = each, .user = user, .sum = sum };
    int lock = -1;
    aerie_status status;

    *sum = (ae_check_summary){ 0 };
    /* Repairing removes; else nothing must be removed while it is looked at. */
    status = ae_store_lock(&lock, places, repair, err);
    if (!status) status = check_all(&c, err);
    ae_store_unlock(lock);
    ae_free(c.list);
    ae_arena_free(&c.arena);
    if (!status && c.failed) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    if (!status && c.stop) status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    return status;
}
