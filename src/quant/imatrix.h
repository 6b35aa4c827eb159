/* imatrix.h -- what the readers of importance files share. Private to quant. */
#ifndef AE_QUANT_IMATRIX_H
#define AE_QUANT_IMATRIX_H

#include "quant/quant.h"

struct ae_imatrix {
    ae_arena arena;
    char *path;
    ae_imatrix_entry *entries; /* by name */
    float **weights;           /* beside them: the means */
    size_t n, cap;
    int64_t chunks;
    const char *dataset;
};

/* Adds an entry of numbers that lie anywhere, as F32, unaligned; they are copied, checked, and
 * multiplied with `scale`. */
aerie_status ae_imatrix_add(ae_imatrix *m, ae_span name, const void *sums, int64_t cols,
                            int64_t n_matrices, double scale, const void *counts, aerie_error *err);
/* The file's own words, for a sentence. */
aerie_status ae_imatrix_damaged(const ae_imatrix *m, aerie_error *err, const char *format, ...)
    AERIE_PRINTF(3, 4);

/* The older format: names and numbers one after another. */
aerie_status ae_imatrix_read_dat(ae_imatrix *m, const uint8_t *data, size_t size, aerie_error *err);

#endif
