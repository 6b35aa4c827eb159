/* test_blame.c -- a loss that is not finite, of every method: the step and the tensor are named,
 * and the last good checkpoint is left. */
#include "tiny.h"

#include "format/format.h"

#include <math.h>

enum { POISON = TINY_VOCAB - 1, BATCH = 5, BAD = 2 * BATCH + 1 };

static tiny t;
static ae_samples chats, pairs, halves, replies, rankings, prompts;
static char *whole_model;

/* The samples of `from` without the token POISON, but for one. */
static void copy_samples(ae_samples *to, const ae_samples *from, ae_example_kind kind, size_t bad)
{
    to->items = ae_arena_take(&to->arena, from->n, sizeof *to->items);
    to->n = from->n;
    for (size_t i = 0; i < from->n; i++) {
        ae_sample *s = &to->items[i];
        *s = from->items[i];
        s->kind = kind;
        s->ids = ae_arena_take(&to->arena, (size_t)s->n, sizeof *s->ids);
        for (int32_t k = 0; k < s->n; k++)
            s->ids[k] = from->items[i].ids[k] == POISON ? 0 : from->items[i].ids[k];
        if (i == bad) s->ids[0] = POISON;
    }
}

static void make_sets(void)
{
    copy_samples(&chats, &t.samples, AE_EXAMPLE_CHAT, BAD);
    copy_samples(&pairs, &t.pairs, AE_EXAMPLE_PAIR, BAD);
    copy_samples(&rankings, &t.pairs, AE_EXAMPLE_RANKED, BAD);
    copy_samples(&prompts, &t.pairs, AE_EXAMPLE_CHAT, BAD);
    for (size_t i = 0; i < rankings.n; i++) {
        ae_sample *s = &rankings.items[i];
        s->n_replies = 2;
        s->reply_n = ae_arena_take(&rankings.arena, 2, sizeof *s->reply_n);
        s->rank = ae_arena_take(&rankings.arena, 2, sizeof *s->rank);
        s->reply_n[0] = s->n_chosen;
        s->reply_n[1] = s->n_rejected;
        s->rank[1] = 1;
        prompts.items[i].n = s->n_prompt;
    }
    copy_samples(&halves, &t.pairs, AE_EXAMPLE_PAIR, BAD / 2); /* two replies each */
    replies = (ae_samples){ .items = halves.items, .n = halves.n };
    assert_int_equal(ae_samples_unpair(&replies, true, 0, NULL), AERIE_OK);
}

/* The model with a row of the embedding that is no number: the file's own bytes, changed. */
static void poison_model(void)
{
    ae_bytes bytes = { 0 };
    ae_gguf *g;
    float *row;

    assert_int_equal(ae_file_read(&bytes, t.model_path, 0, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open_memory(&g, bytes.data, bytes.len, "base", NULL), AERIE_OK);
    const ae_stored_tensor *e = ae_tensor_list_find(ae_gguf_tensors(g), "token_embd.weight");
    assert_non_null(e);
    row = (float *)(void *)(bytes.data + ((const char *)e->data - bytes.data)) + POISON * e->cols;
    for (int64_t k = 0; k < e->cols; k++) row[k] = NAN;
    whole_model = t.model_path;
    t.model_path = tiny_path(&t, "poisoned.gguf", "");
    assert_int_equal(ae_file_write(t.model_path, bytes.data, bytes.len, NULL), AERIE_OK);
    ae_gguf_close(g);
    ae_bytes_free(&bytes);
}

static aerie_status some_score(void *user, const char *command, const aerie_reward_item *items,
                               size_t n, double *scores, aerie_error *err)
{
    (void)user, (void)command, (void)err;
    for (size_t i = 0; i < n; i++) scores[i] = (double)(items[i].ids[0] % 3);
    return AERIE_OK;
}

static const ae_samples *data_of(const char *method)
{
    static const char *const of_prompts[] = { "ppo", "apa", "awr", "grpo", "rloo" };

    for (size_t i = 0; i < AE_COUNT(of_prompts); i++)
        if (strcmp(method, of_prompts[i]) == 0) return &prompts;
    if (strcmp(method, "reward") == 0) return &rankings;
    if (strcmp(method, "kto") == 0 || strcmp(method, "bco") == 0) return &replies;
    return tiny_data(&t, method) == &t.pairs ? &pairs : &chats;
}

static void check_method(const char *method, const char *lora)
{
    const ae_samples *data = data_of(method);
    bool samples = data == &prompts;
    tiny_run r = { .method = method,
                   .output = "bad.gguf",
                   .data = data,
                   .run = { .reward = some_score },
                   .settings = { lora, "shuffle=false", "max_steps=4", "save_steps=0",
                                 /* A token that is drawn last is never read. */
                                 samples ? "rollout.max_new_tokens=1" : "seed=7" },
                   .n = 5 };
    char *state = tiny_path(&t, "bad.gguf", ".checkpoint"), *output = tiny_path(&t, "bad.gguf", "");
    aerie_train_summary s;
    aerie_error err = { 0 };

    unlink(state);
    if (strcmp(lora, "lora.r=0") == 0) r.settings[3] = "save_steps=2";
    if (tiny_train(&t, &r, &s, &err) != AERIE_BAD_NUMBER)
        fail_msg("%s, %s: loss %g: '%s'", method, lora, s.last_loss, err.message);
    if (!strstr(err.message, "step 3: ") || !strstr(err.message, "'model.embed_tokens.weight'"))
        fail_msg("%s, %s: '%s'", method, lora, err.message);
    assert_false(ae_file_exists(output));
    if (!ae_file_exists(state)) fail_msg("%s, %s: no checkpoint is left", method, lora);
    /* It is of step 2, and sound: going on from it comes to the same end. */
    r.run.resume = true;
    err = (aerie_error){ 0 };
    assert_int_equal(tiny_train(&t, &r, &s, &err), AERIE_BAD_NUMBER);
    assert_int_equal(s.first_step, 2);
    if (!strstr(err.message, "step 3: ")) fail_msg("%s, %s: '%s'", method, lora, err.message);
    ae_free(state);
    ae_free(output);
}

static void test_every_method_names_the_tensor(void **state)
{
    static const char *const methods[] = { "pretrain", "sft", "crlft", "dpo",  "orpo",
                                           "simpo",    "cpo", "kto",   "bco",  "reward",
                                           "ppo",      "apa", "awr",   "grpo", "rloo" };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(methods); i++) {
        check_method(methods[i], "lora.r=2");
        check_method(methods[i], "lora.r=0");
    }
}

static void scale_up(ae_bytes *file, const ae_gguf *g, const char *name, float by)
{
    const ae_stored_tensor *w = ae_tensor_list_find(ae_gguf_tensors(g), name);
    float *values;

    assert_non_null(w);
    values = (float *)(void *)(file->data + ((const char *)w->data - file->data));
    for (int64_t k = 0; k < w->rows * w->cols; k++) values[k] *= by;
}

/* Where every weight is finite, the layer is named in which a number stops being so. */
static void test_a_layer_that_overflows_is_named(void **state)
{
    tiny_run r = { .method = "sft",
                   .output = "over.gguf",
                   .data = &chats,
                   .settings = { "max_steps=3", "shuffle=false", "lora.r=2" },
                   .n = 3 };
    aerie_train_summary s;
    aerie_error err = { 0 };
    ae_bytes bytes = { 0 };
    ae_gguf *g;
    char *poisoned = t.model_path;

    (void)state;
    assert_int_equal(ae_file_read(&bytes, whole_model, 0, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open_memory(&g, bytes.data, bytes.len, "base", NULL), AERIE_OK);
    scale_up(&bytes, g, "blk.1.ffn_up.weight", 1e10f);
    scale_up(&bytes, g, "blk.1.ffn_down.weight", 1e38f);
    t.model_path = tiny_path(&t, "over-base.gguf", "");
    assert_int_equal(ae_file_write(t.model_path, bytes.data, bytes.len, NULL), AERIE_OK);
    assert_int_equal(tiny_train(&t, &r, &s, &err), AERIE_BAD_NUMBER);
    if (!strstr(err.message, "output of layer 1 is not finite")) fail_msg("'%s'", err.message);
    ae_free(t.model_path);
    t.model_path = poisoned;
    ae_gguf_close(g);
    ae_bytes_free(&bytes);
}

static int set_up(void **state)
{
    (void)state;
    tiny_open(&t);
    make_sets();
    poison_model();
    return 0;
}

static int tear_down(void **state)
{
    ae_samples *sets[] = { &chats, &pairs, &halves, &replies, &rankings, &prompts };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(sets); i++) ae_arena_free(&sets[i]->arena);
    ae_free(whole_model);
    tiny_close(&t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_names_the_tensor),
        cmocka_unit_test(test_a_layer_that_overflows_is_named),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
