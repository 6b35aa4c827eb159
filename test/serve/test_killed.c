/* test_killed.c -- servers killed in the midst of pulling, making and taking models, again and
 * again, and what their store is then. The moments are random, from a seed; what must hold holds at
 * any. */
#include "reader.h"
#include "registry.h"
#include "scratch.h"

#include "aerie/store.h"
#include "aerie/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BLOB = 8 << 20 };

static struct {
    char *store; /* a folder: of manifests and blobs */
    char url[128];
    pid_t pid;
    FILE *said;
} child;

/* Anew, over the same store. */
static void child_start(void)
{
    char line[256] = "";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    child.pid = fork();
    if (child.pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        execl(AERIE_PROGRAM, "aerie", "serve", "--port", "0", "--models", child.store, "--drain",
              "1", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    child.said = fdopen(ends[0], "r");
    while (fgets(line, sizeof line, child.said) && !strstr(line, "http://")) continue;
    const char *url = strstr(line, "http://");
    if (!url) fail_msg("the server does not start: %s", line);
    snprintf(child.url, sizeof child.url, "%.*s", (int)strcspn(url, "\n"), url);
}

static void child_end(int signal)
{
    kill(child.pid, signal);
    assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
    fclose(child.said);
}

/* ---- its store, looked at from outside ---- */

static aerie_places places(void)
{
    return (aerie_places){ .models = child.store, .share = "recipes/nursery" };
}

static bool print_wrong(void *user, const aerie_verified *v)
{
    (void)user;
    if (!v->ok) print_message("%s: %s\n", v->what, v->sentence);
    return true;
}

static aerie_verify_summary verify(bool repair)
{
    const aerie_places p = places();
    aerie_verify_summary sum;
    aerie_error err = { 0 };
    if (aerie_store_verify(&p, repair, print_wrong, NULL, &sum, &err)) fail_msg("%s", err.message);
    assert_int_equal(sum.wrong, 0);
    return sum;
}

/* A name that stands is of a model that can be opened. */
static bool has_whole(const char *model)
{
    const aerie_places p = places();
    char *json = NULL;
    aerie_error err = { 0 };
    aerie_status status = aerie_store_show(&p, model, true, false, &json, &err);
    if (status && status != AERIE_NOT_FOUND) fail_msg("%s", err.message);
    aerie_free(json);
    return !status;
}

/* What a pull noted as whole of the registry's blob; 0: no pull is under way. */
static int read_notes(bool noted[MOST_PARTS])
{
    char path[300], notes[MOST_PARTS] = "";
    int n = 0;
    snprintf(path, sizeof path, "%s/blobs/sha256-%s-partial", child.store, registry.hex);
    int fd = open(path, O_RDONLY);
    if (fd >= 0 && pread(fd, notes, (size_t)registry.n_parts, (off_t)registry.weights.len) < 0)
        fail_msg("%s cannot be read", path);
    if (fd >= 0) close(fd);
    for (int i = 0; i < registry.n_parts; i++) n += noted[i] = notes[i] != 0;
    return n;
}

static int start(void **state)
{
    (void)state;
    alarm(300);
    child.store = scratch_make();
    return !registry_start(BLOB);
}

static int stop(void **state)
{
    (void)state;
    registry_stop();
    scratch_remove(child.store);
    return 0;
}

/* ---- pulling ---- */

/* The server dies when the registry has sent this much more. Returns whether the pull got through.
 */
static bool pull_until(long bytes)
{
    reader c = { .wanted = "\"success\"" };
    registry.hold_after = bytes < 0 ? -1 : registry.sent + bytes;
    child_start();
    reader_start(&c, child.url, "/api/pull", registry_about("team/net:v1", ""));
    WAIT_FOR(registry.waiting || c.seen);
    bool whole = c.seen;
    child_end(SIGKILL);
    reader_end(&c);
    registry.hold_after = -1;
    WAIT_FOR(!registry.waiting);
    return whole;
}

static void a_pull_goes_on_after_kills(void **state)
{
    bool noted[MOST_PARTS] = { false };
    int before[MOST_PARTS], n_kills = 0;
    ae_rng rng;
    bool whole = false;
    (void)state;
    ae_rng_seed(&rng, 20);
    while (!whole) {
        for (int i = 0; i < registry.n_parts; i++) before[i] = registry.asked[i];
        whole = pull_until(n_kills < 12 ? (long)ae_rng_below(&rng, BLOB + BLOB / 8) : -1);
        n_kills += !whole;
        /* What was noted is not asked for again. */
        for (int i = 0; i < registry.n_parts; i++)
            if (noted[i]) assert_int_equal(registry.asked[i], before[i]);
        if (!whole) read_notes(noted);
        assert_int_equal(verify(false).manifests, whole);
    }
    print_message("%d kills; %ld bytes for a blob of %d\n", n_kills, (long)registry.sent, BLOB);
    assert_true(n_kills > 0);
    assert_int_equal(verify(false).blobs, 2);
}

/* One that has noted parts for certain: they come once. */
static void what_was_noted_comes_once(void **state)
{
    const aerie_places p = places();
    bool noted[MOST_PARTS];
    char name[100];
    (void)state;
    snprintf(name, sizeof name, "http://127.0.0.1:%d/team/net:v1", server_port(registry.s));
    assert_int_equal(aerie_store_delete(&p, name, NULL), AERIE_OK);
    registry_reset();
    registry.held = true; /* of runs of two parts the first gets through, and half of the others */
    reader c = { .until = NULL };
    child_start();
    reader_start(&c, child.url, "/api/pull", registry_about("team/net:v1", ""));
    WAIT_FOR(read_notes(noted) == 5);
    child_end(SIGKILL);
    reader_end(&c);
    registry.held = false;
    WAIT_FOR(!registry.waiting);
    assert_true(pull_until(-1));
    for (int i = 0; i < registry.n_parts; i++)
        assert_int_equal(registry.asked[i], noted[i] ? 1 : 2);
    assert_int_equal(verify(false).manifests, 1);
}

/* ---- making ---- */

static const char *const bodies[] = {
    "{'model':'made','from':'nursery','quantize':'q8_0'}",
    "{'model':'made','from':'nursery','quantize':'q4_k_m','system':'Be brief.'}",
    "{'model':'made','from':'nursery','parameters':{'temperature':0}}",
};

/* One that nobody disturbs; the seconds that it took. */
static double make_whole(void)
{
    reader c = { .wanted = "\"success\"" };
    child_start();
    double began = ae_clock_seconds();
    reader_start(&c, child.url, "/api/create", bodies[0]);
    WAIT_FOR(c.seen);
    double took = ae_clock_seconds() - began;
    child_end(SIGTERM);
    reader_end(&c);
    assert_true(has_whole("made"));
    return took;
}

static void nothing_is_half_made(void **state)
{
    const aerie_places p = places();
    uint64_t most = (uint64_t)(1.5e6 * make_whole()) + 1;
    ae_rng rng;
    int n_whole = 0;
    (void)state;
    ae_rng_seed(&rng, 21);
    for (int i = 0; i < 18; i++) {
        reader c = { .until = NULL };
        /* Half of the time there is one under the name, which stays or is replaced. */
        if (i % 2 && has_whole("made"))
            assert_int_equal(aerie_store_delete(&p, "made", NULL), AERIE_OK);
        bool had = has_whole("made");
        child_start();
        reader_start(&c, child.url, "/api/create", bodies[i % 3]);
        usleep((useconds_t)ae_rng_below(&rng, most));
        child_end(SIGKILL);
        reader_end(&c);
        verify(false);
        n_whole += has_whole("made");
        assert_true(!had || has_whole("made"));
    }
    print_message("18 kills; after %d there was a model\n", n_whole);
    /* What the killed left goes. */
    make_whole();
    verify(true);
    char command[300];
    snprintf(command, sizeof command, "find %s -name '*.part-*' | grep .", child.store);
    assert_int_not_equal(system(command), 0);
}

/* ---- taking ---- */

/* Half of a blob is sent, and the server dies. */
static void half_an_upload_is_nothing(void **state)
{
    const aerie_places p = places();
    struct sockaddr_in a = { .sin_family = AF_INET };
    char head[300], digest[HEX + 8], hex[HEX];
    (void)state;
    hash_of(hex, registry.weights.data, registry.weights.len / 2);
    snprintf(digest, sizeof digest, "sha256:%s", hex);
    child_start();
    a.sin_port = htons((uint16_t)atoi(strrchr(child.url, ':') + 1));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    /* Not even what has a digest of its own so far. */
    int n =
        snprintf(head, sizeof head,
                 "POST /api/blobs/%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n",
                 digest, registry.weights.len);
    assert_int_equal(send(fd, head, (size_t)n, MSG_NOSIGNAL), n);
    for (size_t at = 0; at < registry.weights.len / 2;) {
        ssize_t sent =
            send(fd, registry.weights.data + at, registry.weights.len / 2 - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
    child_end(SIGKILL);
    close(fd);
    assert_int_equal(aerie_blob_exists(&p, digest, NULL), AERIE_NOT_FOUND);
    verify(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pull_goes_on_after_kills),
        cmocka_unit_test(what_was_noted_comes_once),
        cmocka_unit_test(nothing_is_half_made),
        cmocka_unit_test(half_an_upload_is_nothing),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
