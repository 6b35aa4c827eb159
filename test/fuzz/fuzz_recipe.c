/* fuzz_recipe.c -- reads bytes as a recipe, and as a setting over another one. */
#include "train/train.h"

#include "as_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A recipe that was taken says everything that training asks of it; a refusal is a sentence. */
static void load(const char *path, const char *const *settings, size_t n)
{
    ae_recipe r = { 0 };
    aerie_error err = { 0 };

    if (ae_recipe_load(&r, path, settings, n, &err)) {
        if (!err.message[0]) __builtin_trap();
    } else if (!r.output || (!r.model && !r.model_config) || r.data.n < 1) {
        __builtin_trap();
    }
    ae_recipe_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char setting[1024];
    const char *settings[] = { "method=sft", "model=m", "data=d", "output=o", setting };
    size_t n = size < sizeof setting ? size : sizeof setting - 1;

    load(as_file(data, size), NULL, 0);
    if (n) memcpy(setting, data, n);
    setting[n] = '\0';
    load(NULL, settings, AE_COUNT(settings));
    return 0;
}
