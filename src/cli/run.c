/* run.c -- `aerie run`: one reply, or a conversation. */
#include "cli/cli.h"
#include "cli/repl.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    cli_common common;
    cli_chat chat;
    double temperature, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty;
    int64_t top_k, seed, max_tokens, context, repeat_last_n;
    const char *template_word, *format, *speculate_word, *draft;
    aerie_speculate speculate;
    bool raw;
} run_call;

/* Where a reply goes. */
typedef struct {
    ae_bytes *keep; /* NULL: printed as it comes */
    ae_bytes shown;
    cli_stops *stops;
} sink;

static void put_shown(sink *s)
{
    if (!s->shown.len) return;
    if (s->keep)
        ae_bytes_add(s->keep, s->shown.data, s->shown.len);
    else {
        fwrite(s->shown.data, 1, s->shown.len, stdout);
        fflush(stdout);
    }
    ae_bytes_clear(&s->shown);
}

static bool print_text(void *user, const char *text, size_t len)
{
    sink *s = user;
    bool go_on = cli_stops_pass(s->stops, text, len, &s->shown);
    put_shown(s);
    return go_on && !cli_interrupted() && !ferror(stdout);
}

/* A reply that a stop ended has ended by itself. */
static void end_text(sink *s, aerie_reply_stats *stats)
{
    if (s->stops->hit && stats->finish == AERIE_FINISH_CALLER) stats->finish = AERIE_FINISH_STOP;
    cli_stops_end(s->stops, &s->shown);
    put_shown(s);
    ae_bytes_free(&s->shown);
}

/* The words of the call, then what is piped in, as Ollama has it. */
static aerie_status read_prompt(ae_bytes *out, const char *word, aerie_error *err)
{
    char buffer[4096];
    size_t n;
    if (word) ae_bytes_add_text(out, word);
    if (isatty(STDIN_FILENO)) return ae_bytes_status(out, err);
    if (word) {
        /* A call without a terminal may have nothing to read at all. */
        ae_bytes piped = { 0 };
        while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) ae_bytes_add(&piped, buffer, n);
        if (piped.len > 0) ae_bytes_printf(out, "\n%.*s", (int)piped.len, piped.data);
        ae_bytes_free(&piped);
        return ae_bytes_status(out, err);
    }
    while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) ae_bytes_add(out, buffer, n);
    if (out->len == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "there is no prompt; give one after the model's name");
    return ae_bytes_status(out, err);
}

static void print_json(const ae_bytes *reply, const aerie_reply_stats *s)
{
    static const char *const finishes[] = { "stop", "length", "interrupted" };
    json_t *o = json_pack(
        "{s:s%, s:s, s:I, s:I, s:f, s:f, s:I, s:I}", "reply", reply->data ? reply->data : "",
        reply->len, "finish", finishes[s->finish], "prompt_tokens", (json_int_t)s->prompt_tokens,
        "reply_tokens", (json_int_t)s->reply_tokens, "prompt_seconds", s->prompt_seconds,
        "reply_seconds", s->reply_seconds, "drafted_tokens", (json_int_t)s->drafted_tokens,
        "accepted_tokens", (json_int_t)s->accepted_tokens);
    json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}

static aerie_status reply_once(const run_call *c, const char *prompt, aerie_text_fn *fn, void *user,
                               aerie_reply_stats *stats, aerie_error *err)
{
    const cli_chat *chat = &c->chat;
    const cli_own *own = &chat->own;
    aerie_message messages[AE_COUNT(own->messages) + 2] = { { "system", chat->system } };
    size_t n = chat->system ? 1 : 0;
    for (size_t i = 0; i < own->n_messages; i++) messages[n++] = own->messages[i];
    messages[n++] = (aerie_message){ "user", prompt };
    if (c->raw)
        return aerie_session_complete(chat->session, prompt, &chat->sampling, chat->max_tokens, fn,
                                      user, stats, err);
    return aerie_session_chat(chat->session, messages, n, &chat->sampling, chat->max_tokens, fn,
                              user, stats, err);
}

static aerie_status one_reply(run_call *c, const char *word, aerie_error *err)
{
    ae_bytes prompt = { 0 }, reply = { 0 };
    aerie_reply_stats stats = { 0 };
    sink to = { .keep = c->common.json ? &reply : NULL, .stops = &c->chat.own.stops };
    aerie_status status = read_prompt(&prompt, word, err);
    if (!status) status = reply_once(c, prompt.data, print_text, &to, &stats, err);
    end_text(&to, &stats);
    if (!status && c->common.json)
        print_json(&reply, &stats);
    else if (!status)
        putchar('\n');
    if (!status && c->chat.verbose) cli_print_stats(&stats);
    if (!status && stats.finish == AERIE_FINISH_CALLER && cli_interrupted())
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    ae_bytes_free(&prompt);
    ae_bytes_free(&reply);
    return status;
}

static void take_sampling(run_call *c)
{
    c->chat.sampling = (aerie_sampling){
        .temperature = (float)c->temperature,
        .top_k = (int)c->top_k,
        .top_p = (float)c->top_p,
        .min_p = (float)c->min_p,
        .repeat_penalty = (float)c->repeat_penalty,
        .presence_penalty = (float)c->presence_penalty,
        .frequency_penalty = (float)c->frequency_penalty,
        .repeat_last_n = (int)c->repeat_last_n,
        .seed = (uint64_t)c->seed,
    };
    c->chat.max_tokens = c->max_tokens > 0 ? c->max_tokens : 0;
}

static bool read_speculate(aerie_speculate *out, const char *word)
{
    static const char *const words[] = { "auto", "lookup", "off" };
    for (size_t i = 0; i < AE_COUNT(words); i++)
        if (!word || !strcmp(word, words[i])) {
            *out = (aerie_speculate)i;
            return true;
        }
    return false;
}

/* Adapters are the model's, not its draft's; so is the plan, which has the draft's memory in it. */
static aerie_status open_draft(aerie_model **out, const run_call *c, aerie_error *err)
{
    cli_common common = c->common;
    common.adapters.n = 0;
    common.plan = NULL;
    return cli_open(out, c->draft, &common, err);
}

/* A parameter of the model's own, where the call says nothing. */
static void take_parameter(void *user, const char *name, double value)
{
    run_call *c = user;
    const struct {
        const char *name;
        double *real;
        int64_t *whole;
        int64_t unset;
    } all[] = {
        { "temperature", &c->temperature, NULL, -1 },
        { "top_p", &c->top_p, NULL, -1 },
        { "min_p", &c->min_p, NULL, -1 },
        { "repeat_penalty", &c->repeat_penalty, NULL, -1 },
        { "presence_penalty", &c->presence_penalty, NULL, 0 },
        { "frequency_penalty", &c->frequency_penalty, NULL, 0 },
        { "top_k", NULL, &c->top_k, -1 },
        { "repeat_last_n", NULL, &c->repeat_last_n, -2 },
        { "seed", NULL, &c->seed, 0 },
        { "num_predict", NULL, &c->max_tokens, 0 },
        { "num_ctx", NULL, &c->context, 0 },
    };
    for (size_t i = 0; i < AE_COUNT(all); i++) {
        if (strcmp(all[i].name, name) != 0 || fabs(value) > 1e15) continue;
        if (all[i].real && *all[i].real == (double)all[i].unset) *all[i].real = value;
        if (all[i].whole && *all[i].whole == all[i].unset) *all[i].whole = (int64_t)value;
    }
}

/* What the model brings of its own, where the call says nothing. */
static aerie_status take_own(run_call *c, const char *model_word, ae_bytes *template_text,
                             aerie_error *err)
{
    cli_own *own = &c->chat.own;
    aerie_status status = cli_own_open(own, model_word, err);
    if (status) return status;
    cli_own_numbers(own, take_parameter, c);
    if (c->context < 0) c->context = 0;
    if (!c->chat.system && own->stored->system && *own->stored->system)
        c->chat.system = own->stored->system;
    take_sampling(c);
    if (c->template_word) return cli_read_template(template_text, c->template_word, err);
    if (own->stored->chat_template) ae_bytes_add_text(template_text, own->stored->chat_template);
    return ae_bytes_status(template_text, err);
}

static aerie_status run(run_call *c, const char *model_word, const char *prompt, aerie_error *err)
{
    ae_bytes template_text = { 0 };
    aerie_status status = take_own(c, model_word, &template_text, err);
    aerie_model *draft = NULL;
    aerie_session_options options = { .context = c->context, .speculate = c->speculate };
    char *draft_path = NULL;
    if (!status && c->draft) status = cli_find(c->draft, &draft_path, err);
    const aerie_memory_plan plan = { .n_ctx = c->context, .draft = draft_path };
    c->common.plan = &plan;

    if (!status) status = cli_open(&c->chat.model, model_word, &c->common, err);
    if (!status && c->draft) status = open_draft(&draft, c, err);
    options.chat_template = template_text.data;
    options.draft = draft;
    if (!status) status = aerie_session_open(&c->chat.session, c->chat.model, &options, err);
    if (!status) {
        cli_catch_interrupt();
        c->chat.name = model_word;
        if (prompt || c->common.json || !isatty(STDIN_FILENO))
            status = one_reply(c, prompt, err);
        else
            status = cli_repl(&c->chat, err);
    }
    aerie_session_close(c->chat.session);
    aerie_model_close(draft);
    aerie_model_close(c->chat.model);
    aerie_free(draft_path);
    cli_own_close(&c->chat.own);
    ae_bytes_free(&template_text);
    return status;
}

int cli_run(int argc, char **argv)
{
    run_call c = { .temperature = -1,
                   .top_p = -1,
                   .min_p = -1,
                   .repeat_penalty = -1,
                   .top_k = -1,
                   .repeat_last_n = -2 };
    const cli_option options[] = {
        { "--system", 0, CLI_TEXT, &c.chat.system, "TEXT", "the system message" },
        { "--template", 0, CLI_TEXT, &c.template_word, "T",
          "another chat template: a name (zephyr), a file, or Jinja" },
        { "--temp", 0, CLI_FLOAT, &c.temperature, "X",
          "temperature (0.8); 0: always the most likely token" },
        { "--top-k", 0, CLI_INT, &c.top_k, "N", "choose among the N most likely (40); 0: all" },
        { "--top-p", 0, CLI_FLOAT, &c.top_p, "X",
          "... of the fewest that hold this probability (0.9)" },
        { "--min-p", 0, CLI_FLOAT, &c.min_p, "X",
          "... at least this fraction as likely as the best (0)" },
        { "--repeat-penalty", 0, CLI_FLOAT, &c.repeat_penalty, "X",
          "make tokens already seen less likely (1: off)" },
        { "--presence-penalty", 0, CLI_FLOAT, &c.presence_penalty, "X",
          "... by this much once (0)" },
        { "--frequency-penalty", 0, CLI_FLOAT, &c.frequency_penalty, "X",
          "... by this much for each time (0)" },
        { "--repeat-last-n", 0, CLI_INT, &c.repeat_last_n, "N",
          "how far back penalties look (64); -1: all" },
        { "--seed", 0, CLI_INT, &c.seed, "N", "the same seed gives the same reply (42)" },
        { "--max-tokens", 'n', CLI_INT, &c.max_tokens, "N",
          "longest reply; default: until it ends" },
        { "--ctx", 'c', CLI_INT, &c.context, "N",
          "context in tokens; default: the model's, at most 4096" },
        { "--speculate", 0, CLI_TEXT, &c.speculate_word, "auto|lookup|off",
          "guess ahead where it is faster; the reply is the same (auto)" },
        { "--draft", 0, CLI_TEXT, &c.draft, "MODEL",
          "a smaller model with the same tokens that guesses ahead" },
        { "--format", 0, CLI_TEXT, &c.format, "json|FILE",
          "constrain the reply (not in this version)" },
        { "--raw", 0, CLI_FLAG, &c.raw, NULL, "no template: go on from the prompt as it stands" },
        CLI_EXACT(&c.common),
        CLI_KV(&c.common),
        { "--verbose", 'v', CLI_FLAG, &c.chat.verbose, NULL, "say how long it took" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie run MODEL [PROMPT] [options]",
        .about =
            "Chats with a model. With a PROMPT (or text piped in) the reply alone goes to stdout;\n"
            "on a terminal without one it is a conversation.",
        .options = options,
        .min_words = 1,
        .max_words = 2
    };
    aerie_error err = { 0 };
    int code;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (c.format)
        return cli_misused(
            "--format is not in this version; ask for JSON in the prompt, and check it");
    if (!read_speculate(&c.speculate, c.speculate_word))
        return cli_misused("--speculate: '%s' is none of auto, lookup, off", c.speculate_word);
    return run(&c, call.words[0], call.n_words > 1 ? call.words[1] : NULL, &err) ? cli_fail(&err)
                                                                                 : CLI_DONE;
}
