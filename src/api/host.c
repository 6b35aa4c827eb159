/* host.c -- who wants which model, who gets it when, and which one goes for another. All loading
 * and closing happens on one thread, one after another. */
#include "api/host.h"

#include <math.h>
#include <string.h>

static const double KEEP_ALIVE = 300;

/* ---- the lists; inside the monitor ---- */

static host_place *find_place(const aerie_host *h, const char *key)
{
    host_place *p = h->places;
    while (p && strcmp(p->what.key, key) != 0) p = p->next;
    return p;
}

static void remove_place(aerie_host *h, host_place *gone)
{
    host_place **at = &h->places;
    while (*at != gone) at = &(*at)->next;
    *at = gone->next;
}

static void add_place(aerie_host *h, host_place *p)
{
    host_place **at = &h->places;
    while (*at) at = &(*at)->next;
    p->next = NULL;
    *at = p;
}

static host_waiter **waiter_of(aerie_host *h, uint64_t ticket)
{
    host_waiter **at = &h->waiters;
    while (*at && (*at)->ticket != ticket) at = &(*at)->next;
    return at;
}

static bool is_over(const host_place *p, const host_place *base)
{
    return p->what.base_key && strcmp(p->what.base_key, base->what.key) == 0;
}

/* For it, or for what is to lie over it. */
static int64_t waiting_for(const aerie_host *h, const host_place *p)
{
    int64_t n = 0;
    for (const host_waiter *w = h->waiters; w; w = w->next)
        n += (w->place == p || is_over(w->place, p)) && !w->is_cancelled;
    return n;
}

/* Is lent no more: it, or what it lies over, is to be closed. */
static bool is_going(const host_place *p)
{
    return p->retires || (p->base && p->base->retires);
}

/* Seconds until nobody's model is closed; negative: never. */
static double seconds_left(const host_place *p, double now)
{
    if (is_going(p)) return 0;
    if (p->keep_alive < 0) return -1;
    if (p->users > 0) return p->keep_alive;
    double left = p->idle_since + p->keep_alive - now;
    return left > 0 ? left : 0;
}

static void lend(aerie_host *h, host_place *p, aerie_lease *lease)
{
    *lease = (aerie_lease){ .host = h, .place = p };
    p->users++;
    p->used = ++h->uses;
}

/* ---- the thread; these are called inside the monitor and may leave it meanwhile ---- */

static void tell(aerie_host *h, host_waiter **at, aerie_lease *lease, aerie_status status,
                 const char *message)
{
    host_waiter *w = *at;
    *at = w->next;
    ae_monitor_leave(&h->monitor);
    if (!lease) ae_free(w->lease);
    w->fn(w->user, lease, status, message);
    ae_free(w);
    ae_monitor_enter(&h->monitor);
}

/* Tells one whose wait is over; false: there is none. */
static bool tell_one(aerie_host *h)
{
    for (host_waiter **at = &h->waiters; *at; at = &(*at)->next) {
        host_waiter *w = *at;
        if (w->is_cancelled || h->closes) {
            tell(h, at, NULL, AERIE_INTERRUPTED, "cancelled while the model was to be loaded");
            return true;
        }
        if (w->place->state != AERIE_PLACE_OPEN || is_going(w->place)) continue;
        lend(h, w->place, w->lease);
        w->lease->load_seconds = w->place->load_seconds;
        tell(h, at, w->lease, AERIE_OK, "");
        return true;
    }
    return false;
}

static void tell_all_of(aerie_host *h, const host_place *p, aerie_status status,
                        const char *message)
{
    for (host_waiter **at = &h->waiters; *at;)
        if ((*at)->place == p) {
            tell(h, at, NULL, status, message);
            at = &h->waiters;
        } else {
            at = &(*at)->next;
        }
}

/* What is open uses its base. */
static void leave_base(aerie_host *h, host_place *p)
{
    host_place *base = p->base;
    p->base = NULL;
    if (!base) return;
    base->used = ++h->uses;
    if (--base->users == 0) base->idle_since = ae_clock_seconds();
}

/* Closes a model that nobody uses. Who waits for it, for it was to be closed, has it loaded again.
 */
static void close_place(aerie_host *h, host_place *p)
{
    p->state = AERIE_PLACE_WAITS;
    p->loaded = 0;
    ae_monitor_leave(&h->monitor);
    ae_host_unload(p);
    ae_monitor_enter(&h->monitor);
    leave_base(h, p);
    h->bytes -= p->bytes;
    p->retires = false;
    remove_place(h, p);
    if (waiting_for(h, p) > 0) {
        add_place(h, p);
        return;
    }
    tell_all_of(h, p, AERIE_INTERRUPTED, "cancelled while the model was to be loaded");
    ae_host_free_place(p);
}

static bool close_one(aerie_host *h, double *next)
{
    double now = ae_clock_seconds();
    for (host_place *p = h->places; p; p = p->next) {
        if (p->state != AERIE_PLACE_OPEN || p->users > 0) continue;
        /* One that something is about to be laid over stays. */
        if (!is_going(p) && !h->closes && waiting_for(h, p) > 0) continue;
        double left = h->closes ? 0 : seconds_left(p, now);
        if (left == 0) {
            close_place(h, p);
            return true;
        }
        if (left > 0 && (*next < 0 || left < *next)) *next = left;
    }
    return false;
}

/* The model that was asked for longest ago, of those that nobody uses if there is one; not the one
 * that `over` is to lie over. */
static host_place *least_wanted(const aerie_host *h, const host_place *over)
{
    host_place *best = NULL;
    for (host_place *p = h->places; p; p = p->next) {
        if (p->state != AERIE_PLACE_OPEN || is_over(over, p)) continue;
        bool better = !best || (p->users > 0) < (best->users > 0) ||
                      ((p->users > 0) == (best->users > 0) && p->used < best->used);
        if (better) best = p;
    }
    return best;
}

static int64_t open_models(const aerie_host *h)
{
    int64_t n = 0;
    for (const host_place *p = h->places; p; p = p->next)
        n += p->state == AERIE_PLACE_OPEN && !p->base;
    return n;
}

static bool has_room(const aerie_host *h, const host_place *p)
{
    return h->bytes + p->bytes <= h->options.memory_bytes &&
           (p->base || h->options.max_models <= 0 || open_models(h) < h->options.max_models);
}

static bool on_load(void *user, double share)
{
    host_waiter *w = user;
    host_place *p = w->place;
    aerie_host *h = w->lease->host;
    ae_monitor_enter(&h->monitor);
    p->loaded = share;
    bool goes_on = !h->closes && waiting_for(h, p) > 0;
    ae_monitor_leave(&h->monitor);
    return goes_on;
}

static host_place *waits_over(const aerie_host *h, const host_place *base)
{
    host_place *p = h->places;
    while (p && !(p->state == AERIE_PLACE_WAITS && is_over(p, base))) p = p->next;
    return p;
}

/* It cannot be opened, nor can what was to lie over it. */
static void fail_place(aerie_host *h, host_place *p, aerie_status status, const char *message)
{
    remove_place(h, p);
    leave_base(h, p);
    tell_all_of(h, p, status, message);
    for (host_place *over; (over = waits_over(h, p));) {
        remove_place(h, over);
        tell_all_of(h, over, status, message);
        ae_host_free_place(over);
    }
    ae_host_free_place(p);
}

static void load(aerie_host *h, host_place *p)
{
    aerie_error err = { 0 };
    aerie_lease lease = { .host = h };
    host_waiter me = { .place = p, .lease = &lease };
    p->state = AERIE_PLACE_LOADS;
    ae_monitor_leave(&h->monitor);
    aerie_status status = ae_host_load(p, on_load, &me, &err);
    if (status) ae_host_unload(p);
    ae_monitor_enter(&h->monitor);
    p->loaded = 1;
    p->idle_since = ae_clock_seconds();
    p->state = status ? AERIE_PLACE_WAITS : AERIE_PLACE_OPEN;
    if (!status) {
        h->bytes += p->bytes;
        return;
    }
    fail_place(h, p, status, err.message);
}

/* Finds out what it needs. False: it cannot be, and is gone. */
static bool predict(aerie_host *h, host_place *p)
{
    aerie_error err = { 0 };
    uint64_t bytes = 0;
    if (p->bytes > 0) return true;
    p->state = AERIE_PLACE_LOADS;
    ae_monitor_leave(&h->monitor);
    aerie_status status = ae_host_predict(p, &bytes, &err);
    ae_monitor_enter(&h->monitor);
    p->state = AERIE_PLACE_WAITS;
    p->bytes = bytes;
    if (!status && bytes + (p->base ? p->base->bytes : 0) > h->options.memory_bytes)
        status =
            aerie_fail(&err, AERIE_NO_MEMORY,
                       "%s needs %.1f GB for %lld sequences of %lld tokens, and all models "
                       "together may take %.1f GB; ask for a smaller context",
                       p->what.name, (double)bytes / 1e9,
                       (long long)(p->what.engine.parallel ? p->what.engine.parallel : 32),
                       (long long)p->what.engine.context, (double)h->options.memory_bytes / 1e9);
    if (!status) return true;
    fail_place(h, p, status, err.message);
    return false;
}

/* What has to be worked at first so that p can be opened: p itself, which then uses its base, or
 * the base. NULL: neither can be now. */
static host_place *first_of(aerie_host *h, host_place *p)
{
    aerie_error err = { 0 };
    if (!p->what.base_key || p->base) return p;
    host_place *base = find_place(h, p->what.base_key);
    if (!base && ae_host_describe_base(&base, p, &err)) {
        fail_place(h, p, err.status, err.message);
        return NULL;
    }
    if (base->state == AERIE_PLACE_WAITS) {
        if (find_place(h, base->what.key) != base) add_place(h, base);
        return base;
    }
    if (base->retires) return NULL;
    p->base = base;
    base->users++;
    return p;
}

/* Works at the first model that somebody waits for; false: there is nothing to do now. */
static bool load_one(aerie_host *h)
{
    host_place *p = h->places;
    while (p && p->state != AERIE_PLACE_WAITS) p = p->next;
    if (!p) return false;
    if (waiting_for(h, p) > 0 && !(p = first_of(h, p))) return false;
    if (waiting_for(h, p) == 0) {
        fail_place(h, p, AERIE_INTERRUPTED, "cancelled while the model was to be loaded");
        return true;
    }
    if (!predict(h, p)) return true;
    if (has_room(h, p)) {
        load(h, p);
        return true;
    }
    /* Who asks for the one that has to go waits for it like everybody else: else it would never
     * be free. */
    host_place *victim = least_wanted(h, p);
    if (!victim || victim->retires) return false;
    victim->retires = true;
    return true;
}

static void run_thread(void *user)
{
    aerie_host *h = user;
    ae_monitor_enter(&h->monitor);
    for (;;) {
        double next = -1;
        if (tell_one(h) || close_one(h, &next)) continue;
        if (h->closes) break;
        if (load_one(h)) continue;
        ae_monitor_wait(&h->monitor, next);
    }
    ae_monitor_leave(&h->monitor);
}

/* ---- the public face ---- */

aerie_status aerie_host_open(aerie_host **out, const aerie_host_options *options, aerie_error *err)
{
    *out = NULL;
    aerie_host *h = ae_alloc(1, sizeof *h);
    if (!h) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a host of models");
    if (options) h->options = *options;
    if (h->options.memory_bytes == 0) h->options.memory_bytes = ae_memory_left().resident / 10 * 9;
    if (h->options.keep_alive == 0) h->options.keep_alive = KEEP_ALIVE;
    h->next_ticket = 1;
    aerie_status status = ae_monitor_open(&h->monitor, err);
    if (!status) {
        h->is_open = true;
        status = ae_thread_start(&h->thread, "host", run_thread, h, err);
    }
    if (status)
        aerie_host_close(h);
    else
        *out = h;
    return status;
}

void aerie_host_close(aerie_host *h)
{
    if (!h) return;
    if (h->thread) {
        ae_monitor_enter(&h->monitor);
        h->closes = true;
        ae_monitor_wake(&h->monitor);
        ae_monitor_leave(&h->monitor);
        ae_thread_join(h->thread);
    }
    for (host_place *p = h->places, *next; p; p = next) {
        next = p->next;
        ae_host_unload(p);
        ae_host_free_place(p);
    }
    if (h->is_open) ae_monitor_close(&h->monitor);
    ae_free(h);
}

static aerie_status new_place(host_place **out, const aerie_place *what, aerie_error *err)
{
    host_place *p = *out = ae_alloc(1, sizeof *p);
    if (!p) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to note one more model");
    aerie_status status = ae_host_describe(p, what, err);
    if (!status) return AERIE_OK;
    ae_host_free_place(p);
    *out = NULL;
    return status;
}

/* Inside. Hands out what is open, or lets `w` wait; *p is used up where it becomes a place. */
static bool take(aerie_host *h, host_place **p, const double *keep_alive, host_waiter *w)
{
    host_place *there = find_place(h, (*p)->what.key);
    if (!there) {
        there = *p;
        *p = NULL;
        add_place(h, there);
    } else if (there->is_beneath) {
        const char *name = (*p)->what.name;
        const char *own = ae_arena_strndup(&there->memory, name, strlen(name));
        if (own) there->what.name = own;
    }
    there->is_beneath = false;
    there->keep_alive = keep_alive ? *keep_alive : h->options.keep_alive;
    if (there->state == AERIE_PLACE_OPEN && !is_going(there)) {
        lend(h, there, w->lease);
        return true;
    }
    w->place = there;
    w->ticket = h->next_ticket++;
    *waiter_of(h, 0) = w; /* no ticket is 0: the end */
    ae_monitor_wake(&h->monitor);
    return false;
}

aerie_status aerie_host_take(aerie_host *h, const aerie_place *place, const double *keep_alive,
                             aerie_lease_fn *fn, void *user, aerie_lease **lease, uint64_t *ticket,
                             aerie_error *err)
{
    host_place *p = NULL;
    *lease = NULL;
    aerie_status status = new_place(&p, place, err);
    if (status) return status;
    host_waiter *w = ae_alloc(1, sizeof *w);
    aerie_lease *mine = ae_alloc(1, sizeof *mine);
    if (!w || !mine) {
        ae_free(w);
        ae_free(mine);
        ae_host_free_place(p);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory to wait for a model");
    }
    *w = (host_waiter){ .fn = fn, .user = user, .lease = mine };
    ae_monitor_enter(&h->monitor);
    bool is_there = take(h, &p, keep_alive, w);
    if (ticket) *ticket = is_there ? 0 : w->ticket;
    ae_monitor_leave(&h->monitor);
    ae_host_free_place(p);
    if (!is_there) return AERIE_OK;
    ae_free(w);
    *lease = mine;
    return AERIE_OK;
}

void aerie_host_cancel(aerie_host *h, uint64_t ticket)
{
    ae_monitor_enter(&h->monitor);
    host_waiter *w = ticket ? *waiter_of(h, ticket) : NULL;
    if (w) w->is_cancelled = true;
    ae_monitor_wake(&h->monitor);
    ae_monitor_leave(&h->monitor);
}

double aerie_host_progress(aerie_host *h, uint64_t ticket)
{
    ae_monitor_enter(&h->monitor);
    const host_waiter *w = ticket ? *waiter_of(h, ticket) : NULL;
    const host_place *base = w && w->place->what.base_key && !w->place->base
                                 ? find_place(h, w->place->what.base_key)
                                 : NULL;
    double share = base ? base->loaded : w ? w->place->loaded : 1;
    ae_monitor_leave(&h->monitor);
    return share;
}

aerie_engine *aerie_lease_engine(const aerie_lease *lease)
{
    return lease->place->engine;
}

aerie_model *aerie_lease_model(const aerie_lease *lease)
{
    return lease->place->model;
}

const aerie_adapter *aerie_lease_adapter(const aerie_lease *lease)
{
    return lease->place->adapter;
}

double aerie_lease_load_seconds(const aerie_lease *lease)
{
    return lease->load_seconds;
}

void aerie_lease_release(aerie_lease *lease)
{
    if (!lease) return;
    aerie_host *h = lease->host;
    ae_monitor_enter(&h->monitor);
    if (--lease->place->users == 0) lease->place->idle_since = ae_clock_seconds();
    ae_monitor_wake(&h->monitor);
    ae_monitor_leave(&h->monitor);
    ae_free(lease);
}

aerie_status aerie_host_unload(aerie_host *h, const char *key, aerie_error *err)
{
    ae_monitor_enter(&h->monitor);
    host_place *p = find_place(h, key);
    bool is_open = p && p->state == AERIE_PLACE_OPEN;
    if (is_open) p->retires = true;
    ae_monitor_wake(&h->monitor);
    ae_monitor_leave(&h->monitor);
    if (is_open) return AERIE_OK;
    return aerie_fail(err, AERIE_NOT_FOUND, "%s is not loaded", key);
}

static aerie_place_info info_of(const aerie_host *h, host_place *p, double now)
{
    aerie_place_info info = { .name = p->what.name,
                              .key = p->what.key,
                              .path = p->what.path,
                              .state = p->state,
                              .loaded = p->loaded,
                              .bytes = p->bytes,
                              .context = p->what.engine.context,
                              .users = p->users,
                              .waiting = waiting_for(h, p),
                              .is_beneath = p->is_beneath,
                              .shares_engine = p->base != NULL,
                              .base_bytes = p->base ? p->base->bytes : 0,
                              .seconds_left = seconds_left(p, now) };
    if (p->state != AERIE_PLACE_OPEN) return info;
    info.context = aerie_engine_settings(p->engine)->context;
    aerie_engine_get_stats(p->engine, &info.stats);
    return info;
}

/* Those that stay for ever before all others. */
static double order_of(const host_place *p, double now)
{
    double left = seconds_left(p, now);
    return left < 0 ? INFINITY : left;
}

/* The place after `last` in the order of a list; NULL: there is none. */
static host_place *next_in_list(const aerie_host *h, const host_place *last, double now)
{
    host_place *best = NULL;
    bool is_past = !last;
    for (host_place *p = h->places; p; p = p->next) {
        double order = order_of(p, now), least = last ? order_of(last, now) : INFINITY;
        bool comes = order < least || (order == least && is_past);
        if (comes && (!best || order > order_of(best, now))) best = p;
        if (p == last) is_past = true;
    }
    return best;
}

void aerie_host_list(aerie_host *h, void (*each)(void *user, const aerie_place_info *info),
                     void *user)
{
    double now = ae_clock_seconds();
    ae_monitor_enter(&h->monitor);
    for (host_place *p = NULL; (p = next_in_list(h, p, now));) {
        aerie_place_info info = info_of(h, p, now);
        each(user, &info);
    }
    ae_monitor_leave(&h->monitor);
}

void aerie_host_memory(aerie_host *h, uint64_t *used, uint64_t *bound)
{
    ae_monitor_enter(&h->monitor);
    *used = h->bytes;
    *bound = h->options.memory_bytes;
    ae_monitor_leave(&h->monitor);
}
