/* workers.c -- a queue of work, and the threads that take from it. */
#include "serve/workers.h"

enum { MOST_THREADS = 8 };

struct ae_workers {
    ae_loop *loop;
    ae_thread *threads[MOST_THREADS];
    ae_monitor monitor; /* over all that follows */
    bool has_monitor, closes;
    ae_work *first, **last;
};

/* NULL: there is no more, ever. */
static ae_work *await_work(ae_workers *w)
{
    ae_monitor_enter(&w->monitor);
    while (!w->first && !w->closes) ae_monitor_wait(&w->monitor, -1);
    ae_work *work = w->first;
    if (work) w->first = work->next;
    if (!w->first) w->last = &w->first;
    ae_monitor_leave(&w->monitor);
    return work;
}

static void run(void *user)
{
    ae_workers *w = user;
    for (ae_work *work; (work = await_work(w));) {
        work->run(work->user);
        work->post = (ae_post){ .fn = work->done, .user = work->user };
        ae_loop_post(w->loop, &work->post);
    }
}

void ae_workers_give(ae_workers *w, ae_work *work)
{
    work->next = NULL;
    ae_monitor_enter(&w->monitor);
    *w->last = work;
    w->last = &work->next;
    ae_monitor_wake(&w->monitor);
    ae_monitor_leave(&w->monitor);
}

aerie_status ae_workers_open(ae_workers **out, ae_loop *loop, int n_threads, aerie_error *err)
{
    *out = NULL;
    ae_workers *w = ae_alloc(1, sizeof *w);
    if (!w) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the server's threads");
    w->loop = loop;
    w->last = &w->first;
    aerie_status status = ae_monitor_open(&w->monitor, err);
    w->has_monitor = !status;
    for (int i = 0; !status && i < n_threads && i < MOST_THREADS; i++)
        status = ae_thread_start(&w->threads[i], "worker", run, w, err);
    if (status)
        ae_workers_close(w);
    else
        *out = w;
    return status;
}

void ae_workers_close(ae_workers *w)
{
    if (!w) return;
    if (w->has_monitor) {
        ae_monitor_enter(&w->monitor);
        w->closes = true;
        ae_monitor_wake(&w->monitor);
        ae_monitor_leave(&w->monitor);
    }
    for (int i = 0; i < MOST_THREADS; i++) ae_thread_join(w->threads[i]);
    if (w->has_monitor) ae_monitor_close(&w->monitor);
    ae_free(w);
}
