/* saved_logits.h -- a reference model's predictions of a text, kept in a file: aerie's own
 * (docs/formats.md), or what llama.cpp's perplexity program writes with --save-all-logits. */
#ifndef AE_SAVED_LOGITS_H
#define AE_SAVED_LOGITS_H

#include "base/base.h"

/* The head of aerie's own files. */
typedef struct {
    char magic[8]; /* AE_SAVED_LOGITS_MAGIC */
    uint32_t version, vocab_size;
    uint32_t n_ctx, first;
    uint64_t n_windows;
} ae_saved_logits_head;

#define AE_SAVED_LOGITS_MAGIC "aeriekld"

/* Everything is in the mapped file, and every size was checked against it. */
typedef struct ae_saved_logits {
    ae_file file;
    ae_saved_logits_head
        head;           /* row `first` of a window is the first that predicts a scored token */
    const int32_t *ids; /* [n_windows, n_ctx], each within the vocabulary */
    const unsigned char *rows; /* [n_windows, scored] */
    size_t row_bytes;
    bool packed; /* llama.cpp's: log-probabilities in 16 bits */
} ae_saved_logits;

/* A zeroed *s is closed. AERIE_BAD_FILE: it is none, or cut off. */
aerie_status ae_saved_logits_open(ae_saved_logits *s, const char *path, aerie_error *err);
void ae_saved_logits_close(ae_saved_logits *s);

/* Tokens of a window that are scored. */
static inline int64_t ae_saved_logits_scored(const ae_saved_logits_head *h)
{
    return (int64_t)h->n_ctx - 1 - h->first;
}
/* The reference's logits [V] (or log-probabilities) of row first + i of a window: in the file, or
 * in `scratch` [V]. */
const float *ae_saved_logits_row(const ae_saved_logits *s, int64_t window, int64_t i,
                                 float *scratch);
/* The window's pages may go. */
void ae_saved_logits_forget(const ae_saved_logits *s, int64_t window);

#endif
