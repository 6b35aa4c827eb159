/* test_httpd.c -- a server on loopback and a client of bare sockets: framing, limits, and clients
 * that leave. */
#include "aerie/log.h"
#include "scratch.h"
#include "serve/httpd.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FLOOD = 8 << 20 };

typedef struct {
    ae_loop *loop;
    ae_httpd *http;
    int port;
    ae_thread *thread;
    atomic_int gone, cut, sunk, drained;
    int64_t flooded;
} server;

static server s;

static bool sink_data(void *user, ae_exchange *x, ae_span bytes)
{
    (void)user;
    atomic_fetch_add(&s.sunk, (int)bytes.len);
    if (!memchr(bytes.data, '!', bytes.len)) return true;
    ae_exchange_reply(x, 400, "text/plain", ae_span_text("no exclamations"));
    return false;
}

static void sink_end(void *user, ae_exchange *x, bool whole)
{
    (void)user;
    if (whole)
        ae_exchange_reply(x, 201, "text/plain", ae_span_text("sunk"));
    else
        atomic_fetch_add(&s.cut, 1);
}

static void on_head(void *user, ae_exchange *x)
{
    (void)user;
    const ae_body_sink sink = { sink_data, sink_end, NULL };
    if (ae_span_is(ae_exchange_head(x)->path, "/sink")) ae_exchange_sink(x, &sink, 1 << 20);
    if (ae_span_is(ae_exchange_head(x)->path, "/forbidden"))
        ae_exchange_reply(x, 403, NULL, (ae_span){ "", 0 });
}

static void on_gone(void *user, ae_exchange *x)
{
    (void)user, (void)x;
    atomic_fetch_add(&s.gone, 1);
}

/* Writes until enough waits. */
static void flood(void *user, ae_exchange *x)
{
    static const char block[4096] = { 0 };
    (void)user;
    while (s.flooded < FLOOD && ae_exchange_waiting(x) < AE_HTTPD_HIGH_WATER) {
        ae_exchange_write(x, (ae_span){ block, sizeof block });
        s.flooded += sizeof block;
    }
    atomic_fetch_add(&s.drained, 1);
    if (s.flooded >= FLOOD) ae_exchange_end(x);
}

/* Two pings, and the end. */
static void ping(void *user, ae_exchange *x)
{
    static int n;
    (void)user;
    ae_exchange_write(x, ae_span_text("ping "));
    if (++n == 2) ae_exchange_end(x);
}

static void on_request(void *user, ae_exchange *x)
{
    static const ae_exchange_watcher watcher = { .gone = on_gone },
                                     flooder = { .gone = on_gone, .drained = flood },
                                     pinger = { .gone = on_gone, .silent = ping };
    ae_span path = ae_exchange_head(x)->path;
    (void)user;
    if (ae_span_is(path, "/echo")) {
        ae_exchange_field(x, "X-Two", "a\r\nb");
        ae_exchange_reply(x, 200, "text/plain", ae_exchange_body(x));
    } else if (ae_span_is(path, "/stream")) {
        ae_exchange_begin(x, 200, "text/plain");
        ae_exchange_write(x, ae_span_text("one"));
        ae_exchange_write(x, ae_span_text(""));
        ae_exchange_write(x, ae_span_text("two"));
        ae_exchange_end(x);
    } else if (ae_span_is(path, "/break")) {
        ae_exchange_begin(x, 200, "text/plain");
        ae_exchange_write(x, ae_span_text("one"));
        ae_exchange_break(x);
    } else if (ae_span_is(path, "/flood")) {
        s.flooded = 0;
        ae_exchange_begin(x, 200, "text/plain");
        ae_exchange_watch(x, &flooder);
        flood(NULL, x);
    } else if (ae_span_is(path, "/silent")) {
        ae_exchange_begin(x, 200, "text/plain");
        ae_exchange_watch(x, &pinger);
    } else
        ae_exchange_watch(x, &watcher); /* never answered */
}

static void serve(void *user)
{
    (void)user;
    ae_loop_run(s.loop, NULL);
}

static void stop(void *user)
{
    (void)user;
    ae_loop_stop(s.loop);
}

static int start(void **state)
{
    const ae_httpd_limits limits = { .max_head = 4096,
                                     .max_body = 1000,
                                     .max_connections = 3,
                                     .head_seconds = 1,
                                     .body_seconds = 1,
                                     .idle_seconds = 20,
                                     .silent_seconds = 1 };
    const ae_httpd_handler handler = { NULL, on_head, on_request };
    (void)state;
    return ae_loop_open(&s.loop, NULL) || ae_httpd_open(&s.http, s.loop, &limits, &handler, NULL) ||
           ae_httpd_listen(s.http, "127.0.0.1", 0, &s.port, NULL) ||
           ae_thread_start(&s.thread, "serve", serve, NULL, NULL);
}

static int end(void **state)
{
    static ae_post post = { .fn = stop };
    (void)state;
    ae_loop_post(s.loop, &post);
    ae_thread_join(s.thread);
    ae_httpd_close(s.http);
    ae_loop_close(s.loop);
    return 0;
}

static int dial(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s.port) };
    struct timeval limit = { .tv_sec = 20 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All until the server closes, or until `last` has come. */
static char *hear(int fd, const char *last)
{
    ae_bytes got = { 0 };
    char part[4096];
    ssize_t n;
    ae_bytes_add_text(&got, "");
    while (!(last && strstr(got.data, last)) && (n = recv(fd, part, sizeof part, 0)) > 0)
        ae_bytes_add(&got, part, (size_t)n);
    return got.data;
}

/* Sends a text and expects a reply that begins so, has this in it, and, with `closes`, then ends.
 */
static void check(const char *text, const char *begin, const char *has, bool closes)
{
    int fd = dial();
    say(fd, text);
    char *reply = hear(fd, closes ? NULL : has);
    if (strncmp(reply, begin, strlen(begin)) != 0 || !strstr(reply, has))
        fail_msg("%s\n---\n%s", text, reply);
    ae_free(reply);
    close(fd);
}

static void replies_are_framed(void **state)
{
    (void)state;
    check("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\n",
          "\r\nContent-Length: 2\r\nX-Two: a  b\r\n\r\nhi", false);
    check("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n",
          "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", false);
    check("GET /stream HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nonetwo", true);
    check("HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
          "\r\nConnection: close\r\n\r\n", true);
    check("GET /forbidden HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n",
          "Content-Length: 0\r\n", false);
    check("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi",
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "\r\n\r\nhi", false);
}

static void a_reply_that_breaks_off_does_not_look_whole(void **state)
{
    int fd = dial();
    (void)state;
    say(fd, "GET /break HTTP/1.1\r\nHost: a\r\n\r\n");
    char *reply = hear(fd, NULL);
    assert_non_null(strstr(reply, "3\r\none\r\n"));
    assert_null(strstr(reply, "0\r\n\r\n"));
    ae_free(reply);
    close(fd);
}

static void requests_follow_each_other_on_a_connection(void **state)
{
    int fd = dial();
    (void)state;
    say(fd,
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthere"
        "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    char *reply = hear(fd, "two\r\n0\r\n\r\n");
    const char *hi = strstr(reply, "\r\n\r\nhi"), *there = strstr(reply, "\r\n\r\nthere");
    assert_true(hi && there && hi < there);
    ae_free(reply);
    say(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
    reply = hear(fd, NULL);
    assert_non_null(strstr(reply, "\r\n\r\nx"));
    ae_free(reply);
    close(fd);
}

static void bad_messages_get_their_status(void **state)
{
    ae_bytes huge = { 0 };
    (void)state;
    check("nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "this is not an HTTP request", true);
    check("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "wants one Host", true);
    check("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "HTTP/1.1 413",
          "too large", true);
    check("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
          "HTTP/1.1 400", "not framed", true);
    check("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel", "HTTP/1.1 408",
          "did not come in time", true);
    check("GET / HT", "HTTP/1.1 408", "did not come in time", true);
    ae_bytes_add_text(&huge, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    while (huge.len < 5000) ae_bytes_add_char(&huge, 'x');
    check(huge.data, "HTTP/1.1 431", "too large", true);
    ae_bytes_free(&huge);
}

static void a_body_goes_where_it_is_wanted(void **state)
{
    int before = atomic_load(&s.sunk);
    (void)state;
    ae_bytes text = { 0 };
    ae_bytes_add_text(&text, "POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100000; i++) ae_bytes_add_char(&text, 'x');
    check(text.data, "HTTP/1.1 201 Created", "sunk", false);
    assert_int_equal(atomic_load(&s.sunk) - before, 100000);
    ae_bytes_free(&text);
    check("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nwhat!", "HTTP/1.1 400",
          "no exclamations", true);
    check("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", "HTTP/1.1 413",
          "too large", true);
}

static void wait_for(atomic_int *what, int count)
{
    for (int i = 0; i < 2000 && atomic_load(what) < count; i++) usleep(10000);
    assert_int_equal(atomic_load(what), count);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    int fd = dial(), before = atomic_load(&s.gone), cut = atomic_load(&s.cut);
    (void)state;
    say(fd, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(50000);
    close(fd);
    wait_for(&s.gone, before + 1);
    fd = dial();
    say(fd, "POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nabc");
    usleep(50000);
    close(fd);
    wait_for(&s.cut, cut + 1);
    fd = dial();
    say(fd, "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
    usleep(50000);
    close(fd);
    wait_for(&s.gone, before + 2);
}

static void a_slow_reader_makes_the_writer_rest(void **state)
{
    int fd = dial(), before = atomic_load(&s.drained);
    char part[65536];
    int64_t n_bytes = 0;
    ssize_t n;
    (void)state;
    say(fd, "GET /flood HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while ((n = recv(fd, part, sizeof part, 0)) > 0) n_bytes += n;
    assert_true(n_bytes > FLOOD);
    assert_true(atomic_load(&s.drained) - before > 1);
    close(fd);
}

static void silence_is_told(void **state)
{
    char all[1000] = "";
    size_t len = 0;
    ssize_t n;
    int fd = dial();
    (void)state;
    say(fd, "GET /silent HTTP/1.0\r\nHost: a\r\n\r\n");
    while ((n = recv(fd, all + len, sizeof all - 1 - len, 0)) > 0) len += (size_t)n;
    assert_non_null(strstr(all, "\r\n\r\nping ping "));
    close(fd);
}

static void there_is_a_most_of_connections(void **state)
{
    int fds[3];
    (void)state;
    for (int i = 0; i < 3; i++) fds[i] = dial();
    check("", "HTTP/1.1 503", "too many connections", true);
    for (int i = 0; i < 3; i++) close(fds[i]);
}

static atomic_int warnings;

static void count_warning(void *user, aerie_log_level level, const char *message)
{
    (void)user;
    if (level == AERIE_LOG_WARNING && strstr(message, "no connection can be accepted"))
        atomic_fetch_add(&warnings, 1);
}

static void tell_connections(void *user)
{
    atomic_store((atomic_int *)user, (int)ae_httpd_count(s.http).connections);
}

/* Until the server has closed its side of those that are gone. */
static void await_connections(int count)
{
    atomic_int now;
    do {
        ae_post post = { .fn = tell_connections, .user = &now };
        atomic_store(&now, -1);
        ae_loop_post(s.loop, &post);
        while (atomic_load(&now) < 0) usleep(1000);
    } while (atomic_load(&now) != count);
}

enum { PLUGS = 32 };

/* Takes all descriptors but one, which is a client's. */
static void take_descriptors(int *plugs, struct rlimit *before)
{
    for (int i = 0; i < PLUGS; i++) plugs[i] = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    struct rlimit tight = *before;
    tight.rlim_cur = (rlim_t)plugs[PLUGS - 1] + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    close(plugs[PLUGS - 1]);
}

static void give_descriptors_back(const int *plugs, const struct rlimit *before)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, before), 0);
    for (int i = 0; i < PLUGS - 1; i++) close(plugs[i]);
}

/* Who comes when the process has no descriptor left waits, and is answered when there is one. */
static void without_descriptors_clients_wait(void **state)
{
    int plugs[PLUGS];
    struct rlimit before;
    (void)state;
    aerie_log_set(count_warning, NULL);
    await_connections(0);
    take_descriptors(plugs, &before);
    int fd = dial();
    say(fd, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_for(&warnings, 1);
    usleep(300000);
    assert_int_equal(atomic_load(&warnings), 1); /* said once, not at each try */
    give_descriptors_back(plugs, &before);
    char *reply = hear(fd, NULL);
    assert_non_null(strstr(reply, "two"));
    ae_free(reply);
    close(fd);
    aerie_log_set(NULL, NULL);
}

/* A connection that was answered and rests gives its descriptor up for one that asks. */
static void without_descriptors_idle_connections_go(void **state)
{
    int plugs[PLUGS];
    struct rlimit before;
    (void)state;
    await_connections(0);
    int idle = dial();
    say(idle, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    char *first = hear(idle, "two\r\n0\r\n\r\n");
    take_descriptors(plugs, &before);
    int fd = dial();
    say(fd, "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *second = hear(fd, NULL), *nothing = hear(idle, NULL);
    give_descriptors_back(plugs, &before);
    if (!strstr(second, "two")) fail_msg("%s", second);
    assert_string_equal(nothing, "");
    ae_free(first);
    ae_free(second);
    ae_free(nothing);
    close(fd);
    close(idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_framed),
        cmocka_unit_test(a_reply_that_breaks_off_does_not_look_whole),
        cmocka_unit_test(requests_follow_each_other_on_a_connection),
        cmocka_unit_test(bad_messages_get_their_status),
        cmocka_unit_test(a_body_goes_where_it_is_wanted),
        cmocka_unit_test(a_client_that_leaves_is_noticed),
        cmocka_unit_test(a_slow_reader_makes_the_writer_rest),
        cmocka_unit_test(silence_is_told),
        cmocka_unit_test(there_is_a_most_of_connections),
        cmocka_unit_test(without_descriptors_clients_wait),
        cmocka_unit_test(without_descriptors_idle_connections_go),
    };
    return cmocka_run_group_tests(tests, start, end);
}
