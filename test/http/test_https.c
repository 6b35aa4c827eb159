/* test_https.c -- the client against TLS: whom it trusts, and that it is not led from https to
 * http. The other side is `openssl s_server`, which sends files that are whole answers; without it
 * this is skipped. */
#include "http/server.h"
#include "scratch.h"

#include "http/http.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

typedef struct {
    char *folder;
    char url[64], ca[600];
    pid_t tls;
    server *plain; /* where redirects to http lead */
} world;

static bool answer(void *user, int fd, const server_request *r)
{
    (void)user, (void)r;
    server_answer(fd, 200, "", "from http");
    return true;
}

static void write_answer(const world *w, const char *name, const char *text)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void write_redirect(const world *w, const char *name, const char *scheme, int port)
{
    char text[256];
    snprintf(text, sizeof text,
             "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n"
             "Location: %s://127.0.0.1:%d/there\r\n\r\n",
             scheme, port);
    write_answer(w, name, text);
}

/* False: there is no openssl, or none that can do it. */
static bool make_certificate(world *w)
{
    char command[1600];
    snprintf(w->ca, sizeof w->ca, "%.580s/cert.pem", w->folder);
    snprintf(command, sizeof command,
             "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
             "-keyout key.pem -out cert.pem "
             "-days 30 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 > /dev/null 2>&1",
             w->folder);
    return system(command) == 0;
}

/* The port is in the line "ACCEPT 127.0.0.1:PORT". */
static int read_port(int fd)
{
    char text[4096] = "";
    size_t n = 0;
    ssize_t got;
    while (n + 1 < sizeof text && (got = read(fd, text + n, sizeof text - 1 - n)) > 0) {
        n += (size_t)got;
        text[n] = '\0';
        const char *at = strstr(text, "ACCEPT ");
        if (at && strchr(at, '\n') && strchr(at, ':')) return atoi(strchr(at, ':') + 1);
    }
    return 0;
}

static void run_tls(const world *w, int out)
{
    int in = open("/dev/null", O_RDONLY);
    if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || chdir(w->folder)) _exit(126);
    execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key",
           "key.pem", "-HTTP", (char *)NULL);
    _exit(127);
}

static int start_tls(world *w)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    w->tls = fork();
    assert_true(w->tls >= 0);
    if (w->tls == 0) run_tls(w, ends[1]);
    close(ends[1]);
    int port = read_port(ends[0]);
    /* The other end stays open: what it prints must go somewhere. */
    snprintf(w->url, sizeof w->url, "https://127.0.0.1:%d", port);
    return port;
}

static int begin(void **state)
{
    world *w = *state = ae_alloc(1, sizeof *w);
    w->folder = scratch_make();
    if (!make_certificate(w)) {
        print_message("there is no openssl: https is not tried\n");
        return 0;
    }
    w->plain = server_start(0, answer, NULL);
    assert_non_null(w->plain);
    int port = start_tls(w);
    if (port == 0) return 1;
    write_answer(w, "there",
                 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nfrom https");
    write_redirect(w, "down", "http", server_port(w->plain));
    write_redirect(w, "aside", "https", port);
    return 0;
}

static int end(void **state)
{
    world *w = *state;
    if (w->tls > 0) {
        kill(w->tls, SIGKILL);
        waitpid(w->tls, NULL, 0);
    }
    if (w->plain) server_stop(w->plain);
    scratch_remove(w->folder);
    ae_free(w);
    return 0;
}

/* One GET, of a client that trusts the certificate or the system's alone. */
static aerie_status get(const world *w, const char *path, bool trusts, ae_http_response *got,
                        aerie_error *err)
{
    ae_http *http;
    const ae_http_options options = { .ca_file = trusts ? w->ca : NULL };
    char url[128];
    snprintf(url, sizeof url, "%s%s", w->url, path);
    const ae_http_request request = { .url = url, .max_redirects = 3, .direct = true };
    assert_int_equal(ae_http_open(&http, &options, NULL), AERIE_OK);
    aerie_status status = ae_http_send(http, &request, got, err);
    ae_http_close(http);
    return status;
}

static void a_trusted_server_is_read(void **state)
{
    const world *w = *state;
    if (w->tls == 0) skip();
    static const char *const paths[] = { "/there", "/aside" };
    for (size_t i = 0; i < AE_COUNT(paths); i++) {
        ae_http_response got = { 0 };
        assert_int_equal(get(w, paths[i], true, &got, NULL), AERIE_OK);
        assert_int_equal(got.status, 200);
        assert_string_equal(got.body.data, "from https");
        ae_http_response_free(&got);
    }
}

static void nobody_is_led_from_https_to_http(void **state)
{
    const world *w = *state;
    if (w->tls == 0) skip();
    ae_http_response got = { 0 };
    aerie_error err = { 0 };
    assert_int_equal(get(w, "/down", true, &got, &err), AERIE_IO);
    assert_non_null(strstr(err.message, "redirected from https to http"));
    assert_int_equal(server_count(w->plain), 0);
    ae_http_response_free(&got);
}

static void a_stranger_is_not_trusted(void **state)
{
    const world *w = *state;
    if (w->tls == 0) skip();
    ae_http_response got = { 0 };
    aerie_error err = { 0 };
    assert_int_equal(get(w, "/there", false, &got, &err), AERIE_IO);
    assert_non_null(strstr(err.message, "TLS"));
    ae_http_response_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trusted_server_is_read),
        cmocka_unit_test(nobody_is_led_from_https_to_http),
        cmocka_unit_test(a_stranger_is_not_trusted),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
