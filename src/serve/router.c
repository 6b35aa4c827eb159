/* router.c -- paths and methods against a table. */
#include "serve/router.h"

#include <stdio.h>
#include <string.h>

/* Whether a path is a pattern's, with what stands for its ":rest". */
static bool fits(const char *pattern, ae_span path, ae_span *rest)
{
    const char *variable = strchr(pattern, ':');
    size_t fixed = variable ? (size_t)(variable - pattern) : strlen(pattern);
    *rest = (ae_span){ "", 0 };
    if (path.len < fixed || memcmp(path.data, pattern, fixed) != 0) return false;
    if (!variable) return path.len == fixed;
    *rest = (ae_span){ path.data + fixed, path.len - fixed };
    return rest->len > 0;
}

static void allow(char allowed[64], const char *method)
{
    size_t n = strlen(allowed);
    snprintf(allowed + n, 64 - n, "%s%s", n ? ", " : "", method);
}

const ae_route *ae_router_find(const ae_route *routes, size_t n, ae_span method, ae_span path,
                               ae_span *rest, char allowed[64])
{
    allowed[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        bool get = !strcmp(routes[i].method, "GET");
        if (!fits(routes[i].path, path, rest)) continue;
        if (ae_span_is(method, routes[i].method) || (get && ae_span_is(method, "HEAD")))
            return &routes[i];
        allow(allowed, routes[i].method);
        if (get) allow(allowed, "HEAD");
    }
    return NULL;
}
