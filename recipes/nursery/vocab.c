/* vocab.c -- trains the nursery's tokenizer: byte-level BPE, written as tokenizer.json.
 *
 * Text is cut as GPT-2 cuts it (ASCII is all this world has), each distinct piece is kept once with
 * its count, and the most frequent pair of neighbours becomes a token until there are enough. With
 * a few thousand distinct pieces, counting all pairs afresh for each merge is fast enough. */
#include "nursery.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 4096, MAX_PIECE = 64, N_BYTES = 256, N_ADDED = 6, BUCKETS = 1 << 16 };

static const char *const added[N_ADDED] = { "<unk>",      "<s>",      "</s>",
                                            "<|system|>", "<|user|>", "<|assistant|>" };

typedef struct piece {
    struct piece *next; /* in its bucket */
    size_t count;
    uint16_t n, ids[MAX_PIECE]; /* tokens without the added ones: bytes, then merges in order */
    char text[MAX_PIECE];
    uint8_t len;
} piece;

typedef struct {
    piece *buckets[BUCKETS];
    size_t n_merges;
    uint16_t left[MAX_TOKENS], right[MAX_TOKENS];
    uint32_t *pairs; /* [MAX_TOKENS, MAX_TOKENS] */
} trainer;

static void count_piece(trainer *t, const char *text, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;

    if (len > MAX_PIECE) len = MAX_PIECE;
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    piece **at = &t->buckets[(h ^ (h >> 32)) % BUCKETS];
    for (; *at; at = &(*at)->next)
        if ((*at)->len == len && memcmp((*at)->text, text, len) == 0) break;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at) nu_die("out of memory");
        (*at)->n = (uint16_t)len;
        (*at)->len = (uint8_t)len;
        memcpy((*at)->text, text, len);
        for (size_t i = 0; i < len; i++) (*at)->ids[i] = (unsigned char)text[i];
    }
    (*at)->count++;
}

typedef enum { LETTER, DIGIT, SPACE, OTHER } class;

static class class_of(char ch)
{
    unsigned char u = (unsigned char)ch;
    return isalpha(u) ? LETTER : isdigit(u) ? DIGIT : isspace(u) ? SPACE : OTHER;
}

static size_t contraction(const char *s)
{
    static const char *const all[] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strncmp(s, all[i], strlen(all[i])) == 0) return strlen(all[i]);
    return 0;
}

/* The length of the first piece of s, by GPT-2's pattern. */
static size_t piece_len(const char *s)
{
    size_t n = contraction(s);

    if (n) return n;
    if (class_of(s[0]) == SPACE) {
        while (s[n] && class_of(s[n]) == SPACE) n++;
        /* White space before a word leaves its last character to the word if that is a blank. */
        if (s[n] && n > 1) return n - 1;
        if (!s[n] || s[0] != ' ') return n;
    }
    class kind = class_of(s[n]);
    while (s[n] && class_of(s[n]) == kind) n++;
    return n;
}

static void take_text(trainer *t, const char *text)
{
    while (*text) {
        size_t n = piece_len(text);
        count_piece(t, text, n);
        text += n;
    }
}

static void take_line(json_t *line, void *user)
{
    json_t *messages = json_object_get(line, "messages");

    take_text(user, nu_task_string(line, "text"));
    for (size_t i = 0; i < json_array_size(messages); i++)
        take_text(user, nu_task_string(json_array_get(messages, i), "content"));
}

static uint32_t *pair_at(const trainer *t, const piece *p, size_t i)
{
    return &t->pairs[(size_t)p->ids[i] * MAX_TOKENS + p->ids[i + 1]];
}

/* The most frequent pair, the smaller ids first among equals; false when no pair is left. */
static bool best_pair(trainer *t, uint16_t *left, uint16_t *right)
{
    uint32_t best = 0;

    memset(t->pairs, 0, (size_t)MAX_TOKENS * MAX_TOKENS * sizeof *t->pairs);
    for (size_t b = 0; b < BUCKETS; b++)
        for (const piece *p = t->buckets[b]; p; p = p->next)
            for (size_t i = 0; i + 1 < p->n; i++) *pair_at(t, p, i) += (uint32_t)p->count;
    for (size_t b = 0; b < BUCKETS; b++)
        for (const piece *p = t->buckets[b]; p; p = p->next)
            for (size_t i = 0; i + 1 < p->n; i++) {
                uint32_t count = *pair_at(t, p, i);
                bool smaller = p->ids[i] < *left || (p->ids[i] == *left && p->ids[i + 1] < *right);
                if (count < best || (count == best && !smaller)) continue;
                best = count;
                *left = p->ids[i];
                *right = p->ids[i + 1];
            }
    return best > 0;
}

static void join_pair(piece *p, uint16_t left, uint16_t right, uint16_t joined)
{
    uint16_t n = 0;

    for (uint16_t i = 0; i < p->n; i++) {
        bool here = i + 1 < p->n && p->ids[i] == left && p->ids[i + 1] == right;
        p->ids[n++] = here ? joined : p->ids[i];
        i += here;
    }
    p->n = n;
}

static void train(trainer *t, size_t n_tokens)
{
    t->pairs = calloc((size_t)MAX_TOKENS * MAX_TOKENS, sizeof *t->pairs);
    if (!t->pairs) nu_die("out of memory");
    while (N_ADDED + N_BYTES + t->n_merges < n_tokens) {
        uint16_t left = 0, right = 0, joined = (uint16_t)(N_BYTES + t->n_merges);
        if (!best_pair(t, &left, &right)) break;
        t->left[t->n_merges] = left;
        t->right[t->n_merges++] = right;
        for (size_t b = 0; b < BUCKETS; b++)
            for (piece *p = t->buckets[b]; p; p = p->next) join_pair(p, left, right, joined);
    }
    free(t->pairs);
}

/* ---- writing ---- */

/* GPT-2's printable name of a byte, as UTF-8. */
static void put_byte(nu_text *out, unsigned byte)
{
    unsigned code = 256;

    if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
        code = byte;
    else
        for (unsigned b = 0; b < byte; b++)
            code += !((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174);
    if (code < 128)
        nu_text_put(out, "%c", (char)code);
    else
        nu_text_put(out, "%c%c", (char)(0xC0 | (code >> 6)), (char)(0x80 | (code & 63)));
}

static void put_token(nu_text *out, const trainer *t, size_t id)
{
    if (id < N_BYTES) {
        put_byte(out, (unsigned)id);
        return;
    }
    put_token(out, t, t->left[id - N_BYTES]);
    put_token(out, t, t->right[id - N_BYTES]);
}

static json_t *added_tokens(void)
{
    json_t *list = json_array();

    for (int i = 0; i < N_ADDED; i++)
        json_array_append_new(list, json_pack("{s:i,s:s,s:b,s:b,s:b,s:b,s:b}", "id", i, "content",
                                              added[i], "single_word", 0, "lstrip", 0, "rstrip", 0,
                                              "normalized", 0, "special", i < 3));
    return list;
}

static json_t *bpe_model(const trainer *t)
{
    json_t *vocab = json_object(), *merges = json_array();
    nu_text a = { 0 }, b = { 0 };

    for (int i = 0; i < N_ADDED; i++) json_object_set_new(vocab, added[i], json_integer(i));
    for (size_t id = 0; id < N_BYTES + t->n_merges; id++) {
        nu_text_clear(&a);
        put_token(&a, t, id);
        json_object_set_new(vocab, a.data, json_integer((json_int_t)(N_ADDED + id)));
    }
    for (size_t i = 0; i < t->n_merges; i++) {
        nu_text_clear(&a);
        nu_text_clear(&b);
        put_token(&a, t, t->left[i]);
        put_token(&b, t, t->right[i]);
        json_array_append_new(merges, json_sprintf("%s %s", a.data, b.data));
    }
    nu_text_free(&a);
    nu_text_free(&b);
    return json_pack("{s:s,s:n,s:n,s:n,s:n,s:b,s:b,s:o,s:o}", "type", "BPE", "dropout", "unk_token",
                     "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                     "byte_fallback", 0, "vocab", vocab, "merges", merges);
}

static json_t *byte_level(void)
{
    return json_pack("{s:s,s:b,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", 1);
}

/* Puts <s> before every text. */
static json_t *post_processor(void)
{
    return json_pack("{s:s,s:[{s:{s:s,s:i}},{s:{s:s,s:i}}],s:[{s:{s:s,s:i}},{s:{s:s,s:i}},"
                     "{s:{s:s,s:i}}],s:{s:{s:s,s:[i],s:[s]}}}",
                     "type", "TemplateProcessing", "single", "SpecialToken", "id", "<s>", "type_id",
                     0, "Sequence", "id", "A", "type_id", 0, "pair", "SpecialToken", "id", "<s>",
                     "type_id", 0, "Sequence", "id", "A", "type_id", 0, "Sequence", "id", "B",
                     "type_id", 1, "special_tokens", "<s>", "id", "<s>", "ids", 1, "tokens", "<s>");
}

static void write_json(const char *folder, const char *name, json_t *value)
{
    nu_text path = { 0 };

    nu_text_put(&path, "%s/%s", folder, name);
    if (!value || json_dump_file(value, path.data, JSON_INDENT(1)))
        nu_die("%s: could not be written: %s", path.data, strerror(errno));
    json_decref(value);
    nu_text_free(&path);
}

/* Zephyr's format: every turn is its tag, a line end, the text, </s> and a line end. */
static const char chat_template[] =
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + "
    "eos_token + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}"
    "{% endif %}";

static void write_files(const trainer *t, const char *folder)
{
    write_json(folder, "tokenizer.json",
               json_pack("{s:s,s:n,s:n,s:o,s:n,s:o,s:o,s:o,s:o}", "version", "1.0", "truncation",
                         "padding", "added_tokens", added_tokens(), "normalizer", "pre_tokenizer",
                         byte_level(), "post_processor", post_processor(), "decoder", byte_level(),
                         "model", bpe_model(t)));
    write_json(folder, "tokenizer_config.json",
               json_pack("{s:b,s:b,s:s,s:s,s:s,s:s,s:i,s:s}", "add_bos_token", 1, "add_eos_token",
                         0, "bos_token", "<s>", "eos_token", "</s>", "unk_token", "<unk>",
                         "chat_template", chat_template, "model_max_length", 512, "tokenizer_class",
                         "PreTrainedTokenizerFast"));
}

int nu_cmd_vocab(const nu_options *o)
{
    trainer *t = calloc(1, sizeof *t);

    if (!t) nu_die("out of memory");
    if (!o->n_files || !o->out) nu_die("vocab wants --file TEXT.jsonl and --out FOLDER");
    if (o->n < N_ADDED + N_BYTES || o->n > MAX_TOKENS)
        nu_die("--n must be from %d to %d tokens", N_ADDED + N_BYTES, MAX_TOKENS);
    for (size_t i = 0; i < o->n_files; i++) nu_each_line(o->files[i], take_line, t);
    train(t, o->n);
    write_files(t, o->out);
    fprintf(stderr, "nursery: %zu tokens in %s\n", N_ADDED + N_BYTES + t->n_merges, o->out);
    for (size_t b = 0; b < BUCKETS; b++)
        for (piece *p = t->buckets[b], *next; p; p = next) next = p->next, free(p);
    free(t);
    return 0;
}
