/* test_hub.c -- names lead to files of the store and the share, and nowhere else. */
#include "scratch.h"

#include "hub/hub.h"

typedef struct {
    char *root, *store, *share, *models;
} place;

static void touch(const char *folder, const char *name)
{
    char *path = ae_path_join(folder, name);

    assert_int_equal(ae_file_write(path, "x", 1, NULL), AERIE_OK);
    ae_free(path);
}

static void save(const place *p, const char *name)
{
    ae_bytes path = { 0 };

    assert_int_equal(ae_hub_store_path(&path, name, p->store, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(path.data, "x", 1, NULL), AERIE_OK);
    ae_bytes_free(&path);
}

static place make_place(void)
{
    place p = { .root = scratch_make() };

    p.store = ae_path_join(p.root, "store");
    p.share = ae_path_join(p.root, "share");
    p.models = ae_path_join(p.store, "models");
    assert_int_equal(ae_file_make_folder(p.share, NULL), AERIE_OK);
    touch(p.share, "nursery.gguf");
    touch(p.share, "nursery-zephyr.gguf");
    touch(p.share, "readme.txt");
    save(&p, "smollm2");
    save(&p, "zephyr:7b-beta-q4_K_M");
    save(&p, "hf.co/user/repo:Q4_K_M");
    return p;
}

static void leave_place(place *p)
{
    scratch_remove(p->root);
    ae_free(p->store);
    ae_free(p->share);
    ae_free(p->models);
}

static void names_lead_to_files(void **state)
{
    static const struct {
        const char *name, *ending;
    } cases[] = {
        { "smollm2", "/store/models/smollm2/latest.gguf" },
        { "smollm2:latest", "/store/models/smollm2/latest.gguf" },
        { "zephyr:7b-beta-q4_K_M", "/store/models/zephyr/7b-beta-q4_K_M.gguf" },
        { "hf.co/user/repo:Q4_K_M", "/store/models/hf.co/user/repo/Q4_K_M.gguf" },
        { "nursery", "/share/nursery.gguf" },
        { "nursery:base", "/share/nursery.gguf" },
        { "nursery:zephyr", "/share/nursery-zephyr.gguf" },
    };
    place p = make_place();
    ae_bytes path = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        if (ae_hub_resolve(&path, cases[i].name, p.store, p.share, &err))
            fail_msg("%s: %s", cases[i].name, err.message);
        assert_string_equal(path.data + strlen(p.root), cases[i].ending);
    }
    save(&p, "nursery");
    assert_int_equal(ae_hub_resolve(&path, "nursery", p.store, p.share, NULL), AERIE_OK);
    assert_string_equal(path.data + strlen(p.root), "/store/models/nursery/latest.gguf");
    assert_int_equal(ae_hub_resolve(&path, "nursery", NULL, p.share, NULL), AERIE_OK);
    assert_int_equal(ae_hub_resolve(&path, "smollm2", NULL, NULL, NULL), AERIE_NOT_FOUND);
    ae_bytes_free(&path);
    leave_place(&p);
}

/* A file or a model's folder is itself; a folder that only bears the name of a model is not. */
static void paths_are_themselves(void **state)
{
    place p = make_place();
    char *file = ae_path_join(p.root, "my model.gguf"), *folder = ae_path_join(p.root, "hf");
    char *before = getcwd(NULL, 0);
    ae_bytes path = { 0 };

    (void)state;
    touch(p.root, "my model.gguf");
    assert_int_equal(ae_file_make_folder(folder, NULL), AERIE_OK);
    assert_int_equal(ae_hub_resolve(&path, file, p.store, p.share, NULL), AERIE_OK);
    assert_string_equal(path.data, file);
    assert_int_equal(ae_hub_resolve(&path, folder, p.store, p.share, NULL), AERIE_OK);
    assert_string_equal(path.data, folder);

    assert_int_equal(chdir(p.root), 0);
    assert_int_equal(ae_file_make_folder("nursery", NULL), AERIE_OK);
    touch(p.root, "smollm2");
    assert_int_equal(ae_hub_resolve(&path, "nursery", p.store, p.share, NULL), AERIE_OK);
    assert_non_null(strstr(path.data, "/share/nursery.gguf"));
    assert_int_equal(ae_hub_resolve(&path, "smollm2", p.store, p.share, NULL), AERIE_OK);
    assert_non_null(strstr(path.data, "/store/"));
    touch("nursery", "config.json");
    assert_int_equal(ae_hub_resolve(&path, "nursery", p.store, p.share, NULL), AERIE_OK);
    assert_string_equal(path.data, "nursery");
    assert_int_equal(chdir(before), 0);
    free(before);
    ae_bytes_free(&path);
    ae_free(file);
    ae_free(folder);
    leave_place(&p);
}

static void what_is_missing_is_said_with_what_there_is(void **state)
{
    static const struct {
        const char *model, *sentence;
    } cases[] = {
        { "smolm2", "did you mean 'smollm2'?" },
        { "zephyr:7b-beta-q4-K-M", "did you mean 'zephyr:7b-beta-q4_K_M'?" },
        { "something-else", "hf.co/user/repo:Q4_K_M, nursery, nursery:zephyr, smollm2" },
        { "./missing.gguf", "./missing.gguf: there is no such file" },
        { "../etc/passwd:x", "no such file" },
        { "", "no such file" },
    };
    place p = make_place();
    ae_bytes path = { 0 };
    aerie_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        err = (aerie_error){ 0 };
        assert_int_equal(ae_hub_resolve(&path, cases[i].model, p.store, p.share, &err),
                         AERIE_NOT_FOUND);
        if (!strstr(err.message, cases[i].sentence))
            fail_msg("%s: %s", cases[i].model, err.message);
    }
    err = (aerie_error){ 0 };
    assert_int_equal(ae_hub_resolve(&path, "x", "/nowhere", NULL, &err), AERIE_NOT_FOUND);
    assert_non_null(strstr(err.message, "empty"));
    ae_bytes_free(&path);
    leave_place(&p);
}

/* Names are made of harmless parts: none leads out of the store. */
static void no_name_leads_out_of_the_store(void **state)
{
    static const char *const wrong[] = { "",      "..",     ".",       "../x", "a/../b", "/a",
                                         "a/",    "a//b",   ".hidden", "a/.b", "a:",     ":a",
                                         "a:b/c", "a:../x", "a b",     "a\nb", "a:b:c",  "\xc3\xa9",
                                         "a\\b",  "~",      "a:.x",    "a*" };
    static const char *const right[] = { "a", "a:b", "A.b-c_d/e:1.0", "hf.co/u/r:Q4_K_M", "0" };
    place p = make_place();
    ae_bytes path = { 0 };
    char longer[300];

    (void)state;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_false(ae_hub_is_name(longer));
    for (size_t i = 0; i < AE_COUNT(wrong); i++) {
        if (ae_hub_is_name(wrong[i])) fail_msg("'%s' is taken for a name", wrong[i]);
        assert_int_equal(ae_hub_store_path(&path, wrong[i], p.store, NULL), AERIE_BAD_ARGUMENT);
    }
    for (size_t i = 0; i < AE_COUNT(right); i++) {
        assert_true(ae_hub_is_name(right[i]));
        assert_int_equal(ae_hub_store_path(&path, right[i], p.store, NULL), AERIE_OK);
        assert_memory_equal(path.data, p.models, strlen(p.models));
    }
    assert_int_equal(ae_hub_store_path(&path, "a", NULL, NULL), AERIE_BAD_ARGUMENT);
    ae_bytes_free(&path);
    leave_place(&p);
}

static void names_are_listed_once_and_sorted(void **state)
{
    static const char *const expected[] = { "hf.co/user/repo:Q4_K_M", "nursery", "nursery:zephyr",
                                            "smollm2", "zephyr:7b-beta-q4_K_M" };
    place p = make_place();
    ae_arena arena = { 0 };
    const char *const *names;
    size_t n;

    (void)state;
    save(&p, "nursery");
    touch(p.models, "loose.gguf");
    assert_int_equal(ae_hub_list(&names, &n, &arena, p.store, p.share, NULL), AERIE_OK);
    assert_int_equal(n, AE_COUNT(expected));
    for (size_t i = 0; i < n; i++) assert_string_equal(names[i], expected[i]);
    assert_int_equal(ae_hub_list(&names, &n, &arena, NULL, NULL, NULL), AERIE_OK);
    assert_int_equal(n, 0);
    ae_arena_free(&arena);
    leave_place(&p);
}

static void out_of_memory_is_survived(void **state)
{
    place p = make_place();
    size_t before = ae_alloc_bytes();
    bool failed = true;

    (void)state;
    for (long n = 1; failed; n++) {
        ae_bytes path = { 0 };
        ae_alloc_fail_at(n);
        ae_hub_resolve(&path, "smolm2", p.store, p.share, NULL);
        ae_hub_store_path(&path, "new", p.store, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        ae_bytes_free(&path);
        assert_int_equal(ae_alloc_bytes(), before);
        assert_true(n < 500);
    }
    leave_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_to_files),
        cmocka_unit_test(paths_are_themselves),
        cmocka_unit_test(what_is_missing_is_said_with_what_there_is),
        cmocka_unit_test(no_name_leads_out_of_the_store),
        cmocka_unit_test(names_are_listed_once_and_sorted),
        cmocka_unit_test(out_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
