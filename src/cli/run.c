/* run.c -- `aerie run`: one reply, or a conversation. */
#include "cli/chat.h"
#include "cli/repl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    cli_chat_how how;
    cli_chat chat;
    const char *system, *template_word, *format, *speculate_word;
    double temperature, top_p, min_p, typical_p, repeat_penalty, presence_penalty,
        frequency_penalty;
    int64_t top_k, seed, max_tokens, context, repeat_last_n;
    const char *think; /* NULL: not said */
    bool no_think;
    cli_talk talk;
} run_call;

/* Where a reply goes. */
typedef struct {
    ae_bytes *keep; /* NULL: printed as it comes */
} sink;

static bool take_text(void *user, const char *text, size_t len)
{
    const sink *s = user;
    if (s->keep)
        ae_bytes_add(s->keep, text, len);
    else {
        fwrite(text, 1, len, stdout);
        fflush(stdout);
    }
    return !cli_interrupted() && !ferror(stdout);
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

/* Guessing ahead is known of where it was done here. */
static void print_json(const ae_bytes *reply, const cli_figures *f, bool is_here)
{
    static const char *const finishes[] = { "stop", "length", "interrupted" };
    json_t *o =
        json_pack("{s:s%, s:s, s:I, s:I, s:f, s:f}", "reply", reply->data ? reply->data : "",
                  reply->len, "finish", finishes[f->finish], "prompt_tokens",
                  (json_int_t)f->prompt_tokens, "reply_tokens", (json_int_t)f->reply_tokens,
                  "prompt_seconds", f->prompt_seconds, "reply_seconds", f->reply_seconds);
    if (is_here) {
        json_object_set_new(o, "drafted_tokens", json_integer(f->drafted_tokens));
        json_object_set_new(o, "accepted_tokens", json_integer(f->accepted_tokens));
    }
    json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}

static aerie_status one_reply(run_call *c, const char *word, aerie_error *err)
{
    ae_bytes prompt = { 0 }, reply = { 0 };
    cli_figures figures = { 0 };
    cli_chat *chat = &c->chat;
    bool json = c->how.common.json;
    sink to = { .keep = json ? &reply : NULL };
    aerie_status status = read_prompt(&prompt, word, err);
    if (!status) status = cli_chat_add(chat, "user", prompt.data ? prompt.data : "", err);
    if (!status) status = chat->by->reply(chat, take_text, &to, &figures, err);
    if (!status && json)
        print_json(&reply, &figures, cli_chat_is_here(chat));
    else if (!status)
        putchar('\n');
    if (!status) cli_warn_of_reply(chat, &figures);
    if (!status && c->talk.verbose) cli_print_figures(&figures);
    if (!status && figures.finish == AERIE_FINISH_CALLER && cli_interrupted())
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    ae_bytes_free(&prompt);
    ae_bytes_free(&reply);
    return status;
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

/* What the call says, by Ollama's names. */
static void take_options(run_call *c)
{
    const struct {
        const char *name;
        double value, unset;
    } reals[] = {
        { "temperature", c->temperature, -1 },
        { "top_p", c->top_p, -1 },
        { "min_p", c->min_p, -1 },
        { "typical_p", c->typical_p, -1 },
        { "repeat_penalty", c->repeat_penalty, -1 },
        { "presence_penalty", c->presence_penalty, 0 },
        { "frequency_penalty", c->frequency_penalty, 0 },
    };
    const struct {
        const char *name;
        int64_t value, unset;
    } whole[] = {
        { "top_k", c->top_k, -1 },      { "repeat_last_n", c->repeat_last_n, -2 },
        { "seed", c->seed, INT64_MIN }, { "num_predict", c->max_tokens, 0 },
        { "num_ctx", c->context, 0 },
    };
    json_t *o = c->chat.options = json_object();
    for (size_t i = 0; i < AE_COUNT(reals); i++)
        if (reals[i].value > reals[i].unset || reals[i].value < reals[i].unset)
            json_object_set_new(o, reals[i].name, json_real(reals[i].value));
    for (size_t i = 0; i < AE_COUNT(whole); i++)
        if (whole[i].value != whole[i].unset)
            json_object_set_new(o, whole[i].name, json_integer(whole[i].value));
}

static aerie_status take_words(run_call *c, aerie_error *err)
{
    cli_chat *chat = &c->chat;
    ae_bytes text = { 0 };
    aerie_status status = AERIE_OK;
    take_options(c);
    if (c->template_word) {
        status = cli_read_template(&text, c->template_word, err);
        chat->template_text = ae_strdup(text.data ? text.data : "");
    }
    if (!status && c->format) status = cli_read_format(&chat->format, c->format, err);
    if (c->system) chat->system = ae_strdup(c->system);
    ae_bytes_free(&text);
    return status;
}

static aerie_status run(run_call *c, const char *model, const char *prompt, aerie_error *err)
{
    cli_chat *chat = &c->chat;
    c->how.converses = !prompt && !c->how.common.json && isatty(STDIN_FILENO);
    aerie_status status = take_words(c, err);
    if (!status) cli_catch_interrupt();
    if (!status) status = cli_chat_open(chat, model, &c->how, err);
    if (!status && c->how.converses)
        status = cli_repl(chat, &c->talk, err);
    else if (!status)
        status = one_reply(c, prompt, err);
    cli_chat_close(chat);
    return status;
}

int cli_run(int argc, char **argv)
{
    run_call c = { .temperature = -1,
                   .top_p = -1,
                   .min_p = -1,
                   .typical_p = -1,
                   .repeat_penalty = -1,
                   .top_k = -1,
                   .repeat_last_n = -2,
                   .seed = INT64_MIN };
    const cli_option options[] = {
        { "--system", 0, CLI_TEXT, &c.system, "TEXT", "the system message" },
        { "--template", 0, CLI_TEXT, &c.template_word, "T",
          "another chat template: a name (zephyr), a file, or Jinja" },
        { "--temp", 0, CLI_AMOUNT, &c.temperature, "X",
          "temperature (0.8); 0: always the most likely token" },
        { "--top-k", 0, CLI_COUNT, &c.top_k, "N", "choose among the N most likely (40); 0: all" },
        { "--top-p", 0, CLI_AMOUNT, &c.top_p, "X",
          "... of the fewest that hold this probability (0.9)" },
        { "--min-p", 0, CLI_AMOUNT, &c.min_p, "X",
          "... at least this fraction as likely as the best (0)" },
        { "--typical-p", 0, CLI_AMOUNT, &c.typical_p, "X",
          "... of those whose surprise is nearest to what is expected (1: off)" },
        { "--repeat-penalty", 0, CLI_AMOUNT, &c.repeat_penalty, "X",
          "make tokens already seen less likely (1: off)" },
        { "--presence-penalty", 0, CLI_FLOAT, &c.presence_penalty, "X",
          "... by this much once (0)" },
        { "--frequency-penalty", 0, CLI_FLOAT, &c.frequency_penalty, "X",
          "... by this much for each time (0)" },
        { "--repeat-last-n", 0, CLI_INT, &c.repeat_last_n, "N",
          "how far back penalties look (64); -1: all" },
        { "--seed", 0, CLI_INT, &c.seed, "N",
          "the same seed gives the same reply (42); -1: one by chance" },
        { "--max-tokens", 'n', CLI_INT, &c.max_tokens, "N",
          "longest reply; default: until it ends" },
        { "--ctx", 'c', CLI_COUNT, &c.context, "N",
          "context in tokens; default: the model's, at most 4096" },
        { "--speculate", 0, CLI_TEXT, &c.speculate_word, "auto|lookup|off",
          "guess ahead where it is faster; the reply is the same (auto)" },
        { "--draft", 0, CLI_TEXT, &c.how.draft, "MODEL",
          "a smaller model with the same tokens that guesses ahead" },
        { "--format", 0, CLI_TEXT, &c.format, "json|FILE",
          "a reply that is JSON, or of a JSON schema" },
        { "--raw", 0, CLI_FLAG, &c.chat.raw, NULL,
          "no template: go on from the prompt as it stands" },
        CLI_EXACT(&c.how.common),
        CLI_KV(&c.how.common),
        { "--nowordwrap", 0, CLI_FLAG, &c.talk.no_wrap, NULL,
          "long lines of a conversation are broken by the terminal" },
        { "--keepalive", 0, CLI_TEXT, &c.chat.keep_alive, "TIME",
          "how long a server keeps the model loaded: 10m; 0: not; -1s: for ever" },
        { "--think", 0, CLI_MAYBE, &c.think, "LEVEL",
          "have the model think before it replies, maybe low, medium, high or max; thoughts go to "
          "stderr" },
        { "--nothink", 0, CLI_FLAG, &c.no_think, NULL, "... not to" },
        { "--hidethinking", 0, CLI_FLAG, &c.chat.hide_thoughts, NULL, "do not show thoughts" },
        { "--local", 0, CLI_FLAG, &c.how.here, NULL, "do not ask a server that runs" },
        { "--verbose", 'v', CLI_FLAG, &c.talk.verbose, NULL, "say how long it took" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie run MODEL [PROMPT] [options]",
        .about =
            "Chats with a model. With a PROMPT (or text piped in) the reply alone goes to stdout;\n"
            "on a terminal without one it is a conversation. A server that runs ($AERIE_HOST, "
            "default\n"
            "127.0.0.1:11434) and knows the model answers; otherwise, and where options say how to "
            "compute,\n"
            "this process does.",
        .options = options,
        .min_words = 1,
        .max_words = 2
    };
    aerie_error err = { 0 };
    int code;
    if (!cli_read(&call, &c.how.common, argc, argv, &code)) return code;
    if (!read_speculate(&c.how.speculate, c.speculate_word))
        return cli_misused("--speculate: '%s' is none of auto, lookup, off", c.speculate_word);
    if (c.think && c.no_think) return cli_misused("--think and --nothink: give one of them");
    if ((c.think || c.no_think) && !cli_read_think(&c.chat, c.no_think ? "false" : c.think))
        return cli_misused("--think: '%s' is none of true, false, low, medium, high, max", c.think);
    return run(&c, call.words[0], call.n_words > 1 ? call.words[1] : NULL, &err) ? cli_fail(&err)
                                                                                 : CLI_DONE;
}
