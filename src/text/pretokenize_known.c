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
} known;

/* The first name of a list of patterns is the one that is written. */
static const known table[] = {
    { "gpt-2", gpt2, AE_COUNT(gpt2) },
    { "phi-2", gpt2, AE_COUNT(gpt2) },
    { "mpt", gpt2, AE_COUNT(gpt2) },
    { "olmo", gpt2, AE_COUNT(gpt2) },
    { "jais", gpt2, AE_COUNT(gpt2) },
    { "roberta-bpe", gpt2, AE_COUNT(gpt2) },
    { "llama-bpe", llama3, AE_COUNT(llama3) },
    { "llama3", llama3, AE_COUNT(llama3) },
    { "llama-v3", llama3, AE_COUNT(llama3) },
    { "smaug-bpe", llama3, AE_COUNT(llama3) },
    { "falcon3", llama3, AE_COUNT(llama3) },
    { "dbrx", llama3, AE_COUNT(llama3) },
    { "qwen2", qwen2, AE_COUNT(qwen2) },
    { "deepseek-r1-qwen", qwen2, AE_COUNT(qwen2) },
    { "stablelm2", qwen2, AE_COUNT(qwen2) },
    { "smollm", smollm, AE_COUNT(smollm) },
    { "starcoder", smollm, AE_COUNT(smollm) },
    { "refact", smollm, AE_COUNT(smollm) },
    { "command-r", smollm, AE_COUNT(smollm) },
    { "codeshell", smollm, AE_COUNT(smollm) },
    { "exaone", smollm, AE_COUNT(smollm) },
    { "gpt-4o", gpt4o, AE_COUNT(gpt4o) },
    { "llama4", gpt4o, AE_COUNT(gpt4o) },
    { "tekken", tekken, AE_COUNT(tekken) },
    { "deepseek-coder", deepseek_coder, AE_COUNT(deepseek_coder) },
    { "default", fallback, AE_COUNT(fallback) },
};

const char *const *ae_pre_patterns(const char *name, int32_t *n_patterns)
{
    for (size_t i = 0; i < AE_COUNT(table); i++) {
        if (strcmp(table[i].name, name) != 0) continue;
        *n_patterns = table[i].n_patterns;
        return table[i].patterns;
    }
    return NULL;
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
