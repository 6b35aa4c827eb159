/* The live engine: what a caller gets is what it would get alone, in whole characters, up to its
 * stop strings, whatever others ask, cancel or hold; and every ask ends exactly once. Seed 11 (who
 * asks what in the stress test). */
#include "api/api.h"

#include "aerie/engine.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_REPLIES = 4 };

/* What one ask came to. */
typedef struct {
    ae_monitor monitor;
    aerie_engine *engine;
    ae_bytes text[MOST_REPLIES];
    int n_started, n_finished, n_end, n_events, n_tokens;
    aerie_finish why[MOST_REPLIES];
    char stop[MOST_REPLIES][32];
    aerie_status status;
    char message[480];
    aerie_ask_stats stats;
    int64_t reused, dropped;
    double logprob;
    int n_prompt_tokens;
    float prompt_logprobs[64];
    float numbers[512];
    size_t n_numbers;
    bool top_is_sorted;
    int hold_every, stop_after, cancel_after; /* events; 0: never */
    int kind;                                 /* what was asked */
    bool cancel_in_prompt;
} reader;

static void open_reader(reader *r, aerie_engine *e)
{
    aerie_error err = { 0 };
    *r = (reader){ .engine = e, .top_is_sorted = true };
    assert_int_equal(ae_monitor_open(&r->monitor, &err), AERIE_OK);
}

static void close_reader(reader *r)
{
    for (int i = 0; i < MOST_REPLIES; i++) ae_bytes_free(&r->text[i]);
    ae_monitor_close(&r->monitor);
}

static void look_at_tokens(reader *r, const aerie_event *event)
{
    for (size_t i = 0; i < event->n_tokens; i++) {
        const aerie_reply_token *t = &event->tokens[i];
        r->n_tokens++;
        if (!isnan(t->token.logprob)) r->logprob += (double)t->token.logprob;
        for (size_t j = 1; j < t->n_top; j++)
            if (t->top[j].logprob > t->top[j - 1].logprob) r->top_is_sorted = false;
    }
}

static aerie_flow read_text(reader *r, const aerie_event *event)
{
    ae_bytes_add(&r->text[event->reply], event->text, event->len);
    look_at_tokens(r, event);
    r->n_events++;
    if (r->cancel_after && r->n_events >= r->cancel_after)
        aerie_engine_cancel(r->engine, event->ticket);
    if (r->stop_after && r->n_events >= r->stop_after) return AERIE_STOP;
    return r->hold_every && r->n_events % r->hold_every == 0 ? AERIE_HOLD : AERIE_GO_ON;
}

static aerie_flow on_event(void *user, const aerie_event *event)
{
    reader *r = user;
    aerie_flow flow = AERIE_GO_ON;
    ae_monitor_enter(&r->monitor);
    switch (event->kind) {
    case AERIE_EVENT_STARTED:
        r->n_started++;
        r->reused = event->reused_tokens;
        r->dropped = event->dropped_messages;
        break;
    case AERIE_EVENT_TEXT:
        flow = read_text(r, event);
        break;
    case AERIE_EVENT_PROMPT:
        if (r->cancel_in_prompt) aerie_engine_cancel(r->engine, event->ticket);
        for (size_t i = 0; i < event->n_tokens && r->n_prompt_tokens < 64; i++)
            r->prompt_logprobs[r->n_prompt_tokens++] = event->tokens[i].token.logprob;
        break;
    case AERIE_EVENT_NUMBERS:
        assert_true(event->n_numbers <= 512);
        r->n_numbers = event->n_numbers;
        memcpy(r->numbers, event->numbers, event->n_numbers * sizeof *event->numbers);
        break;
    case AERIE_EVENT_FINISHED:
        r->n_finished++;
        r->why[event->reply] = event->why;
        snprintf(r->stop[event->reply], sizeof r->stop[0], "%s", event->stop ? event->stop : "");
        break;
    case AERIE_EVENT_END:
        r->n_end++;
        r->status = event->status;
        r->stats = event->stats;
        snprintf(r->message, sizeof r->message, "%s", event->message);
        break;
    default:
        break;
    }
    ae_monitor_wake(&r->monitor);
    ae_monitor_leave(&r->monitor);
    return flow;
}

static void await_end(reader *r)
{
    ae_monitor_enter(&r->monitor);
    while (r->n_end == 0) ae_monitor_wait(&r->monitor, -1);
    ae_monitor_leave(&r->monitor);
}

/* ---- the world ---- */

typedef struct {
    aerie_model *model;
} world;

static int set_up(void **state)
{
    static world w;
    aerie_error err = { 0 };
    aerie_model_options o = { .threads = 2 };
    *state = &w;
    if (!aerie_model_open(&w.model, "recipes/nursery/nursery.gguf", &o, &err)) return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

static int tear_down(void **state)
{
    world *w = *state;
    aerie_model_close(w->model);
    return 0;
}

static aerie_engine *open_engine(const world *w, const aerie_engine_options *o)
{
    aerie_error err = { 0 };
    aerie_engine *e;
    if (aerie_engine_open(&e, w->model, o, &err)) fail_msg("%s", err.message);
    return e;
}

static uint64_t ask(aerie_engine *e, const aerie_ask *a, reader *r)
{
    aerie_error err = { 0 };
    aerie_asked asked;
    if (aerie_engine_ask(e, a, on_event, r, &asked, &err)) fail_msg("%s", err.message);
    return asked.ticket;
}

static void ask_and_wait(aerie_engine *e, const aerie_ask *a, reader *r)
{
    open_reader(r, e);
    ask(e, a, r);
    await_end(r);
    assert_int_equal(r->n_end, 1);
    if (r->status) fail_msg("%s", r->message);
}

static const char *const prompts[] = {
    "Once upon a time",
    "Write a story about a fox and a bird.",
    "The",
    "List three animals.",
    "Tom and Mia went to the river because",
    "2 + 2 =",
    "A cat sat.",
    "Ben Nash is a",
};
enum { N_PROMPTS = sizeof prompts / sizeof *prompts };

static aerie_sampling warm(uint64_t seed)
{
    aerie_sampling s = aerie_sampling_default();
    s.temperature = 1;
    s.seed = seed;
    return s;
}

static aerie_ask text_ask(int i, const aerie_sampling *s)
{
    return (aerie_ask){ .text = prompts[i % N_PROMPTS],
                        .sampling = s,
                        .max_tokens = 8 + 3 * (i % 7),
                        .ignore_eog = i % 2 == 0 };
}

/* ---- properties ---- */

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

static void log_probabilities_come_along(void **state)
{
    const world *w = *state;
    aerie_engine *e = open_engine(w, NULL);
    aerie_sampling s = warm(9);
    s.temperature = 0;
    aerie_ask a = { .text = prompts[1],
                    .sampling = &s,
                    .max_tokens = 20,
                    .ignore_eog = true,
                    .logprobs = true,
                    .top_logprobs = 5 };
    reader r;
    ask_and_wait(e, &a, &r);
    assert_int_equal(r.n_tokens, 20);
    assert_true(r.logprob < 0 && r.logprob > -100);
    assert_true(r.top_is_sorted);
    close_reader(&r);
    aerie_engine_close(e);
}

static void prompts_have_log_probabilities_too(void **state)
{
    const world *w = *state;
    aerie_error err = { 0 };
    const aerie_engine_options shapes[] = { { 0 }, { .max_batch = 3, .parallel = 2 } };
    int32_t *ids;
    size_t n;
    float expected[64];
    ae_engine *scorer;
    assert_int_equal(aerie_tokenize(aerie_model_tokenizer(w->model), prompts[4], strlen(prompts[4]),
                                    NULL, &ids, &n, &err),
                     AERIE_OK);
    const ae_engine_options o = { .device = w->model->device, .net = &w->model->net };
    assert_int_equal(ae_engine_open(&scorer, &o, &err), AERIE_OK);
    assert_int_equal(ae_engine_log_probs(scorer, ids, (int64_t)n, expected, &err), AERIE_OK);
    ae_engine_close(scorer);
    for (size_t k = 0; k < 2 * AE_COUNT(shapes); k++) {
        aerie_engine *e = open_engine(w, &shapes[k / 2]);
        aerie_ask a = { .ids = ids,
                        .n_ids = n,
                        .kind = k % 2 ? AERIE_ASK_LOG_PROBS : AERIE_ASK_REPLIES,
                        .prompt_logprobs = true,
                        .max_tokens = 3,
                        .top_logprobs = 2 };
        reader r;
        ask_and_wait(e, &a, &r);
        assert_int_equal(r.n_prompt_tokens, n);
        assert_true(isnan(r.prompt_logprobs[0]));
        assert_memory_equal(r.prompt_logprobs + 1, expected, (n - 1) * sizeof *expected);
        assert_int_equal(r.n_finished, k % 2 ? 0 : 1);
        close_reader(&r);
        aerie_engine_close(e);
    }
    aerie_free(ids);
}

static void an_embedding_does_not_depend_on_passes(void **state)
{
    const world *w = *state;
    const aerie_engine_options shapes[] = { { 0 }, { .max_batch = 3, .parallel = 3 } };
    static reader readers[2][N_PROMPTS], other;
    for (int k = 0; k < 2; k++) {
        aerie_engine *e = open_engine(w, &shapes[k]);
        for (int i = 0; i < N_PROMPTS; i++) {
            aerie_ask a = { .kind = AERIE_ASK_EMBEDDING, .text = prompts[i] };
            open_reader(&readers[k][i], e);
            ask(e, &a, &readers[k][i]);
        }
        aerie_ask reply = text_ask(0, NULL); /* beside them: its caches are of another type */
        ask_and_wait(e, &reply, &other);
        close_reader(&other);
        for (int i = 0; i < N_PROMPTS; i++) await_end(&readers[k][i]);
        aerie_engine_close(e);
    }
    for (int i = 0; i < N_PROMPTS; i++) {
        double squares = 0;
        assert_int_equal(readers[0][i].n_numbers, 192);
        assert_memory_equal(readers[0][i].numbers, readers[1][i].numbers, 192 * sizeof(float));
        for (int j = 0; j < 192; j++)
            squares += (double)readers[0][i].numbers[j] * (double)readers[0][i].numbers[j];
        assert_true(fabs(squares - 1) < 1e-5);
        close_reader(&readers[0][i]);
        close_reader(&readers[1][i]);
    }
}

/* A reward model of random numbers, from a file. */
static aerie_model *open_reward_model(void)
{
    aerie_error err = { 0 };
    ae_model *base = NULL, *scorer = NULL;
    aerie_model *m = NULL;
    const ae_head_options head = { .score = true, .drop_language = true, .seed = 5 };
    char *folder = scratch_make(), *path = ae_path_join(folder, "rm.gguf");
    if (ae_model_open(&base, "recipes/nursery/nursery.gguf", &err) ||
        ae_model_trainable_with(&scorer, base, &head, 0, &err) ||
        ae_model_save_gguf(scorer, path, AE_F16, &err) || aerie_model_open(&m, path, NULL, &err))
        fail_msg("%s", err.message);
    ae_model_close(scorer);
    ae_model_close(base);
    scratch_remove(folder); /* the file stays mapped */
    ae_free(path);
    return m;
}

static void a_score_is_that_of_a_reward_model(void **state)
{
    (void)state;
    aerie_error err = { 0 };
    const world w = { open_reward_model() };
    int32_t *ids;
    size_t n;
    float scores[64];
    ae_arena arena = { 0 };
    assert_int_equal(aerie_tokenize(aerie_model_tokenizer(w.model), prompts[4], strlen(prompts[4]),
                                    NULL, &ids, &n, &err),
                     AERIE_OK);
    const int32_t none = 0;
    const ae_replies replies = {
        .ids = ids, .n_prompt = (int64_t)n, .reply_n = &none, .n_replies = 1
    };
    assert_int_equal(
        ae_reward_scores(scores, &replies, 0, w.model->device, &w.model->net, &arena, &err),
        AERIE_OK);
    ae_arena_free(&arena);
    const aerie_engine_options o = { .max_batch = 5, .parallel = 2 };
    aerie_engine *e = open_engine(&w, &o);
    aerie_ask a = { .kind = AERIE_ASK_SCORE, .ids = ids, .n_ids = n };
    reader r;
    ask_and_wait(e, &a, &r);
    assert_int_equal(r.n_numbers, 1);
    assert_memory_equal(r.numbers, &scores[n - 1], sizeof(float));
    close_reader(&r);
    a.kind = AERIE_ASK_REPLIES;
    assert_int_equal(aerie_engine_ask(e, &a, on_event, NULL, NULL, &err), AERIE_BAD_ARGUMENT);
    aerie_engine_close(e);
    aerie_free(ids);
    aerie_model_close(w.model);
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
        cmocka_unit_test(a_reply_is_that_of_a_session),
        cmocka_unit_test(the_same_bytes_alone_and_among_sixteen),
        cmocka_unit_test(replies_end_before_stop_strings),
        cmocka_unit_test(several_replies_share_a_prompt),
        cmocka_unit_test(log_probabilities_come_along),
        cmocka_unit_test(prompts_have_log_probabilities_too),
        cmocka_unit_test(an_embedding_does_not_depend_on_passes),
        cmocka_unit_test(a_score_is_that_of_a_reward_model),
        cmocka_unit_test(biases_forbid_and_force),
        cmocka_unit_test(a_conversation_goes_on_from_what_was_computed),
        cmocka_unit_test(what_is_too_long_is_refused_or_shortened),
        cmocka_unit_test(wrong_asks_are_sentences),
        cmocka_unit_test(a_full_queue_is_busy),
        cmocka_unit_test(callers_stop_cancel_and_hold),
        cmocka_unit_test(a_prompt_is_cancelled_while_it_is_read),
        cmocka_unit_test(running_out_of_memory_is_a_status),
        cmocka_unit_test(a_crowd_gets_what_each_would_get_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
