/* httpd_head.h -- the head of an HTTP/1 request: the request line and the fields (RFC 9112).
 *
 * Strict where two readings of one message could differ: line ends are CR LF, a length is said
 * once and in one way, nothing is folded. */
#ifndef AE_HTTPD_HEAD_H
#define AE_HTTPD_HEAD_H

#include "base/base.h"

enum { AE_HTTPD_MAX_FIELDS = 100 };

typedef struct {
    ae_span name, value; /* the value without the spaces around it */
} ae_httpd_field;

typedef enum { AE_HTTPD_NO_BODY, AE_HTTPD_LENGTH, AE_HTTPD_CHUNKED } ae_httpd_framing;

/* Everything is borrowed from the bytes that were parsed. */
typedef struct {
    ae_span method;
    ae_span path;  /* as sent, of "/a/b?c": "/a/b"; "*" of OPTIONS */
    ae_span query; /* "c"; empty when there is none */
    ae_span host;  /* of the Host field or of an absolute target; empty in HTTP/1.0 without one */
    int minor;     /* HTTP/1.minor: 0 or 1 */
    ae_httpd_field fields[AE_HTTPD_MAX_FIELDS];
    int n_fields;
    ae_httpd_framing framing;
    uint64_t length; /* of the body, when framing is AE_HTTPD_LENGTH */
    bool keep_alive; /* the client lets the connection serve another request */
    bool expects_continue;
} ae_httpd_head;

/* Where the head ends: the bytes up to and with the empty line, 0 while it is not there. Empty
 * lines before the request line count in. `from`: bytes that an earlier call has seen. */
size_t ae_httpd_head_end(ae_span bytes, size_t from);

/* Parses a whole head. 0, or the status to refuse it with (400, 417, 431, 501, 505) and in *why a
 * constant sentence. */
int ae_httpd_head_parse(ae_httpd_head *out, ae_span bytes, const char **why);

/* The value of a field, by its name in any case; empty with data NULL when it is not there. */
ae_span ae_httpd_field_of(const ae_httpd_head *head, const char *name);

/* Equal but for the case of ASCII letters. */
bool ae_httpd_same(ae_span a, const char *b);

#endif
