/* guard.c -- Host, Origin and key. */
#include "serve/guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

static bool ends_with(ae_span s, const char *tail)
{
    size_t n = strlen(tail);
    return s.len > n && ae_httpd_same((ae_span){ s.data + s.len - n, n }, tail);
}

/* "[::1]:80", "name:80", "name" without the port and the brackets. */
static ae_span without_port(ae_span host)
{
    if (host.len && host.data[0] == '[') {
        const char *end = memchr(host.data, ']', host.len);
        return end ? (ae_span){ host.data + 1, (size_t)(end - host.data - 1) } : (ae_span){ "", 0 };
    }
    const char *colon = memchr(host.data, ':', host.len);
    return colon ? (ae_span){ host.data, (size_t)(colon - host.data) } : host;
}

static bool is_address(ae_span s)
{
    char text[64];
    unsigned char bytes[16];
    if (s.len == 0 || s.len >= sizeof text) return false;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static bool is_own_name(ae_span s)
{
    char name[256];
    if (gethostname(name, sizeof name)) return false;
    name[sizeof name - 1] = '\0';
    return name[0] && ae_httpd_same(s, name);
}

static bool is_one_of(ae_span s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], "*") || ae_httpd_same(s, list[i])) return true;
    return false;
}

bool ae_guard_host(const ae_guard_rules *rules, ae_span host)
{
    ae_span name = without_port(host);
    if (host.len == 0) return true; /* HTTP/1.0: no browser */
    if (ends_with(name, ".")) name.len--;
    return is_address(name) || ae_httpd_same(name, "localhost") || ends_with(name, ".localhost") ||
           ends_with(name, ".local") || ends_with(name, ".internal") || is_own_name(name) ||
           is_one_of(name, rules->hosts, rules->n_hosts);
}

bool ae_guard_origin(const ae_guard_rules *rules, ae_span origin)
{
    static const char *const programs[] = { "app://", "file://", "tauri://", "vscode-webview://",
                                            "vscode-file://" };
    static const char *const webs[] = { "http://", "https://" };
    if (origin.len == 0) return true;
    for (size_t i = 0; i < AE_COUNT(programs); i++)
        if (origin.len >= strlen(programs[i]) &&
            ae_httpd_same((ae_span){ origin.data, strlen(programs[i]) }, programs[i]))
            return true;
    for (size_t i = 0; i < AE_COUNT(webs); i++) {
        size_t n = strlen(webs[i]);
        if (origin.len <= n || !ae_httpd_same((ae_span){ origin.data, n }, webs[i])) continue;
        ae_span name = without_port((ae_span){ origin.data + n, origin.len - n });
        if (ae_httpd_same(name, "localhost") || ends_with(name, ".localhost") ||
            ae_httpd_same(name, "127.0.0.1") || ae_httpd_same(name, "::1") ||
            ae_httpd_same(name, "0.0.0.0"))
            return true;
    }
    return is_one_of(origin, rules->origins, rules->n_origins);
}

static void digest(char out[65], ae_span s)
{
    ae_sha256 sha;
    ae_sha256_start(&sha);
    ae_sha256_add(&sha, s.data, s.len);
    ae_sha256_hex(&sha, out);
}

bool ae_guard_key(const ae_guard_rules *rules, const ae_httpd_head *head)
{
    ae_span given = ae_httpd_field_of(head, "x-api-key"),
            bearer = ae_httpd_field_of(head, "authorization");
    char theirs[65], ours[65];
    int found = rules->n_keys == 0;
    if (!given.data && bearer.len > 7 && ae_httpd_same((ae_span){ bearer.data, 7 }, "bearer "))
        given = (ae_span){ bearer.data + 7, bearer.len - 7 };
    /* Digests have one length and nothing of the keys' likeness; all of them are compared whole. */
    digest(theirs, given);
    for (size_t i = 0; i < rules->n_keys; i++) {
        int differ = 0;
        digest(ours, ae_span_text(rules->keys[i]));
        for (int c = 0; c < 64; c++) differ |= theirs[c] ^ ours[c];
        found |= !differ && given.data;
    }
    return found;
}

bool ae_guard_is_loopback(const char *host)
{
    unsigned char v4[4], v6[16];
    static const unsigned char one[16] = { [15] = 1 };
    if (inet_pton(AF_INET, host, v4) == 1) return v4[0] == 127;
    if (inet_pton(AF_INET6, host, v6) == 1) return !memcmp(v6, one, sizeof one);
    return !strcmp(host, "localhost");
}
