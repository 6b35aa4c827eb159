/* lanes.h -- kernels written once over sixteen lanes of float32.
 *
 * The files of this folder are bodies: an instruction set's table.c includes its own lanes.h, which
 * says what sixteen lanes are there (one register, two or four), and then this. The arithmetic is
 * the same operation by operation, so AVX2, AVX-512 and NEON give the same bits. What an
 * instruction set provides (static inline):
 *   lanes, TILE_ROWS x TILE_LANES  the type; the product's register tile
 *   load, store            16 floats, unaligned
 *   load_n, store_n        the first n of 16, 1 <= n <= 15; the others are 0, or not touched
 *   set, add, sub, mul, divide, root
 *   fma_of(a, b, c)        a * b + c, rounded once
 *   max_of, min_of         on x86 the second when either is no number
 *   zero_where_less(v, a, limit)   0 where a < limit, else v
 *   power_of_two(x + 1.5 * 2^23)   2^x for whole x in -126 .. 127
 *   from_u8, from_i8, from_f16, from_bf16   sixteen of them as floats; the last two unaligned
 *   half_at                one half, unaligned, as a float
 *   look_up(table, index)  sixteen bytes of a table of sixteen; index below 16
 *   to_f16, to_i8          sixteen floats as halves (to nearest even); as bytes, whole ones in
 *                          -127 .. 127; unaligned
 *   sum_of                 lane i with i + 8, then i + 4, i + 2, i + 1
 *   transpose16            out[c][r] = a[r][c], 16 x 16
 *   turn16                 the same into registers: r[c] holds column c of a */
#ifndef AE_LANES_H
#define AE_LANES_H

#include "cpu/kernel/kernel.h"

#include <math.h>

/* Loop header over n elements by sixteen; what is left is at `i`, n - i < 16. */
#define WHOLE_LANES(i, n) (; i + 16 <= (n); i += 16)

/* 2^23 * 1.5: adding it leaves the nearest whole number in the low bits of the sum. */
#define ROUNDER 12582912.0f

/* x = n ln 2 + r with whole n and |r| <= ln 2 / 2; *power = 2^n. Returns exp(r) - 1 by Taylor's
 * polynomial: the first term left out, r^8 / 8!, is below a tenth of the last bit. */
static inline lanes exp_parts(lanes x, lanes *power)
{
    lanes shifted = fma_of(x, set(1.44269504f), set(ROUNDER));
    lanes n = sub(shifted, set(ROUNDER));
    /* ln 2 in two parts; n times the first is exact. */
    lanes r = fma_of(n, set(-0.693359375f), x);
    r = fma_of(n, set(2.12194440e-4f), r);

    lanes p = set(1.0f / 5040);
    p = fma_of(p, r, set(1.0f / 720));
    p = fma_of(p, r, set(1.0f / 120));
    p = fma_of(p, r, set(1.0f / 24));
    p = fma_of(p, r, set(1.0f / 6));
    p = fma_of(p, r, set(0.5f));
    p = fma_of(mul(p, r), r, r);
    *power = power_of_two(shifted);
    return p;
}

/* Below -87.33 (subnormal results) zero; from 88 on what 88 gives. */
static inline lanes exp_of(lanes x)
{
    const lanes low = set(-87.33f);
    lanes power, inside = min_of(set(88.0f), max_of(low, x));
    lanes p = exp_parts(inside, &power);

    return zero_where_less(fma_of(power, p, power), x, low);
}

/* tanh(x) = e / (e + 2) with e = exp(2 x) - 1, which is as exact near 0 as elsewhere. */
static inline lanes tanh_of(lanes x)
{
    lanes power, inside = min_of(set(88.0f), max_of(set(-87.33f), add(x, x)));
    lanes p = exp_parts(inside, &power);
    lanes e = fma_of(power, p, sub(power, set(1.0f)));

    return divide(e, add(e, set(2.0f)));
}

static inline lanes sigmoid_of(lanes x)
{
    return divide(set(1.0f), add(set(1.0f), exp_of(sub(set(0.0f), x))));
}

#include "cpu/kernel/lanes/dot.h"
#include "cpu/kernel/lanes/expand.h"
#include "cpu/kernel/lanes/geglu.h"
#include "cpu/kernel/lanes/pointwise.h"
#include "cpu/kernel/lanes/product.h"
#include "cpu/kernel/lanes/rows.h"
#include "cpu/kernel/lanes/softmax.h"

#include "cpu/kernel/lanes/cache.h" /* uses what is above */

static void fill_table(ae_kernels *k)
{
    k->panel = 16 * TILE_LANES;
    k->gemm = gemm;
    k->transpose = transpose;
    k->dots = dots;
    k->expand[AE_F16] = expand_f16;
    k->expand[AE_BF16] = expand_bf16;
    k->expand[AE_Q8_0] = expand_q8_0;
    k->expand[AE_Q4_0] = expand_q4_0;
    k->expand[AE_Q4_1] = expand_q4_1;
    k->expand[AE_Q5_0] = expand_q5_0;
    k->expand[AE_Q5_1] = expand_q5_1;
    k->expand[AE_Q2_K] = expand_q2_k;
    k->expand[AE_Q3_K] = expand_q3_k;
    k->expand[AE_Q4_K] = expand_q4_k;
    k->expand[AE_Q5_K] = expand_q5_k;
    k->expand[AE_Q6_K] = expand_q6_k;
    k->expand[AE_IQ4_NL] = expand_iq4_nl;
    k->expand[AE_IQ4_XS] = expand_iq4_xs;
    k->expand[AE_NF4] = expand_nf4;
    k->rmsnorm = rmsnorm;
    k->rmsnorm_dx = rmsnorm_dx;
    k->rmsnorm_dw = rmsnorm_dw;
    k->rope = rope;
    k->swiglu = swiglu;
    k->swiglu_bwd = swiglu_bwd;
    k->geglu = geglu;
    k->geglu_bwd = geglu_bwd;
    k->add = add_arrays;
    k->add_to = add_to;
    k->scale = scale;
    k->max = max_in;
    k->exp_sum = exp_sum;
    k->sum = sum_in;
    k->dot = dot;
    k->soft_cap = soft_cap;
    k->soft_cap_bwd = soft_cap_bwd;
    k->softmax_bwd = softmax_bwd;
    k->kv_store = kv_store;
    k->kv_scores = kv_scores;
    k->kv_values = kv_values;
    k->kv_key_panels = kv_key_panels;
    k->kv_value_panels = kv_value_panels;
    k->sum_squares = sum_squares;
    k->adamw = adamw;
}

#endif
