/* pretokenize_known.c -- the patterns of well-known pre-tokenizers under the names that GGUF's
 * tokenizer.ggml.pre gives them. */
#include "text/pretokenize.h"

#include <string.h>

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3_WITH(digits)                                                                        \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                           \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER     "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER     "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define BEFORE    "[^\\r\\n\\p{L}\\p{N}]?"
#define CUT_SHORT "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

const char ae_pre_gpt2[] = GPT2;
const char ae_pre_digit[] = "\\p{N}";
const char ae_pre_digits[] = "\\p{N}+";

static const char *const gpt2[] = { GPT2 };
static const char *const llama3[] = { LLAMA3_WITH("\\p{N}{1,3}") };
static const char *const qwen2[] = { LLAMA3_WITH("\\p{N}") };
static const char *const smollm[] = { ae_pre_digit, GPT2 };
static const char *const gpt4o[] = {
    BEFORE UPPER "*" LOWER "+" CUT_SHORT "|" BEFORE UPPER "+" LOWER "*" CUT_SHORT
                 "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
};
static const char *const tekken[] = {
    BEFORE UPPER "*" LOWER "+|" BEFORE UPPER "+" LOWER "*"
                 "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
};
static const char *const deepseek_coder[] = { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
                                              "[一-龥ࠀ-一가-퟿]+", "\\p{N}" };
/* What llama.cpp does for a vocabulary of unknown make. */
static const char *const fallback[] = {
    "[\\p{P}\\$\\+<=>\\^~\\|]+",
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)", "\\p{N}+",
    "[0-9][0-9][0-9]"
};

typedef struct {
    const char *name;
    const char *const *patterns;
    int32_t n_patterns;
    ae_pre_meaning means;
} known;

#define NOTHING_ELSE                                                                               \
    {                                                                                              \
        false, false                                                                               \
    }

/* The first name of a list of patterns is the one that is written. */
static const known table[] = {
    { "gpt-2", gpt2, AE_COUNT(gpt2), NOTHING_ELSE },
    { "phi-2", gpt2, AE_COUNT(gpt2), NOTHING_ELSE },
    { "mpt", gpt2, AE_COUNT(gpt2), NOTHING_ELSE },
    { "olmo", gpt2, AE_COUNT(gpt2), NOTHING_ELSE },
    { "jais", gpt2, AE_COUNT(gpt2), NOTHING_ELSE },
    { "roberta-bpe", gpt2, AE_COUNT(gpt2), NOTHING_ELSE },
    { "llama-bpe", llama3, AE_COUNT(llama3), { .ignore_merges = true } },
    { "llama3", llama3, AE_COUNT(llama3), { .ignore_merges = true } },
    { "llama-v3", llama3, AE_COUNT(llama3), { .ignore_merges = true } },
    { "smaug-bpe", llama3, AE_COUNT(llama3), NOTHING_ELSE },
    { "falcon3", llama3, AE_COUNT(llama3), { .ignore_merges = true } },
    { "dbrx", llama3, AE_COUNT(llama3), NOTHING_ELSE },
    { "qwen2", qwen2, AE_COUNT(qwen2), { .normalize_nfc = true } },
    { "deepseek-r1-qwen", qwen2, AE_COUNT(qwen2), { .normalize_nfc = true } },
    { "stablelm2", qwen2, AE_COUNT(qwen2), { .normalize_nfc = true } },
    { "smollm", smollm, AE_COUNT(smollm), NOTHING_ELSE },
    { "starcoder", smollm, AE_COUNT(smollm), NOTHING_ELSE },
    { "refact", smollm, AE_COUNT(smollm), NOTHING_ELSE },
    { "command-r", smollm, AE_COUNT(smollm), NOTHING_ELSE },
    { "codeshell", smollm, AE_COUNT(smollm), NOTHING_ELSE },
    { "exaone", smollm, AE_COUNT(smollm), NOTHING_ELSE },
    { "gpt-4o", gpt4o, AE_COUNT(gpt4o), NOTHING_ELSE },
    { "llama4", gpt4o, AE_COUNT(gpt4o), NOTHING_ELSE },
    { "tekken", tekken, AE_COUNT(tekken), NOTHING_ELSE },
    { "deepseek-coder", deepseek_coder, AE_COUNT(deepseek_coder), NOTHING_ELSE },
    { "default", fallback, AE_COUNT(fallback), NOTHING_ELSE },
};

static const known *find(const char *name)
{
    for (size_t i = 0; i < AE_COUNT(table); i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

const char *const *ae_pre_patterns(const char *name, int32_t *n_patterns)
{
    const known *k = find(name);

    *n_patterns = k ? k->n_patterns : 0;
    return k ? k->patterns : NULL;
}

ae_pre_meaning ae_pre_means(const char *name)
{
    const known *k = find(name);

    return k ? k->means : (ae_pre_meaning)NOTHING_ELSE;
}

static bool same(const known *k, const char *const *patterns, int32_t n_patterns)
{
    if (k->n_patterns != n_patterns) return false;
    for (int32_t i = 0; i < n_patterns; i++)
        if (strcmp(k->patterns[i], patterns[i]) != 0) return false;
    return true;
}

const char *ae_pre_name(const char *const *patterns, int32_t n_patterns)
{
    for (size_t i = 0; i < AE_COUNT(table); i++)
        if (same(&table[i], patterns, n_patterns)) return table[i].name;
    return NULL;
}

const char *ae_pre_nearest(const char *name)
{
    const char *names[AE_COUNT(table)];

    for (size_t i = 0; i < AE_COUNT(table); i++) names[i] = table[i].name;
    return ae_nearest(name, names, AE_COUNT(names));
}
