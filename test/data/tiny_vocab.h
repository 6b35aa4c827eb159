/* tiny_vocab.h -- a SentencePiece vocabulary of bytes, letters and a few longer pieces, for tests
 * that want to see every token. */
#ifndef AE_TEST_TINY_VOCAB_H
#define AE_TEST_TINY_VOCAB_H

#include "text/text.h"

#include <stdio.h>
#include <string.h>

enum { TINY_BOS = 1, TINY_EOS = 2, TINY_MOST = 512 };

typedef struct {
    ae_vocab_token tokens[TINY_MOST];
    char texts[TINY_MOST][24];
    int32_t n;
} tiny_pieces;

static inline void tiny_add(tiny_pieces *p, const char *text, float score, ae_token_type type)
{
    snprintf(p->texts[p->n], sizeof p->texts[0], "%s", text);
    p->tokens[p->n] =
        (ae_vocab_token){ .text = ae_span_text(p->texts[p->n]), .score = score, .type = type };
    p->n++;
}

/* "xy" is one token: what a reply begins with decides how a prompt that ends with "x" is cut. */
static inline ae_tokenizer *tiny_vocab(bool add_bos)
{
    static const char *const words[] = { "\xe2\x96\x81", "xy", "go", "od", "good", "<|", "|>" };
    static tiny_pieces p;
    ae_tokenizer *t = NULL;
    char text[24];

    p.n = 0;
    tiny_add(&p, "<unk>", 0, AE_TOKEN_UNKNOWN);
    tiny_add(&p, "<s>", 0, AE_TOKEN_CONTROL);
    tiny_add(&p, "</s>", 0, AE_TOKEN_CONTROL);
    for (int i = 0; i < 256; i++) {
        snprintf(text, sizeof text, "<0x%02X>", i);
        tiny_add(&p, text, 0, AE_TOKEN_BYTE);
    }
    for (size_t i = 0; i < AE_COUNT(words); i++)
        tiny_add(&p, words[i], -(float)i - 1, AE_TOKEN_NORMAL);
    for (char c = '!'; c <= '~'; c++) {
        snprintf(text, sizeof text, "%c", c);
        tiny_add(&p, text, -100, AE_TOKEN_NORMAL);
    }
    ae_vocab v = { .kind = AE_VOCAB_SPM,
                   .tokens = p.tokens,
                   .n_tokens = p.n,
                   .add_prefix_space = true,
                   .bos = TINY_BOS,
                   .eos = TINY_EOS,
                   .unk = 0,
                   .pad = -1,
                   .eot = -1,
                   .add_bos = add_bos };
    aerie_error err = { 0 };
    if (ae_tokenizer_new(&t, &v, &err)) fprintf(stderr, "%s\n", err.message);
    return t;
}

#endif
