/* board_files.h -- rows of verdicts as files of this process, and the board of them. */
#ifndef AE_TEST_BOARD_FILES_H
#define AE_TEST_BOARD_FILES_H

#include "board/board.h"
#include "stats/golden_file.h"

#include <string.h>
#include <unistd.h>

/* Writes rows as lines of JSON to a file of the test's folder; `path` has room for 128. */
static inline const char *file_of(const json_t *rows, const char *name, char path[128])
{
    FILE *f;
    size_t i;
    json_t *row;

    snprintf(path, 128, "test-board-%d-%s", (int)getpid(), name);
    f = fopen(path, "w");
    assert_non_null(f);
    json_array_foreach(rows, i, row)
    {
        json_dumpf(row, f, JSON_COMPACT);
        fputc('\n', f);
    }
    fclose(f);
    return path;
}

typedef aerie_status board_fn(json_t **out, const ae_board_files *files, aerie_error *err);

/* The board of rows, and of texts (NULL: none), which are let go of. */
static inline json_t *board_with(board_fn *fn, json_t *rows, json_t *texts, const char *difficulty)
{
    char paths[2][128];
    const char *rows_path = file_of(rows, "rows", paths[0]);
    const char *texts_path = texts ? file_of(texts, "texts", paths[1]) : NULL;
    const ae_board_files files = { &rows_path, 1, &texts_path, texts ? 1 : 0, difficulty };
    aerie_error err = { 0 };
    json_t *out = NULL;

    aerie_status status = fn(&out, &files, &err);
    unlink(rows_path);
    if (texts) unlink(texts_path);
    json_decref(rows);
    json_decref(texts);
    if (status) fail_msg("%s", err.message);
    return out;
}

static inline json_t *board_of(board_fn *fn, json_t *rows, json_t *texts)
{
    return board_with(fn, rows, texts, NULL);
}

/* The board's model of that name; NULL: the first one. */
static inline const json_t *model_of(const json_t *board, const char *name)
{
    json_t *m;
    size_t i;

    json_array_foreach(json_object_get(board, "models"), i, m)
    {
        if (!name || !strcmp(name, json_string_value(json_object_get(m, "model")))) return m;
    }
    fail_msg("there is no model '%s'", name ? name : "");
    return NULL;
}

#endif
