/* journal.c -- JSON lines that survive the end of the program that adds them. */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, MOST_LINE_BYTES = 256 << 20 };

static const double SYNC_SECONDS = 1;

static aerie_status failed(const ae_journal *j, int problem, aerie_error *err)
{
    bool full = problem == ENOSPC || problem == EDQUOT;

    return aerie_fail(err, AERIE_IO, "%s: cannot be written: %s%s", j->path, strerror(problem),
                      full ? "; make room and run it again, what is there is kept" : "");
}

aerie_status ae_journal_refuse(const char *what, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "no %s; move the file away to begin anew", what);
}

/* ---- what is there ---- */

typedef struct {
    ae_journal *j;
    const char *what;
    ae_journal_line_fn *fn;
    void *user;
    ae_bytes text; /* from the beginning of a line on */
    off_t whole;   /* bytes of the file before that */
} reading;

static aerie_status read_line(reading *r, ae_span text, aerie_error *err)
{
    json_t *line = text.len ? json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL) : NULL;
    aerie_status status = AERIE_OK;

    r->j->n_lines++;
    if (text.len && !json_is_object(line))
        status = ae_journal_refuse(r->what, err);
    else if (line)
        status = r->fn(r->user, line, err);
    if (status) aerie_error_prefix(err, "%s:%zu", r->j->path, r->j->n_lines);
    json_decref(line);
    return status;
}

/* The whole lines of the text, of which the first `seen` bytes are known to hold no end. */
static aerie_status read_lines(reading *r, size_t seen, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t at = 0;
    const char *end;

    while (!status && (end = memchr(r->text.data + seen, '\n', r->text.len - seen))) {
        size_t len = (size_t)(end - r->text.data) - at;
        status = read_line(r, (ae_span){ r->text.data + at, len }, err);
        seen = at += len + 1;
    }
    r->whole += (off_t)at;
    r->text.len -= at;
    memmove(r->text.data, r->text.data + at, r->text.len);
    if (!status && r->text.len > MOST_LINE_BYTES) status = ae_journal_refuse(r->what, err);
    return status;
}

static aerie_status read_all(reading *r, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ssize_t n = 1;

    while (!status && n != 0) {
        size_t seen = r->text.len, more = seen > CHUNK ? seen : CHUNK;
        if (!ae_bytes_reserve(&r->text, more)) return ae_bytes_status(&r->text, err);
        n = read(r->j->fd, r->text.data + seen, more);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return failed(r->j, errno, err);
        r->text.len += (size_t)n;
        status = read_lines(r, seen, err);
    }
    return status;
}

/* A line without an end was being written when the program or the machine stopped, which may leave
 * zeros in its place. Anything else is not ours to cut. */
static aerie_status drop_torn(reading *r, aerie_error *err)
{
    if (!r->text.len) return AERIE_OK;
    if (r->text.data[0] != '{' && r->text.data[0] != '\0') {
        aerie_status status = ae_journal_refuse(r->what, err);
        aerie_error_prefix(err, "%s:%zu", r->j->path, r->j->n_lines + 1);
        return status;
    }
    return ftruncate(r->j->fd, r->whole) ? failed(r->j, errno, err) : AERIE_OK;
}

static aerie_status lock(const ae_journal *j, aerie_error *err)
{
    int result;

    while ((result = flock(j->fd, LOCK_EX | LOCK_NB)) && errno == EINTR) continue;
    if (!result || errno != EWOULDBLOCK) return AERIE_OK;
    return aerie_fail(err, AERIE_IO,
                      "%s: another run is writing to it; wait for it, or name "
                      "another place",
                      j->path);
}

aerie_status ae_journal_open(ae_journal *out, const char *path, const char *what,
                             ae_journal_line_fn *fn, void *user, aerie_error *err)
{
    reading r = { .j = out, .what = what, .fn = fn, .user = user };
    struct stat is;
    aerie_status status;

    *out = (ae_journal){ .path = ae_strdup(path), .synced = ae_clock_seconds() };
    if (!out->path) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a file's name");
    out->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (out->fd < 0 || fstat(out->fd, &is)) {
        status = failed(out, errno, err);
    } else {
        status = lock(out, err);
        if (!status && S_ISREG(is.st_mode)) status = read_all(&r, err);
        if (!status) status = drop_torn(&r, err);
    }
    ae_bytes_free(&r.text);
    if (status) ae_journal_close(out);
    return status;
}

/* ---- what comes ---- */

/* All of it, or, with errno, nothing. */
static bool append(ae_journal *j, const char *text, size_t len)
{
    off_t before = lseek(j->fd, 0, SEEK_END);
    size_t done = 0;
    int problem;

    while (done < len) {
        ssize_t n = write(j->fd, text + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        done += (size_t)n;
    }
    if (done == len) return true;
    problem = errno;
    if (done && (before < 0 || ftruncate(j->fd, before))) {
        /* The torn line stays the last, so that the next run drops it. */
        close(j->fd);
        j->fd = -1;
    }
    errno = problem;
    return false;
}

aerie_status ae_journal_add(ae_journal *j, json_t *line, ae_journal_text as, aerie_error *err)
{
    size_t escapes = as == AE_JOURNAL_ASCII ? JSON_ENSURE_ASCII : 0;
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(17) | escapes) : NULL;
    size_t len = text ? strlen(text) : 0;
    aerie_status status = AERIE_OK;

    json_decref(line);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a line of %s", j->path);
    text[len] = '\n'; /* in place of its '\0' */
    if (append(j, text, len + 1))
        j->n_lines++;
    else
        status = failed(j, errno, err);
    free(text);
    if (!status && ae_clock_seconds() - j->synced >= SYNC_SECONDS) status = ae_journal_sync(j, err);
    return status;
}

aerie_status ae_journal_sync(ae_journal *j, aerie_error *err)
{
    int result;

    while ((result = fdatasync(j->fd)) && errno == EINTR) continue;
    j->synced = ae_clock_seconds();
    /* A device or a pipe has no disk behind it. */
    return result && errno != EINVAL && errno != ENOTSUP ? failed(j, errno, err) : AERIE_OK;
}

void ae_journal_close(ae_journal *j)
{
    if (j->path && j->fd >= 0) {
        fdatasync(j->fd);
        close(j->fd);
    }
    ae_free(j->path);
    *j = (ae_journal){ 0 };
}
