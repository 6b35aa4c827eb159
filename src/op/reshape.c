/* reshape.c -- the same numbers as rows of another width. They and their gradient are shared, so
 * that there is nothing to do on the way back. */
#include "op/check.h"

ae_tensor *ae_reshape(ae_ctx *cx, const ae_tensor *x, int64_t rows, int64_t cols)
{
    if (!ae_check_input(cx, "reshape", x)) return NULL;
    if (rows < 0 || cols < 1 || rows * cols != x->rows * x->cols) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE, "reshape: x is [%lld, %lld], not [%lld, %lld]",
                   (long long)x->rows, (long long)x->cols, (long long)rows, (long long)cols);
        return NULL;
    }
    ae_tensor *y = ae_arena_take(cx->arena, 1, sizeof *y);
    if (!y) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for a tensor");
        return NULL;
    }
    *y = *x;
    y->rows = rows;
    y->cols = cols;
    return y;
}
