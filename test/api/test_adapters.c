/* Adapters over an engine's model: asks under several of them, and under none, give in one batch
 * what each gives in an engine of its own, to the last bit, and share no beginnings. Seeds: 5
 * (adapters), 1 .. (asks). */
#include "api/live.h"
#include "scratch.h"

#include <string.h>

#define MODEL "recipes/nursery/nursery.gguf"

enum { N_ADAPTERS = 3, N_KINDS = 1 + N_ADAPTERS, N_PROMPTS = 4, N_ASKS = N_KINDS * N_PROMPTS };

static char *folder, *paths[N_ADAPTERS];

static const char *const prompts[N_PROMPTS] = {
    "Once upon a time there was a fox who lived in the forest and liked to run.",
    "Once upon a time there was a fox who lived in the forest and liked to sleep.",
    "The bear said that it was cold.", "A"
};

/* LoRA, DoRA, and LoRA with a head that scores. */
static aerie_status make_adapter(const ae_model *m, int which, aerie_error *err)
{
    ae_lora_options o = { .rank = 2 + which, .alpha = 8, .dora = which == 1 };
    ae_adapter *a = NULL;
    ae_device *device = NULL;
    ae_named_param *p;
    ae_rng rng;
    for (int i = 0; i < AE_N_PROJ; i++) o.targets[i] = i != which;
    o.head = (ae_head_options){ .score = which == 2, .seed = 7 };
    aerie_status status = ae_adapter_new(&a, m, &o, 5 + (uint64_t)which, err);
    if (!status) status = ae_device_open(&device, AE_CPU_AUTO, 1, err);
    if (!status) status = ae_adapter_norms(a, m, device, true, err);
    int64_t n = status ? 0 : ae_adapter_params(a, NULL, 0);
    p = ae_alloc((size_t)n, sizeof *p);
    ae_adapter_params(a, p, n);
    ae_rng_seed(&rng, 5 + (uint64_t)which);
    for (int64_t i = 0; i < n; i++) /* a new adapter changes nothing; these should */
        for (int64_t k = 0;
             strstr(p[i].name, "lora_B") && k < p[i].tensor->rows * p[i].tensor->cols; k++)
            ae_f32(p[i].tensor)[k] = 0.02f * ae_rng_normal(&rng);
    if (!status) status = ae_adapter_save(a, paths[which], m, err);
    if (device) device->close(device);
    ae_free(p);
    ae_adapter_close(a);
    return status;
}

static int set_up(void **state)
{
    aerie_error err = { 0 };
    ae_model *m;
    (void)state;
    folder = scratch_make();
    aerie_status status = ae_model_open(&m, MODEL, &err);
    for (int i = 0; i < N_ADAPTERS && !status; i++) {
        char name[32];
        snprintf(name, sizeof name, "adapter-%d.gguf", i);
        paths[i] = ae_path_join(folder, name);
        status = make_adapter(m, i, &err);
    }
    if (status) fprintf(stderr, "%s\n", err.message);
    ae_model_close(m);
    return status;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < N_ADAPTERS; i++) ae_free(paths[i]);
    scratch_remove(folder);
    return 0;
}

/* What came of one ask. */
typedef struct {
    char text[512];
    float logprobs[64];
    float number;
    size_t len, n;
    int64_t reused;
} answer;

typedef struct {
    ae_monitor monitor;
    answer answers[N_ASKS];
    aerie_status status;
    int n_ended;
} hall;

typedef struct {
    hall *in;
    answer *to;
} reader;

static aerie_flow on_event(void *user, const aerie_event *e)
{
    const reader *r = user;
    for (size_t i = 0; i < e->n_tokens && r->to->n < 64; i++)
        r->to->logprobs[r->to->n++] = e->tokens[i].token.logprob;
    if (e->len && r->to->len + e->len < sizeof r->to->text) {
        memcpy(r->to->text + r->to->len, e->text, e->len);
        r->to->len += e->len;
    }
    if (e->n_numbers) r->to->number = e->numbers[0];
    if (e->kind != AERIE_EVENT_END) return AERIE_GO_ON;
    r->to->reused = e->stats.reused_tokens;
    ae_monitor_enter(&r->in->monitor);
    if (e->status) r->in->status = e->status;
    r->in->n_ended++;
    ae_monitor_wake(&r->in->monitor);
    ae_monitor_leave(&r->in->monitor);
    return AERIE_GO_ON;
}

/* Asks what the i-th of all asks is, scores where the adapter has a head. */
static void ask(aerie_engine *e, const aerie_adapter *adapter, int i, reader *r)
{
    aerie_error err = { 0 };
    aerie_sampling s = aerie_sampling_default();
    s.seed = 1 + (uint64_t)i;
    const aerie_ask a = { .kind = i % N_KINDS == 3 ? AERIE_ASK_SCORE : AERIE_ASK_REPLIES,
                          .adapter = adapter,
                          .text = prompts[i / N_KINDS],
                          .sampling = &s,
                          .max_tokens = 12,
                          .ignore_eog = true,
                          .logprobs = true };
    if (aerie_engine_ask(e, &a, on_event, r, NULL, &err)) fail_msg("%s", err.message);
}

static aerie_engine *open_engine(aerie_model *m, int64_t parallel)
{
    aerie_error err = { 0 };
    aerie_engine *e;
    const aerie_engine_options o = { .context = 256, .parallel = parallel };
    if (aerie_engine_open(&e, m, &o, &err)) fail_msg("%s", err.message);
    return e;
}

/* Each alone, in an engine whose model has the adapter from the beginning. */
static void answer_alone(hall *h)
{
    for (int i = 0; i < N_ASKS; i++) {
        int k = i % N_KINDS;
        const char *spec = k > 0 ? paths[k - 1] : NULL;
        const aerie_model_options o = { .threads = 2, .adapters = &spec, .n_adapters = k > 0 };
        aerie_error err = { 0 };
        aerie_model *m;
        if (aerie_model_open(&m, MODEL, &o, &err)) fail_msg("%s", err.message);
        aerie_engine *e = open_engine(m, 2);
        reader r = { h, &h->answers[i] };
        ask(e, NULL, i, &r);
        ae_monitor_enter(&h->monitor);
        while (h->n_ended <= i) ae_monitor_wait(&h->monitor, -1);
        ae_monitor_leave(&h->monitor);
        aerie_engine_close(e);
        aerie_model_close(m);
    }
    assert_int_equal(h->status, AERIE_OK);
}

/* All at once, over one model. */
static void answer_together(hall *h, int64_t parallel)
{
    const aerie_model_options o = { .threads = 2 };
    aerie_error err = { 0 };
    aerie_model *m;
    aerie_adapter *adapters[N_KINDS] = { NULL };
    static reader readers[N_ASKS];
    if (aerie_model_open(&m, MODEL, &o, &err)) fail_msg("%s", err.message);
    aerie_engine *e = open_engine(m, parallel);
    for (int k = 1; k < N_KINDS; k++) {
        const char *spec = paths[k - 1];
        if (aerie_adapter_open(&adapters[k], e, &spec, 1, false, &err)) fail_msg("%s", err.message);
        assert_true(aerie_adapter_bytes(adapters[k]) > 10000);
    }
    for (int i = 0; i < N_ASKS; i++) {
        readers[i] = (reader){ h, &h->answers[i] };
        ask(e, adapters[i % N_KINDS], i, &readers[i]);
    }
    ae_monitor_enter(&h->monitor);
    while (h->n_ended < N_ASKS) ae_monitor_wait(&h->monitor, -1);
    ae_monitor_leave(&h->monitor);
    for (int k = 1; k < N_KINDS; k++) aerie_adapter_close(adapters[k]);
    aerie_engine_close(e);
    aerie_model_close(m);
    assert_int_equal(h->status, AERIE_OK);
}

static void answers_are_those_of_an_engine_of_its_own(void **state)
{
    static hall alone, together[2];
    static const int64_t parallel[] = { 16, 3 };
    (void)state;
    assert_int_equal(ae_monitor_open(&alone.monitor, NULL), AERIE_OK);
    answer_alone(&alone);
    for (int i = 0; i < N_ASKS; i++)
        if (i % N_KINDS) /* the adapters do something */
            assert_memory_not_equal(&alone.answers[i], &alone.answers[i - i % N_KINDS],
                                    offsetof(answer, reused));
    for (int t = 0; t < 2; t++) {
        assert_int_equal(ae_monitor_open(&together[t].monitor, NULL), AERIE_OK);
        answer_together(&together[t], parallel[t]);
        for (int i = 0; i < N_ASKS; i++)
            assert_memory_equal(&alone.answers[i], &together[t].answers[i],
                                offsetof(answer, reused));
        /* The second prompt begins like the first, under each adapter for itself; only where the
         * first was read before is something shared. */
        for (int i = 0; i < N_KINDS; i++) assert_int_equal(together[t].answers[i].reused, 0);
        ae_monitor_close(&together[t].monitor);
    }
    ae_monitor_close(&alone.monitor);
}

static void wrong_adapters_are_sentences(void **state)
{
    const char *spec = paths[0], *missing = "/no/such/file.gguf", *other = MODEL;
    const aerie_model_options with = { .adapters = &spec, .n_adapters = 1 };
    aerie_error err = { 0 };
    aerie_model *m, *own;
    aerie_adapter *a;
    (void)state;
    assert_int_equal(aerie_model_open(&m, MODEL, NULL, &err), AERIE_OK);
    assert_int_equal(aerie_model_open(&own, MODEL, &with, &err), AERIE_OK);
    aerie_engine *e = open_engine(m, 2), *second = open_engine(own, 2);
    assert_true(aerie_adapter_open(&a, e, &missing, 1, false, &err) != AERIE_OK);
    assert_null(a);
    assert_true(aerie_adapter_open(&a, e, &other, 1, false, &err) != AERIE_OK);
    assert_int_equal(aerie_adapter_open(&a, e, &spec, 0, false, &err), AERIE_BAD_ARGUMENT);
    assert_int_equal(aerie_adapter_open(&a, second, &spec, 1, false, &err), AERIE_UNSUPPORTED);
    assert_int_equal(aerie_adapter_open(&a, e, &spec, 1, false, &err), AERIE_OK);
    const aerie_ask wrong = { .text = "x", .adapter = a };
    assert_int_equal(aerie_engine_ask(second, &wrong, on_event, NULL, NULL, &err),
                     AERIE_BAD_ARGUMENT);
    const aerie_ask headless = { .text = "x", .adapter = a, .kind = AERIE_ASK_SCORE };
    assert_int_equal(aerie_engine_ask(e, &headless, on_event, NULL, NULL, &err),
                     AERIE_BAD_ARGUMENT);
    aerie_adapter_close(a);
    aerie_engine_close(e);
    aerie_engine_close(second);
    aerie_model_close(m);
    aerie_model_close(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_an_engine_of_its_own),
        cmocka_unit_test(wrong_adapters_are_sentences),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
