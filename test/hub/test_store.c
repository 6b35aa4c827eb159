/* test_store.c -- blobs and manifests: nothing is half there, nothing unchecked makes a path. */
#include "place.h"

#include <sys/stat.h>
#include <sys/wait.h>

/* sha256 of "abc" (FIPS 180-4). */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void digests_are_checked_before_they_are_paths(void **state)
{
    static const char *const wrong[] = {
        "",
        "sha256",
        "sha256:",
        ABC,
        "sha512:" ABC,
        "sha256:" ABC "0",
        "sha256:../../../../../../../../../../../../../../../../../../../../etc/x",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256_" ABC,
        " sha256:" ABC,
        "sha256:" ABC "\n",
        "sha256:" ABC "/../x",
        "SHA256:" ABC,
    };
    char hex[AE_HEX];

    (void)state;
    for (size_t i = 0; i < AE_COUNT(wrong); i++)
        if (ae_digest_parse(hex, wrong[i])) fail_msg("'%s' is taken for a digest", wrong[i]);
    assert_true(ae_digest_parse(hex, "sha256:" ABC));
    assert_string_equal(hex, ABC);
    assert_true(ae_digest_parse(
        hex, "sha256-BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
    assert_string_equal(hex, ABC);
}

static void blobs_appear_whole_or_not_at_all(void **state)
{
    place p = place_make();
    ae_blob_writer w;
    ae_bytes path = { 0 };
    char hex[AE_HEX], other[AE_HEX];
    aerie_error err = { 0 };
    bool is_new = false;
    int64_t bytes = 0;

    (void)state;
    assert_int_equal(ae_blob_find(&path, NULL, &p.places, ABC, NULL), AERIE_NOT_FOUND);
    assert_int_equal(ae_blob_begin(&w, &p.places, NULL), AERIE_OK);
    ae_blob_add(&w, "ab", 2);
    assert_int_equal(ae_blob_find(&path, NULL, &p.places, ABC, NULL), AERIE_NOT_FOUND);
    ae_blob_add(&w, "c", 1);
    assert_int_equal(ae_blob_finish(&w, ABC, hex, &is_new, NULL), AERIE_OK);
    assert_string_equal(hex, ABC);
    assert_true(is_new);
    assert_int_equal(ae_blob_find(&path, &bytes, &p.places, ABC, NULL), AERIE_OK);
    assert_int_equal(bytes, 3);

    /* Of another digest: no blob, and no rest. */
    assert_int_equal(ae_blob_begin(&w, &p.places, NULL), AERIE_OK);
    ae_blob_add(&w, "abd", 3);
    assert_int_equal(ae_blob_finish(&w, ABC, hex, NULL, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "digest mismatch, expected sha256:" ABC));
    /* Given up. */
    assert_int_equal(ae_blob_begin(&w, &p.places, NULL), AERIE_OK);
    ae_blob_add(&w, "x", 1);
    ae_blob_abandon(&w);
    ae_blob_abandon(&w);
    /* Once more the same. */
    assert_int_equal(ae_blob_begin(&w, &p.places, NULL), AERIE_OK);
    ae_blob_add(&w, "abc", 3);
    assert_int_equal(ae_blob_finish(&w, NULL, other, &is_new, NULL), AERIE_OK);
    assert_false(is_new);
    char *blobs = ae_path_join(p.models, "blobs");
    assert_int_equal(scratch_count(blobs), 1);
    ae_free(blobs);
    ae_bytes_free(&path);
    place_leave(&p);
}

static void files_become_blobs(void **state)
{
    place p = place_make();
    char *file = ae_path_join(p.root, "weights.gguf"), hex[AE_HEX];
    ae_bytes path = { 0 };
    bool is_new = false;

    (void)state;
    put_file(p.root, "weights.gguf", "abc");
    assert_int_equal(ae_blob_adopt(file, false, &p.places, hex, &is_new, NULL, NULL, NULL),
                     AERIE_OK);
    assert_true(is_new);
    assert_string_equal(hex, ABC);
    /* The file is the user's: what happens to it does not happen to the blob. */
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    fputs("xyz", f);
    fclose(f);
    assert_int_equal(ae_blob_find(&path, NULL, &p.places, ABC, NULL), AERIE_OK);
    assert_int_equal(ae_file_sha256(hex, path.data, NULL, NULL, NULL), AERIE_OK);
    assert_string_equal(hex, ABC);
    /* One of ours is moved. */
    assert_int_equal(ae_blob_scratch(&path, &p.places, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(path.data, "new", 3, NULL), AERIE_OK);
    assert_int_equal(ae_blob_adopt(path.data, true, &p.places, hex, &is_new, NULL, NULL, NULL),
                     AERIE_OK);
    assert_true(is_new);
    assert_false(ae_file_exists(path.data));
    assert_int_equal(ae_blob_find(&path, NULL, &p.places, hex, NULL), AERIE_OK);
    ae_free(file);
    ae_bytes_free(&path);
    place_leave(&p);
}

static void hostile_manifests_are_refused(void **state)
{
#define LAYER(digest, size)                                                                        \
    "{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":" digest ",\"size\":" size "}"
#define GOOD LAYER("\"sha256:" ABC "\"", "3")
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"layers\":{}}",
        "{\"layers\":[]}",
        "{\"layers\":[1]}",
        "{\"layers\":[{}]}",
        "{\"layers\":[" LAYER("\"sha256:../../../etc/passwd\"", "3") "]}",
        "{\"layers\":[" LAYER("\"../../../etc/passwd\"", "3") "]}",
        "{\"layers\":[" LAYER("7", "3") "]}",
        "{\"layers\":[" LAYER("\"sha256:" ABC "\"", "-1") "]}",
        "{\"layers\":[" LAYER("\"sha256:" ABC "\"", "3.5") "]}",
        "{\"layers\":[" LAYER("\"sha256:" ABC "\"", "\"3\"") "]}",
        "{\"layers\":[" LAYER("\"sha256:" ABC "\"", "99999999999999999999") "]}",
        "{\"layers\":[" LAYER("\"sha256:" ABC "\"", "9223372036854775807") "," GOOD "]}",
        "{\"layers\":[" GOOD "],\"config\":{\"digest\":\"sha256:..\",\"size\":1}}",
        "{\"layers\":[" GOOD "]",
    };
    static const char good[] = "{\"schemaVersion\":2,\"more\":[],\"layers\":[" GOOD "]}";
    ae_arena arena = { 0 };
    ae_manifest m;

    (void)state;
    for (size_t i = 0; i < AE_COUNT(wrong); i++) {
        aerie_error err = { 0 };
        if (ae_manifest_parse(&m, &arena, wrong[i], strlen(wrong[i]), "m", &err) != AERIE_BAD_FILE)
            fail_msg("taken: %s", wrong[i]);
        assert_true(err.message[0]);
    }
    assert_int_equal(ae_manifest_parse(&m, &arena, good, strlen(good), "m", NULL), AERIE_OK);
    assert_int_equal(m.n, 1);
    assert_string_equal(m.layers[0].hex, ABC);
    assert_non_null(ae_manifest_layer(&m, "model", 0));
    assert_null(ae_manifest_layer(&m, "model", 1));
    assert_null(ae_manifest_layer(&m, "mode", 0));
    ae_arena_free(&arena);
#undef LAYER
#undef GOOD
}

static aerie_status open_name(const place *p, const char *name, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_hub_entry e;
    aerie_status status = ae_hub_open(&e, &arena, name, &p->places, true, err);

    ae_arena_free(&arena);
    return status;
}

static void a_manifest_needs_its_blobs(void **state)
{
    place p = place_make();
    ae_layer layer = { .media = AE_MEDIA "model", .hex = ABC, .bytes = 3 };
    const ae_manifest m = { .layers = &layer, .n = 1 };
    aerie_error err = { 0 };
    ae_name name;

    (void)state;
    assert_true(ae_name_parse(&name, "x"));
    assert_int_equal(ae_manifest_save(&m, NULL, &name, &p.places, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "try again"));
    assert_int_equal(open_name(&p, "x", NULL), AERIE_NOT_FOUND);
    /* A blob of another size than the manifest says is no weights. */
    layer = put_layer(&p.places, AE_MEDIA "model", "abc");
    layer.bytes = 4;
    assert_int_equal(ae_manifest_save(&m, NULL, &name, &p.places, NULL), AERIE_OK);
    err = (aerie_error){ 0 };
    assert_int_equal(open_name(&p, "x", &err), AERIE_BAD_FILE);
    if (!strstr(err.message, "aerie verify")) fail_msg("%s", err.message);
    place_leave(&p);
}

static int count_blobs(const place *p)
{
    char *blobs = ae_path_join(p->models, "blobs");
    int n = scratch_count(blobs);

    ae_free(blobs);
    return n;
}

static void copies_share_and_removal_keeps_what_is_shared(void **state)
{
    place p = place_make();
    aerie_error err = { 0 };

    (void)state;
    put_model(&p.places, "a", "weights", "be brief");
    put_model(&p.places, "b", "weights", "be kind");
    assert_int_equal(count_blobs(&p), 4);
    assert_int_equal(ae_hub_copy("a", "team/c:v1", &p.places, NULL), AERIE_OK);
    assert_int_equal(ae_hub_copy("a", "../c", &p.places, NULL), AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_hub_copy("nobody", "c", &p.places, NULL), AERIE_NOT_FOUND);
    assert_int_equal(ae_hub_copy("nursery", "c", &p.places, NULL), AERIE_UNSUPPORTED);
    assert_int_equal(count_blobs(&p), 4);
    assert_int_equal(ae_hub_remove("A:LATEST", &p.places, NULL), AERIE_OK);
    assert_int_equal(open_name(&p, "a", NULL), AERIE_NOT_FOUND);
    assert_int_equal(count_blobs(&p), 4);
    assert_int_equal(ae_hub_remove("team/c:v1", &p.places, NULL), AERIE_OK);
    assert_int_equal(count_blobs(&p), 3); /* "be brief" was a's and c's */
    assert_false(has_file(p.models, "manifests/registry.ollama.ai/team"));
    /* A copy over another name removes what only that had. */
    put_model(&p.places, "d", "other weights", "be kind");
    assert_int_equal(count_blobs(&p), 4);
    assert_int_equal(ae_hub_copy("b", "d", &p.places, NULL), AERIE_OK);
    assert_int_equal(count_blobs(&p), 3);
    assert_int_equal(ae_hub_remove("b", &p.places, NULL), AERIE_OK);
    assert_int_equal(ae_hub_remove("b", &p.places, &err), AERIE_NOT_FOUND);
    assert_int_equal(open_name(&p, "d", NULL), AERIE_OK);
    assert_int_equal(ae_hub_remove("d", &p.places, NULL), AERIE_OK);
    assert_int_equal(count_blobs(&p), 0);
    err = (aerie_error){ 0 };
    assert_int_equal(ae_hub_remove("nursery", &p.places, &err), AERIE_UNSUPPORTED);
    put_file(p.models, "old/v1.gguf", "x");
    assert_int_equal(ae_hub_remove("old:v1", &p.places, NULL), AERIE_OK);
    assert_false(has_file(p.models, "old"));
    place_leave(&p);
}

/* Its blobs are used where they lie, or linked; it is never written to. */
static void ollamas_store_is_only_read(void **state)
{
    place p = place_make();
    aerie_error err = { 0 };
    struct stat info;

    (void)state;
    put_ollama(&p, "llama3", "weights", "s");
    assert_int_equal(ae_hub_remove("llama3", &p.places, &err), AERIE_UNSUPPORTED);
    assert_int_equal(ae_hub_copy("llama3", "mine", &p.places, NULL), AERIE_OK);
    assert_int_equal(count_blobs(&p), 3);
    char *blobs = ae_path_join(p.ollama, "blobs");
    assert_int_equal(scratch_count(blobs), 3);
    ae_free(blobs);
    /* One file with two names: nothing was copied, and Ollama may remove its own. */
    ae_arena arena = { 0 };
    ae_hub_entry e;
    assert_int_equal(ae_hub_open(&e, &arena, "mine", &p.places, true, NULL), AERIE_OK);
    assert_memory_equal(e.path, p.models, strlen(p.models));
    assert_int_equal(stat(e.path, &info), 0);
    assert_int_equal(info.st_nlink, 2);
    ae_arena_free(&arena);
    scratch_remove(ae_strdup(p.ollama));
    assert_int_equal(open_name(&p, "mine", NULL), AERIE_OK);
    assert_int_equal(ae_hub_remove("mine", &p.places, NULL), AERIE_OK);
    place_leave(&p);
}

static void damage(const place *p, const char *name, const char *text)
{
    ae_arena arena = { 0 };
    ae_hub_entry e;

    assert_int_equal(ae_hub_open(&e, &arena, name, &p->places, true, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(e.path, text, strlen(text), NULL), AERIE_OK);
    ae_arena_free(&arena);
}

static bool note(void *user, const ae_checked *c)
{
    int *counts = user;

    counts[c->result]++;
    assert_int_equal(c->result == AE_CHECK_OK, c->sentence[0] == '\0');
    return true;
}

static bool stop(void *user, const ae_checked *c)
{
    (void)user;
    (void)c;
    return false;
}

static void verify_finds_what_is_wrong(void **state)
{
    place p = place_make();
    ae_check_summary sum;
    int counts[5] = { 0 };

    (void)state;
    put_model(&p.places, "good", "weights", "s");
    put_model(&p.places, "bent", "Weights", "s");
    put_model(&p.places, "cut", "more weights", "s");
    put_model(&p.places, "gone", "those weights", "s");
    assert_int_equal(ae_hub_verify(&p.places, false, note, counts, &sum, NULL), AERIE_OK);
    assert_int_equal(sum.manifests, 4);
    assert_int_equal(sum.blobs, 6);
    assert_int_equal(sum.wrong, 0);
    assert_int_equal(counts[AE_CHECK_OK], 6);
    assert_int_equal(ae_hub_verify(&p.places, false, stop, NULL, &sum, NULL), AERIE_INTERRUPTED);

    damage(&p, "bent", "weightS");
    damage(&p, "cut", "more");
    ae_arena arena = { 0 };
    ae_hub_entry e;
    assert_int_equal(ae_hub_open(&e, &arena, "gone", &p.places, true, NULL), AERIE_OK);
    unlink(e.path);
    put_file(p.models, "manifests/h/n/m/broken", "{");
    put_layer(&p.places, "x", "nobody's");
    put_file(p.models, "blobs/new.part-999999999-0", "left");
    put_file(p.models, "blobs/new.part-999999999-1/config.json", "left");
    put_file(p.models, "blobs/notes", "a stranger's");
    memset(counts, 0, sizeof counts);
    assert_int_equal(ae_hub_verify(&p.places, false, note, counts, &sum, NULL), AERIE_OK);
    assert_int_equal(counts[AE_CHECK_DIGEST], 2);
    assert_int_equal(counts[AE_CHECK_SIZE], 1);
    assert_int_equal(counts[AE_CHECK_MISSING], 1);
    assert_int_equal(counts[AE_CHECK_MANIFEST], 1);
    assert_int_equal(sum.wrong, 5);
    assert_int_equal(sum.unused, 3);
    assert_int_equal(sum.removed, 0);

    /* What is new may be about to get its manifest: of the unused only the rest of a dead writer
     * goes. */
    assert_int_equal(ae_hub_verify(&p.places, true, note, counts, &sum, NULL), AERIE_OK);
    assert_int_equal(sum.removed, 4);
    assert_false(has_file(p.models, "blobs/new.part-999999999-1"));
    assert_int_equal(open_name(&p, "good", NULL), AERIE_OK);
    assert_int_equal(open_name(&p, "bent", NULL), AERIE_BAD_FILE);
    assert_true(has_file(p.models, "blobs/notes"));
    assert_int_equal(ae_hub_remove("bent", &p.places, NULL), AERIE_OK);
    assert_int_equal(ae_hub_remove("h/n/m:broken", &p.places, NULL), AERIE_OK);
    ae_arena_free(&arena);
    place_leave(&p);
}

/* One process copies and removes a name while another does the same with its twin, which has the
 * same blobs: whoever has a name has all of it. */
static void two_processes_at_once(void **state)
{
    place p = place_make();
    pid_t child;
    int code = -1;

    (void)state;
    put_model(&p.places, "keep", "weights", "s");
    child = fork();
    for (int i = 0; i < 100; i++) {
        const char *name = child ? "mine" : "yours";
        if (ae_hub_copy("keep", name, &p.places, NULL) || open_name(&p, name, NULL) ||
            ae_hub_remove(name, &p.places, NULL))
            code = i;
    }
    if (!child) _exit(code < 0 ? 0 : 1);
    assert_int_equal(code, -1);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_int_equal(open_name(&p, "keep", NULL), AERIE_OK);
    assert_int_equal(count_blobs(&p), 3);
    place_leave(&p);
}

static void out_of_memory_is_survived(void **state)
{
    size_t before = ae_alloc_bytes();
    bool failed = true;

    (void)state;
    for (long n = 1; failed; n++) {
        place p = place_make();
        ae_check_summary sum;
        ae_blob_writer w = { 0 };
        char hex[AE_HEX];
        put_model(&p.places, "a", "weights", "s");
        ae_alloc_fail_at(n);
        if (!ae_blob_begin(&w, &p.places, NULL)) {
            ae_blob_add(&w, "abc", 3);
            ae_blob_finish(&w, NULL, hex, NULL, NULL);
        }
        ae_blob_abandon(&w);
        ae_hub_copy("a", "b", &p.places, NULL);
        ae_hub_verify(&p.places, false, NULL, NULL, &sum, NULL);
        ae_hub_remove("b", &p.places, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_int_equal(open_name(&p, "a", NULL), AERIE_OK);
        place_leave(&p);
        assert_int_equal(ae_alloc_bytes(), before);
        assert_true(n < 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_checked_before_they_are_paths),
        cmocka_unit_test(blobs_appear_whole_or_not_at_all),
        cmocka_unit_test(files_become_blobs),
        cmocka_unit_test(hostile_manifests_are_refused),
        cmocka_unit_test(a_manifest_needs_its_blobs),
        cmocka_unit_test(copies_share_and_removal_keeps_what_is_shared),
        cmocka_unit_test(ollamas_store_is_only_read),
        cmocka_unit_test(verify_finds_what_is_wrong),
        cmocka_unit_test(two_processes_at_once),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
