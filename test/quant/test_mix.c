/* test_mix.c -- which tensor gets which type: against llama.cpp's own choice (mixes.txt, written by
 * tools/golden/make_mix_fixture.py), and the sizes that people know of a 7B. */
#include "scratch.h"

#include "quant/quant.h"

enum { MOST_LAYERS = 100, MOST_TENSORS = 4096, MOST_NAMED = 32 };

static ae_dtype dtype_of_letter(char letter)
{
    static const struct {
        char letter;
        ae_dtype dtype;
    } letters[] = { { 'F', AE_F32 },  { 'H', AE_F16 },  { 'B', AE_BF16 }, { '0', AE_Q4_0 },
                    { '1', AE_Q4_1 }, { '5', AE_Q5_0 }, { '6', AE_Q5_1 }, { '8', AE_Q8_0 },
                    { '2', AE_Q2_K }, { '3', AE_Q3_K }, { 'k', AE_Q4_K }, { 'l', AE_Q5_K },
                    { 'm', AE_Q6_K } };

    for (size_t i = 0; i < AE_COUNT(letters); i++)
        if (letters[i].letter == letter) return letters[i].dtype;
    fail_msg("no type is called '%c'", letter);
    return AE_DTYPE_NONE;
}

typedef struct {
    char name[64];
    int64_t n_dims, cols;
} named;

static struct {
    char architecture[32];
    ae_mix_model model;
    int has_importance;
    named outer[MOST_NAMED], inner[MOST_NAMED];
    size_t n_outer, n_inner;
} shape;

static ae_mix_tensor tensors[MOST_TENSORS];
static char names[MOST_TENSORS][64];

static void read_model(const char *line)
{
    long long layers, heads, kv_heads, experts;

    memset(&shape, 0, sizeof shape);
    assert_int_equal(
        sscanf(line, "model %31s layers=%lld heads=%lld kv_heads=%lld experts=%lld imatrix=%d",
               shape.architecture, &layers, &heads, &kv_heads, &experts, &shape.has_importance),
        6);
    assert_true(layers <= MOST_LAYERS);
    shape.model = (ae_mix_model){ shape.architecture, layers, heads, kv_heads, experts };
}

static void read_named(const char *line)
{
    bool outer = line[0] == 'o';
    size_t *n = outer ? &shape.n_outer : &shape.n_inner;
    named *t = &(outer ? shape.outer : shape.inner)[(*n)++];
    long long n_dims, cols;

    assert_true(*n <= MOST_NAMED);
    assert_int_equal(sscanf(line, "%*s %63s %lld %lld", t->name, &n_dims, &cols), 3);
    t->n_dims = n_dims;
    t->cols = cols;
}

/* Every tensor of the model: outer ones, then layer by layer. */
static size_t lay_out(void)
{
    size_t n = 0;

    for (size_t i = 0; i < shape.n_outer; i++, n++) {
        snprintf(names[n], sizeof names[n], "%s", shape.outer[i].name);
        tensors[n] = (ae_mix_tensor){ names[n], AE_F32, shape.outer[i].n_dims, shape.outer[i].cols,
                                      AE_DTYPE_NONE };
    }
    for (int layer = 0; layer < (int)shape.model.n_layers; layer++)
        for (size_t i = 0; i < shape.n_inner; i++, n++) {
            const named *t = &shape.inner[i];
            snprintf(names[n], sizeof names[n], "blk.%d.%.48s", layer, t->name);
            tensors[n] = (ae_mix_tensor){ names[n], AE_F32, t->n_dims, t->cols, AE_DTYPE_NONE };
        }
    assert_true(n <= MOST_TENSORS);
    return n;
}

static void assign(const char *mix, const ae_mix_options *options, size_t n)
{
    aerie_error err = { 0 };

    if (ae_mix_assign(ae_mix_find(mix), &shape.model, options, tensors, n, &err))
        fail_msg("%s", err.message);
}

static void check_mix(const char *line)
{
    char mix[16], letters[MOST_TENSORS + 1];
    ae_mix_options options = { .has_importance = shape.has_importance,
                               .output_type = AE_DTYPE_NONE,
                               .embedding_type = AE_DTYPE_NONE };
    size_t n = lay_out();

    assert_int_equal(sscanf(line, "%15s %4096s", mix, letters), 2);
    assert_int_equal(strlen(letters), n);
    assert_non_null(ae_mix_find(mix));
    assign(mix, &options, n);
    for (size_t i = 0; i < n; i++)
        if (tensors[i].result != dtype_of_letter(letters[i]))
            fail_msg("%s of %s with %lld layers, importance %d: '%s' is %s, not %s", mix,
                     shape.architecture, (long long)shape.model.n_layers, shape.has_importance,
                     tensors[i].name, ae_dtype_info_of(tensors[i].result)->name,
                     ae_dtype_info_of(dtype_of_letter(letters[i]))->name);
}

static void types_are_llama_cpps(void **state)
{
    static char line[MOST_TENSORS + 64];
    FILE *f = fopen("test/quant/mixes.txt", "r");
    int n_mixes = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "model ", 6)) {
            read_model(line);
        } else if (!strncmp(line, "outer ", 6) || !strncmp(line, "inner ", 6)) {
            read_named(line);
        } else {
            check_mix(line);
            n_mixes++;
        }
    }
    fclose(f);
    assert_int_equal(
        n_mixes, 10 * 18 - 7); /* without importance Q2_K_S is refused, unless no row fits Q2_K */
}

static void mistral_7b(void)
{
    static const char *const lines[] = {
        "outer token_embd.weight 2 4096", "outer output_norm.weight 1 4096",
        "outer output.weight 2 4096",     "inner attn_norm.weight 1 4096",
        "inner attn_q.weight 2 4096",     "inner attn_k.weight 2 4096",
        "inner attn_v.weight 2 4096",     "inner attn_output.weight 2 4096",
        "inner ffn_norm.weight 1 4096",   "inner ffn_gate.weight 2 4096",
        "inner ffn_up.weight 2 4096",     "inner ffn_down.weight 2 14336",
    };

    read_model("model llama layers=32 heads=32 kv_heads=8 experts=0 imatrix=0");
    for (size_t i = 0; i < AE_COUNT(lines); i++) read_named(lines[i]);
}

static int64_t rows_of_7b(const char *name)
{
    static const struct {
        const char *part;
        int64_t rows;
    } rows[] = { { "attn_q.", 4096 },      { "attn_k.", 1024 },     { "attn_v.", 1024 },
                 { "attn_output.", 4096 }, { "ffn_gate.", 14336 },  { "ffn_up.", 14336 },
                 { "ffn_down.", 4096 },    { "token_embd", 32000 }, { "output.", 32000 } };

    for (size_t i = 0; i < AE_COUNT(rows); i++)
        if (strstr(name, rows[i].part) && !strstr(name, "norm")) return rows[i].rows;
    return 1;
}

/* Files of llama.cpp's quantize. What they hold beside tensors is the same in each. */
static void a_7b_has_the_size_it_is_known_by(void **state)
{
    static const struct {
        const char *mix;
        int64_t file_bytes;
    } sizes[] = { { "Q2_K", 2719248256 },   { "Q3_K_M", 3518992256 }, { "Q4_0", 4108922752 },
                  { "Q4_K_M", 4368445312 }, { "Q5_K_M", 5131415424 }, { "Q6_K", 5942071168 },
                  { "Q8_0", 7695863680 } };
    ae_mix_options options = { .output_type = AE_DTYPE_NONE, .embedding_type = AE_DTYPE_NONE };
    int64_t beside = 0;

    (void)state;
    mistral_7b();
    for (size_t i = 0; i < AE_COUNT(sizes); i++) {
        size_t n = lay_out();
        int64_t bytes = 0;
        assign(sizes[i].mix, &options, n);
        for (size_t t = 0; t < n; t++) {
            size_t size;
            assert_true(ae_dtype_bytes(&size, tensors[t].result, rows_of_7b(tensors[t].name),
                                       tensors[t].cols));
            bytes += (int64_t)size;
        }
        if (i == 0) beside = sizes[i].file_bytes - bytes;
        assert_in_range(beside, 10000, 1000000);
        assert_int_equal(sizes[i].file_bytes - bytes, beside);
    }
}

static void options_come_first(void **state)
{
    ae_mix_options options = { .output_type = AE_Q8_0, .embedding_type = AE_Q2_K };
    size_t n;

    (void)state;
    mistral_7b();
    n = lay_out();
    assign("Q4_K_M", &options, n);
    assert_int_equal(tensors[0].result, AE_Q2_K);
    assert_int_equal(tensors[2].result, AE_Q8_0);
    assert_int_equal(tensors[6].result, AE_Q6_K); /* attn_v of layer 0 */
    options = (ae_mix_options){ true, false, AE_DTYPE_NONE, AE_DTYPE_NONE };
    assign("Q4_K_M", &options, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tensors[i].result, tensors[i].n_dims > 1 ? AE_Q4_K : AE_F32);
}

static void names_are_found(void **state)
{
    (void)state;
    assert_string_equal(ae_mix_find("q4_k_m")->name, "Q4_K_M");
    assert_string_equal(ae_mix_find("Q4_k")->name, "Q4_K_M");
    assert_null(ae_mix_find("Q4"));
    assert_null(ae_mix_find(""));
    assert_null(ae_mix_at(ae_mix_count()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_llama_cpps),
        cmocka_unit_test(a_7b_has_the_size_it_is_known_by),
        cmocka_unit_test(options_come_first),
        cmocka_unit_test(names_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
