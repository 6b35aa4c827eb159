/* product.c -- the product kernel and transposition, plainly. */
#include "cpu/kernel/ref/ref.h"

/* A product of two floats is exact in double; one rounding then stands for the fused one. */
void ae_gemm_ref(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,
                 const float *b, int64_t ldb, ae_gemm_size size)
{
    for (int64_t i = 0; i < size.rows; i++)
        for (int64_t r = 0; r < size.depth; r++) {
            double factor = a[i * a_row + r * a_col];
            for (int64_t j = 0; j < size.cols; j++)
                c[i * ldc + j] = (float)(c[i * ldc + j] + factor * b[r * ldb + j]);
        }
}

void ae_dots_ref(float *y, const float *w, int64_t ldw, const float *x, int64_t rows, int64_t depth)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < depth; k++) y[r] = (float)(y[r] + (double)x[k] * w[r * ldw + k]);
}

void ae_transpose_ref(float *out, int64_t ldo, const float *a, int64_t lda, int64_t rows,
                      int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) out[c * ldo + r] = a[r * lda + c];
}
