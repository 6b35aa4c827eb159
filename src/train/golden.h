/* golden.h -- private: the frame that self-test cases run in. */
#ifndef AE_TRAIN_GOLDEN_H
#define AE_TRAIN_GOLDEN_H

#include "train/objective.h"
#include "train/optimizer.h"

#include <jansson.h>

typedef struct {
    ae_device *device;
    aerie_selftest_fn *show; /* may be NULL */
    void *user;
    aerie_selftest_summary *summary;
    ae_arena arena;    /* reset by every case */
    bool unknown;      /* the case at hand is of something this build does not know */
    char problem[320]; /* what is wrong with it; "" so far nothing */
} ae_golden;

/* A case looks at `c` (NULL for built-in ones) and says what is wrong through the calls below. */
typedef void ae_golden_case(ae_golden *g, const json_t *c);

void ae_golden_run(ae_golden *g, const char *name, ae_golden_case *run, const json_t *c);

/* The first problem of a case is kept. */
void ae_golden_problem(ae_golden *g, const char *format, ...) AERIE_PRINTF(2, 3);
/* A failing call's sentence becomes the problem. */
bool ae_golden_ok(ae_golden *g, aerie_status status, const aerie_error *err);
/* Within 1e-5 relative to max(1, |wanted|): the tolerance of float32 builds. */
void ae_golden_near(ae_golden *g, const char *what, double got, double wanted);
void ae_golden_number(ae_golden *g, const char *what, double got, const json_t *wanted);
void ae_golden_numbers(ae_golden *g, const char *what, const double *got, int64_t n,
                       const json_t *wanted);
void ae_golden_floats(ae_golden *g, const char *what, const float *got, int64_t n,
                      const json_t *wanted);
void ae_golden_text(ae_golden *g, const char *what, const char *got, const char *wanted);

/* A nested list as flat numbers in the arena; n gets their count. Never NULL. */
const double *ae_golden_list(ae_golden *g, const json_t *list, int64_t *n);
/* The same, of which there should be n: it is a problem of `what` when they are fewer or more. *n
 * becomes how many can be compared. */
const double *ae_golden_wanted(ae_golden *g, const char *what, const json_t *list, int64_t *n);
float *ae_golden_float_list(ae_golden *g, const json_t *list, int64_t *n);
/* A [rows, cols] tensor of a nested list, with a zeroed gradient when wanted. */
ae_tensor *ae_golden_tensor(ae_golden *g, const json_t *list, int64_t cols, bool grad);
void *ae_golden_take(ae_golden *g, int64_t count, size_t size);
/* case -> "inputs" -> name, and the like; NULL-safe. */
const json_t *ae_golden_at(const json_t *c, const char *block, const char *name);
double ae_golden_param(const json_t *c, const char *name, double otherwise);

ae_golden_case ae_golden_orpo_simpo_cpo, ae_golden_kto_bco, ae_golden_crlft;
ae_golden_case ae_golden_sft_ce, ae_golden_dpo, ae_golden_lora, ae_golden_optimizer,
    ae_golden_schedule, ae_golden_packing, ae_golden_truncation, ae_golden_datasets,
    ae_golden_online;
ae_golden_case ae_golden_rm_pairwise, ae_golden_rm_kwise, ae_golden_rm_head;
ae_golden_case ae_golden_nf4, ae_golden_nf4_double_quant;
/* These get the whole file: some of what they need lies beside the cases. */
void ae_golden_templates(ae_golden *g, const json_t *file);
void ae_golden_builtin(ae_golden *g);

#endif
