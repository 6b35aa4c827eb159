/* state.c -- what is done of a pipeline, and the hashes of files that have not changed since. */
#include "align/pipeline.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

aerie_status ae_align_state_open(ae_align_state *s, const char *name, aerie_error *err)
{
    ae_bytes path = { 0 };

    *s = (ae_align_state){ 0 };
    ae_bytes_printf(&path, "%s.align.json", name);
    if (ae_bytes_status(&path, err)) return AERIE_NO_MEMORY;
    s->path = path.data;
    s->root = json_load_file(s->path, 0, NULL);
    if (!json_is_object(s->root)) {
        json_decref(s->root);
        s->root = json_object();
    }
    if (!json_is_object(json_object_get(s->root, "stages")))
        json_object_set_new(s->root, "stages", json_object());
    if (!json_is_object(json_object_get(s->root, "files")))
        json_object_set_new(s->root, "files", json_object());
    return s->root ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for %s", s->path);
}

void ae_align_state_close(ae_align_state *s)
{
    json_decref(s->root);
    ae_free(s->path);
    *s = (ae_align_state){ 0 };
}

static int add_text(const char *text, size_t len, void *user)
{
    ae_bytes_add(user, text, len);
    return 0;
}

aerie_status ae_align_state_save(const ae_align_state *s, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status;

    json_dump_callback(s->root, add_text, &text, JSON_INDENT(1));
    ae_bytes_add_char(&text, '\n');
    status = ae_bytes_status(&text, err);
    if (!status) status = ae_file_write(s->path, text.data, text.len, err);
    ae_bytes_free(&text);
    return status;
}

/* Size and time of change, as one text; "" of what is not there. */
static void stamp_of(const char *path, char out[64])
{
    struct stat st;

    out[0] = '\0';
    if (stat(path, &st) == 0)
        snprintf(out, 64, "%lld %lld.%09ld", (long long)(S_ISDIR(st.st_mode) ? 0 : st.st_size),
                 (long long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
}

static bool has_text(const json_t *o, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(o, key));

    return value && strcmp(value, text) == 0;
}

static const json_t *entry_of(const ae_align_state *s, const char *stage, const char *key)
{
    const json_t *e = json_object_get(json_object_get(s->root, "stages"), stage);

    return has_text(e, "key", key) ? e : NULL;
}

bool ae_align_state_done(const ae_align_state *s, const char *stage, const char *key)
{
    const json_t *e = entry_of(s, stage, key);
    const char *output = json_string_value(json_object_get(e, "output"));
    char stamp[64];

    if (!e || !has_text(e, "state", "done")) return false;
    stamp_of(output ? output : "", stamp);
    return has_text(e, "stamp", stamp);
}

bool ae_align_state_begun(const ae_align_state *s, const char *stage, const char *key)
{
    const json_t *e = entry_of(s, stage, key);

    return e && has_text(e, "state", "running");
}

aerie_status ae_align_state_put(ae_align_state *s, const char *stage, const char *state,
                                const char *key, const char *output, json_t *facts,
                                aerie_error *err)
{
    char stamp[64];
    json_t *e;

    stamp_of(output, stamp);
    e = json_pack("{s:s, s:s, s:s, s:s, s:o?}", "state", state, "key", key, "output", output,
                  "stamp", stamp, "facts", facts);
    if (!e || json_object_set_new(json_object_get(s->root, "stages"), stage, e))
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %s", s->path);
    return ae_align_state_save(s, err);
}

/* ---- hashes ---- */

static aerie_status hash_cached(ae_align_state *s, const char *path, char out[65], aerie_error *err)
{
    json_t *files = json_object_get(s->root, "files"), *known = json_object_get(files, path);
    const char *hash = json_string_value(json_object_get(known, "sha256"));
    char stamp[64];
    aerie_status status;

    stamp_of(path, stamp);
    if (hash && strlen(hash) == 64 && has_text(known, "stamp", stamp)) {
        memcpy(out, hash, 65);
        return AERIE_OK;
    }
    status = ae_file_sha256(out, path, NULL, NULL, err);
    if (!status)
        json_object_set_new(files, path, json_pack("{s:s, s:s}", "stamp", stamp, "sha256", out));
    return status;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Names in the order of their bytes; folders within are not looked into. */
static aerie_status hash_folder(ae_align_state *s, const char *path, char out[65], aerie_error *err)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, visible, alphasort);
    aerie_status status = AERIE_OK;
    ae_sha256 sha;
    char one[65];

    if (n < 0) return aerie_fail(err, AERIE_IO, "%s: the folder cannot be read", path);
    ae_sha256_start(&sha);
    for (int i = 0; i < n; i++) {
        char *file = ae_path_join(path, list[i]->d_name);
        if (!file && !status)
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a folder's names");
        if (!status && !ae_file_is_folder(file)) {
            status = hash_cached(s, file, one, err);
            ae_sha256_add(&sha, list[i]->d_name, strlen(list[i]->d_name) + 1);
            if (!status) ae_sha256_add(&sha, one, 64);
        }
        ae_free(file);
        free(list[i]);
    }
    free(list);
    ae_sha256_hex(&sha, out);
    return status;
}

aerie_status ae_align_state_hash(ae_align_state *s, const char *path, char out[65],
                                 aerie_error *err)
{
    ae_sha256 sha;

    if (ae_file_is_folder(path)) return hash_folder(s, path, out, err);
    if (ae_file_exists(path)) return hash_cached(s, path, out, err);
    ae_sha256_start(&sha);
    ae_sha256_add(&sha, path, strlen(path));
    ae_sha256_hex(&sha, out);
    return AERIE_OK;
}
