/* tiny.h -- what tests of training share: a random model of a few thousand numbers, samples and
 * pairs out of a seed, and one call that trains. */
#ifndef AE_TEST_TINY_H
#define AE_TEST_TINY_H

#include "train/train.h"

#include "scratch.h"

enum { TINY_VOCAB = 61 };

typedef struct {
    char *folder, *model_path;
    ae_samples samples, pairs, replies; /* replies: those of the pairs, single */
} tiny;

/* The model lies in a GGUF file of float32 with grouped heads and a sliding window. */
void tiny_open(tiny *t);
void tiny_close(tiny *t);

/* Settings of a short run; a test adds its own. */
typedef struct {
    const char *settings[16];
    size_t n;
    const char *method, *output; /* output: a name in the folder */
    int threads;
    ae_cpu_choice cpu;
    ae_train_run run;
    const ae_samples *data; /* NULL: by the method */
    const ae_samples *eval; /* or NULL */
} tiny_run;

/* What the method learns from. */
const ae_samples *tiny_data(const tiny *t, const char *method);

/* Trains; the status is the caller's to look at. */
aerie_status tiny_train(const tiny *t, const tiny_run *r, aerie_train_summary *summary,
                        aerie_error *err);
/* The same, and it must succeed. The bytes of the output, the caller's. */
ae_bytes tiny_output(const tiny *t, const tiny_run *r, aerie_train_summary *summary);
/* Stops the run at every chance that it has within a step, one after the other, and goes on each
 * time: to the bytes of the run that was not stopped. The number of chances. */
int64_t tiny_assert_stops_within(const tiny *t, const tiny_run *r);
char *tiny_path(const tiny *t, const char *name, const char *suffix);
void tiny_assert_same(const ae_bytes *a, const ae_bytes *b, const char *what);
/* All that was learned: an adapter also names its base and its recipe, which may differ. */
void tiny_assert_same_adapter(const ae_bytes *a, const ae_bytes *b, const char *what);

#endif
