/* best.c -- n replies, their scores, and the one that is told. The first reply's model is given
 * back before the reward model is taken: two that do not fit into memory together can still do
 * this. */
#include "serve/best.h"

#include "serve/chat.h"
#include "serve/models.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

aerie_status ae_best_read(ae_best *b, const json_t *request, aerie_error *err)
{
    const json_t *n = json_object_get(request, "best_of"),
                 *model = json_object_get(request, "reward_model");
    const char *name = json_string_value(model);
    if (!n || json_is_null(n)) return AERIE_OK;
    if (!json_is_integer(n) || json_integer_value(n) < 1 || json_integer_value(n) > MOST)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "best_of must be a whole number from 1 to %d",
                          MOST);
    if (json_integer_value(n) == 1) return AERIE_OK;
    if (!name || !*name || strlen(name) >= sizeof b->model)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "best_of wants a reward_model, the name of the model that chooses");
    b->n = json_integer_value(n);
    memcpy(b->model, name, strlen(name) + 1);
    return AERIE_OK;
}

aerie_status ae_best_check(const ae_best *b, const ae_talk *t, aerie_error *err)
{
    const aerie_stored *stored = NULL;
    if (b->n == 0) return AERIE_OK;
    aerie_status status = ae_models_find(t->server, b->model, &stored, err);
    aerie_stored_free(stored);
    return status;
}

void ae_best_free(ae_best *b)
{
    json_decref(b->messages);
    json_decref(b->told);
    ae_free(b->scores);
    *b = (ae_best){ 0 };
}

/* ---- the reward model */

/* A reply as a message; one that is nothing but calls, as their text. */
static json_t *message_of(const ae_chat_reply *r)
{
    json_t *content = ae_text_json(ae_span_of(&r->text));
    if (r->text.len == 0 && json_array_size(r->calls)) {
        char *calls = json_dumps(r->calls, JSON_COMPACT);
        json_decref(content);
        content = json_string(calls ? calls : "");
        free(calls);
    }
    return json_pack("{s:s, s:o}", "role", "assistant", "content", content);
}

static aerie_status ask_score(ae_talk *t, int64_t i, aerie_error *err)
{
    const ae_chat *c = t->state;
    json_t *all = json_copy(c->best.messages);
    json_array_append_new(all, message_of(&c->replies[i]));
    char *text = json_dumps(all, JSON_COMPACT);
    const aerie_ask ask = { .kind = AERIE_ASK_SCORE,
                            .messages = text,
                            .no_generation_prompt = true,
                            .chat_template = t->stored->chat_template };
    aerie_status status = text ? ae_talk_ask(t, &ask, NULL, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "no memory for the messages");
    free(text);
    json_decref(all);
    return status;
}

static aerie_status ask_scores(ae_talk *t, aerie_error *err)
{
    ae_chat *c = t->state;
    aerie_status status = AERIE_OK;
    c->best.scores = ae_alloc((size_t)c->best.n, sizeof *c->best.scores);
    if (!c->best.scores) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the scores");
    for (int64_t i = 0; i < c->best.n && !status; i++) status = ask_score(t, i, err);
    return status;
}

void ae_best_judge(ae_talk *t, const aerie_ask_stats *stats)
{
    ae_chat *c = t->state;
    aerie_error err = { 0 };
    c->best.stats = *stats;
    if (ae_talk_move(t, c->best.model, ask_scores, &err))
        ae_talk_fail(t, ae_status_of(err.status), err.message);
}

/* ---- the choice */

static int64_t best_of(const ae_best *b)
{
    int64_t best = 0;
    for (int64_t i = 1; i < b->n; i++)
        if (b->scores[i] > b->scores[best]) best = i;
    return best;
}

static json_t *told_of(const ae_best *b, int64_t best)
{
    json_t *scores = json_array();
    for (int64_t i = 0; i < b->n; i++) json_array_append_new(scores, json_real(b->scores[i]));
    return json_pack("{s:s, s:o, s:I, s:I}", "reward_model", b->model, "scores", scores, "index",
                     (json_int_t)best, "scored_tokens", (json_int_t)b->tokens);
}

/* The chosen reply, as if it had been the only one, and had come in one piece. */
static void tell(ae_talk *t)
{
    ae_chat *c = t->state;
    int64_t best = best_of(&c->best);
    ae_chat_reply chosen = c->replies[best];
    c->replies[best] = c->replies[0];
    c->replies[0] = chosen;
    c->best.told = told_of(&c->best, best);
    c->best.stats.prompt_tokens += c->best.tokens;
    const ae_chat_piece piece = { .thinking = ae_span_of(&chosen.thinking),
                                  .text = ae_span_of(&chosen.text),
                                  .calls = chosen.calls,
                                  .chances = chosen.chances };
    c->voice->more(t, &piece);
    if (c->voice->finished) c->voice->finished(t, 0);
    c->voice->end(t, &c->best.stats);
}

/* The replies were ask 0. */
void ae_best_event(ae_talk *t, size_t n, const aerie_event *e)
{
    ae_chat *c = t->state;
    if (e->kind == AERIE_EVENT_NUMBERS && e->n_numbers) c->best.scores[n - 1] = e->numbers[0];
    if (e->kind != AERIE_EVENT_END) return;
    c->best.tokens += e->stats.prompt_tokens;
    c->best.stats.reused_tokens += e->stats.reused_tokens;
    if (++c->best.n_scored == c->best.n) tell(t);
}
