/* chat_local.c -- conversations that this process answers. */
#include "cli/chat.h"
#include "cli/stored.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    aerie_model *model, *draft;
    aerie_session *session;
    int64_t context;     /* that the session was opened for; 0: the default */
    json_t *format;      /* that it is bound to */
    cli_own own;         /* what the model brings */
    cli_stops stops;     /* of this reply */
    double load_seconds; /* until a reply has told of it */
} local_chat;

/* ---- what the parameters come to */

/* As a server reads it: a seed above 0 is itself, one below is by chance. */
static uint64_t seed_of(const json_t *value)
{
    int64_t n = json_is_real(value) ? (int64_t)fmin(json_real_value(value), 9e15)
                                    : json_integer_value(value);
    if (!json_is_number(value)) return 42;
    if (n > 0) return (uint64_t)n;
    if (n == 0) return ae_mix64(1) | 1;
    return ae_seed_by_chance();
}

/* The model's own parameters with the conversation's over them. */
static json_t *merged(const cli_chat *c)
{
    const local_chat *l = c->state;
    json_t *all = json_is_object(l->own.parameters) ? json_copy(l->own.parameters) : json_object();
    json_object_update(all, c->options);
    return all;
}

static aerie_parameters parameters_of(const json_t *all)
{
    aerie_parameters p = { .sampling = aerie_sampling_default() };
    const char *name;
    for (size_t i = 0; (name = aerie_parameter_name(i, NULL)); i++) {
        const json_t *value = json_object_get(all, name);
        if (json_is_number(value)) aerie_parameters_set(&p, name, json_number_value(value));
    }
    p.sampling.seed = seed_of(json_object_get(all, "seed"));
    p.num_predict = ae_max64(p.num_predict, 0);
    p.num_ctx = ae_max64(p.num_ctx, 0);
    return p;
}

/* ---- opening */

static aerie_status bind_format(cli_chat *c, aerie_error *err)
{
    local_chat *l = c->state;
    aerie_grammar *grammar = NULL;
    aerie_status status = AERIE_OK;
    if (c->format == l->format) return AERIE_OK;
    char *schema = json_is_object(c->format) ? json_dumps(c->format, JSON_COMPACT) : NULL;
    if (schema)
        status = aerie_grammar_schema(&grammar, schema, err);
    else if (c->format)
        status = aerie_grammar_json(&grammar, err);
    if (!status) status = aerie_session_bind(l->session, grammar, err);
    aerie_grammar_free(grammar);
    free(schema);
    if (status) return status;
    json_decref(l->format);
    l->format = json_incref(c->format);
    return AERIE_OK;
}

static aerie_status open_session(cli_chat *c, int64_t context, aerie_error *err)
{
    local_chat *l = c->state;
    const aerie_session_options o = {
        .context = context,
        .speculate = c->how->speculate,
        .draft = l->draft,
        .too_long = AERIE_TOO_LONG_DROP_OLDEST,
        .chat_template = c->template_text ? c->template_text : l->own.stored->chat_template,
    };
    aerie_session_close(l->session);
    json_decref(l->format);
    l->format = NULL;
    l->context = context;
    return aerie_session_open(&l->session, l->model, &o, err);
}

/* Adapters are the model's, not its draft's; so is the plan, which has the draft's memory in it. */
static aerie_status open_draft(aerie_model **out, const cli_chat_how *how, aerie_error *err)
{
    cli_common common = how->common;
    common.adapters.n = 0;
    common.plan = NULL;
    return cli_open(out, how->draft, &common, err);
}

static aerie_status open_models(cli_chat *c, int64_t context, aerie_error *err)
{
    local_chat *l = c->state;
    cli_common common = c->how->common;
    char *draft_path = NULL;
    aerie_status status = c->how->draft ? cli_find(c->how->draft, &draft_path, err) : AERIE_OK;
    const aerie_memory_plan plan = { .n_ctx = context, .draft = draft_path };
    common.plan = &plan;
    if (!status) status = cli_open(&l->model, c->model, &common, err);
    if (!status && c->how->draft) status = open_draft(&l->draft, c->how, err);
    ae_free(draft_path);
    return status;
}

static void close_chat(cli_chat *c)
{
    local_chat *l = c->state;
    aerie_session_close(l->session);
    aerie_model_close(l->draft);
    aerie_model_close(l->model);
    json_decref(l->format);
    cli_own_close(&l->own);
    ae_bytes_free(&l->stops.held);
    ae_free(l);
}

/* ---- a reply */

/* A reply on its way: to its stop sequences, its thoughts told from what is said, to the caller. */
typedef struct {
    const cli_chat *chat;
    cli_stops *stops;
    ae_bytes passed; /* by them */
    bool has_thoughts;
    aerie_thoughts *reader; /* of thoughts; NULL: nothing has come yet, or there are none */
    cli_thoughts thoughts;
    aerie_text_fn *on_text;
    void *user;
    aerie_status status; /* what kept the reader from being opened, or from reading */
    aerie_error err;
} text_path;

static bool give(text_path *p, const aerie_thoughts_part *part)
{
    if (p->chat->think != AERIE_THINK_NO)
        cli_thoughts_show(&p->thoughts, part->thought, part->thought_len);
    if (part->said_len == 0) return true;
    cli_thoughts_end(&p->thoughts);
    return p->on_text(p->user, part->said, part->said_len);
}

static bool pass_on(text_path *p)
{
    const local_chat *l = p->chat->state;
    aerie_thoughts_part part = { .thought = "", .said = p->passed.data, .said_len = p->passed.len };
    if (p->passed.len == 0) return true;
    if (p->has_thoughts && !p->reader)
        p->status =
            aerie_thoughts_open(&p->reader, aerie_session_opens_thought(l->session), &p->err);
    if (p->status) return false;
    if (p->reader) part = aerie_thoughts_add(p->reader, part.said, part.said_len, 0);
    bool more = give(p, &part);
    ae_bytes_clear(&p->passed);
    return more;
}

static bool take_text(void *user, const char *text, size_t len)
{
    text_path *p = user;
    bool more = cli_stops_pass(p->stops, text, len, &p->passed);
    return pass_on(p) && more && !cli_interrupted();
}

/* What waited for more of the reply. */
static aerie_status end_text(text_path *p, aerie_error *err)
{
    aerie_thoughts_part rest = { .thought = "", .said = "" };
    cli_stops_end(p->stops, &p->passed);
    pass_on(p);
    if (p->reader && !p->status) p->status = aerie_thoughts_end(p->reader, &rest, &p->err);
    if (!p->status) give(p, &rest);
    cli_thoughts_end(&p->thoughts);
    aerie_thoughts_close(p->reader);
    ae_bytes_free(&p->passed);
    return p->status ? aerie_fail(err, p->status, "%s", p->err.message) : AERIE_OK;
}

static void fill_figures(cli_figures *f, const aerie_reply_stats *s, bool stopped)
{
    *f = (cli_figures){ .finish = stopped ? AERIE_FINISH_STOP : s->finish,
                        .prompt_tokens = s->prompt_tokens,
                        .reused_tokens = s->reused_tokens,
                        .reply_tokens = s->reply_tokens,
                        .drafted_tokens = s->drafted_tokens,
                        .accepted_tokens = s->accepted_tokens,
                        .dropped_messages = s->dropped_messages,
                        .prompt_seconds = s->prompt_seconds,
                        .reply_seconds = s->reply_seconds };
}

static size_t list_messages(aerie_message *out, const cli_chat *c)
{
    const local_chat *l = c->state;
    const char *own = l->own.stored->system, *system = c->system ? c->system : own;
    size_t n = 0, i;
    json_t *one;
    if (system && (c->system || *system)) out[n++] = (aerie_message){ "system", system };
    for (i = 0; i < l->own.n_messages; i++) out[n++] = l->own.messages[i];
    json_array_foreach(c->messages, i, one) out[n++] =
        (aerie_message){ json_string_value(json_object_get(one, "role")),
                         json_string_value(json_object_get(one, "content")) };
    return n;
}

/* As serve has it: a reply of a form has no thoughts, for they would not fit it. */
static aerie_status set_thinking(const cli_chat *c, text_path *to, aerie_error *err)
{
    const local_chat *l = c->state;
    const char *own = l->own.stored->chat_template;
    const char *written_by = c->template_text ? c->template_text
                             : own            ? own
                                              : aerie_model_chat_template(l->model);
    bool knows = aerie_chat_traits_of(written_by).thinking;
    char *vars;
    if (c->think == AERIE_THINK_YES && !knows)
        return aerie_fail(err, AERIE_UNSUPPORTED, "\"%s\" does not support thinking", c->model);
    to->has_thoughts = knows && !c->format;
    aerie_think wish = c->format && !c->think ? AERIE_THINK_NO : c->think;
    aerie_status status = aerie_think_vars(&vars, wish, c->think_level, NULL, err);
    if (!status) status = aerie_session_set_vars(l->session, vars, err);
    aerie_free(vars);
    return status;
}

static aerie_status say(cli_chat *c, const aerie_parameters *p, text_path *to,
                        aerie_reply_stats *stats, aerie_error *err)
{
    local_chat *l = c->state;
    size_t n = json_array_size(c->messages) + l->own.n_messages + 1;
    aerie_message *messages = ae_alloc(n, sizeof *messages);
    if (!messages) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a conversation");
    n = list_messages(messages, c);
    aerie_status status =
        c->raw ? aerie_session_complete(l->session, messages[n - 1].content, &p->sampling,
                                        p->num_predict, take_text, to, stats, err)
               : aerie_session_chat(l->session, messages, n, &p->sampling, p->num_predict,
                                    take_text, to, stats, err);
    ae_free(messages);
    return status;
}

static aerie_status reply(cli_chat *c, aerie_text_fn *on_text, void *user, cli_figures *figures,
                          aerie_error *err)
{
    local_chat *l = c->state;
    double began = ae_clock_seconds();
    json_t *parameters = merged(c);
    const aerie_parameters p = parameters_of(parameters);
    aerie_reply_stats stats = { 0 };
    text_path to = { .chat = c,
                     .stops = &l->stops,
                     .thoughts = cli_thoughts_of(c),
                     .on_text = on_text,
                     .user = user };
    cli_stops_read(&l->stops, json_object_get(parameters, "stop"));
    aerie_status status = p.num_ctx != l->context ? open_session(c, p.num_ctx, err) : AERIE_OK;
    if (!status) status = bind_format(c, err);
    if (!status && !c->raw) status = set_thinking(c, &to, err);
    if (!status) status = say(c, &p, &to, &stats, err);
    bool stopped = l->stops.hit;
    aerie_status ended = end_text(&to, status ? NULL : err);
    if (!status) status = ended;
    fill_figures(figures, &stats, stopped);
    figures->load_seconds = l->load_seconds;
    figures->total_seconds = ae_clock_seconds() - began + l->load_seconds;
    l->load_seconds = 0;
    json_decref(parameters);
    return status;
}

static aerie_status show(cli_chat *c, char **json, aerie_error *err)
{
    return aerie_store_show(cli_places(), c->model, false, false, json, err);
}

static aerie_status create(cli_chat *c, const char *name, const char *request, aerie_error *err)
{
    const aerie_create_options o = { .local = true, .threads = (int)c->how->common.threads };
    return aerie_store_create(cli_places(), name, request, &o, err);
}

static const cli_answerer answerer = { reply, show, create, close_chat, true };

aerie_status cli_answer_here(cli_chat *c, aerie_error *err)
{
    double began = ae_clock_seconds();
    local_chat *l = c->state = ae_alloc(1, sizeof *l);
    if (!l) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a conversation");
    aerie_status status = cli_own_open(&l->own, c->model, err);
    json_t *parameters = merged(c);
    int64_t context = parameters_of(parameters).num_ctx;
    if (!status) status = open_models(c, context, err);
    if (!status) status = open_session(c, context, err);
    if (!status) status = bind_format(c, err);
    json_decref(parameters);
    l->load_seconds = ae_clock_seconds() - began;
    if (!status) {
        c->by = &answerer;
        return AERIE_OK;
    }
    close_chat(c);
    c->state = NULL;
    return status;
}
