/* transfer.c -- one request: checked, set up for each try, sent elsewhere or again where its answer
 * says so. */
#include "http/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const double MOST_WAIT_SECONDS = 30;

static bool is_token(const char *text)
{
    size_t len = strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    return len > 0 && text[len] == '\0';
}

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 32 && *text != '\t') return false;
    return true;
}

static aerie_status check_url(const char *url, aerie_error *err)
{
    CURLU *parts = curl_url();
    char *scheme = NULL;
    bool good = parts && url && is_one_line(url) && !curl_url_set(parts, CURLUPART_URL, url, 0) &&
                !curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) &&
                (!strcmp(scheme, "http") || !strcmp(scheme, "https"));
    aerie_status status = AERIE_OK;

    if (!good)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "'%.160s' is no address of a web server; it begins with http:// or "
                            "https://",
                            url && strchr(url, '@') == NULL ? url : "(an address with a password)");
    curl_free(scheme);
    curl_url_cleanup(parts);
    return status;
}

static aerie_status check(const ae_http_request *r, aerie_error *err)
{
    if (r->method && !is_token(r->method))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "'%.40s' is no method of HTTP", r->method);
    for (size_t i = 0; i < r->n_headers; i++)
        if (!is_token(r->headers[i].name) || !is_one_line(r->headers[i].value))
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "the header '%.60s' has characters that no header may have, such as "
                              "the end of a line",
                              r->headers[i].name);
    return check_url(r->url, err);
}

static aerie_status open_body(transfer *t, aerie_error *err)
{
    const ae_http_request *r = &t->request;
    struct stat info;
    uint64_t size;

    if (!r->body_path) return AERIE_OK;
    t->body_fd = open(r->body_path, O_RDONLY | O_CLOEXEC);
    if (t->body_fd < 0 || fstat(t->body_fd, &info))
        return aerie_fail(err, AERIE_IO, "%s: %s", r->body_path, strerror(errno));
    size = (uint64_t)info.st_size;
    if (r->body_from > size || r->body_len > size - r->body_from)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: bytes from %llu on, %llu of them, are not in a file of %llu",
                          r->body_path, (unsigned long long)r->body_from,
                          (unsigned long long)r->body_len, (unsigned long long)size);
    return AERIE_OK;
}

aerie_status ae_transfer_open(transfer **out, const ae_http_request *request, void *user,
                              aerie_error *err)
{
    aerie_status status = check(request, err);
    transfer *t;

    *out = NULL;
    if (status) return status;
    t = ae_alloc(1, sizeof *t);
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a request");
    t->request = *request;
    t->user = user;
    t->body_fd = -1;
    t->easy = curl_easy_init();
    ae_bytes_add_text(&t->url, request->url);
    status = ae_bytes_status(&t->url, err);
    if (!status && !t->easy) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a request");
    if (!status) status = open_body(t, err);
    if (status)
        ae_transfer_close(t);
    else
        *out = t;
    return status;
}

void ae_transfer_close(transfer *t)
{
    if (!t) return;
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    if (t->body_fd >= 0) close(t->body_fd);
    ae_bytes_free(&t->url);
    ae_http_response_free(&t->response);
    ae_free(t);
}

static bool is_secret(const ae_http_request *r, const char *name)
{
    if (!strcasecmp(name, "Authorization") || !strcasecmp(name, "Cookie")) return true;
    for (const char *const *s = r->secret; s && *s; s++)
        if (!strcasecmp(name, *s)) return true;
    return false;
}

static bool has_header(const ae_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (!strcasecmp(r->headers[i].name, name)) return true;
    return false;
}

static bool add_line(transfer *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);

    if (longer) t->headers = longer;
    return longer != NULL;
}

static aerie_status set_headers(transfer *t, aerie_error *err)
{
    const ae_http_request *r = &t->request;
    ae_bytes line = { 0 };
    bool ok = true;

    curl_slist_free_all(t->headers);
    t->headers = NULL;
    for (size_t i = 0; i < r->n_headers && ok; i++) {
        const ae_http_header *h = &r->headers[i];
        if (t->elsewhere && is_secret(r, h->name)) continue;
        if (t->without_body && !strncasecmp(h->name, "Content-", 8)) continue;
        ae_bytes_clear(&line);
        /* "Name;" is libcurl's way to say a header without a value. */
        ae_bytes_printf(&line, *h->value ? "%s: %s" : "%s;", h->name, h->value);
        ok = !line.failed && add_line(t, line.data);
    }
    /* libcurl would wait a second for a 100, and call a body a form. */
    ok = ok && add_line(t, "Expect:");
    if (!has_header(r, "Content-Type")) ok = ok && add_line(t, "Content-Type:");
    ae_bytes_free(&line);
    if (!ok) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the headers of a request");
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return AERIE_OK;
}

static void set_method(transfer *t)
{
    const ae_http_request *r = &t->request;
    const char *method = t->without_body ? "GET" : r->method;
    bool body = !t->without_body && (r->body || r->body_path);

    if (body || (method &&
                 (!strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH")))) {
        curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
        if (!r->body_path) curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, r->body ? r->body : "");
    } else if (method && !strcmp(method, "HEAD")) {
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    }
    if (method) curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
}

static long in_ms(double seconds, double otherwise)
{
    return (long)ceil(fmin((seconds > 0 ? seconds : otherwise) * 1000, 1e9));
}

static aerie_status set_safety(transfer *t, aerie_error *err)
{
    CURLcode code;

    /* Before 7.85 these were bit masks. */
#if LIBCURL_VERSION_NUM >= 0x075500
    code = curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    code = curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    if (!code) code = curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 1L);
    if (!code) code = curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!code) code = curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    if (!code) return AERIE_OK;
    return aerie_fail(err, AERIE_UNSUPPORTED, "libcurl refuses an option: %s",
                      curl_easy_strerror(code));
}

aerie_status ae_transfer_prepare(transfer *t, const char *agent, const char *ca_file,
                                 aerie_error *err)
{
    const ae_http_request *r = &t->request;
    aerie_status status;

    curl_easy_reset(t->easy);
    ae_bytes_clear(&t->response.headers);
    ae_bytes_clear(&t->response.body);
    t->response.status = 0;
    t->response.received = 0;
    t->header_bytes = 0;
    t->body_at = 0;
    t->error = (aerie_error){ 0 };
    t->stalled = false;
    t->moved_at = ae_clock_seconds();
    *t->curl_says = '\0';
    curl_easy_setopt(t->easy, CURLOPT_URL, t->url.data);
    curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->curl_says);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_USERAGENT, agent ? agent : "aerie");
    if (ca_file) curl_easy_setopt(t->easy, CURLOPT_CAINFO, ca_file);
    if (r->direct) curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, in_ms(r->connect_seconds, 15));
    if (r->total_seconds > 0)
        curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, in_ms(r->total_seconds, 0));
    ae_transfer_set_callbacks(t);
    set_method(t);
    status = set_safety(t, err);
    return status ? status : set_headers(t, err);
}

/* Whether both addresses are of one server: scheme, host, port. */
static bool same_server(const char *a, const char *b)
{
    static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
    CURLU *ua = curl_url(), *ub = curl_url();
    bool same = ua && ub && !curl_url_set(ua, CURLUPART_URL, a, 0) &&
                !curl_url_set(ub, CURLUPART_URL, b, 0);

    for (size_t i = 0; i < AE_COUNT(parts) && same; i++) {
        char *pa = NULL, *pb = NULL;
        same = !curl_url_get(ua, parts[i], &pa, CURLU_DEFAULT_PORT) &&
               !curl_url_get(ub, parts[i], &pb, CURLU_DEFAULT_PORT) && !strcasecmp(pa, pb);
        curl_free(pa);
        curl_free(pb);
    }
    curl_url_cleanup(ua);
    curl_url_cleanup(ub);
    return same;
}

/* 303, and 301 and 302 of a POST, ask for a GET, as every client has it. */
static bool asks_for_get(const transfer *t)
{
    const char *method = t->request.method;
    bool post = method ? !strcmp(method, "POST") : t->request.body || t->request.body_path;
    int status = t->response.status;

    if (status == 303) return !method || strcmp(method, "HEAD") != 0;
    return post && (status == 301 || status == 302);
}

static bool follow(transfer *t)
{
    char *to = NULL;
    aerie_error refused = { 0 };

    if (t->request.max_redirects <= 0) return false;
    curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
    if (!to) return false;
    if (t->n_redirects++ >= t->request.max_redirects) {
        aerie_fail(&t->error, AERIE_IO, "redirected more than %d times", t->request.max_redirects);
        return false;
    }
    if (check_url(to, &refused)) {
        aerie_fail(&t->error, AERIE_IO, "redirected to what is no address of a web server");
        return false;
    }
    if (!strncasecmp(t->url.data, "https:", 6) && strncasecmp(to, "https:", 6) != 0) {
        aerie_fail(&t->error, AERIE_IO, "redirected from https to http, which is not followed");
        return false;
    }
    /* A server once left is not come back to with secrets: who redirects may not choose that. */
    if (!same_server(t->request.url, to)) t->elsewhere = true;
    if (asks_for_get(t)) t->without_body = true;
    ae_bytes_clear(&t->url);
    ae_bytes_add_text(&t->url, to);
    t->begin_at = 0;
    return !ae_bytes_status(&t->url, &t->error);
}

static bool may_pass(const transfer *t, CURLcode code)
{
    if (t->error.status) return false; /* a callback's refusal stays one */
    if (t->stalled) return true;
    switch (code) {
    case CURLE_OK:
        switch (t->response.status) {
        case 408:
        case 429:
        case 500:
        case 502:
        case 503:
        case 504:
            return true;
        default:
            return false;
        }
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static bool try_again(transfer *t, CURLcode code)
{
    const ae_http_request *r = &t->request;
    double wait = r->retry_seconds > 0 ? r->retry_seconds : 0.5;
    double most = r->retry_after_seconds > 0 ? r->retry_after_seconds : 120;
    curl_off_t asked = 0;

    if (t->n_retries >= r->max_retries || !may_pass(t, code)) return false;
    if (r->sink && t->response.received > 0 && ae_transfer_wants_sink(t)) return false;
    wait = fmin(ldexp(wait, t->n_retries), MOST_WAIT_SECONDS);
    if (code == CURLE_OK) curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &asked);
    if ((double)asked > most) return false;
    if (asked > 0) wait = (double)asked;
    t->n_retries++;
    t->begin_at = ae_clock_seconds() + wait;
    return true;
}

bool ae_transfer_goes_on(transfer *t, CURLcode code)
{
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->response.status = (int)status;
    ae_bytes_clear(&t->response.url);
    ae_bytes_add(&t->response.url, t->url.data, t->url.len);
    if (code == CURLE_OK && status >= 300 && status < 400 && follow(t)) return true;
    if (try_again(t, code)) return true;
    if (code != CURLE_OK || t->error.status) ae_transfer_failure(t, code);
    return false;
}
