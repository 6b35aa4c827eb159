/* http.c -- the client: requests under way, and the loop that drives them. */
#include "http/http.h"

#include "http/transfer.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

/* How often, in milliseconds, somebody looks after the clock and the caller's wish to stop. */
enum { TICK_MS = 50 };

struct ae_http {
    CURLM *multi;
    char *agent, *ca_file;
    bool (*stop)(void *user);
    void *stop_user;
    transfer *under_way, *done; /* done: the oldest first */
    bool reached;               /* some server, once */
};

/* Where nothing was ever reached, waiting helps less often than another address. */
enum { MOST_RETRIES_UNREACHED = 2 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global;

static void init_curl(void)
{
    global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

aerie_status ae_http_open(ae_http **out, const ae_http_options *options, aerie_error *err)
{
    ae_http *http;

    *out = NULL;
    pthread_once(&once, init_curl);
    if (global)
        return aerie_fail(err, AERIE_UNSUPPORTED, "libcurl does not start: %s",
                          curl_easy_strerror(global));
    http = ae_alloc(1, sizeof *http);
    if (!http) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an HTTP client");
    http->multi = curl_multi_init();
    if (options) {
        http->stop = options->stop;
        http->stop_user = options->stop_user;
        if (options->agent) http->agent = ae_strdup(options->agent);
        if (options->ca_file) http->ca_file = ae_strdup(options->ca_file);
    }
    if (!http->multi ||
        (options && ((options->agent && !http->agent) || (options->ca_file && !http->ca_file)))) {
        ae_http_close(http);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an HTTP client");
    }
    *out = http;
    return AERIE_OK;
}

static void close_all(ae_http *http, transfer *t)
{
    while (t) {
        transfer *next = t->next;
        if (t->running) curl_multi_remove_handle(http->multi, t->easy);
        ae_transfer_close(t);
        t = next;
    }
}

void ae_http_close(ae_http *http)
{
    if (!http) return;
    close_all(http, http->under_way);
    close_all(http, http->done);
    if (http->multi) curl_multi_cleanup(http->multi);
    ae_free(http->agent);
    ae_free(http->ca_file);
    ae_free(http);
}

aerie_status ae_http_start(ae_http *http, const ae_http_request *request, void *user,
                           aerie_error *err)
{
    transfer *t;
    aerie_status status = ae_transfer_open(&t, request, user, err);

    if (status) return status;
    t->next = http->under_way;
    http->under_way = t;
    return AERIE_OK;
}

size_t ae_http_under_way(const ae_http *http)
{
    size_t n = 0;

    for (const transfer *t = http->under_way; t; t = t->next) n++;
    for (const transfer *t = http->done; t; t = t->next) n++;
    return n;
}

/* From the list of those under way to the end of those done. */
static void finish(ae_http *http, transfer *t)
{
    transfer **at = &http->under_way;

    while (*at != t) at = &(*at)->next;
    *at = t->next;
    for (at = &http->done; *at;) at = &(*at)->next;
    t->next = NULL;
    *at = t;
}

static void begin(ae_http *http, transfer *t)
{
    aerie_error err = { 0 };
    aerie_status status = ae_transfer_prepare(t, http->agent, http->ca_file, &err);

    if (!status && curl_multi_add_handle(http->multi, t->easy))
        status = aerie_fail(&err, AERIE_NO_MEMORY, "no memory for a request");
    if (!status) {
        t->running = true;
        return;
    }
    t->error = err;
    finish(http, t);
}

static void begin_due(ae_http *http)
{
    double now = ae_clock_seconds();

    for (transfer *t = http->under_way, *next; t; t = next) {
        next = t->next;
        if (!t->running && t->begin_at <= now) begin(http, t);
    }
}

static void end_try(ae_http *http, transfer *t, CURLcode code)
{
    bool unreached = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;

    curl_multi_remove_handle(http->multi, t->easy);
    t->running = false;
    http->reached |= !unreached;
    if (!http->reached && t->n_retries >= MOST_RETRIES_UNREACHED)
        t->request.max_retries = t->n_retries;
    if (!ae_transfer_goes_on(t, code)) finish(http, t);
}

static void look_at_ends(ae_http *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left))) {
        CURLcode code = message->data.result;
        transfer *t = NULL;
        char *mine = NULL;
        if (message->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &mine);
        for (t = http->under_way; t && (char *)t != mine;) t = t->next;
        if (t) end_try(http, t, code);
    }
}

/* A connection that is not there yet has a limit of its own. */
static bool is_connected(const transfer *t)
{
    curl_off_t connected = 0;

    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connected);
    return connected > 0;
}

static void end_stalled(ae_http *http)
{
    double now = ae_clock_seconds();

    for (transfer *t = http->under_way, *next; t; t = next) {
        double limit = t->request.stall_seconds > 0 ? t->request.stall_seconds : 60;
        next = t->next;
        if (!t->running || now - t->moved_at <= limit || !is_connected(t)) continue;
        t->stalled = true;
        end_try(http, t, CURLE_OPERATION_TIMEDOUT);
    }
}

static void stop_all(ae_http *http)
{
    while (http->under_way) {
        transfer *t = http->under_way;
        if (t->running) curl_multi_remove_handle(http->multi, t->easy);
        t->running = false;
        t->error = (aerie_error){ 0 };
        aerie_fail(&t->error, AERIE_INTERRUPTED, "stopped");
        finish(http, t);
    }
}

static bool give_done(ae_http *http, ae_http_done *done)
{
    transfer *t = http->done;

    if (!t) return false;
    http->done = t->next;
    *done = (ae_http_done){ .user = t->user, .status = t->error.status, .error = t->error };
    done->response = t->response;
    t->response = (ae_http_response){ 0 };
    ae_transfer_close(t);
    return true;
}

static int poll_ms(const ae_http *http, double until, double now)
{
    double ms = TICK_MS;

    if (until >= 0) ms = fmin(ms, (until - now) * 1000);
    for (const transfer *t = http->under_way; t; t = t->next)
        if (!t->running) ms = fmin(ms, (t->begin_at - now) * 1000);
    return (int)ceil(fmax(ms, 0));
}

bool ae_http_wait(ae_http *http, double seconds, ae_http_done *done)
{
    double until = seconds < 0 ? -1 : ae_clock_seconds() + seconds;

    for (;;) {
        int running;
        double now;
        begin_due(http);
        curl_multi_perform(http->multi, &running);
        look_at_ends(http);
        end_stalled(http);
        if (http->stop && http->under_way && http->stop(http->stop_user)) stop_all(http);
        if (give_done(http, done)) return true;
        now = ae_clock_seconds();
        if (!http->under_way || (until >= 0 && now >= until)) return false;
        curl_multi_poll(http->multi, NULL, 0, poll_ms(http, until, now), NULL);
    }
}

aerie_status ae_http_send(ae_http *http, const ae_http_request *request, ae_http_response *out,
                          aerie_error *err)
{
    aerie_status status = ae_http_start(http, request, NULL, err);
    ae_http_done done;

    ae_http_response_free(out);
    if (status) return status;
    if (!ae_http_wait(http, -1, &done))
        return aerie_fail(err, AERIE_IO, "%.160s: the request was lost", request->url);
    *out = done.response;
    if (done.status) aerie_fail(err, done.status, "%s", done.error.message);
    return done.status;
}

void ae_http_response_free(ae_http_response *response)
{
    ae_bytes_free(&response->headers);
    ae_bytes_free(&response->body);
    ae_bytes_free(&response->url);
    *response = (ae_http_response){ 0 };
}

static ae_span value_of(const char *line, const char *end)
{
    while (line < end && (*line == ' ' || *line == '\t')) line++;
    while (end > line && strchr(" \t\r\n", end[-1])) end--;
    return (ae_span){ line, (size_t)(end - line) };
}

ae_span ae_http_header_of(const ae_http_response *response, const char *name)
{
    size_t len = strlen(name);
    const char *at = response->headers.data;
    const char *end = at ? at + response->headers.len : NULL;

    while (at && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if ((size_t)(stop - at) > len && at[len] == ':' && !strncasecmp(at, name, len))
            return value_of(at + len + 1, stop);
        at = stop < end ? stop + 1 : end;
    }
    return (ae_span){ 0 };
}
