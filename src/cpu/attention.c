/* attention.c -- causal attention forward: out = softmax(scale * q . k) v over what a query sees.
 *
 * A row goes over its keys in chunks of AE_ATTENTION_CHUNK positions. A chunk gives a part: the
 * maximum m of its scores, l = sum exp(score - m), o = sum exp(score - m) v. Parts are joined in
 * the order of the chunks: with M = max(m, m'), l becomes l exp(m - M) + l' exp(m' - M), o likewise
 * (Milakov and Gimelshein, 1805.02867). Chunks are counted from the sequence's first position, so
 * that it is all one how queries are cut into blocks, and whether a block walks over its chunks or
 * each is a task: decoding, which has few rows, is shared out by chunks. */
#include "cpu/attention.h"

#include <math.h>
#include <string.h>

/* Rows (query heads) of a block: enough to pay for unpacking keys and values. */
#define BLOCK_ROWS 128
/* Floats of parts kept for all tasks of one sequence; beyond, its blocks walk. */
#define PART_FLOATS (4 << 20)
/* Multiply-adds below which handing out tasks costs more than it saves. */
#define SMALL_WORK (128 * 1024)

/* For each row of a block. sum 0: nothing seen yet. */
typedef struct {
    float *max, *sum; /* [rows] */
    float *out;       /* [rows, wide] */
} part;

/* How a sequence is cut into tasks. */
typedef struct {
    int64_t first_task, queries, blocks;
    int64_t first_chunk, chunks; /* with parts: of its one block of queries; else 0 */
    float *parts;                /* [K][chunks][part_floats] */
} cut;

typedef struct {
    ae_attention_call call;
    int64_t heads, wide; /* heads of one group; head width rounded up to 16 */
    cut *cuts;           /* [n_sequences + 1] */
    int64_t work;        /* multiply-adds */
    ae_rooms rooms;
    int64_t rows; /* most of a block */
} forward_job;

static int64_t part_floats(const forward_job *job, int64_t rows)
{
    return ae_round_up(2 * rows, 16) + rows * job->wide;
}

static part part_at(float *floats, int64_t rows)
{
    return (part){ floats, floats + rows, floats + ae_round_up(2 * rows, 16) };
}

static ae_attention_block block_of(const forward_job *job, int64_t s, int64_t kv_head,
                                   int64_t index)
{
    const ae_attention_call *c = &job->call;
    const ae_attention_sequence *seq = &c->sequences[s];
    int64_t query = index * job->cuts[s].queries;
    ae_attention_block b = ae_attention_block_at(c->cpu, c->shape, seq, kv_head, query,
                                                 ae_min64(job->cuts[s].queries, seq->n - query));

    b.width = AE_ATTENTION_CHUNK;
    b.kv = c->kv;
    if (c->cached) b.pages = c->cached[s].pages;
    return b;
}

/* Chunks *first .. *end - 1 hold what the block sees. */
static void chunks_of(const ae_attention_block *b, int64_t *first, int64_t *end)
{
    int64_t unused;

    ae_attention_sight(b, b->query, first, &unused);
    ae_attention_sight(b, b->query + b->n_queries - 1, &unused, end);
    *first /= AE_ATTENTION_CHUNK;
    *end = ae_ceil_div(*end, AE_ATTENTION_CHUNK);
}

/* Row r's scores in the chunk, `used` of them, become exponentials, zero where the query does not
 * see. */
static void softmax_row(const ae_attention_block *b, float *row, int64_t r, int64_t used,
                        const part *p)
{
    const ae_kernels *k = &b->cpu->k;
    int64_t first, end;

    ae_attention_sight(b, b->query + r / b->heads, &first, &end);
    first = ae_max64(first - b->base, 0), end = ae_min64(end - b->base, used);
    p->sum[r] = 0;
    if (first >= end) return;
    int64_t from = first / 16 * 16, to = ae_round_up(end, 16);
    if (b->shape->soft_cap > 0) k->soft_cap(row + first, b->shape->soft_cap, end - first);
    for (int64_t i = from; i < first; i++) row[i] = -INFINITY;
    for (int64_t i = end; i < to; i++) row[i] = -INFINITY;
    p->max[r] = k->max(row + from, to - from);
    p->sum[r] = k->exp_sum(row + from, row + from, p->max[r], to - from);
    memset(row, 0, (size_t)from * sizeof *row);
    memset(row + to, 0, (size_t)(used - to) * sizeof *row);
}

static void add_values(const ae_attention_block *b, float *packed, float *out, const float *p,
                       const ae_attention_keys *keys, int64_t wide)
{
    int64_t d = b->shape->head_dim, stride = keys->span->stride;

    ae_product(b->cpu, packed, out + keys->row * wide, wide, p + keys->row * b->width + keys->col,
               b->width, 1, keys->span->v + keys->at * stride + b->kv_head * d, stride,
               (ae_gemm_size){ keys->rows, d, keys->n });
}

/* The part of one chunk. q [rows, d] has the scale in it; room: scores, then for packing. */
static void chunk_part(const forward_job *job, ae_attention_block *b, int64_t chunk, const float *q,
                       const part *p, float *room)
{
    float *scores = room, *packed = room + job->rows * AE_ATTENTION_CHUNK;
    ae_attention_keys keys;

    b->base = chunk * AE_ATTENTION_CHUNK;
    const ae_attention_cursor start = { .pos = b->base, .end = b->base + AE_ATTENTION_CHUNK };
    ae_attention_cursor at;
    int64_t used = 0;
    for (at = start; ae_attention_next(b, &at, &keys); used = keys.col + keys.n)
        if (b->pages)
            ae_attention_page_scores(b, packed, scores, q, &keys);
        else
            ae_attention_products(b, packed, scores, q, keys.span->k, &keys);
    used = ae_round_up(used, 16);
    for (int64_t r = 0; r < b->rows; r++) softmax_row(b, scores + r * b->width, r, used, p);

    memset(p->out, 0, (size_t)(b->rows * job->wide) * sizeof *p->out);
    for (at = start; ae_attention_next(b, &at, &keys);)
        if (b->pages)
            ae_attention_page_values(b, packed, p->out, scores, &keys);
        else
            add_values(b, packed, p->out, scores, &keys, job->wide);
}

/* to = to joined with p, the part of a later chunk. */
static void join(const forward_job *job, const part *to, const part *p, int64_t rows)
{
    const ae_kernels *k = &job->call.cpu->k;
    int64_t wide = job->wide;

    for (int64_t r = 0; r < rows; r++) {
        float *out = to->out + r * wide, *more = p->out + r * wide;
        if (p->sum[r] == 0) continue;
        if (to->sum[r] == 0) {
            to->max[r] = p->max[r], to->sum[r] = p->sum[r];
            memcpy(out, more, (size_t)wide * sizeof *out);
            continue;
        }
        float share[2] = { to->max[r], p->max[r] };
        to->max[r] = share[1] > share[0] ? share[1] : share[0];
        k->exp_sum(share, share, to->max[r], 2);
        to->sum[r] = to->sum[r] * share[0] + p->sum[r] * share[1];
        k->scale(out, out, share[0], wide);
        k->add_to(out, more, share[1], wide);
    }
}

static void finish(const forward_job *job, const ae_attention_block *b, const part *p)
{
    int64_t d = b->shape->head_dim;

    for (int64_t r = 0; r < b->rows; r++) {
        int64_t at = ae_attention_row_at(b, r);
        if (job->call.lse) job->call.lse[at] = p->max[r] + logf(p->sum[r]);
        b->cpu->k.scale(job->call.out + at * d, p->out + r * job->wide, 1 / p->sum[r], d);
    }
}

/* A block that walks over its chunks. */
static void walk(const forward_job *job, ae_attention_block *b, float *room)
{
    part sum = part_at(room, job->rows);
    part next = part_at(room += part_floats(job, job->rows), job->rows);
    float *q = room += part_floats(job, job->rows);
    int64_t chunk, end;

    room += job->rows * job->wide;
    ae_attention_gather(b, q, job->call.q, b->shape->scale);
    chunks_of(b, &chunk, &end);
    b->goes_on = chunk + 1 < end;
    chunk_part(job, b, chunk, q, &sum, room);
    while (++chunk < end) {
        b->goes_on = chunk + 1 < end;
        chunk_part(job, b, chunk, q, &next, room);
        join(job, &sum, &next, b->rows);
    }
    finish(job, b, &sum);
}

/* One chunk of a sequence whose parts are kept. goes_on: this worker takes the next task too. */
static void one_chunk(const forward_job *job, int64_t s, int64_t local, bool goes_on, float *room)
{
    const cut *c = &job->cuts[s];
    ae_attention_block b = block_of(job, s, local / c->chunks, 0);
    part p = part_at(c->parts + local * part_floats(job, b.rows), b.rows);

    b.goes_on = goes_on && (local + 1) % c->chunks > 0;
    ae_attention_gather(&b, room, job->call.q, b.shape->scale);
    chunk_part(job, &b, c->first_chunk + local % c->chunks, room, &p, room + job->rows * job->wide);
}

static void forward_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const forward_job *job = context;
    int64_t s = 0, kv_heads = job->call.shape->n_kv_heads;

    for (int64_t i = begin; i < end; i++) {
        while (i >= job->cuts[s + 1].first_task) s++;
        int64_t local = i - job->cuts[s].first_task, blocks = job->cuts[s].blocks;
        float *room = ae_room_of(&job->rooms, worker);
        if (job->cuts[s].parts) {
            one_chunk(job, s, local, i + 1 < end, room);
            continue;
        }
        /* The last queries see most: they come first. */
        ae_attention_block b = block_of(job, s, local % kv_heads, blocks - 1 - local / kv_heads);
        walk(job, &b, room);
    }
}

/* Joins the parts of key/value head i % K of sequence i / K. */
static void join_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const forward_job *job = context;
    int64_t kv_heads = job->call.shape->n_kv_heads;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const cut *c = &job->cuts[i / kv_heads];
        if (!c->parts) continue;
        ae_attention_block b = block_of(job, i / kv_heads, i % kv_heads, 0);
        int64_t floats = part_floats(job, b.rows);
        float *at = c->parts + i % kv_heads * c->chunks * floats;
        part sum = part_at(at, b.rows);
        for (int64_t j = 1; j < c->chunks; j++) {
            part next = part_at(at + j * floats, b.rows);
            join(job, &sum, &next, b.rows);
        }
        finish(job, &b, &sum);
    }
}

/* A sequence that has one block of queries over several chunks keeps parts. False: no room. */
static bool plan_sequence(forward_job *job, int64_t s, ae_arena *scratch)
{
    const ae_attention_call *call = &job->call;
    const ae_attention_sequence *seq = &call->sequences[s];
    cut *c = &job->cuts[s];
    int64_t end, kv_heads = call->shape->n_kv_heads;

    c->queries = ae_min64(ae_max64(BLOCK_ROWS / job->heads, 1), ae_max64(seq->n, 1));
    c->blocks = ae_ceil_div(seq->n, c->queries);
    job->rows = ae_max64(job->rows, c->queries * job->heads);
    c[1].first_task = c->first_task + c->blocks * kv_heads;
    if (c->blocks < 1) return true;
    ae_attention_block b = block_of(job, s, 0, 0);
    chunks_of(&b, &c->first_chunk, &end);
    c->chunks = end - c->first_chunk;
    job->work += seq->n * (seq->total - c->first_chunk * AE_ATTENTION_CHUNK) *
                 call->shape->n_heads * 2 * call->shape->head_dim;
    int64_t floats = kv_heads * part_floats(job, b.rows) * c->chunks;
    if (c->blocks > 1 || c->chunks < 2 || floats > PART_FLOATS) return true;
    c->parts = ae_arena_take_raw(scratch, (size_t)floats, sizeof *c->parts);
    c[1].first_task = c->first_task + c->chunks * kv_heads;
    return c->parts != NULL;
}

static bool plan(forward_job *job, ae_arena *scratch)
{
    const ae_attention_call *call = &job->call;

    job->heads = call->shape->n_heads / call->shape->n_kv_heads;
    job->wide = ae_round_up(call->shape->head_dim, 16);
    job->cuts = ae_arena_take(scratch, (size_t)call->n_sequences + 1, sizeof *job->cuts);
    if (!job->cuts) return false;
    for (int64_t s = 0; s < call->n_sequences; s++)
        if (!plan_sequence(job, s, scratch)) return false;
    int64_t floats = 2 * part_floats(job, job->rows) + job->rows * job->wide +
                     job->rows * AE_ATTENTION_CHUNK + ae_attention_room(call->cpu, call->shape);
    return ae_rooms_take(&job->rooms, call->cpu, scratch, floats);
}

static bool has_parts(const forward_job *job)
{
    for (int64_t s = 0; s < job->call.n_sequences; s++)
        if (job->cuts[s].parts) return true;
    return false;
}

aerie_status ae_attention_run(const ae_attention_call *call, ae_arena *scratch)
{
    ae_arena_mark mark = ae_arena_here(scratch);
    aerie_status status = AERIE_NO_MEMORY;
    forward_job job = { .call = *call };

    if (!plan(&job, scratch)) goto done;
    int64_t tasks = job.cuts[call->n_sequences].first_task;
    int64_t heads = call->n_sequences * call->shape->n_kv_heads;
    bool small = job.work < SMALL_WORK;
    /* With parts a worker takes chunks that follow each other: it asks for the next one's keys. */
    int64_t grain = has_parts(&job) ? ae_max64(1, tasks / (4 * ae_pool_size(call->cpu->pool))) : 1;
    ae_pool_run(call->cpu->pool, tasks, small ? tasks : grain, forward_tasks, &job);
    if (has_parts(&job)) ae_pool_run(call->cpu->pool, heads, small ? heads : 1, join_tasks, &job);
    status = AERIE_OK;
done:
    ae_arena_reset(scratch, mark);
    return status;
}

aerie_status ae_cpu_attention(ae_device *dev, ae_arena *scratch, float *out, float *lse,
                              const float *q, const ae_attention_sequence *sequences,
                              int64_t n_sequences, const ae_attention_shape *shape)
{
    return ae_attention_run(&(ae_attention_call){ .cpu = ae_cpu_of(dev),
                                                  .shape = shape,
                                                  .sequences = sequences,
                                                  .n_sequences = n_sequences,
                                                  .q = q,
                                                  .out = out,
                                                  .lse = lse },
                            scratch);
}
