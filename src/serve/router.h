/* router.h -- which function answers a request. */
#ifndef AE_ROUTER_H
#define AE_ROUTER_H

#include "serve/httpd.h"

typedef struct ae_server ae_server;

/* How a protocol says what went wrong. */
typedef enum { AE_FACE_OLLAMA, AE_FACE_OPENAI, AE_FACE_ANTHROPIC } ae_face;

/* A request to be answered. `rest` is what stood for the path's ":rest". */
typedef void ae_route_fn(ae_server *server, ae_exchange *x, ae_span rest);

typedef struct {
    const char *method; /* "GET" answers HEAD too */
    const char *path;   /* "/api/tags"; "/v1/models/:rest" */
    ae_route_fn *answer;
    ae_face face;
    bool open;         /* without a key: whether the server lives is no secret */
    ae_route_fn *head; /* NULL, or called before the body is read, to say where it goes */
} ae_route;

/* The route of a method and a path. NULL: none, and *allowed gets the methods that the path does
 * have ("GET, POST"), or "". */
const ae_route *ae_router_find(const ae_route *routes, size_t n, ae_span method, ae_span path,
                               ae_span *rest, char allowed[64]);

#endif
