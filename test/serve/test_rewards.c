/* test_rewards.c -- a server with a reward model: scores of replies, rankings of documents. The
 * model's numbers are random (seed 5), so that only what they are of matters. */
#include "ask.h"
#include "live_server.h"
#include "scratch.h"
#include "wire.h"

#include "aerie/score.h"
#include "model/model.h"

#include <math.h>

/* A plain model of the store: a name. */
static char *reward_path(void)
{
    return ae_path_join(server.store, "models/judge/latest.gguf");
}

static int start(void **state)
{
    const ae_head_options head = { .score = true, .drop_language = true, .seed = 5 };
    aerie_error err = { 0 };
    ae_model *base = NULL, *judge = NULL;
    if (live_server_start(state)) return 1;
    char *path = reward_path(), *folder = ae_path_join(server.store, "models/judge");
    aerie_status status = ae_file_make_folder(folder, &err);
    if (!status) status = ae_model_open(&base, "recipes/nursery/nursery.gguf", &err);
    if (!status) status = ae_model_trainable_with(&judge, base, &head, 0, &err);
    if (!status) status = ae_model_save_gguf(judge, path, AE_F16, &err);
    if (status) fprintf(stderr, "%s\n", err.message);
    ae_model_close(judge);
    ae_model_close(base);
    ae_free(folder);
    ae_free(path);
    return status;
}

typedef struct {
    double scores[8];
    size_t n;
} scored;

static bool keep_scores(void *user, const aerie_scored *row)
{
    scored *s = user;
    for (s->n = 0; s->n < row->n; s->n++) s->scores[s->n] = row->scores[s->n];
    return true;
}

static const char *const replies[] = { "It ran.", "A fox is a small animal.", "No.",
                                       "It ran far." };

/* What aerie score says. */
static void expect(scored *out)
{
    aerie_error err = { 0 };
    aerie_model *m;
    char *path = reward_path();
    assert_int_equal(aerie_model_open(&m, path, NULL, &err), AERIE_OK);
    if (aerie_score_replies(m, "Tell me of a fox.", replies, 4, NULL, keep_scores, out, &err))
        fail_msg("%s", err.message);
    aerie_model_close(m);
    ae_free(path);
}

static void check_scores(const char *body, const scored *expected)
{
    json_t *r = ask_json("/v1/score", body, 200);
    assert_string_equal(text_at(r, "object"), "list");
    assert_int_equal(json_array_size(at(r, "data")), expected->n);
    assert_true(json_integer_value(at(r, "usage.prompt_tokens")) > 5);
    for (size_t i = 0; i < expected->n; i++) {
        const json_t *one = json_array_get(at(r, "data"), i);
        assert_int_equal(json_integer_value(at(one, "index")), i);
        assert_string_equal(text_at(one, "object"), "score");
        double score = json_number_value(at(one, "score"));
        assert_memory_equal(&score, &expected->scores[i], sizeof score);
    }
    json_decref(r);
}

static void scores_are_those_of_the_command(void **state)
{
    scored expected;
    (void)state;
    expect(&expected);
    check_scores("{'model':'judge','messages':[{'role':'user','content':'Tell me of a fox.'}],"
                 "'responses':['It ran.',{'role':'assistant','content':'A fox is a small animal.'},"
                 "[{'role':'assistant','content':[{'type':'text','text':'No.'}]}],'It ran far.']}",
                 &expected);
    check_scores("{'model':'judge','text_1':'Tell me of a fox.','text_2':['It ran.',"
                 "'A fox is a small animal.','No.','It ran far.']}",
                 &expected);
    check_scores("{'model':'judge','queries':['Tell me of a fox.','Tell me of a fox.'],"
                 "'documents':['It ran.','A fox is a small animal.']}",
                 &(scored){ { expected.scores[0], expected.scores[1] }, 2 });
    check_scores("{'model':'judge','messages':[{'role':'user','content':'Tell me of a fox.'},"
                 "{'role':'assistant','content':'No.'}]}",
                 &(scored){ { expected.scores[2] }, 1 });
}

static void documents_are_ranked(void **state)
{
    scored expected;
    (void)state;
    expect(&expected);
    json_t *r = ask_json("/v1/rerank",
                         "{'model':'judge','query':'Tell me of a fox.','top_n':3,"
                         "'return_documents':true,'documents':['It ran.',{'text':"
                         "'A fox is a small animal.'},'No.','It ran far.']}",
                         200);
    assert_int_equal(json_array_size(at(r, "results")), 3);
    double last = INFINITY;
    for (size_t k = 0; k < 3; k++) {
        const json_t *one = json_array_get(at(r, "results"), k);
        size_t i = (size_t)json_integer_value(at(one, "index"));
        double score = json_number_value(at(one, "relevance_score"));
        assert_in_range(i, 0, 3);
        assert_true(score == expected.scores[i] && score <= last);
        assert_string_equal(text_at(one, "document.text"), replies[i]);
        last = score;
    }
    json_decref(r);
    r = ask_json("/rerank", "{'model':'judge','query':'x','documents':['a','b']}", 200);
    assert_int_equal(json_array_size(at(r, "results")), 2);
    assert_null(at(r, "results.0.document"));
    json_decref(r);
}

/* More than are asked at once. */
static void many_are_scored(void **state)
{
    ae_bytes body = { 0 };
    (void)state;
    ae_bytes_add_text(&body, "{'model':'judge','query':'Who?','documents':['d 0'");
    for (int i = 1; i < 100; i++) ae_bytes_printf(&body, ",'d %d'", i);
    ae_bytes_add_text(&body, "]}");
    json_t *r = ask_json("/v1/rerank", body.data, 200);
    assert_int_equal(json_array_size(at(r, "results")), 100);
    json_decref(r);
    ae_bytes_free(&body);
}

static void a_reward_model_writes_nothing(void **state)
{
    (void)state;
    expect_text("/v1/chat/completions",
                "{'model':'judge','messages':[{'role':'user','content':'x'}]}", 400,
                "it scores texts and writes none");
}

#define FOX                                                                                        \
    "'model':'nursery','messages':[{'role':'user','content':'Tell me of a fox.'}],'seed':3,"       \
    "'max_tokens':20,'temperature':1.2"

/* Text of all deltas of a stream. */
static void gather(ae_bytes *out, const char *stream)
{
    ae_bytes_add_text(out, "");
    for (const char *line = stream; (line = strstr(line, "data: {")); line++) {
        json_t *one = json_loads(line + 6, JSON_DISABLE_EOF_CHECK, NULL);
        const json_t *text = at(one, "choices.0.delta.content");
        if (json_is_string(text)) ae_bytes_add_text(out, json_string_value(text));
        json_decref(one);
    }
}

/* The best of four is one of the four that n gives, the one that scores highest. */
static void the_best_is_told(void **state)
{
    (void)state;
    json_t *all = ask_json("/v1/chat/completions", "{" FOX ",'n':4}", 200);
    json_t *responses = json_array(),
           *request = json_pack("{s:s, s:[{s:s, s:s}]}", "model", "judge", "messages", "role",
                                "user", "content", "Tell me of a fox.");
    for (int i = 0; i < 4; i++) {
        char path[48];
        snprintf(path, sizeof path, "choices.%d.message.content", i);
        json_array_append_new(responses, json_string(text_at(all, path)));
    }
    json_object_set(request, "responses", responses);
    char *body = json_dumps(request, 0);
    char *reply = send_bytes("POST", "/v1/score", body, strlen(body), 200);
    json_t *scores = json_loads(reply, 0, NULL);
    ae_free(reply);

    json_t *best =
        ask_json("/v1/chat/completions", "{" FOX ",'best_of':4,'reward_model':'judge'}", 200);
    size_t chosen = (size_t)json_integer_value(at(best, "best_of.index"));
    assert_int_equal(json_array_size(at(best, "choices")), 1);
    assert_int_equal(json_array_size(at(best, "best_of.scores")), 4);
    assert_string_equal(text_at(best, "best_of.reward_model"), "judge");
    assert_string_equal(text_at(best, "choices.0.message.content"),
                        json_string_value(json_array_get(responses, chosen)));
    for (size_t i = 0; i < 4; i++) {
        double score = json_number_value(json_array_get(at(best, "best_of.scores"), i));
        const json_t *one = json_array_get(at(scores, "data"), i);
        assert_true(score == json_number_value(at(one, "score")));
        assert_true(score <= json_number_value(json_array_get(at(best, "best_of.scores"), chosen)));
    }
    /* All that was drawn counts, and all that was request. */
    assert_int_equal(json_integer_value(at(best, "usage.completion_tokens")),
                     json_integer_value(at(all, "usage.completion_tokens")));
    assert_int_equal(json_integer_value(at(best, "usage.prompt_tokens")),
                     json_integer_value(at(all, "usage.prompt_tokens")) +
                         json_integer_value(at(scores, "usage.prompt_tokens")));

    char *stream = ask("POST", "/v1/chat/completions",
                       "{" FOX ",'best_of':4,'reward_model':'judge','stream':true}", 200);
    ae_bytes text = { 0 };
    gather(&text, stream);
    assert_string_equal(text.data, text_at(best, "choices.0.message.content"));
    assert_non_null(strstr(stream, "\"best_of\":{"));
    assert_non_null(strstr(stream, "\n\ndata: [DONE]\n\n"));
    ae_bytes_free(&text);
    ae_free(stream);

    json_decref(best);
    json_decref(scores);
    json_decref(request);
    json_decref(responses);
    json_decref(all);
    free(body);
}

static void ollamas_best_is_told(void **state)
{
    (void)state;
    static const char chat[] =
        "{'model':'nursery','messages':[{'role':'user','content':'Tell me of a fox.'}],"
        "'options':{'seed':7,'num_predict':15,'best_of':3},'reward_model':'judge'%s}";
    char body[512];
    snprintf(body, sizeof body, chat, ",'stream':false");
    expect_text("/api/chat", body, 400, "best_of wants a reward_model");
    json_t *whole = ask_json("/api/chat",
                             "{'model':'nursery','messages':[{'role':'user','content':'Tell me of "
                             "a fox.'}],'stream':false,'options':{'seed':7,'num_predict':15,"
                             "'best_of':3,'reward_model':'judge'}}",
                             200);
    assert_int_equal(json_array_size(at(whole, "best_of.scores")), 3);
    char *lines = ask("POST", "/api/chat",
                      "{'model':'nursery','messages':[{'role':'user','content':'Tell me of a "
                      "fox.'}],'best_of':3,'reward_model':'judge','options':{'seed':7,"
                      "'num_predict':15}}",
                      200);
    json_t *first = json_loads(lines, JSON_DISABLE_EOF_CHECK, NULL);
    assert_string_equal(text_at(first, "message.content"), text_at(whole, "message.content"));
    json_decref(first);
    ae_free(lines);
    json_decref(whole);
}

static void wrong_wishes_for_the_best_are_sentences(void **state)
{
    (void)state;
    expect_text("/v1/chat/completions", "{" FOX ",'best_of':0,'reward_model':'judge'}", 400,
                "best_of must be");
    expect_text("/v1/chat/completions", "{" FOX ",'best_of':2}", 400, "wants a reward_model");
    expect_text("/v1/chat/completions", "{" FOX ",'best_of':2,'reward_model':'no'}", 404,
                "model 'no' not found");
    expect_text("/v1/chat/completions", "{" FOX ",'best_of':2,'n':2,'reward_model':'judge'}", 400,
                "n must be 1");
    expect_text("/v1/chat/completions", "{" FOX ",'best_of':2,'reward_model':'nursery'}", 400,
                "no head that scores");
    expect_text("/v1/chat/completions", "{" FOX ",'best_of':60,'reward_model':'judge'}", 400,
                "the most at once");
}

/* Clients that leave while replies are drawn, while the reward model is waited for, and while it
 * reads: whoever comes next is answered, and the server's end finds nothing under way. Seed 4. */
static void clients_that_leave_are_forgotten(void **state)
{
    static const char *const bodies[] = {
        "{" FOX ",'best_of':4,'reward_model':'judge','keep_alive':0}",
        "{" FOX ",'best_of':3,'reward_model':'judge','stream':true}",
        "{'model':'judge','text_1':'Who?','text_2':['a','b','c','d','e','f'],'keep_alive':0}"
    };
    ae_rng rng;
    (void)state;
    ae_rng_seed(&rng, 4);
    for (int i = 0; i < 60; i++) {
        ae_bytes body = { 0 }, request = { 0 };
        for (const char *c = bodies[i % 3]; *c; c++)
            ae_bytes_add_char(&body, *c == '\'' ? '"' : *c);
        wire_request(&request, "POST", i % 3 == 2 ? "/v1/score" : "/v1/chat/completions",
                     ae_span_of(&body), true);
        int fd = wire_dial();
        wire_say(fd, ae_span_of(&request));
        usleep((useconds_t)ae_rng_below(&rng, 40000));
        close(fd);
        ae_bytes_free(&body);
        ae_bytes_free(&request);
    }
    expect_text("/v1/chat/completions", "{" FOX ",'best_of':2,'reward_model':'judge'}", 200,
                "\"index\"");
    wire_await_rest();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_command),
        cmocka_unit_test(documents_are_ranked),
        cmocka_unit_test(many_are_scored),
        cmocka_unit_test(a_reward_model_writes_nothing),
        cmocka_unit_test(the_best_is_told),
        cmocka_unit_test(ollamas_best_is_told),
        cmocka_unit_test(wrong_wishes_for_the_best_are_sentences),
        cmocka_unit_test(clients_that_leave_are_forgotten),
    };
    return cmocka_run_group_tests(tests, start, live_server_stop);
}
