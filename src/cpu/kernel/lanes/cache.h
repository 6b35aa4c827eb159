/* cache.h -- body of the kernels: cached keys and values (cpu/kernel/cache.h tells the layout),
 * stored, multiplied as they lie by a few rows, and expanded for many. */
#ifndef AE_LANES_CACHE_H
#define AE_LANES_CACHE_H

/* Sixteen elements from element i on, without their scales. */
static ALWAYS_INLINE lanes stored(const ae_dtype type, const uint8_t *p, int64_t i)
{
    if (type == AE_F32) return load((const float *)(const void *)p + i);
    if (type == AE_F16) return from_f16(p + 2 * i);
    return from_i8(load_bytes(p + i));
}

/* q = x / scale by sixteens of one block; returns the scale's bits. */
static uint16_t round_cached(uint8_t *out, const float *x)
{
    const lanes low = load(x), high = load(x + 16), zero = set(0);
    lanes most = max_of(max_of(low, sub(zero, low)), max_of(high, sub(zero, high)));
    uint8_t halves[32];
    uint16_t bits;
    float each[16];

    store(each, most);
    to_f16(halves, set(max_in(each, 16) / 127));
    memcpy(&bits, halves, sizeof bits);
    lanes scale = set(half_at(halves)), limit = set(127), rounder = set(ROUNDER);
    for (int i = 0; i < 2; i++) {
        lanes q = divide(i ? high : low, scale);
        q = min_of(limit, max_of(sub(zero, limit), q));
        q = zero_where_less(q, scale, set(0x1p-24f)); /* the smallest half; below: x / 0 */
        to_i8(out + 16 * i, sub(add(q, rounder), rounder));
    }
    return bits;
}

/* A row of up to 32 elements in stored form, with zeros behind. Returns the scale, if any. */
static ALWAYS_INLINE uint16_t round_run(const ae_dtype type, uint8_t *out, const float *x,
                                        int64_t n)
{
    if (type == AE_Q8_0) return round_cached(out, x);
    for (int64_t i = 0; i < 32; i += 16) {
        lanes v = n - i >= 16 ? load(x + i) : n > i ? load_n(x + i, n - i) : set(0);
        if (type == AE_F16)
            to_f16(out + 2 * i, v);
        else
            store((float *)(void *)out + i, v);
    }
    return 0;
}

/* One position's key goes to every sixteenth element, its value to a row. */
static ALWAYS_INLINE void store_of(const ae_dtype type, const int size, const ae_kv_head *h,
                                   int64_t pos, const float *k, const float *v)
{
    const int64_t group = pos / AE_KV_GROUP, lane = pos % AE_KV_GROUP, blocks = h->d / 32;
    uint8_t *keys = h->keys + (group * h->d * AE_KV_GROUP + lane) * size;
    uint8_t *values = h->values + pos * h->wide * size;
    _Alignas(64) uint8_t run[32 * sizeof(float)];

    for (int64_t at = 0; at < h->d; at += 32) {
        const int64_t n = h->d - at < 32 ? h->d - at : 32;
        uint16_t scale = round_run(type, run, k + at, n);
        for (int64_t i = 0; i < n; i++)
            memcpy(keys + (at + i) * AE_KV_GROUP * size, run + i * size, (size_t)size);
        if (type == AE_Q8_0)
            memcpy(h->key_scales + 2 * ((group * blocks + at / 32) * AE_KV_GROUP + lane), &scale,
                   sizeof scale);
        scale = round_run(type, run, v + at, n);
        memcpy(values + at * size, run, (size_t)((h->wide - at < 32 ? h->wide - at : 32) * size));
        if (type == AE_Q8_0)
            memcpy(h->value_scales + 2 * (pos * blocks + at / 32), &scale, sizeof scale);
    }
}

static void kv_store(const ae_kv_head *h, int64_t pos, const float *k, const float *v)
{
    if (h->dtype == AE_F32)
        store_of(AE_F32, 4, h, pos, k, v);
    else if (h->dtype == AE_F16)
        store_of(AE_F16, 2, h, pos, k, v);
    else
        store_of(AE_Q8_0, 1, h, pos, k, v);
}

/* Registers of accumulators decide how many sixteens a tile of rows takes at once. */
#define CACHE_TILES     (TILE_ROWS * TILE_LANES)
#define CACHE_VECS(row) (CACHE_TILES / (row) >= 4 ? 4 : CACHE_TILES / (row) >= 3 ? 2 : 1)

typedef struct {
    float *out;
    int64_t ldo;
    const float *a; /* q, or p at the first position */
    int64_t lda;
    const ae_kv_head *h;
    int64_t first, n; /* groups of keys; positions of values */
} cache_args;

/* Sixteens of a type in a cache line. */
static ALWAYS_INLINE int64_t sixteens_of_line(const ae_dtype type)
{
    return type == AE_F32 ? 1 : type == AE_F16 ? 2 : 4;
}

/* Asks for what lies in `ahead` where sixteen i does in the keys or values. */
static ALWAYS_INLINE void ask_ahead(const ae_dtype type, const uint8_t *ahead, int64_t i)
{
    if (ahead && i % sixteens_of_line(type) == 0)
        __builtin_prefetch(ahead + i / sixteens_of_line(type) * 64);
}

/* acc[r][v] += a[r] * b[v]: a row's factor serves all of b, which stays in registers. */
static ALWAYS_INLINE void multiply_add(const int rows, const int vecs, lanes *acc, const float *a,
                                       int64_t lda, const lanes *b)
{
    UNROLL for (int r = 0; r < rows; r++)
    {
        lanes factor = set(a[r * lda]);
        UNROLL for (int v = 0; v < vecs; v++) acc[r * vecs + v] =
            fma_of(factor, b[v], acc[r * vecs + v]);
    }
}

/* Scores of `rows` rows with `vecs` groups from `group` on. */
static ALWAYS_INLINE void score_tile(const ae_dtype type, const int rows, const int vecs,
                                     const cache_args *t, int64_t group)
{
    const int64_t d = t->h->d, block = type == AE_Q8_0 ? 32 : d;
    lanes acc[24], scale[4], key[4];

    UNROLL for (int i = 0; i < rows * vecs; i++) acc[i] = set(0);
    for (int64_t from = 0; from < d; from += block) {
        if (type == AE_Q8_0)
            UNROLL for (int v = 0; v < vecs; v++) scale[v] =
                from_f16(t->h->key_scales + 2 * ((group + v) * (d / 32) + from / 32) * AE_KV_GROUP);
        for (int64_t k = from; k < from + block; k++) {
            UNROLL for (int v = 0; v < vecs; v++)
            {
                key[v] = stored(type, t->h->keys, ((group + v) * d + k) * AE_KV_GROUP);
                if (type == AE_Q8_0) key[v] = mul(key[v], scale[v]);
                ask_ahead(type, t->h->ahead, (group + v) * d + k);
            }
            multiply_add(rows, vecs, acc, t->a + k, t->lda, key);
        }
    }
    UNROLL for (int i = 0; i < rows * vecs; i++)
        store(t->out + i / vecs * t->ldo + (group - t->first + i % vecs) * AE_KV_GROUP, acc[i]);
}

static ALWAYS_INLINE void score_rows(const ae_dtype type, const int rows, const cache_args *t)
{
    int64_t group = t->first, end = t->first + t->n;

    if (CACHE_VECS(rows) >= 4)
        for (; group + 4 <= end; group += 4) score_tile(type, rows, 4, t, group);
    if (CACHE_VECS(rows) >= 2)
        for (; group + 2 <= end; group += 2) score_tile(type, rows, 2, t, group);
    for (; group < end; group++) score_tile(type, rows, 1, t, group);
}

/* Columns col .. col + 16 vecs - 1 of `rows` rows of outputs. */
static ALWAYS_INLINE void value_tile(const ae_dtype type, const int rows, const int vecs,
                                     const cache_args *t, int64_t col)
{
    const int64_t wide = t->h->wide, blocks = t->h->d / 32;
    lanes acc[24], value[4];

    UNROLL for (int i = 0; i < rows * vecs; i++) acc[i] =
        load(t->out + i / vecs * t->ldo + col + i % vecs * 16);
    for (int64_t i = 0; i < t->n; i++) {
        const int64_t pos = t->first + i;
        UNROLL for (int v = 0; v < vecs; v++)
        {
            /* Two sixteens have one scale; a single one may be either half. */
            const int64_t scale = pos * blocks + col / 32 + v / 2;
            value[v] = stored(type, t->h->values, pos * wide + col + 16 * v);
            if (type == AE_Q8_0)
                value[v] = mul(value[v], set(half_at(t->h->value_scales + 2 * scale)));
            ask_ahead(type, t->h->ahead, (pos * wide + col) / 16 + v);
        }
        multiply_add(rows, vecs, acc, t->a + i, t->lda, value);
    }
    UNROLL for (int i = 0; i < rows * vecs; i++)
        store(t->out + i / vecs * t->ldo + col + i % vecs * 16, acc[i]);
}

static ALWAYS_INLINE void value_rows(const ae_dtype type, const int rows, const cache_args *t)
{
    int64_t col = 0, end = t->h->wide;

    if (CACHE_VECS(rows) >= 4)
        for (; col + 64 <= end; col += 64) value_tile(type, rows, 4, t, col);
    if (CACHE_VECS(rows) >= 2)
        for (; col + 32 <= end; col += 32) value_tile(type, rows, 2, t, col);
    for (; col < end; col += 16) value_tile(type, rows, 1, t, col);
}

/* Calls fn(type, n, t) for runs of rows: n is a constant wherever it is inlined. */
#define BY_ROWS(fn, type, t, rows)                                                                 \
    do {                                                                                           \
        for (int64_t left = (rows); left > 0;) {                                                   \
            int64_t taken = left >= 6 ? 6 : left >= 4 ? 4 : left;                                  \
            if (taken == 6) fn(type, 6, t);                                                        \
            if (taken == 4) fn(type, 4, t);                                                        \
            if (taken == 3) fn(type, 3, t);                                                        \
            if (taken == 2) fn(type, 2, t);                                                        \
            if (taken == 1) fn(type, 1, t);                                                        \
            (t)->out += taken * (t)->ldo;                                                          \
            (t)->a += taken * (t)->lda;                                                            \
            left -= taken;                                                                         \
        }                                                                                          \
    } while (0)

static void kv_scores(float *s, int64_t lds, const float *q, int64_t ldq, int64_t rows,
                      const ae_kv_head *h, int64_t group, int64_t groups)
{
    cache_args t = { s, lds, q, ldq, h, group, groups };

    if (h->dtype == AE_F32)
        BY_ROWS(score_rows, AE_F32, &t, rows);
    else if (h->dtype == AE_F16)
        BY_ROWS(score_rows, AE_F16, &t, rows);
    else
        BY_ROWS(score_rows, AE_Q8_0, &t, rows);
}

static void kv_values(float *o, int64_t ldo, const float *p, int64_t ldp, int64_t rows,
                      const ae_kv_head *h, int64_t pos, int64_t n)
{
    cache_args t = { o, ldo, p, ldp, h, pos, n };

    if (h->dtype == AE_F32)
        BY_ROWS(value_rows, AE_F32, &t, rows);
    else if (h->dtype == AE_F16)
        BY_ROWS(value_rows, AE_F16, &t, rows);
    else
        BY_ROWS(value_rows, AE_Q8_0, &t, rows);
}
#undef BY_ROWS

static ALWAYS_INLINE void key_panels_of(const ae_dtype type, float *out, int64_t panel,
                                        const ae_kv_head *h, int64_t group, int64_t groups)
{
    const int64_t d = h->d;

    for (int64_t g = 0; g < groups; g++) {
        float *at = out + 16 * g / panel * panel * d + 16 * g % panel;
        const uint8_t *scales = h->key_scales + 2 * (group + g) * (d / 32) * AE_KV_GROUP;
        for (int64_t k = 0; k < d; k++) {
            lanes key = stored(type, h->keys, ((group + g) * d + k) * AE_KV_GROUP);
            if (type == AE_Q8_0) key = mul(key, from_f16(scales + k / 32 * 2 * AE_KV_GROUP));
            store(at + k * panel, key);
        }
    }
}

static void kv_key_panels(float *out, int64_t panel, const ae_kv_head *h, int64_t group,
                          int64_t groups)
{
    if (h->dtype == AE_F32)
        key_panels_of(AE_F32, out, panel, h, group, groups);
    else if (h->dtype == AE_F16)
        key_panels_of(AE_F16, out, panel, h, group, groups);
    else
        key_panels_of(AE_Q8_0, out, panel, h, group, groups);
}

static ALWAYS_INLINE void value_panels_of(const ae_dtype type, float *out, int64_t panel,
                                          const ae_kv_head *h, int64_t pos, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t col = 0; col < h->wide; col += 16) {
            lanes value = stored(type, h->values, (pos + i) * h->wide + col);
            if (type == AE_Q8_0)
                value =
                    mul(value,
                        set(half_at(h->value_scales + 2 * ((pos + i) * (h->d / 32) + col / 32))));
            store(out + col / panel * panel * n + i * panel + col % panel, value);
        }
}

static void kv_value_panels(float *out, int64_t panel, const ae_kv_head *h, int64_t pos, int64_t n)
{
    if (h->dtype == AE_F32)
        value_panels_of(AE_F32, out, panel, h, pos, n);
    else if (h->dtype == AE_F16)
        value_panels_of(AE_F16, out, panel, h, pos, n);
    else
        value_panels_of(AE_Q8_0, out, panel, h, pos, n);
}

#endif
