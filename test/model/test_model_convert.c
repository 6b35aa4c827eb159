/* Conversions lose nothing: Hugging Face folder -> GGUF -> folder gives the same bytes of weights
 * and the same configuration, and all compute the same; smaller types come as near as they can. */
#include "model/support.h"

#include <math.h>

static ae_device *device;
static const char *const shapes[] = { "mistral", "llama3", "qwen2",  "tied",
                                      "yarn",    "gemma2", "gemma3", "qwen3" };
static const int32_t ids[] = {
    3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 32, 38, 46, 26, 43, 38, 32, 7, 9
};

static void save_gguf(const ae_model *m, const char *path, ae_dtype type)
{
    aerie_error err = { 0 };

    if (ae_model_save_gguf(m, path, type, &err)) fail_msg("%s", err.message);
}

static void save_hf(const ae_model *m, const char *path, ae_dtype type)
{
    aerie_error err = { 0 };

    if (ae_model_save_hf(m, path, type, &err)) fail_msg("%s", err.message);
}

static double logits_apart(const ae_model *a, const ae_model *b)
{
    int64_t n = AE_COUNT(ids), V = ae_model_config(a)->vocab_size;
    float *x = logits_of(device, ae_model_net(a), ids, n);
    float *y = logits_of(device, ae_model_net(b), ids, n);
    double most = 0, size = 0;

    for (int64_t i = 0; i < n * V; i++) {
        most = fmax(most, fabs((double)x[i] - y[i]));
        size = fmax(size, fabs(x[i]));
    }
    ae_free(x);
    ae_free(y);
    return most / size;
}

static void assert_same_config(const ae_config *a, const ae_config *b)
{
    assert_string_equal(a->architecture, b->architecture);
    assert_string_equal(a->family, b->family);
    assert_int_equal(a->vocab_size, b->vocab_size);
    assert_int_equal(a->hidden_size, b->hidden_size);
    assert_int_equal(a->intermediate_size, b->intermediate_size);
    assert_int_equal(a->n_layers, b->n_layers);
    assert_int_equal(a->n_heads, b->n_heads);
    assert_int_equal(a->n_kv_heads, b->n_kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->max_position, b->max_position);
    assert_int_equal(a->sliding_window, b->sliding_window);
    assert_true(a->rope_theta == b->rope_theta);
    assert_int_equal(a->rope_scaling, b->rope_scaling);
    assert_true(a->rope_factor == b->rope_factor);
    assert_true(a->rope_low_freq_factor == b->rope_low_freq_factor);
    assert_true(a->rope_high_freq_factor == b->rope_high_freq_factor);
    assert_int_equal(a->rope_original_max_position, b->rope_original_max_position);
    assert_int_equal(a->tied_head, b->tied_head);
    assert_int_equal(a->qkv_bias, b->qkv_bias);
    assert_true(a->norm_eps == b->norm_eps);
    assert_int_equal(a->window_period, b->window_period);
    assert_true(a->rope_local_theta == b->rope_local_theta);
    assert_true(fabs(a->rope_attention_factor - b->rope_attention_factor) < 1e-6);
    assert_true(a->rope_beta_fast == b->rope_beta_fast);
    assert_true(a->rope_beta_slow == b->rope_beta_slow);
    assert_true(a->query_pre_attn_scalar == b->query_pre_attn_scalar);
    assert_true(a->attn_logit_softcapping == b->attn_logit_softcapping);
    assert_true(a->final_logit_softcapping == b->final_logit_softcapping);
}

static void assert_same_weights(const ae_model *a, const ae_model *b)
{
    ae_named_param p[64], q[64];
    int64_t n = ae_model_params(a, p, 64);
    size_t bytes;

    assert_int_equal(ae_model_params(b, q, 64), n);
    for (int64_t i = 0; i < n; i++) {
        const ae_tensor *x = p[i].tensor, *y = q[i].tensor;
        assert_string_equal(p[i].name, q[i].name);
        assert_int_equal(x->dtype, y->dtype);
        assert_int_equal(x->rows, y->rows);
        assert_int_equal(x->cols, y->cols);
        assert_true(ae_dtype_bytes(&bytes, x->dtype, x->rows, x->cols));
        assert_memory_equal(x->data, y->data, bytes);
    }
}

static void check_round_trip(const char *shape, const char *scratch)
{
    char *folder = join(SHAPES, shape), *gguf = join(scratch, "model.gguf"),
         *back = join(scratch, "hf");
    ae_model *a = open_or_fail(folder);

    save_gguf(a, gguf, AE_F32);
    ae_model *b = open_or_fail(gguf);
    save_hf(b, back, AE_F32);
    ae_model *c = open_or_fail(back);

    bool llama = !strcmp(ae_model_config(a)->architecture, "llama");
    assert_int_equal(ae_model_config(b)->rope_interleaved, llama);
    assert_same_config(ae_model_config(a), ae_model_config(b));
    assert_same_config(ae_model_config(a), ae_model_config(c));
    assert_same_weights(a, c);
    print_message("%s: logits of the GGUF apart by %.1e\n", shape, logits_apart(a, b));
    assert_true(logits_apart(a, b) < 2e-6);
    assert_true(logits_apart(a, c) == 0);
    ae_model_close(a);
    ae_model_close(b);
    ae_model_close(c);
    ae_free(folder);
    ae_free(gguf);
    ae_free(back);
}

static void round_trip(void **state)
{
    char *scratch = scratch_make();
    (void)state;

    for (size_t i = 0; i < AE_COUNT(shapes); i++) check_round_trip(shapes[i], scratch);
    scratch_remove(scratch);
}

/* The largest magnitude of the block of 32 that x[i] lies in. */
static float block_most(const float *x, int64_t i)
{
    float most = 0;

    for (int64_t k = i / 32 * 32; k < i / 32 * 32 + 32; k++) most = fmaxf(most, fabsf(x[k]));
    return most;
}

/* How far rounding to the type may move x[i]: half a step of F16 (or of its subnormals), of BF16,
 * of Q8_0's scale, which is itself rounded to half precision. */
static float rounding(ae_dtype type, const float *x, int64_t i, int64_t cols)
{
    if (type == AE_F16) return fmaxf(fabsf(x[i]) * 0x1p-11f, 0x1p-25f);
    if (type == AE_BF16) return fabsf(x[i]) * 0x1p-8f;
    return cols % 32 ? 0 : block_most(x, i) * (0.5f / 127 + 0x1p-11f) * 1.0001f;
}

static void check_rounding(const ae_model *a, const ae_model *b, ae_dtype type)
{
    ae_named_param p[64], q[64];
    int64_t n = ae_model_params(a, p, 64);

    ae_model_params(b, q, 64);
    for (int64_t i = 0; i < n; i++) {
        const ae_tensor *x = p[i].tensor;
        for (int64_t k = 0; k < x->rows * x->cols; k++) {
            float limit = x->rows > 1 ? rounding(type, ae_f32(x), k, x->cols) : 0;
            if (!(fabsf(ae_f32(x)[k] - ae_f32(q[i].tensor)[k]) <= limit))
                fail_msg("%s[%lld]: %g became %g", p[i].name, (long long)k, (double)ae_f32(x)[k],
                         (double)ae_f32(q[i].tensor)[k]);
        }
    }
}

/* Every number is as near as its type allows; vectors, and rows that are no whole blocks, stay. */
static void smaller_types(void **state)
{
    static const ae_dtype types[] = { AE_F16, AE_BF16, AE_Q8_0 };
    char *scratch = scratch_make(), *path = join(scratch, "model.gguf"),
         *back = join(scratch, "hf");
    (void)state;

    for (size_t i = 0; i < AE_COUNT(shapes); i++) {
        char *folder = join(SHAPES, shapes[i]);
        ae_model *m = open_or_fail(folder);
        for (size_t k = 0; k < AE_COUNT(types); k++) {
            save_gguf(m, path, types[k]);
            ae_model *small = open_or_fail(path);
            save_hf(small, back, AE_F32);
            ae_model *wide = open_or_fail(back);
            check_rounding(m, wide, types[k]);
            print_message("%s %s: logits apart by %.1e\n", shapes[i],
                          ae_dtype_info_of(types[k])->name, logits_apart(m, small));
            assert_true(ae_model_weight_bytes(small) < ae_model_weight_bytes(m));
            ae_model_close(wide);
            ae_model_close(small);
        }
        ae_model_close(m);
        ae_free(folder);
    }
    ae_free(path);
    ae_free(back);
    scratch_remove(scratch);
}

/* Half precision through both formats and back: the bytes are the first file's. */
static void half_round_trip(void **state)
{
    static const ae_dtype types[] = { AE_F16, AE_BF16 };
    char *scratch = scratch_make(), *first = join(scratch, "first"),
         *gguf = join(scratch, "m.gguf");
    char *again = join(scratch, "again");
    ae_model *m = open_or_fail(SHAPES "qwen2");
    (void)state;

    for (size_t k = 0; k < AE_COUNT(types); k++) {
        save_hf(m, first, types[k]);
        ae_model *a = open_or_fail(first);
        save_gguf(a, gguf, types[k]);
        ae_model *b = open_or_fail(gguf);
        save_hf(b, again, types[k]);
        ae_model *c = open_or_fail(again);
        assert_same_weights(a, c);
        ae_model_close(a);
        ae_model_close(b);
        ae_model_close(c);
    }
    ae_model_close(m);
    ae_free(first);
    ae_free(gguf);
    ae_free(again);
    scratch_remove(scratch);
}

/* A GGUF as other programs write it: the table of divisors, without this project's keys for the
 * formula behind it. */
static void copy_without_formula(const char *from, const char *to)
{
    ae_gguf *g;
    ae_gguf_writer *w;

    assert_int_equal(ae_gguf_open(&g, from, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_writer_open(&w, to, NULL), AERIE_OK);
    for (size_t i = 0; i < ae_gguf_entry_count(g); i++)
        if (!strstr(ae_gguf_entry_at(g, i).key, "rope.scaling")) ae_gguf_set_copy(w, g, i);
    const ae_tensor_list *list = ae_gguf_tensors(g);
    for (int data = 0; data < 2; data++)
        for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
            const ae_stored_tensor *t = ae_tensor_list_at(list, i);
            if (data)
                ae_gguf_writer_add(w, t->data, t->bytes);
            else
                ae_gguf_writer_tensor(w, t->name, t->dtype, t->rows, t->cols);
        }
    assert_int_equal(ae_gguf_writer_commit(w, NULL), AERIE_OK);
    ae_gguf_close(g);
}

/* Divisors that no known formula gives are used as they are, and kept; a config.json cannot say
 * them. */
static void divisors_without_formula(void **state)
{
    char *scratch = scratch_make(), *full = join(scratch, "full.gguf"),
         *bare = join(scratch, "bare.gguf");
    char *again = join(scratch, "again.gguf"), *folder = join(scratch, "hf");
    ae_model *a = open_or_fail(SHAPES "llama3");
    aerie_error err = { 0 };
    (void)state;

    save_gguf(a, full, AE_F32);
    copy_without_formula(full, bare);
    ae_model *b = open_or_fail(bare);
    assert_int_equal(ae_model_config(b)->rope_scaling, AE_ROPE_FACTORS);
    assert_true(logits_apart(a, b) < 2e-6);
    save_gguf(b, again, AE_F32);
    ae_model *c = open_or_fail(again);
    assert_int_equal(ae_model_config(c)->rope_scaling, AE_ROPE_FACTORS);
    assert_true(logits_apart(b, c) == 0);
    assert_int_equal(ae_model_save_hf(b, folder, AE_F32, &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "rope_freqs.weight"));
    ae_model_close(a);
    ae_model_close(b);
    ae_model_close(c);
    ae_free(full);
    ae_free(bare);
    ae_free(again);
    ae_free(folder);
    scratch_remove(scratch);
}

/* The published Llama 3.1's and 3.2's are recognised. */
static void published_divisors(void **state)
{
    static const double factors[] = { 8, 32 };
    char *scratch = scratch_make(), *full = join(scratch, "full.gguf"),
         *bare = join(scratch, "bare.gguf");
    char *config = join(scratch, "config.json"), text[600];
    (void)state;

    for (size_t i = 0; i < AE_COUNT(factors); i++) {
        int len = snprintf(
            text, sizeof text,
            "{\"model_type\": \"llama\", \"vocab_size\": 48, \"hidden_size\": 128,"
            " \"intermediate_size\": 32, \"num_hidden_layers\": 1, \"num_attention_heads\":"
            " 2, \"rms_norm_eps\": 1e-5, \"rope_theta\": 500000.0, \"rope_scaling\":"
            " {\"rope_type\": \"llama3\", \"factor\": %g, \"low_freq_factor\": 1.0,"
            " \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}}",
            factors[i]);
        assert_int_equal(ae_file_write(config, text, (size_t)len, NULL), AERIE_OK);
        ae_model *a;
        assert_int_equal(ae_model_random(&a, scratch, 1, NULL), AERIE_OK);
        save_gguf(a, full, AE_F32);
        copy_without_formula(full, bare);
        ae_model *b = open_or_fail(bare);
        assert_same_config(ae_model_config(a), ae_model_config(b));
        ae_model_close(a);
        ae_model_close(b);
    }
    ae_free(full);
    ae_free(bare);
    ae_free(config);
    scratch_remove(scratch);
}

/* Equal for equal weights, other for any other. */
static void hash_tells_apart(void **state)
{
    char hashes[AE_COUNT(shapes) + 2][65];
    char *scratch = scratch_make(), *gguf = join(scratch, "m.gguf");
    (void)state;

    for (size_t i = 0; i < AE_COUNT(shapes); i++) {
        char *folder = join(SHAPES, shapes[i]), again[65];
        ae_model *m = open_or_fail(folder);
        assert_int_equal(ae_model_hash(m, hashes[i], NULL), AERIE_OK);
        assert_int_equal(ae_model_hash(m, again, NULL), AERIE_OK);
        assert_string_equal(hashes[i], again);
        assert_int_equal(strlen(again), 64);
        if (i == 0) {
            ae_model *copy;
            assert_int_equal(ae_model_trainable(&copy, m, NULL), AERIE_OK);
            assert_int_equal(ae_model_hash(copy, again, NULL), AERIE_OK);
            assert_string_equal(hashes[i], again);
            ae_named_param p[2];
            ae_model_params(copy, p, 2);
            ae_f32(p[1].tensor)[0] += 1e-3f;
            assert_int_equal(ae_model_hash(copy, hashes[AE_COUNT(shapes)], NULL), AERIE_OK);
            ae_model_close(copy);
            save_gguf(m, gguf, AE_F16);
            copy = open_or_fail(gguf);
            assert_int_equal(ae_model_hash(copy, hashes[AE_COUNT(shapes) + 1], NULL), AERIE_OK);
            ae_model_close(copy);
        }
        ae_model_close(m);
        ae_free(folder);
    }
    for (size_t i = 0; i < AE_COUNT(hashes); i++)
        for (size_t k = 0; k < i; k++) assert_string_not_equal(hashes[i], hashes[k]);
    ae_free(gguf);
    scratch_remove(scratch);
}

/* The same seed, the same bits; another, others; norms are ones; the spread is as documented. */
static void random_models(void **state)
{
    ae_model *m[3];
    ae_named_param p[3][64];
    int64_t n = 0;
    double squares = 0, count = 0;
    (void)state;

    for (int i = 0; i < 3; i++) {
        aerie_error err = { 0 };
        if (ae_model_random(&m[i], SHAPES "mistral", i < 2 ? 7 : 8, &err))
            fail_msg("%s", err.message);
        n = ae_model_params(m[i], p[i], 64);
    }
    assert_same_weights(m[0], m[1]);
    for (int64_t i = 0; i < n; i++) {
        const ae_tensor *a = p[0][i].tensor, *b = p[2][i].tensor;
        size_t bytes = (size_t)(a->rows * a->cols) * sizeof(float);
        assert_non_null(a->grad);
        assert_int_equal(p[0][i].decays, a->rows > 1);
        if (a->rows == 1) {
            assert_true(ae_f32(a)[0] == 1);
            continue;
        }
        assert_memory_not_equal(a->data, b->data, bytes);
        if (strstr(p[0][i].name, "o_proj") || strstr(p[0][i].name, "down_proj")) continue;
        for (int64_t k = 0; k < a->rows * a->cols; k++, count++)
            squares += (double)ae_f32(a)[k] * ae_f32(a)[k];
    }
    assert_true(fabs(sqrt(squares / count) - 0.02) < 0.0005);
    for (int i = 0; i < 3; i++) ae_model_close(m[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),         cmocka_unit_test(smaller_types),
        cmocka_unit_test(half_round_trip),    cmocka_unit_test(divisors_without_formula),
        cmocka_unit_test(published_divisors), cmocka_unit_test(hash_tells_apart),
        cmocka_unit_test(random_models),
    };

    if (ae_device_open(&device, AE_CPU_AUTO, 1, NULL)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    device->close(device);
    return failed;
}
