/* fuzz_rescore.c -- reads bytes as a file of saved answers: samples of a choice task, and replies
 * with the instructions that they were to follow. */
#include "as_file.h"
#include "eval/benchmark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every share is one. */
static void look(const json_t *root, const char *task, const char *metric)
{
    const json_t *result = json_object_get(json_object_get(root, "results"), task);
    const json_t *value =
        json_object_get(json_object_get(json_object_get(result, "metrics"), metric), "value");

    if (json_is_number(value) && !(json_number_value(value) >= 0 && json_number_value(value) <= 1))
        __builtin_trap();
}

static void rescore(const char *path, const char *task, const char *metric)
{
    const ae_benchmark_options o = {
        .tasks = &task, .n_tasks = 1, .shots = -1, .data = "no/such/folder", .rescore = path
    };
    json_t *result = NULL;
    aerie_error err = { 0 };

    if (ae_benchmark(&result, &o, NULL, &err)) {
        if (!err.message[0]) __builtin_trap();
    } else {
        look(result, task, metric);
    }
    json_decref(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);

    rescore(path, "arc_easy", "acc");
    rescore(path, "ifeval", "prompt_level_strict_acc");
    return 0;
}
