/* failure.c -- what went wrong with a request, in a sentence. */
#include "http/transfer.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

void ae_transfer_public_url(ae_bytes *out, const char *url)
{
    CURLU *parts = curl_url();
    char *text = NULL;

    ae_bytes_clear(out);
    if (parts && !curl_url_set(parts, CURLUPART_URL, url, 0)) {
        curl_url_set(parts, CURLUPART_USER, NULL, 0);
        curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
        curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
        curl_url_get(parts, CURLUPART_URL, &text, 0);
    }
    ae_bytes_add_text(out, text ? text : "(an address that does not parse)");
    curl_free(text);
    curl_url_cleanup(parts);
}

static const char *whole_or_part(const transfer *t, char *text, size_t size)
{
    curl_off_t expected = -1;

    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
    if (t->response.status == 0)
        snprintf(text, size, "before an answer");
    else if (expected >= 0)
        snprintf(text, size, "after %llu of %lld bytes", (unsigned long long)t->response.received,
                 (long long)expected);
    else
        snprintf(text, size, "after %llu bytes, before the end",
                 (unsigned long long)t->response.received);
    return text;
}

static aerie_status not_connected(transfer *t)
{
    long why = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &why);
    if (why == ECONNREFUSED)
        return aerie_fail(&t->error, AERIE_IO,
                          "connection refused: is the server running, and is this its port?");
    return aerie_fail(&t->error, AERIE_IO, "no connection: %s",
                      why ? strerror((int)why) : t->curl_says);
}

static aerie_status timed_out(transfer *t)
{
    curl_off_t connected = 0;

    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connected);
    if (connected)
        return aerie_fail(&t->error, AERIE_IO, "timed out: no whole answer within %g seconds",
                          t->request.total_seconds);
    return aerie_fail(&t->error, AERIE_IO, "timed out before there was a connection");
}

static aerie_status other(transfer *t, CURLcode code)
{
    const char *says = *t->curl_says ? t->curl_says : curl_easy_strerror(code);

    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
        return aerie_fail(&t->error, AERIE_IO, "TLS: %.200s", says);
    case CURLE_OUT_OF_MEMORY:
        /* libcurl's word for a line that passes its limit, too. */
        if (t->header_bytes)
            return aerie_fail(&t->error, AERIE_IO, "a header of the answer has no end in sight");
        return aerie_fail(&t->error, AERIE_NO_MEMORY, "no memory for the request");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return aerie_fail(&t->error, AERIE_IO, "the answer is not HTTP (%.200s)", says);
    default:
        return aerie_fail(&t->error, AERIE_IO, "%.200s", says);
    }
}

static aerie_status say(transfer *t, CURLcode code)
{
    char part[80];

    if (t->stalled)
        return aerie_fail(&t->error, AERIE_IO, "timed out: the server has gone quiet %s",
                          whole_or_part(t, part, sizeof part));
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return aerie_fail(&t->error, AERIE_IO,
                          "could not resolve the host; check its name and the network");
    case CURLE_COULDNT_RESOLVE_PROXY:
        return aerie_fail(&t->error, AERIE_IO, "could not resolve the proxy's name");
    case CURLE_COULDNT_CONNECT:
        return not_connected(t);
    case CURLE_OPERATION_TIMEDOUT:
        return timed_out(t);
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2_STREAM:
        return aerie_fail(&t->error, AERIE_IO, "the connection ended %s",
                          whole_or_part(t, part, sizeof part));
    default:
        return other(t, code);
    }
}

aerie_status ae_transfer_failure(transfer *t, CURLcode code)
{
    ae_bytes where = { 0 };
    aerie_status status = t->error.status;

    /* What a callback found says more than what libcurl made of it. */
    if (!status) status = say(t, code);
    ae_transfer_public_url(&where, t->url.data);
    aerie_error_prefix(&t->error, "%.160s", where.data ? where.data : "");
    ae_bytes_free(&where);
    return status;
}

/* {"error": "..."}, {"error": {"message": "..."}}, {"errors": [{"message": "..."}]}, {"message":
 * "..."}, {"detail": "..."}: Ollama, OpenAI, registries, others. */
static const char *server_says(const json_t *body)
{
    const json_t *error = json_object_get(body, "error");

    if (!error) error = json_array_get(json_object_get(body, "errors"), 0);
    if (json_is_object(error)) error = json_object_get(error, "message");
    if (!error) error = json_object_get(body, "message");
    if (!error) error = json_object_get(body, "detail");
    return json_string_value(error);
}

static void add_printable(ae_bytes *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len && out->len < 200; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n' || c == '\r') break;
        ae_bytes_add_char(out, c < 32 || c == 127 ? ' ' : (char)c);
    }
}

static void server_words(ae_bytes *out, const ae_bytes *body)
{
    json_t *json = body->len ? json_loadb(body->data, body->len, 0, NULL) : NULL;
    const char *says = server_says(json);

    if (says)
        add_printable(out, says, strlen(says));
    else if (!json && body->len && body->data[0] != '<')
        add_printable(out, body->data, body->len);
    json_decref(json);
}

aerie_status ae_http_expect(const ae_http_response *response, aerie_error *err)
{
    aerie_status status = response->status == 404 ? AERIE_NOT_FOUND : AERIE_IO;
    ae_bytes where = { 0 }, words = { 0 };

    if (response->status >= 200 && response->status < 300) return AERIE_OK;
    ae_transfer_public_url(&where, response->url.data ? response->url.data : "");
    server_words(&words, &response->body);
    aerie_fail(err, status, "%.160s: the server answers with status %d%s%s",
               where.data ? where.data : "", response->status, words.len ? ": " : "",
               words.len ? words.data : "");
    ae_bytes_free(&where);
    ae_bytes_free(&words);
    return status;
}
