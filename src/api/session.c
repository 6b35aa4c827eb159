/* session.c -- the public face of replies: a conversation, and many prompts at once. */
#include "api/api.h"
#include "api/bound.h"
#include "api/live.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct aerie_session {
    aerie_model *model;
    ae_engine *engine;
    ae_session *session;
    ae_template *chat; /* NULL: the model has no template */
    aerie_too_long too_long;
    char *vars; /* of the template; NULL: none */
    bool opens_thought;
    aerie_grammar *grammar; /* NULL: a reply may be anything */
    ae_token_order *order;  /* made with the first grammar */
    ae_bound bound;
    ae_constraint constraint;
};

enum { DEFAULT_CONTEXT = 4096 };

aerie_sampling aerie_sampling_default(void)
{
    return (aerie_sampling){ .temperature = 0.8f,
                             .top_k = 40,
                             .top_p = 0.9f,
                             .min_p = 0,
                             .typical_p = 1,
                             .repeat_penalty = 1,
                             .repeat_last_n = 64,
                             .seed = 42 };
}

ae_sampling ae_api_sampling(const aerie_sampling *given)
{
    aerie_sampling d = aerie_sampling_default(), s = given ? *given : d;
    return (ae_sampling){
        .temperature = s.temperature < 0 ? d.temperature : s.temperature,
        .top_k = s.top_k < 0 ? d.top_k : s.top_k,
        .top_p = s.top_p < 0 ? d.top_p : s.top_p,
        .min_p = s.min_p < 0 ? d.min_p : s.min_p,
        .typical_p = s.typical_p < 0 ? d.typical_p : s.typical_p,
        .repeat_penalty = s.repeat_penalty < 0 ? d.repeat_penalty : s.repeat_penalty,
        .presence_penalty = s.presence_penalty,
        .frequency_penalty = s.frequency_penalty,
        .repeat_last_n = s.repeat_last_n < -1 ? d.repeat_last_n : s.repeat_last_n,
    };
}

static uint64_t seed_of(const aerie_sampling *s)
{
    return s && s->seed ? s->seed : 42;
}

aerie_status ae_api_need_tokenizer(const aerie_model *m, aerie_error *err)
{
    if (ae_model_tokenizer(m->model)) return AERIE_OK;
    return aerie_fail(
        err, AERIE_NOT_FOUND,
        "%s: the model has no tokenizer; put its tokenizer.json or tokenizer.model beside it",
        ae_model_path(m->model));
}

aerie_status ae_api_template(ae_template **out, const aerie_model *m, const char *wanted,
                             aerie_error *err)
{
    const char *known = wanted ? ae_template_known(wanted) : NULL;
    const char *source = known ? known : wanted ? wanted : ae_model_template(m->model);
    aerie_status status = ae_api_need_tokenizer(m, err);
    *out = NULL;
    if (status) return status;
    if (!source)
        return aerie_fail(
            err, AERIE_NOT_FOUND,
            "%s: the model has no chat template; name one (--template zephyr) or complete a plain "
            "text (--raw)",
            ae_model_path(m->model));
    return ae_template_parse(out, ae_span_text(source), err);
}

static json_t *messages_json(const aerie_message *messages, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n && list; i++) {
        json_t *one =
            json_pack("{s:s, s:s}", "role", messages[i].role, "content", messages[i].content);
        if (!one || json_array_append_new(list, one)) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static ae_span token_text(const ae_tokenizer *t, int32_t id)
{
    return id < 0 ? (ae_span){ "", 0 } : ae_tokenizer_piece(t, id);
}

aerie_status ae_api_render(ae_bytes *text, const aerie_model *m, const ae_template *t,
                           ae_template_input *in, aerie_error *err)
{
    const ae_tokenizer *tokenizer = ae_model_tokenizer(m->model);
    const ae_vocab *vocab = ae_tokenizer_vocab(tokenizer);
    ae_span bos = token_text(tokenizer, vocab->bos), eos = token_text(tokenizer, vocab->eos);
    char *bos_text = ae_strndup(bos.data, bos.len), *eos_text = ae_strndup(eos.data, eos.len);
    aerie_status status;

    if (bos_text && eos_text) {
        in->bos_token = bos_text;
        in->eos_token = eos_text;
        status = ae_template_render(t, in, text, err);
        in->bos_token = in->eos_token = NULL;
    } else {
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory to write a conversation");
    }
    ae_free(bos_text);
    ae_free(eos_text);
    return status;
}

aerie_status ae_api_render_chat(ae_bytes *text, const aerie_model *m, const ae_template *t,
                                const aerie_message *messages, size_t n_messages, aerie_error *err)
{
    json_t *list = messages_json(messages, n_messages);
    ae_template_input in = { .messages = list, .add_generation_prompt = true };
    aerie_status status =
        list ? ae_api_render(text, m, t, &in, err)
             : aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a message is not valid UTF-8, or there is no memory for it");
    json_decref(list);
    return status;
}

aerie_status ae_api_chat_ids(ae_ids *ids, const aerie_model *m, const ae_template *t,
                             const aerie_message *messages, size_t n_messages, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_api_need_tokenizer(m, err);
    if (!status) status = ae_api_render_chat(&text, m, t, messages, n_messages, err);
    if (!status)
        status = ae_api_encode(ids, ae_model_tokenizer(m->model), ae_span_of(&text),
                               AE_ENCODE_BOS | AE_ENCODE_SPECIAL, err);
    ae_bytes_free(&text);
    return status;
}

static int64_t context_of(const aerie_model *m, int64_t wanted)
{
    int64_t most = ae_model_config(m->model)->max_position;
    if (wanted > 0) return wanted;
    return most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT;
}

static bool same_tokens(const ae_tokenizer *a, const ae_tokenizer *b)
{
    if (!a || !b || ae_tokenizer_size(a) != ae_tokenizer_size(b)) return false;
    for (int32_t i = 0; i < ae_tokenizer_size(a); i++) {
        ae_span x = ae_tokenizer_piece(a, i), y = ae_tokenizer_piece(b, i);
        if (x.len != y.len || memcmp(x.data, y.data, x.len) != 0) return false;
    }
    return true;
}

aerie_status ae_api_speculate(ae_engine_options *o, const aerie_model *m, aerie_speculate how,
                              const aerie_model *draft, aerie_error *err)
{
    static const ae_speculate modes[] = { [AERIE_SPECULATE_AUTO] = AE_SPECULATE_AUTO,
                                          [AERIE_SPECULATE_LOOKUP] = AE_SPECULATE_LOOKUP,
                                          [AERIE_SPECULATE_OFF] = AE_SPECULATE_OFF };
    if ((unsigned)how >= AE_COUNT(modes))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there is no way %d to speculate", (int)how);
    o->speculate = modes[how];
    o->draft = draft ? &draft->net : NULL;
    if (!draft || same_tokens(ae_model_tokenizer(m->model), ae_model_tokenizer(draft->model)))
        return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "%s cannot guess for %s: their tokens are not the same; take a smaller model "
                      "of the same family",
                      ae_model_path(draft->model), ae_model_path(m->model));
}

static aerie_status open_engine(ae_engine **out, aerie_model *m, const aerie_session_options *with,
                                aerie_error *err)
{
    ae_engine_options o = { .device = m->device,
                            .net = &m->net,
                            .tokenizer = ae_model_tokenizer(m->model),
                            .kv_type = m->kv_type,
                            .max_sequences = 1 };
    aerie_status status = ae_api_speculate(&o, m, with->speculate, with->draft, err);
    return status ? status : ae_engine_open(out, &o, err);
}

aerie_status aerie_session_open(aerie_session **out, aerie_model *model,
                                const aerie_session_options *options, aerie_error *err)
{
    static const aerie_session_options defaults = { 0 };
    const aerie_session_options *with = options ? options : &defaults;
    const char *chat_template = with->chat_template;
    *out = NULL;
    aerie_session *s = ae_alloc(1, sizeof *s);
    if (!s) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a session");
    s->model = model;
    s->too_long = with->too_long;
    const aerie_memory_plan plan = { .n_ctx = context_of(model, with->context) };
    aerie_status status = ae_api_check_use(model, with->draft, &plan, err);
    if (!status) status = open_engine(&s->engine, model, with, err);
    if (!status)
        status = ae_session_open(&s->session, s->engine, ae_model_config(model->model),
                                 context_of(model, with->context), err);
    if (!status && (chat_template || ae_model_template(model->model)))
        status = ae_api_template(&s->chat, model, chat_template, err);
    if (!status) status = aerie_session_bind(s, with->grammar, err);
    if (status)
        aerie_session_close(s);
    else
        *out = s;
    return status;
}

void aerie_session_close(aerie_session *s)
{
    if (!s) return;
    ae_session_close(s->session);
    ae_engine_close(s->engine);
    ae_template_free(s->chat);
    ae_free(s->vars);
    aerie_grammar_free(s->grammar);
    ae_token_order_free(s->order);
    ae_free(s);
}

aerie_status aerie_session_bind(aerie_session *s, const aerie_grammar *grammar, aerie_error *err)
{
    const aerie_model *m = s->model;
    aerie_status status = grammar ? ae_api_need_tokenizer(m, err) : AERIE_OK;
    if (!status && grammar && !s->order)
        status = ae_token_order_new(&s->order, ae_model_tokenizer(m->model), err);
    if (status) return status;
    aerie_grammar_free(s->grammar);
    s->grammar = grammar ? aerie_grammar_share(grammar) : NULL;
    if (!grammar) return AERIE_OK;
    s->bound = (ae_bound){ ae_bound_rules(s->grammar), s->order };
    s->constraint = ae_bound_constraint(&s->bound);
    return AERIE_OK;
}

aerie_status aerie_session_set_vars(aerie_session *s, const char *vars, aerie_error *err)
{
    char *copy = vars ? ae_strdup(vars) : NULL;
    if (vars && !copy)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the template's variables");
    ae_free(s->vars);
    s->vars = copy;
    return AERIE_OK;
}

bool aerie_session_opens_thought(const aerie_session *s)
{
    return s->opens_thought;
}

int64_t aerie_session_context(const aerie_session *s)
{
    return ae_session_context(s->session);
}

/* Turns tokens into text on their way to the caller. */
typedef struct {
    const ae_tokenizer *tokenizer;
    ae_decoder decoder;
    ae_bytes text;
    aerie_text_fn *on_text;
    void *user;
    ae_finish why;
} text_stream;

static bool pass_on(text_stream *t)
{
    bool more = true;
    if (t->text.len > 0 && t->on_text) more = t->on_text(t->user, t->text.data, t->text.len);
    ae_bytes_clear(&t->text);
    return more;
}

static bool on_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    text_stream *t = user;
    (void)request, (void)reply;
    ae_decoder_push(&t->decoder, t->tokenizer, id, &t->text);
    return pass_on(t);
}

static void on_finish(void *user, int64_t request, int64_t reply, ae_finish why)
{
    text_stream *t = user;
    (void)request, (void)reply;
    t->why = why;
    ae_decoder_finish(&t->decoder, &t->text);
    pass_on(t);
}

static aerie_finish public_finish(ae_finish why)
{
    return why == AE_FINISH_STOP     ? AERIE_FINISH_STOP
           : why == AE_FINISH_LENGTH ? AERIE_FINISH_LENGTH
                                     : AERIE_FINISH_CALLER;
}

static aerie_status reply(aerie_session *s, const ae_ids *prompt, bool continues,
                          const aerie_sampling *sampling, int64_t max_tokens,
                          aerie_text_fn *on_text, void *user, aerie_reply_stats *stats,
                          aerie_error *err)
{
    text_stream stream = { .tokenizer = ae_model_tokenizer(s->model->model),
                           /* A grammar has every byte of the reply. */
                           .decoder = { .continues = continues || s->grammar },
                           .on_text = on_text,
                           .user = user };
    ae_engine_events events = { .user = &stream, .token = on_token, .finish = on_finish };
    ae_request request = { .prompt = prompt->data,
                           .n_prompt = (int64_t)prompt->len,
                           .max_tokens = max_tokens,
                           .sampling = ae_api_sampling(sampling),
                           .seed = seed_of(sampling),
                           .constraint = s->grammar ? &s->constraint : NULL };
    ae_engine_stats spent = { 0 };
    int64_t reused = 0;
    aerie_status status = ae_session_reply(s->session, &request, &events, &spent, &reused, err);
    if (!status) status = ae_bytes_status(&stream.text, err);
    ae_bytes_free(&stream.text);
    if (stats)
        *stats = (aerie_reply_stats){ .finish = public_finish(stream.why),
                                      .prompt_tokens = (int64_t)prompt->len,
                                      .reused_tokens = reused,
                                      .reply_tokens = spent.reply_tokens,
                                      .prompt_seconds = spent.prompt_seconds,
                                      .reply_seconds = spent.reply_seconds,
                                      .drafted_tokens = spent.drafted,
                                      .accepted_tokens = spent.accepted };
    return status;
}

aerie_status aerie_session_chat(aerie_session *s, const aerie_message *messages, size_t n_messages,
                                const aerie_sampling *sampling, int64_t max_tokens,
                                aerie_text_fn *on_text, void *user, aerie_reply_stats *stats,
                                aerie_error *err)
{
    ae_ids prompt = { 0 };
    aerie_asked asked = { .context = aerie_session_context(s) };
    json_t *list = messages_json(messages, n_messages);
    char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    const aerie_ask ask = { .messages = text, .template_vars = s->vars, .too_long = s->too_long };
    aerie_status status = ae_api_need_tokenizer(s->model, err);
    if (!status && !text)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "a message is not valid UTF-8, or there is no memory for it");
    if (!status) status = ae_live_chat(&prompt, s->model, s->chat, &ask, &asked, err);
    s->opens_thought = asked.opens_thought;
    if (!status) status = reply(s, &prompt, false, sampling, max_tokens, on_text, user, stats, err);
    if (stats) stats->dropped_messages = asked.dropped_messages;
    free(text);
    json_decref(list);
    ae_ids_free(&prompt);
    return status;
}

aerie_status aerie_session_complete(aerie_session *s, const char *prompt,
                                    const aerie_sampling *sampling, int64_t max_tokens,
                                    aerie_text_fn *on_text, void *user, aerie_reply_stats *stats,
                                    aerie_error *err)
{
    ae_ids ids = { 0 };
    aerie_status status = ae_api_need_tokenizer(s->model, err);
    if (!status)
        status = ae_api_encode(&ids, ae_model_tokenizer(s->model->model), ae_span_text(prompt),
                               AE_ENCODE_BOS | AE_ENCODE_SPECIAL, err);
    if (!status) status = reply(s, &ids, true, sampling, max_tokens, on_text, user, stats, err);
    ae_ids_free(&ids);
    return status;
}
