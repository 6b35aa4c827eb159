/* fuzz_gbnf.c -- reads bytes as a grammar and, behind a NUL, a text that it may take. */
#include "grammar/grammar.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memchr(data, 0, size);
    size_t len = cut ? (size_t)(cut - data) : size;
    ae_grammar *g;
    ae_grammar_state *s;
    aerie_error err = { 0 };

    if (ae_grammar_parse(&g, (ae_span){ (const char *)data, len }, &err)) {
        if (g || !err.message[0]) __builtin_trap();
        return 0;
    }
    if (ae_grammar_start(&s, g, NULL)) __builtin_trap();
    for (size_t i = len + 1; i < size; i++) {
        ae_span byte = { (const char *)data + i, 1 };
        bool takes = ae_grammar_takes(s, byte);
        if (ae_grammar_advance(s, byte) != takes) __builtin_trap();
        if (!takes) break;
    }
    /* Where nothing may follow, the end is: there are no ways that lead nowhere. */
    if (ae_grammar_must_end(s) && !ae_grammar_may_end(s)) __builtin_trap();
    ae_grammar_stop(s);
    ae_grammar_free(g);
    return 0;
}
