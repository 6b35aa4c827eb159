/* adapters.h -- the server's own adapters, which requests may have laid over a model. Private to
 * serve. */
#ifndef AE_ADAPTERS_H
#define AE_ADAPTERS_H

#include "serve/serve.h"

#include <jansson.h>

enum { AE_ADAPTERS_MOST = 4 }; /* of a request */

typedef struct {
    const ae_serve_adapter *adapter; /* borrowed of the options */
    double scale;
} ae_wanted_adapter;

/* Those that a request names, in order: after a '+' in its model's name ("base+terse"), in
 * "adapter" (a name or a list of names), and in llama-server's "lora" ([{"id", "scale"}], ids being
 * their places in the options; a scale of 0 is none). AERIE_NOT_FOUND for one that there is not. */
aerie_status ae_adapters_read(ae_wanted_adapter out[AE_ADAPTERS_MOST], size_t *n,
                              const ae_serve_options *o, const char *model, const json_t *request,
                              aerie_error *err);

#endif
