/* test_recipe.c -- recipes: every slip gets a sentence that says where and what to do. */
#include "train/train.h"

#include "scratch.h"

#include <dirent.h>
#include <math.h>

static char *folder, *path;

static aerie_status load(ae_recipe *r, const char *text, const char *const *settings, size_t n,
                         aerie_error *err)
{
    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    return ae_recipe_load(r, path, settings, n, err);
}

static const char good[] = "# a comment\n"
                           "method: dpo\n"
                           "model: base.gguf\n"
                           "data:\n"
                           "  - pairs.jsonl\n"
                           "  - {path: more.jsonl, fraction: 0.5, columns: {prompt: question}}\n"
                           "output: out.gguf\n"
                           "learning_rate: 5.0e-7\n"
                           "beta: 0.01\n"
                           "lora: {r: 16, alpha: 32, target_modules: [q_proj, v_proj]}\n"
                           "eval_data: held_out.jsonl\n"
                           "warmup_ratio: null\n";

static void test_a_recipe_is_read(void **state)
{
    ae_recipe r;
    aerie_error err = { 0 };

    (void)state;
    if (load(&r, good, NULL, 0, &err)) fail_msg("%s", err.message);
    assert_int_equal(r.method, AE_METHOD_DPO);
    assert_string_equal(r.model, "base.gguf");
    assert_int_equal(r.data.n, 2);
    assert_string_equal(r.data.items[0].path, "pairs.jsonl");
    assert_true(r.data.items[0].fraction == 1 && r.data.items[1].fraction == 0.5);
    assert_int_equal(r.data.items[1].n_columns, 1);
    assert_string_equal(r.data.items[1].columns[0].ours, "prompt");
    assert_string_equal(r.data.items[1].columns[0].theirs, "question");
    assert_true(r.learning_rate == 5e-7 && r.beta == 0.01);
    assert_int_equal(r.lora_r, 16);
    assert_int_equal(r.lora_targets.n, 2);
    assert_int_equal(r.eval_data.n, 1);
    assert_true(r.warmup_ratio == 0.1); /* null: the default */
    ae_recipe_free(&r);
}

static void test_settings_lie_over_the_file(void **state)
{
    const char *const settings[] = { "beta=0.2", "lora.target_modules=all-linear", "data=[a, b, c]",
                                     "output=odd: name, with [signs].gguf", "shuffle=false" };
    ae_recipe r;
    aerie_error err = { 0 };

    (void)state;
    if (load(&r, good, settings, AE_COUNT(settings), &err)) fail_msg("%s", err.message);
    assert_true(r.beta == 0.2 && !r.shuffle);
    assert_int_equal(r.data.n, 3);
    assert_string_equal(r.output, "odd: name, with [signs].gguf");
    assert_string_equal(r.lora_targets.items[0], "all-linear");
    ae_recipe_free(&r);
}

/* What the identity prints is what a checkpoint must agree with: not where files lie. */
static void test_identity_leaves_out_what_changes_no_number(void **state)
{
    const char *const elsewhere[] = { "output=other.gguf", "micro_batch_tokens=64", "threads=3" };
    const char *const other[] = { "beta=0.02" };
    ae_bytes text[3] = { { 0 } };
    ae_recipe r;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(load(&r, good, i == 1 ? elsewhere : other, i == 1 ? 3 : i == 2, NULL), 0);
        ae_recipe_print(&r, true, &text[i]);
        ae_recipe_free(&r);
    }
    assert_string_equal(text[0].data, text[1].data);
    assert_string_not_equal(text[0].data, text[2].data);
    for (int i = 0; i < 3; i++) ae_bytes_free(&text[i]);
}

/* What is printed is a recipe again, with the same values. */
static void test_printing_and_reading_agree(void **state)
{
    ae_bytes first = { 0 }, second = { 0 };
    ae_recipe r;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(
        load(&r, "method: sft\nmodel: m\ndata: d\noutput: o\nadam_epsilon: 1e-10\n", NULL, 0, NULL),
        AERIE_OK);
    ae_recipe_print(&r, false, &first);
    ae_recipe_free(&r);
    /* Dotted keys are for settings; in a file they are nested. */
    char *nested = strstr(first.data, "lora.r:");
    char *rest = strstr(nested, "recompute:");
    ae_bytes text = { 0 };
    ae_bytes_add(&text, first.data, (size_t)(nested - first.data));
    ae_bytes_add_text(&text, rest);
    if (load(&r, text.data, NULL, 0, &err)) fail_msg("%s", err.message);
    ae_recipe_print(&r, false, &second);
    ae_recipe_free(&r);
    assert_string_equal(first.data, second.data);
    ae_bytes_free(&first);
    ae_bytes_free(&second);
    ae_bytes_free(&text);
}

/* The line, the key, and the remedy are in the sentence. */
static void test_slips_get_a_sentence(void **state)
{
    static const struct {
        const char *text, *place, *words;
    } slips[] = {
        { "method: dpo\nlerning_rate: 1\n", "recipe.yaml:2:", "did you mean 'learning_rate'?" },
        { "method: dpq\n", "recipe.yaml:1:", "one of pretrain, sft, dpo" },
        { "model: m\nbeta: high\n", "recipe.yaml:2:", "'beta' is 'high'; it must be a number" },
        { "model: m\n\nseed: 1.5\n", "recipe.yaml:3:", "a whole number" },
        { "batch_size: 0\n", "recipe.yaml:1:", "from 1 to" },
        { "shuffle: yes please\n", "recipe.yaml:1:", "true or false" },
        { "lora: {rank: 3}\n", "recipe.yaml:1:", "lora.rank" },
        { "lora: 3\n", "recipe.yaml:1:", "{r: ...}" },
        { "expect: 3\n", "recipe.yaml:1:", "{first_loss: ...}" },
        { "expect: {frist_loss: 3}\n", "recipe.yaml:1:", "did you mean 'expect.first_loss'?" },
        { "model: m\nexpect: {margin: 3}\n", "recipe.yaml", "two numbers, from and to" },
        { "beta: 1\nbeta: 2\n", "recipe.yaml:2:", "given twice" },
        { "beta: [1, 2]\n", "recipe.yaml:1:", "a single value" },
        { "data: {pth: x}\n", "recipe.yaml:1:", "did you mean 'path'?" },
        { "data: [{fraction: 2, path: x}]\n", "recipe.yaml:1:", "from 0 to 1" },
        { "data: [{columns: {a: b}}]\n", "recipe.yaml:1:", "needs a 'path'" },
        { "model_name_or_path: x\n", "recipe.yaml:1:", "write it as 'model'" },
        { "per_device_train_batch_size: 4\n", "recipe.yaml:1:", "batch_size" },
        { "method: sft\ndata: x\noutput: y\n", "recipe.yaml", "'model' is missing" },
        { "model: m\noutput: y\n", "recipe.yaml", "'data' is missing" },
        { "model: m\ndata: x\n", "recipe.yaml", "'output' is missing" },
        { "model: m\ndata: x\noutput: y\nlora: {r: 2, target_modules: [qproj]}\n", "recipe.yaml",
          "did you mean 'q_proj'?" },
        { "model: m\ndata: x\noutput: y\nadapters: a\n", "recipe.yaml", "stay frozen" },
        { "method: dpo\nmodel: m\ndata: x\noutput: y\npacking: true\n", "recipe.yaml",
          "cuts through" },
        { "method: sft\nmodel: m\nbeta: 0.1\n", "recipe.yaml",
          "'beta' means nothing to 'method: sft'; it is for dpo" },
        { "method: dpo\nmodel: m\nloss_type: [sigmoid, sfd]\n",
          "recipe.yaml:3:", "one of sigmoid" },
        { "method: dpo\nmodel: m\nloss_type: []\n", "recipe.yaml:3:", "empty list" },
        { "method: dpo\nmodel: m\nloss_type: [sigmoid, sft]\nloss_weights: [1]\n", "recipe.yaml",
          "1 numbers for the 2 losses" },
        { "method: dpo\nmodel: m\nloss_type: sft\n", "recipe.yaml", "prefers nothing" },
        { "method: cpo\nmodel: m\nloss_type: aot\n", "recipe.yaml", "not for 'method: cpo'" },
        { "method: crlft\nmodel: m\nclass_weights: 3\n", "recipe.yaml:3:", "a mapping, as in" },
        { "method: crlft\nmodel: m\nclass_weights: {a: much}\n", "recipe.yaml", "'a: much'" },
        { "method: crlft\nmodel: m\nclass_weights: {a: [1]}\n", "recipe.yaml:3:", "single values" },
        { "method: crlft\nmodel: m\nclass_weights: {a: 1}\nclass_prefixes: {b: B}\n", "recipe.yaml",
          "which 'class_weights' has not" },
        { "method: crlft\nmodel: m\npacking: true\n", "recipe.yaml", "learns every token alike" },
        { "method: kto\nmodel: m\nloss_type: sigmoid\n", "recipe.yaml", "it is for dpo, cpo" },
        { "method: simpo\nmodel: m\ngamma: many\n", "recipe.yaml:3:", "a number from 0" },
        { "method: dpo\nmodel: m\ntrain_on: all\n", "recipe.yaml", "it is for sft" },
        { "model: m\nlearning_rate: 1e-5\nauto_learning_rate: 1e-4\n", "recipe.yaml",
          "both given" },
        { "method: dpo\nmodel: m\nauto_learning_rate: 1e-4\n", "recipe.yaml",
          "counts learned tokens" },
        { "method: dpo\nmodel: m\nloss_type: aot\nf_divergence_type: forward_kl\n", "recipe.yaml",
          "leave out 'f_divergence_type'" },
        { "model_config: m\ndata: x\noutput: y\n", "recipe.yaml", "method: pretrain" },
        { "a: [1, 2\nb: 3\n", "recipe.yaml:", "not YAML" },
        { "- a\n- b\n", "recipe.yaml", "a mapping of keys to values" },
        { "", "recipe.yaml", "a mapping of keys to values" },
        { "? [1]\n: 2\n", "recipe.yaml:1:", "a key must be a word" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(slips); i++) {
        ae_recipe r;
        aerie_error err = { 0 };
        assert_int_not_equal(load(&r, slips[i].text, NULL, 0, &err), AERIE_OK);
        if (!strstr(err.message, slips[i].place) || !strstr(err.message, slips[i].words))
            fail_msg("'%s': '%s', wanted '%s ... %s'", slips[i].text, err.message, slips[i].place,
                     slips[i].words);
    }
}

static void test_settings_slip_too(void **state)
{
    static const char *const slips[][2] = {
        { "bta=1", "did you mean 'beta'?" },
        { "beta", "key=value" },
        { "beta=x", "a number" },
        { "data=", "needs a value" },
        { "lora={r: 1}", "unknown key 'lora'" },
    };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(slips); i++) {
        ae_recipe r;
        aerie_error err = { 0 };
        assert_int_not_equal(load(&r, good, &slips[i][0], 1, &err), AERIE_OK);
        if (!strstr(err.message, slips[i][1]) || !strstr(err.message, slips[i][0]))
            fail_msg("'%s': %s", slips[i][0], err.message);
    }
}

/* The n-th allocation fails, for every n: a sentence, nothing leaked, and at last success. */
static void test_out_of_memory(void **state)
{
    ae_recipe r;
    aerie_status status;
    size_t before = ae_alloc_bytes();

    (void)state;
    assert_int_equal(ae_file_write(path, good, strlen(good), NULL), AERIE_OK);
    for (long n = 1;; n++) {
        aerie_error err = { 0 };
        ae_alloc_fail_at(n);
        status = ae_recipe_load(&r, path, NULL, 0, &err);
        ae_alloc_fail_at(0);
        if (status == AERIE_OK) break;
        assert_int_equal(status, AERIE_NO_MEMORY);
        assert_string_not_equal(err.message, "");
        assert_int_equal(ae_alloc_bytes(), before);
        assert_true(n < 1000);
    }
    ae_recipe_free(&r);
}

static bool is_recipe(const char *name)
{
    size_t n = strlen(name);

    /* Pipelines lie beside them. */
    return n > 5 && strcmp(name + n - 5, ".yaml") == 0 && strncmp(name, "align", 5) != 0;
}

/* How many recipes a folder has, each of which is one. */
static int read_folder(const char *name)
{
    DIR *dir = opendir(name);
    const struct dirent *entry;
    int n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char *file = ae_path_join(name, entry->d_name);
        aerie_error err = { 0 };
        ae_recipe r;
        if (is_recipe(entry->d_name)) {
            if (ae_recipe_load(&r, file, NULL, 0, &err)) fail_msg("%s", err.message);
            ae_recipe_free(&r);
            n++;
        }
        ae_free(file);
    }
    closedir(dir);
    return n;
}

/* The recipes that come with the program are recipes. */
static void test_shipped_recipes_are_read(void **state)
{
    (void)state;
    assert_true(read_folder("recipes/nursery") >= 4);
    assert_int_equal(read_folder("recipes/zephyr-7b-beta"), 4);
    assert_int_equal(read_folder("recipes/starling-lm-7b-alpha"), 3);
    assert_int_equal(read_folder("recipes/smollm2"), 8);
}

/* docs/recipes.md has a row for every key, as the table has it. */
static void test_every_key_is_documented(void **state)
{
    ae_bytes text = { 0 }, row = { 0 };
    aerie_recipe_key key;

    (void)state;
    assert_int_equal(ae_file_read(&text, "docs/recipes.md", 0, NULL), AERIE_OK);
    for (size_t i = 0; aerie_recipe_key_at(i, &key); i++) {
        ae_bytes_clear(&row);
        ae_bytes_printf(&row, "| `%s` | %s | %s | %s", key.name, key.kind, key.default_text,
                        key.doc);
        for (int k = 0; key.word && key.word(k); k++)
            ae_bytes_printf(&row, "%s%s", k ? ", " : ": ", key.word(k));
        ae_bytes_add_text(&row, " |\n");
        if (!strstr(text.data, row.data)) fail_msg("docs/recipes.md lacks %s", row.data);
    }
    ae_bytes_free(&row);
    ae_bytes_free(&text);
}

static int setup(void **state)
{
    (void)state;
    folder = scratch_make();
    path = ae_path_join(folder, "recipe.yaml");
    return path ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ae_free(path);
    scratch_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_recipe_is_read),
        cmocka_unit_test(test_settings_lie_over_the_file),
        cmocka_unit_test(test_identity_leaves_out_what_changes_no_number),
        cmocka_unit_test(test_printing_and_reading_agree),
        cmocka_unit_test(test_slips_get_a_sentence),
        cmocka_unit_test(test_settings_slip_too),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_shipped_recipes_are_read),
        cmocka_unit_test(test_every_key_is_documented),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
