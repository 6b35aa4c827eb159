/* test_full.c -- a disk without room: what is asked of a server then ends with a sentence, nothing
 * that is not whole stands as whole, and with room again it goes on. The disk is a small tmpfs,
 * which wants the right to mount one; without it the tests are skipped. */
#define _GNU_SOURCE /* unshare */
#include "ask.h"
#include "reader.h"
#include "registry.h"
#include "scratch.h"

#include "aerie/store.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

enum { DISK = 12 << 20 };

static char *disk; /* NULL: there is none */

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0) fprintf(stderr, "%s\n", path);
    if (fd >= 0) close(fd);
}

/* Before there are threads: what is mounted is this process' alone. */
static bool mount_disk(void)
{
    char size[32], map[64];
    unsigned user = getuid(), group = getgid();
    snprintf(size, sizeof size, "size=%d", DISK);
    disk = scratch_make();
    if (unshare(CLONE_NEWNS)) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) return false;
        write_text("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %u 1", user);
        write_text("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "0 %u 1", group);
        write_text("/proc/self/gid_map", map);
    }
    return !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
           !mount("none", disk, "tmpfs", 0, size);
}

/* Fills the disk so that this many bytes are left. */
static void leave(uint64_t bytes)
{
    char *path = ae_path_join(disk, "ballast");
    struct statvfs info;
    unlink(path);
    assert_int_equal(statvfs(disk, &info), 0);
    uint64_t room = (uint64_t)info.f_bavail * info.f_bsize;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && room > bytes);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(room - bytes)), 0);
    close(fd);
    ae_free(path);
}

static void make_room(void)
{
    char *path = ae_path_join(disk, "ballast");
    unlink(path);
    ae_free(path);
}

static int start(void **state)
{
    alarm(300);
    (void)state;
    return disk ? !registry_start(0) || ask_start_at(disk) : 0;
}

static int stop(void **state)
{
    (void)state;
    if (!disk) return 0;
    ask_end();
    registry_stop();
    return umount(disk) || rmdir(disk);
}

static void need_disk(void)
{
    if (disk) return;
    print_message("skipped: no tmpfs may be mounted here\n");
    skip();
}

/* ---- what the store is afterwards ---- */

/* Nothing is wrong, and no writer left a file. */
static void expect_whole(void)
{
    const aerie_places places = { .store = disk, .share = "recipes/nursery" };
    aerie_verify_summary sum;
    aerie_error err = { 0 };
    char command[300];
    if (aerie_store_verify(&places, false, NULL, NULL, &sum, &err)) fail_msg("%s", err.message);
    assert_int_equal(sum.wrong, 0);
    snprintf(command, sizeof command, "find %s -name '*.part-*' | grep -q .", disk);
    assert_int_not_equal(system(command), 0);
}

/* One sentence that says what is missing, whether as a status or as a stream's last line. */
static void expect_no_room(const char *method, const char *path, const char *body)
{
    char *text = ask(method, path, body, 0), *last = strrchr(text, '{');
    if (!last || strncmp(last, "{\"error\":\"", 10) != 0 || !strstr(last, "No space left"))
        fail_msg("%s: %s", path, text);
    ae_free(text);
    expect_whole();
}

static void it_answers(const char *model)
{
    char body[200];
    snprintf(body, sizeof body,
             "{'model':'%s','prompt':'A fox','stream':false,'options':{'num_predict':2}}", model);
    expect_text("/api/generate", body, 200, "\"done\":true");
}

/* Whether a pull that ended has noted a part of the weights as whole. */
static bool is_noted(int part)
{
    char path[300], note = 0;
    snprintf(path, sizeof path, "%s/models/blobs/sha256-%s-partial", disk, registry.hex);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &note, 1, (off_t)registry.weights.len + part), 1);
    close(fd);
    return note != 0;
}

/* ---- */

static void a_pull_goes_on_when_there_is_room(void **state)
{
    (void)state;
    need_disk();
    leave(registry.weights.len - REGISTRY_PART);
    expect_no_room("POST", "/api/pull", registry_about("team/net:v1", ""));
    expect_text("/api/show", registry_about("team/net:v1", ""), 404, "not found");
    int noted[MOST_PARTS], n = 0;
    for (int i = 0; i < registry.n_parts; i++) n += noted[i] = is_noted(i);
    assert_true(n > 0);
    make_room();
    ae_free(ask("POST", "/api/pull", registry_about("team/net:v1", ",'stream':false"), 200));
    for (int i = 0; i < registry.n_parts; i++)
        if (noted[i]) assert_int_equal(registry.served[i], 1);
    expect_whole();
    expect_text("/api/generate", registry_about("team/net:v1", ",'stream':false,'prompt':'x'"), 200,
                "\"done\":true");
    ae_free(ask("DELETE", "/api/delete", registry_about("team/net:v1", ""), 200));
    registry_reset();
}

/* No blob, and the server takes the next one. */
static void an_upload_is_given_up(void **state)
{
    char path[HEX + 32];
    (void)state;
    need_disk();
    snprintf(path, sizeof path, "/api/blobs/sha256:%s", registry.hex);
    leave(1 << 20);
    char *text = send_bytes("POST", path, registry.weights.data, registry.weights.len, 500);
    if (!strstr(text, "No space left")) fail_msg("%s", text);
    ae_free(text);
    ae_free(ask("HEAD", path, NULL, 404));
    expect_whole();
    make_room();
    ae_free(send_bytes("POST", path, registry.weights.data, registry.weights.len, 201));
    ae_free(ask("HEAD", path, NULL, 200));
}

/* What bore the name before stays as it was. */
static void what_cannot_be_written_changes_nothing(void **state)
{
    static const char *const bodies[] = {
        "{'model':'fox','from':'nursery','quantize':'q8_0'}",
        "{'model':'fox','from':'nursery','quantize':'q4_k_m','stream':false}",
        "{'model':'fox','from':'fox','system':'You are a bird.'}",
        "{'model':'other','from':'fox','parameters':{'temperature':0}}",
        "{'model':'other','from':'fox','messages':[{'role':'user','content':'Hi.'}]}",
    };
    (void)state;
    need_disk();
    ae_free(ask("POST", "/api/create",
                "{'model':'fox','from':'nursery','system':'You are a fox.','stream':false}", 200));
    json_t *before = ask_json("/api/show", "{'model':'fox'}", 200);
    for (size_t i = 0; i < AE_COUNT(bodies); i++) {
        leave(i < 2 ? 64 << 10 : 0);
        expect_no_room("POST", "/api/create", bodies[i]);
        json_t *after = ask_json("/api/show", "{'model':'fox'}", 200);
        assert_true(json_equal(before, after));
        json_decref(after);
        it_answers("fox");
    }
    expect_no_room("POST", "/api/copy", "{'source':'fox','destination':'team/fox'}");
    ae_free(ask("DELETE", "/api/delete", "{'model':'team/fox'}", 404));
    /* To remove needs no room. */
    ae_free(ask("DELETE", "/api/delete", "{'model':'fox'}", 200));
    expect_whole();
    make_room();
    for (size_t i = 0; i < 2; i++) ae_free(ask("POST", "/api/create", bodies[i], 200));
    it_answers("fox");
    ae_free(ask("DELETE", "/api/delete", "{'model':'fox'}", 200));
    json_decref(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pull_goes_on_when_there_is_room),
        cmocka_unit_test(an_upload_is_given_up),
        cmocka_unit_test(what_cannot_be_written_changes_nothing),
    };
    if (!mount_disk()) {
        rmdir(disk);
        disk = NULL;
    }
    return cmocka_run_group_tests(tests, start, stop);
}
