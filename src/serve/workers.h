/* workers.h -- what would hold the loop up: done on a few threads beside it, begun in the order of
 * its coming, its end told to the loop. Private to serve. */
#ifndef AE_WORKERS_H
#define AE_WORKERS_H

#include "serve/loop.h"

typedef struct ae_workers ae_workers;

/* The caller's memory until done() is called; zeroed but for these three. */
typedef struct ae_work {
    ae_loop_fn *run;  /* on a worker's thread */
    ae_loop_fn *done; /* then, on the loop's */
    void *user;
    struct ae_work *next; /* these two: the workers' */
    ae_post post;
} ae_work;

aerie_status ae_workers_open(ae_workers **out, ae_loop *loop, int n_threads, aerie_error *err);
/* All that was given must be done. NULL is fine. */
void ae_workers_close(ae_workers *w);
/* Cannot fail, so that whoever waits for the end always gets it. */
void ae_workers_give(ae_workers *w, ae_work *work);

#endif
