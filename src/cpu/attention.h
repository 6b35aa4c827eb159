/* attention.h -- what both directions of attention share: blocks of queries, blocks of keys,
 * scores.
 *
 * A block is some queries of one sequence with all the query heads that read one key/value head:
 * R = queries * heads per group rows, the queries' heads next to each other. Its scores lie in a
 * worker's room as rows over key positions from `base` on; base is a multiple of 16, so that a
 * row's sums, which go by index modulo 16, depend neither on the block nor on how positions are cut
 * into spans. Scores that a query does not see are zero after the softmax: adding zero products
 * changes no bit. */
#ifndef AE_CPU_ATTENTION_H
#define AE_CPU_ATTENTION_H

#include "cpu/machine.h"

typedef struct {
    const ae_cpu *cpu;
    const ae_attention_shape *shape;
    const ae_attention_sequence *seq;
    void *const *pages; /* where the keys are in place of seq's spans; NULL: in the spans */
    const ae_kv_shape *kv;
    int64_t kv_head, heads;   /* heads: query heads of one group */
    int64_t query, n_queries; /* of the sequence's new tokens */
    int64_t rows;             /* n_queries * heads */
    int64_t base, width;      /* score columns: positions base .. base + width - 1 */
    bool goes_on;             /* the positions behind them come next */
} ae_attention_block;

/* A run of keys of one span or page, together with the rows of the block that see any of them. */
typedef struct {
    const ae_attention_span *span;
    void *page;    /* when the block has pages */
    int64_t at, n; /* positions in the span or page */
    int64_t col;   /* score column of the first */
    int64_t row, rows;
} ae_attention_keys;

typedef struct {
    int64_t span, start; /* the span's first position in the sequence */
    int64_t pos;         /* next position */
    int64_t end;         /* where to stop; 0: behind the last that the block sees */
} ae_attention_cursor;

#define AE_ATTENTION_KEYS 64

/* A softmax is summed in chunks of so many positions, counted from the sequence's first. */
#define AE_ATTENTION_CHUNK 256

/* Queries of a block such that the scores of `buffers` buffers stay small. */
int64_t ae_attention_queries(const ae_attention_sequence *seq, const ae_attention_shape *shape,
                             int64_t buffers);
/* Score columns that a block of that many queries can need. */
int64_t ae_attention_width(const ae_attention_sequence *seq, const ae_attention_shape *shape,
                           int64_t queries);
ae_attention_block ae_attention_block_at(const ae_cpu *cpu, const ae_attention_shape *shape,
                                         const ae_attention_sequence *seq, int64_t kv_head,
                                         int64_t query, int64_t n_queries);

/* Positions that query i of the sequence sees: *first .. *end - 1. */
void ae_attention_sight(const ae_attention_block *b, int64_t i, int64_t *first, int64_t *end);

/* The next run of keys that the block sees, at most AE_ATTENTION_KEYS; false after the last. Start
 * with a zeroed cursor. */
bool ae_attention_next(const ae_attention_block *b, ae_attention_cursor *cursor,
                       ae_attention_keys *keys);

/* out[rows, d] = the block's rows of a [T, H, d], times scale. */
void ae_attention_gather(const ae_attention_block *b, float *out, const float *a, float scale);
/* Where row r of the block lies in a [T, H, d], and in a [T, H]. */
int64_t ae_attention_row_at(const ae_attention_block *b, int64_t r);

/* out[r][col ..] = a[r] . vector, for the rows and keys of `keys`; vectors is the span's k or v. */
/* room: ae_attention_room() floats, which is also enough for ae_product() into rows of d. */
void ae_attention_products(const ae_attention_block *b, float *room, float *out, const float *a,
                           const float *vectors, const ae_attention_keys *keys);
int64_t ae_attention_room(const ae_cpu *cpu, const ae_attention_shape *shape);

/* attention_cached.c: the rows' scores with a page's keys, and the sum of its values by weights
 * p [rows, width], added to out [rows, d rounded up to 16]. room as above. */
void ae_attention_page_scores(const ae_attention_block *b, float *room, float *scores,
                              const float *q, const ae_attention_keys *keys);
void ae_attention_page_values(const ae_attention_block *b, float *room, float *out, const float *p,
                              const ae_attention_keys *keys);

/* Everything that attention is asked for. Either the sequences have spans, or `cached` tells their
 * pages. */
typedef struct {
    const ae_cpu *cpu;
    const ae_attention_shape *shape;
    const ae_attention_sequence *sequences;
    const ae_cached_sequence *cached; /* NULL: spans */
    const ae_kv_shape *kv;
    int64_t n_sequences;
    const float *q;
    float *out, *lse; /* lse may be NULL */
} ae_attention_call;
aerie_status ae_attention_run(const ae_attention_call *call, ae_arena *scratch);

#endif
