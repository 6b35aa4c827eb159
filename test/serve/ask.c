/* ask.c -- see ask.h. */
#include "ask.h"

#include "http/http.h"
#include "live_server.h"
#include "scratch.h"

#include <string.h>

const char *ask_url(void)
{
    return server.url;
}

const char *ask_store(void)
{
    return server.store;
}

int ask_start(void **state)
{
    server.drain = 1;
    return live_server_start(state);
}

int ask_start_at(const char *store)
{
    server.drain = 1;
    snprintf(server.store, sizeof server.store, "%s", store);
    return live_server_begin();
}

int ask_stop(void **state)
{
    return live_server_stop(state);
}

void ask_end(void)
{
    live_server_end();
}

int ask_begin(void)
{
    return live_server_begin();
}

char *send_bytes(const char *method, const char *path, const void *body, size_t len, int status)
{
    ae_http *http;
    ae_http_response response = { 0 };
    aerie_error err = { 0 };
    char url[1024];
    snprintf(url, sizeof url, "%s%s", server.url, path);
    const ae_http_request request = { .method = method, .url = url, .body = body, .body_len = len };
    assert_int_equal(ae_http_open(&http, NULL, NULL), AERIE_OK);
    if (ae_http_send(http, &request, &response, &err)) fail_msg("%s: %s", path, err.message);
    char *text = ae_strndup(response.body.len ? response.body.data : "", response.body.len);
    if (status && response.status != status) fail_msg("%s: %d: %s", path, response.status, text);
    ae_http_response_free(&response);
    ae_http_close(http);
    return text;
}

char *ask(const char *method, const char *path, const char *body, int status)
{
    char *real = body ? ae_strdup(body) : NULL, *text;
    for (char *c = real; c && *c; c++)
        if (*c == '\'') *c = '"';
    text = send_bytes(method, path, real, real ? strlen(real) : 0, status);
    ae_free(real);
    return text;
}

json_t *ask_json(const char *path, const char *body, int status)
{
    json_error_t why;
    char *text = ask(body ? "POST" : "GET", path, body, status);
    json_t *json = json_loads(text, 0, &why);
    if (!json) fail_msg("%s: %s: %s", path, why.text, text);
    ae_free(text);
    return json;
}

const json_t *at(const json_t *json, const char *path)
{
    char part[64];
    while (*path && json) {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part))
                                   : json_object_get(json, part);
        path += n + (path[n] == '.');
    }
    return json;
}

const char *text_at(const json_t *json, const char *path)
{
    const char *text = json_string_value(at(json, path));
    if (!text) fail_msg("there is no text at %s", path);
    return text;
}

void expect_text(const char *path, const char *body, int status, const char *says)
{
    char *text = ask(body ? "POST" : "GET", path, body, status);
    if (!strstr(text, says)) fail_msg("%s does not say '%s': %s", path, says, text);
    ae_free(text);
}

char *reply_of(const char *model)
{
    char body[300];
    snprintf(body, sizeof body,
             "{'model':'%s','prompt':'A fox','raw':true,'stream':false,'options':{'temperature':0,"
             "'num_predict':12}}",
             model);
    json_t *r = ask_json("/api/generate", body, 200);
    char *text = ae_strdup(text_at(r, "response"));
    json_decref(r);
    return text;
}
