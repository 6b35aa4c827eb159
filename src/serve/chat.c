/* chat.c -- from the engine's events to pieces of replies. */
#include "serve/chat.h"

#include "serve/tool_words.h"

#include <stdlib.h>

aerie_status ae_chat_open(ae_talk *t, const ae_chat_voice *voice, int64_t n_replies, bool logprobs,
                          aerie_error *err)
{
    ae_chat *c = t->state;
    uint64_t seed = (uint64_t)(t->began * 1e9) ^ t->id;
    aerie_status status = ae_best_check(&c->best, t, err);
    if (status) return status;
    if (c->best.n && n_replies != 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the best of several is one: n must be 1");
    if (c->best.n) n_replies = c->best.n;
    c->voice = voice;
    c->replies = ae_alloc((size_t)n_replies, sizeof *c->replies);
    if (!c->replies) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the replies");
    c->n_replies = n_replies;
    for (int64_t i = 0; i < n_replies; i++) {
        ae_chat_reply *r = &c->replies[i];
        /* Ids of calls are never the same twice, whatever seed draws the text: clients keep their
         * results by them. */
        r->reader =
            (ae_tool_reader){ .tools = &c->tools, .seed = ae_mix64(seed + ((uint64_t)i << 48)) };
        r->calls = json_array();
        r->chances = logprobs ? json_array() : NULL;
    }
    return AERIE_OK;
}

const char *ae_chat_template(const ae_talk *t, const aerie_ask *ask)
{
    return ask->chat_template ? ask->chat_template
                              : aerie_model_chat_template(aerie_lease_model(t->lease));
}

aerie_status ae_chat_prompt_write(ae_chat_prompt *out, const ae_talk *t, json_t *messages,
                                  const ae_tools *tools, const ae_thinking *thinking,
                                  aerie_ask *ask, aerie_error *err)
{
    out->traits = aerie_chat_traits_of(ae_chat_template(t, ask));
    out->list = ae_tool_words(messages, tools, &out->traits);
    ask->messages = out->messages = json_dumps(out->list, JSON_COMPACT);
    ask->tools = out->tools = tools->list ? json_dumps(tools->list, JSON_COMPACT) : NULL;
    aerie_status status = ae_thinking_vars(&out->vars, thinking, err);
    ask->template_vars = out->vars;
    if (status || out->messages) return status;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the messages");
}

void ae_chat_prompt_free(ae_chat_prompt *p)
{
    json_decref(p->list);
    free(p->messages);
    free(p->tools);
    aerie_free(p->vars);
    *p = (ae_chat_prompt){ 0 };
}

aerie_status ae_chat_ask(ae_talk *t, json_t *messages, aerie_ask *ask, aerie_asked *asked,
                         aerie_error *err)
{
    ae_chat *c = t->state;
    aerie_asked own;
    ae_chat_prompt prompt = { 0 };
    if (!asked) asked = &own;
    if (ask->grammar && c->thinking.wish == AERIE_THINK_UNSAID) c->thinking.wish = AERIE_THINK_NO;
    aerie_status status =
        ae_chat_prompt_write(&prompt, t, messages, &c->tools, &c->thinking, ask, err);
    if (c->best.n) {
        c->best.messages = json_incref(prompt.list);
        ask->n_replies = c->best.n;
    }
    if (!status) status = ae_talk_ask(t, ask, asked, err);
    for (int64_t i = 0; !status && prompt.traits.thinking && !ask->grammar && i < c->n_replies; i++)
        status = aerie_thoughts_open(&c->replies[i].thoughts, asked->opens_thought, err);
    ae_chat_prompt_free(&prompt);
    return status;
}

void ae_chat_free(ae_chat *c)
{
    for (int64_t i = 0; i < c->n_replies; i++) {
        ae_chat_reply *r = &c->replies[i];
        aerie_thoughts_close(r->thoughts);
        ae_tool_reader_free(&r->reader);
        ae_bytes_free(&r->thinking);
        ae_bytes_free(&r->text);
        json_decref(r->calls);
        json_decref(r->chances);
        json_decref(r->stop);
    }
    ae_free(c->replies);
    ae_best_free(&c->best);
    ae_tools_free(&c->tools);
    *c = (ae_chat){ 0 };
}

/* What became of a stretch of a reply. */
typedef struct {
    ae_span thinking, said; /* borrowed of the reply's thoughts */
    ae_bytes text;
    json_t *calls;
} stretch;

static stretch stretch_of(aerie_thoughts_part part)
{
    return (stretch){ .thinking = { part.thought, part.thought_len },
                      .said = { part.said, part.said_len },
                      .calls = json_array() };
}

/* Takes chances (or NULL) over, and what the stretch holds. */
static void give(ae_talk *t, int64_t reply, stretch *s, json_t *chances)
{
    const ae_chat *c = t->state;
    ae_chat_reply *r = &c->replies[reply];
    if (c->thinking.wish == AERIE_THINK_NO) s->thinking.len = 0;
    const ae_chat_piece piece = { .reply = reply,
                                  .thinking = s->thinking,
                                  .text = ae_span_of(&s->text),
                                  .calls = s->calls,
                                  .n_before = r->n_calls,
                                  .chances = chances };
    r->n_calls += json_array_size(s->calls);
    bool is_kept = !t->stream || c->best.n;
    if (is_kept) {
        ae_bytes_add(&r->thinking, s->thinking.data, s->thinking.len);
        ae_bytes_add(&r->text, s->text.data, s->text.len);
        json_array_extend(r->calls, s->calls);
        if (chances) json_array_extend(r->chances, chances);
    }
    if (!c->best.n) c->voice->more(t, &piece);
    ae_bytes_free(&s->text);
    json_decref(s->calls);
    json_decref(chances);
}

static void on_text(ae_talk *t, const aerie_event *e)
{
    const ae_chat *c = t->state;
    ae_chat_reply *r = &c->replies[e->reply];
    stretch s = stretch_of(
        r->thoughts ? aerie_thoughts_add(r->thoughts, e->text, e->len, (int64_t)e->n_tokens)
                    : (aerie_thoughts_part){ .said = e->text, .said_len = e->len });
    ae_tool_reader_add(&r->reader, s.said, &s.text, s.calls);
    give(t, e->reply, &s, r->chances ? ae_chances(e, c->voice->lean_chances) : NULL);
}

static void on_finished(ae_talk *t, const aerie_event *e)
{
    ae_chat *c = t->state;
    ae_chat_reply *r = &c->replies[e->reply];
    aerie_thoughts_part rest = { .said = "" };
    aerie_error err = { 0 };
    r->why = e->why;
    if (e->stop) r->stop = json_string(e->stop);
    if (r->thoughts && aerie_thoughts_end(r->thoughts, &rest, &err)) {
        ae_talk_fail(t, ae_status_of(err.status), err.message);
        return;
    }
    stretch s = stretch_of(rest);
    if (r->thoughts) c->thought_tokens += aerie_thoughts_tokens(r->thoughts);
    ae_tool_reader_add(&r->reader, s.said, &s.text, s.calls);
    ae_tool_reader_end(&r->reader, &s.text);
    give(t, e->reply, &s, NULL);
    if (c->voice->finished && !c->best.n) c->voice->finished(t, e->reply);
}

void ae_chat_event(ae_talk *t, size_t n, const aerie_event *e)
{
    ae_chat *c = t->state;
    if (c->best.n && n > 0) {
        ae_best_event(t, n, e);
        return;
    }
    switch (e->kind) {
    case AERIE_EVENT_STARTED:
        c->prompt_tokens = e->prompt_tokens;
        c->reused_tokens = e->reused_tokens;
        c->dropped_messages = e->dropped_messages;
        if (c->voice->started) c->voice->started(t);
        break;
    case AERIE_EVENT_TEXT:
        on_text(t, e);
        break;
    case AERIE_EVENT_FINISHED:
        on_finished(t, e);
        break;
    case AERIE_EVENT_END:
        if (c->best.n)
            ae_best_judge(t, &e->stats);
        else
            c->voice->end(t, &e->stats);
        break;
    default:
        break;
    }
}

/* ---- log-probabilities */

static json_t *chance(const aerie_choice *c)
{
    json_t *bytes = json_array();
    for (size_t i = 0; i < c->len; i++)
        json_array_append_new(bytes, json_integer((unsigned char)c->bytes[i]));
    /* A part of a character is no text; its bytes are all there is to say. */
    return json_pack("{s:o, s:f, s:o}", "token", ae_text_json((ae_span){ c->bytes, c->len }),
                     "logprob", (double)c->logprob, "bytes", bytes);
}

json_t *ae_chances(const aerie_event *e, bool lean)
{
    json_t *list = json_array();
    for (size_t i = 0; i < e->n_tokens; i++) {
        json_t *one = chance(&e->tokens[i].token), *top = json_array();
        for (size_t k = 0; k < e->tokens[i].n_top; k++)
            json_array_append_new(top, chance(&e->tokens[i].top[k]));
        if (!lean || e->tokens[i].n_top) json_object_set(one, "top_logprobs", top);
        json_decref(top);
        json_array_append_new(list, one);
    }
    return list;
}

aerie_status ae_chances_read(aerie_ask *ask, const json_t *request, aerie_error *err)
{
    json_int_t n = json_integer_value(json_object_get(request, "top_logprobs"));
    ask->logprobs = json_is_true(json_object_get(request, "logprobs"));
    if (n < 0 || n > 20)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_logprobs must be between 0 and 20");
    ask->top_logprobs = ask->logprobs ? (int)n : 0;
    return AERIE_OK;
}
