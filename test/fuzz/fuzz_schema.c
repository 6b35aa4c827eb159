/* fuzz_schema.c -- reads bytes as a JSON schema, and writes what it lets through. */
#include "grammar/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The least byte that may come, again and again. */
static void write_some(const ae_grammar *g)
{
    ae_grammar_state *s;
    if (ae_grammar_start(&s, g, NULL)) __builtin_trap();
    for (int i = 0; i < 60 && !ae_grammar_must_end(s); i++) {
        int b = 0;
        char c = 0;
        for (; b < 256; b++) {
            c = (char)b;
            if (ae_grammar_takes(s, (ae_span){ &c, 1 })) break;
        }
        if (b == 256 || !ae_grammar_advance(s, (ae_span){ &c, 1 })) __builtin_trap();
    }
    if (ae_grammar_must_end(s) && !ae_grammar_may_end(s)) __builtin_trap();
    ae_grammar_stop(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *schema = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    ae_grammar *g;
    aerie_error err = { 0 };
    if (!schema) return 0;
    if (ae_grammar_of_schema(&g, schema, &err)) {
        if (g || !err.message[0]) __builtin_trap();
    } else {
        write_some(g);
        ae_grammar_free(g);
    }
    json_decref(schema);
    return 0;
}
