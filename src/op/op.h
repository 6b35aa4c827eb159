/* op.h -- the door of op: differentiable operations on tensors.
 *
 * Each op checks shapes, takes its output from the arena, calls the device, and, when the context
 * has a tape, leaves a note saying how to go back. A model is written once, as plain calls; with
 * tape == NULL the same code is inference.
 *
 * Errors are sticky: after a failure the context holds the reason, every op returns NULL, and ops
 * accept NULL inputs. Model code therefore reads as arithmetic and looks at ae_ctx_status() once.
 *
 * An output has a gradient only when one of its inputs has one: nothing is computed on the way back
 * for what is frozen. What an op is given (tensors, ids, rows, predictions, tables, params) is
 * borrowed until the way back is done.
 *
 * A new op is one new file, its declaration here, one line in CMakeLists.txt and one test. */
#ifndef AE_OP_H
#define AE_OP_H

#include "device/device.h"

typedef struct ae_node ae_node;

typedef struct {
    ae_device *device;
    ae_arena *arena;  /* scratch, and what is recomputed */
    aerie_error *err; /* set by ae_tape_backward(), for ops that know more than a status */
} ae_backward;

/* One note on the tape. Ops embed it as their first member. */
struct ae_node {
    aerie_status (*backward)(const ae_node *node, const ae_backward *to);
    ae_node *prev;
};

typedef struct {
    ae_node *last;
} ae_tape;

/* Is shown the input of every projection: x [T, in], about to meet w [out, in]. Changes nothing. */
typedef struct {
    void (*linear)(void *user, const ae_tensor *w, const ae_tensor *x);
    void *user;
} ae_observer;

typedef struct {
    ae_device *device; /* borrowed */
    ae_arena *arena;   /* borrowed; outputs live until its reset; scratch comes from here too */
    ae_tape *tape;     /* borrowed; NULL: inference, nothing is kept */
    aerie_error error;
    uint64_t dropout_key;         /* of this step; 0: dropout is off */
    const uint64_t *dropout_rows; /* [T], a key of each row that does not depend on the packing */
    bool grad_wanted;             /* an op so far had an input with a gradient, tape or not */
    const ae_observer *observer;  /* borrowed; NULL: nobody looks */
} ae_ctx;

static inline aerie_status ae_ctx_status(const ae_ctx *cx)
{
    return cx->error.status;
}

/* A [rows, cols] F32 tensor in the arena, not zeroed; with a zeroed gradient when there is a tape
 * and `wants_grad`. */
ae_tensor *ae_tensor_new(ae_ctx *cx, int64_t rows, int64_t cols, bool wants_grad);

/* For ops only: gives t a zeroed gradient when there is a tape. false when there is no room. */
bool ae_tensor_want_grad(ae_ctx *cx, ae_tensor *t);

/* y = x * transpose(w) + bias.   x [T, in], w [out, in] of any type, bias [1, out] or NULL. */
ae_tensor *ae_linear(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, const ae_tensor *bias);

/* y = x / rms(x) * w, row by row.   x [T, D], w [1, D] F32. */
ae_tensor *ae_rmsnorm(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, float eps);

/* Angles of a batch's positions, shared by all layers; cos, sin [T, d / 2]. */
typedef struct {
    const float *cos, *sin;
    int64_t n_rows, head_dim;
    bool interleaved;
} ae_rope_table;

/* Fills a table in the arena. freq [d / 2]: radians per position. */
const ae_rope_table *ae_rope_table_new(ae_ctx *cx, const int32_t *pos, int64_t T,
                                       const double *freq, int64_t head_dim, bool interleaved);
/* Turns each head of x [T, heads * d]. */
ae_tensor *ae_rope(ae_ctx *cx, const ae_tensor *x, const ae_rope_table *table);

/* y = silu(gate) * up.   All [T, F]. */
ae_tensor *ae_swiglu(ae_ctx *cx, const ae_tensor *gate, const ae_tensor *up);
/* y = gelu(gate) * up, gelu by tanh.   All [T, F]. */
ae_tensor *ae_geglu(ae_ctx *cx, const ae_tensor *gate, const ae_tensor *up);

/* y = cap * tanh(x / cap), cap > 0.   x, y [T, N]. */
ae_tensor *ae_soft_cap(ae_ctx *cx, const ae_tensor *x, float cap);

/* y = a + b; y = a + alpha * b.   All [T, D]. */
ae_tensor *ae_add(ae_ctx *cx, const ae_tensor *a, const ae_tensor *b);
ae_tensor *ae_add_scaled(ae_ctx *cx, const ae_tensor *a, const ae_tensor *b, float alpha);

/* y += scale * (x A^T) B^T, and y comes back: its numbers have changed, its gradient is its own.
 * Nothing before may need y's numbers on its way back.   y [T, N], x [T, in], a [R, in], b [N, R],
 * all F32. */
ae_tensor *ae_add_low_rank(ae_ctx *cx, ae_tensor *y, const ae_tensor *x, const ae_tensor *a,
                           const ae_tensor *b, float scale);

/* y = alpha * x.   x, y [T, D]. */
ae_tensor *ae_scale(ae_ctx *cx, const ae_tensor *x, float alpha);

/* x itself, numbers and gradient, seen as [rows, cols]; rows * cols is what it has. */
ae_tensor *ae_reshape(ae_ctx *cx, const ae_tensor *x, int64_t rows, int64_t cols);

/* y = x * m / norm + bias by column, norm a constant.   x [T, N], m [N, 1], norm [N],
 * bias [1, N] or NULL. */
ae_tensor *ae_rescale(ae_ctx *cx, const ae_tensor *x, const ae_tensor *m, const float *norm,
                      const ae_tensor *bias);

/* y[i] = row ids[i] of w.   w [V, D] of any type, y [T, D]. Every id is checked. */
ae_tensor *ae_embedding(ae_ctx *cx, const ae_tensor *w, const int32_t *ids, int64_t T);

/* y[i] = row rows[i] of x: picks the rows whose logits are wanted. */
ae_tensor *ae_pick_rows(ae_ctx *cx, const ae_tensor *x, const int32_t *rows, int64_t n);

/* See ae_device.dropout; the context's keys; `site` tells apart the places of one model. Off (p or
 * the context's key is 0), it gives back x itself. */
ae_tensor *ae_dropout(ae_ctx *cx, const ae_tensor *x, float p, uint64_t site);

/* Where a sequence's keys and values come from. A batch is a packed row of tokens; a segment is a
 * run of it that belongs to one sequence or to a prefix that several branch from. */
typedef struct {
    int64_t first, n; /* rows of the batch */
    int64_t parent; /* the segment whose end this one goes on from; -1: none. parent < own index */
    int64_t cache;  /* index into a batch's caches; -1 in training */
} ae_segment;

/* Causal attention inside the packed row: block-diagonal over segments, each seeing the whole of
 * its ancestors.   q [T, H*d], k, v [T, K*d], out [T, H*d]. */
ae_tensor *ae_attention(ae_ctx *cx, const ae_tensor *q, const ae_tensor *k, const ae_tensor *v,
                        const ae_segment *segments, int64_t n_segments,
                        const ae_attention_shape *shape);

/* The same over caches: puts k and v [T, K*d] into the sequences' pages, and attends over all that
 * these then hold. The sequences cover all rows in order. No way back: refuses a tape. */
ae_tensor *ae_attention_cached(ae_ctx *cx, const ae_tensor *q, const ae_tensor *k,
                               const ae_tensor *v, const ae_cached_sequence *sequences,
                               int64_t n_sequences, const ae_kv_shape *kv,
                               const ae_attention_shape *shape);

/* Log-probabilities [N, 1] of targets (see ae_device.log_prob). *mean, when the pointer is not
 * NULL, gets the [N, 1] mean log-probability over the vocabulary. x [T, D], w [V, D]. */
ae_tensor *ae_log_prob(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w, const ae_predictions *p,
                       ae_tensor **mean);
/* The same, with the entropy [N, 1] of each distribution beside it, in nats. */
ae_tensor *ae_log_prob_entropy(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w,
                               const ae_predictions *p, ae_tensor **entropy);
/* The same, with the likeliest token's [N, 1] beside it: no way back leads from that. */
ae_tensor *ae_log_prob_top(ae_ctx *cx, const ae_tensor *x, const ae_tensor *w,
                           const ae_predictions *p, ae_tensor **top);

/* A block whose output has the shape of its input, e.g. one transformer layer. */
typedef ae_tensor *ae_block_fn(ae_ctx *cx, const void *params, const ae_tensor *x);

/* y = block(params, x), keeping only x and y: what lies between is computed again on the way back.
 * Memory of one layer instead of all of them, for one more forward pass. */
ae_tensor *ae_recompute(ae_ctx *cx, ae_block_fn *block, const void *params, const ae_tensor *x);

/* Runs the tape from its end, adding into the gradient of every tensor that has one. The caller has
 * set the gradient of the output. Empties the tape, also on failure; the gradients are then
 * incomplete. to->err need not be set. */
aerie_status ae_tape_backward(ae_tape *tape, const ae_backward *to, aerie_error *err);

/* For ops only: takes a node from the arena and puts it on the tape. NULL when there is no tape or
 * no room; in the latter case the context has the error. */
void *ae_tape_note(ae_ctx *cx, size_t size,
                   aerie_status (*backward)(const ae_node *node, const ae_backward *to));

#endif
