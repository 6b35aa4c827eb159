/* test_client.c -- addresses as people write them, and requests to servers that are, and are not,
 * what the client hopes for. */
#include "http/server.h"
#include "scratch.h"

#include "aerie/client.h"
#include "client/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

static void check_address(const char *text, const char *url, bool here)
{
    aerie_client *c;
    aerie_error err = { 0 };
    const aerie_client_options o = { .host = text };
    if (aerie_client_open(&c, &o, &err)) fail_msg("'%s': %s", text ? text : "(none)", err.message);
    if (strcmp(aerie_client_url(c), url) != 0 || aerie_client_is_here(c) != here)
        fail_msg("'%s' is %s (%d), not %s", text ? text : "(none)", aerie_client_url(c),
                 aerie_client_is_here(c), url);
    aerie_client_close(c);
}

static void test_addresses(void **state)
{
    (void)state;
    check_address(NULL, "http://127.0.0.1:11434", true);
    check_address("", "http://127.0.0.1:11434", true);
    check_address("localhost", "http://localhost:11434", true);
    check_address("box", "http://box:11434", false);
    check_address("box:80", "http://box:80", false);
    check_address(":1234", "http://127.0.0.1:1234", true);
    check_address("0.0.0.0", "http://127.0.0.1:11434", true);
    check_address("0.0.0.0:99", "http://127.0.0.1:99", true);
    check_address("127.1.2.3", "http://127.1.2.3:11434", true);
    check_address("10.0.0.7:8080", "http://10.0.0.7:8080", false);
    check_address("http://box", "http://box:80", false);
    check_address("https://box", "https://box:443", false);
    check_address("https://box:8443/models/", "https://box:8443/models", false);
    check_address("http://localhost:11434/", "http://localhost:11434", true);
    check_address("::1", "http://[::1]:11434", true);
    check_address("[::]:5", "http://[::1]:5", true);
    check_address("[2001:db8::1]", "http://[2001:db8::1]:11434", false);
    check_address("box/below", "http://box:11434/below", false);
}

static void test_no_addresses(void **state)
{
    static const char *const wrong[] = { "box:0",     "box:65536",  "box:12a", "ftp://box",
                                         "bo x",      "user@box",   "[::1",    "[::1]x",
                                         "box:1?a=b", "http://a#b", "http://", "a\nb" };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(wrong); i++) {
        aerie_client *c;
        aerie_error err = { 0 };
        const aerie_client_options o = { .host = wrong[i] };
        aerie_status status = aerie_client_open(&c, &o, &err);
        bool empty_host = !strcmp(wrong[i], "http://"); /* means this machine, as "" does */
        if ((status != AERIE_BAD_ARGUMENT) != empty_host) fail_msg("'%s' is taken", wrong[i]);
        assert_true((c == NULL) == (status != AERIE_OK));
        aerie_client_close(c);
    }
}

/* ---- servers */

typedef struct {
    server *s;
    char host[64], key[80], type[64], body[256];
    const char *version; /* what /api/version answers with */
    atomic_bool gone;    /* lets answers that wait end */
} world;

static bool be_silent(world *w)
{
    while (!w->gone) server_sleep_ms(10);
    return false;
}

static bool answer(void *user, int fd, const server_request *r)
{
    world *w = user;
    *w->key = *w->type = '\0';
    server_header(r, "Authorization", w->key, sizeof w->key);
    server_header(r, "Content-Type", w->type, sizeof w->type);
    snprintf(w->body, sizeof w->body, "%s", r->body ? r->body : "");
    if (!strcmp(r->path, "/api/version") && !strcmp(w->version, "silence")) return be_silent(w);
    if (!strcmp(r->path, "/api/version"))
        server_answer(fd, !strcmp(w->version, "locked") ? 401 : 200, "", w->version);
    else if (!strcmp(r->path, "/lines")) {
        server_write(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"n\":");
        server_sleep_ms(20);
        server_write(fd, "1}\n{\"n\":2}\n\n{\"n\"");
        server_sleep_ms(20);
        server_write(fd, ":3}");
        return false;
    } else if (!strcmp(r->path, "/fails"))
        server_answer(fd, 200, "", "{\"n\":1}\n{\"error\":\"no more room\"}\n{\"n\":2}\n");
    else if (!strcmp(r->path, "/odd"))
        server_answer(fd, 200, "", "{\"n\":1}\nword\n");
    else if (!strcmp(r->path, "/busy"))
        server_answer(fd, 503, "", "{\"error\":\"server busy\"}");
    else if (!strcmp(r->path, "/echo"))
        server_answer(fd, 200, "", "{\"ok\":true}");
    else if (!strcmp(r->path, "/waits"))
        return be_silent(w);
    else
        server_answer(fd, 404, "", "{\"error\":\"model 'm' not found\"}");
    return true;
}

static int start(void **state)
{
    static world w;
    memset(&w, 0, sizeof w);
    w.s = server_start(0, answer, &w);
    if (!w.s) return 1;
    snprintf(w.host, sizeof w.host, "127.0.0.1:%d", server_port(w.s));
    *state = &w;
    return 0;
}

static int stop(void **state)
{
    world *w = *state;
    w->gone = true;
    server_stop(w->s);
    return 0;
}

static aerie_client *open_client(const world *w, const char *key, bool (*wants_stop)(void *))
{
    aerie_client *c;
    const aerie_client_options o = { .host = w->host, .api_key = key, .stop = wants_stop };
    assert_int_equal(aerie_client_open(&c, &o, NULL), AERIE_OK);
    return c;
}

static aerie_server_kind look(world *w, const char *version)
{
    aerie_client *c = open_client(w, NULL, NULL);
    w->version = version;
    aerie_server_kind kind = aerie_client_look(c);
    aerie_client_close(c);
    return kind;
}

static void test_who_is_there(void **state)
{
    world *w = *state;
    assert_int_equal(look(w, "{\"version\":\"0.1\",\"aerie\":\"0.1\"}"), AERIE_SERVER_AERIE);
    assert_int_equal(look(w, "{\"version\":\"0.1\"}"), AERIE_SERVER_OLLAMA);
    assert_int_equal(look(w, "{}"), AERIE_SERVER_OTHER);
    assert_int_equal(look(w, "<html>"), AERIE_SERVER_OTHER);
    assert_int_equal(look(w, "locked"), AERIE_SERVER_LOCKED);
}

/* Neither one that takes a request and is silent, nor a socket that nobody accepts from, holds
 * anybody up for long: the test's own limit is what fails. */
static void test_silence(void **state)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    char host[64];
    aerie_client *c;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(look(*state, "silence"), AERIE_SERVER_OTHER);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    snprintf(host, sizeof host, "localhost:%d", ntohs(a.sin_port));
    const aerie_client_options o = { .host = host };
    assert_int_equal(aerie_client_open(&c, &o, NULL), AERIE_OK);
    /* Bound, not listening: as good as nobody. */
    assert_int_equal(aerie_client_look(c), AERIE_SERVER_NONE);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(aerie_client_look(c), AERIE_SERVER_OTHER);
    close(fd);
    assert_int_equal(aerie_client_look(c), AERIE_SERVER_NONE);
    aerie_client_close(c);
}

static void test_ask(void **state)
{
    world *w = *state;
    aerie_client *c = open_client(w, "secret", NULL);
    aerie_error err = { 0 };
    char *reply;
    assert_int_equal(aerie_client_ask(c, "POST", "/echo", "{\"a\":1}", &reply, &err), AERIE_OK);
    assert_string_equal(reply, "{\"ok\":true}");
    assert_string_equal(w->key, "Bearer secret");
    assert_string_equal(w->type, "application/json");
    assert_string_equal(w->body, "{\"a\":1}");
    ae_free(reply);
    assert_int_equal(aerie_client_ask(c, "GET", "/none", NULL, &reply, &err), AERIE_NOT_FOUND);
    assert_null(reply);
    assert_non_null(strstr(err.message, "model 'm' not found"));
    err = (aerie_error){ 0 };
    assert_int_equal(aerie_client_ask(c, "GET", "/busy", NULL, NULL, &err), AERIE_BUSY);
    assert_null(strstr(err.message, "secret"));
    aerie_client_close(c);
}

static bool count_lines(void *user, const char *line, size_t len)
{
    int *n = user;
    char expected[32];
    snprintf(expected, sizeof expected, "{\"n\":%d}", ++*n);
    assert_string_equal(line, expected);
    assert_int_equal(len, strlen(expected));
    return *n < 3;
}

static void test_lines(void **state)
{
    aerie_client *c = open_client(*state, NULL, NULL);
    aerie_error err = { 0 };
    int n = 0;
    /* The third of them says that it is enough. */
    assert_int_equal(aerie_client_stream(c, "/lines", "{}", count_lines, &n, &err),
                     AERIE_INTERRUPTED);
    assert_int_equal(n, 3);
    n = -1000;
    err = (aerie_error){ 0 };
    assert_int_equal(aerie_client_stream(c, "/none", "{}", count_lines, &n, &err), AERIE_NOT_FOUND);
    assert_int_equal(n, -1000);
    n = 0;
    err = (aerie_error){ 0 };
    assert_int_equal(aerie_client_stream(c, "/fails", "{}", count_lines, &n, &err), AERIE_IO);
    assert_int_equal(n, 1);
    assert_non_null(strstr(err.message, "no more room"));
    n = 0;
    err = (aerie_error){ 0 };
    assert_int_equal(aerie_client_stream(c, "/odd", "{}", count_lines, &n, &err), AERIE_BAD_TEXT);
    aerie_client_close(c);
}

static bool at_once(void *user)
{
    (void)user;
    return true;
}

static void test_stop(void **state)
{
    aerie_client *c = open_client(*state, NULL, at_once);
    aerie_error err = { 0 };
    int n = 0;
    assert_int_equal(aerie_client_stream(c, "/waits", "{}", count_lines, &n, &err),
                     AERIE_INTERRUPTED);
    assert_string_equal(err.message, "interrupted");
    aerie_client_close(c);
}

static bool any_line(void *user, const char *line, size_t len)
{
    (void)user, (void)line, (void)len;
    return true;
}

static aerie_status do_all(const world *w, aerie_error *err)
{
    const aerie_client_options o = { .host = w->host, .api_key = "secret" };
    aerie_client *c;
    char *reply = NULL;
    aerie_status status = aerie_client_open(&c, &o, err);
    if (!status) status = aerie_client_ask(c, "POST", "/echo", "{}", &reply, err);
    if (!status) status = aerie_client_stream(c, "/lines", "{}", any_line, NULL, err);
    ae_free(reply);
    aerie_client_close(c);
    return status;
}

/* The n-th allocation fails, n = 1, 2, ...: a sentence, and nothing is lost. */
static void test_no_memory(void **state)
{
    for (long n = 1;; n++) {
        aerie_error err = { 0 };
        size_t before = ae_alloc_bytes();
        ae_alloc_fail_at(n);
        aerie_status status = do_all(*state, &err);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_int_equal(ae_alloc_bytes(), before);
        if (status && !*err.message) fail_msg("allocation %ld: no sentence", n);
        if (!status && !failed) {
            assert_true(n > 5);
            break;
        }
        if (n > 1000) fail_msg("it never works: %s", err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_no_addresses),
        cmocka_unit_test_setup_teardown(test_who_is_there, start, stop),
        cmocka_unit_test_setup_teardown(test_silence, start, stop),
        cmocka_unit_test_setup_teardown(test_ask, start, stop),
        cmocka_unit_test_setup_teardown(test_lines, start, stop),
        cmocka_unit_test_setup_teardown(test_stop, start, stop),
        cmocka_unit_test_setup_teardown(test_no_memory, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
