/* test_lies.c -- registries that lie, of everything that a registry says. A pull from one ends with
 * a sentence; no name stands, nothing is written outside of the store, and the honest registry's
 * next pull of the same model is not hurt. */
#include "http/server.h"
#include "place.h"

#include <stdatomic.h>
#include <sys/socket.h>

enum { WEIGHTS = 10500, PART = 1000 };

typedef enum {
    HONEST,
    SHORT,       /* every connection ends after some bytes */
    SHORTER,     /* and so soon that nothing is won */
    ENDLESS,     /* a body without an end */
    DRIP,        /* a byte now and then */
    SILENT,      /* nothing at all */
    REDIRECT,    /* blobs are elsewhere */
    REFUSE,      /* another status */
    NO_LENGTH,   /* honest bytes, and the connection's end is theirs */
    MORE_THAN_IT /* 206 with all of it, whatever was asked for */
} lie;

static struct {
    server *s;
    char weights[WEIGHTS], hex[AE_HEX], config_hex[AE_HEX];
    char manifest[2000];
    size_t manifest_len;
    lie blobs, manifests;
    const char *location; /* "%d": its own port */
    int status;
    atomic_int n_requests, n_tokens;
    bool wants_token;
    char given[200]; /* an Authorization that came along a redirect */
} liar;

static void hash_of(char hex[AE_HEX], const char *data, size_t len)
{
    ae_sha256 h;

    ae_sha256_start(&h);
    ae_sha256_add(&h, data, len);
    ae_sha256_hex(&h, hex);
}

static void write_manifest(const char *media, const char *size, const char *more)
{
    liar.manifest_len = (size_t)snprintf(
        liar.manifest, sizeof liar.manifest,
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"c\",\"digest\":\"sha256:%s\",\"size\":2},"
        "\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%s%s}]}",
        liar.config_hex, media, liar.hex, size, more);
}

static bool put(int fd, const char *data, size_t len)
{
    return send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Until the client has enough of it. */
static bool go_on_for_ever(int fd, int pause_ms)
{
    char piece[4096];

    memset(piece, ' ', sizeof piece);
    if (!pause_ms) {
        while (put(fd, "1000\r\n", 6) && put(fd, piece, sizeof piece) && put(fd, "\r\n", 2))
            continue;
    } else {
        while (put(fd, "1\r\n \r\n", 6)) server_sleep_ms(pause_ms);
    }
    return false;
}

static bool be_silent(int fd)
{
    char c;

    while (recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) != 0) server_sleep_ms(2);
    return false;
}

/* False: what is said is not what is there. */
static bool lie_of(lie what, int fd, const server_request *q)
{
    char head[600], to[400];

    switch (what) {
    case ENDLESS:
    case DRIP:
        server_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        return go_on_for_ever(fd, what == DRIP ? 5 : 0);
    case SILENT:
        return be_silent(fd);
    case REDIRECT:
        liar.given[0] = '\0';
        server_header(q, "Authorization", liar.given, sizeof liar.given);
        snprintf(to, sizeof to, liar.location, server_port(liar.s));
        snprintf(head, sizeof head, "Location: %s\r\n", to);
        server_answer(fd, 307, head, "");
        return true;
    default:
        server_answer(fd, liar.status, "Retry-After: 100000\r\n", "{\"errors\":[]}");
        return true;
    }
}

static bool answer_weights(int fd, const server_request *q)
{
    char head[300], range[100] = "";
    long from = 0, to = WEIGHTS - 1, n;

    if (server_header(q, "Range", range, sizeof range)) sscanf(range, "bytes=%ld-%ld", &from, &to);
    n = to - from + 1;
    if (liar.blobs == NO_LENGTH)
        snprintf(
            head, sizeof head,
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes %ld-%ld/%d\r\nConnection: close\r\n\r\n",
            from, to, WEIGHTS);
    else
        snprintf(
            head, sizeof head,
            "HTTP/1.1 206 Partial\r\nContent-Length: %ld\r\nContent-Range: bytes %ld-%ld/%d\r\n"
            "\r\n",
            liar.blobs == MORE_THAN_IT ? WEIGHTS : n, from, to, WEIGHTS);
    server_write(fd, head);
    if (liar.blobs == SHORT && n > PART + 500) n = PART + 500;
    if (liar.blobs == SHORTER) n = 10;
    if (liar.blobs == MORE_THAN_IT) from = 0, n = WEIGHTS;
    return put(fd, liar.weights + from, (size_t)n) && liar.blobs == HONEST;
}

static bool answer(void *user, int fd, const server_request *q)
{
    char challenge[300], given[100] = "";

    (void)user;
    liar.n_requests++;
    server_header(q, "Authorization", given, sizeof given);
    if (!strncmp(q->path, "/token", 6)) {
        liar.n_tokens++;
        server_answer(fd, 200, "", "{\"token\":\"wrong\"}");
    } else if (liar.wants_token) {
        snprintf(challenge, sizeof challenge,
                 "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%d/token\"\r\n",
                 server_port(liar.s));
        server_answer(fd, 401, challenge, "");
    } else if (strstr(q->path, "/manifests/")) {
        if (liar.manifests != HONEST) return lie_of(liar.manifests, fd, q);
        snprintf(challenge, sizeof challenge, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                 liar.manifest_len);
        server_write(fd, challenge);
        return put(fd, liar.manifest, liar.manifest_len);
    } else if (strstr(q->path, liar.config_hex)) {
        server_answer(fd, 200, "", "{}");
    } else if (strstr(q->path, liar.hex)) {
        if (liar.blobs == HONEST || liar.blobs == SHORT || liar.blobs == SHORTER ||
            liar.blobs == NO_LENGTH || liar.blobs == MORE_THAN_IT)
            return answer_weights(fd, q);
        return lie_of(liar.blobs, fd, q);
    } else {
        server_answer(fd, 404, "", "{\"errors\":[]}");
    }
    return true;
}

static int start(void **state)
{
    (void)state;
    alarm(300);
    for (int i = 0; i < WEIGHTS; i++) liar.weights[i] = (char)('a' + i * 7 % 26 + (i / 999) % 3);
    hash_of(liar.hex, liar.weights, WEIGHTS);
    hash_of(liar.config_hex, "{}", 2);
    liar.s = server_start(0, answer, NULL);
    return !liar.s;
}

static int stop(void **state)
{
    (void)state;
    server_stop(liar.s);
    return 0;
}

/* ---- */

static void be_honest(void)
{
    liar.blobs = liar.manifests = HONEST;
    liar.wants_token = false;
    liar.n_requests = liar.n_tokens = 0;
    write_manifest(AE_MEDIA "model", "10500", "");
}

static aerie_status pull(const place *p, ae_pull_fn *fn, void *user, aerie_error *err)
{
    const ae_pull_options o = {
        .part_bytes = PART, .retry_seconds = 0.001, .on_step = fn, .user = user
    };
    char name[100];

    snprintf(name, sizeof name, "http://127.0.0.1:%d/library/net", server_port(liar.s));
    return ae_hub_pull(name, &p->places, &o, err);
}

/* Nothing is wrong in the store, and nothing new beside it. */
static void expect_clean(const place *p, int n_manifests)
{
    ae_check_summary sum;

    assert_int_equal(ae_hub_verify(&p->places, false, NULL, NULL, &sum, NULL), AERIE_OK);
    assert_int_equal(sum.wrong, 0);
    assert_int_equal(sum.manifests, n_manifests);
    assert_int_equal(scratch_count(p->root), 2); /* share and the store */
}

/* The pull fails with a sentence that has the word; an honest one afterwards succeeds. */
static void expect_failure(aerie_status wanted, const char *word)
{
    place p = place_make();
    aerie_error err = { 0 };
    aerie_status status = pull(&p, NULL, NULL, &err);

    if (status != wanted || !strstr(err.message, word))
        fail_msg("%d, not %d with '%s': %s", status, wanted, word, err.message);
    expect_clean(&p, 0);
    be_honest();
    err = (aerie_error){ 0 };
    if (pull(&p, NULL, NULL, &err)) fail_msg("%s", err.message);
    expect_clean(&p, 1);
    place_leave(&p);
}

static void bodies_that_end_too_soon(void **state)
{
    place p = place_make();
    aerie_error err = { 0 };

    (void)state;
    /* What every connection brings is enough to go on. */
    be_honest();
    liar.blobs = SHORT;
    if (pull(&p, NULL, NULL, &err)) fail_msg("%s", err.message);
    expect_clean(&p, 1);
    place_leave(&p);
    be_honest();
    liar.blobs = SHORTER;
    expect_failure(AERIE_IO, "127.0.0.1");
    be_honest();
    liar.blobs = NO_LENGTH;
    p = place_make();
    if (pull(&p, NULL, NULL, &err)) fail_msg("%s", err.message);
    expect_clean(&p, 1);
    place_leave(&p);
}

static void bodies_that_do_not_end(void **state)
{
    (void)state;
    be_honest();
    liar.blobs = ENDLESS;
    expect_failure(AERIE_BAD_FILE, "sends more");
    be_honest();
    liar.blobs = MORE_THAN_IT;
    expect_failure(AERIE_BAD_FILE, "sends more");
    be_honest();
    liar.manifests = ENDLESS;
    expect_failure(AERIE_IO, "longer than");
}

/* Stopped by who hears of the steps: in the third second, or when somebody leaves. */
static bool soon(void *user, const char *status, const char *digest, int64_t total,
                 int64_t completed)
{
    int *n = user;

    (void)status, (void)digest, (void)total, (void)completed;
    return ++*n < 5;
}

static void bodies_that_do_not_come(void **state)
{
    static const lie lies[] = { DRIP, SILENT };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(lies); i++)
        for (int of_manifest = 0; of_manifest < 2; of_manifest++) {
            place p = place_make();
            int n = 0;
            be_honest();
            if (of_manifest)
                liar.manifests = lies[i];
            else
                liar.blobs = lies[i];
            assert_int_equal(pull(&p, soon, &n, NULL), AERIE_INTERRUPTED);
            expect_clean(&p, 0);
            place_leave(&p);
        }
}

static void redirects_that_lead_astray(void **state)
{
    static const struct {
        const char *to, *says;
    } cases[] = {
        { "file:///etc/passwd", "" },
        { "ftp://127.0.0.1/x", "" },
        { "gopher://127.0.0.1:%d/x", "" },
        { "/v2/library/net/blobs/sha256:0", "" },
        { "http://127.0.0.1:%d/v2/library/net/blobs/loop", "" },
        { "", "" },
        { "http://", "" },
        { "javascript:alert(1)", "" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        for (int of_manifest = 0; of_manifest < 2; of_manifest++) {
            place p = place_make();
            aerie_error err = { 0 };
            be_honest();
            liar.location = cases[i].to;
            if (of_manifest)
                liar.manifests = REDIRECT;
            else
                liar.blobs = REDIRECT;
            assert_int_not_equal(pull(&p, NULL, NULL, &err), AERIE_OK);
            if (!err.message[0] || strstr(err.message, "root:")) fail_msg("%s", cases[i].to);
            expect_clean(&p, 0);
            place_leave(&p);
        }
    /* A ring: of itself to itself. */
    char self[200];
    snprintf(self, sizeof self, "/v2/library/net/blobs/sha256:%s", liar.hex);
    be_honest();
    liar.location = self;
    liar.blobs = REDIRECT;
    place p = place_make();
    aerie_error err = { 0 };
    assert_int_not_equal(pull(&p, NULL, NULL, &err), AERIE_OK);
    assert_true(liar.n_requests < 600);
    expect_clean(&p, 0);
    place_leave(&p);
}

static void statuses_that_mean_no(void **state)
{
    static const int codes[] = { 400, 403, 404, 410, 416, 418, 429, 500, 503 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(codes); i++) {
        place p = place_make();
        aerie_error err = { 0 };
        be_honest();
        liar.status = codes[i];
        liar.blobs = REFUSE;
        assert_int_not_equal(pull(&p, NULL, NULL, &err), AERIE_OK);
        assert_true(err.message[0]);
        assert_true(liar.n_requests < 100);
        expect_clean(&p, 0);
        place_leave(&p);
    }
    be_honest();
    liar.wants_token = true; /* whatever is given */
    expect_failure(AERIE_IO, "401");
    assert_true(liar.n_tokens <= 1);
}

static void sizes_that_cannot_be(void **state)
{
    static const char *const sizes[] = {
        "-1",
        "1.5",
        "\"10500\"",
        "null",
        "9223372036854775807",
        "99999999999999999999",
        "1e30",
        "[10]",
        "0",
        "1",
        "10499",
        "10501",
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(sizes); i++) {
        be_honest();
        write_manifest(AE_MEDIA "model", sizes[i], "");
        expect_failure(AERIE_BAD_FILE, "");
    }
    /* Two of which the sum is too much. */
    be_honest();
    liar.manifest_len = (size_t)snprintf(
        liar.manifest, sizeof liar.manifest,
        "{\"layers\":[{\"digest\":\"sha256:%s\",\"size\":9223372036854775807},{\"digest\":"
        "\"sha256:%s\",\"size\":9223372036854775807}]}",
        liar.hex, liar.config_hex);
    expect_failure(AERIE_BAD_FILE, "");
}

/* Texts of a manifest are never paths. */
static void paths_in_a_manifest(void **state)
{
    (void)state;
    place p = place_make();
    aerie_error err = { 0 };
    be_honest();
    write_manifest("../../../../../../tmp/aerie-was-here", "10500",
                   ",\"from\":\"/etc/passwd\",\"name\":\"../../../evil\",\"urls\":[\"file:///etc/"
                   "passwd\"]");
    if (pull(&p, NULL, NULL, &err)) fail_msg("%s", err.message);
    expect_clean(&p, 1);
    assert_false(ae_file_exists("/tmp/aerie-was-here"));
    place_leave(&p);
}

/* A manifest with a few bytes changed, cut or doubled: a sentence, or a store with nothing wrong.
 */
static void damaged_manifests(void **state)
{
    place p = place_make();
    ae_rng rng;
    int n_taken = 0;

    (void)state;
    ae_rng_seed(&rng, 5);
    for (int i = 0; i < 400; i++) {
        aerie_error err = { 0 };
        ae_check_summary sum;
        be_honest();
        for (uint64_t n = ae_rng_below(&rng, 4) + 1; n; n--)
            liar.manifest[ae_rng_below(&rng, liar.manifest_len)] = (char)ae_rng_below(&rng, 256);
        if (i % 4 == 0) liar.manifest_len = ae_rng_below(&rng, liar.manifest_len);
        aerie_status status = pull(&p, NULL, NULL, &err);
        n_taken += !status;
        if (status && !err.message[0]) fail_msg("no sentence: %s", liar.manifest);
        assert_int_equal(ae_hub_verify(&p.places, false, NULL, NULL, &sum, NULL), AERIE_OK);
        assert_int_equal(sum.wrong, 0);
    }
    assert_true(n_taken < 200);
    assert_int_equal(scratch_count(p.root), 2);
    place_leave(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_that_end_too_soon), cmocka_unit_test(bodies_that_do_not_end),
        cmocka_unit_test(bodies_that_do_not_come),  cmocka_unit_test(redirects_that_lead_astray),
        cmocka_unit_test(statuses_that_mean_no),    cmocka_unit_test(sizes_that_cannot_be),
        cmocka_unit_test(paths_in_a_manifest),      cmocka_unit_test(damaged_manifests),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
