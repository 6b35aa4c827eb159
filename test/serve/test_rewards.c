/* test_rewards.c -- a server with a reward model: scores of replies, rankings of documents. The
 * model's numbers are random (seed 5), so that only what they are of matters. */
#include "ask.h"
#include "live_server.h"
#include "scratch.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_command),
        cmocka_unit_test(documents_are_ranked),
        cmocka_unit_test(many_are_scored),
        cmocka_unit_test(a_reward_model_writes_nothing),
    };
    return cmocka_run_group_tests(tests, start, live_server_stop);
}
