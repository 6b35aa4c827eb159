/* The live engine: what a caller gets is what it would get alone, in whole characters, up to its
 * stop strings, whatever others ask, cancel or hold; and every ask ends exactly once. Seed 11 (who
 * asks what in the stress test). */
#include "engine_reader.h"

static bool add_text(void *user, const char *text, size_t len)
{
    ae_bytes_add(user, text, len);
    return true;
}

static void a_reply_is_that_of_a_session(void **state)
{
    const world *w = *state;
    for (int i = 0; i < 3; i++) {
        aerie_error err = { 0 };
        aerie_sampling s = warm(5 + (uint64_t)i);
        aerie_session *session;
        ae_bytes expected = { 0 };
        assert_int_equal(aerie_session_open(&session, w->model, NULL, &err), AERIE_OK);
        assert_int_equal(
            aerie_session_complete(session, prompts[i], &s, 30, add_text, &expected, NULL, &err),
            AERIE_OK);
        aerie_session_close(session);

        aerie_engine *e = open_engine(w, NULL);
        aerie_ask a = { .text = prompts[i], .sampling = &s, .max_tokens = 30 };
        reader r;
        ask_and_wait(e, &a, &r);
        assert_int_equal(r.n_started, 1);
        assert_int_equal(r.n_finished, 1);
        assert_string_equal(r.text[0].data, expected.data);
        assert_int_equal(r.stats.prompt_tokens > 0, 1);
        close_reader(&r);
        aerie_engine_close(e);
        ae_bytes_free(&expected);
    }
}

enum { SIXTEEN = 16 };

static void alone(const world *w, ae_bytes texts[SIXTEEN], int n)
{
    const aerie_engine_options o = { .parallel = 1,
                                     .prefix_tokens = -1,
                                     .speculate = AERIE_SPECULATE_OFF };
    aerie_engine *e = open_engine(w, &o);
    for (int i = 0; i < n; i++) {
        aerie_sampling s = warm(100 + (uint64_t)i);
        aerie_ask a = text_ask(i, &s);
        reader r;
        ask_and_wait(e, &a, &r);
        texts[i] = (ae_bytes){ 0 };
        ae_bytes_add(&texts[i], r.text[0].data, r.text[0].len);
        close_reader(&r);
    }
    aerie_engine_close(e);
}

static void the_same_bytes_alone_and_among_sixteen(void **state)
{
    const world *w = *state;
    static reader readers[SIXTEEN];
    ae_bytes texts[SIXTEEN];
    alone(w, texts, SIXTEEN);
    static const aerie_engine_options shapes[] = { { 0 },
                                                   { .max_batch = 16 },
                                                   { .parallel = 3, .max_batch = 5 } };
    for (size_t k = 0; k < AE_COUNT(shapes); k++) {
        aerie_engine *e = open_engine(w, &shapes[k]);
        for (int i = 0; i < SIXTEEN; i++) {
            aerie_sampling s = warm(100 + (uint64_t)i);
            aerie_ask a = text_ask(i, &s);
            open_reader(&readers[i], e);
            ask(e, &a, &readers[i]);
        }
        for (int i = 0; i < SIXTEEN; i++) {
            await_end(&readers[i]);
            assert_int_equal(readers[i].status, AERIE_OK);
            assert_int_equal(readers[i].text[0].len, texts[i].len);
            assert_memory_equal(readers[i].text[0].data, texts[i].data, texts[i].len);
        }
        aerie_engine_close(e);
        for (int i = 0; i < SIXTEEN; i++) close_reader(&readers[i]);
    }
    for (int i = 0; i < SIXTEEN; i++) ae_bytes_free(&texts[i]);
}

static void replies_end_before_stop_strings(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    aerie_sampling s = warm(3);
    aerie_ask a = { .text = prompts[0], .sampling = &s, .max_tokens = 60, .ignore_eog = true };
    reader whole, cut;
    ask_and_wait(e, &a, &whole);
    /* Any part of the text is a stop string: across tokens, and found where it first stands. */
    for (size_t at = 1; at + 12 < whole.text[0].len; at += 7) {
        char stop[8] = { 0 };
        memcpy(stop, whole.text[0].data + at, 7);
        if ((stop[0] & 0xc0) == 0x80 || (stop[6] & 0x80)) continue; /* within a character */
        const char *stops[] = { "never there", stop };
        a.stop = stops;
        a.n_stop = 2;
        ask_and_wait(e, &a, &cut);
        size_t first = (size_t)(strstr(whole.text[0].data, stop) - whole.text[0].data);
        assert_int_equal(cut.text[0].len, first);
        if (first) assert_memory_equal(cut.text[0].data, whole.text[0].data, first);
        assert_int_equal(cut.why[0], AERIE_FINISH_STOP);
        assert_string_equal(cut.stop[0], stop);
        close_reader(&cut);
    }
    close_reader(&whole);
    aerie_engine_close(e);
}

static void several_replies_share_a_prompt(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    aerie_sampling s = warm(9);
    aerie_ask a = { .text = prompts[1], .sampling = &s, .max_tokens = 20, .n_replies = 3 };
    reader r, one;
    ask_and_wait(e, &a, &r);
    assert_int_equal(r.n_finished, 3);
    assert_true(r.text[0].len != r.text[1].len ||
                memcmp(r.text[0].data, r.text[1].data, r.text[0].len));
    a.n_replies = 1;
    ask_and_wait(e, &a, &one);
    assert_string_equal(one.text[0].data, r.text[0].data);
    assert_true(one.stats.reused_tokens > 0);
    close_reader(&r);
    close_reader(&one);
    aerie_engine_close(e);
}

static void biases_forbid_and_force(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    const aerie_logit_bias force = { 70, 1000 };
    aerie_sampling s = warm(9);
    aerie_ask a = { .text = "x", .sampling = &s, .max_tokens = 5, .bias = &force, .n_bias = 1 };
    reader r;
    ask_and_wait(e, &a, &r);
    assert_int_equal(r.n_tokens, 5);
    assert_int_equal(r.text[0].len % 5, 0);
    close_reader(&r);
    aerie_engine_close(e);
}

static void a_conversation_goes_on_from_what_was_computed(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    aerie_sampling s = warm(4);
    aerie_ask a = { .messages = "[{\"role\":\"user\",\"content\":\"Tell me about a fox.\"}]",
                    .sampling = &s,
                    .max_tokens = 24 };
    reader first, second;
    ask_and_wait(e, &a, &first);
    ae_bytes more = { 0 };
    ae_bytes_printf(&more,
                    "[{\"role\":\"user\",\"content\":\"Tell me about a fox.\"},"
                    "{\"role\":\"assistant\",\"content\":\"%s\"},"
                    "{\"role\":\"user\",\"content\":\"And then?\"}]",
                    "It ran.");
    a.messages = more.data;
    ask_and_wait(e, &a, &second);
    assert_true(second.reused >= first.stats.prompt_tokens - 1);
    close_reader(&first);
    close_reader(&second);
    ae_bytes_free(&more);

    /* The last message's own text goes on. */
    reader third;
    a.messages = "[{\"role\":\"user\",\"content\":\"Say one.\"},"
                 "{\"role\":\"assistant\",\"content\":\"One upon a\"}]";
    a.continue_final = true;
    ask_and_wait(e, &a, &third);
    close_reader(&third);
    aerie_engine_close(e);
}

enum { MANY = 500 };

/* Random asks, of which some are cancelled by a timeless count of events, some rest and go on. */
static void a_crowd_gets_what_each_would_get_alone(void **state)
{
    const world *w = *state;
    static reader readers[MANY];
    static uint64_t tickets[MANY];
    ae_bytes texts[SIXTEEN];
    ae_rng rng;
    alone(w, texts, SIXTEEN);
    ae_rng_seed(&rng, 11);
    const aerie_engine_options o = { .parallel = 8, .max_batch = 24, .prefix_tokens = 300 };
    aerie_engine *e = open_engine(w, &o);
    for (int i = 0; i < MANY; i++) {
        int kind = (int)ae_rng_below(&rng, SIXTEEN);
        aerie_sampling s = warm(100 + (uint64_t)kind);
        aerie_ask a = text_ask(kind, &s);
        open_reader(&readers[i], e);
        uint64_t fate = ae_rng_below(&rng, 8);
        if (fate == 0) readers[i].cancel_after = 1 + (int)ae_rng_below(&rng, 6);
        if (fate == 1) readers[i].hold_every = 2 + (int)ae_rng_below(&rng, 5);
        readers[i].kind = kind;
        tickets[i] = ask(e, &a, &readers[i]);
        if (fate == 2) aerie_engine_cancel(e, tickets[i]);
    }
    for (int left = MANY; left > 0;) {
        left = 0;
        for (int i = 0; i < MANY; i++) {
            ae_monitor_enter(&readers[i].monitor);
            bool over = readers[i].n_end > 0;
            if (!over) ae_monitor_wait(&readers[i].monitor, 0.001);
            ae_monitor_leave(&readers[i].monitor);
            if (!over && readers[i].hold_every) aerie_engine_go_on(e, tickets[i]);
            left += !over;
        }
    }
    aerie_engine_stats stats;
    aerie_engine_get_stats(e, &stats);
    aerie_engine_close(e);
    int complete = 0;
    for (int i = 0; i < MANY; i++) {
        const reader *r = &readers[i];
        const ae_bytes *expected = &texts[r->kind];
        assert_int_equal(r->n_end, 1);
        assert_true(r->status == AERIE_OK || r->status == AERIE_INTERRUPTED);
        assert_true(r->text[0].len <= expected->len);
        if (r->text[0].len) assert_memory_equal(r->text[0].data, expected->data, r->text[0].len);
        if (r->status) continue;
        complete++;
        assert_int_equal(r->text[0].len, expected->len);
    }
    assert_true(complete >= MANY / 2);
    assert_int_equal(stats.running + stats.waiting, 0);
    for (int i = 0; i < MANY; i++) close_reader(&readers[i]);
    for (int i = 0; i < SIXTEEN; i++) ae_bytes_free(&texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_that_of_a_session),
        cmocka_unit_test(the_same_bytes_alone_and_among_sixteen),
        cmocka_unit_test(replies_end_before_stop_strings),
        cmocka_unit_test(several_replies_share_a_prompt),
        cmocka_unit_test(biases_forbid_and_force),
        cmocka_unit_test(a_conversation_goes_on_from_what_was_computed),
        cmocka_unit_test(a_crowd_gets_what_each_would_get_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
