/* golden_nf4.c -- NF4 and its double quantization against golden numbers. */
#include "train/golden.h"

#include <math.h>
#include <string.h>

static void check_bytes(ae_golden *g, const char *what, const uint8_t *got, int64_t n,
                        const json_t *wanted)
{
    const double *list = ae_golden_wanted(g, what, wanted, &n);

    for (int64_t i = 0; i < n; i++)
        if (got[i] != (uint8_t)list[i])
            ae_golden_problem(g, "%s[%lld] is %d, wanted %.0f", what, (long long)i, got[i],
                              list[i]);
}

/* Relative to each number: weights are small, and the frame's tolerance is wide for them. */
static void check_close(ae_golden *g, const char *what, const float *got, int64_t n,
                        const json_t *wanted)
{
    const double *list = ae_golden_wanted(g, what, wanted, &n);

    for (int64_t i = 0; i < n; i++)
        if (fabs((double)got[i] - list[i]) > 1e-6 * fabs(list[i]))
            ae_golden_problem(g, "%s[%lld] is %.9g, wanted %.9g", what, (long long)i,
                              (double)got[i], list[i]);
}

/* A case's numbers in blocks: their bytes, codes, scales and what they stand for. */
typedef struct {
    int64_t n, n_blocks;
    uint8_t *blocks, *packed, *codes;
    float *scales, *values;
} quantized;

static bool quantize(ae_golden *g, quantized *q, const json_t *list)
{
    const float *x = ae_golden_float_list(g, list, &q->n);

    q->n_blocks = q->n / AE_NF4_BLOCK;
    q->blocks = ae_golden_take(g, q->n_blocks, AE_NF4_BYTES);
    q->packed = ae_golden_take(g, q->n / 2, 1);
    q->codes = ae_golden_take(g, q->n, 1);
    q->scales = ae_golden_take(g, q->n_blocks, sizeof *q->scales);
    q->values = ae_golden_take(g, q->n, sizeof *q->values);
    if (!x || !q->blocks || !q->packed || !q->codes || !q->scales || !q->values) return false;
    if (!ae_dtype_encode_row(AE_NF4, x, q->n, q->blocks)) {
        ae_golden_problem(g, "%lld numbers are no whole blocks", (long long)q->n);
        return false;
    }
    for (int64_t i = 0; i < q->n_blocks; i++) {
        memcpy(&q->scales[i], q->blocks + i * AE_NF4_BYTES, sizeof *q->scales);
        memcpy(q->packed + i * 32, q->blocks + i * AE_NF4_BYTES + 4, 32);
    }
    for (int64_t i = 0; i < q->n; i++) q->codes[i] = q->packed[i / 2] >> (i % 2 ? 0 : 4) & 15;
    return true;
}

static void check_blocks(ae_golden *g, const quantized *q, const json_t *out)
{
    check_bytes(g, "codes", q->codes, q->n, json_object_get(out, "codes"));
    check_bytes(g, "packed", q->packed, q->n / 2, json_object_get(out, "packed"));
    check_close(g, "absmax", q->scales, q->n_blocks, json_object_get(out, "absmax"));
}

void ae_golden_nf4(ae_golden *g, const json_t *c)
{
    const json_t *out = json_object_get(c, "outputs");
    quantized q = { 0 };

    check_close(g, "codebook", ae_nf4_values, 16, ae_golden_at(c, "inputs", "codebook"));
    if (!quantize(g, &q, ae_golden_at(c, "inputs", "x"))) return;
    check_blocks(g, &q, out);
    ae_dtype_decode_row(AE_NF4, q.blocks, q.n, q.values);
    check_close(g, "dequant", q.values, q.n, json_object_get(out, "dequant"));
}

void ae_golden_nf4_double_quant(ae_golden *g, const json_t *c)
{
    const json_t *in = json_object_get(c, "inputs"), *out = json_object_get(c, "outputs");
    quantized q = { 0 };
    float map[256], range[1] = { 0 }, mean = 0;

    ae_dynamic_values(map);
    check_close(g, "nf4_codebook", ae_nf4_values, 16, json_object_get(in, "nf4_codebook"));
    check_close(g, "dynamic_map", map, 256, json_object_get(in, "dynamic_map"));
    if (!quantize(g, &q, json_object_get(in, "x"))) return;
    check_blocks(g, &q, out);
    if (q.n_blocks > AE_NF4_GROUP) {
        ae_golden_problem(g, "a case of more than one group of scales");
        return;
    }
    ae_nf4_double_quantize(q.scales, q.n_blocks, q.codes, range, &mean);
    check_bytes(g, "q_absmax", q.codes, q.n_blocks, json_object_get(out, "q_absmax"));
    ae_golden_number(g, "offset", (double)mean, json_object_get(out, "offset"));
    ae_golden_number(g, "absmax2", (double)range[0], json_object_get(out, "absmax2"));
    check_close(g, "absmax_restored", q.scales, q.n_blocks,
                json_object_get(out, "absmax_restored"));
    for (int64_t i = 0; i < q.n_blocks; i++)
        memcpy(q.blocks + i * AE_NF4_BYTES, &q.scales[i], sizeof *q.scales);
    ae_dtype_decode_row(AE_NF4, q.blocks, q.n, q.values);
    check_close(g, "dequant", q.values, q.n, json_object_get(out, "dequant"));
}
