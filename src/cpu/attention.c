/* attention.c -- causal attention forward: out = softmax(scale * q . k) v over what a query sees.
 *
 * A worker holds the scores of a block of queries against all the keys that they see, so that a
 * row's softmax is the plain one: a maximum, exponentials, one sum. The products with keys and
 * values go through the same kernel as everything else; the values are added in the order of their
 * positions. */
#include "cpu/attention.h"

#include <math.h>
#include <string.h>

/* Floats of scores in a worker's room, if that leaves at least one query. */
#define SCORE_FLOATS (256 * 1024)
#define MOST_QUERIES 64

int64_t ae_attention_width(const ae_attention_sequence *seq, const ae_attention_shape *shape,
                           int64_t queries)
{
    int64_t seen = seq->total;

    if (shape->window > 0) seen = ae_min64(seen, shape->window - 1 + queries);
    return ae_round_up(seen + 15, 16); /* base lies up to 15 positions before the first */
}

int64_t ae_attention_queries(const ae_attention_sequence *seq, const ae_attention_shape *shape,
                             int64_t buffers)
{
    int64_t heads = shape->n_heads / shape->n_kv_heads;
    int64_t row_floats = heads * buffers * ae_attention_width(seq, shape, MOST_QUERIES);

    return ae_min64(ae_max64(SCORE_FLOATS / row_floats, 1), MOST_QUERIES);
}

void ae_attention_sight(const ae_attention_block *b, int64_t i, int64_t *first, int64_t *end)
{
    int64_t pos = b->seq->total - b->seq->n + i;

    *end = pos + 1;
    *first = b->shape->window > 0 ? ae_max64(0, pos + 1 - b->shape->window) : 0;
}

ae_attention_block ae_attention_block_at(const ae_cpu *cpu, const ae_attention_shape *shape,
                                         const ae_attention_sequence *seq, int64_t kv_head,
                                         int64_t query, int64_t n_queries)
{
    ae_attention_block b = { .cpu = cpu, .shape = shape, .seq = seq, .kv_head = kv_head };
    int64_t first, end;

    b.heads = shape->n_heads / shape->n_kv_heads;
    b.query = query;
    b.n_queries = n_queries;
    b.rows = n_queries * b.heads;
    ae_attention_sight(&b, query, &first, &end);
    b.base = first / 16 * 16;
    ae_attention_sight(&b, query + n_queries - 1, &first, &end);
    b.width = ae_round_up(end - b.base, 16);
    return b;
}

bool ae_attention_next(const ae_attention_block *b, ae_attention_cursor *c, ae_attention_keys *keys)
{
    const ae_attention_sequence *seq = b->seq;
    int64_t first, last_end, end, unused, before = seq->total - seq->n;

    ae_attention_sight(b, b->query, &first, &unused);
    ae_attention_sight(b, b->query + b->n_queries - 1, &unused, &last_end);
    c->pos = ae_max64(c->pos, first);
    if (c->pos >= last_end) return false;
    while (c->pos >= c->start + seq->spans[c->span].n) c->start += seq->spans[c->span++].n;
    end =
        ae_min64(ae_min64(c->start + seq->spans[c->span].n, last_end), c->pos + AE_ATTENTION_KEYS);

    /* Query i sees some of pos .. end - 1 when pos <= before + i and before + i - window < end - 1.
     */
    int64_t from = ae_max64(b->query, c->pos - before), to = b->query + b->n_queries;
    if (b->shape->window > 0) to = ae_min64(to, end - 1 + b->shape->window - before);
    keys->span = &seq->spans[c->span];
    keys->at = c->pos - c->start;
    keys->n = end - c->pos;
    keys->col = c->pos - b->base;
    keys->row = (from - b->query) * b->heads;
    keys->rows = ae_max64(to - from, 0) * b->heads;
    c->pos = end;
    return true;
}

int64_t ae_attention_row_at(const ae_attention_block *b, int64_t r)
{
    int64_t token = b->seq->first + b->query + r / b->heads;

    return token * b->shape->n_heads + b->kv_head * b->heads + r % b->heads;
}

/* The heads of one group lie next to each other. */
void ae_attention_gather(const ae_attention_block *b, float *out, const float *a, float scale)
{
    int64_t d = b->shape->head_dim, n = b->heads * d;

    for (int64_t r = 0; r < b->rows; r += b->heads)
        b->cpu->k.scale(out + r * d, a + ae_attention_row_at(b, r) * d, scale, n);
}

void ae_attention_products(const ae_attention_block *b, float *room, float *out, const float *a,
                           const float *vectors, const ae_attention_keys *keys)
{
    int64_t d = b->shape->head_dim, panel = b->cpu->k.panel, stride = keys->span->stride;
    float *c = out + keys->row * b->width + keys->col;

    for (int64_t j = 0; j < keys->n; j += panel)
        b->cpu->k.transpose(room + j * d, panel, vectors + (keys->at + j) * stride + b->kv_head * d,
                            stride, ae_min64(panel, keys->n - j), d);
    for (int64_t r = 0; r < keys->rows; r++)
        memset(c + r * b->width, 0, (size_t)keys->n * sizeof *c);
    ae_multiply_panels(b->cpu, c, b->width, a + keys->row * d, d, 1, room,
                       (ae_gemm_size){ keys->rows, keys->n, d });
}

int64_t ae_attention_room(const ae_cpu *cpu, const ae_attention_shape *shape)
{
    return ae_max64(ae_product_room(cpu, shape->head_dim),
                    ae_round_up(AE_ATTENTION_KEYS, cpu->k.panel) * shape->head_dim);
}

typedef struct {
    const ae_cpu *cpu;
    const ae_attention_shape *shape;
    const ae_attention_sequence *sequences;
    int64_t n_sequences;
    int64_t *first_task; /* [n_sequences + 1] */
    const float *q;
    float *out, *lse;
    ae_rooms rooms;
    int64_t score_floats, row_floats; /* of a worker's room */
} forward_job;

/* Row r's scores become exponentials, zero where the query does not see. Returns their sum. */
static float softmax_row(const ae_attention_block *b, float *row, int64_t query, float *lse)
{
    const ae_kernels *k = &b->cpu->k;
    int64_t first, end;

    ae_attention_sight(b, query, &first, &end);
    first -= b->base, end -= b->base;
    int64_t from = first / 16 * 16, to = ae_round_up(end, 16);
    if (b->shape->soft_cap > 0) k->soft_cap(row + first, b->shape->soft_cap, end - first);
    for (int64_t i = from; i < first; i++) row[i] = -INFINITY;
    for (int64_t i = end; i < to; i++) row[i] = -INFINITY;
    float max = k->max(row + from, to - from);
    float sum = k->exp_sum(row + from, row + from, max, to - from);
    memset(row, 0, (size_t)from * sizeof *row);
    memset(row + to, 0, (size_t)(b->width - to) * sizeof *row);
    *lse = max + logf(sum);
    return sum;
}

static void forward_block(const forward_job *job, const ae_attention_block *b, float *room)
{
    int64_t d = b->shape->head_dim;
    float *scores = room, *q = scores + job->score_floats, *out = q + job->row_floats;
    float *packed = out + job->row_floats;
    ae_attention_cursor cursor = { 0 };
    ae_attention_keys keys;

    ae_attention_gather(b, q, job->q, b->shape->scale);
    while (ae_attention_next(b, &cursor, &keys))
        ae_attention_products(b, packed, scores, q, keys.span->k, &keys);

    for (int64_t r = 0; r < b->rows; r++) {
        float lse, sum = softmax_row(b, scores + r * b->width, b->query + r / b->heads, &lse);
        if (job->lse) job->lse[ae_attention_row_at(b, r)] = lse;
        q[r] = 1 / sum; /* the queries have served */
    }

    memset(out, 0, (size_t)(b->rows * d) * sizeof *out);
    for (cursor = (ae_attention_cursor){ 0 }; ae_attention_next(b, &cursor, &keys);)
        ae_product(b->cpu, packed, out + keys.row * d, d, scores + keys.row * b->width + keys.col,
                   b->width, 1, keys.span->v + keys.at * keys.span->stride + b->kv_head * d,
                   keys.span->stride, (ae_gemm_size){ keys.rows, d, keys.n });
    for (int64_t r = 0; r < b->rows; r++)
        b->cpu->k.scale(job->out + ae_attention_row_at(b, r) * d, out + r * d, q[r], d);
}

static void forward_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const forward_job *job = context;
    int64_t s = 0;

    for (int64_t i = begin; i < end; i++) {
        while (i >= job->first_task[s + 1]) s++;
        const ae_attention_sequence *seq = &job->sequences[s];
        int64_t queries = ae_attention_queries(seq, job->shape, 1), local = i - job->first_task[s];
        int64_t query = local / job->shape->n_kv_heads * queries;
        ae_attention_block b =
            ae_attention_block_at(job->cpu, job->shape, seq, local % job->shape->n_kv_heads, query,
                                  ae_min64(queries, seq->n - query));
        forward_block(job, &b, ae_room_of(&job->rooms, worker));
    }
}

/* Numbers the tasks and sizes the rooms. */
static void plan_forward(forward_job *job)
{
    int64_t heads = job->shape->n_heads / job->shape->n_kv_heads;

    job->first_task[0] = 0;
    for (int64_t s = 0; s < job->n_sequences; s++) {
        const ae_attention_sequence *seq = &job->sequences[s];
        int64_t queries = ae_attention_queries(seq, job->shape, 1);
        int64_t width = ae_attention_width(seq, job->shape, queries);
        job->first_task[s + 1] =
            job->first_task[s] + ae_ceil_div(seq->n, queries) * job->shape->n_kv_heads;
        job->score_floats = ae_max64(job->score_floats, queries * heads * width);
        job->row_floats = ae_max64(job->row_floats, queries * heads * job->shape->head_dim);
    }
}

aerie_status ae_cpu_attention(ae_device *dev, ae_arena *scratch, float *out, float *lse,
                              const float *q, const ae_attention_sequence *sequences,
                              int64_t n_sequences, const ae_attention_shape *shape)
{
    const ae_cpu *cpu = ae_cpu_of(dev);
    ae_arena_mark mark = ae_arena_here(scratch);
    aerie_status status = AERIE_NO_MEMORY;
    forward_job job = { .cpu = cpu,
                        .shape = shape,
                        .sequences = sequences,
                        .n_sequences = n_sequences,
                        .q = q,
                        .out = out,
                        .lse = lse };

    job.first_task = ae_arena_take_raw(scratch, (size_t)n_sequences + 1, sizeof *job.first_task);
    if (!job.first_task) goto done;
    plan_forward(&job);
    if (!ae_rooms_take(&job.rooms, cpu, scratch,
                       job.score_floats + 2 * job.row_floats + ae_attention_room(cpu, shape)))
        goto done;
    ae_pool_run(cpu->pool, job.first_task[n_sequences], 1, forward_tasks, &job);
    status = AERIE_OK;
done:
    ae_arena_reset(scratch, mark);
    return status;
}
