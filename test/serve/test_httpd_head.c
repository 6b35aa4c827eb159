/* test_httpd_head.c -- heads that are taken, and those that are refused with which status. */
#include "scratch.h"
#include "serve/httpd_body.h"

#include <string.h>

static int parse(ae_httpd_head *h, const char *text)
{
    const char *why;
    int status = ae_httpd_head_parse(h, ae_span_text(text), &why);
    if (status && !*why) fail_msg("refused without a word: %s", text);
    return status;
}

static void a_head_is_taken_apart(void **state)
{
    ae_httpd_head h;
    const char *text = "\r\nPOST /api/chat?a=1&b=%20 HTTP/1.1\r\nHost: localhost:11434\r\n"
                       "Content-Type:application/json\r\nX-Empty:\r\ncontent-length:  17\t\r\n"
                       "Connection: x, Close\r\nExpect: 100-Continue\r\n\r\n";

    (void)state;
    assert_int_equal(ae_httpd_head_end(ae_span_text(text), 0), strlen(text));
    assert_int_equal(parse(&h, text), 0);
    assert_true(ae_span_is(h.method, "POST") && ae_span_is(h.path, "/api/chat"));
    assert_true(ae_span_is(h.query, "a=1&b=%20") && ae_span_is(h.host, "localhost:11434"));
    assert_int_equal(h.n_fields, 6);
    assert_true(ae_span_is(ae_httpd_field_of(&h, "CONTENT-TYPE"), "application/json"));
    assert_true(ae_httpd_field_of(&h, "x-empty").data && !ae_httpd_field_of(&h, "x-none").data);
    assert_true(h.framing == AE_HTTPD_LENGTH && h.length == 17);
    assert_true(!h.keep_alive && h.expects_continue);

    assert_int_equal(parse(&h, "GET http://a.b:1/c HTTP/1.1\r\nHost: other\r\n\r\n"), 0);
    assert_true(ae_span_is(h.host, "a.b:1") && ae_span_is(h.path, "/c") && h.keep_alive);
    assert_int_equal(parse(&h, "GET / HTTP/1.0\r\n\r\n"), 0);
    assert_true(!h.keep_alive && h.host.len == 0);
    assert_int_equal(parse(&h, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 0);
    assert_true(h.keep_alive);
    assert_int_equal(parse(&h, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        { 400, "GET /\r\n\r\n" },
        { 400, "\r\n\r\n" },
        { 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" },
        { 400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n" },
        { 400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n" },
        { 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n" },
        { 400, "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n" },
        { 400, "GET / http/1.1\r\nHost: a\r\n\r\n" },
        { 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nb\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nb: c\nd: e\r\n\r\n" },
        { 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n" },
        { 400,
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n" },
        { 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n" },
        { 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\n" },
        { 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n" },
        { 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" },
        { 417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: a reply\r\n\r\n" },
    };
    ae_httpd_head h;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        if (parse(&h, cases[i].text) != cases[i].status)
            fail_msg("%d and not %d: %s", parse(&h, cases[i].text), cases[i].status, cases[i].text);
}

static void too_many_fields_are_refused(void **state)
{
    ae_bytes text = { 0 };
    ae_httpd_head h;

    (void)state;
    ae_bytes_add_text(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 1; i < AE_HTTPD_MAX_FIELDS; i++) ae_bytes_add_text(&text, "a: b\r\n");
    size_t len = text.len;
    ae_bytes_add_text(&text, "\r\n");
    assert_int_equal(parse(&h, text.data), 0);
    text.len = len;
    ae_bytes_add_text(&text, "a: b\r\n\r\n");
    assert_int_equal(parse(&h, text.data), 431);
    ae_bytes_free(&text);
}

/* The body in `framed`, handed over `step` bytes at a time; NULL when the framing is broken. */
static char *unframe(const char *head, const char *framed, size_t step, bool *done, size_t *left)
{
    ae_httpd_head h;
    ae_httpd_body b;
    ae_bytes out = { 0 };
    size_t at = 0, n = strlen(framed);
    bool fine = true;

    assert_int_equal(parse(&h, head), 0);
    ae_httpd_body_begin(&b, &h);
    ae_bytes_add_text(&out, "");
    while (fine && at < n && !b.done) {
        ae_span in = { framed + at, n - at < step ? n - at : step }, piece;
        size_t before = in.len;
        while (fine && in.len && !b.done) {
            fine = ae_httpd_body_take(&b, &in, &piece);
            ae_bytes_add(&out, piece.data, piece.len);
        }
        at += before - in.len;
    }
    *done = b.done;
    *left = n - at;
    if (!fine) ae_bytes_free(&out);
    return out.data;
}

static void bodies_come_out_of_their_framing(void **state)
{
    static const char chunked[] =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                      length[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    static const struct {
        const char *head, *framed, *body; /* NULL: broken */
        bool done;
        size_t left;
    } cases[] = {
        { length, "hello", "hello", true, 0 },
        { length, "hello there", "hello", true, 6 },
        { length, "hell", "hell", false, 0 },
        { chunked, "5\r\nhello\r\n0\r\n\r\n", "hello", true, 0 },
        { chunked, "3;x=y\r\nhel\r\n02\r\nlo\r\n0\r\nTrailer: a\r\n\r\nGET", "hello", true, 3 },
        { chunked, "a\r\n0123456789\r\n", "0123456789", false, 0 },
        { chunked, "5\r\nhello0\r\n\r\n", NULL, false, 0 },
        { chunked, "\r\nhello\r\n", NULL, false, 0 },
        { chunked, "-5\r\nhello\r\n", NULL, false, 0 },
        { chunked, "5\nhello\r\n", NULL, false, 0 },
        { chunked, "5\r\rhello\r\n", NULL, false, 0 },
        { chunked, "fffffffffffffffff\r\n", NULL, false, 0 },
        { chunked, "0\r\n\rX", NULL, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        for (size_t step = 1; step < 20; step++) {
            bool done;
            size_t left;
            char *body = unframe(cases[i].head, cases[i].framed, step, &done, &left);
            if (!cases[i].body != !body) fail_msg("case %zu, %zu at a time", i, step);
            if (!body) continue;
            assert_string_equal(body, cases[i].body);
            assert_int_equal(done, cases[i].done);
            if (done) assert_int_equal(left, cases[i].left);
            ae_free(body);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(bodies_come_out_of_their_framing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
