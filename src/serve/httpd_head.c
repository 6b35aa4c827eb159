/* httpd_head.c -- the head of an HTTP/1 request, strictly. */
#include "serve/httpd_head.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool ae_httpd_same(ae_span a, const char *b)
{
    size_t n = strlen(b);
    if (a.len != n) return false;
    for (size_t i = 0; i < n; i++)
        if (lower(a.data[i]) != lower(b[i])) return false;
    return true;
}

ae_span ae_httpd_field_of(const ae_httpd_head *head, const char *name)
{
    for (int i = 0; i < head->n_fields; i++)
        if (ae_httpd_same(head->fields[i].name, name)) return head->fields[i].value;
    return (ae_span){ NULL, 0 };
}

/* "\r\n" before a request line: some clients end a body with one too many. */
static size_t blank_lines(ae_span b)
{
    size_t at = 0;
    while (at + 1 < b.len && b.data[at] == '\r' && b.data[at + 1] == '\n') at += 2;
    return at;
}

size_t ae_httpd_head_end(ae_span bytes, size_t from)
{
    size_t begin = blank_lines(bytes), at = from > begin + 3 ? from - 3 : begin;
    for (; at + 4 <= bytes.len; at++)
        if (!memcmp(bytes.data + at, "\r\n\r\n", 4)) return at + 4;
    return 0;
}

/* RFC 9110's tchar: what methods and field names are made of. */
static bool is_token(ae_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
        if (!c || (!alphanumeric && !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return s.len > 0;
}

/* Takes a line off *rest, which ends with one. */
static ae_span take_line(ae_span *rest)
{
    const char *end = rest->data;
    while (end[0] != '\r' || end[1] != '\n') end++;
    ae_span line = { rest->data, (size_t)(end - rest->data) };
    rest->data += line.len + 2;
    rest->len -= line.len + 2;
    return line;
}

static ae_span until(ae_span s, char c)
{
    const char *at = memchr(s.data, c, s.len);
    return at ? (ae_span){ s.data, (size_t)(at - s.data) } : s;
}

static ae_span after(ae_span s, size_t n)
{
    return n < s.len ? (ae_span){ s.data + n, s.len - n } : (ae_span){ s.data + s.len, 0 };
}

static bool begins(ae_span s, const char *with)
{
    size_t n = strlen(with);
    return s.len >= n && !memcmp(s.data, with, n);
}

static int refuse(int status, const char **why, const char *sentence)
{
    *why = sentence;
    return status;
}

static int parse_target(ae_httpd_head *out, ae_span target, const char **why)
{
    if (begins(target, "http://")) {
        target = after(target, 7);
        out->host = until(target, '/');
        target = after(target, out->host.len);
        if (target.len == 0) target = ae_span_text("/");
    }
    for (size_t i = 0; i < target.len; i++)
        if ((unsigned char)target.data[i] <= ' ' || target.data[i] == 127)
            return refuse(400, why, "the request's target has spaces or control characters");
    bool star = ae_span_is(target, "*") && ae_span_is(out->method, "OPTIONS");
    if (!star && !begins(target, "/"))
        return refuse(400, why, "the request's target must begin with a slash");
    out->path = until(target, '?');
    out->query = after(target, out->path.len + 1);
    return 0;
}

static int parse_request_line(ae_httpd_head *out, ae_span line, const char **why)
{
    out->method = until(line, ' ');
    ae_span rest = after(line, out->method.len + 1), target = until(rest, ' ');
    ae_span version = after(rest, target.len + 1);
    if (!is_token(out->method) || target.len == 0)
        return refuse(400, why, "this is not an HTTP request");
    if (ae_span_is(version, "HTTP/1.1"))
        out->minor = 1;
    else if (!ae_span_is(version, "HTTP/1.0"))
        return begins(version, "HTTP/") ? refuse(505, why, "only HTTP/1.0 and HTTP/1.1 are spoken")
                                        : refuse(400, why, "this is not an HTTP request");
    return parse_target(out, target, why);
}

static bool is_text(ae_span value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 127) return false;
    }
    return true;
}

static ae_span trim(ae_span s)
{
    while (s.len && (*s.data == ' ' || *s.data == '\t')) s = after(s, 1);
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) s.len--;
    return s;
}

static int parse_field(ae_httpd_head *out, ae_span line, const char **why)
{
    ae_span name = until(line, ':');
    if (out->n_fields == AE_HTTPD_MAX_FIELDS)
        return refuse(431, why, "the request has more than 100 header fields");
    if (name.len == line.len || !is_token(name))
        return refuse(400, why, "a header field has no name, or its name is not one");
    ae_span value = trim(after(line, name.len + 1));
    if (!is_text(value)) return refuse(400, why, "a header field has control characters");
    out->fields[out->n_fields++] = (ae_httpd_field){ name, value };
    return 0;
}

static int count_fields(const ae_httpd_head *h, const char *name)
{
    int n = 0;
    for (int i = 0; i < h->n_fields; i++) n += ae_httpd_same(h->fields[i].name, name);
    return n;
}

static bool parse_length(uint64_t *out, ae_span digits)
{
    *out = 0;
    if (digits.len == 0 || digits.len > 18) return false; /* 10^18 fits in 63 bits */
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') return false;
        *out = *out * 10 + (uint64_t)(digits.data[i] - '0');
    }
    return true;
}

/* A message whose length could be read in two ways is refused: that is how requests are smuggled
 * past a proxy. */
static int find_framing(ae_httpd_head *h, const char **why)
{
    int lengths = count_fields(h, "content-length"), codings = count_fields(h, "transfer-encoding");
    if (lengths + codings > 1) return refuse(400, why, "the body's length is said more than once");
    if (codings && h->minor == 0) return refuse(400, why, "HTTP/1.0 has no transfer encodings");
    if (codings && !ae_httpd_same(ae_httpd_field_of(h, "transfer-encoding"), "chunked"))
        return refuse(501, why, "of transfer encodings only chunked is known");
    if (lengths && !parse_length(&h->length, ae_httpd_field_of(h, "content-length")))
        return refuse(400, why, "the Content-Length is not a number");
    h->framing = codings ? AE_HTTPD_CHUNKED : lengths ? AE_HTTPD_LENGTH : AE_HTTPD_NO_BODY;
    return 0;
}

static int find_host(ae_httpd_head *h, const char **why)
{
    int n = count_fields(h, "host");
    if (n > 1 || (n == 0 && h->minor == 1))
        return refuse(400, why, "a request wants one Host field");
    if (h->host.len == 0 && n == 1) h->host = ae_httpd_field_of(h, "host");
    return 0;
}

/* Whether one of the words of a field's comma-separated list is `word`. */
static bool lists(ae_span value, const char *word)
{
    while (value.len) {
        ae_span item = until(value, ',');
        if (ae_httpd_same(trim(item), word)) return true;
        value = after(value, item.len + 1);
    }
    return false;
}

static int find_connection(ae_httpd_head *h, const char **why)
{
    ae_span connection = ae_httpd_field_of(h, "connection"),
            expect = ae_httpd_field_of(h, "expect");
    h->keep_alive = h->minor == 1 ? !lists(connection, "close") : lists(connection, "keep-alive");
    if (expect.data && !ae_httpd_same(expect, "100-continue"))
        return refuse(417, why, "of expectations only 100-continue is known");
    h->expects_continue = expect.data && h->minor == 1;
    return 0;
}

int ae_httpd_head_parse(ae_httpd_head *out, ae_span bytes, const char **why)
{
    size_t skip = blank_lines(bytes);
    ae_span rest = after(bytes, skip);
    *out = (ae_httpd_head){ 0 };
    *why = "";
    if (rest.len < 4 || memcmp(rest.data + rest.len - 4, "\r\n\r\n", 4))
        return refuse(400, why, "the request's head is not complete");
    int status = parse_request_line(out, take_line(&rest), why);
    while (!status && !begins(rest, "\r\n")) status = parse_field(out, take_line(&rest), why);
    if (!status && rest.len != 2) status = refuse(400, why, "the request's head is not one");
    if (!status) status = find_host(out, why);
    if (!status) status = find_framing(out, why);
    if (!status) status = find_connection(out, why);
    return status;
}
