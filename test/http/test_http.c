/* test_http.c -- the client against a server on loopback, honest and not. */
#include "http/server.h"
#include "scratch.h"

#include "http/http.h"

/* What the server was asked last, kept for the test to look at. */
typedef struct {
    char headers[4096], body[4096], method[16];
    size_t body_len;
    int other_port; /* of a second server, where redirects lead */
    bool gone;      /* let answers that wait end */
} memory;

typedef struct {
    memory seen;
    server *s;
    ae_http *http;
    char url[600];
} world;

static void remember(memory *m, const server_request *r)
{
    snprintf(m->headers, sizeof m->headers, "%s", r->headers);
    snprintf(m->body, sizeof m->body, "%s", r->body);
    snprintf(m->method, sizeof m->method, "%s", r->method);
    m->body_len = r->body_len;
}

static void endless(int fd, const char *piece, int times)
{
    for (int i = 0; i < times; i++) server_write(fd, piece);
}

static bool path_is(const server_request *r, const char *path)
{
    return !strcmp(r->path, path);
}

static bool redirect(memory *m, int fd, const server_request *r)
{
    char to[200] = "";

    if (path_is(r, "/303")) snprintf(to, sizeof to, "Location: /see\r\n");
    if (path_is(r, "/307")) snprintf(to, sizeof to, "Location: /see\r\n");
    if (path_is(r, "/loop")) snprintf(to, sizeof to, "Location: /loop\r\n");
    if (path_is(r, "/to-file")) snprintf(to, sizeof to, "Location: file:///etc/passwd\r\n");
    if (path_is(r, "/away"))
        snprintf(to, sizeof to, "Location: http://127.0.0.1:%d/see\r\n", m->other_port);
    if (!*to) return false;
    server_answer(fd, path_is(r, "/307") || path_is(r, "/away") ? 307 : 303, to, "moved");
    return true;
}

/* Answers that break the rules; all end with the connection closed. */
static bool break_rules(int fd, const server_request *r)
{
    if (path_is(r, "/cut"))
        server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    else if (path_is(r, "/cut-chunk"))
        server_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nonly");
    else if (path_is(r, "/bad-chunk"))
        server_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nonly");
    else if (path_is(r, "/bad-length"))
        server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\nbody");
    else if (path_is(r, "/garbage"))
        server_write(fd, "SSH-2.0-OpenSSH_9\r\n\r\n");
    else if (path_is(r, "/endless-line"))
        server_write(fd, "HTTP/1.1 200 OK\r\nX: "), endless(fd, "aaaaaaaaaaaaaaaa", 100000);
    else if (path_is(r, "/endless-headers"))
        server_write(fd, "HTTP/1.1 200 OK\r\n"), endless(fd, "X: aaaaaaaaaaaa\r\n", 100000);
    else if (path_is(r, "/endless-100"))
        endless(fd, "HTTP/1.1 100 Continue\r\nX: a\r\n\r\n", 50000);
    else if (path_is(r, "/endless-body"))
        server_write(fd, "HTTP/1.1 200 OK\r\n\r\n"), endless(fd, "bbbbbbbbbbbbbbbb", 100000);
    else if (!path_is(r, "/hang-up"))
        return false;
    return true;
}

static bool refuse(int fd, const server_request *r)
{
    if (path_is(r, "/404"))
        server_answer(fd, 404, "", "{\"error\": {\"message\": \"no such model\"}}");
    else if (path_is(r, "/404-ollama"))
        server_answer(fd, 404, "", "{\"error\": \"model 'x' not found\"}");
    else if (path_is(r, "/401-registry"))
        server_answer(fd, 401, "WWW-Authenticate: Bearer realm=\"r\"\r\n",
                      "{\"errors\": [{\"code\": \"U\", \"message\": \"log in\"}]}");
    else if (path_is(r, "/500-text"))
        server_answer(fd, 500, "", "out of \x1b[31mluck\nand more");
    else if (path_is(r, "/502-html"))
        server_answer(fd, 502, "", "<html><body>Bad gateway</body></html>");
    else if (path_is(r, "/503-then-200"))
        server_answer(fd, r->number < 3 ? 503 : 200, "", r->number < 3 ? "busy" : "at last");
    else if (path_is(r, "/429-later"))
        server_answer(fd, r->number < 2 ? 429 : 200, "Retry-After: 1\r\n", "ok");
    else if (path_is(r, "/429-much-later"))
        server_answer(fd, 429, "Retry-After: 100000\r\n", "tomorrow");
    else if (path_is(r, "/hang-up-then-200") && r->number >= 3)
        server_answer(fd, 200, "", "at last");
    else if (path_is(r, "/hang-up-then-200"))
        return false;
    else
        return false;
    return true;
}

static bool answer(void *user, int fd, const server_request *r)
{
    memory *m = user;

    remember(m, r);
    if (redirect(m, fd, r)) return true;
    if (break_rules(fd, r)) return false;
    if (refuse(fd, r)) return true;
    if (path_is(r, "/hang-up-then-200")) return false;
    if (path_is(r, "/slow"))
        for (int i = 0; i < 1000 && !m->gone; i++) server_sleep_ms(10);
    if (path_is(r, "/wait")) server_sleep_ms(100);
    server_answer(fd, path_is(r, "/206") ? 206 : 200, "X-Kind:  two words \r\nx-kind: second\r\n",
                  "hello");
    return true;
}

static int open_world(void **state)
{
    world *w = ae_alloc(1, sizeof *w);

    w->s = server_start(0, answer, &w->seen);
    assert_non_null(w->s);
    assert_int_equal(ae_http_open(&w->http, NULL, NULL), AERIE_OK);
    *state = w;
    return 0;
}

static int close_world(void **state)
{
    world *w = *state;

    w->seen.gone = true;
    ae_http_close(w->http);
    server_stop(w->s);
    ae_free(w);
    return 0;
}

static ae_http_request to(world *w, const char *path)
{
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d%s", server_port(w->s), path);
    return (ae_http_request){ .url = w->url };
}

static void expect_failure(world *w, const ae_http_request *r, const char *words)
{
    ae_http_response got = { 0 };
    aerie_error err = { 0 };

    if (ae_http_send(w->http, r, &got, &err) == AERIE_OK)
        fail_msg("%s: an answer (%d), and not '%s'", r->url, got.status, words);
    if (!strstr(err.message, words)) fail_msg("%s: '%s', and not '%s'", r->url, err.message, words);
    ae_http_response_free(&got);
}

static void a_request_and_its_answer(void **state)
{
    world *w = *state;
    const ae_http_header headers[] = { { "Authorization", "Bearer s3cret" }, { "X-Empty", "" } };
    ae_http_request r = to(w, "/206?q=1");
    ae_http_response got = { 0 };

    r.headers = headers;
    r.n_headers = 2;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 200); /* the path has a query: not the 206 one */
    assert_string_equal(got.body.data, "hello");
    assert_int_equal(got.received, 5);
    assert_true(ae_span_is(ae_http_header_of(&got, "x-KIND"), "two words"));
    assert_null(ae_http_header_of(&got, "X-Kin").data);
    assert_string_equal(w->seen.method, "GET");
    assert_non_null(strstr(w->seen.headers, "Authorization: Bearer s3cret\r\n"));
    assert_non_null(strstr(w->seen.headers, "X-Empty:\r\n"));
    assert_non_null(strstr(w->seen.headers, "User-Agent: aerie\r\n"));
    assert_null(strstr(w->seen.headers, "Accept-Encoding"));
    ae_http_response_free(&got);
}

static void methods_and_bodies(void **state)
{
    world *w = *state;
    const ae_http_header json = { "Content-Type", "application/json" };
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/x");

    r.body = "{\"a\": 1}";
    r.body_len = 8;
    r.headers = &json;
    r.n_headers = 1;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_string_equal(w->seen.method, "POST");
    assert_string_equal(w->seen.body, "{\"a\": 1}");
    assert_non_null(strstr(w->seen.headers, "Content-Type: application/json\r\n"));

    r = to(w, "/x");
    r.method = "PUT"; /* without a body: a length of 0 and no type */
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_string_equal(w->seen.method, "PUT");
    assert_non_null(strstr(w->seen.headers, "Content-Length: 0\r\n"));
    assert_null(strstr(w->seen.headers, "Content-Type"));

    r.method = "DELETE";
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_string_equal(w->seen.method, "DELETE");
    ae_http_response_free(&got);
}

static void a_part_of_a_file_is_sent(void **state)
{
    world *w = *state;
    char *folder = scratch_make(), *path = ae_path_join(folder, "blob");
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/x");
    aerie_error err = { 0 };

    assert_int_equal(ae_file_write(path, "0123456789", 10, NULL), AERIE_OK);
    r.method = "PATCH";
    r.body_path = path;
    r.body_from = 3;
    r.body_len = 4;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_string_equal(w->seen.method, "PATCH");
    assert_string_equal(w->seen.body, "3456");
    r.url = "http://127.0.0.1:1/";
    r.body_len = 8;
    assert_int_equal(ae_http_send(w->http, &r, &got, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "are not in a file of 10"));
    ae_http_response_free(&got);
    ae_free(path);
    scratch_remove(folder);
}

static void statuses_have_the_servers_words(void **state)
{
    static const struct {
        const char *path, *words;
        aerie_status status;
    } cases[] = {
        { "/404", "status 404: no such model", AERIE_NOT_FOUND },
        { "/404-ollama", "status 404: model 'x' not found", AERIE_NOT_FOUND },
        { "/401-registry", "status 401: log in", AERIE_IO },
        { "/500-text", "status 500: out of  [31mluck", AERIE_IO },
        { "/502-html", "answers with status 502", AERIE_IO },
        { "/303?key=s3cret", "/303: the server answers with status 200", AERIE_OK },
    };
    world *w = *state;

    for (size_t i = 0; i + 1 < AE_COUNT(cases); i++) {
        ae_http_response got = { 0 };
        aerie_error err = { 0 };
        ae_http_request r = to(w, cases[i].path);
        assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
        assert_int_equal(ae_http_expect(&got, &err), cases[i].status);
        if (!strstr(err.message, cases[i].words)) fail_msg("%s: '%s'", cases[i].path, err.message);
        ae_http_response_free(&got);
    }
}

static void what_can_not_work_is_refused(void **state)
{
    static const char *const urls[] = { "file:///etc/passwd", "ftp://h/x",        "gopher://h",
                                        "no address",         "http://a\r\nX: 1", "" };
    const ae_http_header bad = { "X", "a\r\nEvil: 1" };
    world *w = *state;
    ae_http_request r;

    for (size_t i = 0; i < AE_COUNT(urls); i++) {
        r = (ae_http_request){ .url = urls[i] };
        expect_failure(w, &r, "begins with http:// or https://");
    }
    r = to(w, "/");
    r.headers = &bad;
    r.n_headers = 1;
    expect_failure(w, &r, "no header may have");
    r = to(w, "/");
    r.method = "GET /x";
    expect_failure(w, &r, "no method");
    assert_int_equal(server_count(w->s), 0);
}

static void hostile_answers_end_in_a_sentence(void **state)
{
    static const struct {
        const char *path, *words;
    } cases[] = {
        { "/cut", "the connection ended after 9 of 100 bytes" },
        { "/cut-chunk", "the connection ended after 4 bytes, before the end" },
        { "/bad-chunk", "chunk" },
        { "/bad-length", "the answer is not HTTP" },
        { "/garbage", "the answer is not HTTP" },
        { "/endless-line", "header" },
        { "/endless-headers", "headers go on past" },
        { "/endless-100", "headers go on past" },
        { "/endless-body", "longer than the 1000 bytes allowed" },
        { "/hang-up", "the connection ended before an answer" },
    };
    world *w = *state;

    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_http_request r = to(w, cases[i].path);
        r.max_bytes = 1000;
        expect_failure(w, &r, cases[i].words);
    }
}

static void no_server_no_name_no_tls(void **state)
{
    world *w = *state;
    char url[100];
    ae_http_request r = { .url = url };
    server *s = server_start(0, answer, &w->seen);

    snprintf(url, sizeof url, "http://user:pw@127.0.0.1:%d/x?key=1", server_port(s));
    server_stop(s);
    expect_failure(w, &r, "/x: connection refused");
    r.url = "http://no-such-host.invalid/";
    expect_failure(w, &r, "could not resolve the host");
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", server_port(w->s));
    r.url = url;
    expect_failure(w, &r, "TLS: ");
}

static void slow_servers_are_given_up(void **state)
{
    world *w = *state;
    ae_http_request r = to(w, "/slow");

    r.total_seconds = 0.2;
    expect_failure(w, &r, "no whole answer within 0.2 seconds");
    r.total_seconds = 0;
    r.stall_seconds = 0.2;
    expect_failure(w, &r, "gone quiet before an answer");
}

static bool stop_at_third(void *user)
{
    int *asked = user;

    return ++*asked >= 3;
}

static void stopping_ends_what_is_under_way(void **state)
{
    world *w = *state;
    int asked = 0;
    ae_http_options options = { .stop = stop_at_third, .stop_user = &asked };
    ae_http_request r = to(w, "/slow");
    ae_http_response got = { 0 };
    ae_http *http;

    assert_int_equal(ae_http_open(&http, &options, NULL), AERIE_OK);
    assert_int_equal(ae_http_send(http, &r, &got, NULL), AERIE_INTERRUPTED);
    assert_int_equal(ae_http_under_way(http), 0);
    ae_http_response_free(&got);
    ae_http_close(http);
}

static void redirects_only_when_asked(void **state)
{
    world *w = *state;
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/303");

    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 303);
    assert_true(ae_span_is(ae_http_header_of(&got, "location"), "/see"));
    r.max_redirects = 3;
    r.body = "x";
    r.body_len = 1;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 200);
    assert_string_equal(w->seen.method, "GET"); /* what a 303 asks for */
    assert_non_null(strstr(got.url.data, "/see"));
    r.url = NULL;
    r = to(w, "/307");
    r.max_redirects = 3;
    r.body = "x";
    r.body_len = 1;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_string_equal(w->seen.method, "POST");
    assert_string_equal(w->seen.body, "x");
    ae_http_response_free(&got);
    r = to(w, "/loop");
    r.max_redirects = 3;
    expect_failure(w, &r, "redirected more than 3 times");
    r = to(w, "/to-file");
    r.max_redirects = 3;
    expect_failure(w, &r, "redirected to what is no address");
}

static void secrets_stay_with_the_first_host(void **state)
{
    world *w = *state;
    memory elsewhere = { 0 };
    server *other = server_start(0, answer, &elsewhere);
    const ae_http_header headers[] = { { "Authorization", "Bearer s3cret" },
                                       { "X-Key", "s3cret" },
                                       { "Range", "bytes=0-4" } };
    const char *const secret[] = { "x-key", NULL };
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/away");

    w->seen.other_port = server_port(other);
    r.headers = headers;
    r.n_headers = 3;
    r.secret = secret;
    r.max_redirects = 1;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 200);
    assert_non_null(strstr(w->seen.headers, "s3cret"));
    assert_null(strstr(elsewhere.headers, "s3cret"));
    assert_non_null(strstr(elsewhere.headers, "Range: bytes=0-4"));
    ae_http_response_free(&got);
    server_stop(other);
}

static void retries_when_asked(void **state)
{
    world *w = *state;
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/503-then-200");
    aerie_error err = { 0 };

    r.retry_seconds = 0.01;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 503); /* not asked to */
    r.max_retries = 5;
    assert_int_equal(ae_http_send(w->http, &r, &got, &err), AERIE_OK);
    assert_int_equal(got.status, 200);
    assert_int_equal(server_count(w->s), 3);
    assert_string_equal(got.body.data, "at last");
    ae_http_response_free(&got);
}

static void retries_after_a_hang_up(void **state)
{
    world *w = *state;
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/hang-up-then-200");

    r.retry_seconds = 0.01;
    r.max_retries = 5;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 200);
    assert_int_equal(server_count(w->s), 3);
    ae_http_response_free(&got);
}

static void retry_after_is_waited_for_or_the_answer(void **state)
{
    world *w = *state;
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/429-later");
    double begun = ae_clock_seconds();

    r.retry_seconds = 0.01;
    r.max_retries = 2;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 200);
    assert_true(ae_clock_seconds() - begun >= 1);
    r = to(w, "/429-much-later");
    r.max_retries = 2;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_int_equal(got.status, 429);
    ae_http_response_free(&got);
}

static aerie_status collect(void *user, const ae_http_response *so_far, const void *data,
                            size_t len, aerie_error *err)
{
    ae_bytes *out = user;

    if (so_far->status != 206) return aerie_fail(err, AERIE_IO, "no part, but the whole");
    ae_bytes_add(out, data, len);
    return AERIE_OK;
}

static void bodies_go_to_a_sink(void **state)
{
    world *w = *state;
    ae_bytes out = { 0 };
    ae_http_response got = { 0 };
    ae_http_request r = to(w, "/206");

    r.sink = collect;
    r.sink_user = &out;
    r.max_bytes = 1; /* of no matter: nothing is kept */
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_string_equal(out.data, "hello");
    assert_int_equal(got.body.len, 0);
    assert_int_equal(got.received, 5);
    r = to(w, "/x");
    r.sink = collect;
    r.sink_user = &out;
    expect_failure(w, &r, "no part, but the whole");
    r = to(w, "/404"); /* an error's words are kept, whatever the sink */
    r.sink = collect;
    r.sink_user = &out;
    assert_int_equal(ae_http_send(w->http, &r, &got, NULL), AERIE_OK);
    assert_non_null(strstr(got.body.data, "no such model"));
    ae_http_response_free(&got);
    ae_bytes_free(&out);
}

static void many_at_once(void **state)
{
    world *w = *state;
    ae_http_request r = to(w, "/wait");
    int names[8], seen = 0;
    ae_http_done done;

    for (int i = 0; i < 8; i++) {
        names[i] = 1 << i;
        assert_int_equal(ae_http_start(w->http, &r, &names[i], NULL), AERIE_OK);
    }
    assert_int_equal(ae_http_under_way(w->http), 8);
    while (ae_http_wait(w->http, -1, &done)) {
        assert_int_equal(done.status, AERIE_OK);
        assert_int_equal(done.response.status, 200);
        seen += *(int *)done.user;
        ae_http_response_free(&done.response);
    }
    assert_int_equal(seen, 255);
    assert_true(server_most_at_once(w->s) > 1);
}

static void waiting_has_an_end(void **state)
{
    world *w = *state;
    ae_http_request r = to(w, "/slow");
    ae_http_done done;

    assert_false(ae_http_wait(w->http, -1, &done)); /* nothing to wait for */
    assert_int_equal(ae_http_start(w->http, &r, NULL, NULL), AERIE_OK);
    assert_false(ae_http_wait(w->http, 0.05, &done));
    assert_int_equal(ae_http_under_way(w->http), 1);
}

/* Every allocation of ours fails once; libcurl's own are its matter. */
static void out_of_memory(void **state)
{
    world *w = *state;
    const ae_http_header header = { "X", "1" };
    bool failed = true;

    for (long n = 1; failed; n++) {
        ae_http *http = NULL;
        ae_http_options options = { .agent = "test" };
        ae_http_response got = { 0 };
        ae_http_request r = to(w, "/404");
        aerie_status status;
        r.headers = &header;
        r.n_headers = 1;
        ae_alloc_fail_at(n);
        status = ae_http_open(&http, &options, NULL);
        if (!status) status = ae_http_send(http, &r, &got, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        if (!failed) assert_int_equal(got.status, 404);
        if (failed) assert_true(status == AERIE_NO_MEMORY || got.status == 404);
        ae_http_response_free(&got);
        ae_http_close(http);
        assert_true(n < 200);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_and_its_answer),
        TEST(methods_and_bodies),
        TEST(a_part_of_a_file_is_sent),
        TEST(statuses_have_the_servers_words),
        TEST(what_can_not_work_is_refused),
        TEST(hostile_answers_end_in_a_sentence),
        TEST(no_server_no_name_no_tls),
        TEST(slow_servers_are_given_up),
        TEST(stopping_ends_what_is_under_way),
        TEST(redirects_only_when_asked),
        TEST(secrets_stay_with_the_first_host),
        TEST(retries_when_asked),
        TEST(retries_after_a_hang_up),
        TEST(retry_after_is_waited_for_or_the_answer),
        TEST(bodies_go_to_a_sink),
        TEST(many_at_once),
        TEST(waiting_has_an_end),
        TEST(out_of_memory),
    };

    /* What loopback answers must come from loopback. */
    setenv("NO_PROXY", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
