/* httpd_body.h -- the body of an HTTP/1 request, taken out of its framing as it comes. */
#ifndef AE_HTTPD_BODY_H
#define AE_HTTPD_BODY_H

#include "serve/httpd_head.h"

/* Zeroed, it has nothing to read. */
typedef struct {
    ae_httpd_framing framing;
    uint64_t left; /* bytes of the body, or of the chunk */
    int state;     /* of chunked framing: httpd_body.c's */
    size_t line;   /* bytes of a chunk's head, or of the trailer, so far */
    bool digits;   /* a chunk's size has begun */
    bool done;
} ae_httpd_body;

void ae_httpd_body_begin(ae_httpd_body *b, const ae_httpd_head *head);

/* Takes bytes off the front of *in: of the body into *out, a part of *in's memory, or of framing.
 * Call it until *in is empty or b->done. False: the framing is broken. */
bool ae_httpd_body_take(ae_httpd_body *b, ae_span *in, ae_span *out);

#endif
