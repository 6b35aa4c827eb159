/* digest.c -- names of blobs, and the blobs themselves: found, received, taken over. */
#include "hub/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

bool ae_digest_parse(char hex[AE_HEX], const char *text)
{
    if (strncmp(text, "sha256", 6) != 0 || (text[6] != ':' && text[6] != '-')) return false;
    text += 7;
    for (int i = 0; i < AE_HEX - 1; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'F') c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        hex[i] = c;
    }
    hex[AE_HEX - 1] = '\0';
    return text[AE_HEX - 1] == '\0';
}

static void blob_path(ae_bytes *path, const char *models, const char *hex)
{
    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/blobs/sha256-%s", models, hex);
}

aerie_status ae_blob_find(ae_bytes *path, int64_t *bytes, const ae_places *places, const char *hex,
                          aerie_error *err)
{
    const char *const folders[] = { places->models, places->ollama };

    for (size_t i = 0; i < AE_COUNT(folders); i++) {
        if (!folders[i]) continue;
        blob_path(path, folders[i], hex);
        if (path->failed) return ae_bytes_status(path, err);
        if (ae_store_stat(path->data, bytes, NULL)) return AERIE_OK;
    }
    return aerie_fail(err, AERIE_NOT_FOUND, "the store has no blob sha256:%s", hex);
}

/* ---- received ---- */

aerie_status ae_blob_scratch(ae_bytes *path, const ae_places *places, aerie_error *err)
{
    static atomic_uint counter;
    aerie_status status = ae_store_need(places, err);

    if (status) return status;
    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/blobs", places->models);
    status = ae_bytes_status(path, err);
    if (!status) status = ae_file_make_folder(path->data, err);
    if (status) return status;
    ae_bytes_printf(path, "/new.part-%ld-%u", (long)getpid(), atomic_fetch_add(&counter, 1));
    return ae_bytes_status(path, err);
}

aerie_status ae_blob_begin(ae_blob_writer *w, const ae_places *places, aerie_error *err)
{
    ae_bytes path = { 0 };
    aerie_status status;

    *w = (ae_blob_writer){ .places = places };
    ae_sha256_start(&w->hash);
    status = ae_blob_scratch(&path, places, err);
    if (!status) status = ae_file_writer_open(&w->file, path.data, err);
    ae_bytes_free(&path);
    return status;
}

void ae_blob_add(ae_blob_writer *w, const void *data, size_t len)
{
    ae_sha256_add(&w->hash, data, len);
    ae_file_writer_add(&w->file, data, len);
}

void ae_blob_abandon(ae_blob_writer *w)
{
    if (w->places) ae_file_writer_abandon(&w->file);
    w->places = NULL;
}

static aerie_status check_expected(const char *expected, const char *hex, aerie_error *err)
{
    if (!expected || !strcmp(expected, hex)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE, "digest mismatch, expected sha256:%s, got sha256:%s",
                      expected, hex);
}

aerie_status ae_blob_finish(ae_blob_writer *w, const char *expected, char hex[AE_HEX], bool *is_new,
                            aerie_error *err)
{
    ae_bytes path = { 0 };
    const ae_places *places = w->places;
    aerie_status status;
    bool there;

    ae_sha256_hex(&w->hash, hex);
    blob_path(&path, places->models, hex);
    status = ae_bytes_status(&path, err);
    if (!status) status = check_expected(expected, hex, err);
    there = !status && ae_file_exists(path.data);
    if (is_new) *is_new = !there;
    if (status || there)
        ae_blob_abandon(w);
    else {
        status = ae_file_writer_move(&w->file, path.data, err);
        if (!status) status = ae_file_writer_commit(&w->file, err);
        ae_blob_abandon(w);
    }
    ae_bytes_free(&path);
    return status;
}

/* ---- taken over ---- */

/* Linux's FICLONE: the same blocks, until one of the two is written. */
static bool share_blocks(int to, int from)
{
#if defined(__linux__) && defined(_IOW)
    return ioctl(to, _IOW(0x94, 9, int), from) == 0;
#else
    (void)to;
    (void)from;
    return false;
#endif
}

/* The bytes of the file into the writer. The hash is made of what is written, so that a file that
 * changes meanwhile is noticed. */
static aerie_status copy_bytes(ae_blob_writer *w, const char *path, const char *hex,
                               aerie_error *err)
{
    ae_file file = { 0 };
    char copied[AE_HEX];
    aerie_status status = ae_file_open(&file, path, err);

    for (size_t at = 0; !status && !w->file.error && at < file.size;) {
        size_t n = file.size - at < CHUNK ? file.size - at : CHUNK;
        ae_blob_add(w, file.data + at, n);
        ae_file_forget(&file, file.data + at, n);
        at += n;
    }
    ae_file_close(&file);
    return status ? status : ae_blob_finish(w, w->file.error ? NULL : hex, copied, NULL, err);
}

static aerie_status copy_file(const char *path, const char *hex, const ae_places *places,
                              aerie_error *err)
{
    ae_blob_writer w = { 0 };
    ae_bytes final = { 0 };
    aerie_status status = ae_blob_begin(&w, places, err);
    int from = status ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (!status && from >= 0 && share_blocks(fileno(w.file.stream), from)) {
        char shared[AE_HEX];
        status = ae_file_sha256(shared, w.file.temporary, NULL, NULL, err);
        if (!status) status = check_expected(hex, shared, err);
        blob_path(&final, places->models, hex);
        if (!status) status = ae_bytes_status(&final, err);
        if (!status) status = ae_file_writer_move(&w.file, final.data, err);
        if (!status) status = ae_file_writer_commit(&w.file, err);
    } else if (!status) {
        status = copy_bytes(&w, path, hex, err);
    }
    if (from >= 0) close(from);
    ae_blob_abandon(&w);
    ae_bytes_free(&final);
    return status;
}

static aerie_status move_file(const char *path, const char *to, aerie_error *err)
{
    if (rename(path, to) == 0) return AERIE_OK;
    return aerie_fail(err, AERIE_IO, "%s: cannot be renamed to %s: %s", path, to, strerror(errno));
}

aerie_status ae_blob_adopt(const char *path, bool move, const ae_places *places, char hex[AE_HEX],
                           bool *is_new, ae_file_hash_fn *on_progress, void *user, aerie_error *err)
{
    ae_bytes to = { 0 };
    aerie_status status = ae_store_need(places, err);
    bool there = false;

    if (!status) status = ae_file_sha256(hex, path, on_progress, user, err);
    if (!status) {
        blob_path(&to, places->models, hex);
        status = ae_bytes_status(&to, err);
    }
    if (!status) there = ae_file_exists(to.data);
    if (!status && !there)
        status = move ? move_file(path, to.data, err) : copy_file(path, hex, places, err);
    if (move && (status || there)) unlink(path);
    if (is_new) *is_new = !there;
    ae_bytes_free(&to);
    return status;
}

void ae_blob_keep(const ae_places *places, const char *hex)
{
    ae_bytes own = { 0 }, other = { 0 };

    if (!places->models || !places->ollama) return;
    blob_path(&own, places->models, hex);
    blob_path(&other, places->ollama, hex);
    if (!own.failed && !other.failed && !ae_file_exists(own.data) &&
        link(other.data, own.data) != 0)
        ae_log(AERIE_LOG_INFO, "%s: used where it lies (%s)", other.data, strerror(errno));
    ae_bytes_free(&own);
    ae_bytes_free(&other);
}
