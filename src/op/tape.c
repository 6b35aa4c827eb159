/* tape.c -- tensors of a step and the notes that lead back through it. */
#include "op/op.h"

static aerie_status no_room(ae_ctx *cx, int64_t rows, int64_t cols)
{
    return aerie_fail(&cx->error, AERIE_NO_MEMORY,
                      "no room for [%lld, %lld] numbers beside %zu bytes in use; "
                      "use shorter or fewer sequences at a time",
                      (long long)rows, (long long)cols, cx->arena->used);
}

bool ae_tensor_want_grad(ae_ctx *cx, ae_tensor *t)
{
    cx->grad_wanted = true;
    if (!cx->tape || t->grad) return true;
    /* The product fitted when the tensor was made. */
    t->grad = ae_arena_take(cx->arena, (size_t)(t->rows * t->cols), sizeof *t->grad);
    if (!t->grad) no_room(cx, t->rows, t->cols);
    return t->grad;
}

ae_tensor *ae_tensor_new(ae_ctx *cx, int64_t rows, int64_t cols, bool wants_grad)
{
    int64_t count;
    if (ae_ctx_status(cx)) return NULL;
    if (rows < 0 || cols < 0 || __builtin_mul_overflow(rows, cols, &count)) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE, "a tensor of [%lld, %lld] cannot be",
                   (long long)rows, (long long)cols);
        return NULL;
    }
    ae_tensor *t = ae_arena_take(cx->arena, 1, sizeof *t);
    float *data = t ? ae_arena_take_raw(cx->arena, (size_t)count, sizeof *data) : NULL;
    if (!data) {
        no_room(cx, rows, cols);
        return NULL;
    }
    *t = (ae_tensor){ .dtype = AE_F32, .rows = rows, .cols = cols, .data = data };
    if (wants_grad && !ae_tensor_want_grad(cx, t)) return NULL;
    return t;
}

void *ae_tape_note(ae_ctx *cx, size_t size,
                   aerie_status (*backward)(const ae_node *node, const ae_backward *to))
{
    if (!cx->tape || ae_ctx_status(cx)) return NULL;
    ae_node *node = ae_arena_take(cx->arena, 1, size);
    if (!node) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for a note beside %zu bytes in use",
                   cx->arena->used);
        return NULL;
    }
    node->backward = backward;
    node->prev = cx->tape->last;
    cx->tape->last = node;
    return node;
}

aerie_status ae_tape_backward(ae_tape *tape, const ae_backward *to, aerie_error *err)
{
    ae_backward way = { .device = to->device, .arena = to->arena, .err = err };
    aerie_status status = AERIE_OK;
    for (const ae_node *node = tape->last; node && !status; node = node->prev) {
        /* What an op takes on its way back is scratch: nobody else sees it. */
        ae_arena_mark mark = ae_arena_here(way.arena);
        status = node->backward(node, &way);
        ae_arena_reset(way.arena, mark);
    }
    tape->last = NULL;
    if (status)
        aerie_fail(err, status,
                   "the backward pass has no room beside %zu bytes in use; "
                   "use shorter or fewer sequences at a time",
                   to->arena->used);
    return status;
}
