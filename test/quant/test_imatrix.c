/* test_imatrix.c -- importance matrices: what is collected is what a direct computation gives;
 * files written are read again; llama.cpp's two formats; and files that lie. */
#include "nn/decoder.h"
#include "quant/quant.h"
#include "scratch.h"

#include <math.h>

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_make();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_remove(folder);
    return 0;
}

static const char *file_of(const void *data, size_t len)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(ae_file_write(path, data, len, NULL), AERIE_OK);
    return path;
}

/* ---- the older format ---- */

static void put_i32(ae_bytes *b, int32_t value)
{
    ae_bytes_add(b, &value, sizeof value);
}

static void put_entry(ae_bytes *b, const char *name, int32_t n_calls, const float *values,
                      int32_t n)
{
    put_i32(b, (int32_t)strlen(name));
    ae_bytes_add_text(b, name);
    put_i32(b, n_calls);
    put_i32(b, n);
    ae_bytes_add(b, values, (size_t)n * sizeof *values);
}

static void a_dat_is_read(void **state)
{
    const float a[] = { 2, 4, 6 }, b[] = { 1, 3 };
    ae_stored_tensor t = { .name = "blk.0.a.weight", .n_dims = 2, .rows = 5, .cols = 3 };
    const float *weights;
    ae_imatrix *m = NULL;
    ae_bytes bytes = { 0 };
    aerie_error err = { 0 };

    (void)state;
    put_i32(&bytes, 2);
    put_entry(&bytes, "blk.1.b.weight", 0, b, 2);
    put_entry(&bytes, "blk.0.a.weight", 2, a, 3);
    put_i32(&bytes, 7);
    put_i32(&bytes, 4);
    ae_bytes_add_text(&bytes, "text");
    if (ae_imatrix_open(&m, file_of(bytes.data, bytes.len), &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_imatrix_len(m), 2);
    assert_int_equal(ae_imatrix_chunks(m), 7);
    assert_int_equal(ae_imatrix_weights(&weights, m, &t, &err), AERIE_OK);
    for (int i = 0; i < 3; i++) assert_true(weights[i] == a[i] / 2);
    t.cols = 4;
    assert_int_equal(ae_imatrix_weights(&weights, m, &t, &err), AERIE_BAD_SHAPE);
    assert_non_null(strstr(err.message, "blk.0.a.weight"));
    t.name = "token_embd.weight";
    assert_int_equal(ae_imatrix_weights(&weights, m, &t, NULL), AERIE_OK);
    assert_null(weights);
    ae_imatrix_close(m);

    /* Cut anywhere before its last words it is refused; older files end after the entries. */
    size_t entries_end = bytes.len - 12;
    for (size_t len = 0; len < bytes.len; len++) {
        aerie_status status = ae_imatrix_open(&m, file_of(bytes.data, len), NULL);
        if ((status == AERIE_OK) != (len >= entries_end))
            fail_msg("cut to %zu: %d", len, (int)status);
        ae_imatrix_close(m);
    }
    ae_bytes_free(&bytes);
}

static void check_refused(const ae_bytes *bytes, const char *what)
{
    aerie_error err = { 0 };
    ae_imatrix *m = NULL;

    if (ae_imatrix_open(&m, file_of(bytes->data, bytes->len), &err) == AERIE_OK)
        fail_msg("read: %s", what);
    assert_null(m);
    if (!strstr(err.message, what)) fail_msg("'%s' does not say '%s'", err.message, what);
}

static void dats_that_lie_are_refused(void **state)
{
    static const float odd[] = { NAN, INFINITY, -1 }, one = 1;
    static const int32_t lengths[] = { -1, INT32_MAX, 0x10000000 };
    ae_bytes b = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(odd); i++) {
        ae_bytes_clear(&b);
        put_i32(&b, 1);
        put_entry(&b, "blk.0.a.weight", 1, &odd[i], 1);
        check_refused(&b, "negative or not finite");
    }
    for (size_t i = 0; i < AE_COUNT(lengths); i++) {
        ae_bytes_clear(&b);
        put_i32(&b, 1);
        put_i32(&b, lengths[i]);
        ae_bytes_add_text(&b, "blk.0.a.weight");
        check_refused(&b, "ends within entry 1");
        ae_bytes_clear(&b);
        put_i32(&b, 1);
        put_i32(&b, 1);
        ae_bytes_add_text(&b, "a");
        put_i32(&b, 1);
        put_i32(&b, lengths[i]);
        ae_bytes_add(&b, &one, sizeof one);
        check_refused(&b, "ends within entry 1");
    }
    ae_bytes_clear(&b);
    put_i32(&b, 2);
    put_entry(&b, "twice", 1, &one, 1);
    put_entry(&b, "twice", 1, &one, 1);
    check_refused(&b, "twice");
    ae_bytes_clear(&b);
    put_i32(&b, 1);
    put_entry(&b, "a\nb", 1, &one, 1);
    check_refused(&b, "name");
    ae_bytes_clear(&b);
    put_i32(&b, 0);
    check_refused(&b, "no tensor");
    ae_bytes_clear(&b);
    put_i32(&b, -5);
    check_refused(&b, "number of entries");
    ae_bytes_free(&b);
}

/* ---- GGUF ---- */

static void what_is_saved_is_read(void **state)
{
    const double sums[] = { 1, 4, 9, 100, 200, 300 }, counts[] = { 2, 0 }, one = 4;
    const ae_imatrix_entry entries[] = { { "blk.0.ffn_down_exps.weight", sums, counts, 3, 2 },
                                         { "blk.0.attn_q.weight", sums, &one, 6, 1 } };
    ae_stored_tensor experts = { .name = "blk.0.ffn_down_exps.weight",
                                 .n_dims = 3,
                                 .dims = { 2, 8, 3 },
                                 .rows = 16,
                                 .cols = 3 };
    ae_stored_tensor q = { .name = "blk.0.attn_q.weight", .n_dims = 2, .rows = 1, .cols = 6 };
    const float *weights;
    ae_imatrix *m = NULL;
    aerie_error err = { 0 };
    char path[256];

    (void)state;
    snprintf(path, sizeof path, "%s/im.gguf", folder);
    assert_int_equal(ae_imatrix_save(entries, 2, path, "text.txt", 3, 512, &err), AERIE_OK);
    if (ae_imatrix_open(&m, path, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_imatrix_len(m), 2);
    assert_int_equal(ae_imatrix_chunks(m), 3);
    assert_string_equal(ae_imatrix_dataset(m), "text.txt");
    assert_int_equal(ae_imatrix_weights(&weights, m, &q, &err), AERIE_OK);
    for (int i = 0; i < 6; i++) assert_true(weights[i] == (float)(sums[i] / 4));
    assert_int_equal(ae_imatrix_weights(&weights, m, &experts, &err), AERIE_OK);
    for (int i = 0; i < 3; i++) assert_true(weights[i] == (float)(sums[i] / 2));
    for (int i = 3; i < 6; i++) assert_true(weights[i] == 1); /* that expert read nothing */
    ae_imatrix_close(m);
}

/* A GGUF of these tensors, each [1, n] of F32. */
static void write_gguf(const char *path, const char *type, const char *const *names, const int *n,
                       size_t count, float value)
{
    ae_gguf_writer *w = NULL;

    assert_int_equal(ae_gguf_writer_open(&w, path, NULL), AERIE_OK);
    if (type) ae_gguf_set_text(w, "general.type", type);
    for (size_t i = 0; i < count; i++) ae_gguf_writer_tensor(w, names[i], AE_F32, 1, n[i]);
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < n[i]; k++) ae_gguf_writer_add(w, &value, sizeof value);
    assert_int_equal(ae_gguf_writer_commit(w, NULL), AERIE_OK);
}

static void ggufs_that_lie_are_refused(void **state)
{
    static const char *const names[] = { "a.in_sum2", "a.counts" };
    static const char *const alone[] = { "a.in_sum2", "b.counts" };
    static const int fit[] = { 4, 1 }, odd[] = { 4, 3 };
    static const struct {
        const char *type, *const *names;
        const int *n;
        float value;
        const char *says;
    } cases[] = { { NULL, names, fit, 1, "general.type" },
                  { "model", names, fit, 1, "general.type" },
                  { "imatrix", alone, fit, 1, "without its counts" },
                  { "imatrix", names, odd, 1, "do not fit" },
                  { "imatrix", names, fit, NAN, "not finite" },
                  { "imatrix", names, fit, -1, "negative" },
                  { "imatrix", names + 1, fit, 1, "no tensor" } };
    char path[256];

    (void)state;
    snprintf(path, sizeof path, "%s/lie.gguf", folder);
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        ae_imatrix *m = NULL;
        write_gguf(path, cases[i].type, cases[i].names, cases[i].n,
                   cases[i].names == names + 1 ? 1 : 2, cases[i].value);
        assert_int_equal(ae_imatrix_open(&m, path, &err), AERIE_BAD_FILE);
        assert_null(m);
        if (!strstr(err.message, cases[i].says))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
    }
}

/* ---- collected ---- */

typedef struct {
    const ae_observer *collector;
    const ae_tensor *w;
    double sums[256], rows;
} direct;

/* Passes on, and adds up what one weight is given by itself. */
static void watch(void *user, const ae_tensor *w, const ae_tensor *x)
{
    direct *d = user;

    d->collector->linear(d->collector->user, w, x);
    if (w != d->w) return;
    for (int64_t r = 0; r < x->rows; r++)
        for (int64_t c = 0; c < x->cols; c++)
            d->sums[c] += pow((double)ae_f32(x)[r * x->cols + c], 2);
    d->rows += (double)x->rows;
}

static void what_is_collected_is_the_squares_of_the_inputs(void **state)
{
    enum { TOKENS = 11, PASSES = 3 };
    int32_t ids[TOKENS], pos[TOKENS];
    ae_segment segment = { .first = 0, .n = TOKENS, .parent = -1, .cache = -1 };
    ae_batch batch = {
        .n_tokens = TOKENS, .ids = ids, .pos = pos, .segments = &segment, .n_segments = 1
    };
    ae_config config = { .n_layers = DECODER_L };
    ae_net net = { .config = &config };
    ae_collector *collector = NULL;
    direct d = { 0 };
    decoder dec;
    fixture f;

    (void)state;
    fixture_open(&f, AE_CPU_AUTO, 2, 3);
    decoder_make_lora(&dec, &f, 0);
    net.layers = dec.layers;
    assert_int_equal(ae_collector_new(&collector, &net, NULL), AERIE_OK);
    assert_int_equal(ae_collector_len(collector), 7 * DECODER_L);
    d.collector = ae_collector_observer(collector);
    d.w = dec.layers[1].down.w;
    ae_observer observer = { watch, &d };
    for (int pass = 0; pass < PASSES; pass++) {
        ae_ctx cx = fixture_ctx(&f, NULL);
        cx.observer = &observer;
        for (int i = 0; i < TOKENS; i++) {
            ids[i] = (7 * i + 11 * pass) % DECODER_V;
            pos[i] = i;
        }
        assert_non_null(decoder_hidden(&cx, &dec, &batch));
    }
    ae_imatrix_entry e = ae_collector_at(collector, 7 * DECODER_L - 1);
    assert_string_equal(e.tensor, "blk.1.ffn_down.weight");
    assert_int_equal(e.cols, DECODER_F);
    assert_true(e.counts[0] == TOKENS * PASSES && d.rows == TOKENS * PASSES);
    for (int i = 0; i < DECODER_F; i++)
        assert_true(fabs(e.sums[i] - d.sums[i]) <= 1e-12 * d.sums[i]);
    assert_int_equal(ae_collector_status(collector, NULL), AERIE_OK);
    ae_collector_free(collector);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dat_is_read),
        cmocka_unit_test(dats_that_lie_are_refused),
        cmocka_unit_test(what_is_saved_is_read),
        cmocka_unit_test(ggufs_that_lie_are_refused),
        cmocka_unit_test(what_is_collected_is_the_squares_of_the_inputs),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
