/* fuzz_board.c -- reads bytes as published benchmarks' files of verdicts, and of the texts beside:
 * a board of numbers, or a sentence. The first byte says which. */
#include "as_file.h"
#include "board/board.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static aerie_status (*const boards[])(json_t **out, const ae_board_files *files,
                                      aerie_error *err) = { ae_board_mtbench, ae_board_alpaca,
                                                            ae_board_arena_hard };

/* No number of it is none: those are null. */
static void look(const json_t *value)
{
    const char *key;
    json_t *one;
    size_t i;

    if (json_is_real(value) && !isfinite(json_real_value(value))) __builtin_trap();
    json_array_foreach((json_t *)(uintptr_t)value, i, one) look(one);
    json_object_foreach((json_t *)(uintptr_t)value, key, one) look(one);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t board = data[0] % AE_COUNT(boards);
    const char *path = as_file(data + 1, size - 1);
    const ae_board_files files = { .paths = &path,
                                   .n_paths = 1,
                                   .texts = &path,
                                   .n_texts = data[0] & 64 ? 1 : 0,
                                   .difficulty = data[0] & 32 && data[0] & 64 ? path : NULL };
    aerie_error err = { 0 };
    json_t *out = NULL;

    if (boards[board](&out, &files, &err)) {
        if (out || !err.message[0]) __builtin_trap();
        return 0;
    }
    look(out);
    json_decref(out);
    return 0;
}
