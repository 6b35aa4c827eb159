/* attention_cached.c -- keys and values in the pages of a cache: written, and seen by attention. */
#include "cpu/attention.h"

#include <string.h>

/* A page is multiplied as it lies. Only an element of Q8_0 costs enough to unpack the page first,
 * for more rows than these (F16 at 128 rows: 145 GFLOP/s as it lies, 125 unpacked; Q8_0: 144, 154).
 */
#define DIRECT_ROWS 16

static bool as_it_lies(const ae_kv_head *head, int64_t rows)
{
    return head->dtype != AE_Q8_0 || rows <= DIRECT_ROWS;
}

/* What is read after the keys or values of a page: those of the next page of the chunk, after the
 * last keys the first values, after the last values the next chunk's keys. NULL: who knows. */
static const uint8_t *read_next(const ae_attention_block *b, const ae_attention_keys *keys,
                                bool values)
{
    int64_t pos = b->base + keys->col, next = pos / AE_KV_PAGE + 1;
    int64_t first, end = ae_min64(b->base + b->width, b->seq->total), unused;

    if (next * AE_KV_PAGE >= end) {
        if (values && (!b->goes_on || next * AE_KV_PAGE >= b->seq->total)) return NULL;
        ae_attention_sight(b, b->query, &first, &unused);
        if (!values) next = ae_max64(first, b->base) / AE_KV_PAGE;
        values = !values;
    }
    if (!b->pages[next]) return NULL;
    ae_kv_head head = ae_kv_head_at(b->pages[next], b->kv_head, b->kv);
    return values ? head.values : head.keys;
}

void ae_attention_page_scores(const ae_attention_block *b, float *room, float *scores,
                              const float *q, const ae_attention_keys *keys)
{
    const ae_kernels *k = &b->cpu->k;
    ae_kv_head head = ae_kv_head_at(keys->page, b->kv_head, b->kv);
    int64_t d = head.d, group = keys->at / AE_KV_GROUP;
    int64_t groups = ae_ceil_div(keys->at + keys->n, AE_KV_GROUP) - group;
    float *c = scores + keys->row * b->width + keys->col - keys->at % AE_KV_GROUP;

    q += keys->row * d;
    if (as_it_lies(&head, keys->rows)) {
        head.ahead = read_next(b, keys, false);
        k->kv_scores(c, b->width, q, d, keys->rows, &head, group, groups);
        return;
    }
    k->kv_key_panels(room, k->panel, &head, group, groups);
    for (int64_t r = 0; r < keys->rows; r++)
        memset(c + r * b->width, 0, (size_t)(groups * AE_KV_GROUP) * sizeof *c);
    ae_multiply_panels(b->cpu, c, b->width, q, d, 1, room,
                       (ae_gemm_size){ keys->rows, groups * AE_KV_GROUP, d });
}

void ae_attention_page_values(const ae_attention_block *b, float *room, float *out, const float *p,
                              const ae_attention_keys *keys)
{
    const ae_kernels *k = &b->cpu->k;
    ae_kv_head head = ae_kv_head_at(keys->page, b->kv_head, b->kv);

    out += keys->row * head.wide;
    p += keys->row * b->width + keys->col;
    if (as_it_lies(&head, keys->rows)) {
        head.ahead = read_next(b, keys, true);
        k->kv_values(out, head.wide, p, b->width, keys->rows, &head, keys->at, keys->n);
        return;
    }
    k->kv_value_panels(room, k->panel, &head, keys->at, keys->n);
    ae_multiply_panels(b->cpu, out, head.wide, p, b->width, 1, room,
                       (ae_gemm_size){ keys->rows, head.d, keys->n });
}

typedef struct {
    const ae_cpu *cpu;
    const float *k, *v;
    const ae_cached_sequence *sequences;
    const ae_kv_shape *kv;
    int64_t n_sequences;
} write_job;

static void write_position(const write_job *job, const ae_cached_sequence *s, int64_t i)
{
    int64_t pos = s->total - s->n + i, d = job->kv->head_dim, heads = job->kv->n_kv_heads;
    int64_t at = (s->first + i) * heads * d;

    for (int64_t head = 0; head < heads; head++, at += d) {
        ae_kv_head h = ae_kv_head_at(s->pages[pos / AE_KV_PAGE], head, job->kv);
        job->cpu->k.kv_store(&h, pos % AE_KV_PAGE, job->k + at, job->v + at);
    }
}

/* Task i is the i-th new position, the sequences' one after another. */
static void write_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const write_job *job = context;
    int64_t before = 0;

    (void)worker;
    for (const ae_cached_sequence *s = job->sequences; s < job->sequences + job->n_sequences; s++) {
        int64_t from = ae_max64(begin - before, 0), to = ae_min64(end - before, s->n);
        for (int64_t i = from; i < to; i++) write_position(job, s, i);
        before += s->n;
    }
}

void ae_cpu_kv_write(ae_device *dev, const float *k, const float *v,
                     const ae_cached_sequence *sequences, int64_t n_sequences,
                     const ae_kv_shape *kv)
{
    write_job job = { ae_cpu_of(dev), k, v, sequences, kv, n_sequences };
    int64_t n = 0;

    for (int64_t s = 0; s < n_sequences; s++) n += sequences[s].n;
    ae_pool_run(job.cpu->pool, n, ae_rows_per_task(kv->n_kv_heads * kv->head_dim), write_tasks,
                &job);
}

aerie_status ae_cpu_attention_cached(ae_device *dev, ae_arena *scratch, float *out, const float *q,
                                     const ae_cached_sequence *sequences, int64_t n_sequences,
                                     const ae_kv_shape *kv, const ae_attention_shape *shape)
{
    ae_arena_mark mark = ae_arena_here(scratch);
    ae_attention_sequence *plain = ae_arena_take(scratch, (size_t)n_sequences, sizeof *plain);

    if (!plain) return AERIE_NO_MEMORY;
    for (int64_t s = 0; s < n_sequences; s++)
        plain[s] = (ae_attention_sequence){ .first = sequences[s].first,
                                            .n = sequences[s].n,
                                            .total = sequences[s].total,
                                            .group = s };
    aerie_status status = ae_attention_run(&(ae_attention_call){ .cpu = ae_cpu_of(dev),
                                                                 .shape = shape,
                                                                 .sequences = plain,
                                                                 .cached = sequences,
                                                                 .kv = kv,
                                                                 .n_sequences = n_sequences,
                                                                 .q = q,
                                                                 .out = out },
                                           scratch);
    ae_arena_reset(scratch, mark);
    return status;
}
