/* loop.h -- the event loop: one thread reads, writes and keeps time; others hand it work. */
#ifndef AE_LOOP_H
#define AE_LOOP_H

#include "base/base.h"

struct event_base;
typedef struct ae_loop ae_loop;
typedef void ae_loop_fn(void *user);

aerie_status ae_loop_open(ae_loop **out, aerie_error *err);
void ae_loop_close(ae_loop *l); /* NULL is fine; what is still posted is not called */
struct event_base *ae_loop_base(const ae_loop *l);

/* Runs until ae_loop_stop(), which only the loop's own thread may call. */
aerie_status ae_loop_run(ae_loop *l, aerie_error *err);
void ae_loop_stop(ae_loop *l);

/* Something for the loop to call; the caller's memory until it was called. */
typedef struct ae_post {
    struct ae_post *next;
    ae_loop_fn *fn;
    void *user;
} ae_post;

/* From any thread: the loop calls p->fn(p->user) soon, in the order of posting. Posting cannot
 * fail, so whoever computes a reply always gets its end across. */
void ae_loop_post(ae_loop *l, ae_post *p);

#endif
