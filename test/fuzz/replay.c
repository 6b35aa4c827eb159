/* replay.c -- runs a fuzz target without libFuzzer: over every file of the folders and files named,
 * and over each of them cut off at many lengths. */
#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_CUTS = 400 };

static size_t n_inputs;

/* The copy ends where the input ends, so that a sanitizer sees reading past it. */
static void run_input(const char *data, size_t len)
{
    char *copy = ae_alloc(len, 1);

    if (!copy) exit(2);
    if (len) memcpy(copy, data, len);
    LLVMFuzzerTestOneInput((const uint8_t *)copy, len);
    ae_free(copy);
    n_inputs++;
}

static bool run_file(const char *path)
{
    aerie_error err = { 0 };
    ae_file file;
    size_t step;

    if (ae_file_open(&file, path, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    step = file.size / MOST_CUTS + 1;
    for (size_t len = 0; len < file.size; len += step) run_input((const char *)file.data, len);
    run_input((const char *)file.data, file.size);
    ae_file_close(&file);
    return true;
}

static bool run_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool ok = folder != NULL;

    while (ok && (entry = readdir(folder))) {
        char *inner = ae_path_join(path, entry->d_name);
        if (!inner) exit(2);
        if (!ae_file_is_folder(inner)) ok = run_file(inner);
        ae_free(inner);
    }
    if (folder) closedir(folder);
    return ok;
}

int main(int argc, char **argv)
{
    bool ok = argc > 1;

    for (int i = 1; i < argc && ok; i++)
        ok = ae_file_is_folder(argv[i]) ? run_folder(argv[i]) : run_file(argv[i]);
    printf("%zu inputs\n", n_inputs);
    if (!n_inputs) fprintf(stderr, "there was nothing to run: name a corpus folder\n");
    return ok && n_inputs ? 0 : 1;
}
