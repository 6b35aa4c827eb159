/* Adapters: one laid over a model computes what the model with the product added into its weights
 * does; files of either kind keep it, whatever the layout; it opens over its own base alone. */
#include "model/support.h"

#include <math.h>

static ae_device *device;
static const int32_t ids[] = { 3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 32, 38, 46 };

enum { MAX = 64 };

static double apart(const float *a, const float *b, int64_t n)
{
    double most = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - b[i]));
        size = fmax(size, fabs(a[i]));
    }
    return most / size;
}

static ae_adapter *new_adapter(const ae_model *m, bool rslora)
{
    ae_lora_options o = { .rank = 4, .alpha = 8, .rslora = rslora };
    ae_adapter *a;
    aerie_error err = { 0 };
    ae_named_param p[MAX];
    ae_rng rng;

    for (int i = 0; i < AE_N_PROJ; i++) o.targets[i] = i != AE_PROJ_UP;
    if (ae_adapter_new(&a, m, &o, 5, &err)) fail_msg("%s", err.message);
    /* A new adapter changes nothing; this one should. */
    int64_t n = ae_adapter_params(a, p, MAX);
    assert_int_equal(n, 2 * ae_model_config(m)->n_layers * (AE_N_PROJ - 1));
    ae_rng_seed(&rng, 1);
    for (int64_t i = 1; i < n; i += 2) {
        const ae_tensor *b = p[i].tensor;
        for (int64_t k = 0; k < b->rows * b->cols; k++) {
            assert_true(ae_f32(b)[k] == 0);
            ae_f32(b)[k] = 0.1f * ae_rng_normal(&rng);
        }
    }
    return a;
}

static float *logits_with(const ae_model *m, ae_adapter *const *adapters, int n)
{
    ae_arena arena = { 0 };
    ae_net net;
    aerie_error err = { 0 };

    if (ae_net_with_adapters(&net, &arena, m, adapters, n, &err)) fail_msg("%s", err.message);
    float *logits = logits_of(device, &net, ids, AE_COUNT(ids));
    ae_arena_free(&arena);
    return logits;
}

static ae_tensor *find(ae_named_param *p, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(p[i].name, name) == 0) return p[i].tensor;
    fail_msg("no parameter '%s'", name);
    return NULL;
}

/* w += scale * b * a, for every pair of the adapter. */
static void merge(ae_model *m, const ae_adapter *a, double scale)
{
    ae_named_param base[MAX], p[MAX];
    int64_t n_base = ae_model_params(m, base, MAX), n = ae_adapter_params(a, p, MAX);

    for (int64_t i = 0; i < n; i += 2) {
        char name[128];
        const char *end = strstr(p[i].name, "lora_A.weight");
        assert_non_null(end);
        snprintf(name, sizeof name, "%.*sweight", (int)(end - p[i].name), p[i].name);
        ae_tensor *w = find(base, n_base, name);
        const ae_tensor *down = p[i].tensor, *up = p[i + 1].tensor;
        for (int64_t r = 0; r < w->rows; r++)
            for (int64_t c = 0; c < w->cols; c++) {
                double sum = 0;
                for (int64_t k = 0; k < down->rows; k++)
                    sum += (double)ae_f32(up)[r * up->cols + k] * ae_f32(down)[k * down->cols + c];
                ae_f32(w)[r * w->cols + c] += (float)(scale * sum);
            }
    }
}

static void check_merged(const char *shape, bool rslora)
{
    char *folder = join(SHAPES, shape);
    ae_model *m = open_or_fail(folder), *merged;
    ae_adapter *a = new_adapter(m, rslora);
    int64_t n = (int64_t)AE_COUNT(ids) * ae_model_config(m)->vocab_size;

    assert_int_equal(ae_model_trainable(&merged, m, NULL), AERIE_OK);
    merge(merged, a, 8.0 / (rslora ? 2 : 4));
    float *plain = logits_with(m, NULL, 0), *with = logits_with(m, &a, 1);
    float *want = logits_with(merged, NULL, 0);
    assert_true(apart(plain, want, n) > 0.01);
    print_message("%s, laid over against merged: %.1e\n", shape, apart(with, want, n));
    assert_true(apart(with, want, n) < 3e-6);
    ae_free(plain);
    ae_free(with);
    ae_free(want);
    ae_adapter_close(a);
    ae_model_close(merged);
    ae_model_close(m);
    ae_free(folder);
}

static void same_as_merged(void **state)
{
    (void)state;
    check_merged("qwen2", false);
    check_merged("qwen2", true);
    check_merged("gemma2", false);
    check_merged("gemma3", false);
    check_merged("qwen3", false);
}

static ae_adapter *open_adapter(const char *path, const ae_model *m)
{
    ae_adapter *a;
    aerie_error err = { 0 };

    if (ae_adapter_open(&a, path, m, true, &err)) fail_msg("%s", err.message);
    return a;
}

/* Saved over a folder's layout and over a GGUF's: read back with the same bits; the file is in
 * GGUF's layout always, as other programs expect. */
static void file_keeps_it(void **state)
{
    char *scratch = scratch_make(), *gguf = join(scratch, "base.gguf"),
         *file = join(scratch, "a.gguf");
    ae_model *m[2] = { open_or_fail(SHAPES "llama3"), NULL };
    (void)state;

    assert_int_equal(ae_model_save_gguf(m[0], gguf, AE_F32, NULL), AERIE_OK);
    m[1] = open_or_fail(gguf);
    for (int i = 0; i < 2; i++) {
        ae_adapter *a = new_adapter(m[i], i);
        char first[65], second[65];
        aerie_error err = { 0 };
        if (ae_adapter_save(a, file, m[i], &err)) fail_msg("%s", err.message);
        ae_adapter *b = open_adapter(file, m[i]);
        assert_true(ae_adapter_options(b)->alpha == 8);
        assert_int_equal(ae_adapter_options(b)->rank, 4);
        assert_false(ae_adapter_options(b)->targets[AE_PROJ_UP]);
        ae_adapter_hash(a, first);
        ae_adapter_hash(b, second);
        assert_string_equal(first, second);

        /* Over the other one: another hash, hence a sentence. */
        ae_adapter *c = NULL;
        assert_int_equal(ae_adapter_open(&c, file, m[1 - i], false, &err), AERIE_BAD_ARGUMENT);
        assert_null(c);
        assert_non_null(strstr(err.message, "was trained over the model with hash"));
        ae_adapter_close(a);
        ae_adapter_close(b);
    }
    ae_model_close(m[0]);
    ae_model_close(m[1]);
    ae_free(gguf);
    ae_free(file);
    scratch_remove(scratch);
}

static const char config_text[] =
    "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"bias\": \"none\", \"lora_dropout\": "
    "0.0,"
    " \"target_modules\": [\"q_proj\"], \"rank_pattern\": {}, \"modules_to_save\": null}";

/* An adapter as PEFT writes it, its numbers those of `a` (of the same layout: Hugging Face's). */
static void write_peft(const char *folder, const ae_adapter *a, const char *config,
                       const char *extra)
{
    char *config_path = join(folder, "adapter_config.json");
    char *weights = join(folder, "adapter_model.safetensors"), name[256];
    ae_named_param p[MAX];
    ae_safetensors_writer *w;
    int64_t n = ae_adapter_params(a, p, MAX);
    const int64_t one = 1;
    const float zero = 0;

    assert_int_equal(ae_file_make_folder(folder, NULL), AERIE_OK);
    assert_int_equal(ae_file_write(config_path, config, strlen(config), NULL), AERIE_OK);
    assert_int_equal(ae_safetensors_writer_open(&w, weights, NULL), AERIE_OK);
    for (int64_t i = 0; i < n; i++) {
        const int64_t dims[2] = { p[i].tensor->rows, p[i].tensor->cols };
        snprintf(name, sizeof name, "base_model.model.%s", p[i].name);
        ae_safetensors_writer_tensor(w, name, AE_F32, dims, dims[1] == 1 ? 1 : 2);
    }
    if (extra) ae_safetensors_writer_tensor(w, extra, AE_F32, &one, 1);
    for (int64_t i = 0; i < n; i++)
        ae_safetensors_writer_add(w, p[i].tensor->data,
                                  (size_t)(p[i].tensor->rows * p[i].tensor->cols) * sizeof(float));
    if (extra) ae_safetensors_writer_add(w, &zero, sizeof zero);
    assert_int_equal(ae_safetensors_writer_commit(w, NULL), AERIE_OK);
    ae_free(config_path);
    ae_free(weights);
}

/* A PEFT folder opens over the folder's model and over the GGUF made from it: the same function. */
static void peft_folder(void **state)
{
    char *scratch = scratch_make(), *gguf = join(scratch, "base.gguf"),
         *folder = join(scratch, "peft");
    ae_model *hf = open_or_fail(SHAPES "mistral");
    ae_adapter *a = new_adapter(hf, false), *bad = NULL;
    aerie_error err = { 0 };
    int64_t n = (int64_t)AE_COUNT(ids) * ae_model_config(hf)->vocab_size;
    (void)state;

    assert_int_equal(ae_model_save_gguf(hf, gguf, AE_F32, NULL), AERIE_OK);
    ae_model *m = open_or_fail(gguf);
    assert_true(ae_model_config(m)->rope_interleaved);
    write_peft(folder, a, config_text, NULL);
    ae_adapter *over_hf = open_adapter(folder, hf), *over_gguf = open_adapter(folder, m);
    float *want = logits_with(hf, &a, 1), *x = logits_with(hf, &over_hf, 1),
          *y = logits_with(m, &over_gguf, 1);
    assert_memory_equal(want, x, (size_t)n * sizeof *x);
    print_message("over the GGUF: %.1e\n", apart(want, y, n));
    assert_true(apart(want, y, n) < 2e-6);

    err = (aerie_error){ 0 };
    write_peft(folder, a,
               "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, "
               "\"modules_to_save\": [\"lm_head\"]}",
               NULL);
    assert_int_equal(ae_adapter_open(&bad, folder, hf, false, &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "'modules_to_save' has more than 'score'"));
    err = (aerie_error){ 0 };
    write_peft(folder, a, config_text, "base_model.model.lm_head.lora_magnitude");
    assert_int_equal(ae_adapter_open(&bad, folder, hf, false, &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "24 of its 25 tensors"));
    err = (aerie_error){ 0 };
    write_peft(folder, a,
               "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"use_qalora\": true}",
               NULL);
    assert_int_equal(ae_adapter_open(&bad, folder, hf, false, &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "use_qalora"));
    err = (aerie_error){ 0 };
    write_peft(folder, a, "{\"peft_type\": \"LORA\", \"r\": 5, \"lora_alpha\": 8}", NULL);
    assert_int_equal(ae_adapter_open(&bad, folder, hf, false, &err), AERIE_BAD_FILE);

    ae_free(want);
    ae_free(x);
    ae_free(y);
    ae_adapter_close(a);
    ae_adapter_close(over_hf);
    ae_adapter_close(over_gguf);
    ae_model_close(hf);
    ae_model_close(m);
    ae_free(gguf);
    ae_free(folder);
    scratch_remove(scratch);
}

/* Two, in order, and what the upper one's file says of the lower. */
static void stacked(void **state)
{
    char *scratch = scratch_make(), *file = join(scratch, "a.gguf");
    ae_model *m = open_or_fail(SHAPES "tied");
    ae_adapter *both[2] = { new_adapter(m, false), new_adapter(m, true) };
    ae_adapter *many[AE_MAX_LORA + 1];
    ae_arena arena = { 0 };
    ae_net net;
    ae_gguf *g;
    ae_bytes shown = { 0 };
    char hash[65];
    int64_t n = (int64_t)AE_COUNT(ids) * ae_model_config(m)->vocab_size;
    (void)state;

    float *one = logits_with(m, both, 1), *two = logits_with(m, both, 2);
    assert_true(apart(one, two, n) > 0.01);
    for (int i = 0; i <= AE_MAX_LORA; i++) many[i] = both[0];
    assert_int_equal(ae_net_with_adapters(&net, &arena, m, many, AE_MAX_LORA + 1, NULL),
                     AERIE_UNSUPPORTED);

    assert_int_equal(ae_adapter_set_beneath(both[1], both, 1, NULL), AERIE_OK);
    assert_int_equal(ae_adapter_save(both[1], file, m, NULL), AERIE_OK);
    ae_adapter_hash(both[0], hash);
    assert_int_equal(ae_gguf_open(&g, file, NULL), AERIE_OK);
    for (size_t i = 0; i < ae_gguf_entry_count(g); i++)
        if (strcmp(ae_gguf_entry_at(g, i).key, "aerie.chain") == 0)
            ae_gguf_entry_print(&shown, g, i, 2000);
    assert_non_null(shown.data);
    assert_non_null(strstr(shown.data, hash));
    ae_gguf_close(g);
    ae_bytes_free(&shown);
    ae_free(one);
    ae_free(two);
    ae_arena_free(&arena);
    ae_adapter_close(both[0]);
    ae_adapter_close(both[1]);
    ae_model_close(m);
    ae_free(file);
    scratch_remove(scratch);
}

/* One that turns and stretches: nothing is where it began. */
static ae_adapter *new_dora(const ae_model *m)
{
    ae_lora_options o = { .rank = 4, .alpha = 8, .dora = true };
    ae_adapter *a;
    ae_named_param p[MAX];
    aerie_error err = { 0 };
    ae_rng rng;

    for (int i = 0; i < AE_N_PROJ; i++) o.targets[i] = i != AE_PROJ_UP;
    if (ae_adapter_new(&a, m, &o, 5, &err)) fail_msg("%s", err.message);
    assert_int_equal(ae_adapter_norms(a, m, device, true, NULL), AERIE_OK);
    int64_t n = ae_adapter_params(a, p, MAX), vocab = ae_model_config(m)->vocab_size;
    float *plain = logits_with(m, NULL, 0), *with = logits_with(m, &a, 1);
    assert_int_equal(n, 3 * 2 * (AE_N_PROJ - 1));
    assert_memory_equal(plain, with, AE_COUNT(ids) * (size_t)vocab * sizeof *with);
    ae_free(plain);
    ae_free(with);
    ae_rng_seed(&rng, 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < p[i].tensor->rows * p[i].tensor->cols; k++)
            ae_f32(p[i].tensor)[k] += 0.1f * ae_rng_normal(&rng);
    assert_int_equal(ae_adapter_norms(a, m, device, false, NULL), AERIE_OK);
    return a;
}

/* Every row of W + 2 B A, brought to the length that its magnitude says. */
static void merge_dora(ae_model *m, const ae_adapter *a)
{
    ae_named_param base[MAX], p[MAX];
    int64_t n_base = ae_model_params(m, base, MAX), n = ae_adapter_params(a, p, MAX);

    for (int64_t i = 0; i < n; i += 3) {
        char name[128];
        const char *end = strstr(p[i].name, "lora_A.weight");
        assert_non_null(end);
        snprintf(name, sizeof name, "%.*sweight", (int)(end - p[i].name), p[i].name);
        ae_tensor *w = find(base, n_base, name);
        const float *down = ae_f32(p[i].tensor), *up = ae_f32(p[i + 1].tensor);
        for (int64_t r = 0; r < w->rows; r++) {
            float *row = ae_f32(w) + r * w->cols;
            double squares = 0;
            for (int64_t c = 0; c < w->cols; c++) {
                double sum = 0;
                for (int64_t k = 0; k < 4; k++)
                    sum += (double)up[r * 4 + k] * down[k * w->cols + c];
                row[c] += (float)(2 * sum);
                squares += (double)row[c] * row[c];
            }
            for (int64_t c = 0; c < w->cols; c++)
                row[c] *= (float)(ae_f32(p[i + 2].tensor)[r] / sqrt(squares));
        }
    }
}

static void same_numbers(const ae_model *m, ae_adapter *a, const float *want, double most)
{
    int64_t n = (int64_t)AE_COUNT(ids) * ae_model_config(m)->vocab_size;

    assert_int_equal(ae_adapter_norms(a, m, device, false, NULL), AERIE_OK);
    float *got = logits_with(m, &a, 1);
    if (!(apart(want, got, n) <= most)) fail_msg("%g apart", apart(want, got, n));
    ae_free(got);
    ae_adapter_close(a);
}

/* DoRA: what it computes, and that a PEFT folder and a file of this project's keep it in either
 * layout of rotation. */
static void dora(void **state)
{
    char *scratch = scratch_make(), *gguf = join(scratch, "base.gguf");
    char *folder = join(scratch, "peft"), *file = join(scratch, "a.gguf");
    ae_model *hf = open_or_fail(SHAPES "mistral"), *merged, *m;
    ae_adapter *a = new_dora(hf), *bad = NULL;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(ae_model_trainable(&merged, hf, NULL), AERIE_OK);
    merge_dora(merged, a);
    float *want = logits_with(merged, NULL, 0), *plain = logits_with(hf, NULL, 0);
    assert_true(apart(want, plain, (int64_t)AE_COUNT(ids) * ae_model_config(hf)->vocab_size) >
                0.01);
    assert_int_equal(ae_model_save_gguf(hf, gguf, AE_F32, NULL), AERIE_OK);
    m = open_or_fail(gguf);

    write_peft(folder, a,
               "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"use_dora\": true}", NULL);
    same_numbers(hf, open_adapter(folder, hf), want, 3e-6);
    ae_adapter *over_gguf = open_adapter(folder, m);
    assert_int_equal(ae_adapter_save(over_gguf, file, m, NULL), AERIE_OK);
    same_numbers(m, over_gguf, want, 3e-6);
    same_numbers(m, open_adapter(file, m), want, 3e-6);
    assert_int_equal(ae_adapter_save(a, file, hf, NULL), AERIE_OK);
    same_numbers(hf, open_adapter(file, hf), want, 3e-6);

    write_peft(folder, a, "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8}", NULL);
    assert_int_equal(ae_adapter_open(&bad, folder, hf, false, &err), AERIE_UNSUPPORTED);
    ae_adapter *lora = new_adapter(hf, false), *both[2] = { lora, a };
    ae_arena arena = { 0 };
    ae_net net;
    err = (aerie_error){ 0 };
    assert_int_equal(ae_net_with_adapters(&net, &arena, hf, both, 2, &err), AERIE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "over no other adapter"));
    write_peft(folder, lora,
               "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"use_dora\": true}", NULL);
    err = (aerie_error){ 0 };
    assert_int_equal(ae_adapter_open(&bad, folder, hf, false, &err), AERIE_BAD_FILE);
    assert_non_null(strstr(err.message, "but not"));
    assert_non_null(strstr(err.message, "lora_magnitude_vector"));

    ae_free(want);
    ae_free(plain);
    ae_arena_free(&arena);
    ae_adapter_close(lora);
    ae_adapter_close(a);
    ae_model_close(merged);
    ae_model_close(m);
    ae_model_close(hf);
    ae_free(gguf);
    ae_free(folder);
    ae_free(file);
    scratch_remove(scratch);
}

/* What is trained by us goes to PEFT's folder and back, from either layout of rotation. */
static void peft_written(void **state)
{
    char *scratch = scratch_make(), *gguf = join(scratch, "base.gguf"),
         *folder = join(scratch, "peft");
    ae_model *m[2] = { open_or_fail(SHAPES "mistral"), NULL };
    (void)state;

    assert_int_equal(ae_model_save_gguf(m[0], gguf, AE_F32, NULL), AERIE_OK);
    m[1] = open_or_fail(gguf);
    for (int i = 0; i < 2; i++) {
        ae_adapter *plain = new_adapter(m[i], true), *stretched = new_dora(m[i]), *back;
        aerie_error err = { 0 };
        char first[65], second[65];
        if (ae_adapter_save_peft(plain, folder, m[i], &err)) fail_msg("%s", err.message);
        back = open_adapter(folder, m[i]);
        ae_adapter_hash(plain, first);
        ae_adapter_hash(back, second);
        assert_string_equal(first, second);
        assert_true(ae_adapter_options(back)->rslora);
        ae_adapter *none = NULL;
        assert_int_equal(ae_adapter_open(&none, folder, m[1 - i], false, &err),
                         AERIE_BAD_ARGUMENT); /* the chain is in the folder too */
        ae_adapter_close(back);
        ae_adapter_close(plain);
        if (ae_adapter_save_peft(stretched, folder, m[i], &err)) fail_msg("%s", err.message);
        back = open_adapter(folder, m[i]);
        ae_adapter_hash(stretched, first);
        ae_adapter_hash(back, second);
        assert_string_equal(first, second);
        ae_adapter_close(back);
        ae_adapter_close(stretched);
    }
    ae_model_close(m[0]);
    ae_model_close(m[1]);
    ae_free(gguf);
    ae_free(folder);
    scratch_remove(scratch);
}

/* ---- ranks and alphas of some projections alone ---- */

static const char patterns[] =
    "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": \"all-linear\", "
    "\"rank_pattern\": {\"q_proj\": 2, \"layers\\\\.1\\\\..*down_proj\": 3, \"(.*)*(.*)*(.*)*x\": "
    "1}, "
    "\"alpha_pattern\": {\"model.layers.0.self_attn.[qkvo]_proj\": 24}, \"use_rslora\": %s}";

static int64_t rank_of(const char *name)
{
    if (strstr(name, "q_proj")) return 2;
    return strstr(name, "layers.1.") && strstr(name, "down_proj") ? 3 : 4;
}

static double alpha_of(const char *name)
{
    return strstr(name, "layers.0.self_attn") ? 24 : 8;
}

/* The first columns of a matrix, or its first rows: those of the rank. */
static void narrow(ae_tensor *t, int64_t rank, bool rows)
{
    if (!rows)
        for (int64_t r = 0; r < t->rows; r++)
            for (int64_t k = 0; k < rank; k++) ae_f32(t)[r * rank + k] = ae_f32(t)[r * t->cols + k];
    *(rows ? &t->rows : &t->cols) = rank;
}

/* An adapter of rank 4 becomes one of those ranks; w += scale * b * a in the model. */
static void narrow_and_merge(ae_model *m, const ae_adapter *a, bool rslora)
{
    ae_named_param base[MAX], p[MAX];
    int64_t n_base = ae_model_params(m, base, MAX), n = ae_adapter_params(a, p, MAX);

    for (int64_t i = 0; i < n; i += 2) {
        char name[128];
        int64_t rank = rank_of(p[i].name);
        double scale = alpha_of(p[i].name) / (rslora ? sqrt((double)rank) : (double)rank);
        narrow(p[i].tensor, rank, true);
        narrow(p[i + 1].tensor, rank, false);
        snprintf(name, sizeof name, "%.*sweight", (int)(strlen(p[i].name) - 13), p[i].name);
        ae_tensor *w = find(base, n_base, name);
        for (int64_t r = 0; r < w->rows; r++)
            for (int64_t c = 0; c < w->cols; c++) {
                double sum = 0;
                for (int64_t k = 0; k < rank; k++)
                    sum += (double)ae_f32(p[i + 1].tensor)[r * rank + k] *
                           ae_f32(p[i].tensor)[k * w->cols + c];
                ae_f32(w)[r * w->cols + c] += (float)(scale * sum);
            }
    }
}

/* Read, written and read again, as a folder and as a file: the same function. */
static void check_patterns(const char *scratch, bool rslora)
{
    char *folder = join(scratch, "peft"), *again = join(scratch, "again"),
         *file = join(scratch, "a.gguf"), config[600], first[65], second[65];
    ae_model *m = open_or_fail(SHAPES "mistral"), *merged;
    ae_adapter *a = new_adapter(m, false);
    aerie_error err = { 0 };
    int64_t n = (int64_t)AE_COUNT(ids) * ae_model_config(m)->vocab_size;

    assert_int_equal(ae_model_trainable(&merged, m, NULL), AERIE_OK);
    narrow_and_merge(merged, a, rslora);
    snprintf(config, sizeof config, patterns, rslora ? "true" : "false");
    write_peft(folder, a, config, NULL);
    ae_adapter *read = open_adapter(folder, m);
    float *want = logits_with(merged, NULL, 0), *x = logits_with(m, &read, 1);
    assert_true(apart(want, x, n) < 3e-6);
    if (ae_adapter_save_peft(read, again, m, &err)) fail_msg("%s", err.message);
    if (ae_adapter_save(read, file, m, &err)) fail_msg("%s", err.message);
    ae_adapter *from[] = { open_adapter(again, m), open_adapter(file, m) };
    ae_adapter_hash(read, first);
    ae_adapter_hash(from[0], second);
    assert_string_equal(first, second);
    for (int i = 0; i < 2; i++) {
        float *y = logits_with(m, &from[i], 1);
        print_message("patterns, saved: %.1e\n", apart(x, y, n));
        assert_true(apart(x, y, n) <= (i == 0 ? 0 : 2e-6));
        ae_adapter_close(from[i]);
        ae_free(y);
    }
    ae_free(want);
    ae_free(x);
    ae_adapter_close(a);
    ae_adapter_close(read);
    ae_model_close(merged);
    ae_model_close(m);
    ae_free(folder);
    ae_free(again);
    ae_free(file);
}

static void peft_patterns(void **state)
{
    static const char *const bad[][2] = {
        { "\"rank_pattern\": {\"q_proj\": 3}", "ask for" },
        { "\"rank_pattern\": {\"q_proj\": 1e9}", "a rank is from 1 to 4096" },
        { "\"alpha_pattern\": {\"q_proj\": -1}", "an alpha is positive" },
        { "\"alpha_pattern\": {\"(\": 1}", "no regular expression" },
        { "\"alpha_pattern\": {\"q_proj\": \"1\"}", "has no number" },
        { "\"rank_pattern\": 3", "is no object" },
    };
    char *scratch = scratch_make(), *folder = join(scratch, "bad");
    ae_model *m = open_or_fail(SHAPES "mistral");
    ae_adapter *a = new_adapter(m, false), *none = NULL;
    (void)state;

    check_patterns(scratch, false);
    check_patterns(scratch, true);
    for (size_t i = 0; i < AE_COUNT(bad); i++) {
        char config[200];
        aerie_error err = { 0 };
        snprintf(config, sizeof config,
                 "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, %s}", bad[i][0]);
        write_peft(folder, a, config, NULL);
        assert_int_not_equal(ae_adapter_open(&none, folder, m, false, &err), AERIE_OK);
        if (!strstr(err.message, bad[i][1])) fail_msg("'%s', wanted '%s'", err.message, bad[i][1]);
    }
    ae_adapter_close(a);
    ae_model_close(m);
    ae_free(folder);
    scratch_remove(scratch);
}

static void expect_refused(const ae_model *m, const char *const *specs, int n, const char *why)
{
    ae_adapter *out[AE_MAX_LORA] = { NULL };
    aerie_error err = { 0 };

    assert_int_equal(ae_adapters_open(out, specs, n, m, false, &err), AERIE_BAD_ARGUMENT);
    if (!strstr(err.message, why)) fail_msg("'%s' does not say '%s'", err.message, why);
    assert_non_null(strstr(err.message, "--force"));
    if (ae_adapters_open(out, specs, n, m, true, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < n; i++) ae_adapter_close(out[i]);
}

/* An adapter trained over another is laid over both or neither; a scale is what it is multiplied
 * with; the chain comes back as it was set. */
static void chained(void **state)
{
    char *scratch = scratch_make(), *one = join(scratch, "one.gguf"),
         *two = join(scratch, "two.gguf");
    char half[600], bad[600];
    ae_model *m = open_or_fail(SHAPES "tied");
    ae_adapter *a = new_adapter(m, false), *b = new_adapter(m, true), *out[2];
    ae_chain_link data = { .name = "pairs.jsonl", .scale = 1 };
    ae_chain origin = { .method = "dpo", .load_in = "nf4", .data = &data, .n_data = 1 };
    const char *both[2] = { one, two }, *only[1] = { two }, *odd[1] = { bad };
    int64_t n = (int64_t)AE_COUNT(ids) * ae_model_config(m)->vocab_size;
    aerie_error err = { 0 };
    (void)state;

    memset(data.hash, 'a', 64);
    memset(origin.recipe, 'b', 64);
    assert_int_equal(ae_adapter_save(a, one, m, NULL), AERIE_OK);
    assert_int_equal(ae_adapters_open(out, both, 1, m, false, NULL), AERIE_OK);
    assert_int_equal(ae_adapter_set_beneath(b, out, 1, NULL), AERIE_OK);
    ae_adapter_close(out[0]);
    assert_int_equal(ae_adapter_set_origin(b, &origin, NULL), AERIE_OK);
    assert_int_equal(ae_adapter_save(b, two, m, NULL), AERIE_OK);
    if (ae_adapters_open(out, both, 2, m, false, &err)) fail_msg("%s", err.message);
    const ae_chain *c = ae_adapter_chain(out[1]);
    assert_int_equal(c->n_parents, 1);
    assert_string_equal(c->parents[0].name, "one.gguf");
    assert_string_equal(c->method, "dpo");
    assert_string_equal(c->load_in, "nf4");
    assert_string_equal(c->recipe, origin.recipe);
    assert_int_equal(c->n_data, 1);
    assert_string_equal(c->data[0].hash, data.hash);
    float *want = logits_with(m, (ae_adapter *const[]){ a, b }, 2), *got = logits_with(m, out, 2);
    assert_memory_equal(want, got, (size_t)n * sizeof *got);
    ae_free(want), ae_free(got);
    ae_adapter_close(out[0]), ae_adapter_close(out[1]);

    expect_refused(m, only, 1, "was trained over the adapter 'one.gguf'");
    expect_refused(m, (const char *const[]){ two, one }, 2, "does not lie beneath it");

    /* Twice at half is once. */
    snprintf(half, sizeof half, "%s=0.5", one);
    assert_int_equal(ae_adapters_open(out, (const char *const[]){ half, half }, 2, m, false, &err),
                     AERIE_OK);
    want = logits_with(m, &a, 1), got = logits_with(m, out, 2);
    assert_true(apart(want, got, n) < 3e-6);
    ae_free(want), ae_free(got);
    ae_adapter_close(out[0]), ae_adapter_close(out[1]);
    snprintf(bad, sizeof bad, "%s=much", one);
    assert_int_equal(ae_adapters_open(out, odd, 1, m, false, &err), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "no such adapter"));

    ae_adapter_close(a), ae_adapter_close(b);
    ae_model_close(m);
    ae_free(one), ae_free(two);
    scratch_remove(scratch);
}

static void bad_options(void **state)
{
    ae_model *m = open_or_fail(SHAPES "tied");
    ae_adapter *a = NULL;
    ae_lora_options o = { .rank = 0, .alpha = 1 };
    (void)state;

    o.targets[0] = true;
    assert_int_equal(ae_adapter_new(&a, m, &o, 1, NULL), AERIE_BAD_ARGUMENT);
    o.rank = 8;
    o.alpha = 0;
    assert_int_equal(ae_adapter_new(&a, m, &o, 1, NULL), AERIE_BAD_ARGUMENT);
    o.alpha = 1;
    o.targets[0] = false;
    assert_int_equal(ae_adapter_new(&a, m, &o, 1, NULL), AERIE_BAD_ARGUMENT);
    assert_null(a);
    ae_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_merged), cmocka_unit_test(file_keeps_it),
        cmocka_unit_test(peft_folder),    cmocka_unit_test(stacked),
        cmocka_unit_test(peft_written),   cmocka_unit_test(chained),
        cmocka_unit_test(peft_patterns),  cmocka_unit_test(bad_options),
        cmocka_unit_test(dora),
    };

    if (ae_device_open(&device, AE_CPU_AUTO, 1, NULL)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    device->close(device);
    return failed;
}
