/* job.h -- what takes long and no engine answers: a model fetched, sent, made, removed. Each is a
 * call of the library on a thread of its own; its steps go to all who asked for the same. Private
 * to serve.
 *
 * Who leaves does not hear of it any more; a job that nobody waits for is told to stop, and counts
 * as under way (ae_server.n_talks) until it has. What it brought until then is the library's to
 * keep.
 */
#ifndef AE_JOB_H
#define AE_JOB_H

#include "serve/server.h"

#include "aerie/store.h"

/* What is to be done. `run` is called once, on the job's thread; `on_event` may come from it alone,
 * and says with false that it should end. */
typedef struct {
    const char *key; /* what of two is one: the second waits for the first's end; NULL: never */
    aerie_status (*run)(void *state, aerie_store_fn *on_event, void *user, aerie_error *err);
    void *state;
    void (*free)(void *state); /* of state, on the loop's thread; may be NULL */
    /* The reply's status for a failure that comes before a step was told; NULL: ae_status_of. */
    int (*status_of)(aerie_status status);
    const char *model; /* the name that a 404 tells; NULL: it tells the library's sentence */
    int done_status;   /* of a reply without a body; 0: it is {"status":"success"} */
} ae_job_call;

/* Replies to `x` with the job's steps, as lines (`stream`) or with the last one alone. Takes the
 * call's state over; its texts are copied. */
void ae_job_begin(ae_server *s, ae_exchange *x, const ae_job_call *call, bool stream);

#endif
