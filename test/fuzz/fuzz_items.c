/* fuzz_items.c -- reads bytes as a comparison's prompts, with the checks that they name; a reply
 * is held to each of them. */
#include "as_file.h"
#include "compare/compare.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const ae_compare_items *items, const ae_compare_item *item)
{
    static const char reply[] =
        "A reply: {\"a\": [1, 1, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"]} or 7.";
    const ae_check_of of = { .id = item->id,
                             .messages = item->messages,
                             .expected = item->expected };

    if (!item->id || !json_array_size(item->messages) || strlen(item->hash) != 16) __builtin_trap();
    for (size_t i = 0; i < item->n_checks; i++) {
        const ae_check *check = items->checks[item->checks[i]];
        aerie_error err = { 0 };
        bool passed = false;
        if (ae_check_wants_expected(check) && !item->expected) __builtin_trap();
        /* Nobody runs programs here. */
        if (ae_check_run(check, &of, reply, strlen(reply), &passed, &err) && !err.message[0])
            __builtin_trap();
        if (ae_check_run(check, &of, reply + 9, strlen(reply + 9) - 6, &passed, &err) &&
            !err.message[0])
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_compare_items items = { 0 };
    aerie_error err = { 0 };

    if (ae_compare_items_read(&items, as_file(data, size), NULL, 0, &err)) {
        if (!err.message[0]) __builtin_trap();
    } else {
        for (size_t i = 0; i < items.n; i++) look(&items, &items.items[i]);
    }
    ae_compare_items_free(&items);
    return 0;
}
