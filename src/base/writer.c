/* writer.c -- a file written beside its place and moved there whole.
 *
 * A reader sees the old file or the new one, never half of one, even when the machine stops: the
 * bytes are on the disk before the name points at them, and the folder is flushed after. */
#include "base/file.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file that a link points at is replaced, not the link. */
static char *final_path(const char *path)
{
    struct stat info;
    char *resolved, *copy;

    if (lstat(path, &info) || !S_ISLNK(info.st_mode)) return ae_strdup(path);
    resolved = realpath(path, NULL);
    copy = ae_strdup(resolved ? resolved : path);
    free(resolved);
    return copy;
}

/* A device or a pipe cannot be replaced: it is written to as it stands. */
static bool is_written_in_place(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static char *temporary_path(const char *path)
{
    static atomic_uint counter;
    ae_bytes name = { 0 };

    ae_bytes_printf(&name, "%s.part-%ld-%u", path, (long)getpid(), atomic_fetch_add(&counter, 1));
    if (name.failed) ae_bytes_free(&name);
    return name.data;
}

aerie_status ae_file_writer_open(ae_file_writer *w, const char *path, aerie_error *err)
{
    bool in_place = is_written_in_place(path);
    int fd, problem;

    *w = (ae_file_writer){ 0 };
    if (ae_file_is_folder(path))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s: is a folder, the name of a file is wanted",
                          path);
    w->path = final_path(path);
    w->temporary = w->path && !in_place ? temporary_path(w->path) : NULL;
    if (!w->path || (!in_place && !w->temporary)) {
        ae_file_writer_abandon(w);
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", path);
    }
    fd = open(in_place ? w->path : w->temporary,
              O_WRONLY | O_CLOEXEC | (in_place ? 0 : O_CREAT | O_EXCL), 0666);
    if (fd >= 0) w->stream = fdopen(fd, "wb");
    if (w->stream) return AERIE_OK;
    problem = errno;
    if (fd >= 0) close(fd);
    if (fd >= 0 && w->temporary) unlink(w->temporary);
    ae_free(w->temporary);
    w->temporary = NULL; /* what is not ours must not be removed */
    ae_file_writer_abandon(w);
    return aerie_fail(err, AERIE_IO, "%s: cannot be written: %s", path, strerror(problem));
}

static void keep_error(ae_file_writer *w)
{
    if (!w->error) w->error = errno ? errno : EIO;
}

void ae_file_writer_add(ae_file_writer *w, const void *data, size_t len)
{
    if (w->error || !len) return;
    errno = 0;
    if (fwrite(data, 1, len, w->stream) != len)
        keep_error(w);
    else
        w->written += len;
}

void ae_file_writer_pad(ae_file_writer *w, size_t alignment)
{
    static const char zeros[64];
    size_t missing = alignment ? (size_t)((alignment - w->written % alignment) % alignment) : 0;

    while (missing && !w->error) {
        size_t n = missing < sizeof zeros ? missing : sizeof zeros;
        ae_file_writer_add(w, zeros, n);
        missing -= n;
    }
}

aerie_status ae_file_writer_move(ae_file_writer *w, const char *path, aerie_error *err)
{
    char *copy = ae_strdup(path);

    if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory", path);
    ae_free(w->path);
    w->path = copy;
    return AERIE_OK;
}

static void flush_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? ae_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : ae_strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    /* Not every file system can flush a folder; the file itself is already safe. */
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    ae_free(folder);
}

static void close_stream(ae_file_writer *w)
{
    errno = 0;
    if (fflush(w->stream)) keep_error(w);
    if (w->temporary && !w->error && fsync(fileno(w->stream))) keep_error(w);
    if (fclose(w->stream)) keep_error(w);
    w->stream = NULL;
}

aerie_status ae_file_writer_commit(ae_file_writer *w, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    close_stream(w);
    if (!w->error && w->temporary) {
        if (rename(w->temporary, w->path)) {
            keep_error(w);
        } else {
            ae_free(w->temporary);
            w->temporary = NULL;
            flush_folder(w->path);
        }
    }
    if (w->error)
        status = aerie_fail(err, AERIE_IO, "%s: writing failed after %llu bytes: %s%s", w->path,
                            (unsigned long long)w->written, strerror(w->error),
                            w->error == ENOSPC || w->error == EDQUOT
                                ? "; make room and try again, what was there before is untouched"
                                : "; what was there before is untouched");
    ae_file_writer_abandon(w);
    return status;
}

void ae_file_writer_abandon(ae_file_writer *w)
{
    if (w->stream) fclose(w->stream);
    if (w->temporary) unlink(w->temporary);
    ae_free(w->temporary);
    ae_free(w->path);
    *w = (ae_file_writer){ 0 };
}

aerie_status ae_file_write(const char *path, const void *data, size_t len, aerie_error *err)
{
    ae_file_writer w;
    aerie_status status = ae_file_writer_open(&w, path, err);

    if (status) return status;
    ae_file_writer_add(&w, data, len);
    return ae_file_writer_commit(&w, err);
}
