/* httpd_reply.c -- replies: their heads, and bodies of known and unknown length. */
#include "serve/httpd_private.h"

#include <string.h>
#include <time.h>

const char *ae_httpd_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 100, "Continue" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 499, "Client Closed Request" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < AE_COUNT(reasons); i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "Unknown";
}

void ae_exchange_field(ae_exchange *x, const char *name, const char *value)
{
    ae_bytes_printf(&x->fields, "%s: ", name);
    for (const char *c = value; *c; c++)
        ae_bytes_add_char(&x->fields, (unsigned char)*c < ' ' || *c == 127 ? ' ' : *c);
    ae_bytes_add_text(&x->fields, "\r\n");
}

static void add_date(ae_bytes *out)
{
    static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t now = time(NULL);
    struct tm t;
    /* Not strftime: its names are those of the locale. */
    if (!gmtime_r(&now, &t)) return;
    ae_bytes_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[t.tm_wday], t.tm_mday,
                    months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void put(ae_exchange *x, const void *data, size_t len)
{
    if (len && !bufferevent_write(x->bev, data, len)) x->http->counts.bytes_out += (int64_t)len;
}

/* `length` < 0: not known. */
static void put_head(ae_exchange *x, int status, const char *type, int64_t length)
{
    ae_bytes head = { 0 };
    bool bodiless = status == 204 || status == 304;
    x->begun = true;
    x->chunked = length < 0 && !bodiless && x->head.minor == 1;
    if (length < 0 && !x->chunked && !bodiless) x->keep = false; /* HTTP/1.0: its end is the end */
    ae_bytes_printf(&head, "HTTP/1.1 %d %s\r\n", status, ae_httpd_reason(status));
    add_date(&head);
    if (type) ae_bytes_printf(&head, "Content-Type: %s\r\n", type);
    if (x->chunked)
        ae_bytes_add_text(&head, "Transfer-Encoding: chunked\r\n");
    else if (length >= 0 && !bodiless)
        ae_bytes_printf(&head, "Content-Length: %lld\r\n", (long long)length);
    if (!x->keep || x->head.minor == 0)
        ae_bytes_printf(&head, "Connection: %s\r\n", x->keep ? "keep-alive" : "close");
    ae_bytes_add(&head, x->fields.data, x->fields.len);
    ae_bytes_add_text(&head, "\r\n");
    if (head.failed || x->fields.failed)
        x->keep = false; /* no memory for a reply's head: the connection's end says so */
    else
        put(x, head.data, head.len);
    ae_bytes_free(&head);
}

static bool has_body(const ae_exchange *x)
{
    return !ae_span_is(x->head.method, "HEAD");
}

void ae_exchange_reply(ae_exchange *x, int status, const char *type, ae_span body)
{
    put_head(x, status, type, (int64_t)body.len);
    if (has_body(x) && status != 204 && status != 304) put(x, body.data, body.len);
    ae_exchange_ended(x);
}

void ae_exchange_begin(ae_exchange *x, int status, const char *type)
{
    put_head(x, status, type, -1);
}

void ae_exchange_write(ae_exchange *x, ae_span bytes)
{
    char size[24];
    if (bytes.len == 0 || !has_body(x)) return; /* an empty chunk would be the end */
    if (x->chunked) {
        int n = snprintf(size, sizeof size, "%zx\r\n", bytes.len);
        put(x, size, (size_t)n);
    }
    put(x, bytes.data, bytes.len);
    if (x->chunked) put(x, "\r\n", 2);
    ae_exchange_spoke(x);
}

void ae_exchange_end(ae_exchange *x)
{
    if (x->chunked && has_body(x)) put(x, "0\r\n\r\n", 5);
    ae_exchange_ended(x);
}

bool ae_exchange_begun(const ae_exchange *x)
{
    return x->begun;
}

size_t ae_exchange_waiting(const ae_exchange *x)
{
    return evbuffer_get_length(bufferevent_get_output(x->bev));
}
