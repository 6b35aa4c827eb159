/* fuzz_saved_logits.c -- opens bytes as a reference's saved logits and reads every row. */
#include "as_file.h"
#include "eval/eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_saved_logits s;
    aerie_error err = { 0 };
    float *scratch;
    volatile float sum = 0;

    if (ae_saved_logits_open(&s, as_file(data, size), &err)) return 0;
    scratch = ae_alloc(s.head.vocab_size, sizeof *scratch);
    for (int64_t w = 0; scratch && w < (int64_t)s.head.n_windows; w++) {
        for (uint32_t i = 0; i < s.head.n_ctx; i++)
            if (s.ids[w * s.head.n_ctx + i] < 0 ||
                (uint32_t)s.ids[w * s.head.n_ctx + i] >= s.head.vocab_size)
                __builtin_trap();
        for (int64_t i = 0; i < ae_saved_logits_scored(&s.head); i++) {
            const float *row = ae_saved_logits_row(&s, w, i, scratch);
            for (uint32_t k = 0; k < s.head.vocab_size; k++) sum += row[k];
        }
    }
    (void)sum; /* what is read is not to be left out */
    ae_free(scratch);
    ae_saved_logits_close(&s);
    return 0;
}
