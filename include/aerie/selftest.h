/* selftest.h -- does this build compute what it should on this machine? */
#ifndef AERIE_SELFTEST_H
#define AERIE_SELFTEST_H

#include "aerie/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    AERIE_CASE_PASSED,
    AERIE_CASE_FAILED,
    AERIE_CASE_UNKNOWN /* of a method that this build does not know; neither passed nor failed */
} aerie_case_result;

/* `sentence` says what is wrong; "" for a case that passed. */
typedef void aerie_selftest_fn(void *user, const char *name, aerie_case_result result,
                               const char *sentence);

typedef struct {
    const char
        *golden_folder; /* also run the cases of the JSON files there; NULL: built-in ones only */
    const char *cpu;    /* "auto", "ref", ...; NULL: auto */
    int threads;        /* 0: one per processor */
} aerie_selftest_options;

typedef struct {
    int passed, failed, unknown;
} aerie_selftest_summary;

/* Runs every case and tells `show` (may be NULL) of each. AERIE_OK when the cases could be run,
 * whatever they gave. */
AERIE_API aerie_status aerie_selftest(const aerie_selftest_options *options,
                                      aerie_selftest_fn *show, void *user,
                                      aerie_selftest_summary *summary, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
