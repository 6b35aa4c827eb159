/* test_pull.c -- models from a registry on loopback, honest and not. */
#include "http/server.h"
#include "place.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { WEIGHTS = 10500, PART = 1000, REQUESTS = 4 };

/* What the registry has, and how it lies. */
typedef struct {
    server *s;
    char weights[WEIGHTS + 1], config[3];
    char hex[AE_HEX], config_hex[AE_HEX];
    char manifest[2000];
    bool other_bytes;        /* of the same size */
    bool no_ranges;          /* everything is 200 and whole */
    bool longer;             /* than was asked for */
    bool wrong_range;        /* Content-Range tells of another size */
    bool slow;               /* each part takes a while */
    int redirect_to;         /* blobs lie at another server; 0: here */
    const char *realm;       /* a token is wanted; "%d" is the port */
    atomic_int cut_from;     /* from this request on the connection breaks; 0: never */
    const char *upload_to;   /* where layers are to be sent; NULL: nothing is taken */
    atomic_int n_blobs;      /* requests for parts of the weights */
    atomic_long n_bytes;     /* of them that were asked for and sent */
    char authorization[100]; /* of the last request for a blob */
} registry;

static void hash_of(char hex[AE_HEX], const char *data, size_t len)
{
    ae_sha256 h;

    ae_sha256_start(&h);
    ae_sha256_add(&h, data, len);
    ae_sha256_hex(&h, hex);
}

static void write_manifest(registry *r, const char *digest, long size)
{
    snprintf(
        r->manifest, sizeof r->manifest,
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"c\",\"digest\":\"sha256:%s\",\"size\":2},"
        "\"layers\":[{\"mediaType\":\"" AE_MEDIA "model\",\"digest\":\"%s%s\",\"size\":%ld}]}",
        r->config_hex, digest ? "" : "sha256:", digest ? digest : r->hex, size);
}

static void answer_part(registry *r, int fd, const server_request *q)
{
    char head[300], range[100] = "", bytes[WEIGHTS + 100];
    long from = 0, to = WEIGHTS - 1;

    if (!r->no_ranges && server_header(q, "Range", range, sizeof range))
        sscanf(range, "bytes=%ld-%ld", &from, &to);
    if (to >= WEIGHTS) to = WEIGHTS - 1;
    r->n_bytes += to - from + 1;
    size_t len = (size_t)(to - from + 1) + (r->longer ? 10 : 0);
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, r->weights + from, (size_t)(to - from + 1));
    if (r->other_bytes) bytes[0] ^= 1;
    if (r->slow) server_sleep_ms(20);
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Length: %zu\r\nContent-Range: bytes %ld-%ld/%d\r\n\r\n",
             *range ? "206 Partial" : "200 OK", len, from, to, WEIGHTS + (r->wrong_range ? 1 : 0));
    server_write(fd, head);
    if (send(fd, bytes, len, MSG_NOSIGNAL) < 0) return;
}

/* The weights and the config. */
static bool answer_blob(registry *r, int fd, const server_request *q)
{
    char to[700];
    bool is_config = strstr(q->path, r->config_hex);

    r->authorization[0] = '\0';
    server_header(q, "Authorization", r->authorization, sizeof r->authorization);
    if (r->redirect_to && !is_config) {
        snprintf(to, sizeof to, "Location: http://127.0.0.1:%d%s\r\n", r->redirect_to, q->path);
        server_answer(fd, 307, to, "");
    } else if (is_config) {
        server_answer(fd, 200, "", r->config);
    } else {
        int n = ++r->n_blobs;
        if (r->cut_from && n >= r->cut_from) return false;
        answer_part(r, fd, q);
    }
    return true;
}

static bool answer(void *user, int fd, const server_request *q)
{
    registry *r = user;
    char challenge[300], given[100] = "", realm[200];

    server_header(q, "Authorization", given, sizeof given);
    if (!strncmp(q->path, "/token", 6)) {
        server_answer(fd, 200, "", "{\"token\":\"secret\"}");
    } else if (r->realm && strcmp(given, "Bearer secret") != 0) {
        snprintf(realm, sizeof realm, r->realm, server_port(r->s));
        snprintf(challenge, sizeof challenge,
                 "WWW-Authenticate: Bearer realm=\"%s\",service=\"x y\",scope=\"pull\"\r\n", realm);
        server_answer(fd, 401, challenge, "");
    } else if (r->upload_to && !strcmp(q->method, "POST")) {
        snprintf(challenge, sizeof challenge, "Location: %s\r\n", r->upload_to);
        server_answer(fd, 202, challenge, "");
    } else if (r->upload_to && !strcmp(q->method, "HEAD")) {
        server_write(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    } else if (strstr(q->path, "/manifests/latest")) {
        server_answer(fd, 200, "", r->manifest);
    } else if (strstr(q->path, "/blobs/")) {
        return answer_blob(r, fd, q);
    } else {
        server_answer(fd, 404, "", "{\"errors\":[]}");
    }
    return true;
}

static registry *registry_start(void)
{
    registry *r = test_calloc(1, sizeof *r);

    for (int i = 0; i < WEIGHTS; i++) r->weights[i] = (char)('a' + i * 7 % 26 + (i / 999) % 3);
    strcpy(r->config, "{}");
    hash_of(r->hex, r->weights, WEIGHTS);
    hash_of(r->config_hex, r->config, 2);
    write_manifest(r, NULL, WEIGHTS);
    r->s = server_start(0, answer, r);
    assert_non_null(r->s);
    return r;
}

static void registry_stop(registry *r)
{
    server_stop(r->s);
    test_free(r);
}

static aerie_status pull_to(const ae_places *places, const registry *r, const char *tag,
                            ae_pull_fn *fn, void *user, aerie_error *err)
{
    const ae_pull_options o = {
        .part_bytes = PART, .retry_seconds = 0.01, .on_step = fn, .user = user
    };
    char name[100];

    snprintf(name, sizeof name, "http://127.0.0.1:%d/library/net:%s", server_port(r->s), tag);
    return ae_hub_pull(name, places, &o, err);
}

static bool has_model(const place *p, const registry *r)
{
    char name[100];
    ae_arena arena = { 0 };
    ae_hub_entry e;
    aerie_status status;

    snprintf(name, sizeof name, "127.0.0.1:%d/library/net", server_port(r->s));
    status = ae_hub_open(&e, &arena, name, &p->places, true, NULL);
    ae_arena_free(&arena);
    return !status;
}

static int blob_files(const place *p)
{
    char *blobs = ae_path_join(p->models, "blobs");
    int n = ae_file_exists(blobs) ? scratch_count(blobs) : 0;

    ae_free(blobs);
    return n;
}

static bool note(void *user, const char *status, const char *digest, int64_t total,
                 int64_t completed)
{
    char *steps = user;

    assert_true(completed >= 0 && completed <= total);
    assert_true(!digest || !strncmp(digest, "sha256:", 7));
    if (!strstr(steps, status)) strcat(strcat(steps, status), "|");
    return true;
}

static void a_model_comes_in_parts(void **state)
{
    place p = place_make();
    registry *r = registry_start();
    aerie_error err = { 0 };
    char steps[1000] = "", wanted[200];

    (void)state;
    if (pull_to(&p.places, r, "latest", note, steps, &err)) fail_msg("%s", err.message);
    snprintf(wanted, sizeof wanted,
             "pulling manifest|pulling %.12s|pulling %.12s|verifying sha256 digest|", r->hex,
             r->config_hex);
    assert_non_null(strstr(steps, "pulling manifest|pulling "));
    assert_non_null(strstr(steps, "verifying sha256 digest|"));
    assert_non_null(strstr(steps, "writing manifest|success|"));
    assert_int_equal(r->n_blobs, REQUESTS);
    assert_true(has_model(&p, r));
    assert_int_equal(blob_files(&p), 2);
    /* Again: nothing is fetched that is there. */
    assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_OK);
    assert_int_equal(r->n_bytes, WEIGHTS);
    err = (aerie_error){ 0 };
    assert_int_equal(pull_to(&p.places, r, "nobody", NULL, NULL, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "file does not exist"));
    /* Another manifest under the name: what only the old one had goes. */
    char *text = ae_strdup(r->manifest);
    memcpy(strstr(r->manifest, "image.model"), "image.other", 11);
    assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_OK);
    assert_int_equal(blob_files(&p), 2);
    ae_free(text);
    registry_stop(r);
    place_leave(&p);
}

static void a_pull_that_broke_goes_on(void **state)
{
    place p = place_make();
    registry *r = registry_start();
    aerie_error err = { 0 };

    (void)state;
    r->cut_from = 3;
    assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, &err), AERIE_IO);
    assert_false(has_model(&p, r));
    r->cut_from = 0;
    assert_true(r->n_bytes > 0);
    assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_OK);
    assert_true(has_model(&p, r));
    assert_int_equal(r->n_bytes, WEIGHTS); /* nothing twice */
    assert_int_equal(blob_files(&p), 2);
    registry_stop(r);
    place_leave(&p);
}

static void a_killed_pull_goes_on(void **state)
{
    place p = place_make();
    registry *r = registry_start();

    (void)state;
    r->slow = true;
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (!child) _exit(pull_to(&p.places, r, "latest", NULL, NULL, NULL) != AERIE_OK);
        server_sleep_ms(30);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    r->slow = false;
    assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_OK);
    assert_true(has_model(&p, r));
    registry_stop(r);
    place_leave(&p);
}

static void two_pulls_share_the_work(void **state)
{
    place p = place_make();
    registry *r = registry_start();
    int code = -1;

    (void)state;
    r->slow = true;
    pid_t child = fork();
    aerie_status status = pull_to(&p.places, r, "latest", NULL, NULL, NULL);
    if (!child) _exit(status != AERIE_OK);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_int_equal(status, AERIE_OK);
    assert_int_equal(r->n_bytes, WEIGHTS);
    assert_int_equal(blob_files(&p), 2);
    registry_stop(r);
    place_leave(&p);
}

static void lies_are_found(void **state)
{
    static const char *const digests[] = {
        "sha256:../../../../../../../../../../../../../../../../../../../../../etc/cron.d/x",
        "../../../etc/passwd",
        "sha256:00",
        "",
    };
    place p = place_make();
    registry *r = registry_start();
    aerie_error err;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(digests); i++) {
        write_manifest(r, digests[i], WEIGHTS);
        assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_BAD_FILE);
    }
    for (int lie = 0; lie < 6; lie++) {
        err = (aerie_error){ 0 };
        r->other_bytes = lie == 0;
        r->longer = lie == 1;
        r->wrong_range = lie == 2;
        write_manifest(r, NULL, lie == 3 ? WEIGHTS - 1 : lie == 4 ? WEIGHTS + 1 : WEIGHTS);
        if (lie == 5) write_manifest(r, NULL, 0x7fffffffffffffL);
        if (pull_to(&p.places, r, "latest", NULL, NULL, &err) != AERIE_BAD_FILE)
            fail_msg("lie %d: %s", lie, err.message);
        assert_false(has_model(&p, r));
    }
    snprintf(r->manifest, sizeof r->manifest, "<html>no</html>");
    assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_BAD_FILE);
    /* Honest again: nothing that was wrong stays. */
    write_manifest(r, NULL, WEIGHTS);
    r->other_bytes = r->longer = r->wrong_range = false;
    err = (aerie_error){ 0 };
    if (pull_to(&p.places, r, "latest", NULL, NULL, &err)) fail_msg("%s", err.message);
    assert_true(has_model(&p, r));
    registry_stop(r);
    place_leave(&p);
}

static void a_registry_without_ranges_sends_it_whole(void **state)
{
    place p = place_make();
    registry *r = registry_start();
    aerie_error err = { 0 };

    (void)state;
    r->no_ranges = true;
    if (pull_to(&p.places, r, "latest", NULL, NULL, &err)) fail_msg("%s", err.message);
    assert_true(has_model(&p, r));
    registry_stop(r);
    place_leave(&p);
}

static void tokens_stay_with_their_host(void **state)
{
    place p = place_make();
    registry *r = registry_start(), *storage = registry_start();
    aerie_error err = { 0 };

    (void)state;
    r->realm = "http://127.0.0.1:%d/token";
    r->redirect_to = server_port(storage->s);
    if (pull_to(&p.places, r, "latest", NULL, NULL, &err)) fail_msg("%s", err.message);
    assert_true(has_model(&p, r));
    assert_string_equal(r->authorization, "Bearer secret");
    assert_int_equal(storage->n_blobs, REQUESTS);
    assert_string_equal(storage->authorization, "");

    static const char *const others[] = {
        "http://example.com/token",
        "http://127.0.0.1:1%d/token",
        "https://127.0.0.1:%d/token",
        "http://127.0.0.1:%d@example.com/token",
        "http://127.0.0.1:%d.example.com/t",
        "/token",
        "file:///token",
        "",
    };
    for (size_t i = 0; i < AE_COUNT(others); i++) {
        err = (aerie_error){ 0 };
        r->realm = others[i];
        assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, &err), AERIE_IO);
        if (!strstr(err.message, "another host") && !strstr(err.message, "password"))
            fail_msg("%s", err.message);
    }
    registry_stop(r);
    registry_stop(storage);
    place_leave(&p);
}

static void layers_are_sent_to_their_registry_alone(void **state)
{
    static const char *const others[] = {
        "http://example.com/x", "https://127.0.0.1/x", "//example.com/x", "file:///x", "x", ""
    };
    place p = place_make();
    registry *r = registry_start();
    const ae_pull_options o = { .retry_seconds = 0.01 };
    char name[100];

    (void)state;
    assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_OK);
    snprintf(name, sizeof name, "http://127.0.0.1:%d/library/net:latest", server_port(r->s));
    for (size_t i = 0; i < AE_COUNT(others); i++) {
        aerie_error err = { 0 };
        int before = server_count(r->s);
        r->upload_to = others[i];
        assert_int_not_equal(ae_hub_push(name, &p.places, &o, &err), AERIE_OK);
        assert_true(err.message[0]);
        /* HEAD and POST; of what begins with '/' a PUT that goes to the registry itself. */
        assert_true(server_count(r->s) - before <= 3);
    }
    registry_stop(r);
    place_leave(&p);
}

static bool stop_at(void *user, const char *status, const char *digest, int64_t total,
                    int64_t completed)
{
    (void)digest;
    (void)total;
    return strncmp(status, user, strlen(user)) != 0 || (total && !completed);
}

static void a_pull_can_be_stopped_anywhere(void **state)
{
    static const char *const steps[] = { "pulling manifest", "pulling ", "verifying",
                                         "writing manifest" };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(steps); i++) {
        place p = place_make();
        registry *r = registry_start();
        assert_int_equal(pull_to(&p.places, r, "latest", stop_at, (void *)steps[i], NULL),
                         AERIE_INTERRUPTED);
        assert_false(has_model(&p, r));
        assert_int_equal(pull_to(&p.places, r, "latest", NULL, NULL, NULL), AERIE_OK);
        assert_true(has_model(&p, r));
        registry_stop(r);
        place_leave(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_comes_in_parts),
        cmocka_unit_test(a_pull_that_broke_goes_on),
        cmocka_unit_test(a_killed_pull_goes_on),
        cmocka_unit_test(two_pulls_share_the_work),
        cmocka_unit_test(lies_are_found),
        cmocka_unit_test(a_registry_without_ranges_sends_it_whole),
        cmocka_unit_test(tokens_stay_with_their_host),
        cmocka_unit_test(layers_are_sent_to_their_registry_alone),
        cmocka_unit_test(a_pull_can_be_stopped_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
