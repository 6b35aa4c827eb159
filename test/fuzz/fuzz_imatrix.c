/* fuzz_imatrix.c -- opens bytes as an importance matrix and reads all of it. */
#include "as_file.h"
#include "quant/quant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aerie_error err = { 0 };
    ae_imatrix *m;

    if (ae_imatrix_open(&m, as_file(data, size), &err)) return 0;
    for (size_t i = 0; i < ae_imatrix_len(m); i++) {
        ae_imatrix_entry e = ae_imatrix_at(m, i);
        ae_stored_tensor t = { .name = e.tensor,
                               .n_dims = e.n_matrices > 1 ? 3 : 2,
                               .dims = { e.n_matrices },
                               .cols = e.cols };
        const float *weights = NULL;
        if (ae_imatrix_weights(&weights, m, &t, &err) || !weights) __builtin_trap();
        for (int64_t k = 0; k < e.cols * e.n_matrices; k++)
            if (!(weights[k] >= 0 && weights[k] <= 3e38f)) __builtin_trap();
    }
    ae_imatrix_close(m);
    return 0;
}
