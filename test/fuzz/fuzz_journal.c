/* fuzz_journal.c -- reads bytes as a journal: what is taken once is taken again, and can go on;
 * what is refused is left as it is. */
#include "as_file.h"
#include "journal/journal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static aerie_status take(void *user, const json_t *line, aerie_error *err)
{
    size_t *n = user;

    if (json_object_get(line, "not ours")) return ae_journal_refuse("line", err);
    ++*n;
    return AERIE_OK;
}

static size_t lines_of(const char *path)
{
    ae_journal j;
    size_t n = 0;

    if (ae_journal_open(&j, path, "line", take, &n, NULL)) __builtin_trap();
    if (ae_journal_add(&j, json_object(), AE_JOURNAL_UTF8, NULL)) __builtin_trap();
    ae_journal_close(&j);
    return n;
}

static void check_is(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *is = malloc(size + 1);

    if (!file || !is || fread(is, 1, size + 1, file) != size) __builtin_trap();
    if (size && memcmp(is, data, size)) __builtin_trap();
    fclose(file);
    free(is);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    aerie_error err = { 0 };
    ae_journal j;
    size_t n = 0;

    if (ae_journal_open(&j, path, "line", take, &n, &err)) {
        if (!*err.message) __builtin_trap();
        check_is(path, data, size);
        return 0;
    }
    if (n > j.n_lines) __builtin_trap();
    ae_journal_close(&j);
    if (lines_of(path) != n || lines_of(path) != n + 1) __builtin_trap();
    return 0;
}
