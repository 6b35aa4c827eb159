/* rope.c -- rotary position embedding (Su et al., 2104.09864): each pair of a head is turned by an
 * angle that grows with the position, so that q.k depends on the distance alone. */
#include "op/check.h"

#include <math.h>

typedef struct {
    ae_node node;
    const ae_tensor *x, *y;
    const ae_rope_table *table;
} note;

static bool table_fits(ae_ctx *cx, const int32_t *pos, int64_t T, const double *freq,
                       int64_t head_dim)
{
    if (ae_ctx_status(cx)) return false;
    if (pos && freq && T >= 0 && head_dim >= 2 && head_dim % 2 == 0) return true;
    aerie_fail(&cx->error, AERIE_BAD_SHAPE,
               "rope: %lld positions, heads of width %lld (an even one "
               "is needed)",
               (long long)T, (long long)head_dim);
    return false;
}

const ae_rope_table *ae_rope_table_new(ae_ctx *cx, const int32_t *pos, int64_t T,
                                       const double *freq, int64_t head_dim, bool interleaved)
{
    if (!table_fits(cx, pos, T, freq, head_dim)) return NULL;
    ae_tensor *c = ae_tensor_new(cx, T, head_dim / 2, false);
    ae_tensor *s = ae_tensor_new(cx, T, head_dim / 2, false);
    ae_rope_table *table = c && s ? ae_arena_take(cx->arena, 1, sizeof *table) : NULL;
    if (!table) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for the angles of %lld positions",
                   (long long)T);
        return NULL;
    }
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < head_dim / 2; i++) {
            /* In double: float32 loses a hundredth of a radian at position 100,000. */
            double angle = pos[t] * freq[i];
            ae_f32(c)[t * (head_dim / 2) + i] = (float)cos(angle);
            ae_f32(s)[t * (head_dim / 2) + i] = (float)sin(angle);
        }
    *table = (ae_rope_table){ ae_f32(c), ae_f32(s), T, head_dim, interleaved };
    return table;
}

/* The transpose of a turn is the turn back. */
static aerie_status backward(const ae_node *node, const ae_backward *to)
{
    const note *n = (const note *)node;
    const ae_rope_table *t = n->table;
    to->device->rope(to->device, n->x->grad, n->y->grad, t->cos, t->sin, t->n_rows,
                     n->x->cols / t->head_dim, t->head_dim, t->interleaved, true, true);
    return AERIE_OK;
}

ae_tensor *ae_rope(ae_ctx *cx, const ae_tensor *x, const ae_rope_table *table)
{
    if (!ae_check_input(cx, "rope", x)) return NULL;
    if (!table || x->rows != table->n_rows || x->cols % table->head_dim) {
        aerie_fail(&cx->error, AERIE_BAD_SHAPE,
                   "rope: x is [%lld, %lld], the table has %lld rows for heads of width %lld",
                   (long long)x->rows, (long long)x->cols, (long long)(table ? table->n_rows : 0),
                   (long long)(table ? table->head_dim : 0));
        return NULL;
    }
    ae_tensor *y = ae_tensor_new(cx, x->rows, x->cols, x->grad);
    if (!y) return NULL;
    cx->device->rope(cx->device, ae_f32(y), ae_f32(x), table->cos, table->sin, x->rows,
                     x->cols / table->head_dim, table->head_dim, table->interleaved, false, false);

    note *n = x->grad ? ae_tape_note(cx, sizeof *n, backward) : NULL;
    if (n) *n = (note){ n->node, x, y, table };
    return ae_ctx_status(cx) ? NULL : y;
}
