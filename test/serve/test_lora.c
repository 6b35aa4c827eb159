/* test_lora.c -- a server with adapters: requests name them in several ways, and models of the
 * store have their own; all are answered over one set of weights. */
#include "aerie/store.h"
#include "ask.h"
#include "live_server.h"
#include "model/model.h"
#include "scratch.h"

static char *folder, *paths[2];
static char spec[512];
static ae_serve_adapter adapters[2];

/* Random numbers (seeds 5 and 6); the second brings a head that scores. */
static aerie_status make_adapter(const ae_model *m, int which, aerie_error *err)
{
    ae_lora_options o = { .rank = 4, .alpha = 8, .targets = { true, true, true, true } };
    ae_adapter *a = NULL;
    ae_rng rng;
    o.head = (ae_head_options){ .score = which == 1, .seed = 7 };
    aerie_status status = ae_adapter_new(&a, m, &o, 5 + (uint64_t)which, err);
    int64_t n = status ? 0 : ae_adapter_params(a, NULL, 0);
    ae_named_param *p = ae_alloc((size_t)n, sizeof *p);
    ae_adapter_params(a, p, n);
    ae_rng_seed(&rng, 5 + (uint64_t)which);
    for (int64_t i = 0; i < n; i++) {
        int64_t count = strstr(p[i].name, "lora_B") ? p[i].tensor->rows * p[i].tensor->cols : 0;
        for (int64_t k = 0; k < count; k++) ae_f32(p[i].tensor)[k] = 0.03f * ae_rng_normal(&rng);
    }
    if (!status) status = ae_adapter_save(a, paths[which], m, err);
    ae_free(p);
    ae_adapter_close(a);
    return status;
}

static aerie_status create(const char *name, const char *from, const char *adapter,
                           aerie_error *err)
{
    const aerie_places places = { .store = server.store, .share = "recipes/nursery" };
    const aerie_create_options o = { .local = true };
    json_t *request = json_pack("{s:s}", "from", from);
    if (adapter) json_object_set_new(request, "adapter_paths", json_pack("[s]", adapter));
    char *text = json_dumps(request, 0);
    aerie_status status = aerie_store_create(&places, name, text, &o, err);
    free(text);
    json_decref(request);
    return status;
}

/* Two models of the store: the nursery's, and the same under the first adapter. */
static aerie_status make_models(aerie_error *err)
{
    aerie_status status = create("base", "recipes/nursery/nursery.gguf", NULL, err);
    return status ? status : create("tuned", "base", paths[0], err);
}

static int start(void **state)
{
    aerie_error err = { 0 };
    ae_model *m;
    folder = scratch_make();
    paths[0] = ae_path_join(folder, "terse.gguf");
    paths[1] = ae_path_join(folder, "judge.gguf");
    aerie_status status = ae_model_open(&m, "recipes/nursery/nursery.gguf", &err);
    for (int i = 0; i < 2 && !status; i++) status = make_adapter(m, i, &err);
    ae_model_close(m);
    snprintf(spec, sizeof spec, "%s=1", paths[1]);
    adapters[0] = (ae_serve_adapter){ "terse", paths[0] };
    adapters[1] = (ae_serve_adapter){ "judge", spec };
    server.adapters = adapters;
    server.n_adapters = 2;
    if (status || live_server_start(state) || make_models(&err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}

static int stop(void **state)
{
    int code = live_server_stop(state);
    ae_free(paths[0]);
    ae_free(paths[1]);
    scratch_remove(folder);
    return code;
}

#define CHAT                                                                                       \
    "'messages':[{'role':'user','content':'Tell me of a fox.'}],'seed':3,'max_tokens':20,"         \
    "'logprobs':true"

/* The reply's text and its log-probabilities, as JSON. */
static char *reply_to(const char *body)
{
    json_t *r = ask_json("/v1/chat/completions", body, 200);
    char *text = json_dumps(at(r, "choices"), JSON_SORT_KEYS);
    json_decref(r);
    return text;
}

static void expect_same(const char *one, const char *two, bool same)
{
    char *a = reply_to(one), *b = reply_to(two);
    if (same != !strcmp(a, b)) fail_msg("%s: %s\n%s: %s", one, a, two, b);
    free(a);
    free(b);
}

static void an_adapter_has_several_names(void **state)
{
    (void)state;
    static const char named[] = "{'model':'base','adapter':'terse'," CHAT "}";
    expect_same(named, "{'model':'base'," CHAT "}", false);
    expect_same(named, "{'model':'base+terse'," CHAT "}", true);
    expect_same(named, "{'model':'base','adapter':['terse']," CHAT "}", true);
    expect_same(named, "{'model':'base','lora':[{'id':0,'scale':1}]," CHAT "}", true);
    expect_same(named, "{'model':'tuned'," CHAT "}", true);
    expect_same(named, "{'model':'base','lora':[{'id':0,'scale':0.25}]," CHAT "}", false);
    expect_same("{'model':'base'," CHAT "}",
                "{'model':'base','lora':[{'id':0,'scale':0}]," CHAT "}", true);
    expect_same(named, "{'model':'base','adapter':['terse','judge']," CHAT "}", false);
    expect_same("{'model':'tuned','adapter':'judge'," CHAT "}",
                "{'model':'base','adapter':['terse','judge']," CHAT "}", true);
}

static void an_adapter_may_bring_a_head(void **state)
{
    (void)state;
    json_t *r =
        ask_json("/v1/score", "{'model':'base+judge','text_1':'Who?','text_2':['I.','You.']}", 200);
    assert_true(json_is_real(at(r, "data.1.score")));
    assert_true(json_number_value(at(r, "data.0.score")) !=
                json_number_value(at(r, "data.1.score")));
    json_decref(r);
    r = ask_json("/v1/rerank",
                 "{'model':'base','lora':[{'id':1}],'query':'Who?','documents':['I.','You.']}",
                 200);
    json_decref(r);
    expect_text("/v1/score", "{'model':'base','text_1':'Who?','text_2':'I.'}", 400,
                "no head that scores");
}

/* All of them are over one engine, which the metrics count once. */
static void the_weights_are_there_once(void **state)
{
    (void)state;
    char *metrics = ask("GET", "/metrics", NULL, 200);
    int n = 0;
    for (const char *line = metrics; (line = strstr(line, "\naerie_reply_tokens_total{")); line++)
        n++;
    if (n != 1) fail_msg("%s", metrics);
    ae_free(metrics);
    /* Each is there by its name. */
    expect_text("/api/ps", NULL, 200, "\"name\":\"base:latest\"");
    expect_text("/api/ps", NULL, 200, "\"name\":\"base:latest+terse\"");
    expect_text("/api/ps", NULL, 200, "\"name\":\"tuned:latest\"");
}

static void adapters_are_listed_and_missed(void **state)
{
    (void)state;
    expect_text("/lora-adapters", NULL, 200, "{\"id\":1,\"path\":\"judge\",\"scale\":0.0}");
    expect_text("/v1/chat/completions", "{'model':'base','adapter':'other'," CHAT "}", 404,
                "adapter 'other' not found");
    expect_text("/v1/chat/completions", "{'model':'base+/etc/passwd'," CHAT "}", 404, "not found");
    expect_text("/v1/chat/completions", "{'model':'base','lora':[{'id':2}]," CHAT "}", 404,
                "adapter 2 not found");
    expect_text("/v1/chat/completions", "{'model':'base','lora':[{}]," CHAT "}", 400,
                "lora must be");
    expect_text("/api/chat", "{'model':'base','adapter':3,'messages':[]}", 400, "adapter must be");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_has_several_names),
        cmocka_unit_test(an_adapter_may_bring_a_head),
        cmocka_unit_test(the_weights_are_there_once),
        cmocka_unit_test(adapters_are_listed_and_missed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
