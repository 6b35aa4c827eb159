/* thread.c -- threads and monitors over POSIX's. */
#define _GNU_SOURCE /* pthread_setname_np */
#include "base/thread.h"

#include "base/alloc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct ae_thread {
    pthread_t id;
    ae_thread_fn *fn;
    void *user;
    char name[16];
};

static void *begin(void *arg)
{
    ae_thread *t = arg;
    pthread_setname_np(pthread_self(), t->name);
    t->fn(t->user);
    return NULL;
}

aerie_status ae_thread_start(ae_thread **out, const char *name, ae_thread_fn *fn, void *user,
                             aerie_error *err)
{
    *out = NULL;
    ae_thread *t = ae_alloc(1, sizeof *t);
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a thread");
    t->fn = fn;
    t->user = user;
    snprintf(t->name, sizeof t->name, "%s", name);

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&t->id, NULL, begin, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code) {
        ae_free(t);
        return aerie_fail(err, AERIE_NO_MEMORY, "the system starts no further thread: %s",
                          strerror(code));
    }
    *out = t;
    return AERIE_OK;
}

void ae_thread_join(ae_thread *t)
{
    if (!t) return;
    pthread_join(t->id, NULL);
    ae_free(t);
}

aerie_status ae_monitor_open(ae_monitor *m, aerie_error *err)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&m->mutex, NULL))
        return aerie_fail(err, AERIE_NO_MEMORY, "the system gives no further lock");
    /* The clock that nobody sets: a wait does not end early, or never, because someone did. */
    bool failed = pthread_condattr_init(&attributes) != 0;
    if (!failed) {
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        failed = pthread_cond_init(&m->changed, &attributes) != 0;
        pthread_condattr_destroy(&attributes);
    }
    if (!failed) return AERIE_OK;
    pthread_mutex_destroy(&m->mutex);
    return aerie_fail(err, AERIE_NO_MEMORY, "the system gives no further lock");
}

void ae_monitor_close(ae_monitor *m)
{
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->mutex);
}

void ae_monitor_enter(ae_monitor *m)
{
    pthread_mutex_lock(&m->mutex);
}

void ae_monitor_leave(ae_monitor *m)
{
    pthread_mutex_unlock(&m->mutex);
}

static struct timespec from_now(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    if (seconds > 1e9) seconds = 1e9;
    double whole = (double)(long long)seconds;
    t.tv_sec += (time_t)whole;
    t.tv_nsec += (long)((seconds - whole) * 1e9);
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

bool ae_monitor_wait(ae_monitor *m, double seconds)
{
    if (seconds < 0) return pthread_cond_wait(&m->changed, &m->mutex) == 0;
    struct timespec until = from_now(seconds);
    return pthread_cond_timedwait(&m->changed, &m->mutex, &until) != ETIMEDOUT;
}

void ae_monitor_wake(ae_monitor *m)
{
    pthread_cond_broadcast(&m->changed);
}
