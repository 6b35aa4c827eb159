/* registry.h -- a model registry on loopback, which has one model, team/net:v1, and takes what is
 * sent to it. Tests say where it stops in the midst of things, and read what was asked of it. */
#ifndef FAKE_REGISTRY_H
#define FAKE_REGISTRY_H

#include "base/base.h"
#include "http/server.h"

#include <stdatomic.h>

enum { REGISTRY_PART = 1 << 20, MOST_PARTS = 64, HEX = 65 };

typedef struct {
    server *s;
    ae_bytes weights;
    int n_parts; /* of the weights */
    char hex[HEX], config_hex[HEX];
    char manifest[1000];

    atomic_bool held;         /* parts after the first wait in their midst */
    atomic_long hold_after;   /* bytes of weights, after which all wait; negative: never */
    atomic_int waiting, gone; /* requests that wait now; whose client left meanwhile */
    atomic_long sent;         /* bytes of weights */
    atomic_int asked[MOST_PARTS], served[MOST_PARTS]; /* requests that have a part; whole */
    atomic_long taken;                                /* bytes of layers that were sent here */
    ae_bytes last;                                    /* the manifest that was sent here last */
} fake_registry;

extern fake_registry registry;

/* Its weights: the nursery's, or (n_bytes) some that are no model. False: it does not start. */
bool registry_start(size_t n_bytes);
void registry_stop(void);
/* All counts to 0, and nothing waits. */
void registry_reset(void);
/* A request about a model of the registry, {'model':'http://127.0.0.1:PORT/NAME'MORE}; until the
 * next call. */
const char *registry_about(const char *name, const char *more);

void hash_of(char hex[HEX], const char *data, size_t len);

#endif
