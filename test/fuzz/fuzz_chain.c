/* fuzz_chain.c -- reads bytes as where an adapter comes from; what was read can be printed and read
 * again. */
#include "model/chain.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_links(const ae_chain_link *a, const ae_chain_link *b, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(a[i].hash, b[i].hash) || !(a[i].name && b[i].name)) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_arena arena = { 0 };
    ae_bytes text = { 0 };
    ae_chain c = { 0 }, again = { 0 };
    aerie_error err = { 0 };

    if (!ae_chain_read(&c, &arena, (ae_span){ (const char *)data, size }, "fuzz", &err)) {
        if (ae_chain_print(&c, &text, &err)) __builtin_trap();
        if (ae_chain_read(&again, &arena, ae_span_of(&text), "again", &err)) __builtin_trap();
        if (c.n_parents != again.n_parents || c.n_data != again.n_data ||
            strcmp(c.base, again.base) || strcmp(c.recipe, again.recipe))
            __builtin_trap();
        same_links(c.parents, again.parents, c.n_parents);
        same_links(c.data, again.data, c.n_data);
    }
    ae_bytes_free(&text);
    ae_arena_free(&arena);
    return 0;
}
