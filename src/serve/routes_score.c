/* routes_score.c -- what a reward model makes of replies: /v1/score, and documents in its order:
 * /v1/rerank. */
#include "serve/openai_chat.h"
#include "serve/scoring.h"

#include <stdlib.h>

enum { AT_ONCE = 32 }; /* asks of one request under way: others get their turn between */

typedef struct {
    ae_scoring what;
    char id[48];
    double *scores; /* [n], owned */
    size_t n, n_asked, n_ended;
    int64_t prompt_tokens;
} judging;

static void free_judging(void *state)
{
    judging *j = state;
    ae_scoring_free(&j->what);
    ae_free(j->scores);
}

/* ---- replies */

static json_t *usage_json(const judging *j)
{
    return json_pack("{s:I, s:I}", "prompt_tokens", (json_int_t)j->prompt_tokens, "total_tokens",
                     (json_int_t)j->prompt_tokens);
}

static json_t *scores_json(const ae_talk *t)
{
    const judging *j = t->state;
    json_t *data = json_array();
    for (size_t i = 0; i < j->n; i++)
        json_array_append_new(data, json_pack("{s:I, s:s, s:f}", "index", (json_int_t)i, "object",
                                              "score", "score", j->scores[i]));
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o}", "id", j->id, "object", "list", "created",
                     (json_int_t)ae_clock_unix_seconds(), "model", t->model, "data", data, "usage",
                     usage_json(j));
}

/* The best of those that are not taken yet; of equals the first. */
static size_t next_best(const judging *j, const bool *is_taken)
{
    size_t best = j->n;
    for (size_t i = 0; i < j->n; i++)
        if (!is_taken[i] && (best == j->n || j->scores[i] > j->scores[best])) best = i;
    return best;
}

static json_t *ranking_json(const ae_talk *t)
{
    const judging *j = t->state;
    json_t *results = json_array();
    bool *is_taken = ae_alloc(j->n, sizeof *is_taken);
    for (size_t k = 0; k < j->what.top_n && is_taken; k++) {
        size_t i = next_best(j, is_taken);
        json_t *one =
            json_pack("{s:I, s:f}", "index", (json_int_t)i, "relevance_score", j->scores[i]);
        if (j->what.returns_documents)
            json_object_set_new(one, "document",
                                json_pack("{s:O}", "text", json_array_get(j->what.documents, i)));
        json_array_append_new(results, one);
        is_taken[i] = true;
    }
    ae_free(is_taken);
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", j->id, "object", "list", "model", t->model,
                     "results", results, "usage", usage_json(j));
}

static void finish(ae_talk *t)
{
    const judging *j = t->state;
    ae_talk_reply(t, j->what.documents ? ranking_json(t) : scores_json(t));
}

/* ---- asks */

static aerie_status ask_next(ae_talk *t, aerie_error *err)
{
    judging *j = t->state;
    json_t *chat = json_array_get(j->what.chats, j->n_asked);
    json_t *request = json_pack("{s:O}", "messages", chat);
    json_t *messages = ae_openai_messages(t, request, err);
    char *text = messages ? json_dumps(messages, JSON_COMPACT) : NULL;
    const aerie_ask ask = { .kind = AERIE_ASK_SCORE,
                            .messages = text,
                            .no_generation_prompt = true,
                            .chat_template = t->stored->chat_template };
    aerie_status status = text ? ae_talk_ask(t, &ask, NULL, err) : AERIE_BAD_ARGUMENT;
    if (status && messages && !text)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for the messages");
    if (!status) j->n_asked++;
    free(text);
    json_decref(messages);
    json_decref(request);
    return status;
}

static void on_end(ae_talk *t, const aerie_event *event)
{
    judging *j = t->state;
    aerie_error err = { 0 };
    j->prompt_tokens += event->stats.prompt_tokens;
    if (++j->n_ended == j->n)
        finish(t);
    else if (j->n_asked < j->n && ae_talk_then(t, ask_next, &err))
        ae_talk_fail(t, ae_status_of(err.status), err.message);
}

static void on_event(ae_talk *t, size_t n, const aerie_event *event)
{
    judging *j = t->state;
    if (event->kind == AERIE_EVENT_NUMBERS && event->n_numbers) j->scores[n] = event->numbers[0];
    if (event->kind == AERIE_EVENT_END) on_end(t, event);
}

static aerie_status begin(ae_talk *t, aerie_error *err)
{
    judging *j = t->state;
    aerie_status status = AERIE_OK;
    j->n = json_array_size(j->what.chats);
    j->scores = ae_alloc(j->n, sizeof *j->scores);
    if (!j->scores) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the scores");
    for (size_t i = 0; i < j->n && i < AT_ONCE && !status; i++) status = ask_next(t, err);
    return status;
}

static aerie_status begin_scores(ae_talk *t, aerie_error *err)
{
    judging *j = t->state;
    ae_openai_id(j->id, "score-", t->id);
    aerie_status status = ae_scoring_read(&j->what, t->request, err);
    return status ? status : begin(t, err);
}

static aerie_status begin_ranking(ae_talk *t, aerie_error *err)
{
    judging *j = t->state;
    ae_openai_id(j->id, "rerank-", t->id);
    aerie_status status = ae_scoring_read_ranking(&j->what, t->request, err);
    return status ? status : begin(t, err);
}

static const ae_talk_form score_form = { .face = AE_FACE_OPENAI,
                                         .state_bytes = sizeof(judging),
                                         .begin = begin_scores,
                                         .event = on_event,
                                         .free = free_judging },
                          rerank_form = { .face = AE_FACE_OPENAI,
                                          .state_bytes = sizeof(judging),
                                          .begin = begin_ranking,
                                          .event = on_event,
                                          .free = free_judging };

static void answer_score(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &score_form);
}

static void answer_rerank(ae_server *s, ae_exchange *x, ae_span rest)
{
    (void)rest;
    ae_talk_answer(s, x, &rerank_form);
}

const ae_route ae_routes_score[] = {
    { "POST", "/v1/score", answer_score, AE_FACE_OPENAI, false, NULL },
    { "POST", "/score", answer_score, AE_FACE_OPENAI, false, NULL },
    { "POST", "/v1/rerank", answer_rerank, AE_FACE_OPENAI, false, NULL },
    { "POST", "/rerank", answer_rerank, AE_FACE_OPENAI, false, NULL },
    { "POST", "/v2/rerank", answer_rerank, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_score = AE_COUNT(ae_routes_score);
