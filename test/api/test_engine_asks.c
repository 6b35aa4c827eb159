/* Asks that the live engine refuses, that are cancelled, stopped or held, and that find no memory.
 */
#include "engine_reader.h"

static void what_is_too_long_is_refused_or_shortened(void **state)
{
    const world *w = *state;
    const aerie_engine_options o = { .context = 128 };
    aerie_engine *e = open_engine(w, &o);
    ae_bytes messages = { 0 };
    ae_bytes_add_text(&messages, "[{\"role\":\"system\",\"content\":\"Be kind.\"}");
    for (int i = 0; i < 30; i++)
        ae_bytes_printf(&messages, ",{\"role\":\"%s\",\"content\":\"message number %d is here\"}",
                        i % 2 ? "assistant" : "user", i);
    ae_bytes_add_text(&messages, ",{\"role\":\"user\",\"content\":\"What now?\"}]");
    aerie_ask a = { .messages = messages.data, .max_tokens = 4 };
    aerie_asked asked;
    aerie_error err = { 0 };
    reader r;
    open_reader(&r, e);
    assert_int_equal(aerie_engine_ask(e, &a, on_event, &r, &asked, &err), AERIE_TOO_LONG);
    assert_true(asked.prompt_tokens >= 128 && asked.context == 128);
    close_reader(&r);
    a.too_long = AERIE_TOO_LONG_DROP_OLDEST;
    ask_and_wait(e, &a, &r);
    assert_true(r.dropped > 0 && r.dropped % 2 == 0);
    assert_true(r.stats.prompt_tokens <= 96);
    close_reader(&r);
    ae_bytes_free(&messages);
    aerie_engine_close(e);
}

static void wrong_asks_are_sentences(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    const char *empty[] = { "" };
    const aerie_logit_bias outside = { 99999, 1 };
    aerie_sampling hot = warm(1);
    hot.temperature = 1000;
    const aerie_ask cases[] = {
        { 0 },
        { .text = "a", .messages = "[]" },
        { .messages = "[]" },
        { .messages = "[" },
        { .messages = "{}" },
        { .messages = "[{}]" },
        { .messages = "[{\"role\":\"user\",\"content\":\"x\"}]", .tools = "3" },
        { .messages = "[{\"role\":\"user\",\"content\":\"x\"}]", .chat_template = "{% if %}" },
        { .messages = "[{\"role\":\"user\",\"content\":\"\"}]", .continue_final = true },
        { .text = "a", .stop = empty, .n_stop = 1 },
        { .text = "a", .top_logprobs = 21 },
        { .text = "a", .n_replies = 33 },
        { .text = "a", .context = 1 << 20 },
        { .text = "a", .bias = &outside, .n_bias = 1 },
        { .text = "a", .sampling = &hot },
    };
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        aerie_error err = { 0 };
        assert_true(aerie_engine_ask(e, &cases[i], on_event, NULL, NULL, &err) != AERIE_OK);
        assert_true(strlen(err.message) > 10);
    }
    char deep[1000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    aerie_error err = { 0 };
    const aerie_ask nested = { .messages = deep };
    assert_int_equal(aerie_engine_ask(e, &nested, on_event, NULL, NULL, &err), AERIE_BAD_ARGUMENT);
    aerie_engine_stats stats;
    aerie_engine_get_stats(e, &stats);
    assert_int_equal(stats.running + stats.waiting, 0);
    aerie_engine_close(e);
}

static void a_full_queue_is_busy(void **state)
{
    const world *w = *state;
    const aerie_engine_options o = { .parallel = 1, .max_queue = 2 };
    aerie_engine *e = open_engine(w, &o);
    static reader readers[3];
    aerie_sampling s = warm(1);
    aerie_ask a = { .text = "Once", .sampling = &s, .max_tokens = 400, .ignore_eog = true };
    for (int i = 0; i < 3; i++) {
        open_reader(&readers[i], e);
        readers[i].hold_every = 1; /* nobody gets on */
        ask(e, &a, &readers[i]);
    }
    aerie_error err = { 0 };
    assert_int_equal(aerie_engine_ask(e, &a, on_event, NULL, NULL, &err), AERIE_BUSY);
    aerie_engine_close(e); /* every one of them hears of its end */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(readers[i].n_end, 1);
        assert_int_equal(readers[i].status, AERIE_INTERRUPTED);
        close_reader(&readers[i]);
    }
}

static void callers_stop_cancel_and_hold(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    aerie_sampling s = warm(1);
    aerie_ask a = { .text = "Once", .sampling = &s, .max_tokens = 100, .ignore_eog = true };
    reader r;

    open_reader(&r, e);
    r.stop_after = 5;
    ask(e, &a, &r);
    await_end(&r);
    assert_int_equal(r.status, AERIE_OK);
    assert_int_equal(r.n_events, 5);
    assert_int_equal(r.why[0], AERIE_FINISH_CALLER);
    close_reader(&r);

    open_reader(&r, e);
    r.cancel_after = 5;
    ask(e, &a, &r);
    await_end(&r);
    assert_int_equal(r.status, AERIE_INTERRUPTED);
    assert_int_equal(r.n_finished, 0);
    assert_true(r.n_events < 30);
    close_reader(&r);

    open_reader(&r, e);
    r.hold_every = 10;
    uint64_t ticket = ask(e, &a, &r);
    /* It rests after each tenth event until it is woken; of a pass with guesses more may come. */
    for (int next = 10, over = 0; !over;) {
        ae_monitor_enter(&r.monitor);
        while (r.n_end == 0 && r.n_events < next) ae_monitor_wait(&r.monitor, -1);
        next = (r.n_events / 10 + 1) * 10;
        over = r.n_end;
        ae_monitor_leave(&r.monitor);
        aerie_engine_go_on(e, ticket);
    }
    assert_int_equal(r.n_tokens, 100);
    close_reader(&r);
    aerie_engine_close(e);
}

static void a_prompt_is_cancelled_while_it_is_read(void **state)
{
    const world *w = *state;
    const aerie_engine_options o = { .max_batch = 16, .parallel = 2 };
    aerie_engine *e = open_engine(w, &o);
    static int32_t ids[300];
    for (int i = 0; i < 300; i++) ids[i] = 100 + i;
    const aerie_ask a = { .kind = AERIE_ASK_LOG_PROBS, .ids = ids, .n_ids = 300 };
    reader r;
    open_reader(&r, e);
    r.cancel_in_prompt = true;
    ask(e, &a, &r);
    await_end(&r);
    assert_int_equal(r.status, AERIE_INTERRUPTED);
    assert_int_equal(r.n_prompt_tokens, 17); /* those of one pass, and the first of all */
    close_reader(&r);
    aerie_engine_close(e);
}

/* The n-th allocation fails, n = 1, 2, ... until nothing does: an ask is refused, or ends with a
 * sentence, or is answered as ever. */
static void running_out_of_memory_is_a_status(void **state)
{
    const world *w = *state;
    char expected[256] = { 0 };
    aerie_sampling s = warm(7);
    const char *stop = "zzz";
    const aerie_ask a = { .messages = "[{\"role\":\"user\",\"content\":\"Hi.\"}]",
                          .sampling = &s,
                          .max_tokens = 6,
                          .ignore_eog = true,
                          .n_replies = 2,
                          .stop = &stop,
                          .n_stop = 1,
                          .logprobs = true,
                          .top_logprobs = 2 };
    bool failed = true;
    for (long n = 0; failed; n++) { /* 0: nothing fails, and it is seen what is right */
        aerie_engine *e = NULL;
        aerie_error err = { 0 };
        reader r;
        open_reader(&r, NULL);
        ae_alloc_fail_at(n);
        aerie_status status = aerie_engine_open(&e, w->model, NULL, &err);
        if (!status) status = aerie_engine_ask(e, &a, on_event, &r, NULL, &err);
        if (!status) {
            await_end(&r);
            status = r.status;
        }
        failed = n == 0 || ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        aerie_engine_close(e);
        if (n == 0) snprintf(expected, sizeof expected, "%s", r.text[0].data);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        if (!status && !r.text[0].failed) assert_string_equal(r.text[0].data, expected);
        close_reader(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_too_long_is_refused_or_shortened),
        cmocka_unit_test(wrong_asks_are_sentences),
        cmocka_unit_test(a_full_queue_is_busy),
        cmocka_unit_test(callers_stop_cancel_and_hold),
        cmocka_unit_test(a_prompt_is_cancelled_while_it_is_read),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
