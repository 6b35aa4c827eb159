/* pull_blob.c -- one blob by several requests at once, into a file that a later pull goes on with.
 *
 * blobs/sha256-HEX-partial holds the bytes, and after them a note, a byte, for each part (1 MiB):
 * 0, WRITTEN or SAFE. A request is for a run of parts that are missing. A part is noted as soon as
 * all of it was written, and as safe once the disk has it: what a killed process wrote is there,
 * what a machine wrote that lost its power may not be. Whoever fetches it holds a lock on
 * blobs/sha256-HEX-partial.lock; who comes second waits, and finds the blob. What the server says
 * of sizes is checked against the manifest before a byte is written. */
#include "hub/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum {
    AT_ONCE = 4,
    MOST_RETRIES = 8, /* of connections that brought nothing */
    LONGEST_RUN = 32  /* parts of a request */
};
enum { SAFE = 1, WRITTEN = 2 };
static const uint64_t part_bytes = 1 << 20;
static const int64_t most_bytes = (int64_t)1 << 43;

typedef struct fetch fetch;

/* A request under way. */
typedef struct {
    fetch *f;
    int64_t part, n_parts; /* its run */
    int64_t n_noted;       /* of them, from the first */
    int64_t from, end, at; /* bytes */
    bool whole;            /* asked for without a range */
    char range[80];
    ae_http_header headers[2];
} piece;

struct fetch {
    ae_registry *r;
    const ae_layer *layer;
    ae_bytes path, partial, lock_path, url;
    char digest[AE_HEX + 8], status[32];
    int fd, lock;
    int64_t part_size, n_parts, run, completed;
    uint8_t *is_done;   /* [n_parts] */
    uint8_t *under_way; /* [n_parts] */
    piece pieces[AT_ONCE];
    bool no_ranges; /* the server sends all or nothing */
    bool disk_failed;
    int n_retries; /* of parts whose connection broke */
    double told_at;
};

/* ---- the file ---- */

static aerie_status io_failed(fetch *f, aerie_error *err)
{
    int problem = errno;

    f->disk_failed = true;

    return aerie_fail(err, AERIE_IO, "%s: %s%s", f->partial.data, strerror(problem),
                      problem == ENOSPC || problem == EDQUOT || problem == EFBIG
                          ? "; make room and pull again: what came already stays"
                          : "");
}

static aerie_status write_at(fetch *f, const void *data, size_t len, int64_t at, aerie_error *err)
{
    const char *from = data;

    while (len) {
        ssize_t n = pwrite(f->fd, from, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return io_failed(f, err);
        from += n;
        at += n;
        len -= (size_t)n;
    }
    return AERIE_OK;
}

static int64_t part_length(const fetch *f, int64_t part)
{
    int64_t from = part * f->part_size;

    return ae_min64(f->part_size, f->layer->bytes - from);
}

/* Which parts an earlier pull got; a file of another size is begun anew. */
static aerie_status open_partial(fetch *f, aerie_error *err)
{
    int64_t bytes = 0, n_missing = 0, modified = 0;
    bool was_since_start = false;

    f->fd = open(f->partial.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (f->fd < 0) return io_failed(f, err);
    if (ae_store_stat(f->partial.data, &bytes, &modified) &&
        bytes == f->layer->bytes + f->n_parts) {
        /* The machine's clock begins with its start, or (after a rest) later. */
        was_since_start =
            (double)modified / 1e9 > (double)ae_clock_unix_seconds() - ae_clock_seconds() + 1;
        if (pread(f->fd, f->is_done, (size_t)f->n_parts, (off_t)f->layer->bytes) !=
            (ssize_t)f->n_parts)
            return io_failed(f, err);
    } else if (ftruncate(f->fd, 0)) {
        return io_failed(f, err);
    } else {
        /* The notes have their room from the start: a full disk shall not keep them from being
         * made. */
        aerie_status status;
        memset(f->is_done, 0, (size_t)f->n_parts);
        status = write_at(f, f->is_done, (size_t)f->n_parts, f->layer->bytes, err);
        if (status) return status;
    }
    for (int64_t i = 0; i < f->n_parts; i++) {
        if (f->is_done[i] != SAFE && !(f->is_done[i] == WRITTEN && was_since_start))
            f->is_done[i] = 0;
        if (f->is_done[i]) f->completed += part_length(f, i);
        n_missing += !f->is_done[i];
    }
    /* None has much more to do than the others. */
    f->run = ae_min64((n_missing + AT_ONCE - 1) / AT_ONCE, LONGEST_RUN);
    return AERIE_OK;
}

static aerie_status write_notes(fetch *f, int64_t first, int64_t n, aerie_error *err)
{
    return write_at(f, f->is_done + first, (size_t)n, f->layer->bytes + first, err);
}

/* The parts of a run that have become whole. */
static aerie_status note_parts(piece *p, aerie_error *err)
{
    fetch *f = p->f;
    int64_t whole = p->at == p->end ? p->n_parts : (p->at - p->from) / f->part_size;
    int64_t first = p->part + p->n_noted, n = whole - p->n_noted;

    if (!n) return AERIE_OK;
    memset(f->is_done + first, WRITTEN, (size_t)n);
    p->n_noted = whole;
    return write_notes(f, first, n, err);
}

/* A failure is told once, and not of which bytes: then no part is sure that was not before. */
static aerie_status secure_parts(piece *p, aerie_error *err)
{
    fetch *f = p->f;
    aerie_status status;

    if (!p->n_noted) return AERIE_OK;
    if (!fdatasync(f->fd)) {
        memset(f->is_done + p->part, SAFE, (size_t)p->n_noted);
        return write_notes(f, p->part, p->n_noted, err);
    }
    status = io_failed(f, err);
    for (int64_t i = 0; i < f->n_parts; i++)
        if (f->is_done[i] == WRITTEN) f->is_done[i] = 0;
    write_notes(f, 0, f->n_parts, NULL);
    return status;
}

/* What came of a server that was caught lying. */
static void forget_parts(piece *p)
{
    fetch *f = p->f;

    memset(f->is_done + p->part, 0, (size_t)p->n_noted);
    write_notes(f, p->part, p->n_noted, NULL);
    p->n_noted = 0;
}

/* What the one who fetches it has noted so far. */
static int64_t others_bytes(const fetch *f)
{
    int64_t bytes = 0, sum = 0;
    int fd = open(f->partial.data, O_RDONLY | O_CLOEXEC);

    if (fd < 0) return 0;
    if (ae_store_stat(f->partial.data, &bytes, NULL) && bytes == f->layer->bytes + f->n_parts &&
        pread(fd, f->is_done, (size_t)f->n_parts, (off_t)f->layer->bytes) == (ssize_t)f->n_parts)
        for (int64_t i = 0; i < f->n_parts; i++)
            if (f->is_done[i]) sum += part_length(f, i);
    close(fd);
    return sum;
}

/* Waits its turn, looking up now and then. */
static aerie_status take_lock(fetch *f, aerie_error *err)
{
    f->lock = open(f->lock_path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (f->lock < 0) return io_failed(f, err);
    while (flock(f->lock, LOCK_EX | LOCK_NB)) {
        static const struct timespec pause = { .tv_nsec = 50000000 };
        if (errno != EWOULDBLOCK && errno != EINTR) return AERIE_OK; /* no locks here */
        if (!ae_registry_tell(f->r, f->status, f->digest, f->layer->bytes, others_bytes(f)))
            return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
        nanosleep(&pause, NULL);
    }
    return AERIE_OK;
}

/* ---- requests ---- */

static bool tell(fetch *f, bool always)
{
    double now = ae_clock_seconds();

    /* Told when the step is told again, at the latest. */
    f->r->completed = f->completed;
    if (!always && now - f->told_at < 0.06) return !f->r->stop;
    f->told_at = now;
    return ae_registry_tell(f->r, f->status, f->digest, f->layer->bytes, f->completed);
}

/* "bytes 0-99/1000": exactly what was asked for. */
static aerie_status check_range(const piece *p, const ae_http_response *answer, aerie_error *err)
{
    ae_span given = ae_http_header_of(answer, "Content-Range");
    char wanted[96];

    snprintf(wanted, sizeof wanted, "bytes %lld-%lld/%lld", (long long)p->from,
             (long long)p->end - 1, (long long)p->f->layer->bytes);
    if (given.data && ae_span_is(given, wanted)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "the registry sends '%.*s' of sha256:%.12s where '%s' was asked for: it has "
                      "not the size that its manifest says",
                      given.len > 60 ? 60 : (int)given.len, given.data ? given.data : "",
                      p->f->layer->hex, wanted);
}

static aerie_status take_bytes(void *user, const ae_http_response *answer, const void *data,
                               size_t len, aerie_error *err)
{
    piece *p = user;
    fetch *f = p->f;
    aerie_status status = AERIE_OK;

    if (answer->status == 206 && p->at == p->from) {
        status = check_range(p, answer, err);
    } else if (answer->status != 206 && !p->whole && f->n_parts > 1) {
        /* All of it, from its start: one request is then enough. */
        f->no_ranges = true;
        return aerie_fail(err, AERIE_UNSUPPORTED, "the registry sends no parts");
    }
    if (status) return status;
    if ((int64_t)len > p->end - p->at)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "the registry sends more of sha256:%.12s than the %lld bytes that its "
                          "manifest says",
                          f->layer->hex, (long long)f->layer->bytes);
    status = write_at(f, data, len, p->at, err);
    if (status) return status;
    p->at += (int64_t)len;
    f->completed += (int64_t)len;
    status = note_parts(p, err);
    if (!status && !tell(f, false)) status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    return status;
}

/* The next parts that are neither there nor under way, as many as a request is for; 0: none. */
static int64_t next_run(const fetch *f, int64_t *first)
{
    int64_t at = 0, n = 0;

    while (at < f->n_parts && (f->is_done[at] || f->under_way[at])) at++;
    *first = at;
    for (; at < f->n_parts && n < f->run && !f->is_done[at] && !f->under_way[at]; at++) n++;
    return n;
}

static aerie_status start(fetch *f, piece *p, int64_t first, int64_t n, aerie_error *err)
{
    ae_http_request request;
    aerie_status status;

    if (f->no_ranges) {
        first = f->completed = 0;
        n = f->n_parts;
        memset(f->is_done, 0, (size_t)n);
    }
    *p = (piece){ .f = f, .part = first, .n_parts = n, .whole = f->no_ranges };
    p->from = p->at = first * f->part_size;
    p->end = ae_min64(p->from + n * f->part_size, f->layer->bytes);
    snprintf(p->range, sizeof p->range, "bytes=%lld-%lld", (long long)p->from,
             (long long)p->end - 1);
    ae_registry_request(f->r, &request, f->url.data, f->no_ranges ? NULL : "Range", p->range);
    memcpy(p->headers, request.headers, request.n_headers * sizeof *p->headers);
    request.headers = p->headers;
    request.sink = take_bytes;
    request.sink_user = p;
    status = ae_http_start(f->r->http, &request, p, err);
    if (!status) memset(f->under_way + first, 1, (size_t)n);
    return status;
}

static aerie_status check_whole(const piece *p, const ae_http_done *done, aerie_error *err)
{
    aerie_status status = ae_http_expect(&done->response, err);

    if (status || p->at == p->end) return status;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "the registry sent %lld of the %lld bytes of sha256:%.12s that its manifest "
                      "says",
                      (long long)(p->at - p->from), (long long)(p->end - p->from),
                      p->f->layer->hex);
}

/* A request that ended: its run is whole, or will be asked for again, or the sentence. */
static aerie_status finish(fetch *f, piece *p, const ae_http_done *done, aerie_error *err)
{
    aerie_status status = done->status;

    if (status)
        aerie_fail(err, status, "%s", done->error.message);
    else
        status = check_whole(p, done, err);
    if (status == AERIE_BAD_FILE)
        forget_parts(p);
    else if (status)
        secure_parts(p, NULL);
    else
        status = secure_parts(p, err);
    memset(f->under_way + p->part, 0, (size_t)p->n_parts);
    f->completed -= p->at - ae_min64(p->from + p->n_noted * f->part_size, p->end);
    return status;
}

/* Whether what ended a request is no reason to give up: err is then as it was. */
static bool can_go_on(fetch *f, const piece *p, const ae_http_done *done)
{
    if (done->status == AERIE_UNSUPPORTED) return f->no_ranges;
    if (done->status != AERIE_IO || f->disk_failed) return false;
    if (p->n_noted && !p->whole) f->n_retries = 0;
    return f->n_retries++ < MOST_RETRIES;
}

/* As many requests at once as there are pieces; on a failure those under way are waited for, so
 * that what they bring is kept. */
static aerie_status fetch_parts(fetch *f, aerie_error *err)
{
    bool busy[AT_ONCE] = { false };
    aerie_status status = AERIE_OK;
    ae_http_done done = { 0 };
    bool was_whole = f->no_ranges;

    for (;;) {
        for (int i = 0; i < AT_ONCE && !status && f->no_ranges == was_whole; i++) {
            int64_t first, n = busy[i] || (f->no_ranges && i) ? 0 : next_run(f, &first);
            if (!n) continue;
            status = start(f, &f->pieces[i], first, n, err);
            busy[i] = !status;
        }
        if (!ae_http_under_way(f->r->http) || !ae_http_wait(f->r->http, -1, &done)) break;
        piece *p = done.user;
        aerie_error why = { 0 };
        aerie_status ended = finish(f, p, &done, &why);
        if (ended && !status && !can_go_on(f, p, &done))
            status = aerie_fail(err, ended, "%s", why.message);
        busy[p - f->pieces] = false;
        ae_http_response_free(&done.response);
        if (status == AERIE_INTERRUPTED) f->r->stop = true;
    }
    return status;
}

static aerie_status fetch_all(fetch *f, aerie_error *err)
{
    int64_t first;
    aerie_status status = fetch_parts(f, err);

    if (status || !f->no_ranges || !next_run(f, &first)) return status;
    return fetch_parts(f, err);
}

/* ---- all of it ---- */

static bool go_on(void *user, uint64_t done, uint64_t total)
{
    fetch *f = user;

    (void)done;
    (void)total;
    return ae_registry_tell(f->r, "verifying sha256 digest", NULL, 0, 0);
}

/* What has not the digest is of no use to anybody. */
static aerie_status keep_blob(fetch *f, aerie_error *err)
{
    char hex[AE_HEX];
    aerie_status status = AERIE_OK;

    if (ftruncate(f->fd, (off_t)f->layer->bytes) || fsync(f->fd)) status = io_failed(f, err);
    if (!status) status = ae_file_sha256(hex, f->partial.data, go_on, f, err);
    if (!status && strcmp(hex, f->layer->hex) != 0) {
        unlink(f->partial.data);
        return aerie_fail(err, AERIE_BAD_FILE,
                          "digest mismatch, the file must be downloaded again: want sha256:%s, got "
                          "sha256:%s",
                          f->layer->hex, hex);
    }
    if (!status && rename(f->partial.data, f->path.data)) status = io_failed(f, err);
    if (!status) unlink(f->lock_path.data);
    return status;
}

static aerie_status make_names(fetch *f, const ae_places *places, aerie_error *err)
{
    const char *hex = f->layer->hex;
    aerie_status status;

    ae_bytes_printf(&f->path, "%s/blobs", places->models);
    status = ae_bytes_status(&f->path, err);
    if (!status) status = ae_file_make_folder(f->path.data, err);
    ae_bytes_printf(&f->path, "/sha256-%s", hex);
    ae_bytes_printf(&f->partial, "%s/blobs/sha256-%s-partial", places->models, hex);
    ae_bytes_printf(&f->lock_path, "%s/blobs/sha256-%s-partial.lock", places->models, hex);
    ae_bytes_printf(&f->url, "%s/blobs/sha256:%s", f->r->base.data, hex);
    snprintf(f->digest, sizeof f->digest, "sha256:%s", hex);
    snprintf(f->status, sizeof f->status, "pulling %.12s", hex);
    if (!status) status = ae_bytes_status(&f->path, err);
    if (!status) status = ae_bytes_status(&f->partial, err);
    if (!status) status = ae_bytes_status(&f->lock_path, err);
    return status ? status : ae_bytes_status(&f->url, err);
}

static aerie_status plan_parts(fetch *f, aerie_error *err)
{
    uint64_t size = f->r->options->part_bytes ? f->r->options->part_bytes : part_bytes;

    if (f->layer->bytes > most_bytes)
        return aerie_fail(err, AERIE_BAD_FILE, "a layer of %lld bytes: more than there can be",
                          (long long)f->layer->bytes);
    f->part_size = (int64_t)size;
    f->n_parts = (f->layer->bytes + f->part_size - 1) / f->part_size;
    f->is_done = ae_alloc((size_t)f->n_parts, 1);
    f->under_way = ae_alloc((size_t)f->n_parts, 1);
    return f->is_done && f->under_way ? AERIE_OK
                                      : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
}

static void close_fetch(fetch *f)
{
    if (f->fd >= 0) close(f->fd);
    if (f->lock >= 0) close(f->lock);
    ae_free(f->is_done);
    ae_free(f->under_way);
    ae_bytes_free(&f->path);
    ae_bytes_free(&f->partial);
    ae_bytes_free(&f->lock_path);
    ae_bytes_free(&f->url);
}

aerie_status ae_registry_blob(ae_registry *r, const ae_layer *layer, const ae_places *places,
                              aerie_error *err)
{
    fetch f = { .r = r, .layer = layer, .fd = -1, .lock = -1 };
    int64_t bytes = 0;
    aerie_status status = make_names(&f, places, err);
    bool there = false;

    if (!status) there = ae_store_stat(f.path.data, &bytes, NULL);
    if (!status && !there) status = plan_parts(&f, err);
    if (!status && !there) status = take_lock(&f, err);
    if (!status) there = ae_store_stat(f.path.data, &bytes, NULL);
    if (!status && !there) {
        status = open_partial(&f, err);
        if (!status && !tell(&f, true)) status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
        if (!status) status = fetch_all(&f, err);
        if (!status) status = keep_blob(&f, err);
    } else if (!status && bytes != layer->bytes) {
        status = aerie_fail(err, AERIE_BAD_FILE,
                            "%s: has %lld bytes, the registry's manifest says %lld; `aerie verify "
                            "--repair` removes it if it is damaged",
                            f.path.data, (long long)bytes, (long long)layer->bytes);
    }
    if (!status) {
        f.completed = layer->bytes;
        if (!tell(&f, true)) status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    }
    close_fetch(&f);
    return status;
}
