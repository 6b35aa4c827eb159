/* log.c -- JSON lines that a killed program leaves whole. */
#include "panel/panel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static aerie_status read_rows(ae_panel_log *log, ae_panel_row_fn *fn, void *user, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, log->path, (size_t)1 << 31, err);
    size_t at = 0, line = 1;
    const char *end;

    for (; !status && text.data && (end = memchr(text.data + at, '\n', text.len - at)); line++) {
        size_t len = (size_t)(end - text.data) - at;
        json_t *row = len ? json_loadb(text.data + at, len, 0, NULL) : NULL;
        if (len && !json_is_object(row))
            status = aerie_fail(err, AERIE_BAD_FILE,
                                "%s:%zu: is no JSON object; move the file away to begin anew",
                                log->path, line);
        else if (row && (status = fn(user, row, err)) != AERIE_OK)
            aerie_error_prefix(err, "%s:%zu", log->path, line);
        json_decref(row);
        at += len + 1;
    }
    if (!status && at < text.len && ftruncate(log->fd, (off_t)at))
        status = aerie_fail(err, AERIE_IO, "%s: %s", log->path, strerror(errno));
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_panel_log_open(ae_panel_log *log, const char *path, ae_panel_row_fn *fn, void *user,
                               aerie_error *err)
{
    *log = (ae_panel_log){ .path = ae_strdup(path), .fd = -1 };
    if (!log->path) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a file's name");
    log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0) return aerie_fail(err, AERIE_IO, "%s: %s", path, strerror(errno));
    if (flock(log->fd, LOCK_EX | LOCK_NB))
        return aerie_fail(err, AERIE_IO, "%s: another run is writing to it", path);
    return read_rows(log, fn, user, err);
}

aerie_status ae_panel_log_add(ae_panel_log *log, const json_t *row, aerie_error *err)
{
    char *text = row ? json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    size_t len = text ? strlen(text) : 0;
    aerie_status status = AERIE_OK;

    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a line of %s", log->path);
    text[len] = '\n'; /* in place of its '\0': one write, so that a line is whole or the last */
    ssize_t n = write(log->fd, text, len + 1);
    if (n != (ssize_t)len + 1)
        status = aerie_fail(err, AERIE_IO, "%s: %s", log->path,
                            n < 0 ? strerror(errno) : "the disk is full");
    free(text);
    return status;
}

void ae_panel_log_close(ae_panel_log *log)
{
    if (log->path && log->fd >= 0) close(log->fd);
    ae_free(log->path);
    *log = (ae_panel_log){ .fd = -1 };
}
