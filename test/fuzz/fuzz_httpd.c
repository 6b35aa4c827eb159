/* fuzz_httpd.c -- reads bytes as requests on a connection, each head with its body. */
#include "serve/httpd_body.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a head says lies within its bytes. */
static void look(const ae_httpd_head *h, ae_span bytes)
{
    const char *end = bytes.data + bytes.len;
    if (h->path.len == 0 || h->path.data < bytes.data - 1 || h->method.data < bytes.data)
        if (!ae_span_is(h->path, "/")) __builtin_trap();
    for (int i = 0; i < h->n_fields; i++) {
        ae_span v = h->fields[i].value;
        if (h->fields[i].name.len == 0 || v.data < bytes.data || v.data + v.len > end)
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_span rest = { (const char *)data, size };
    ae_httpd_head head;
    const char *why;
    size_t len;

    while ((len = ae_httpd_head_end(rest, 0)) > 0) {
        ae_span bytes = { rest.data, len };
        if (len > rest.len) __builtin_trap();
        if (ae_httpd_head_parse(&head, bytes, &why)) {
            if (!*why) __builtin_trap();
            return 0;
        }
        look(&head, bytes);
        rest = (ae_span){ rest.data + len, rest.len - len };
        ae_httpd_body body;
        ae_span piece;
        ae_httpd_body_begin(&body, &head);
        while (rest.len && !body.done)
            if (!ae_httpd_body_take(&body, &rest, &piece)) return 0;
        if (!body.done) return 0;
    }
    return 0;
}
