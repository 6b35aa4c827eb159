/* tiny.c -- see tiny.h. */
#include "tiny.h"

#include "format/format.h"

static const char config[] =
    "{\"architectures\": [\"MistralForCausalLM\"], \"model_type\": \"mistral\", \"vocab_size\": "
    "61,\n"
    " \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 2,\n"
    " \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"max_position_embeddings\": 128,\n"
    " \"sliding_window\": 12, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0,\n"
    " \"tie_word_embeddings\": false, \"hidden_act\": \"silu\"}\n";

static void must(aerie_status status, const aerie_error *err)
{
    if (status) fail_msg("%s", err->message);
}

char *tiny_path(const tiny *t, const char *name, const char *suffix)
{
    char joined[256];

    snprintf(joined, sizeof joined, "%s%s", name, suffix);
    return ae_path_join(t->folder, joined);
}

static void make_model(tiny *t)
{
    char *path = tiny_path(t, "config.json", "");
    aerie_error err = { 0 };
    ae_model *m;

    must(ae_file_write(path, config, strlen(config), &err), &err);
    must(ae_model_random(&m, t->folder, 7, &err), &err);
    t->model_path = tiny_path(t, "base.gguf", "");
    must(ae_model_save_gguf(m, t->model_path, AE_F32, &err), &err);
    ae_model_close(m);
    ae_free(path);
}

static void random_ids(int32_t *ids, ae_rng *rng, int64_t n)
{
    /* A rule that can be learned: mostly each token is the one before, plus three. */
    for (int64_t i = 0; i < n; i++)
        ids[i] = i == 0 || ae_rng_below(rng, 5) == 0 ? (int32_t)ae_rng_below(rng, TINY_VOCAB)
                                                     : (ids[i - 1] + 3) % TINY_VOCAB;
}

/* Room for n tokens, the last n_learned of weight 1. */
static ae_sample new_sample(ae_arena *arena, int32_t n, int32_t n_learned)
{
    ae_sample s = { .kind = AE_EXAMPLE_CHAT, .n = n };

    s.ids = ae_arena_take(arena, (size_t)n, sizeof *s.ids);
    s.weight = ae_arena_take(arena, (size_t)n, sizeof *s.weight);
    for (int32_t k = n - n_learned; k < n; k++) s.weight[k] = 1;
    return s;
}

static void make_samples(ae_samples *set, ae_rng *rng, size_t n)
{
    set->items = ae_arena_take(&set->arena, n, sizeof *set->items);
    for (set->n = 0; set->n < n; set->n++) {
        int32_t length = 2 + (int32_t)ae_rng_below(rng, 30);
        ae_sample s = new_sample(&set->arena, length, length - length / 3);
        random_ids(s.ids, rng, length);
        set->items[set->n] = s;
    }
}

static void make_pairs(ae_samples *set, ae_rng *rng, size_t n)
{
    set->items = ae_arena_take(&set->arena, n, sizeof *set->items);
    for (set->n = 0; set->n < n; set->n++) {
        int32_t prompt = 1 + (int32_t)ae_rng_below(rng, 20),
                chosen = 1 + (int32_t)ae_rng_below(rng, 15);
        int32_t rejected = 1 + (int32_t)ae_rng_below(rng, 15);
        ae_sample s = new_sample(&set->arena, prompt + chosen + rejected, chosen + rejected);
        s.kind = AE_EXAMPLE_PAIR;
        s.n_prompt = prompt;
        s.n_chosen = chosen;
        s.n_rejected = rejected;
        random_ids(s.ids, rng, prompt);
        random_ids(s.ids + prompt, rng, chosen);
        random_ids(s.ids + prompt + chosen, rng, rejected);
        set->items[set->n] = s;
    }
}

void tiny_open(tiny *t)
{
    aerie_error err = { 0 };
    ae_rng rng;

    *t = (tiny){ .folder = scratch_make() };
    ae_rng_seed(&rng, 11);
    make_model(t);
    make_samples(&t->samples, &rng, 37);
    make_pairs(&t->pairs, &rng, 23);
    t->replies = (ae_samples){ .items = t->pairs.items, .n = t->pairs.n };
    must(ae_samples_unpair(&t->replies, true, 0, &err), &err);
}

void tiny_close(tiny *t)
{
    ae_arena_free(&t->samples.arena);
    ae_arena_free(&t->pairs.arena);
    ae_arena_free(&t->replies.arena);
    ae_free(t->model_path);
    scratch_remove(t->folder);
}

const ae_samples *tiny_data(const tiny *t, const char *method)
{
    static const char *const of_pairs[] = { "dpo", "orpo", "simpo", "cpo" };

    for (size_t i = 0; i < AE_COUNT(of_pairs); i++)
        if (strcmp(of_pairs[i], method) == 0) return &t->pairs;
    return strcmp(method, "kto") == 0 || strcmp(method, "bco") == 0 ? &t->replies : &t->samples;
}

static size_t settings_of(const tiny *t, const tiny_run *r, char (*buffers)[320], const char **out)
{
    size_t n = 0;

    snprintf(buffers[0], 320, "method=%s", r->method);
    snprintf(buffers[1], 320, "model=%s", t->model_path);
    snprintf(buffers[2], 320, "output=%s/%s", t->folder, r->output);
    snprintf(buffers[3], 320, "data=none.jsonl");
    snprintf(buffers[4], 320, "batch_size=5");
    snprintf(buffers[5], 320, "learning_rate=1e-3");
    snprintf(buffers[6], 320, "output_type=f32");
    snprintf(buffers[7], 320, "warmup_steps=2");
    for (; n < 8; n++) out[n] = buffers[n];
    for (size_t i = 0; i < r->n; i++) {
        bool automatic = strncmp(r->settings[i], "auto_learning_rate=", 19) == 0;
        if (automatic) out[5] = "seed=42"; /* it and a rate exclude each other */
        out[n++] = r->settings[i];
    }
    return n;
}

aerie_status tiny_train(const tiny *t, const tiny_run *r, aerie_train_summary *summary,
                        aerie_error *err)
{
    char buffers[8][320];
    const char *settings[32];
    size_t n = settings_of(t, r, buffers, settings);
    const ae_samples *data = r->data ? r->data : tiny_data(t, r->method);
    ae_recipe recipe = { 0 };
    ae_device *device = NULL;
    ae_model *model = NULL;
    aerie_status status = ae_recipe_load(&recipe, NULL, settings, n, err);

    if (!status) status = ae_device_open(&device, r->cpu, r->threads ? r->threads : 1, err);
    if (!status) status = ae_model_open(&model, t->model_path, err);
    if (!status) status = ae_recipe_load_in(&recipe, model, device, err);
    if (!status) status = ae_train(&recipe, device, model, data, r->eval, &r->run, summary, err);
    ae_model_close(model);
    if (device) device->close(device);
    ae_recipe_free(&recipe);
    return status;
}

ae_bytes tiny_output(const tiny *t, const tiny_run *r, aerie_train_summary *summary)
{
    char *path = tiny_path(t, r->output, "");
    aerie_train_summary unwanted;
    aerie_error err = { 0 };
    ae_bytes bytes = { 0 };

    must(tiny_train(t, r, summary ? summary : &unwanted, &err), &err);
    must(ae_file_read(&bytes, path, 0, &err), &err);
    ae_free(path);
    return bytes;
}

typedef struct {
    int64_t at, seen;
} stopping;

static int stop_within(void *user, const aerie_train_progress *p)
{
    stopping *s = user;

    return p->phase == AERIE_TRAIN_WITHIN && ++s->seen == s->at;
}

int64_t tiny_assert_stops_within(const tiny *t, const tiny_run *r)
{
    ae_bytes whole = tiny_output(t, r, NULL);
    aerie_train_summary summary;
    stopping s = { 0 };

    for (;;) {
        tiny_run part = *r;
        aerie_error err = { 0 };
        s = (stopping){ .at = s.at + 1 };
        part.run.progress = stop_within;
        part.run.user = &s;
        if (tiny_train(t, &part, &summary, &err) == AERIE_OK) break;
        assert_int_equal(err.status, AERIE_INTERRUPTED);
        if (!strstr(err.message, "stopped within step")) fail_msg("'%s'", err.message);
        part.run.progress = NULL;
        part.run.resume = true;
        ae_bytes parts = tiny_output(t, &part, &summary);
        tiny_assert_same(&whole, &parts, r->method);
        ae_bytes_free(&parts);
    }
    ae_bytes_free(&whole);
    return s.at - 1;
}

void tiny_assert_same(const ae_bytes *a, const ae_bytes *b, const char *what)
{
    size_t i = 0;

    while (i < a->len && i < b->len && a->data[i] == b->data[i]) i++;
    if (a->len != b->len || i < a->len)
        fail_msg("%s: the outputs differ from byte %zu (of %zu and %zu)", what, i, a->len, b->len);
}

void tiny_assert_same_adapter(const ae_bytes *a, const ae_bytes *b, const char *what)
{
    ae_gguf *g, *h;

    assert_int_equal(ae_gguf_open_memory(&g, a->data, a->len, "a", NULL), AERIE_OK);
    assert_int_equal(ae_gguf_open_memory(&h, b->data, b->len, "b", NULL), AERIE_OK);
    size_t n = ae_tensor_list_len(ae_gguf_tensors(g));
    assert_int_equal(n, ae_tensor_list_len(ae_gguf_tensors(h)));
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        const ae_stored_tensor *x = ae_tensor_list_at(ae_gguf_tensors(g), i);
        const ae_stored_tensor *y = ae_tensor_list_at(ae_gguf_tensors(h), i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->bytes, y->bytes);
        if (memcmp(x->data, y->data, x->bytes)) fail_msg("%s: %s differs", what, x->name);
    }
    ae_gguf_close(g);
    ae_gguf_close(h);
}
