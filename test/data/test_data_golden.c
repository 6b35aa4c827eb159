/* test_data_golden.c -- recorded records, truncations and packings, and real files of pairs. They
 * lie outside of the project: a test whose file is missing is skipped. */
#include "data/encode.h"
#include "data/files.h"
#include "data/tiny_vocab.h"

static char *shared_path(const char *name)
{
    const char *root = getenv("AERIE_SHARED");
    char *path = ae_path_join(root && *root ? root : "../shared", name);
    assert_non_null(path);
    if (ae_file_exists(path)) return path;
    print_message("skipped: there is no %s\n", path);
    ae_free(path);
    return NULL;
}

static json_t *load(const char *name)
{
    char *path = shared_path(name);
    json_t *root = path ? json_load_file(path, 0, NULL) : NULL;
    ae_free(path);
    return root;
}

/* Calls `check` with each case whose name begins with `prefix`; returns how many. */
static size_t each_case(json_t *root, const char *prefix,
                        void (*check)(const char *name, json_t *in, json_t *out))
{
    json_t *one;
    size_t i, n = 0;
    json_array_foreach(json_object_get(root, "cases"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        json_t *in = json_object_get(one, "inputs"), *out = json_object_get(one, "outputs");
        if (strncmp(name, prefix, strlen(prefix)) != 0) continue;
        check(name, in ? in : json_object_get(one, "input"),
              out ? out : json_object_get(one, "output"));
        n++;
    }
    return n;
}

static void assert_same(json_t *got, json_t *want)
{
    char *text = json_dumps(want, JSON_ENCODE_ANY);
    assert_messages(got, text);
    free(text);
}

static data_file open_row(json_t *row, ae_example_kind kind)
{
    char *text = json_dumps(row, 0);
    data_file f = data_open("row.jsonl", text, kind);
    free(text);
    return f;
}

static void check_pair(const char *name, json_t *in, json_t *out)
{
    data_file f = open_row(in, AE_EXAMPLE_PAIR);
    ae_example e = ae_dataset_at(f.dataset, 0);
    (void)name;
    assert_same(e.messages, json_object_get(out, "prompt"));
    assert_same(e.chosen, json_object_get(out, "chosen"));
    assert_same(e.rejected, json_object_get(out, "rejected"));
    data_close(&f);
}

static void check_chat(const char *name, json_t *in, json_t *out)
{
    data_file f = open_row(in, AE_EXAMPLE_CHAT);
    (void)name;
    assert_same(ae_dataset_at(f.dataset, 0).messages, json_object_get(out, "messages"));
    data_close(&f);
}

/* UltraChat as Zephyr renders it: an empty system message where the row has none. */
static void check_rendered(const char *name, json_t *in, json_t *out)
{
    data_file f = open_row(in, AE_EXAMPLE_CHAT);
    ae_example e = ae_dataset_at(f.dataset, 0);
    ae_tokenizer *t = tiny_vocab(true);
    ae_template *format;
    ae_renderer r;
    ae_bytes text = { 0 };
    (void)name;
    assert_int_equal(ae_template_parse(&format, ae_span_text(ae_template_known("zephyr")), NULL),
                     AERIE_OK);
    ae_encode_options o = { .tokenizer = t, .chat_template = format, .empty_system = true };
    assert_int_equal(ae_renderer_open(&r, &e, &o, NULL), AERIE_OK);
    json_t *messages = ae_renderer_messages(&r);
    assert_int_equal(ae_renderer_add(&r, messages, false, &text, NULL), AERIE_OK);
    assert_string_equal(text.data, json_string_value(json_object_get(out, "text")));
    json_decref(messages);
    ae_bytes_free(&text);
    ae_renderer_close(&r);
    ae_template_free(format);
    ae_tokenizer_close(t);
    data_close(&f);
}

static void recorded_shapes(void **state)
{
    json_t *root = load("golden/alignment/datasets.json");
    (void)state;
    if (!root) return;
    assert_int_equal(each_case(root, "hh_rlhf", check_pair), 1);
    assert_int_equal(each_case(root, "ultrafeedback_binarized", check_pair), 1);
    assert_int_equal(each_case(root, "sharegpt", check_chat), 1);
    assert_int_equal(each_case(root, "alpaca", check_chat), 2);
    assert_int_equal(each_case(root, "ultrachat_200k", check_rendered), 1);
    json_decref(root);
}

static int32_t put_ids(int32_t *to, json_t *ids)
{
    json_t *id;
    size_t i;
    json_array_foreach(ids, i, id) to[i] = (int32_t)json_integer_value(id);
    return (int32_t)json_array_size(ids);
}

static void assert_ids(const int32_t *ids, int32_t n, json_t *want)
{
    assert_int_equal(n, json_array_size(want));
    for (int32_t i = 0; i < n; i++)
        assert_int_equal(ids[i], json_integer_value(json_array_get(want, (size_t)i)));
}

static int32_t number(json_t *in, const char *key)
{
    return (int32_t)json_integer_value(json_object_get(in, key));
}

static void check_handbook(const char *name, json_t *in, json_t *out)
{
    int32_t ids[64];
    float weight[64] = { 0 };
    ae_sample s = { .kind = AE_EXAMPLE_PAIR, .ids = ids, .weight = weight };
    s.n_prompt = put_ids(ids, json_object_get(in, "prompt"));
    s.n_chosen = put_ids(ids + s.n_prompt, json_object_get(in, "chosen"));
    s.n_rejected = put_ids(ids + s.n_prompt + s.n_chosen, json_object_get(in, "rejected"));
    s.n = s.n_prompt + s.n_chosen + s.n_rejected;
    bool end = strcmp(json_string_value(json_object_get(in, "mode")), "keep_end") == 0;
    (void)name;
    ae_sample_truncate_pair(&s, number(in, "max_length"), number(in, "max_prompt_length"),
                            end ? AE_KEEP_END : AE_KEEP_START);
    assert_ids(ids, s.n_prompt, json_object_get(out, "prompt"));
    assert_ids(ids + s.n_prompt, s.n_chosen, json_object_get(out, "chosen"));
    assert_ids(ids + s.n_prompt + s.n_chosen, s.n_rejected, json_object_get(out, "rejected"));
}

/* The recorded case knows one reply: it stands for both. */
static void check_trl1(const char *name, json_t *in, json_t *out)
{
    int32_t ids[64];
    float weight[64] = { 0 };
    ae_sample s = { .kind = AE_EXAMPLE_PAIR, .ids = ids, .weight = weight };
    json_t *reply = json_object_get(in, "completion");
    s.n_prompt = put_ids(ids, json_object_get(in, "prompt"));
    s.n_chosen = put_ids(ids + s.n_prompt, reply);
    s.n_rejected = put_ids(ids + s.n_prompt + s.n_chosen, reply);
    s.n = s.n_prompt + s.n_chosen + s.n_rejected;
    (void)name;
    ae_sample_truncate_pair(&s, number(in, "max_length"), 0, AE_CUT_END);
    assert_int_equal(s.dropped, json_is_true(json_object_get(out, "dropped")));
    if (!s.dropped) assert_ids(ids, s.n_prompt + s.n_chosen, json_object_get(out, "input_ids"));
}

static void recorded_truncations(void **state)
{
    json_t *root = load("golden/alignment/truncation.json");
    (void)state;
    if (!root) return;
    assert_int_equal(each_case(root, "dpo_handbook", check_handbook), 6);
    assert_int_equal(each_case(root, "dpo_trl1", check_trl1), 3);
    json_decref(root);
}

static void check_constant_length(const char *name, json_t *in, json_t *out)
{
    int32_t ids[16][16];
    float weight[16];
    ae_sample items[16] = { 0 };
    ae_samples samples = { .items = items }, blocks;
    json_t *seq, *want = json_object_get(out, "blocks");
    (void)name;
    for (size_t i = 0; i < 16; i++) weight[i] = i != 0;
    json_array_foreach(json_object_get(in, "seqs"), samples.n, seq)
    {
        ae_sample *s = &items[samples.n];
        *s = (ae_sample){ .kind = AE_EXAMPLE_TEXT, .ids = ids[samples.n], .weight = weight };
        s->n = put_ids(s->ids, seq);
        s->ids[s->n++] = number(in, "eos");
    }
    int32_t length = number(in, "seq_length");
    assert_int_equal(ae_samples_wrap(&blocks, &samples, length, NULL), AERIE_OK);
    assert_int_equal(blocks.n, json_array_size(want));
    for (size_t i = 0; i < blocks.n; i++) {
        assert_ids(blocks.items[i].ids, blocks.items[i].n, json_array_get(want, i));
        for (int32_t k = 0; k < length; k++) assert_true(blocks.items[i].weight[k] == (k ? 1 : 0));
    }
    ae_samples_free(&blocks);
}

static void assert_rows(const ae_packing *p, json_t *want)
{
    assert_int_equal(p->n_rows, json_array_size(want));
    for (int32_t r = 0; r < p->n_rows; r++)
        assert_ids(p->items + p->starts[r], p->starts[r + 1] - p->starts[r],
                   json_array_get(want, (size_t)r));
}

static void check_bins(const char *name, json_t *in, json_t *out)
{
    int32_t lengths[64], n = put_ids(lengths, json_object_get(in, "lengths"));
    ae_arena arena = { 0 };
    ae_packing p;
    ae_pack_how how = strcmp(name, "ffd") == 0 ? AE_PACK_FIRST_FIT : AE_PACK_BEST_FIT;
    assert_int_equal(ae_pack(&p, lengths, n, number(in, "capacity"), how, &arena, NULL), AERIE_OK);
    assert_rows(&p, json_object_get(out, "bins"));
    ae_arena_free(&arena);
}

static void check_multipack(const char *name, json_t *in, json_t *out)
{
    int32_t lengths[64], n = put_ids(lengths, json_object_get(in, "lengths")), at = 0;
    ae_arena arena = { 0 };
    json_t *step;
    size_t i;
    (void)name;
    json_array_foreach(json_object_get(out, "steps"), i, step)
    {
        ae_packing p;
        assert_int_equal(ae_pack_step(&p, &at, lengths, at, n, number(in, "capacity"),
                                      number(in, "n_ranks"), &arena, NULL),
                         AERIE_OK);
        assert_rows(&p, step);
    }
    assert_int_equal(at, n);
    ae_arena_free(&arena);
}

static void recorded_packings(void **state)
{
    json_t *root = load("golden/alignment/packing.json");
    (void)state;
    if (!root) return;
    assert_int_equal(each_case(root, "constant_length", check_constant_length), 1);
    assert_int_equal(each_case(root, "ffd", check_bins), 1);
    assert_int_equal(each_case(root, "bfd", check_bins), 1);
    assert_int_equal(each_case(root, "openchat_multipack", check_multipack), 1);
    json_decref(root);
}

typedef struct {
    const char *file, *shape;
    ae_example_kind kind;
    size_t rows;
} real_file;

static const real_file real_files[] = {
    { "data/preference/llamafactory_dpo_en_demo.json.gz", "sharegpt pairs", AE_EXAMPLE_PAIR, 300 },
    { "data/preference/hh_rlhf_harmless_shared.jsonl.gz", "hh-rlhf", AE_EXAMPLE_PAIR, 1849 },
    { "data/sft/llamafactory_alpaca_en_demo.json.gz", "alpaca", AE_EXAMPLE_CHAT, 999 },
    { "data/sft/gpteacher_roleplay.json.gz", "alpaca", AE_EXAMPLE_CHAT, 1923 },
    { "data/sft/fastchat_dummy_conversation.json.gz", "sharegpt", AE_EXAMPLE_CHAT, 500 },
    { "data/sft/llamafactory_glaive_toolcall_en_demo.json.gz", "sharegpt", AE_EXAMPLE_CHAT, 300 },
    { "data/sft/oasst_en_best_sft_shared.jsonl.gz", "messages", AE_EXAMPLE_CHAT, 170 },
    { "data/text/llamafactory_c4_demo.jsonl.gz", "text", AE_EXAMPLE_TEXT, 300 },
};

/* Prompt with either reply, decoded, is the conversation as rendered. */
static void check_whole(const ae_sample *s, const ae_example *e, const ae_encode_options *o)
{
    ae_bytes text = { 0 }, want = { 0 };
    json_t *all = json_copy(e->messages);
    ae_template_input in = { .messages = all, .bos_token = "<s>", .eos_token = "</s>" };
    ae_ids ids = { 0 };
    json_array_extend(all, e->rejected);
    assert_int_equal(ae_template_render(o->chat_template, &in, &want, NULL), AERIE_OK);
    ae_ids_add_all(&ids, s->ids, (size_t)s->n_prompt);
    ae_ids_add_all(&ids, s->ids + s->n_prompt + s->n_chosen, (size_t)s->n_rejected);
    ae_ids whole = { 0 };
    assert_int_equal(ae_tokenizer_encode(o->tokenizer, ae_span_of(&want),
                                         AE_ENCODE_BOS | AE_ENCODE_SPECIAL, &whole, NULL, NULL),
                     AERIE_OK);
    assert_int_equal(ids.len, whole.len);
    assert_memory_equal(ids.data, whole.data, ids.len * sizeof *ids.data);
    json_decref(all);
    ae_ids_free(&ids);
    ae_ids_free(&whole);
    ae_bytes_free(&text);
    ae_bytes_free(&want);
}

static void check_real_file(const real_file *f, const ae_encode_options *o)
{
    char *path = shared_path(f->file);
    const char *paths[] = { path };
    ae_dataset_options options = { .kind = f->kind };
    ae_dataset *d;
    ae_samples samples;
    aerie_error err = { 0 };
    if (!path) return;
    if (ae_dataset_open(&d, paths, 1, &options, &err)) fail_msg("%s", err.message);
    assert_string_equal(ae_dataset_shape(d), f->shape);
    assert_int_equal(ae_dataset_len(d), f->rows);
    if (ae_samples_encode(&samples, d, o, NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(samples.n + samples.n_dropped, f->rows);
    for (size_t i = 0; i < samples.n && f->kind == AE_EXAMPLE_PAIR && samples.n_dropped == 0; i++) {
        ae_example e = ae_dataset_at(d, i);
        check_whole(&samples.items[i], &e, o);
    }
    print_message("%-58s %5zu samples, %7lld tokens, %7lld learned, longest %d\n", f->file,
                  samples.n, (long long)samples.n_tokens, (long long)samples.n_trained,
                  samples.longest);
    ae_samples_free(&samples);
    ae_dataset_close(d);
    ae_free(path);
}

static void real_files_as_zephyr(void **state)
{
    char *path = shared_path("data/tokenizers/mistral_v1_32000_tokenizer.model");
    ae_encode_options o = { 0 };
    ae_tokenizer *t;
    ae_template *format;
    (void)state;
    if (!path) return;
    assert_int_equal(ae_tokenizer_open(&t, path, NULL), AERIE_OK);
    /* Tools answer in some of the files, for which the format's own words are enough. */
    const char *source =
        "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token + "
        "'\\n' }}{% endfor %}{{ '<|assistant|>\\n' if add_generation_prompt }}";
    assert_int_equal(ae_template_parse(&format, ae_span_text(source), NULL), AERIE_OK);
    o.tokenizer = t;
    o.chat_template = format;
    for (size_t i = 0; i < AE_COUNT(real_files); i++) check_real_file(&real_files[i], &o);
    ae_template_free(format);
    ae_tokenizer_close(t);
    ae_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_shapes),
        cmocka_unit_test(recorded_truncations),
        cmocka_unit_test(recorded_packings),
        cmocka_unit_test(real_files_as_zephyr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
