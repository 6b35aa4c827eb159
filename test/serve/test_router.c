/* test_router.c -- paths and methods find their route. */
#include "scratch.h"
#include "serve/router.h"

#include <string.h>

static const ae_route routes[] = {
    { "GET", "/", NULL, AE_FACE_OLLAMA, false, NULL },
    { "POST", "/api/blobs/:rest", NULL, AE_FACE_OLLAMA, false, NULL },
    { "GET", "/api/blobs/:rest", NULL, AE_FACE_OLLAMA, false, NULL },
    { "GET", "/v1/models", NULL, AE_FACE_OPENAI, false, NULL },
    { "GET", "/v1/models/:rest", NULL, AE_FACE_OPENAI, false, NULL },
};

/* The index of what is found; -1 none. */
static int find(const char *method, const char *path, const char *rest, const char *allowed)
{
    char methods[64];
    ae_span r;
    const ae_route *found = ae_router_find(routes, AE_COUNT(routes), ae_span_text(method),
                                           ae_span_text(path), &r, methods);
    if (found) assert_true(ae_span_is(r, rest));
    if (!found) assert_string_equal(methods, allowed);
    return found ? (int)(found - routes) : -1;
}

static void routes_are_found(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "/", "", ""), 0);
    assert_int_equal(find("HEAD", "/", "", ""), 0);
    assert_int_equal(find("POST", "/api/blobs/sha256:ab", "sha256:ab", ""), 1);
    assert_int_equal(find("HEAD", "/api/blobs/sha256:ab", "sha256:ab", ""), 2);
    assert_int_equal(find("GET", "/v1/models", "", ""), 3);
    assert_int_equal(find("GET", "/v1/models/hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M", ""), 4);
    assert_int_equal(find("GET", "/v1/models/", "", ""), -1);
    assert_int_equal(find("GET", "/v1/modelsx", "", ""), -1);
    assert_int_equal(find("DELETE", "/api/blobs/a", "", "POST, GET, HEAD"), -1);
    assert_int_equal(find("post", "/", "", "GET, HEAD"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(routes_are_found) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
