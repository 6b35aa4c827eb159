/* host.h -- several models under one bound of memory: each is opened when somebody wants it, shared
 * by all who do, and closed when nobody has wanted it for a while or its memory is needed. Models
 * that are the same weights, under different names or adapters, share them and their engine. */
#ifndef AERIE_HOST_H
#define AERIE_HOST_H

#include "aerie/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aerie_host aerie_host;

/* Zero means the default everywhere. */
typedef struct {
    uint64_t memory_bytes; /* that all models may take, at the end of all their contexts; 0: nine
                            * tenths of what the machine has to give now */
    int64_t max_models;    /* open at once; 0: no bound but the memory */
    double keep_alive;     /* seconds that a model stays open when nobody uses it; 0: 300; negative:
                            * for ever, or until its memory is needed */
} aerie_host_options;

/* Starts the thread that opens and closes models. `options` may be NULL. */
AERIE_API aerie_status aerie_host_open(aerie_host **out, const aerie_host_options *options,
                                       aerie_error *err);
/* Tells whoever waits (AERIE_INTERRUPTED), and closes all models. Every lease must have been given
 * back. NULL is fine. */
AERIE_API void aerie_host_close(aerie_host *h);

/* A model and how to open it. Everything is copied. */
typedef struct {
    const char *name; /* that lists show */
    const char *key;  /* what of two is one: weights, adapters and what else is not an ask's to
                       * choose; NULL: the name */
    /* What the same without adapters is called, another name than any key. Those of one base share
     * it: all but names and adapters must be alike. NULL: it has an engine of its own. */
    const char *base_key;
    const char *path;
    const char *draft_path;      /* a smaller model that guesses ahead; NULL: none */
    aerie_model_options model;   /* on_load, user and plan are the host's */
    aerie_engine_options engine; /* context: the most that an ask may choose; draft is the host's */
} aerie_place;

/* An open model, in use. */
typedef struct aerie_lease aerie_lease;

/* Called once, on the host's thread: with a lease (AERIE_OK), or with NULL and why there is none. A
 * load that fails fails for all who wait for it. */
typedef void aerie_lease_fn(void *user, aerie_lease *lease, aerie_status status,
                            const char *message);

/* Asks for a model. When it is open, *lease is it and fn is not called. Otherwise *lease is NULL:
 * fn will be, once, and *ticket is for aerie_host_cancel(). Those who ask for one model share its
 * loading. Models are loaded one after another, in the order of asking.
 * keep_alive: seconds that it stays open after its last user; negative: for ever; NULL: the host's.
 * The latest to ask decides. */
AERIE_API aerie_status aerie_host_take(aerie_host *h, const aerie_place *place,
                                       const double *keep_alive, aerie_lease_fn *fn, void *user,
                                       aerie_lease **lease, uint64_t *ticket, aerie_error *err);
/* Who waits does not any more: fn is called with AERIE_INTERRUPTED. A load that nobody waits for
 * stops. Of a ticket that was told already it does nothing. */
AERIE_API void aerie_host_cancel(aerie_host *h, uint64_t ticket);
/* How much of the model that a ticket waits for is loaded, 0 to 1. */
AERIE_API double aerie_host_progress(aerie_host *h, uint64_t ticket);

/* Borrowed: until the lease is given back. */
AERIE_API aerie_engine *aerie_lease_engine(const aerie_lease *lease);
AERIE_API aerie_model *aerie_lease_model(const aerie_lease *lease);
/* What its asks are to name (aerie_ask.adapter); NULL: none. */
AERIE_API const aerie_adapter *aerie_lease_adapter(const aerie_lease *lease);
/* Seconds that loading took, for whoever waited for it; 0 for others. */
AERIE_API double aerie_lease_load_seconds(const aerie_lease *lease);
/* Gives it back, when every ask of it has ended. NULL is fine. */
AERIE_API void aerie_lease_release(aerie_lease *lease);

/* Closes a model as soon as nobody uses it. AERIE_NOT_FOUND when it is not open. */
AERIE_API aerie_status aerie_host_unload(aerie_host *h, const char *key, aerie_error *err);

typedef enum { AERIE_PLACE_WAITS, AERIE_PLACE_LOADS, AERIE_PLACE_OPEN } aerie_place_state;

typedef struct {
    const char *name, *key, *path;
    aerie_place_state state;
    double loaded;       /* 0 to 1 */
    uint64_t bytes;      /* at the end of its contexts, or beside its base; 0: not known yet */
    uint64_t base_bytes; /* of its base; 0: none is open for it */
    bool is_beneath;     /* nobody has asked for it: it is there for those over it, and is called as
                          * the first of them */
    bool shares_engine;  /* with its base, whose stats these are */
    int64_t context, users, waiting;
    double
        seconds_left; /* until it is closed: in use as if its last user left now; negative: never */
    aerie_engine_stats stats; /* of an open one */
} aerie_place_info;
/* Calls `each` for every model, the one that stays longest first, with what is borrowed until it
 * returns. It must not call the host. */
AERIE_API void aerie_host_list(aerie_host *h,
                               void (*each)(void *user, const aerie_place_info *info), void *user);
/* What all open models may take, and the bound. */
AERIE_API void aerie_host_memory(aerie_host *h, uint64_t *used, uint64_t *bound);

#ifdef __cplusplus
}
#endif
#endif
