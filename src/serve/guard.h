/* guard.h -- who may ask: the Host and Origin of a request, and its key. */
#ifndef AE_GUARD_H
#define AE_GUARD_H

#include "serve/httpd_head.h"

typedef struct {
    const char *const *hosts; /* names beyond this machine's that it may be asked by; or "*" */
    size_t n_hosts;
    const char *const *origins; /* pages that may ask, "https://chat.example.org"; or "*" */
    size_t n_origins;
    const char *const *keys; /* none: everybody may ask */
    size_t n_keys;
} ae_guard_rules;

/* Whether a Host is one that a page of somebody else's could not have made up: a number, the names
 * of this machine and of its local network, or one of the rules'. A name under another's control
 * may come to mean 127.0.0.1 when it pleases its owner (DNS rebinding); the browser then takes our
 * answers for theirs. */
bool ae_guard_host(const ae_guard_rules *rules, ae_span host);

/* Whether pages of an origin may ask: those of this machine and of programs on it, or the rules'.
 * An empty origin is no page. */
bool ae_guard_origin(const ae_guard_rules *rules, ae_span origin);

/* Whether a request has one of the keys, as `Authorization: Bearer KEY` or `X-Api-Key: KEY`. How
 * long it takes does not tell how much of a key was right. */
bool ae_guard_key(const ae_guard_rules *rules, const ae_httpd_head *head);

/* Whether an address that the server listens at can be reached from this machine alone. */
bool ae_guard_is_loopback(const char *host);

#endif
