/* Packing lays out every weight that a product reads and nothing else, changes what nobody else
 * reads, and leaves nothing behind when it fails. The device is the real one with a packed form of
 * the test's own: a weight's bytes turned over, so that whoever reads the wrong ones is seen. */
#include "model/support.h"

static ae_device *device;
static ae_device real; /* its functions before the test put its own in place */

static const char *const shapes[] = { "mistral", "llama3", "qwen2", "tied" };
static const int32_t ids[] = { 3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 32, 38, 46, 26, 43 };

static size_t upside_down_bytes(const ae_device *dev, ae_dtype dtype, int64_t rows, int64_t cols)
{
    size_t bytes;

    (void)dev;
    return dtype == AE_Q8_0 && ae_dtype_bytes(&bytes, dtype, rows, cols) ? bytes : 0;
}

static void turn_over(void *out, const void *in, size_t n)
{
    for (size_t i = 0; i < n; i++) ((uint8_t *)out)[i] = (uint8_t) ~((const uint8_t *)in)[i];
}

static int n_packed;

static bool upside_down_pack(ae_device *dev, void *out, const ae_tensor *w)
{
    assert_int_equal((uintptr_t)out % 64, 0);
    turn_over(out, w->data, upside_down_bytes(dev, w->dtype, w->rows, w->cols));
    n_packed++;
    return ae_dtype_scales_finite(w->dtype, w->data, w->rows * w->cols);
}

static int n_products, n_from_packed;

static aerie_status upside_down_linear(ae_device *dev, ae_arena *scratch, float *y, const float *x,
                                       const ae_tensor *w, const float *bias, int64_t T)
{
    size_t bytes = upside_down_bytes(dev, w->dtype, w->rows, w->cols);
    ae_tensor plain = { w->dtype, w->rows, w->cols, w->data, NULL, NULL };
    aerie_status status;

    n_products++;
    if (!w->packed) return real.linear(dev, scratch, y, x, w, bias, T);
    n_from_packed++;
    plain.data = ae_alloc(bytes, 1);
    assert_non_null(plain.data);
    turn_over(plain.data, w->packed, bytes);
    status = real.linear(dev, scratch, y, x, &plain, bias, T);
    ae_free(plain.data);
    return status;
}

static void open_device(void)
{
    assert_int_equal(ae_device_open(&device, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    real = *device;
    device->packed_bytes = upside_down_bytes;
    device->pack = upside_down_pack;
    device->linear = upside_down_linear;
}

/* A model of this shape in a file of its own, its matrices Q8_0. */
static char *make_file(const char *folder, const char *shape)
{
    char *from = join(SHAPES, shape), *path = join(folder, "m.gguf");
    ae_model *m = open_or_fail(from);

    assert_int_equal(ae_model_save_gguf(m, path, AE_Q8_0, NULL), AERIE_OK);
    ae_model_close(m);
    ae_free(from);
    return path;
}

static void pack(ae_model *m)
{
    aerie_error err = { 0 };

    if (ae_model_pack(m, device, NULL, NULL, &err)) fail_msg("%s", err.message);
}

static ae_bytes save(const ae_model *m, const char *folder)
{
    ae_bytes bytes = { 0 };
    char *path = join(folder, "saved.gguf");

    assert_int_equal(ae_model_save_gguf(m, path, AE_F32, NULL), AERIE_OK);
    assert_int_equal(ae_file_read(&bytes, path, 0, NULL), AERIE_OK);
    ae_free(path);
    return bytes;
}

/* All that products read is packed, once, and the numbers are those of the weights. */
static void check_products(const char *path)
{
    ae_model *plain = open_or_fail(path), *m = open_or_fail(path);
    const ae_config *c = ae_model_config(m);
    const size_t count = (size_t)(c->vocab_size * (int64_t)AE_COUNT(ids));
    const int matrices = (int)c->n_layers * AE_N_PROJ + 1;
    const int quantized = matrices - (int)c->n_layers; /* 40 columns of down make no blocks */
    size_t held = ae_alloc_bytes();

    n_packed = 0;
    pack(m);
    assert_int_equal(n_packed, quantized);
    assert_true(ae_alloc_bytes() >= held + ae_model_packed_bytes(m, device));
    pack(m);
    assert_int_equal(n_packed, quantized);
    assert_ptr_equal(ae_model_net(m)->embedding->packed,
                     c->tied_head ? ae_model_net(m)->head->packed : NULL);

    float *want = logits_of(device, ae_model_net(plain), ids, AE_COUNT(ids));
    n_products = n_from_packed = 0;
    float *got = logits_of(device, ae_model_net(m), ids, AE_COUNT(ids));
    assert_int_equal(n_products, matrices);
    assert_int_equal(n_from_packed, quantized);
    assert_memory_equal(got, want, count * sizeof *got);
    ae_free(want);
    ae_free(got);
    ae_model_close(m);
    ae_model_close(plain);
}

static void products_read_the_packed_form(void **state)
{
    size_t held = ae_alloc_bytes();
    (void)state;

    for (size_t i = 0; i < AE_COUNT(shapes); i++) {
        char *folder = scratch_make(), *path = make_file(folder, shapes[i]);
        check_products(path);
        ae_free(path);
        scratch_remove(folder);
    }
    assert_int_equal(ae_alloc_bytes(), held);
}

/* What saving, hashing, training and adapters read is untouched. */
static void others_read_the_weights(void **state)
{
    char *folder = scratch_make(), *path = make_file(folder, "tied");
    ae_model *plain = open_or_fail(path), *m = open_or_fail(path), *copy = NULL;
    char want[65], got[65];
    (void)state;

    pack(m);
    assert_int_equal(ae_model_hash(plain, want, NULL), AERIE_OK);
    assert_int_equal(ae_model_hash(m, got, NULL), AERIE_OK);
    assert_string_equal(got, want);

    ae_bytes a = save(plain, folder), b = save(m, folder);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    ae_bytes_free(&b);

    assert_int_equal(ae_model_trainable(&copy, m, NULL), AERIE_OK);
    b = save(copy, folder);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_int_equal(ae_model_packed_bytes(copy, device), 0);
    n_from_packed = 0;
    ae_free(logits_of(device, ae_model_net(copy), ids, AE_COUNT(ids)));
    assert_int_equal(n_from_packed, 0);

    ae_bytes_free(&a);
    ae_bytes_free(&b);
    ae_model_close(copy);
    ae_model_close(m);
    ae_model_close(plain);
    ae_free(path);
    scratch_remove(folder);
}

/* Puts an infinite scale into the last block of one tensor of the file. */
static void damage(const char *path, const char *name)
{
    ae_gguf *g = NULL;
    ae_bytes bytes = { 0 };

    assert_int_equal(ae_file_read(&bytes, path, 0, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open_memory(&g, bytes.data, bytes.len, path, NULL), AERIE_OK);
    const ae_stored_tensor *t = ae_tensor_list_find(ae_gguf_tensors(g), name);
    assert_non_null(t);
    char *block = bytes.data + ((const char *)t->data - bytes.data) + t->bytes - 34;
    block[0] = 0, block[1] = 0x7c;
    ae_gguf_close(g);
    assert_int_equal(ae_file_write(path, bytes.data, bytes.len, NULL), AERIE_OK);
    ae_bytes_free(&bytes);
}

static void scales_that_are_no_numbers_are_refused(void **state)
{
    size_t held = ae_alloc_bytes();
    char *folder = scratch_make(), *path = make_file(folder, "mistral");
    aerie_error err = { 0 };
    (void)state;

    damage(path, "blk.1.attn_q.weight");
    ae_model *m = open_or_fail(path);
    assert_int_equal(ae_model_pack(m, device, NULL, NULL, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "layers.1.self_attn.q_proj"));
    assert_null(ae_model_net(m)->head->packed);
    ae_model_close(m);
    ae_free(path);
    scratch_remove(folder);
    assert_int_equal(ae_alloc_bytes(), held);
}

/* A weight that is used as it lies is looked at too: without packing all of them, with it the
 * embedding. */
static void check_damaged(const char *tensor, const char *name, bool packed)
{
    char *folder = scratch_make(), *path = make_file(folder, "mistral");
    aerie_error err = { 0 };
    ae_model *m = open_or_fail(path);

    if (packed) pack(m);
    assert_int_equal(ae_model_check_scales(m, NULL), AERIE_OK);
    ae_model_close(m);
    damage(path, tensor);
    m = open_or_fail(path);
    if (packed) pack(m);
    assert_int_equal(ae_model_check_scales(m, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, name));
    assert_non_null(strstr(err.message, "scales that are infinite or not a number"));
    ae_model_close(m);
    ae_free(path);
    scratch_remove(folder);
}

/* One of a norm's numbers is infinite. */
static void a_vector_is_looked_at(void **state)
{
    static const uint8_t infinite[4] = { 0, 0, 0x80, 0x7f };
    char *folder = scratch_make(), *path = make_file(folder, "mistral");
    aerie_error err = { 0 };
    ae_gguf *g = NULL;
    ae_bytes bytes = { 0 };
    (void)state;

    assert_int_equal(ae_file_read(&bytes, path, 0, NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open_memory(&g, bytes.data, bytes.len, path, NULL), AERIE_OK);
    const ae_stored_tensor *t = ae_tensor_list_find(ae_gguf_tensors(g), "blk.1.ffn_norm.weight");
    assert_non_null(t);
    memcpy(bytes.data + ((const char *)t->data - bytes.data) + 8, infinite, sizeof infinite);
    ae_gguf_close(g);
    assert_int_equal(ae_file_write(path, bytes.data, bytes.len, NULL), AERIE_OK);
    ae_bytes_free(&bytes);
    ae_model *m = open_or_fail(path);
    assert_int_equal(ae_model_check_scales(m, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "post_attention_layernorm"));
    ae_model_close(m);
    ae_free(path);
    scratch_remove(folder);
}

static void unpacked_scales_are_looked_at_too(void **state)
{
    (void)state;
    check_damaged("token_embd.weight", "embed_tokens", true);
    check_damaged("token_embd.weight", "embed_tokens", false);
    check_damaged("blk.0.ffn_up.weight", "layers.0.mlp.up_proj", false);
    check_damaged("output.weight", "lm_head", false);
}

static int patience;

static bool lose_patience(void *user, double share)
{
    double *before = user;

    assert_true(share > *before && share <= 1);
    *before = share;
    return --patience > 0;
}

static void packing_can_be_stopped(void **state)
{
    char *folder = scratch_make(), *path = make_file(folder, "llama3");
    ae_model *m = open_or_fail(path);
    size_t held = ae_alloc_bytes();
    double share = 0;
    (void)state;

    patience = 3;
    assert_int_equal(ae_model_pack(m, device, lose_patience, &share, NULL), AERIE_INTERRUPTED);
    assert_int_equal(ae_alloc_bytes(), held);
    n_from_packed = 0;
    ae_free(logits_of(device, ae_model_net(m), ids, AE_COUNT(ids)));
    assert_int_equal(n_from_packed, 0);

    patience = 1 << 20, share = 0;
    assert_int_equal(ae_model_pack(m, device, lose_patience, &share, NULL), AERIE_OK);
    assert_true(share == 1);
    ae_model_close(m);
    ae_free(path);
    scratch_remove(folder);
}

static void no_room_is_a_sentence(void **state)
{
    char *folder = scratch_make(), *path = make_file(folder, "llama3");
    ae_model *m = open_or_fail(path);
    aerie_error err = { 0 };
    (void)state;

    ae_alloc_fail_at(1);
    assert_int_equal(ae_model_pack(m, device, NULL, NULL, &err), AERIE_NO_MEMORY);
    assert_true(ae_alloc_has_failed());
    ae_alloc_fail_at(0);
    assert_non_null(strstr(err.message, "no room for its weights"));
    pack(m);
    ae_model_close(m);
    ae_free(path);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_read_the_packed_form),
        cmocka_unit_test(others_read_the_weights),
        cmocka_unit_test(scales_that_are_no_numbers_are_refused),
        cmocka_unit_test(unpacked_scales_are_looked_at_too),
        cmocka_unit_test(a_vector_is_looked_at),
        cmocka_unit_test(packing_can_be_stopped),
        cmocka_unit_test(no_room_is_a_sentence),
    };
    int failed;

    open_device();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    device->close(device);
    return failed;
}
