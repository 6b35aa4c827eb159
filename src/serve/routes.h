/* routes.h -- every request on its way to the function that answers it. Private to serve. */
#ifndef AE_ROUTES_H
#define AE_ROUTES_H

#include "serve/server.h"

/* For ae_httpd_handler: `user` is the ae_server. */
void ae_routes_head(void *user, ae_exchange *x);
void ae_routes_request(void *user, ae_exchange *x);

#endif
