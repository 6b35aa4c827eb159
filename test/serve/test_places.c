/* test_places.c -- models that lie elsewhere: in an Ollama store, in a Hugging Face cache, as plain
 * files. A server answers from them where they lie, and copies nothing. */
#include "ask.h"
#include "live_server.h"
#include "scratch.h"

#include "aerie/model.h"
#include "aerie/store.h"

#include <sys/stat.h>

static const char weights[] = "recipes/nursery/nursery.gguf";
static char *root, *ollama, *hf;

/* A link to the weights, as the cache has them; folders are made. */
static bool put_link(const char *folder, const char *name)
{
    char *path = ae_path_join(folder, name), *real = realpath(weights, NULL);
    bool done = !ae_file_make_folder(folder, NULL) && !symlink(real, path);
    ae_free(path);
    free(real);
    return done;
}

static bool make_ollama(void)
{
    const aerie_places places = { .models = ollama, .share = "recipes/nursery" };
    static const char request[] = "{\"from\":\"nursery\",\"system\":\"Be brief.\","
                                  "\"parameters\":{\"temperature\":0}}";
    return !aerie_store_create(&places, "theirs", request, NULL, NULL);
}

static bool make_cache(void)
{
    char *snapshots = ae_path_join(hf, "models--org--net/snapshots"), *refs;
    char *gguf = ae_path_join(hf, "models--org--net-GGUF/snapshots/abc");
    char *folder = ae_path_join(snapshots, "abc");
    refs = ae_path_join(hf, "models--org--net/refs");
    bool done = !ae_file_make_folder(snapshots, NULL) && !ae_file_make_folder(refs, NULL) &&
                !aerie_convert(weights, folder, "hf", "f16", NULL) &&
                put_link(gguf, "net-F16.gguf");
    ae_free(snapshots);
    ae_free(folder);
    ae_free(gguf);
    if (done) {
        char *main = ae_path_join(refs, "main");
        done = !ae_file_write(main, "abc", 3, NULL);
        ae_free(main);
    }
    ae_free(refs);
    return done;
}

static bool make_plain(void)
{
    char *models = ae_path_join(server.store, "models"), *team = ae_path_join(models, "team");
    bool done = put_link(models, "mine.gguf") && put_link(team, "v2.gguf");
    ae_free(models);
    ae_free(team);
    return done;
}

static int start(void **state)
{
    (void)state;
    root = scratch_make();
    ollama = ae_path_join(root, "ollama");
    hf = ae_path_join(root, "hf");
    snprintf(server.store, sizeof server.store, "%s", root);
    server.ollama = ollama;
    server.huggingface = hf;
    return !make_ollama() || !make_cache() || !make_plain() || live_server_begin();
}

static int stop(void **state)
{
    (void)state;
    live_server_end();
    scratch_remove(root);
    ae_free(ollama);
    ae_free(hf);
    return 0;
}

static const char *const names[] = { "theirs", "hf.co/org/net", "org/net", "hf.co/org/net-GGUF:F16",
                                     "mine",   "mine:latest",   "team:v2" };

static bool has_blobs(void)
{
    char *path = ae_path_join(root, "models/blobs");
    bool has = ae_file_exists(path);
    ae_free(path);
    return has;
}

static void all_say_the_same(void **state)
{
    char *expected = reply_of("nursery");
    (void)state;
    for (size_t i = 0; i < AE_COUNT(names); i++) {
        char *text = reply_of(names[i]);
        assert_string_equal(text, expected);
        ae_free(text);
    }
    ae_free(expected);
    assert_false(has_blobs());
}

static void all_are_listed(void **state)
{
    static const char *const listed[][2] = { { "theirs:latest", "ollama" },
                                             { "hf.co/org/net:latest", "huggingface" },
                                             { "hf.co/org/net-GGUF:F16", "huggingface" },
                                             { "mine:latest", "plain" },
                                             { "team:v2", "plain" } };
    char *tags = ask("GET", "/api/tags", NULL, 200), *models = ask("GET", "/v1/models", NULL, 200);
    char shown[100], body[100];
    (void)state;
    for (size_t i = 0; i < AE_COUNT(listed); i++) {
        snprintf(shown, sizeof shown, "\"%s\"", listed[i][0]);
        if (!strstr(tags, shown)) fail_msg("%s: %s", shown, tags);
        if (!strstr(models, shown)) fail_msg("%s: %s", shown, models);
        snprintf(body, sizeof body, "{'model':'%s'}", listed[i][0]);
        json_t *r = ask_json("/api/show", body, 200);
        assert_string_equal(text_at(r, "where"), listed[i][1]);
        json_decref(r);
    }
    ae_free(tags);
    ae_free(models);
}

/* What is another program's is read alone; a name of ours for it needs no copy of its weights. */
static void nothing_of_others_is_changed(void **state)
{
    char *theirs = ae_path_join(ollama, "blobs");
    int before = scratch_count(theirs);
    (void)state;
    expect_text("/api/tags", NULL, 200, "theirs:latest");
    json_decref(ask_json("/v1/models/theirs", NULL, 200));
    char *text = ask("DELETE", "/api/delete", "{'model':'theirs'}", 400);
    assert_non_null(strstr(text, "read where it lies"));
    ae_free(text);
    ae_free(ask("DELETE", "/api/delete", "{'model':'hf.co/org/net'}", 400));
    ae_free(ask("POST", "/api/copy", "{'source':'theirs','destination':'ours'}", 200));
    text = reply_of("ours");
    ae_free(text);
    ae_free(ask("DELETE", "/api/delete", "{'model':'ours'}", 200));
    text = reply_of("theirs");
    ae_free(text);
    assert_int_equal(scratch_count(theirs), before);
    ae_free(theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_say_the_same),
        cmocka_unit_test(all_are_listed),
        cmocka_unit_test(nothing_of_others_is_changed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
