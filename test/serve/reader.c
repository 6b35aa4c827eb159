/* reader.c -- see reader.h. */
#include "reader.h"

#include "ask.h"
#include "http/http.h"
#include "scratch.h"

#include <string.h>

static aerie_status on_data(void *user, const ae_http_response *r, const void *data, size_t len,
                            aerie_error *err)
{
    reader *c = user;
    (void)r;
    ae_bytes_add(&c->text, data, len);
    if (c->wanted && strstr(c->text.data, c->wanted)) c->seen = true;
    return c->until && strstr(c->text.data, c->until)
               ? aerie_fail(err, AERIE_INTERRUPTED, "it leaves")
               : AERIE_OK;
}

static void read_stream(void *user)
{
    reader *c = user;
    ae_http *http;
    ae_http_response response = { 0 };
    const ae_http_request request = {
        .url = c->url, .body = c->body, .body_len = strlen(c->body), .sink = on_data, .sink_user = c
    };
    c->status = ae_http_open(&http, NULL, NULL);
    if (c->status) return;
    c->status = ae_http_send(http, &request, &response, NULL);
    ae_http_response_free(&response);
    ae_http_close(http);
}

void reader_start(reader *c, const char *server_url, const char *path, const char *body)
{
    snprintf(c->url, sizeof c->url, "%s%s", server_url, path);
    snprintf(c->body, sizeof c->body, "%s", body);
    for (char *at = c->body; *at; at++)
        if (*at == '\'') *at = '"';
    assert_int_equal(ae_thread_start(&c->thread, "reader", read_stream, c, NULL), AERIE_OK);
}

void reader_wait(reader *c)
{
    ae_thread_join(c->thread);
    c->thread = NULL;
}

void reader_end(reader *c)
{
    reader_wait(c);
    ae_bytes_free(&c->text);
}

void expect_success(const char *lines)
{
    json_t *last = NULL;
    for (const char *at = lines; *at; at = strchr(at, '\n') + 1) {
        json_decref(last);
        last = json_loadb(at, strcspn(at, "\n"), 0, NULL);
        if (!last || !strchr(at, '\n')) fail_msg("no lines of JSON: %s", lines);
    }
    if (!last || strcmp(text_at(last, "status"), "success") != 0) fail_msg("no success: %s", lines);
    assert_int_equal(json_object_size(last), 1);
    json_decref(last);
}
