/* selftest.c -- runs the built-in cases, and those of a folder of golden files. */
#include "train/golden.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 256, MAX_GOLDEN_BYTES = 64 << 20 };

/* Files whose cases are run one at a time. */
static const struct {
    const char *file;
    ae_golden_case *run;
} known[] = {
    { "orpo_simpo_cpo", ae_golden_orpo_simpo_cpo },
    { "kto_bco", ae_golden_kto_bco },
    { "crlft", ae_golden_crlft },
    { "sft_ce", ae_golden_sft_ce },
    { "dpo", ae_golden_dpo },
    { "lora", ae_golden_lora },
    { "optimizer", ae_golden_optimizer },
    { "schedule", ae_golden_schedule },
    { "packing", ae_golden_packing },
    { "nf4", ae_golden_nf4 },
    { "nf4_double_quant", ae_golden_nf4_double_quant },
    { "datasets", ae_golden_datasets },
    { "truncation", ae_golden_truncation },
    { "ppo", ae_golden_online },
    { "apa", ae_golden_online },
    { "grpo_rloo", ae_golden_online },
    { "rm_pairwise", ae_golden_rm_pairwise },
    { "rm_kwise", ae_golden_rm_kwise },
    { "rm_head", ae_golden_rm_head },
};

static void run_unknown(ae_golden *g, const json_t *c)
{
    (void)c;
    g->unknown = true;
}

static void run_cases(ae_golden *g, const char *file, const json_t *root)
{
    ae_golden_case *run = run_unknown;
    const json_t *c;
    char label[160];
    size_t i;

    for (i = 0; i < AE_COUNT(known); i++)
        if (strcmp(known[i].file, file) == 0) run = known[i].run;
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        snprintf(label, sizeof label, "%s/%s", file, name ? name : "unnamed");
        ae_golden_run(g, label, run, c);
    }
}

static aerie_status run_file(ae_golden *g, const char *folder, const char *file_name,
                             aerie_error *err)
{
    char *path = ae_path_join(folder, file_name);
    ae_bytes text = { 0 };
    json_error_t problem;
    json_t *root = NULL;
    char file[64];
    aerie_status status;

    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a path");
    snprintf(file, sizeof file, "%.*s", (int)(strlen(file_name) - strlen(".json")), file_name);
    status = ae_file_read(&text, path, MAX_GOLDEN_BYTES, err);
    if (!status) {
        root = json_loadb(text.data ? text.data : "", text.len, 0, &problem);
        if (!json_is_array(json_object_get(root, "cases")))
            status = aerie_fail(err, AERIE_BAD_FILE,
                                "%s: no golden file: it has no list of 'cases'", path);
        else if (strcmp(file, "chat_templates") == 0)
            ae_golden_templates(g, root);
        else
            run_cases(g, file, root);
    }
    json_decref(root);
    ae_bytes_free(&text);
    ae_free(path);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_json(const char *name)
{
    size_t len = strlen(name);

    return len > 5 && len < 64 && strcmp(name + len - 5, ".json") == 0;
}

/* The JSON files of a folder, sorted; owned by the arena. */
static aerie_status list_files(const char **names, size_t *n, ae_arena *arena, const char *folder,
                               aerie_error *err)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    *n = 0;
    if (!dir)
        return aerie_fail(err, AERIE_NOT_FOUND,
                          "%s: this folder of golden cases cannot be read: %s", folder,
                          strerror(errno));
    while ((entry = readdir(dir)) && *n < MAX_FILES) {
        if (!is_json(entry->d_name)) continue;
        names[*n] = ae_arena_strndup(arena, entry->d_name, strlen(entry->d_name));
        if (!names[*n]) break;
        (*n)++;
    }
    closedir(dir);
    qsort(names, *n, sizeof *names, by_name);
    if (*n > 0) return AERIE_OK;
    return aerie_fail(err, AERIE_NOT_FOUND, "%s: there are no golden cases (*.json) in this folder",
                      folder);
}

aerie_status ae_selftest(const char *golden_folder, ae_device *device, aerie_selftest_fn *show,
                         void *user, aerie_selftest_summary *summary, aerie_error *err)
{
    ae_golden g = { .device = device, .show = show, .user = user, .summary = summary };
    const char *names[MAX_FILES];
    aerie_status status = AERIE_OK;
    ae_arena list = { 0 };
    size_t n = 0;

    *summary = (aerie_selftest_summary){ 0 };
    if (golden_folder) status = list_files(names, &n, &list, golden_folder, err);
    if (!status) ae_golden_builtin(&g);
    for (size_t i = 0; i < n && !status; i++) status = run_file(&g, golden_folder, names[i], err);
    ae_arena_free(&g.arena);
    ae_arena_free(&list);
    return status;
}
