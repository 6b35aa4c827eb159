/* push.c -- a model to a registry: its layers, those that are not there, and then its manifest. */
#include "hub/registry.h"

#include <stdio.h>
#include <string.h>

static const char media_manifest[] = "application/vnd.docker.distribution.manifest.v2+json";

/* A request whose answer is small; asks for a token where one is wanted, once. */
static aerie_status send(ae_registry *r, ae_http_request *request, ae_http_response *answer,
                         aerie_error *err)
{
    aerie_status status = ae_http_send(r->http, request, answer, err);

    if (status || answer->status != 401) return status;
    status = ae_registry_login(r, answer, err);
    if (!status) {
        const char *name = NULL, *value = NULL;
        ae_http_request again = *request;
        /* What is not the token's is the request's own. */
        for (size_t i = 0; i < request->n_headers; i++)
            if (strcmp(request->headers[i].name, "Authorization") != 0) {
                name = request->headers[i].name;
                value = request->headers[i].value;
            }
        ae_registry_request(r, &again, request->url, name, value);
        request->headers = again.headers;
        request->n_headers = again.n_headers;
        status = ae_http_send(r->http, request, answer, err);
    }
    return status;
}

/* Whether the registry has it. */
static aerie_status ask_blob(ae_registry *r, const ae_layer *l, bool *there, aerie_error *err)
{
    ae_http_response answer = { 0 };
    ae_http_request request;
    ae_bytes url = { 0 };
    aerie_status status;

    ae_bytes_printf(&url, "%s/blobs/sha256:%s", r->base.data, l->hex);
    status = ae_bytes_status(&url, err);
    ae_registry_request(r, &request, url.data, NULL, NULL);
    request.method = "HEAD";
    if (!status) status = send(r, &request, &answer, err);
    *there = !status && answer.status == 200;
    if (!status && !*there && answer.status != 404) status = ae_http_expect(&answer, err);
    ae_http_response_free(&answer);
    ae_bytes_free(&url);
    return status;
}

/* Where the bytes are to go: an address of the registry's own host, with the digest added. */
static aerie_status upload_url(ae_registry *r, const ae_layer *l, ae_bytes *url, aerie_error *err)
{
    ae_http_response answer = { 0 };
    ae_http_request request;
    ae_span to = { 0 };
    aerie_status status;

    ae_bytes_printf(url, "%s/blobs/uploads/", r->base.data);
    status = ae_bytes_status(url, err);
    ae_registry_request(r, &request, url->data, NULL, NULL);
    request.method = "POST";
    request.max_redirects = 0;
    if (!status) status = send(r, &request, &answer, err);
    if (!status) status = ae_http_expect(&answer, err);
    if (!status) to = ae_http_header_of(&answer, "Location");
    ae_bytes_clear(url);
    if (to.len && to.data[0] == '/') ae_bytes_add(url, r->base.data, ae_registry_host_len(r));
    if (to.len) ae_bytes_add(url, to.data, to.len);
    if (!status && url->len && !url->failed && !ae_registry_is_own(r, url->data))
        status = aerie_fail(err, AERIE_IO, "%s: sends an upload to another host; refused",
                            r->name->host);
    if (!status && !url->len)
        status = aerie_fail(err, AERIE_IO, "%s: does not say where to send a layer", r->name->host);
    if (!status) {
        ae_bytes_printf(url, "%cdigest=sha256:%s", strchr(url->data, '?') ? '&' : '?', l->hex);
        status = ae_bytes_status(url, err);
    }
    ae_http_response_free(&answer);
    return status;
}

static aerie_status send_blob(ae_registry *r, const ae_layer *l, const ae_places *places,
                              aerie_error *err)
{
    ae_http_response answer = { 0 };
    ae_http_request request;
    ae_bytes url = { 0 }, path = { 0 };
    int64_t bytes = 0;
    aerie_status status = ae_blob_find(&path, &bytes, places, l->hex, err);

    if (!status && bytes != l->bytes)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: is not whole; `aerie verify` tells more",
                            path.data);
    if (!status) status = upload_url(r, l, &url, err);
    ae_registry_request(r, &request, url.data, "Content-Type", "application/octet-stream");
    request.method = "PUT";
    request.body_path = path.data;
    request.body_len = (uint64_t)bytes;
    request.sent = &r->sent;
    request.max_redirects = 0;
    if (!status) status = send(r, &request, &answer, err);
    r->sent = 0;
    if (!status) status = ae_http_expect(&answer, err);
    ae_http_response_free(&answer);
    ae_bytes_free(&url);
    ae_bytes_free(&path);
    return status;
}

static aerie_status push_layer(ae_registry *r, const ae_layer *l, const ae_places *places,
                               aerie_error *err)
{
    char text[40], digest[AE_HEX + 8];
    bool there = false;
    aerie_status status = AERIE_OK;

    snprintf(text, sizeof text, "pushing %.12s", l->hex);
    snprintf(digest, sizeof digest, "sha256:%s", l->hex);
    if (!ae_registry_tell(r, text, digest, l->bytes, 0))
        return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    status = ask_blob(r, l, &there, err);
    if (!status && !there) status = send_blob(r, l, places, err);
    if (!status && !ae_registry_tell(r, text, digest, l->bytes, l->bytes))
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    return status;
}

static aerie_status push_manifest(ae_registry *r, const ae_bytes *text, aerie_error *err)
{
    ae_http_response answer = { 0 };
    ae_http_request request;
    ae_bytes url = { 0 };
    aerie_status status;

    ae_bytes_printf(&url, "%s/manifests/%s", r->base.data, r->name->tag);
    status = ae_bytes_status(&url, err);
    ae_registry_request(r, &request, url.data, "Content-Type", media_manifest);
    request.method = "PUT";
    request.body = text->data;
    request.body_len = text->len;
    request.max_redirects = 0;
    if (!ae_registry_tell(r, "pushing manifest", NULL, 0, 0))
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    if (!status) status = send(r, &request, &answer, err);
    if (!status) status = ae_http_expect(&answer, err);
    ae_http_response_free(&answer);
    ae_bytes_free(&url);
    return status;
}

static aerie_status push_all(ae_registry *r, const ae_manifest *m, const ae_bytes *text,
                             const ae_places *places, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i <= m->n && !status; i++) {
        const ae_layer *l = i < m->n ? &m->layers[i] : &m->config;
        if (l->hex[0]) status = push_layer(r, l, places, err);
    }
    if (!status) status = push_manifest(r, text, err);
    if (!status) ae_registry_tell(r, "success", NULL, 0, 0);
    return status;
}

aerie_status ae_hub_push(const char *word, const ae_places *places, const ae_pull_options *options,
                         aerie_error *err)
{
    ae_registry r = { 0 };
    ae_arena arena = { 0 };
    ae_bytes text = { 0 };
    ae_hub_entry entry;
    ae_name name;
    aerie_status status = AERIE_OK;

    if (!ae_name_parse(&name, word))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "invalid model name '%.200s'", word);
    if (!status) status = ae_hub_open(&entry, &arena, word, places, true, err);
    if (!status && !entry.manifest)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "'%s' is a plain file; give it a name with `aerie create` first", word);
    if (!status) status = ae_manifest_text(&text, word, places, entry.where, err);
    if (!status) status = ae_registry_open(&r, &name, options, err);
    if (!status && !ae_registry_tell(&r, "retrieving manifest", NULL, 0, 0))
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    if (!status) status = push_all(&r, entry.manifest, &text, places, err);
    ae_registry_close(&r);
    ae_bytes_free(&text);
    ae_arena_free(&arena);
    return status;
}
