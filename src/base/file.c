/* file.c -- whole files read: mapped, or unpacked into memory; names of files and folders. */
#include "base/file.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { READ_CHUNK = 1 << 20 };

/* Opens a regular file (or, with any_kind, a pipe or device) for reading. */
static aerie_status open_for_reading(int *fd, size_t *size, const char *path, bool any_kind,
                                     aerie_error *err)
{
    struct stat info;
    int problem;

    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return aerie_fail(err, AERIE_NOT_FOUND, "%s: there is no such file", path);
    if (*fd < 0 || fstat(*fd, &info)) goto failed;
    if (S_ISDIR(info.st_mode)) {
        close(*fd);
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: is a folder, a file is wanted", path);
    }
    if (!any_kind && !S_ISREG(info.st_mode)) {
        close(*fd);
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: is not a regular file", path);
    }
    *size = (size_t)info.st_size;
    return AERIE_OK;
failed:
    problem = errno;
    if (*fd >= 0) close(*fd);
    return aerie_fail(err, AERIE_IO, "%s: cannot be read: %s", path, strerror(problem));
}

aerie_status ae_file_open(ae_file *file, const char *path, aerie_error *err)
{
    static const uint8_t nothing[1];
    aerie_status status;
    void *data;
    int fd;

    *file = (ae_file){ 0 };
    status = open_for_reading(&fd, &file->size, path, false, err);
    if (status) return status;
    file->data = nothing;
    if (file->size) {
        data = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = aerie_fail(err, errno == ENOMEM ? AERIE_NO_MEMORY : AERIE_IO,
                                "%s: cannot be mapped: %s", path, strerror(errno));
            *file = (ae_file){ 0 };
            goto done;
        }
        file->data = data;
    }
    file->path = ae_strdup(path);
    if (!file->path) {
        status = aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", path);
        ae_file_close(file);
    }
done:
    close(fd);
    return status;
}

void ae_file_close(ae_file *file)
{
    if (file->size) munmap((void *)(uintptr_t)file->data, file->size);
    ae_free(file->path);
    *file = (ae_file){ 0 };
}

void ae_file_forget(const ae_file *file, const void *data, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)file->data;
    uintptr_t from = data ? (uintptr_t)data : start, to = from + (data ? bytes : file->size);

    if (!file->size || from < start || to < from || to > start + file->size) return;
    from = (from + page - 1) / page * page;
    to -= to % page;
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

aerie_status ae_file_reader_open(ae_file_reader *r, const char *path, aerie_error *err)
{
    aerie_status status;
    size_t size;
    int fd;

    *r = (ae_file_reader){ 0 };
    status = open_for_reading(&fd, &size, path, true, err);
    if (status) return status;
    r->path = ae_strdup(path);
    r->gz = r->path ? gzdopen(fd, "rb") : NULL;
    if (r->gz) return AERIE_OK;
    close(fd);
    ae_file_reader_close(r);
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", path);
}

void ae_file_reader_close(ae_file_reader *r)
{
    if (r->gz) gzclose_r(r->gz);
    ae_free(r->path);
    *r = (ae_file_reader){ 0 };
}

static aerie_status reading_failed(const ae_file_reader *r, int problem, aerie_error *err)
{
    if (problem == Z_ERRNO)
        return aerie_fail(err, AERIE_IO, "%s: cannot be read: %s", r->path, strerror(errno));
    return aerie_fail(err, problem == Z_MEM_ERROR ? AERIE_NO_MEMORY : AERIE_BAD_FILE,
                      "%s: its gzip data is cut off or damaged after %llu bytes", r->path,
                      (unsigned long long)r->bytes);
}

aerie_status ae_file_reader_more(ae_file_reader *r, ae_bytes *out, size_t most, aerie_error *err)
{
    int n = 0, problem = Z_OK;

    for (size_t left = most; left && !r->ended; left -= (size_t)n) {
        size_t part = left < READ_CHUNK ? left : READ_CHUNK;
        if (!ae_bytes_reserve(out, part)) return ae_bytes_status(out, err);
        n = gzread(r->gz, out->data + out->len, (unsigned)part);
        r->ended = n <= 0;
        if (r->ended) break;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        r->bytes += (uint64_t)n;
    }
    if (!r->ended) return AERIE_OK;
    gzerror(r->gz, &problem);
    return n == 0 && problem == Z_OK ? AERIE_OK : reading_failed(r, problem, err);
}

aerie_status ae_file_read(ae_bytes *out, const char *path, size_t max_bytes, aerie_error *err)
{
    ae_file_reader r;
    aerie_status status;

    ae_bytes_clear(out);
    if (!max_bytes) max_bytes = (size_t)4 << 30;
    status = ae_file_reader_open(&r, path, err);
    while (!status && !r.ended) {
        status = ae_file_reader_more(&r, out, READ_CHUNK, err);
        if (!status && out->len > max_bytes)
            status = aerie_fail(err, AERIE_BAD_FILE,
                                "%s: holds more than the %zu bytes that may be read at once", path,
                                max_bytes);
    }
    ae_file_reader_close(&r);
    return status;
}

aerie_status ae_file_sha256(char out[65], const char *path, ae_file_hash_fn *told, void *user,
                            aerie_error *err)
{
    enum { PART = 1 << 20 };
    ae_file file = { 0 };
    ae_sha256 hash;
    aerie_status status = ae_file_open(&file, path, err);

    ae_sha256_start(&hash);
    for (size_t at = 0; !status && at < file.size;) {
        size_t n = file.size - at < PART ? file.size - at : PART;
        ae_sha256_add(&hash, file.data + at, n);
        ae_file_forget(&file, file.data + at, n);
        at += n;
        if (told && !told(user, at, file.size))
            status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted while reading %s", path);
    }
    ae_sha256_hex(&hash, out);
    ae_file_close(&file);
    return status;
}

bool ae_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool ae_file_is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

aerie_status ae_file_make_folder(const char *path, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    char *part = ae_strdup(path);

    if (!part) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory", path);
    for (char *at = part + 1; *part; at++) {
        char c = *at;
        if (c && c != '/') continue;
        *at = '\0';
        if (mkdir(part, 0777) && !ae_file_is_folder(part)) {
            status = aerie_fail(err, AERIE_IO, "%s: the folder cannot be made: %s", part,
                                strerror(errno));
            break;
        }
        *at = c;
        if (!c) break;
    }
    ae_free(part);
    return status;
}

char *ae_path_join(const char *folder, const char *name)
{
    size_t len = strlen(folder), total;
    const char *between = len && folder[len - 1] != '/' ? "/" : "";
    char *joined;

    if (!ae_add_size(&total, len, strlen(name) + 2)) return NULL;
    joined = ae_alloc(total, 1);
    if (joined) snprintf(joined, total, "%s%s%s", folder, between, name);
    return joined;
}
