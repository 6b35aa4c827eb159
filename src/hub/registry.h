/* registry.h -- requests to a model registry. Private to hub. */
#ifndef AE_REGISTRY_H
#define AE_REGISTRY_H

#include "http/http.h"
#include "hub/store.h"

typedef struct {
    ae_http *http;
    const ae_name *name;
    const ae_pull_options *options;
    ae_bytes base;          /* "https://host/v2/namespace/model" */
    ae_bytes authorization; /* "Bearer ..."; empty: none is needed */
    bool stop;              /* somebody said so */
    ae_http_header headers[3];
    char status[40], digest[AE_HEX + 8]; /* what was told last; status "": nothing yet */
    int64_t total, completed;
    double told_at;
    uint64_t sent; /* of the layer that is being sent */
} ae_registry;

/* `name` and `options` are borrowed. */
aerie_status ae_registry_open(ae_registry *r, const ae_name *name, const ae_pull_options *options,
                              aerie_error *err);
void ae_registry_close(ae_registry *r); /* a zeroed one is fine */

/* Fills in a request for `url` with the registry's token; `headers` room for two, `extra` or NULL
 * is one more "Name", "value" (borrowed, as is all of it). */
void ae_registry_request(ae_registry *r, ae_http_request *out, const char *url, const char *name,
                         const char *value);
/* A small answer of /manifests/... or the like. Asks for a token where one is wanted. */
aerie_status ae_registry_get(ae_registry *r, const char *url, const char *accept,
                             ae_http_response *out, aerie_error *err);
/* After a 401: gets a token from the registry's own host. */
aerie_status ae_registry_login(ae_registry *r, const ae_http_response *refusal, aerie_error *err);
/* Whether an address is of the registry's own scheme, host and port; how long that part of it is.
 */
bool ae_registry_is_own(const ae_registry *r, const char *url);
size_t ae_registry_host_len(const ae_registry *r);
/* Tells of a step; false, and r->stop, when it is to end. */
bool ae_registry_tell(ae_registry *r, const char *status, const char *digest, int64_t total,
                      int64_t completed);

/* Fetches one layer's blob into the store, unless it is there. */
aerie_status ae_registry_blob(ae_registry *r, const ae_layer *layer, const ae_places *places,
                              aerie_error *err);

#endif
