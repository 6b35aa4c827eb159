/* The head that scores: against transformers, through files and copies, over adapters. */
#include "support.h"

#include <jansson.h>
#include <math.h>

#define REWARD "test/golden/reward"

enum { MAX_ROW = 128, MAX_PARAMS = 64 };

/* A prompt and its replies, which branch from it, as one packed row. */
typedef struct {
    int32_t ids[MAX_ROW], pos[MAX_ROW], all[MAX_ROW];
    ae_segment segments[8];
    int64_t n, n_segments;
} row;

static void add(row *r, int64_t parent, const json_t *ids)
{
    const ae_segment *p = parent < 0 ? NULL : &r->segments[parent];
    int32_t pos = p ? r->pos[p->first + p->n - 1] + 1 : 0;
    int64_t n = (int64_t)json_array_size(ids);

    r->segments[r->n_segments++] = (ae_segment){ r->n, n, parent, -1 };
    for (int64_t i = 0; i < n; i++, r->n++) {
        r->ids[r->n] = (int32_t)json_integer_value(json_array_get(ids, (size_t)i));
        r->pos[r->n] = pos++;
        r->all[r->n] = (int32_t)r->n;
    }
}

static row row_of(const json_t *document)
{
    const json_t *replies = json_object_get(document, "replies"), *reply;
    row r = { .n = 0 };
    size_t i;

    add(&r, -1, json_object_get(document, "prompt"));
    json_array_foreach(replies, i, reply) add(&r, 0, reply);
    return r;
}

static ae_device *open_device(void)
{
    ae_device *device;

    assert_int_equal(ae_device_open(&device, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    return device;
}

/* Scores of every token of the row. */
static void scores_of(const ae_net *net, const row *r, float out[MAX_ROW])
{
    ae_arena arena = { 0 };
    ae_device *device = open_device();
    ae_ctx cx = { .device = device, .arena = &arena };
    const ae_batch batch = { r->n, r->ids, r->pos, r->segments, r->n_segments, NULL };
    ae_tensor *y = ae_net_scores(&cx, net, ae_net_hidden(&cx, net, &batch), r->all, r->n);

    if (!y) fail_msg("%s", cx.error.message);
    assert_int_equal(y->rows, r->n);
    assert_int_equal(y->cols, 1);
    memcpy(out, y->data, (size_t)r->n * sizeof *out);
    ae_arena_free(&arena);
    device->close(device);
}

static json_t *golden(void)
{
    json_t *facts = json_load_file(REWARD "/golden.json", 0, NULL);

    assert_non_null(facts);
    return facts;
}

static row first_row(void)
{
    json_t *facts = golden();
    row r = row_of(json_array_get(json_object_get(facts, "documents"), 0));

    json_decref(facts);
    return r;
}

/* The prompt is computed once; transformers computed it with every reply. */
static void as_transformers(void **state)
{
    json_t *facts = golden();
    ae_model *m = open_or_fail(REWARD);
    double worst = 0;
    (void)state;

    assert_true(ae_model_config(m)->score_head && ae_model_config(m)->no_language_head);
    for (size_t d = 0; d < 2; d++) {
        row r = row_of(json_array_get(json_object_get(facts, "documents"), d));
        const json_t *want = json_array_get(json_object_get(facts, "scores"), d);
        float got[MAX_ROW];
        scores_of(ae_model_net(m), &r, got);
        for (int64_t k = 1; k < r.n_segments; k++)
            for (int64_t i = 0; i < r.segments[0].n + r.segments[k].n; i++) {
                int64_t at = i < r.segments[0].n ? i : r.segments[k].first + i - r.segments[0].n;
                const json_t *list = json_array_get(want, (size_t)k - 1);
                double value = json_number_value(json_array_get(list, (size_t)i));
                worst = fmax(worst, fabs((double)got[at] - value));
            }
    }
    print_message("scores: %.1e apart\n", worst);
    assert_true(worst < 2e-6);
    ae_model_close(m);
    json_decref(facts);
}

static void assert_scores(const ae_net *net, const row *r, const float *want)
{
    float got[MAX_ROW];

    scores_of(net, r, got);
    assert_memory_equal(got, want, (size_t)r->n * sizeof *got);
}

/* GGUF (where q and k lie in another order) and folders keep the function, and that there is no
 * other head. */
static void through_files(void **state)
{
    char *scratch = scratch_make(), *gguf = join(scratch, "r.gguf"), *hf = join(scratch, "hf");
    ae_model *m = open_or_fail(REWARD), *copy;
    row r = first_row();
    float want[MAX_ROW], got[MAX_ROW];
    char hash[65], again[65];
    (void)state;

    scores_of(ae_model_net(m), &r, want);
    assert_int_equal(ae_model_save_gguf(m, gguf, AE_F32, NULL), AERIE_OK);
    ae_model *b = open_or_fail(gguf);
    assert_true(ae_model_config(b)->score_head && ae_model_config(b)->no_language_head);
    assert_false(ae_model_config(b)->tied_head);
    scores_of(ae_model_net(b), &r, got);
    for (int64_t i = 0; i < r.n; i++) assert_true(fabsf(want[i] - got[i]) < 1e-6f);

    assert_int_equal(ae_model_save_hf(b, hf, AE_F32, NULL), AERIE_OK);
    ae_model *c = open_or_fail(hf);
    assert_scores(ae_model_net(c), &r, want);
    assert_int_equal(ae_model_hash(m, hash, NULL), AERIE_OK);
    assert_int_equal(ae_model_hash(c, again, NULL), AERIE_OK);
    assert_string_equal(hash, again);

    assert_int_equal(ae_model_trainable(&copy, m, NULL), AERIE_OK);
    assert_scores(ae_model_net(copy), &r, want);
    ae_model_close(copy);
    ae_model_close(c);
    ae_model_close(b);
    ae_model_close(m);
    ae_free(gguf);
    ae_free(hf);
    scratch_remove(scratch);
}

static const ae_tensor *find(const ae_model *m, const char *name, bool *decays)
{
    ae_named_param p[MAX_PARAMS];
    int64_t n = ae_model_params(m, p, MAX_PARAMS);

    assert_true(n <= MAX_PARAMS);
    for (int64_t i = 0; i < n; i++) {
        if (strcmp(p[i].name, name) != 0) continue;
        if (decays) *decays = p[i].decays;
        return p[i].tensor;
    }
    return NULL;
}

static ae_model *copy_with(const ae_model *m, ae_head_options head)
{
    ae_model *copy = NULL;
    aerie_error err = { 0 };

    if (ae_model_trainable_with(&copy, m, &head, 0, &err)) fail_msg("%s", err.message);
    return copy;
}

/* A language model gets a head: random by the seed alone, or zero; with its own head or without. */
static void new_head(void **state)
{
    static const char *const shapes[] = { SHAPES "mistral", SHAPES "tied" };
    (void)state;

    for (size_t s = 0; s < AE_COUNT(shapes); s++) {
        ae_model *m = open_or_fail(shapes[s]);
        ae_model *a = copy_with(m, (ae_head_options){ .score = true, .seed = 3 });
        ae_model *b =
            copy_with(m, (ae_head_options){ .score = true, .drop_language = true, .seed = 3 });
        ae_model *z = copy_with(m, (ae_head_options){ .score = true, .zero = true, .seed = 3 });
        bool decays = false;
        const ae_tensor *x = find(a, "score.weight", &decays), *y = find(b, "score.weight", NULL),
                        *zero = find(z, "score.weight", NULL);
        double square = 0;

        assert_true(decays);
        assert_memory_equal(x->data, y->data, (size_t)x->cols * sizeof(float));
        for (int64_t i = 0; i < x->cols; i++) {
            square += (double)(ae_f32(x)[i] * ae_f32(x)[i]) / (double)x->cols;
            assert_true(ae_f32(zero)[i] == 0);
        }
        assert_true(sqrt(square) > 0.01 && sqrt(square) < 0.03);
        assert_non_null(ae_model_net(a)->head);
        assert_null(ae_model_net(b)->head);
        assert_null(find(b, "lm_head.weight", NULL));
        assert_null(ae_model_net(m)->score);
        assert_int_equal(ae_model_param_count(a), ae_model_param_count(m) + x->cols);
        ae_model_close(a);
        ae_model_close(b);
        ae_model_close(z);
        ae_model_close(m);
    }
}

/* Both heads in one GGUF: a policy with its value function. A folder cannot say it. */
static void both_heads(void **state)
{
    char *scratch = scratch_make(), *gguf = join(scratch, "v.gguf"), *hf = join(scratch, "hf");
    ae_model *m = open_or_fail(SHAPES "tied");
    ae_model *a = copy_with(m, (ae_head_options){ .score = true, .seed = 9 });
    row r = first_row();
    float want[MAX_ROW];
    aerie_error err = { 0 };
    (void)state;

    assert_int_equal(ae_model_save_gguf(a, gguf, AE_F32, NULL), AERIE_OK);
    ae_model *b = open_or_fail(gguf);
    assert_true(ae_model_config(b)->score_head && ae_model_config(b)->tied_head);
    assert_false(ae_model_config(b)->no_language_head);
    ae_model *c = copy_with(b, (ae_head_options){ .score = true, .seed = 10 });
    scores_of(ae_model_net(b), &r, want);
    assert_scores(ae_model_net(c), &r, want); /* its own head, not a new one */
    assert_int_equal(ae_model_save_hf(b, hf, AE_F32, &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "beside its language head"));
    ae_model_close(a);
    ae_model_close(b);
    ae_model_close(c);
    ae_model_close(m);
    ae_free(gguf);
    ae_free(hf);
    scratch_remove(scratch);
}

/* What a net cannot do is a sentence, not a crash. */
static void without(void **state)
{
    ae_model *m = open_or_fail(REWARD), *lm = open_or_fail(SHAPES "mistral");
    ae_device *device = open_device();
    ae_arena arena = { 0 };
    row r = first_row();
    const ae_batch batch = { r.n, r.ids, r.pos, r.segments, r.n_segments, NULL };
    ae_ctx a = { .device = device, .arena = &arena }, b = a, c = a;
    const ae_predictions p = { r.all, r.ids, 1, 0 };
    (void)state;

    assert_null(
        ae_net_logits(&a, ae_model_net(m), ae_net_hidden(&a, ae_model_net(m), &batch), r.all, 1));
    assert_non_null(strstr(a.error.message, "no language head"));
    assert_null(
        ae_net_log_prob(&b, ae_model_net(m), ae_net_hidden(&b, ae_model_net(m), &batch), &p, NULL));
    assert_non_null(strstr(b.error.message, "no language head"));
    assert_null(
        ae_net_scores(&c, ae_model_net(lm), ae_net_hidden(&c, ae_model_net(lm), &batch), r.all, 1));
    assert_non_null(strstr(c.error.message, "no head that scores"));
    ae_arena_free(&arena);
    device->close(device);
    ae_model_close(m);
    ae_model_close(lm);
}

static ae_adapter *adapter_with_head(const ae_model *m, uint64_t seed)
{
    ae_lora_options o = { .rank = 2, .alpha = 4, .head = { .score = true, .seed = seed } };
    ae_adapter *a = NULL;
    aerie_error err = { 0 };

    o.targets[AE_PROJ_Q] = o.targets[AE_PROJ_DOWN] = true;
    if (ae_adapter_new(&a, m, &o, 1, &err)) fail_msg("%s", err.message);
    return a;
}

/* The head of a PEFT folder is one of its modules_to_save. */
static void peft(void **state)
{
    char *scratch = scratch_make(), *folder = join(scratch, "peft"),
         *config = join(folder, "adapter_config.json");
    ae_model *m = open_or_fail(SHAPES "mistral");
    ae_adapter *a = adapter_with_head(m, 1), *b = NULL;
    ae_bytes text = { 0 };
    char hash[65], other[65];
    (void)state;

    assert_int_equal(ae_adapter_save_peft(a, folder, m, NULL), AERIE_OK);
    assert_int_equal(ae_file_read(&text, config, 0, NULL), AERIE_OK);
    json_t *o = json_loadb(text.data, text.len, 0, NULL);
    assert_string_equal(json_string_value(json_array_get(json_object_get(o, "modules_to_save"), 0)),
                        "score");
    assert_string_equal(json_string_value(json_object_get(o, "task_type")), "SEQ_CLS");
    assert_int_equal(ae_adapter_open(&b, folder, m, false, NULL), AERIE_OK);
    assert_true(ae_adapter_options(b)->head.score);
    ae_adapter_hash(a, hash);
    ae_adapter_hash(b, other);
    assert_string_equal(hash, other);
    json_decref(o);
    ae_bytes_free(&text);
    ae_adapter_close(a);
    ae_adapter_close(b);
    ae_model_close(m);
    ae_free(config);
    ae_free(folder);
    scratch_remove(scratch);
}

/* An adapter carries its head; over a reward model a new one begins as the model's. */
static void adapters(void **state)
{
    char *scratch = scratch_make(), *file = join(scratch, "a.gguf");
    ae_model *lm = open_or_fail(SHAPES "mistral"), *rm = open_or_fail(REWARD);
    ae_adapter *a = adapter_with_head(lm, 1), *b = NULL, *c = adapter_with_head(rm, 1), *d;
    ae_arena arena = { 0 };
    ae_net net, again;
    row r = first_row();
    float want[MAX_ROW];
    char hash[65], other[65];
    (void)state;

    assert_int_equal(ae_net_with_adapters(&net, &arena, lm, &a, 1, NULL), AERIE_OK);
    scores_of(&net, &r, want);
    assert_int_equal(ae_adapter_save(a, file, lm, NULL), AERIE_OK);
    assert_int_equal(ae_adapter_open(&b, file, lm, false, NULL), AERIE_OK);
    assert_true(ae_adapter_options(b)->head.score);
    assert_int_equal(ae_net_with_adapters(&again, &arena, lm, &b, 1, NULL), AERIE_OK);
    assert_scores(&again, &r, want);
    ae_adapter_hash(a, hash);
    ae_adapter_hash(b, other);
    assert_string_equal(hash, other);

    scores_of(ae_model_net(rm), &r, want);
    assert_int_equal(ae_net_with_adapters(&net, &arena, rm, &c, 1, NULL), AERIE_OK);
    assert_scores(&net, &r, want);
    d = adapter_with_head(lm, 2); /* stacked over one with a head: begins as that */
    ae_adapter_take_head(d, &again);
    assert_int_equal(ae_net_with_adapters(&net, &arena, lm, (ae_adapter *[]){ b, d }, 2, NULL),
                     AERIE_OK);
    scores_of(&again, &r, want);
    assert_scores(&net, &r, want);
    ae_adapter_close(a);
    ae_adapter_close(b);
    ae_adapter_close(c);
    ae_adapter_close(d);
    ae_model_close(lm);
    ae_model_close(rm);
    ae_arena_free(&arena);
    ae_free(file);
    scratch_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_transformers),
        cmocka_unit_test(through_files),
        cmocka_unit_test(new_head),
        cmocka_unit_test(both_heads),
        cmocka_unit_test(without),
        cmocka_unit_test(adapters),
        cmocka_unit_test(peft),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
