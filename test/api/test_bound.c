/* test_bound.c -- replies that are held to a grammar are of it, alone and beside free ones, and hot
 * models write them too; what cannot be held to is a sentence. */
#include "aerie/engine.h"
#include "scratch.h"

#include <jansson.h>
#include <string.h>

typedef struct {
    ae_monitor monitor;
    ae_bytes text;
    aerie_finish why;
    aerie_status status;
    bool ended;
} reader;

static aerie_flow on_event(void *user, const aerie_event *event)
{
    reader *r = user;
    ae_monitor_enter(&r->monitor);
    if (event->kind == AERIE_EVENT_TEXT) ae_bytes_add(&r->text, event->text, event->len);
    if (event->kind == AERIE_EVENT_FINISHED) r->why = event->why;
    if (event->kind == AERIE_EVENT_END) {
        r->status = event->status;
        r->ended = true;
    }
    ae_monitor_wake(&r->monitor);
    ae_monitor_leave(&r->monitor);
    return AERIE_GO_ON;
}

static void begin(reader *r, aerie_engine *e, const aerie_grammar *g, uint64_t seed,
                  float temperature)
{
    aerie_error err = { 0 };
    aerie_sampling s = aerie_sampling_default();
    s.temperature = temperature;
    s.top_k = 0;
    s.top_p = 1;
    s.seed = seed;
    aerie_ask a = { .text = "Once upon a time", .sampling = &s, .max_tokens = 200, .grammar = g };
    *r = (reader){ 0 };
    ae_bytes_add_text(&r->text, "");
    assert_int_equal(ae_monitor_open(&r->monitor, NULL), AERIE_OK);
    if (aerie_engine_ask(e, &a, on_event, r, NULL, &err)) fail_msg("%s", err.message);
}

static void await_end(reader *r)
{
    ae_monitor_enter(&r->monitor);
    while (!r->ended) ae_monitor_wait(&r->monitor, -1);
    ae_monitor_leave(&r->monitor);
    assert_int_equal(r->status, AERIE_OK);
}

static void close_reader(reader *r)
{
    ae_bytes_free(&r->text);
    ae_monitor_close(&r->monitor);
}

static const char person[] =
    "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\", \"maxLength\": 12}, "
    "\"age\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 99}, \"kind\": {\"enum\": "
    "[\"fox\", "
    "\"bird\"]}}, \"required\": [\"name\", \"age\", \"kind\"]}";

static int set_up(void **state)
{
    static aerie_model *model;
    aerie_error err = { 0 };
    aerie_model_options o = { .threads = 2 };
    aerie_status status = aerie_model_open(&model, "recipes/nursery/nursery.gguf", &o, &err);
    *state = model;
    if (status) fprintf(stderr, "%s\n", err.message);
    return status != AERIE_OK;
}

static int tear_down(void **state)
{
    aerie_model_close(*state);
    return 0;
}

static void check_person(const reader *r)
{
    json_error_t why;
    json_t *value = json_loads(r->text.data, 0, &why);
    if (!value) fail_msg("%s: %s", r->text.data, why.text);
    assert_true(json_is_string(json_object_get(value, "name")));
    json_int_t age = json_integer_value(json_object_get(value, "age"));
    assert_true(age >= 1 && age <= 99);
    assert_non_null(json_string_value(json_object_get(value, "kind")));
    json_decref(value);
}

static void replies_fit_their_schema(void **state)
{
    enum { N = 12 };
    static reader readers[N];
    aerie_grammar *g;
    aerie_engine *e;

    assert_int_equal(aerie_grammar_schema(&g, person, NULL), AERIE_OK);
    assert_int_equal(aerie_engine_open(&e, *state, NULL, NULL), AERIE_OK);
    /* Every third is free; temperatures up to one at which a model writes noise. */
    for (int i = 0; i < N; i++)
        begin(&readers[i], e, i % 3 == 2 ? NULL : g, (uint64_t)i + 1, (float)(i % 4) * 2);
    aerie_grammar_free(g); /* the asks hold it */
    for (int i = 0; i < N; i++) {
        await_end(&readers[i]);
        if (i % 3 != 2) {
            assert_int_equal(readers[i].why, AERIE_FINISH_STOP);
            check_person(&readers[i]);
        }
        close_reader(&readers[i]);
    }
    aerie_engine_close(e);
}

static void a_grammar_of_one_text_writes_it(void **state)
{
    const char *text = " \"\xC3\xA9t\xC3\xA9\" \xF0\x9F\x98\x80!";
    aerie_grammar *g;
    aerie_engine *e;
    reader r;

    assert_int_equal(
        aerie_grammar_gbnf(&g, "root ::= \" \\\"\xC3\xA9t\\u00e9\\\" \\U0001F600!\"", NULL),
        AERIE_OK);
    assert_true(aerie_grammar_fits(g, text, strlen(text)));
    assert_false(aerie_grammar_fits(g, text, strlen(text) - 1));
    assert_int_equal(aerie_engine_open(&e, *state, NULL, NULL), AERIE_OK);
    begin(&r, e, g, 3, 1);
    await_end(&r);
    assert_string_equal(r.text.data, text);
    close_reader(&r);
    aerie_engine_close(e);
    aerie_grammar_free(g);
}

static void bad_grammars_are_sentences(void **state)
{
    aerie_grammar *g;
    aerie_error err = { 0 };

    (void)state;
    assert_int_equal(aerie_grammar_schema(&g, "{", &err), AERIE_BAD_TEXT);
    assert_true(!g && strstr(err.message, "not JSON"));
    err = (aerie_error){ 0 };
    assert_int_equal(aerie_grammar_schema(&g, "{\"not\": {}}", &err), AERIE_UNSUPPORTED);
    assert_true(!g && strstr(err.message, "'not'"));
    assert_int_equal(aerie_grammar_gbnf(&g, "root ::= a", &err), AERIE_BAD_TEXT);
    assert_int_equal(aerie_grammar_json(&g, &err), AERIE_OK);
    assert_true(aerie_grammar_fits(g, "{\"a\": [1]}", 10));
    assert_false(aerie_grammar_fits(g, "[1]", 3));
    aerie_grammar_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_fit_their_schema),
        cmocka_unit_test(a_grammar_of_one_text_writes_it),
        cmocka_unit_test(bad_grammars_are_sentences),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
