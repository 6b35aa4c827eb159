/* registry.c -- requests to a model registry, and the token that it may want.
 *
 * The protocol is the one of container registries (distribution.github.io/distribution/spec). A
 * token is asked for at the registry's own host alone: whoever can name another one in a reply
 * would get to see it. The client does not send it along where a redirect leads. */
#include "hub/registry.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool tell(ae_registry *r)
{
    const ae_pull_options *o = r->options;

    r->told_at = ae_clock_seconds();
    if (o->on_step &&
        !o->on_step(o->user, r->status, *r->digest ? r->digest : NULL, r->total, r->completed))
        r->stop = true;
    return !r->stop;
}

/* While nothing comes the last step is told again: whoever hears it can still say that it should
 * end. */
static bool should_stop(void *user)
{
    ae_registry *r = user;

    if (r->stop || !r->status[0] || ae_clock_seconds() - r->told_at < 0.1) return r->stop;
    if (r->sent) r->completed = ae_min64((int64_t)r->sent, r->total);
    return !tell(r);
}

aerie_status ae_registry_open(ae_registry *r, const ae_name *name, const ae_pull_options *options,
                              aerie_error *err)
{
    const ae_http_options http = { .agent = "aerie (ollama compatible)",
                                   .ca_file = options->ca_file,
                                   .stop = should_stop,
                                   .stop_user = r };
    bool plain = name->plain_http || options->insecure;
    aerie_status status;

    *r = (ae_registry){ .name = name, .options = options };
    ae_bytes_printf(&r->base, "%s://%s/v2/%s/%s", plain ? "http" : "https", name->host, name->space,
                    name->model);
    status = ae_bytes_status(&r->base, err);
    return status ? status : ae_http_open(&r->http, &http, err);
}

void ae_registry_close(ae_registry *r)
{
    ae_http_close(r->http);
    ae_bytes_free(&r->base);
    ae_bytes_free(&r->authorization);
    *r = (ae_registry){ 0 };
}

bool ae_registry_tell(ae_registry *r, const char *status, const char *digest, int64_t total,
                      int64_t completed)
{
    snprintf(r->status, sizeof r->status, "%s", status);
    snprintf(r->digest, sizeof r->digest, "%s", digest ? digest : "");
    r->total = total;
    r->completed = completed;
    return tell(r);
}

void ae_registry_request(ae_registry *r, ae_http_request *out, const char *url, const char *name,
                         const char *value)
{
    size_t n = 0;

    if (r->authorization.len)
        r->headers[n++] = (ae_http_header){ "Authorization", r->authorization.data };
    if (name) r->headers[n++] = (ae_http_header){ name, value };
    *out = (ae_http_request){ .url = url,
                              .headers = r->headers,
                              .n_headers = n,
                              .max_redirects = 5,
                              .max_retries = 4,
                              .retry_seconds = r->options->retry_seconds };
}

/* ---- the token ---- */

/* A value of `Bearer realm="...",service="..."`; empty when there is none. */
static void challenge_value(ae_bytes *out, ae_span header, const char *key)
{
    size_t n = strlen(key);

    ae_bytes_clear(out);
    for (size_t i = 0; i + n + 2 < header.len; i++) {
        bool begins = i == 0 || strchr(" ,", header.data[i - 1]);
        if (!begins || strncasecmp(header.data + i, key, n) != 0 || header.data[i + n] != '=' ||
            header.data[i + n + 1] != '"')
            continue;
        i += n + 2;
        for (; i < header.len && header.data[i] != '"'; i++) ae_bytes_add_char(out, header.data[i]);
        return;
    }
}

static void add_query(ae_bytes *url, const char *key, const ae_bytes *value)
{
    static const char digits[] = "0123456789ABCDEF";

    if (!value->len) return;
    ae_bytes_printf(url, "%c%s=", strchr(url->data, '?') ? '&' : '?', key);
    for (size_t i = 0; i < value->len; i++) {
        unsigned char c = (unsigned char)value->data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            ae_bytes_add_char(url, (char)c);
        } else {
            ae_bytes_add_char(url, '%');
            ae_bytes_add_char(url, digits[c >> 4]);
            ae_bytes_add_char(url, digits[c & 15]);
        }
    }
}

size_t ae_registry_host_len(const ae_registry *r)
{
    return (size_t)(strchr(strstr(r->base.data, "://") + 3, '/') - r->base.data);
}

/* The very scheme, host and port of the registry, and then a path. */
bool ae_registry_is_own(const ae_registry *r, const char *url)
{
    size_t n = ae_registry_host_len(r);

    return !strncasecmp(url, r->base.data, n) && url[n] == '/';
}

static aerie_status take_token(ae_registry *r, const ae_http_response *answer, aerie_error *err)
{
    json_t *o = json_loadb(answer->body.data ? answer->body.data : "", answer->body.len, 0, NULL);
    const char *token = json_string_value(json_object_get(o, "token"));

    if (!token) token = json_string_value(json_object_get(o, "access_token"));
    ae_bytes_clear(&r->authorization);
    if (token && !strpbrk(token, "\r\n")) ae_bytes_printf(&r->authorization, "Bearer %s", token);
    json_decref(o);
    if (r->authorization.failed) return ae_bytes_status(&r->authorization, err);
    return r->authorization.len
               ? AERIE_OK
               : aerie_fail(err, AERIE_IO, "%s: its registry gave no token", r->name->host);
}

aerie_status ae_registry_login(ae_registry *r, const ae_http_response *refusal, aerie_error *err)
{
    ae_span challenge = ae_http_header_of(refusal, "WWW-Authenticate");
    ae_bytes realm = { 0 }, value = { 0 };
    ae_http_response answer = { 0 };
    aerie_status status = AERIE_OK;

    if (challenge.data && challenge.len > 7 && !strncasecmp(challenge.data, "Bearer ", 7))
        challenge_value(&realm, challenge, "realm");
    if (!realm.len)
        status = aerie_fail(err, AERIE_IO, "%s: wants a password, which is not supported",
                            r->name->host);
    else if (!ae_registry_is_own(r, realm.data))
        status = aerie_fail(err, AERIE_IO,
                            "%s: sends for a token to %.200s, another host; refused, for that host "
                            "would get to see it",
                            r->name->host, realm.data);
    if (!status) {
        ae_http_request request;
        challenge_value(&value, challenge, "service");
        add_query(&realm, "service", &value);
        challenge_value(&value, challenge, "scope");
        add_query(&realm, "scope", &value);
        ae_bytes_clear(&r->authorization);
        status = ae_bytes_status(&realm, err);
        ae_registry_request(r, &request, realm.data, NULL, NULL);
        request.max_redirects = 0;
        if (!status) status = ae_http_send(r->http, &request, &answer, err);
        if (!status) status = ae_http_expect(&answer, err);
        if (!status) status = take_token(r, &answer, err);
    }
    ae_http_response_free(&answer);
    ae_bytes_free(&realm);
    ae_bytes_free(&value);
    return status;
}

aerie_status ae_registry_get(ae_registry *r, const char *url, const char *accept,
                             ae_http_response *out, aerie_error *err)
{
    ae_http_request request;
    aerie_status status;

    ae_registry_request(r, &request, url, "Accept", accept);
    status = ae_http_send(r->http, &request, out, err);
    if (!status && out->status == 401) {
        status = ae_registry_login(r, out, err);
        ae_registry_request(r, &request, url, "Accept", accept);
        if (!status) status = ae_http_send(r->http, &request, out, err);
    }
    return status ? status : ae_http_expect(out, err);
}
