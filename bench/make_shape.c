/* make_shape.c -- writes a GGUF of an exact model shape with random weights: speed and memory are
 * those of a real model of that shape and type, its text is noise.
 *
 *   make-shape SHAPE TYPE OUT.gguf [--vocab FILE.gguf] [--layers N] [--seed N] [--pure]
 *     SHAPE  7b (Mistral-7B), 1b (TinyLlama-1.1B), 125m (12 layers, 768 wide)
 *     TYPE   by llama.cpp's names, each tensor's as its rules have it: Q4_K_M Q2_K Q8_0 F16 ...;
 *            with --pure, or for IQ4_NL and IQ4_XS, the one type for every matrix
 *     FILE   a GGUF to take the tokenizer from; without it, bytes and filler up to 32,000 tokens
 *
 * Nothing is quantized: a block is random bytes, with a scale (and a minimum) that make its values
 * spread about zero as a trained model's do. */
#include "quant/quant.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    int64_t layers, width, mlp, heads, kv_heads, context;
} shape;

static const shape shapes[] = {
    { "7b", 32, 4096, 14336, 32, 8, 32768 },
    { "1b", 22, 2048, 5632, 32, 4, 2048 },
    { "125m", 12, 768, 2048, 12, 4, 4096 },
};

enum { VOCAB = 32000 };

static const double spread = 0.02; /* standard deviation of the weights */

/* Where a block holds its float16 scale, and its minimum or -1. */
typedef struct {
    ae_dtype dtype;
    int scale_at, minimum_at;
} block_fields;

static const block_fields fields[] = {
    { AE_Q4_0, 0, -1 }, { AE_Q4_1, 0, 2 },    { AE_Q5_0, 0, -1 },   { AE_Q5_1, 0, 2 },
    { AE_Q8_0, 0, -1 }, { AE_Q2_K, 80, 82 },  { AE_Q3_K, 108, -1 }, { AE_Q4_K, 0, 2 },
    { AE_Q5_K, 0, 2 },  { AE_Q6_K, 208, -1 }, { AE_IQ4_NL, 0, -1 }, { AE_IQ4_XS, 0, -1 },
};

/* How to fill blocks of one type. */
typedef struct {
    ae_dtype dtype;
    const block_fields *at; /* NULL: plain floats */
    double scale, minimum;
} recipe;

static uint64_t random_state;

static uint64_t next_random(void)
{
    return ae_mix64(random_state++);
}

static void put_half(uint8_t *at, double value)
{
    uint16_t bits = ae_f32_to_f16((float)value);
    memcpy(at, &bits, sizeof bits);
}

static void fill_block(const recipe *r, uint8_t *block, size_t bytes)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes; i += sizeof bits) {
        bits = next_random();
        memcpy(block + i, &bits, bytes - i < sizeof bits ? bytes - i : sizeof bits);
    }
    double jitter = 0.5 + (double)(next_random() >> 40) * 0x1p-24;
    put_half(block + r->at->scale_at, r->scale * jitter);
    if (r->at->minimum_at >= 0) put_half(block + r->at->minimum_at, r->minimum * jitter);
}

static float random_float(void)
{
    return (float)(((double)(next_random() >> 40) * 0x1p-24 - 0.5) * spread * sqrt(12));
}

/* Blocks [n_blocks], or that many plain floats. */
static void fill(const recipe *r, uint8_t *out, int64_t n_blocks)
{
    size_t bytes = (size_t)ae_dtype_info_of(r->dtype)->block_bytes;
    for (int64_t i = 0; i < n_blocks; i++, out += bytes) {
        float value = 0;
        if (r->at) {
            fill_block(r, out, bytes);
            continue;
        }
        value = random_float();
        ae_dtype_encode_row(r->dtype, &value, 1, out);
    }
}

/* Mean and standard deviation of what a recipe makes. */
static void measure(const recipe *r, double *mean, double *deviation)
{
    enum { BLOCKS = 512 };
    static uint8_t blocks[BLOCKS * 256];
    static float values[BLOCKS * 256];
    const ae_dtype_info *info = ae_dtype_info_of(r->dtype);
    int64_t n = (int64_t)BLOCKS * info->block_elements;
    double sum = 0, squares = 0;
    fill(r, blocks, BLOCKS);
    ae_dtype_decode_row(r->dtype, blocks, n, values);
    for (int64_t i = 0; i < n; i++) sum += values[i], squares += (double)values[i] * values[i];
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

static recipe recipe_of(ae_dtype dtype)
{
    recipe r = { .dtype = dtype };
    double scaled, offset, deviation;
    for (size_t i = 0; i < AE_COUNT(fields); i++)
        if (fields[i].dtype == dtype) r.at = &fields[i];
    if (!r.at) return r;
    r.scale = 0x1p-8;
    if (r.at->minimum_at >= 0) {
        recipe only = { .dtype = dtype, .at = r.at, .minimum = r.scale };
        measure(&r, &scaled, &deviation);
        measure(&only, &offset, &deviation);
        r.minimum = -scaled / offset * r.scale;
    }
    measure(&r, &scaled, &deviation);
    double by = spread / deviation;
    r.scale *= by, r.minimum *= by;
    return r;
}

/* ---- the tokenizer ---- */

static aerie_status copy_tokenizer(ae_gguf_writer *w, const ae_gguf *from, int64_t *vocab_size,
                                   aerie_error *err)
{
    const ae_span *tokens;
    size_t n;
    aerie_status status = ae_gguf_texts(from, "tokenizer.ggml.tokens", &tokens, &n, err);
    for (size_t i = 0; i < ae_gguf_entry_count(from) && !status; i++)
        if (!strncmp(ae_gguf_entry_at(from, i).key, "tokenizer.", 10)) ae_gguf_set_copy(w, from, i);
    *vocab_size = status ? 0 : (int64_t)n;
    return status;
}

/* SentencePiece's kinds of tokens. */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, BYTE = 6 };

static int32_t make_token(int i, char text[16])
{
    static const char *const special[] = { "<unk>", "<s>", "</s>" };
    if (i < 3) {
        snprintf(text, 16, "%s", special[i]);
        return i == 0 ? UNKNOWN : CONTROL;
    }
    if (i < 259) {
        snprintf(text, 16, "<0x%02X>", (unsigned)(i - 3) & 0xff);
        return BYTE;
    }
    snprintf(text, 16, "\xe2\x96\x81w%d", i);
    return NORMAL;
}

static void make_tokenizer(ae_gguf_writer *w)
{
    static char texts[VOCAB][16];
    static ae_span tokens[VOCAB];
    static float scores[VOCAB];
    static int32_t kinds[VOCAB];
    for (int i = 0; i < VOCAB; i++) {
        kinds[i] = make_token(i, texts[i]);
        tokens[i] = ae_span_text(texts[i]);
        scores[i] = (float)-i;
    }
    ae_gguf_set_text(w, "tokenizer.ggml.model", "llama");
    ae_gguf_set_texts(w, "tokenizer.ggml.tokens", tokens, VOCAB);
    ae_gguf_set_f32s(w, "tokenizer.ggml.scores", scores, VOCAB);
    ae_gguf_set_i32s(w, "tokenizer.ggml.token_type", kinds, VOCAB);
    ae_gguf_set_u32(w, "tokenizer.ggml.unknown_token_id", 0);
    ae_gguf_set_u32(w, "tokenizer.ggml.bos_token_id", 1);
    ae_gguf_set_u32(w, "tokenizer.ggml.eos_token_id", 2);
    ae_gguf_set_bool(w, "tokenizer.ggml.add_bos_token", true);
}

/* ---- the tensors ---- */

typedef struct {
    char name[64];
    ae_dtype dtype;
    int64_t rows, cols;
} tensor;

enum { MOST_TENSORS = 1024 };

typedef struct {
    const shape *shape;
    const ae_mix *mix; /* NULL: `dtype` for every matrix */
    ae_dtype dtype;
    tensor list[MOST_TENSORS];
    int n;
} plan;

static void add(plan *p, const char *name, int64_t layer, int64_t rows, int64_t cols)
{
    tensor *t = &p->list[p->n++];
    t->dtype = rows == 1 ? AE_F32 : p->dtype;
    t->rows = rows, t->cols = cols;
    if (layer < 0)
        snprintf(t->name, sizeof t->name, "%s.weight", name);
    else
        snprintf(t->name, sizeof t->name, "blk.%d.%s.weight", (int)layer, name);
}

static void make_plan(plan *p, int64_t vocab_size)
{
    const shape *s = p->shape;
    int64_t width = s->width, kv = width / s->heads * s->kv_heads;
    add(p, "token_embd", -1, vocab_size, width);
    for (int64_t i = 0; i < s->layers; i++) {
        add(p, "attn_norm", i, 1, width);
        add(p, "attn_q", i, width, width);
        add(p, "attn_k", i, kv, width);
        add(p, "attn_v", i, kv, width);
        add(p, "attn_output", i, width, width);
        add(p, "ffn_norm", i, 1, width);
        add(p, "ffn_gate", i, s->mlp, width);
        add(p, "ffn_up", i, s->mlp, width);
        add(p, "ffn_down", i, width, s->mlp);
    }
    add(p, "output_norm", -1, 1, width);
    add(p, "output", -1, vocab_size, width);
}

static aerie_status assign_types(plan *p, aerie_error *err)
{
    static ae_mix_tensor tensors[MOST_TENSORS];
    const shape *s = p->shape;
    ae_mix_model model = { "llama", s->layers, s->heads, s->kv_heads, 0 };
    ae_mix_options options = { .output_type = AE_DTYPE_NONE, .embedding_type = AE_DTYPE_NONE };
    if (!p->mix) return AERIE_OK;
    for (int i = 0; i < p->n; i++)
        tensors[i] = (ae_mix_tensor){ .name = p->list[i].name,
                                      .dtype = AE_F32,
                                      .n_dims = p->list[i].rows == 1 ? 1 : 2,
                                      .cols = p->list[i].cols };
    aerie_status status = ae_mix_assign(p->mix, &model, &options, tensors, (size_t)p->n, err);
    for (int i = 0; i < p->n && !status; i++) p->list[i].dtype = tensors[i].result;
    return status;
}

static void write_vector(ae_gguf_writer *w, int64_t n)
{
    const float one = 1;
    for (int64_t i = 0; i < n; i++) ae_gguf_writer_add(w, &one, sizeof one);
}

static void write_matrix(ae_gguf_writer *w, const tensor *t)
{
    enum { BLOCKS = 4096 };
    static uint8_t buffer[BLOCKS * 256];
    static recipe known[AE_BF16 + 1];
    static bool has[AE_BF16 + 1];
    const ae_dtype_info *info = ae_dtype_info_of(t->dtype);
    int64_t left = t->rows * t->cols / info->block_elements;
    if (!has[t->dtype]) known[t->dtype] = recipe_of(t->dtype);
    has[t->dtype] = true;
    while (left > 0) {
        int64_t n = left < BLOCKS ? left : BLOCKS;
        fill(&known[t->dtype], buffer, n);
        ae_gguf_writer_add(w, buffer, (size_t)(n * info->block_bytes));
        left -= n;
    }
}

static void set_metadata(ae_gguf_writer *w, const shape *s, const char *type, int64_t vocab_size)
{
    char name[64];
    snprintf(name, sizeof name, "random-%s-%s", s->name, type);
    ae_gguf_set_text(w, "general.architecture", "llama");
    ae_gguf_set_text(w, "general.name", name);
    ae_gguf_set_u32(w, "general.quantization_version", 2);
    ae_gguf_set_u32(w, "llama.vocab_size", (uint32_t)vocab_size);
    ae_gguf_set_u32(w, "llama.context_length", (uint32_t)s->context);
    ae_gguf_set_u32(w, "llama.embedding_length", (uint32_t)s->width);
    ae_gguf_set_u32(w, "llama.block_count", (uint32_t)s->layers);
    ae_gguf_set_u32(w, "llama.feed_forward_length", (uint32_t)s->mlp);
    ae_gguf_set_u32(w, "llama.attention.head_count", (uint32_t)s->heads);
    ae_gguf_set_u32(w, "llama.attention.head_count_kv", (uint32_t)s->kv_heads);
    ae_gguf_set_u32(w, "llama.rope.dimension_count", (uint32_t)(s->width / s->heads));
    ae_gguf_set_f32(w, "llama.rope.freq_base", 10000);
    ae_gguf_set_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

static aerie_status write_model(plan *p, const char *type, const char *path, const char *vocab,
                                aerie_error *err)
{
    ae_gguf *from = NULL;
    ae_gguf_writer *w = NULL;
    int64_t vocab_size = VOCAB;
    aerie_status status = vocab ? ae_gguf_open(&from, vocab, err) : AERIE_OK;
    if (!status) status = ae_gguf_writer_open(&w, path, err);
    if (!status && from) status = copy_tokenizer(w, from, &vocab_size, err);
    if (status) goto done;
    if (!from) make_tokenizer(w);
    set_metadata(w, p->shape, type, vocab_size);
    if (p->mix) ae_gguf_set_u32(w, "general.file_type", p->mix->file_type);
    make_plan(p, vocab_size);
    status = assign_types(p, err);
    if (status) goto done;
    for (int i = 0; i < p->n; i++)
        ae_gguf_writer_tensor(w, p->list[i].name, p->list[i].dtype, p->list[i].rows,
                              p->list[i].cols);
    for (int i = 0; i < p->n; i++) {
        if (p->list[i].rows == 1)
            write_vector(w, p->list[i].cols);
        else
            write_matrix(w, &p->list[i]);
    }
    status = ae_gguf_writer_commit(w, err);
    w = NULL;
done:
    ae_gguf_writer_abandon(w);
    ae_gguf_close(from);
    return status;
}

static int usage(void)
{
    fputs("usage: make-shape 7b|1b|125m TYPE OUT.gguf [--vocab FILE.gguf] [--layers N] [--seed N] "
          "[--pure]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static plan p;
    static shape wanted;
    const char *vocab = NULL;
    bool pure = false;
    aerie_error err = { 0 };
    if (argc < 4) return usage();
    for (size_t i = 0; i < AE_COUNT(shapes); i++)
        if (!strcmp(argv[1], shapes[i].name)) wanted = shapes[i];
    if (!wanted.name) return usage();
    for (int i = 4; i < argc; i++) {
        if (!strcmp(argv[i], "--pure"))
            pure = true;
        else if (i + 1 == argc)
            return usage();
        else if (!strcmp(argv[i], "--vocab"))
            vocab = argv[++i];
        else if (!strcmp(argv[i], "--layers"))
            wanted.layers = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--seed"))
            random_state = ae_mix64(strtoull(argv[++i], NULL, 10));
        else
            return usage();
    }
    p.shape = &wanted;
    p.mix = pure ? NULL : ae_mix_find(argv[2]);
    p.dtype = ae_dtype_by_name(argv[2]);
    if ((!p.mix && p.dtype == AE_DTYPE_NONE) || wanted.layers < 1 || wanted.layers > 100)
        return usage();
    if (!write_model(&p, argv[2], argv[3], vocab, &err)) return 0;
    fprintf(stderr, "make-shape: %s\n", err.message);
    return 1;
}
