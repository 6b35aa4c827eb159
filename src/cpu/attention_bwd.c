/* attention_bwd.c -- the way back of attention.
 *
 * With p the probabilities, computed again from the kept log-sum-exp, and o the output:
 *   dv_j += p_ij do_i
 *   ds_ij = p_ij (do_i . v_j - do_i . o_i)        times 1 - (s / cap)^2 under a soft cap
 *   dq_i += scale sum_j ds_ij k_j
 *   dk_j += scale sum_i ds_ij q_i
 * A task is one group of sequences (those that share a prefix) with one key/value head: it alone
 * adds into their keys' and values' gradients, query after query. */
#include "cpu/attention.h"

#include <string.h>

typedef struct {
    const ae_cpu *cpu;
    const ae_attention_shape *shape;
    const ae_attention_sequence *sequences;
    int64_t n_sequences;
    int64_t *first_of_group; /* [n_groups + 1] */
    const float *q, *out, *dout, *lse;
    float *dq;
    ae_rooms rooms;
    int64_t score_floats, row_floats; /* of a worker's room */
} backward_job;

/* What a worker's room is divided into. */
typedef struct {
    float *scores, *p, *ds; /* [rows, width] */
    float *q, *dout, *dq;   /* [rows, d]; q has the scale in it */
    float *packed;
} backward_room;

enum { SCORE_BUFFERS = 3, ROW_BUFFERS = 3 };

static backward_room divide(const backward_job *job, float *room)
{
    backward_room r = { .scores = room };

    r.p = r.scores + job->score_floats;
    r.ds = r.p + job->score_floats;
    r.q = r.ds + job->score_floats;
    r.dout = r.q + job->row_floats;
    r.dq = r.dout + job->row_floats;
    r.packed = r.dq + job->row_floats;
    return r;
}

static void clear_outside(float *row, int64_t first, int64_t end, int64_t width)
{
    memset(row, 0, (size_t)first * sizeof *row);
    memset(row + end, 0, (size_t)(width - end) * sizeof *row);
}

/* Scores to probabilities, d(probability) to d(score); zero where the query does not see. */
static void softmax_row_bwd(const backward_job *job, const ae_attention_block *b,
                            const backward_room *room, int64_t r)
{
    const ae_kernels *k = &job->cpu->k;
    int64_t d = b->shape->head_dim, at = ae_attention_row_at(b, r), first, end;
    float *scores = room->scores + r * b->width, *p = room->p + r * b->width;
    float *ds = room->ds + r * b->width, cap = b->shape->soft_cap;
    float delta = k->dot(room->dout + r * d, job->out + at * d, d);

    ae_attention_sight(b, b->query + r / b->heads, &first, &end);
    first -= b->base, end -= b->base;
    if (cap > 0) k->soft_cap(scores + first, cap, end - first);
    k->exp_sum(p + first, scores + first, job->lse[at], end - first);
    k->softmax_bwd(ds + first, p + first, scores + first, delta, cap, end - first);
    clear_outside(p, first, end, b->width);
    clear_outside(ds, first, end, b->width);
}

static void add_products(const ae_attention_block *b, const backward_room *room,
                         const ae_attention_keys *keys)
{
    int64_t d = b->shape->head_dim, stride = keys->span->stride;
    int64_t at = keys->at * stride + b->kv_head * d;
    int64_t corner = keys->row * b->width + keys->col, row = keys->row * d;
    ae_gemm_size to_queries = { keys->rows, d, keys->n }, to_keys = { keys->n, d, keys->rows };

    ae_product(b->cpu, room->packed, room->dq + row, d, room->ds + corner, b->width, 1,
               keys->span->k + at, stride, to_queries);
    ae_product(b->cpu, room->packed, keys->span->dk + at, stride, room->ds + corner, 1, b->width,
               room->q + row, d, to_keys);
    ae_product(b->cpu, room->packed, keys->span->dv + at, stride, room->p + corner, 1, b->width,
               room->dout + row, d, to_keys);
}

static void backward_block(const backward_job *job, const ae_attention_block *b,
                           const backward_room *room)
{
    int64_t d = b->shape->head_dim;
    ae_attention_cursor cursor = { 0 };
    ae_attention_keys keys;

    ae_attention_gather(b, room->q, job->q, b->shape->scale);
    ae_attention_gather(b, room->dout, job->dout, 1);
    while (ae_attention_next(b, &cursor, &keys)) {
        ae_attention_products(b, room->packed, room->scores, room->q, keys.span->k, &keys);
        ae_attention_products(b, room->packed, room->ds, room->dout, keys.span->v, &keys);
    }
    for (int64_t r = 0; r < b->rows; r++) softmax_row_bwd(job, b, room, r);

    memset(room->dq, 0, (size_t)(b->rows * d) * sizeof(float));
    for (cursor = (ae_attention_cursor){ 0 }; ae_attention_next(b, &cursor, &keys);)
        add_products(b, room, &keys);
    for (int64_t r = 0; r < b->rows; r++)
        b->cpu->k.add_to(job->dq + ae_attention_row_at(b, r) * d, room->dq + r * d, b->shape->scale,
                         d);
}

static void backward_sequence(const backward_job *job, const ae_attention_sequence *seq,
                              int64_t kv_head, const backward_room *room)
{
    int64_t queries = ae_attention_queries(seq, job->shape, SCORE_BUFFERS);

    for (int64_t query = 0; query < seq->n; query += queries) {
        ae_attention_block b = ae_attention_block_at(job->cpu, job->shape, seq, kv_head, query,
                                                     ae_min64(queries, seq->n - query));
        backward_block(job, &b, room);
    }
}

static void backward_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const backward_job *job = context;
    backward_room room = divide(job, ae_room_of(&job->rooms, worker));

    for (int64_t i = begin; i < end; i++) {
        int64_t group = i / job->shape->n_kv_heads, kv_head = i % job->shape->n_kv_heads;
        for (int64_t s = job->first_of_group[group]; s < job->first_of_group[group + 1]; s++)
            backward_sequence(job, &job->sequences[s], kv_head, &room);
    }
}

/* Finds the groups and sizes the rooms. Returns the number of groups. */
static int64_t plan_backward(backward_job *job)
{
    int64_t heads = job->shape->n_heads / job->shape->n_kv_heads, n_groups = 0;

    for (int64_t s = 0; s < job->n_sequences; s++) {
        const ae_attention_sequence *seq = &job->sequences[s];
        int64_t queries = ae_attention_queries(seq, job->shape, SCORE_BUFFERS);
        int64_t width = ae_attention_width(seq, job->shape, queries);
        job->score_floats = ae_max64(job->score_floats, queries * heads * width);
        job->row_floats = ae_max64(job->row_floats, queries * heads * job->shape->head_dim);
        if (s == 0 || seq->group != seq[-1].group) job->first_of_group[n_groups++] = s;
    }
    job->first_of_group[n_groups] = job->n_sequences;
    return n_groups;
}

aerie_status ae_cpu_attention_bwd(ae_device *dev, ae_arena *scratch, float *dq, const float *dout,
                                  const float *out, const float *lse, const float *q,
                                  const ae_attention_sequence *sequences, int64_t n_sequences,
                                  const ae_attention_shape *shape)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    ae_arena_mark mark = ae_arena_here(scratch);
    aerie_status status = AERIE_NO_MEMORY;
    backward_job job = { .cpu = cpu,
                         .shape = shape,
                         .sequences = sequences,
                         .n_sequences = n_sequences,
                         .q = q,
                         .out = out,
                         .dout = dout,
                         .lse = lse,
                         .dq = dq };
    int64_t n_groups;

    job.first_of_group =
        ae_arena_take_raw(scratch, (size_t)n_sequences + 1, sizeof *job.first_of_group);
    if (!job.first_of_group) goto done;
    n_groups = plan_backward(&job);
    if (!ae_rooms_take(&job.rooms, cpu, scratch,
                       SCORE_BUFFERS * job.score_floats + ROW_BUFFERS * job.row_floats +
                           ae_attention_room(cpu, shape)))
        goto done;
    ae_pool_run(cpu->pool, n_groups * shape->n_kv_heads, 1, backward_tasks, &job);
    status = AERIE_OK;
done:
    ae_arena_reset(scratch, mark);
    return status;
}
