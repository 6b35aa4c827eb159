/* callbacks.c -- bytes on their way: headers, bodies, and what is sent. */
#include "http/transfer.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* More than any honest server sends; libcurl's own limit is of one line. */
static const size_t MAX_HEADER_BYTES = 256 * 1024;
static const size_t DEFAULT_MAX_BYTES = 16u << 20;

static void keep_status(transfer *t)
{
    long code = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
    t->response.status = (int)code;
}

/* Headers of interim answers and of a proxy's CONNECT come this way too; the last answer's stay. */
static size_t take_header(char *data, size_t size, size_t n, void *user)
{
    transfer *t = user;
    size_t len = size * n;

    t->moved_at = ae_clock_seconds();
    t->header_bytes += len;
    if (t->header_bytes > MAX_HEADER_BYTES) {
        aerie_fail(&t->error, AERIE_IO, "the answer's headers go on past %zu bytes",
                   MAX_HEADER_BYTES);
        return 0;
    }
    if (len >= 5 && strncasecmp(data, "HTTP/", 5) == 0)
        ae_bytes_clear(&t->response.headers);
    else if (len > 2)
        ae_bytes_add(&t->response.headers, data, len);
    keep_status(t);
    return ae_bytes_status(&t->response.headers, &t->error) ? 0 : len;
}

static aerie_status keep(transfer *t, const char *data, size_t len)
{
    size_t most = t->request.max_bytes ? t->request.max_bytes : DEFAULT_MAX_BYTES;

    if (len > most || t->response.body.len > most - len)
        return aerie_fail(&t->error, AERIE_IO, "the answer is longer than the %zu bytes allowed",
                          most);
    ae_bytes_add(&t->response.body, data, len);
    return ae_bytes_status(&t->response.body, &t->error);
}

static size_t take_body(char *data, size_t size, size_t n, void *user)
{
    transfer *t = user;
    size_t len = size * n;
    aerie_status status;

    t->moved_at = ae_clock_seconds();
    keep_status(t);
    if (ae_transfer_wants_sink(t)) {
        status = t->request.sink(t->request.sink_user, &t->response, data, len, &t->error);
        /* A sink that fails without a sentence still ends the request. */
        if (status) aerie_fail(&t->error, status, "the answer could not be taken");
    } else {
        status = keep(t, data, len);
    }
    if (status) return 0;
    t->response.received += len;
    return len;
}

static size_t give_body(char *data, size_t size, size_t n, void *user)
{
    transfer *t = user;
    uint64_t left = t->request.body_len - t->body_at;
    size_t want = size * n;
    ssize_t got;

    t->moved_at = ae_clock_seconds();
    if (left < want) want = (size_t)left;
    if (!want) return 0;
    got = pread(t->body_fd, data, want, (off_t)(t->request.body_from + t->body_at));
    if (got <= 0) {
        aerie_fail(&t->error, AERIE_IO, "%s: %s", t->request.body_path,
                   got < 0 ? strerror(errno) : "the file has become shorter while it is sent");
        return CURL_READFUNC_ABORT;
    }
    t->body_at += (uint64_t)got;
    if (t->request.sent) *t->request.sent = t->body_at;
    return (size_t)got;
}

/* libcurl goes back to the start when a kept connection turns out to be dead. */
static int seek_body(void *user, curl_off_t offset, int origin)
{
    transfer *t = user;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->request.body_len)
        return CURL_SEEKFUNC_CANTSEEK;
    t->body_at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* Called while bytes of a body in memory leave, too, which no other callback sees. */
static int watch(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                 curl_off_t up)
{
    transfer *t = user;

    (void)down_total, (void)down, (void)up_total;
    if ((uint64_t)up != t->body_at && t->body_fd < 0) {
        t->body_at = (uint64_t)up;
        t->moved_at = ae_clock_seconds();
    }
    return 0;
}

void ae_transfer_set_callbacks(transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, seek_body);
    curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(t->easy, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(t->easy, CURLOPT_NOPROGRESS, 0L);
}
