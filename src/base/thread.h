/* thread.h -- a thread of one's own, and a monitor: a lock with a way to wait for a change. For
 * loops over data there is pool.h. */
#ifndef AE_THREAD_H
#define AE_THREAD_H

#include "aerie/error.h"

#include <pthread.h>
#include <stdbool.h>

typedef struct ae_thread ae_thread;
typedef void ae_thread_fn(void *user);

/* Starts fn(user), with all signals blocked: those are the program's first thread's. `name` (at
 * most 15 letters are kept) is what debuggers and top show. */
aerie_status ae_thread_start(ae_thread **out, const char *name, ae_thread_fn *fn, void *user,
                             aerie_error *err);
/* Waits for its end, and frees it. NULL is fine. */
void ae_thread_join(ae_thread *t);

/* To be opened before use and closed when no thread uses it. */
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} ae_monitor;

aerie_status ae_monitor_open(ae_monitor *m, aerie_error *err);
void ae_monitor_close(ae_monitor *m);
void ae_monitor_enter(ae_monitor *m);
void ae_monitor_leave(ae_monitor *m);
/* Inside: lets others in until one of them wakes us, or `seconds` have passed (negative: without
 * end), or for no reason: look again at what was waited for. False when the time is over. */
bool ae_monitor_wait(ae_monitor *m, double seconds);
/* Inside: everyone who waits looks again. */
void ae_monitor_wake(ae_monitor *m);

#endif
