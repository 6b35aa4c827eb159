/* attention_block.c -- which keys a block of queries sees, and products of its rows with them. */
#include "cpu/attention.h"

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
    if (c->end > 0) last_end = ae_min64(last_end, c->end);
    if (c->pos >= last_end) return false;
    if (b->pages) {
        c->start = c->pos / AE_KV_PAGE * AE_KV_PAGE;
        end = c->start + AE_KV_PAGE;
        keys->page = b->pages[c->pos / AE_KV_PAGE];
    } else {
        while (c->pos >= c->start + seq->spans[c->span].n) c->start += seq->spans[c->span++].n;
        end = ae_min64(c->start + seq->spans[c->span].n, c->pos + AE_ATTENTION_KEYS);
        keys->span = &seq->spans[c->span];
    }
    end = ae_min64(end, last_end);

    /* Query i sees some of pos .. end - 1 when pos <= before + i and before + i - window < end - 1.
     */
    int64_t from = ae_max64(b->query, c->pos - before), to = b->query + b->n_queries;
    if (b->shape->window > 0) to = ae_min64(to, end - 1 + b->shape->window - before);
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
