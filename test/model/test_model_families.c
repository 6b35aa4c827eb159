/* test_model_families.c -- the published models of every family, by what their config.json says: as
 * many parameters as they are known to have, and the same configuration through GGUF metadata. */
#include "model/config.h"
#include "model/params.h"
#include "model/support.h"

enum { TEXT = 300 }; /* tokens: several pages of a cache, many windows */

typedef struct {
    const char *name, *json;
    int64_t params;
} published;

#define CLASS(name, type) "{\"architectures\": [\"" name "\"], \"model_type\": \"" type "\", "
#define LLAMA             CLASS("LlamaForCausalLM", "llama")
#define MISTRAL           CLASS("MistralForCausalLM", "mistral")
#define QWEN2             CLASS("Qwen2ForCausalLM", "qwen2")
#define QWEN3             CLASS("Qwen3ForCausalLM", "qwen3")
#define GEMMA2            CLASS("Gemma2ForCausalLM", "gemma2")
#define GEMMA3            CLASS("Gemma3ForCausalLM", "gemma3_text")
#define SIZES(V, D, F, L, H, K)                                                                    \
    "\"vocab_size\": " #V ", \"hidden_size\": " #D ", \"intermediate_size\": " #F                  \
    ", \"num_hidden_layers\": " #L ", \"num_attention_heads\": " #H                                \
    ", \"num_key_value_heads\": " #K ", \"rms_norm_eps\": 1e-05, "
#define LLAMA3_SCALING(factor)                                                                     \
    "\"rope_theta\": 500000.0, \"rope_scaling\": {\"factor\": " #factor                            \
    ", \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "                                      \
    "\"original_max_position_embeddings\": 8192, \"rope_type\": \"llama3\"}"

static const published models[] = {
    { "Mistral 7B v0.1, Zephyr",
      MISTRAL SIZES(32000, 4096, 14336, 32, 32, 8) "\"sliding_window\": 4096}", 7241732096 },
    { "OpenChat 3.5, Starling",
      MISTRAL SIZES(32002, 4096, 14336, 32, 32, 8) "\"sliding_window\": 4096}", 7241748480 },
    { "Mistral 7B v0.3, Mathstral",
      MISTRAL SIZES(32768, 4096, 14336, 32, 32, 8) "\"sliding_window\": null, "
                                                   "\"rope_theta\": 1000000.0}",
      7248023552 },
    { "Llama 2 7B", LLAMA SIZES(32000, 4096, 11008, 32, 32, 32) "\"rope_scaling\": null}",
      6738415616 },
    { "Llama 2 70B", LLAMA SIZES(32000, 8192, 28672, 80, 64, 8) "\"rope_scaling\": null}",
      68976648192 },
    { "CodeLlama 7B", LLAMA SIZES(32016, 4096, 11008, 32, 32, 32) "\"rope_theta\": 1000000}",
      6738546688 },
    { "Yi 34B", LLAMA SIZES(64000, 7168, 20480, 60, 56, 8) "\"rope_theta\": 5000000.0}",
      34388917248 },
    { "TinyLlama 1.1B", LLAMA SIZES(32000, 2048, 5632, 22, 32, 4) "\"rope_scaling\": null}",
      1100048384 },
    { "SmolLM2 135M",
      LLAMA SIZES(49152, 576, 1536, 30, 9, 3) "\"rope_theta\": 100000, "
                                              "\"tie_word_embeddings\": true}",
      134515008 },
    { "Llama 3 8B", LLAMA SIZES(128256, 4096, 14336, 32, 32, 8) "\"rope_theta\": 500000.0}",
      8030261248 },
    { "Llama 3.1 8B", LLAMA SIZES(128256, 4096, 14336, 32, 32, 8) LLAMA3_SCALING(8.0) "}",
      8030261248 },
    { "Llama 3.2 1B",
      LLAMA SIZES(128256, 2048, 8192, 16, 32,
                  8) "\"head_dim\": 64, \"tie_word_embeddings\": true, " LLAMA3_SCALING(32.0) "}",
      1235814400 },
    { "Qwen2.5 7B",
      QWEN2 SIZES(152064, 3584, 18944, 28, 28, 4) "\"use_sliding_window\": false, "
                                                  "\"sliding_window\": 131072, "
                                                  "\"max_window_layers\": 28}",
      7615616512 },
    { "Qwen2.5 0.5B with YaRN",
      QWEN2 SIZES(151936, 896, 4864, 24, 14, 2) "\"tie_word_embeddings\": true, "
                                                "\"max_position_embeddings\": 32768, "
                                                "\"rope_scaling\": {\"factor\": 4.0, "
                                                "\"original_max_position_embeddings\": 32768, "
                                                "\"type\": \"yarn\"}}",
      494032768 },
    { "Qwen3 0.6B",
      QWEN3 SIZES(151936, 1024, 3072, 28, 16,
                  8) "\"head_dim\": 128, \"tie_word_embeddings\": true}",
      596049920 },
    { "Gemma 2 2B",
      GEMMA2 SIZES(256000, 2304, 9216, 26, 8,
                   4) "\"head_dim\": 256, \"query_pre_attn_scalar\": 256, "
                      "\"hidden_act\": \"gelu_pytorch_tanh\"}",
      2614341888 },
    { "Gemma 2 27B",
      GEMMA2 SIZES(256000, 4608, 36864, 46, 32, 16) "\"head_dim\": 128, "
                                                    "\"query_pre_attn_scalar\": 144}",
      27227128320 },
    { "Gemma 3 270M",
      GEMMA3 SIZES(
          262144, 640, 2048, 18, 4,
          1) "\"head_dim\": 256, \"sliding_window\": 512, "
             "\"_sliding_window_pattern\": 6, \"max_position_embeddings\": 32768, \"layer_types\": "
             "[\"sliding_attention\", \"sliding_attention\", \"sliding_attention\", "
             "\"sliding_attention\", "
             "\"sliding_attention\", \"full_attention\"]}",
      268098176 },
    /* The larger ones read images too, and leave most of the text model's keys to the class. */
    { "Gemma 3 4B",
      CLASS("Gemma3ForConditionalGeneration",
            "gemma3") "\"text_config\": {\"hidden_size\": 2560, \"intermediate_size\": 10240, "
                      "\"model_type\": "
                      "\"gemma3_text\", \"num_hidden_layers\": 34, \"rope_scaling\": {\"factor\": "
                      "8.0, "
                      "\"rope_type\": \"linear\"}, \"sliding_window\": 1024}, \"vision_config\": "
                      "{\"hidden_size\": "
                      "1152}}",
      3880263168 },
    { "Gemma 3 27B",
      CLASS("Gemma3ForConditionalGeneration",
            "gemma3") "\"text_config\": {\"head_dim\": 128, \"hidden_size\": 5376, "
                      "\"intermediate_size\": 21504, "
                      "\"model_type\": \"gemma3_text\", \"num_attention_heads\": 32, "
                      "\"num_hidden_layers\": 62, "
                      "\"num_key_value_heads\": 16, \"query_pre_attn_scalar\": 168, "
                      "\"rope_scaling\": {\"factor\": "
                      "8.0, \"rope_type\": \"linear\"}, \"sliding_window\": 1024}}",
      27009346304 },
};

static ae_config config_of(const published *p, const char *folder)
{
    char *path = join(folder, "config.json");
    aerie_error err = { 0 };
    ae_config c;

    assert_int_equal(ae_file_write(path, p->json, strlen(p->json), NULL), AERIE_OK);
    if (ae_config_from_hf(&c, path, &err)) fail_msg("%s: %s", p->name, err.message);
    ae_free(path);
    return c;
}

static int64_t count_params(const ae_config *c)
{
    ae_layer_weights *layers = ae_alloc((size_t)c->n_layers, sizeof *layers);
    const ae_weights w = { .layers = layers };
    int64_t sum = 0;

    assert_non_null(layers);
    for (int64_t i = 0; i < ae_param_sites(c); i++) {
        ae_param_site site = ae_param_site_at(c, &w, i);
        sum += site.rows * site.cols;
    }
    ae_free(layers);
    return sum;
}

static void parameters_counted(void **state)
{
    char *scratch = scratch_make();
    (void)state;

    for (size_t i = 0; i < AE_COUNT(models); i++) {
        ae_config c = config_of(&models[i], scratch);
        int64_t n = count_params(&c);
        if (n != models[i].params)
            fail_msg("%s: %lld parameters, not %lld", models[i].name, (long long)n,
                     (long long)models[i].params);
    }
    scratch_remove(scratch);
}

/* The metadata alone: what a tensor's presence says (a head, biases, divisors) is not in there. */
static ae_config through_gguf(const ae_config *c, const char *folder)
{
    char *path = join(folder, "m.gguf");
    ae_arena arena = { 0 };
    const float *factors;
    ae_gguf_writer *w;
    ae_gguf *g;
    aerie_error err = { 0 };
    ae_config out;

    assert_int_equal(ae_gguf_writer_open(&w, path, &err), AERIE_OK);
    ae_config_to_gguf(c, w);
    assert_int_equal(ae_gguf_writer_commit(w, &err), AERIE_OK);
    if (ae_gguf_open(&g, path, &err)) fail_msg("%s", err.message);
    if (ae_config_from_gguf(&out, g, &arena, &factors, &err)) fail_msg("%s", err.message);
    ae_gguf_close(g);
    ae_arena_free(&arena);
    ae_free(path);
    return out;
}

static void assert_same(const char *name, const ae_config *a, const ae_config *b)
{
    bool same = a->vocab_size == b->vocab_size && a->head_dim == b->head_dim &&
                a->n_kv_heads == b->n_kv_heads && a->max_position == b->max_position &&
                a->rope_theta == b->rope_theta && a->rope_local_theta == b->rope_local_theta &&
                a->query_pre_attn_scalar == b->query_pre_attn_scalar &&
                a->attn_logit_softcapping == b->attn_logit_softcapping &&
                a->final_logit_softcapping == b->final_logit_softcapping &&
                a->activation == b->activation && a->qk_norm == b->qk_norm &&
                a->post_norms == b->post_norms && a->scaled_embedding == b->scaled_embedding;

    for (int64_t i = 0; i < a->n_layers; i++)
        same = same && ae_config_window(a, i) == ae_config_window(b, i);
    if (a->rope_scaling != AE_ROPE_LLAMA3)
        same = same && a->rope_scaling == b->rope_scaling && a->rope_factor == b->rope_factor &&
               a->rope_attention_factor == b->rope_attention_factor;
    if (!same) fail_msg("%s: GGUF metadata gives another configuration", name);
}

static void same_through_gguf(void **state)
{
    char *scratch = scratch_make();
    (void)state;

    for (size_t i = 0; i < AE_COUNT(models); i++) {
        ae_config a = config_of(&models[i], scratch), b = through_gguf(&a, scratch);
        assert_same(models[i].name, &a, &b);
    }
    scratch_remove(scratch);
}

/* Which layers see everything, and by which rotation. */
static void windows_by_layer(void **state)
{
    ae_config c = { .sliding_window = 512, .window_period = 6, .n_layers = 18 };
    (void)state;

    for (int64_t i = 0; i < 18; i++)
        assert_int_equal(ae_config_window(&c, i), i % 6 == 5 ? 0 : 512);
    c.window_period = 2;
    assert_int_equal(ae_config_window(&c, 0), 512);
    assert_int_equal(ae_config_window(&c, 1), 0);
    c.window_period = 0;
    assert_int_equal(ae_config_window(&c, 17), 512);
}

/* An unscaled query in the 27B, by its number of layers: what llama.cpp takes for granted. */
static void large_gemmas(void **state)
{
    char *scratch = scratch_make();
    (void)state;

    for (size_t i = 0; i < AE_COUNT(models); i++) {
        ae_config c = config_of(&models[i], scratch);
        if (strcmp(models[i].name, "Gemma 2 27B") == 0) assert_true(c.query_pre_attn_scalar == 144);
        if (strcmp(models[i].name, "Gemma 3 27B") == 0) assert_true(c.query_pre_attn_scalar == 168);
        if (strstr(models[i].name, "YaRN")) assert_int_equal(c.max_position, 131072);
    }
    scratch_remove(scratch);
}

/* The fixture's weights as a model that reads images too has them: other names, more tensors. */
static void write_images_too(const char *folder, const char *prefix)
{
    static const int64_t patch[] = { 1, 1 };
    char *path = join(folder, "model.safetensors");
    ae_model *m = open_or_fail(SHAPES "gemma3");
    ae_named_param params[64];
    int64_t n = ae_model_params(m, params, 64);
    ae_safetensors_writer *w;
    ae_safetensors *s;
    aerie_error err = { 0 };

    assert_true(n <= 64);
    assert_int_equal(ae_safetensors_open(&s, SHAPES "gemma3", &err), AERIE_OK);
    assert_int_equal(ae_safetensors_writer_open(&w, path, &err), AERIE_OK);
    ae_safetensors_writer_tensor(w, "vision_tower.patch.weight", AE_F32, patch, 2);
    for (int64_t i = 0; i < n; i++) {
        const int64_t dims[] = { params[i].tensor->rows, params[i].tensor->cols };
        bool vector = dims[0] == 1;
        char name[128];
        snprintf(name, sizeof name, "%s%s", prefix, params[i].name + strlen("model."));
        ae_safetensors_writer_tensor(w, name, AE_F32, vector ? dims + 1 : dims, vector ? 1 : 2);
    }
    ae_safetensors_writer_add(w, "\0\0\0\0", 4);
    for (int64_t i = 0; i < n; i++) {
        const ae_stored_tensor *t = ae_tensor_list_find(ae_safetensors_tensors(s), params[i].name);
        ae_safetensors_writer_add(w, t->data, (size_t)(t->rows * t->cols) * sizeof(float));
    }
    assert_int_equal(ae_safetensors_writer_commit(w, &err), AERIE_OK);
    ae_safetensors_close(s);
    ae_model_close(m);
    ae_free(path);
}

static void write_images_config(const char *folder)
{
    char *path = join(folder, "config.json");
    json_t *text = json_load_file(SHAPES "gemma3/config.json", 0, NULL);
    json_t *root =
        json_pack("{s:[s],s:s,s:o,s:{}}", "architectures", "Gemma3ForConditionalGeneration",
                  "model_type", "gemma3", "text_config", text, "vision_config");

    assert_non_null(root);
    json_object_del(text, "architectures");
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    ae_free(path);
}

static int remarks;
static void count_remark(void *user, aerie_log_level level, const char *message)
{
    (void)user, (void)level;
    remarks += strstr(message, "its model of text alone") != NULL;
}

/* Older and newer names; the text's model is the same as without the images. */
static void images_too(void **state)
{
    static const char *const prefixes[] = { "language_model.model.", "model.language_model." };
    char *scratch = scratch_make(), alone[65], beside[65];
    ae_model *m = open_or_fail(SHAPES "gemma3");
    (void)state;

    assert_int_equal(ae_model_hash(m, alone, NULL), AERIE_OK);
    ae_model_close(m);
    write_images_config(scratch);
    aerie_log_set(count_remark, NULL);
    for (size_t i = 0; i < AE_COUNT(prefixes); i++) {
        write_images_too(scratch, prefixes[i]);
        m = open_or_fail(scratch);
        assert_int_equal(ae_model_hash(m, beside, NULL), AERIE_OK);
        assert_string_equal(alone, beside);
        assert_int_equal(remarks, i + 1);
        ae_model_close(m);
    }
    aerie_log_set(NULL, NULL);
    scratch_remove(scratch);
}

/* The next n tokens into the cache; their logits. */
static void go_on(ae_device *device, const ae_net *net, ae_kv *kv, const int32_t *ids, int64_t n,
                  float *logits)
{
    ae_arena arena = { 0 };
    ae_ctx cx = { .device = device, .arena = &arena };
    const ae_segment segment = { 0, n, -1, 0 };
    int32_t pos[TEXT], rows[TEXT];

    for (int64_t i = 0; i < n; i++) rows[i] = (int32_t)i, pos[i] = (int32_t)(ae_kv_len(kv) + i);
    const ae_batch batch = { n, ids, pos, &segment, 1, &kv };
    const ae_tensor *y = ae_net_logits(&cx, net, ae_net_hidden(&cx, net, &batch), rows, n);
    if (!y) fail_msg("%s", cx.error.message);
    memcpy(logits, y->data, (size_t)(y->rows * y->cols) * sizeof *logits);
    ae_arena_free(&arena);
}

static ae_kv *cache_of(const ae_config *c)
{
    int64_t windows[16];
    ae_kv *kv = NULL;

    assert_true(c->n_layers <= 16);
    for (int64_t i = 0; i < c->n_layers; i++) windows[i] = ae_config_window(c, i);
    const ae_kv_options o = { .shape = { AE_F32, c->n_kv_heads, c->head_dim },
                              .n_layers = c->n_layers,
                              .windows = windows,
                              .capacity = TEXT };
    assert_int_equal(ae_kv_new(&kv, &o, NULL, 0, NULL), AERIE_OK);
    return kv;
}

static void check_cached(ae_device *device, const char *shape)
{
    char *folder = join(SHAPES, shape);
    ae_model *m = open_or_fail(folder);
    int64_t V = ae_model_config(m)->vocab_size;
    ae_kv *kv = cache_of(ae_model_config(m));
    float *got = ae_alloc((size_t)(TEXT * V), sizeof *got);
    int32_t ids[TEXT];
    ae_rng rng;

    ae_rng_seed(&rng, 3);
    for (int64_t i = 0; i < TEXT; i++) ids[i] = (int32_t)ae_rng_below(&rng, (uint64_t)V);
    float *want = logits_of(device, ae_model_net(m), ids, TEXT);
    for (int64_t at = 0, n = 1; at < TEXT; at += n, n = n * 5 % 37) {
        if (n > TEXT - at) n = TEXT - at;
        go_on(device, ae_model_net(m), kv, ids + at, n, got + at * V);
    }
    if (memcmp(got, want, (size_t)(TEXT * V) * sizeof *got) != 0)
        fail_msg("%s: other bits through the cache", shape);
    ae_free(got);
    ae_free(want);
    ae_kv_free(kv);
    ae_model_close(m);
    ae_free(folder);
}

/* In pieces through a cache that forgets what falls out of a layer's window: the same bits. */
static void cached_by_layer(void **state)
{
    ae_device *device;
    (void)state;

    assert_int_equal(ae_device_open(&device, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    check_cached(device, "mistral");
    check_cached(device, "gemma2");
    check_cached(device, "gemma3");
    check_cached(device, "qwen3");
    check_cached(device, "yarn");
    device->close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_counted), cmocka_unit_test(same_through_gguf),
        cmocka_unit_test(windows_by_layer),   cmocka_unit_test(large_gemmas),
        cmocka_unit_test(images_too),         cmocka_unit_test(cached_by_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
