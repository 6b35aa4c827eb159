/* loop.c -- libevent's loop, and a queue of posts that a pipe wakes it for. */
#define _GNU_SOURCE /* pipe2 */
#include "serve/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct ae_loop {
    struct event_base *base;
    struct event *woken;
    int pipe[2];
    ae_monitor monitor;
    bool has_monitor;
    ae_post *first, **last; /* inside the monitor */
};

struct event_base *ae_loop_base(const ae_loop *l)
{
    return l->base;
}

static ae_post *take_posts(ae_loop *l)
{
    ae_monitor_enter(&l->monitor);
    ae_post *posts = l->first;
    l->first = NULL;
    l->last = &l->first;
    ae_monitor_leave(&l->monitor);
    return posts;
}

static void on_woken(evutil_socket_t fd, short what, void *user)
{
    char bytes[64];
    (void)what;
    while (read(fd, bytes, sizeof bytes) > 0) continue;
    for (ae_post *p = take_posts(user), *next; p; p = next) {
        next = p->next; /* the call may free it */
        p->fn(p->user);
    }
}

void ae_loop_post(ae_loop *l, ae_post *p)
{
    p->next = NULL;
    ae_monitor_enter(&l->monitor);
    bool first = !l->first;
    *l->last = p;
    l->last = &p->next;
    ae_monitor_leave(&l->monitor);
    /* A full pipe wakes the loop as well as one more byte would. */
    if (first && write(l->pipe[1], "", 1) < 0) return;
}

static aerie_status open_parts(ae_loop *l, aerie_error *err)
{
    aerie_status status = ae_monitor_open(&l->monitor, err);
    if (status) return status;
    l->has_monitor = true;
    if (pipe2(l->pipe, O_NONBLOCK | O_CLOEXEC)) {
        l->pipe[0] = l->pipe[1] = -1;
        return aerie_fail(err, AERIE_IO, "the system gives no pipe: %s", strerror(errno));
    }
    l->base = event_base_new();
    l->woken = l->base ? event_new(l->base, l->pipe[0], EV_READ | EV_PERSIST, on_woken, l) : NULL;
    if (!l->woken || event_add(l->woken, NULL))
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an event loop");
    return AERIE_OK;
}

aerie_status ae_loop_open(ae_loop **out, aerie_error *err)
{
    *out = NULL;
    ae_loop *l = ae_alloc(1, sizeof *l);
    if (!l) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an event loop");
    l->pipe[0] = l->pipe[1] = -1;
    l->last = &l->first;
    aerie_status status = open_parts(l, err);
    if (status)
        ae_loop_close(l);
    else
        *out = l;
    return status;
}

void ae_loop_close(ae_loop *l)
{
    if (!l) return;
    if (l->woken) event_free(l->woken);
    if (l->base) event_base_free(l->base);
    for (int i = 0; i < 2; i++)
        if (l->pipe[i] >= 0) close(l->pipe[i]);
    if (l->has_monitor) ae_monitor_close(&l->monitor);
    ae_free(l);
}

aerie_status ae_loop_run(ae_loop *l, aerie_error *err)
{
    if (event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
        return aerie_fail(err, AERIE_IO, "the event loop failed: %s", strerror(errno));
    return AERIE_OK;
}

void ae_loop_stop(ae_loop *l)
{
    event_base_loopbreak(l->base);
}
