/* support.h -- what tests of models share. */
#ifndef AE_TEST_MODEL_SUPPORT_H
#define AE_TEST_MODEL_SUPPORT_H

#include "model/model.h"

#include "scratch.h"

#include <stdlib.h>

#define SHAPES "test/golden/model/"

/* The shared folder's file, or NULL (with a remark) where that folder is not. Freed by the caller.
 */
static inline char *shared_path(const char *name)
{
    const char *root = getenv("AERIE_SHARED");
    char *path = ae_path_join(root && *root ? root : "../shared", name);

    assert_non_null(path);
    if (ae_file_exists(path) || ae_file_is_folder(path)) return path;
    print_message("skipped: no %s\n", path);
    ae_free(path);
    return NULL;
}

static inline ae_model *open_or_fail(const char *path)
{
    ae_model *m = NULL;
    aerie_error err = { 0 };

    if (ae_model_open(&m, path, &err)) fail_msg("%s", err.message);
    return m;
}

static inline char *join(const char *folder, const char *name)
{
    char *path = ae_path_join(folder, name);

    assert_non_null(path);
    return path;
}

/* Logits of every position of one text, [n, V]; the caller frees them. */
static inline float *logits_of(ae_device *device, const ae_net *net, const int32_t *ids, int64_t n)
{
    ae_arena arena = { 0 };
    ae_ctx cx = { .device = device, .arena = &arena };
    const ae_segment segment = { 0, n, -1, -1 };
    int32_t pos[512];

    assert_true(n <= 512);
    for (int64_t i = 0; i < n; i++) pos[i] = (int32_t)i;
    const ae_batch batch = { n, ids, pos, &segment, 1, NULL };
    const ae_tensor *y = ae_net_logits(&cx, net, ae_net_hidden(&cx, net, &batch), pos, n);
    if (!y) fail_msg("%s", cx.error.message);
    size_t count = (size_t)(y->rows * y->cols);
    float *copy = ae_alloc(count, sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, y->data, count * sizeof *copy);
    ae_arena_free(&arena);
    return copy;
}

#endif
