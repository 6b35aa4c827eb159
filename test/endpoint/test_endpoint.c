/* test_endpoint.c -- where requests go, what they carry, and what answers say. */
#include "http/server.h"
#include "scratch.h"

#include "endpoint/endpoint.h"

/* What came last, and what is answered. */
typedef struct {
    char path[512], body[512], key[64];
    int status;
} seen;

static bool answer(void *user, int fd, const server_request *r)
{
    seen *s = user;

    snprintf(s->path, sizeof s->path, "%s", r->path);
    snprintf(s->body, sizeof s->body, "%s", r->body);
    if (!server_header(r, "Authorization", s->key, sizeof s->key)) *s->key = '\0';
    server_answer(fd, s->status ? s->status : 200, "", "{\"choices\": []}");
    return true;
}

/* One request from start to end: its HTTP status. */
static int send_one(const ae_endpoint_options *options, const char *path, json_t *body)
{
    ae_endpoint_call call = { 0 };
    ae_http_done done = { 0 };
    ae_endpoint *e;
    int status, tag;

    assert_int_equal(ae_endpoint_open(&e, options, NULL), AERIE_OK);
    assert_false(ae_endpoint_wait(e, &done));
    assert_int_equal(ae_endpoint_send(e, &call, path, body, NULL, &tag, NULL), AERIE_OK);
    assert_true(ae_endpoint_wait(e, &done));
    assert_int_equal(done.status, AERIE_OK);
    assert_ptr_equal(done.user, &tag);
    status = done.response.status;
    ae_http_response_free(&done.response);
    assert_false(ae_endpoint_wait(e, &done));
    ae_endpoint_close(e);
    ae_endpoint_call_free(&call);
    return status;
}

static void every_form_of_the_address_works(void **state)
{
    static const char *const ends[] = { "/v1", "/v1/", "/v1//", "/v1/chat/completions",
                                        "/v1/chat/completions/" };
    seen saw = { 0 };
    server *s = server_start(0, answer, &saw);
    char url[96];

    (void)state;
    for (size_t i = 0; i < AE_COUNT(ends); i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server_port(s), ends[i]);
        const ae_endpoint_options o = { .url = url };
        assert_int_equal(send_one(&o, "chat/completions", json_object()), 200);
        assert_string_equal(saw.path, "/v1/chat/completions");
        assert_int_equal(send_one(&o, "completions", json_object()), 200);
        assert_string_equal(saw.path, "/v1/completions");
        assert_string_equal(saw.key, "");
    }
    server_stop(s);
}

static void what_is_laid_over_wins(void **state)
{
    seen saw = { 0 };
    server *s = server_start(0, answer, &saw);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server_port(s));
    const ae_endpoint_options o = { .url = url,
                                    .key = "secret",
                                    .request = "{\"a\": null, \"b\": 2, \"c\": {\"d\": 3}}" };
    assert_int_equal(send_one(&o, "x", json_pack("{s:i, s:i, s:i}", "a", 1, "b", 1, "e", 1)), 200);
    assert_string_equal(saw.body, "{\"b\":2,\"e\":1,\"c\":{\"d\":3}}");
    assert_string_equal(saw.key, "Bearer secret");
    server_stop(s);
}

static void a_busy_server_is_tried_again(void **state)
{
    seen saw = { .status = 503 };
    server *s = server_start(0, answer, &saw);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server_port(s));
    ae_endpoint_options o = { .url = url, .max_retries = -1 };
    assert_int_equal(send_one(&o, "x", json_object()), 503);
    assert_int_equal(server_count(s), 1);
    o.max_retries = 2;
    o.retry_seconds = 0.001;
    assert_int_equal(send_one(&o, "x", json_object()), 503);
    assert_int_equal(server_count(s), 4);
    server_stop(s);
}

static void what_makes_no_sense_is_a_sentence(void **state)
{
    static const char *const wrong[] = { "", "[]", "7", "{\"a\": ", "{} {}" };
    aerie_error err;
    ae_endpoint *e;
    ae_endpoint_call call = { 0 };

    (void)state;
    for (size_t i = 0; i < AE_COUNT(wrong); i++) {
        const ae_endpoint_options o = { .url = "http://127.0.0.1:1", .request = wrong[i] };
        err = (aerie_error){ 0 };
        assert_int_equal(ae_endpoint_open(&e, &o, &err), AERIE_BAD_ARGUMENT);
        assert_null(e);
        assert_non_null(strstr(err.message, "no JSON object"));
    }
    err = (aerie_error){ 0 };
    assert_int_equal(ae_endpoint_open(&e, &(ae_endpoint_options){ .url = "" }, NULL), AERIE_OK);
    assert_int_equal(ae_endpoint_send(e, &call, "x", json_object(), NULL, NULL, &err),
                     AERIE_BAD_ARGUMENT);
    assert_int_equal(ae_endpoint_send(e, &call, "x", NULL, NULL, NULL, NULL), AERIE_NO_MEMORY);
    ae_endpoint_close(e);
    ae_endpoint_call_free(&call);
    ae_endpoint_close(NULL);
}

static void check_text(const char *choice, const char *wanted)
{
    json_t *json = json_loads(choice, JSON_DECODE_ANY, NULL);
    const char *text = json_string_value(ae_endpoint_text(json));

    assert_non_null(json);
    if (wanted)
        assert_string_equal(text, wanted);
    else
        assert_null(text);
    json_decref(json);
}

static void texts_are_found(void **state)
{
    (void)state;
    check_text("{\"text\": \"a\"}", "a");
    check_text("{\"message\": {\"content\": \"b\"}}", "b");
    check_text("{\"delta\": {\"content\": \"c\"}}", "c");
    check_text("{\"delta\": {}, \"text\": \"d\"}", NULL);
    check_text("{\"message\": {\"content\": [\"e\"]}}", NULL);
    check_text("{\"message\": 7}", NULL);
    check_text("{}", NULL);
    check_text("null", NULL);
}

static void usage_stays_where_there_is_none(void **state)
{
    json_t *with = json_pack("{s:{s:i, s:i}}", "usage", "prompt_tokens", 5, "completion_tokens", 7);
    json_t *without = json_pack("{s:n}", "usage");
    int64_t prompt = 1, reply = 2;

    (void)state;
    ae_endpoint_usage(without, &prompt, &reply);
    assert_int_equal(prompt, 1);
    assert_int_equal(reply, 2);
    ae_endpoint_usage(with, &prompt, &reply);
    assert_int_equal(prompt, 5);
    assert_int_equal(reply, 7);
    json_decref(with);
    json_decref(without);
}

static void no_memory_is_a_status(void **state)
{
    const ae_endpoint_options o = { .url = "http://127.0.0.1:1", .key = "k", .request = "{}" };
    bool failed = true;

    (void)state;
    for (long at = 1; failed; at++) {
        ae_endpoint *e;
        aerie_status status;
        ae_alloc_fail_at(at);
        status = ae_endpoint_open(&e, &o, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_int_equal(status, failed ? AERIE_NO_MEMORY : AERIE_OK);
        assert_true(failed == (e == NULL));
        ae_endpoint_close(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_the_address_works),
        cmocka_unit_test(what_is_laid_over_wins),
        cmocka_unit_test(a_busy_server_is_tried_again),
        cmocka_unit_test(what_makes_no_sense_is_a_sentence),
        cmocka_unit_test(texts_are_found),
        cmocka_unit_test(usage_stays_where_there_is_none),
        cmocka_unit_test(no_memory_is_a_status),
    };

    setenv("NO_PROXY", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
