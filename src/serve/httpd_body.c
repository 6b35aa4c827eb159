/* httpd_body.c -- bodies by length and in chunks (RFC 9112, 6 and 7). */
#include "serve/httpd_body.h"

enum { MAX_LINE = 256, MAX_TRAILER = 8192 };

/* Where a chunked body is read: in a chunk's size, its extension, at the LF of that line; in its
 * data, at the CR LF after it; in the trailer: at a line's begin, inside one, at its LF. */
enum {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_BEGIN,
    TRAILER,
    TRAILER_LF,
    LAST_LF
};

void ae_httpd_body_begin(ae_httpd_body *b, const ae_httpd_head *head)
{
    *b = (ae_httpd_body){ .framing = head->framing, .left = head->length };
    b->done = head->framing == AE_HTTPD_NO_BODY ||
              (head->framing == AE_HTTPD_LENGTH && head->length == 0);
    if (head->framing == AE_HTTPD_CHUNKED) b->left = 0;
}

static void take_data(ae_httpd_body *b, ae_span *in, ae_span *out)
{
    size_t n = in->len < b->left ? in->len : (size_t)b->left;
    *out = (ae_span){ in->data, n };
    in->data += n;
    in->len -= n;
    b->left -= n;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool size_char(ae_httpd_body *b, char c)
{
    int digit = hex(c);
    if (digit >= 0) {
        if (b->left >> 58) return false;
        b->left = b->left * 16 + (uint64_t)digit;
        b->digits = true;
        return true;
    }
    if (!b->digits) return false;
    if (c == ';' || c == ' ' || c == '\t')
        b->state = EXTENSION;
    else if (c == '\r')
        b->state = SIZE_LF;
    else
        return false;
    return true;
}

static bool expect(ae_httpd_body *b, char c, char wanted, int next)
{
    b->state = next;
    b->line = 0;
    b->digits = false;
    return c == wanted;
}

/* One byte of framing. */
static bool framing_char(ae_httpd_body *b, char c)
{
    if (++b->line > (b->state >= TRAILER_BEGIN ? MAX_TRAILER : MAX_LINE)) return false;
    switch (b->state) {
    case SIZE:
        return size_char(b, c);
    case EXTENSION:
        if (c == '\r') b->state = SIZE_LF;
        return c != '\n';
    case SIZE_LF:
        return expect(b, c, '\n', b->left ? DATA : TRAILER_BEGIN);
    case DATA_CR:
        return expect(b, c, '\r', DATA_LF);
    case DATA_LF:
        return expect(b, c, '\n', SIZE);
    case TRAILER_BEGIN:
        b->state = c == '\r' ? LAST_LF : TRAILER;
        return c != '\n';
    case TRAILER:
        if (c == '\r') b->state = TRAILER_LF;
        return c != '\n';
    case TRAILER_LF:
        b->state = TRAILER_BEGIN;
        return c == '\n';
    default:
        b->done = true;
        return c == '\n';
    }
}

bool ae_httpd_body_take(ae_httpd_body *b, ae_span *in, ae_span *out)
{
    *out = (ae_span){ in->data, 0 };
    if (b->framing != AE_HTTPD_CHUNKED) {
        take_data(b, in, out);
        b->done = b->left == 0;
        return true;
    }
    while (in->len && !b->done && b->state != DATA) {
        char c = *in->data;
        in->data++;
        in->len--;
        if (!framing_char(b, c)) return false;
    }
    if (in->len && !b->done) {
        take_data(b, in, out);
        if (b->left == 0) b->state = DATA_CR;
    }
    return true;
}
