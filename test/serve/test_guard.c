/* test_guard.c -- hosts, origins and keys that may ask, and those that may not. */
#include "scratch.h"
#include "serve/guard.h"

#include <string.h>

static const ae_guard_rules nothing = { 0 };

static void hosts_that_a_page_could_make_up_are_refused(void **state)
{
    static const char *const good[] = {
        "",           "localhost",      "LOCALHOST:11434", "127.0.0.1",
        "[::1]:80",   "192.168.1.7:80", "a.localhost",     "nas.local",
        "x.internal", "8.8.8.8",        "localhost."
    };
    static const char *const bad[] = { "evil.example",
                                       "localhost.evil.example",
                                       "127.0.0.1.evil.com",
                                       "[::1",
                                       "local",
                                       ".local",
                                       "evil.example:11434",
                                       "::1]" };
    static const char *const names[] = { "AI.example.org" };
    const ae_guard_rules rules = { .hosts = names, .n_hosts = 1 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(good); i++)
        if (!ae_guard_host(&nothing, ae_span_text(good[i]))) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < AE_COUNT(bad); i++)
        if (ae_guard_host(&nothing, ae_span_text(bad[i]))) fail_msg("let in: %s", bad[i]);
    assert_true(ae_guard_host(&rules, ae_span_text("ai.example.org:443")));
    assert_false(ae_guard_host(&rules, ae_span_text("b.example.org:443")));
}

static void pages_of_others_may_not_ask(void **state)
{
    static const char *const good[] = { "",
                                        "http://localhost",
                                        "https://localhost:3000",
                                        "http://127.0.0.1:8080",
                                        "http://[::1]:80",
                                        "app://obsidian.md",
                                        "vscode-webview://abc" };
    static const char *const bad[] = { "null",
                                       "http://",
                                       "https://evil.example",
                                       "http://localhost.evil.example",
                                       "http://127.0.0.1.evil.example:80",
                                       "ftp://localhost",
                                       "application://x" };
    static const char *const pages[] = { "https://chat.example.org" };
    const ae_guard_rules rules = { .origins = pages, .n_origins = 1 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(good); i++)
        if (!ae_guard_origin(&nothing, ae_span_text(good[i]))) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < AE_COUNT(bad); i++)
        if (ae_guard_origin(&nothing, ae_span_text(bad[i]))) fail_msg("let in: %s", bad[i]);
    assert_true(ae_guard_origin(&rules, ae_span_text("https://chat.example.org")));
    assert_false(ae_guard_origin(&rules, ae_span_text("http://chat.example.org")));
}

static bool key(const ae_guard_rules *rules, const char *field)
{
    ae_bytes text = { 0 };
    ae_httpd_head head;
    const char *why;
    ae_bytes_printf(&text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", field);
    assert_int_equal(ae_httpd_head_parse(&head, ae_span_of(&text), &why), 0);
    bool right = ae_guard_key(rules, &head);
    ae_bytes_free(&text);
    return right;
}

static void keys_must_be_right_whole(void **state)
{
    static const char *const keys[] = { "secret", "another" };
    const ae_guard_rules rules = { .keys = keys, .n_keys = 2 };

    (void)state;
    assert_true(key(&nothing, "A: b"));
    assert_true(key(&rules, "Authorization: Bearer secret"));
    assert_true(key(&rules, "authorization: bearer another"));
    assert_true(key(&rules, "X-Api-Key: secret"));
    assert_false(key(&rules, "A: b"));
    assert_false(key(&rules, "X-Api-Key:"));
    assert_false(key(&rules, "Authorization: secret"));
    assert_false(key(&rules, "Authorization: Bearer secre"));
    assert_false(key(&rules, "Authorization: Bearer secrets"));
    assert_false(key(&rules, "Authorization: Basic secret"));
}

static void loopback_is_known(void **state)
{
    (void)state;
    assert_true(ae_guard_is_loopback("127.0.0.1") && ae_guard_is_loopback("127.9.9.9"));
    assert_true(ae_guard_is_loopback("::1") && ae_guard_is_loopback("localhost"));
    assert_false(ae_guard_is_loopback("0.0.0.0") || ae_guard_is_loopback("::"));
    assert_false(ae_guard_is_loopback("192.168.0.1") || ae_guard_is_loopback("host.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_that_a_page_could_make_up_are_refused),
        cmocka_unit_test(pages_of_others_may_not_ask),
        cmocka_unit_test(keys_must_be_right_whole),
        cmocka_unit_test(loopback_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
