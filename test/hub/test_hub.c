/* test_hub.c -- names lead to the models of every place, and nowhere else. */
#include "place.h"

static place make_place(void)
{
    place p = place_make();

    put_model(&p.places, "smollm2", "smol", "s");
    put_model(&p.places, "Team/Zephyr:7b-beta-q4_K_M", "zephyr", "s");
    put_file(p.models, "plain/v2.gguf", "x");
    put_file(p.models, "hf.co/user/repo/Q4_K_M.gguf", "x");
    put_ollama(&p, "llama3", "llama", "s");
    put_ollama(&p, "smollm2", "another", "s");
    put_file(p.hf, "models--org--net/refs/main", "abc123");
    put_file(p.hf, "models--org--net/snapshots/abc123/config.json", "{}");
    put_file(p.hf, "models--org--net/snapshots/abc123/model.safetensors", "x");
    put_file(p.hf, "models--org--net/snapshots/older/config.json", "{}");
    put_file(p.hf, "models--org--net-GGUF/snapshots/1/net-Q4_K_M.gguf", "x");
    put_file(p.hf, "models--org--net-GGUF/snapshots/1/net-Q8_0.gguf", "x");
    put_file(p.hf, "models--org--net-GGUF/snapshots/1/net-Q6_K-00001-of-00002.gguf", "x");
    put_file(p.hf, "models--org--net-GGUF/snapshots/1/net-Q6_K-00002-of-00002.gguf", "x");
    put_file(p.hf, "models--org--net-GGUF/snapshots/1/mmproj-net-F16.gguf", "x");
    return p;
}

static void names_lead_to_files(void **state)
{
    static const struct {
        const char *name, *ending, *shown;
        ae_where where;
    } cases[] = {
        { "smollm2", NULL, "smollm2:latest", AE_WHERE_STORE },
        { "SmolLM2:Latest", NULL, "smollm2:latest", AE_WHERE_STORE },
        { "registry.ollama.ai/library/smollm2:latest", NULL, "smollm2:latest", AE_WHERE_STORE },
        { "team/zephyr:7B-beta-q4_k_m", NULL, "Team/Zephyr:7b-beta-q4_K_M", AE_WHERE_STORE },
        { "llama3", NULL, "llama3:latest", AE_WHERE_OLLAMA },
        { "plain:v2", "/store/plain/v2.gguf", "plain:v2", AE_WHERE_PLAIN },
        { "hf.co/user/repo:Q4_K_M", "/store/hf.co/user/repo/Q4_K_M.gguf", "hf.co/user/repo:Q4_K_M",
          AE_WHERE_PLAIN },
        { "nursery", "/share/nursery.gguf", "nursery", AE_WHERE_SHARE },
        { "nursery:base", "/share/nursery.gguf", "nursery:base", AE_WHERE_SHARE },
        { "nursery:zephyr", "/share/nursery-zephyr.gguf", "nursery:zephyr", AE_WHERE_SHARE },
        { "hf.co/org/net", "/hf/models--org--net/snapshots/abc123", "hf.co/org/net", AE_WHERE_HF },
        { "org/net", "/hf/models--org--net/snapshots/abc123", "org/net", AE_WHERE_HF },
        { "hf.co/org/net-GGUF:q8_0", "/hf/models--org--net-GGUF/snapshots/1/net-Q8_0.gguf",
          "hf.co/org/net-GGUF:q8_0", AE_WHERE_HF },
        { "hf.co/org/net-GGUF:Q6_K",
          "/hf/models--org--net-GGUF/snapshots/1/net-Q6_K-00001-of-00002.gguf",
          "hf.co/org/net-GGUF:Q6_K", AE_WHERE_HF },
        { "huggingface.co/org/net-GGUF", "/hf/models--org--net-GGUF/snapshots/1/net-Q4_K_M.gguf",
          "huggingface.co/org/net-GGUF", AE_WHERE_HF },
    };
    place p = make_place();

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        ae_arena arena = { 0 };
        aerie_error err = { 0 };
        ae_hub_entry e;
        if (ae_hub_open(&e, &arena, cases[i].name, &p.places, true, &err))
            fail_msg("%s: %s", cases[i].name, err.message);
        assert_string_equal(e.name, cases[i].shown);
        assert_int_equal(e.where, cases[i].where);
        assert_int_equal(e.manifest != NULL, cases[i].ending == NULL);
        if (cases[i].ending)
            assert_string_equal(e.path + strlen(p.root), cases[i].ending);
        else
            assert_non_null(strstr(e.path, "/blobs/sha256-"));
        ae_arena_free(&arena);
    }
    place_leave(&p);
}

static const char *path_of(const char *word, const place *p, bool names_only, ae_arena *arena)
{
    ae_hub_entry e;

    return ae_hub_open(&e, arena, word, &p->places, names_only, NULL) ? "" : e.path;
}

/* A file or a model's folder is itself, unless only names count; a folder that only bears the name
 * of a model is not. */
static void paths_are_themselves(void **state)
{
    place p = make_place();
    char *file = ae_path_join(p.root, "my model.gguf"), *folder = ae_path_join(p.root, "hf-net");
    char *before = getcwd(NULL, 0);
    ae_arena arena = { 0 };

    (void)state;
    put_file(p.root, "my model.gguf", "x");
    assert_int_equal(ae_file_make_folder(folder, NULL), AERIE_OK);
    assert_string_equal(path_of(file, &p, false, &arena), file);
    assert_string_equal(path_of(folder, &p, false, &arena), folder);
    assert_string_equal(path_of(file, &p, true, &arena), "");

    assert_int_equal(chdir(p.root), 0);
    assert_int_equal(ae_file_make_folder("nursery", NULL), AERIE_OK);
    put_file(p.root, "smollm2", "x");
    assert_non_null(strstr(path_of("nursery", &p, false, &arena), "/share/nursery.gguf"));
    assert_non_null(strstr(path_of("smollm2", &p, false, &arena), "/store/blobs/"));
    put_file(p.root, "nursery/config.json", "x");
    assert_string_equal(path_of("nursery", &p, false, &arena), "nursery");
    assert_non_null(strstr(path_of("nursery", &p, true, &arena), "/share/nursery.gguf"));
    assert_int_equal(chdir(before), 0);
    free(before);
    ae_free(file);
    ae_free(folder);
    ae_arena_free(&arena);
    place_leave(&p);
}

static void what_is_missing_is_said_with_what_there_is(void **state)
{
    static const struct {
        const char *model, *sentence;
    } cases[] = {
        { "smolm2", "did you mean 'smollm2'?" },
        { "Team/Zephyr:7b-beta-q4-K-M", "did you mean 'Team/Zephyr:7b-beta-q4_K_M'?" },
        { "something-else",
          "hf.co/org/net-GGUF:Q8_0, hf.co/org/net, hf.co/user/repo:Q4_K_M, llama3" },
        { "./missing.gguf", "./missing.gguf: there is no such file" },
        { "../etc/passwd:x", "no such file" },
        { "", "no such file" },
    };
    static const ae_places nowhere = { .models = "/nowhere" };
    place p = make_place();
    ae_arena arena = { 0 };
    ae_hub_entry e;
    aerie_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        err = (aerie_error){ 0 };
        assert_int_equal(ae_hub_open(&e, &arena, cases[i].model, &p.places, false, &err),
                         AERIE_NOT_FOUND);
        if (!strstr(err.message, cases[i].sentence))
            fail_msg("%s: %s", cases[i].model, err.message);
    }
    err = (aerie_error){ 0 };
    assert_int_equal(ae_hub_open(&e, &arena, "x", &nowhere, false, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "empty"));
    ae_arena_free(&arena);
    place_leave(&p);
}

/* Names are made of harmless parts: none leads out of the store. */
static void no_name_leads_out_of_the_store(void **state)
{
    static const char *const wrong[] = {
        "",       "..",      ".",    "../x",     "a/../b", "/a",        "a/",
        "a//b",   "a/.b",    "a:",   ":a",       "a:b/c",  "a:../x",    "a b",
        "a\nb",   "a:b:c",   "a\\b", "~",        "a:.x",   "a*",        "a/b/c/d",
        "-a",     "a/-b",    "a:-b", ".hid",     "x.y/m",  "h/n/.",     "h/./m",
        "../n/m", "http://", "h:/x", "\xc3\xa9", "h/n/m:", "a/b:c/d:e", "file:///etc/passwd",
    };
    static const struct {
        const char *text, *full, *shortest;
    } right[] = {
        { "a", "registry.ollama.ai/library/a:latest", "a:latest" },
        { "a:b", "registry.ollama.ai/library/a:b", "a:b" },
        { "_u/A.b-c:1.0", "registry.ollama.ai/_u/A.b-c:1.0", "_u/A.b-c:1.0" },
        { "hf.co/u/r:Q4_K_M", "hf.co/u/r:Q4_K_M", "hf.co/u/r:Q4_K_M" },
        { "localhost:5000/u/r", "localhost:5000/u/r:latest", "localhost:5000/u/r:latest" },
        { "http://localhost:5000/u/r:x", "localhost:5000/u/r:x", "localhost:5000/u/r:x" },
        { "REGISTRY.ollama.ai/Library/a", "REGISTRY.ollama.ai/Library/a:latest", "a:latest" },
    };
    char longer[300], text[AE_NAME_TEXT];
    ae_name name;

    (void)state;
    memset(longer, 'a', sizeof longer);
    longer[81] = '\0';
    assert_false(ae_name_parse(&name, longer));
    longer[80] = '\0';
    assert_true(ae_name_parse(&name, longer));
    for (size_t i = 0; i < AE_COUNT(wrong); i++)
        if (ae_name_parse(&name, wrong[i])) fail_msg("'%s' is taken for a name", wrong[i]);
    for (size_t i = 0; i < AE_COUNT(right); i++) {
        if (!ae_name_parse(&name, right[i].text)) fail_msg("'%s' is no name", right[i].text);
        ae_name_full(&name, text);
        assert_string_equal(text, right[i].full);
        ae_name_short(&name, text);
        assert_string_equal(text, right[i].shortest);
        assert_int_equal(name.plain_http, !strncmp(right[i].text, "http:", 5));
    }
}

/* A file of the store's folder is a model, and a folder's latest one goes before it. */
static void a_folder_of_files_is_a_store(void **state)
{
    place p = make_place();
    ae_arena arena = { 0 };

    (void)state;
    put_file(p.models, "Net-7B.Q4_0.gguf", "x");
    put_file(p.models, "both.gguf", "x");
    put_file(p.models, "both/latest.gguf", "x");
    assert_non_null(strstr(path_of("Net-7B.Q4_0", &p, true, &arena), "/store/Net-7B.Q4_0.gguf"));
    assert_non_null(
        strstr(path_of("Net-7B.Q4_0:latest", &p, true, &arena), "/store/Net-7B.Q4_0.gguf"));
    assert_string_equal(path_of("Net-7B.Q4_0:v1", &p, true, &arena), "");
    assert_string_equal(path_of("../store/both", &p, true, &arena), "");
    assert_non_null(strstr(path_of("both", &p, true, &arena), "/store/both/latest.gguf"));
    assert_int_equal(ae_hub_remove("both", &p.places, NULL), AERIE_OK);
    assert_non_null(strstr(path_of("both", &p, true, &arena), "/store/both.gguf"));
    assert_int_equal(ae_hub_remove("both", &p.places, NULL), AERIE_OK);
    assert_string_equal(path_of("both", &p, true, &arena), "");
    ae_arena_free(&arena);
    place_leave(&p);
}

static void names_are_listed_once_and_sorted(void **state)
{
    static const struct {
        const char *name;
        ae_where where;
    } expected[] = {
        { "Team/Zephyr:7b-beta-q4_K_M", AE_WHERE_STORE },
        { "hf.co/org/net-GGUF:Q4_K_M", AE_WHERE_HF },
        { "hf.co/org/net-GGUF:Q6_K", AE_WHERE_HF },
        { "hf.co/org/net-GGUF:Q8_0", AE_WHERE_HF },
        { "hf.co/org/net:latest", AE_WHERE_HF },
        { "hf.co/user/repo:Q4_K_M", AE_WHERE_PLAIN },
        { "llama3:latest", AE_WHERE_OLLAMA },
        { "loose-00001-of-00002:latest", AE_WHERE_PLAIN },
        { "loose:latest", AE_WHERE_PLAIN },
        { "nursery:latest", AE_WHERE_SHARE },
        { "nursery:zephyr", AE_WHERE_SHARE },
        { "plain:v2", AE_WHERE_PLAIN },
        { "smollm2:latest", AE_WHERE_STORE },
    };
    static const ae_places none = { 0 };
    place p = make_place();
    ae_arena arena = { 0 };
    const ae_hub_entry *entries;
    size_t n;

    (void)state;
    put_file(p.models, "loose.gguf", "x");
    put_file(p.models, "loose-00001-of-00002.gguf", "x");
    put_file(p.models, "loose-00002-of-00002.gguf", "x");
    put_file(p.models, "blobs/x.gguf", "x");
    put_file(p.models, "manifests/stray", "x");
    put_file(p.models, "manifests/registry.ollama.ai/library/smollm2/.hidden", "x");
    assert_int_equal(ae_hub_list(&entries, &n, &arena, &p.places, NULL), AERIE_OK);
    for (size_t i = 0; i < n && i < AE_COUNT(expected); i++) {
        assert_string_equal(entries[i].name, expected[i].name);
        assert_int_equal(entries[i].where, expected[i].where);
    }
    assert_int_equal(n, AE_COUNT(expected));
    assert_int_equal(ae_hub_list(&entries, &n, &arena, &none, NULL), AERIE_OK);
    assert_int_equal(n, 0);
    ae_arena_free(&arena);
    place_leave(&p);
}

static void out_of_memory_is_survived(void **state)
{
    place p = make_place();
    size_t before = ae_alloc_bytes();
    bool failed = true;

    (void)state;
    for (long n = 1; failed; n++) {
        ae_arena arena = { 0 };
        ae_hub_entry e;
        ae_alloc_fail_at(n);
        ae_hub_open(&e, &arena, "smollm2", &p.places, true, NULL);
        ae_hub_open(&e, &arena, "hf.co/org/net-GGUF", &p.places, true, NULL);
        ae_hub_open(&e, &arena, "smolm2", &p.places, true, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        ae_arena_free(&arena);
        assert_int_equal(ae_alloc_bytes(), before);
        assert_true(n < 2000);
    }
    place_leave(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_to_files),
        cmocka_unit_test(paths_are_themselves),
        cmocka_unit_test(what_is_missing_is_said_with_what_there_is),
        cmocka_unit_test(no_name_leads_out_of_the_store),
        cmocka_unit_test(a_folder_of_files_is_a_store),
        cmocka_unit_test(names_are_listed_once_and_sorted),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
