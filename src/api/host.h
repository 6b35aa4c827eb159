/* host.h -- the inside of a host of models, for its two files. */
#ifndef AE_API_HOST_H
#define AE_API_HOST_H

#include "aerie/host.h"
#include "api/api.h"

typedef struct host_place host_place;

/* Who waits for a model. */
typedef struct host_waiter host_waiter;
struct host_waiter {
    host_waiter *next; /* in the order of asking */
    uint64_t ticket;
    host_place *place;
    aerie_lease_fn *fn;
    void *user;
    aerie_lease *lease; /* made beforehand: handing a model over cannot fail */
    bool is_cancelled;
};

struct aerie_lease {
    aerie_host *host;
    host_place *place;
    double load_seconds;
};

/* A model that somebody wants, or wanted a while ago. What it is made of stays as it is from the
 * moment it is open until it is closed; the rest is under the host's monitor. */
struct host_place {
    host_place *next; /* in the order of asking */
    ae_arena memory;  /* all of the description */
    aerie_place what;
    host_place *base; /* while it is open: the same without adapters, which it uses; NULL: none */
    aerie_adapter *adapter;
    aerie_model *model, *draft; /* these and the engine are the base's, where there is one */
    aerie_engine *engine;
    uint64_t bytes;      /* 0: not known yet */
    double load_seconds; /* that it took */

    aerie_place_state state;
    double loaded;
    int64_t users;
    double keep_alive, idle_since;
    uint64_t used;   /* when it was last asked for, by the count of that */
    bool retires;    /* closes as soon as nobody uses it, and is lent no more until then */
    bool is_beneath; /* nobody has asked for it by its own key */
};

struct aerie_host {
    aerie_host_options options;
    ae_thread *thread;
    ae_monitor monitor; /* over all that follows, and the places */
    bool is_open, closes;
    host_place *places;
    host_waiter *waiters;
    uint64_t uses, next_ticket, bytes; /* bytes: of the places that are open */
};

/* host_load.c: copies a description into the place's memory. */
aerie_status ae_host_describe(host_place *p, const aerie_place *what, aerie_error *err);
/* The base of a place that has one; the caller's. */
aerie_status ae_host_describe_base(host_place **out, const host_place *over, aerie_error *err);
/* Bytes that it needs at the end of its contexts, found out without loading it; of one with a base,
 * which is open, what it needs beside that. */
aerie_status ae_host_predict(const host_place *p, uint64_t *bytes, aerie_error *err);
/* Opens the model and its engine; `progress` as aerie_load_fn has it. What is open after a failure
 * is ae_host_unload()'s to close. */
aerie_status ae_host_load(host_place *p, aerie_load_fn *progress, void *user, aerie_error *err);
void ae_host_unload(host_place *p);
void ae_host_free_place(host_place *p); /* NULL is fine; not loaded */

#endif
