/* product.h -- body of the kernels: products out of register tiles, transposition. */
#ifndef AE_LANES_PRODUCT_H
#define AE_LANES_PRODUCT_H

typedef struct {
    float *c;
    int64_t ldc;
    const float *a;
    int64_t a_row, a_col;
    const float *b;
    int64_t ldb, depth;
    int64_t last; /* columns of the last sixteen; 16: all */
} tile_args;

static ALWAYS_INLINE lanes load_part(const float *p, const int whole, int64_t n)
{
    return whole ? load(p) : load_n(p, n);
}

static ALWAYS_INLINE void store_part(float *p, lanes v, const int whole, int64_t n)
{
    if (whole)
        store(p, v);
    else
        store_n(p, v, n);
}

/* rows, vecs and whole are constants wherever this is inlined, so that the accumulators are
 * registers. Each accumulator starts from c and adds one product after another. */
static ALWAYS_INLINE void tile(const int rows, const int vecs, const int whole, const tile_args *t)
{
    lanes acc[TILE_ROWS * TILE_LANES], row[TILE_LANES];
    const float *b = t->b, *a[TILE_ROWS / 3];
    const int64_t a_row = t->a_row;

    UNROLL for (int i = 0; i < rows * vecs; i++)
    {
        const int v = i % vecs;
        acc[i] = load_part(t->c + i / vecs * t->ldc + 16 * v, whole || v < vecs - 1, t->last);
    }
    /* A pointer for three rows: one offset then serves all, and no address leaves the registers,
     * which is worth a third of the speed. */
    UNROLL for (int i = 0; i < rows; i += 3) a[i / 3] = t->a + i * a_row;
    for (int64_t r = 0; r < t->depth; r++, b += t->ldb) {
        UNROLL for (int v = 0; v < vecs; v++)
        {
            row[v] = load_part(b + 16 * v, whole || v < vecs - 1, t->last);
        }
        UNROLL for (int i = 0; i < rows; i++)
        {
            lanes factor = set(a[i / 3][i % 3 * a_row]);
            UNROLL for (int v = 0; v < vecs; v++)
            {
                acc[i * vecs + v] = fma_of(factor, row[v], acc[i * vecs + v]);
            }
        }
        UNROLL for (int i = 0; i < rows; i += 3) a[i / 3] += t->a_col;
    }
    UNROLL for (int i = 0; i < rows * vecs; i++)
    {
        const int v = i % vecs;
        store_part(t->c + i / vecs * t->ldc + 16 * v, acc[i], whole || v < vecs - 1, t->last);
    }
}

/* All rows of one column strip: full tiles, then what is left by halves. */
static ALWAYS_INLINE void strip(const int vecs, const int whole, tile_args t, int64_t rows)
{
    for (; rows >= TILE_ROWS; rows -= TILE_ROWS) {
        tile(TILE_ROWS, vecs, whole, &t);
        t.a += TILE_ROWS * t.a_row;
        t.c += TILE_ROWS * t.ldc;
    }
    if (TILE_ROWS > 8 && rows >= 8) {
        tile(TILE_ROWS > 8 ? 8 : 1, vecs, whole, &t);
        t.a += 8 * t.a_row;
        t.c += 8 * t.ldc;
        rows -= 8;
    }
    if (rows >= 4) {
        tile(4, vecs, whole, &t);
        t.a += 4 * t.a_row;
        t.c += 4 * t.ldc;
        rows -= 4;
    }
    if (rows >= 2) {
        tile(2, vecs, whole, &t);
        t.a += 2 * t.a_row;
        t.c += 2 * t.ldc;
        rows -= 2;
    }
    if (rows) tile(1, vecs, whole, &t);
}

static void gemm(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,
                 const float *b, int64_t ldb, ae_gemm_size size)
{
    tile_args t = { c, ldc, a, a_row, a_col, b, ldb, size.depth, 16 };
    int64_t cols = size.cols;

    for (; cols >= 16 * TILE_LANES; cols -= 16 * TILE_LANES) {
        strip(TILE_LANES, 1, t, size.rows);
        t.b += 16 * TILE_LANES;
        t.c += 16 * TILE_LANES;
    }
    t.last = cols % 16;
    if (cols > 16)
        strip(TILE_LANES, 0, t, size.rows);
    else if (cols == 16)
        strip(1, 1, t, size.rows);
    else if (cols)
        strip(1, 0, t, size.rows);
}

/* Up to 16 x 16. */
static void transpose_edge(float *out, int64_t ldo, const float *a, int64_t lda, int64_t rows,
                           int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) out[c * ldo + r] = a[r * lda + c];
}

static void transpose(float *out, int64_t ldo, const float *a, int64_t lda, int64_t rows,
                      int64_t cols)
{
    for (int64_t r = 0; r < rows; r += 16)
        for (int64_t c = 0; c < cols; c += 16)
            if (rows - r >= 16 && cols - c >= 16)
                transpose16(out + c * ldo + r, ldo, a + r * lda + c, lda);
            else
                transpose_edge(out + c * ldo + r, ldo, a + r * lda + c, lda,
                               rows - r < 16 ? rows - r : 16, cols - c < 16 ? cols - c : 16);
}

/* Sixteen rows, one a lane: the chain of a row is that of gemm. Two groups of rows take turns, so
 * that one's chain need not wait for its own latency. */
enum { DOT_GROUPS = 2 };

static ALWAYS_INLINE void dots_groups(const int groups, float *y, const float *w, int64_t ldw,
                                      const float *x, int64_t depth)
{
    lanes acc[DOT_GROUPS], turned[16];
    int64_t k = 0;

    UNROLL for (int g = 0; g < groups; g++) acc[g] = load(y + 16 * g);
    for
        WHOLE_LANES(k, depth)
        {
            UNROLL for (int g = 0; g < groups; g++)
            {
                turn16(turned, w + 16 * g * ldw + k, ldw);
                UNROLL for (int i = 0; i < 16; i++) acc[g] =
                    fma_of(set(x[k + i]), turned[i], acc[g]);
            }
        }
    for (int g = 0; g < groups && k < depth; g++) {
        float edge[256];
        transpose_edge(edge, 16, w + 16 * g * ldw + k, ldw, 16, depth - k);
        for (int64_t i = 0; i < depth - k; i++)
            acc[g] = fma_of(set(x[k + i]), load(edge + 16 * i), acc[g]);
    }
    UNROLL for (int g = 0; g < groups; g++) store(y + 16 * g, acc[g]);
}

static void dots(float *y, const float *w, int64_t ldw, const float *x, int64_t rows, int64_t depth)
{
    for (; rows >= 16 * DOT_GROUPS; rows -= 16 * DOT_GROUPS) {
        dots_groups(DOT_GROUPS, y, w, ldw, x, depth);
        y += 16 * DOT_GROUPS;
        w += 16 * DOT_GROUPS * ldw;
    }
    if (rows >= 16) {
        dots_groups(1, y, w, ldw, x, depth);
        y += 16;
        w += 16 * ldw;
        rows -= 16;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < depth; k++) y[r] = fmaf(x[k], w[r * ldw + k], y[r]);
}

#endif
