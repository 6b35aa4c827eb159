/* repl_commands.c -- what begins with '/' in a conversation: Ollama's commands. */
#include "cli/repl.h"
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* ---- help */

static void show_help(void)
{
    puts("Available commands:\n"
         "  /set              What can be set: parameters, the system message, ...\n"
         "  /show             What can be shown of the model\n"
         "  /load MODEL       Talk with another model\n"
         "  /save MODEL       Make a model of this conversation and what was set in it\n"
         "  /clear            Begin anew\n"
         "  /bye              Leave\n"
         "  /?, /help         This help; of a command: /? set\n"
         "  /? shortcuts      Help for the keyboard\n"
         "\n"
         "Use \"\"\" to begin and to end a message of several lines. Models here read text alone, "
         "no images.\n");
}

static void show_shortcuts(void)
{
    puts("Keys:\n"
         "  Ctrl + a, Home    To the beginning of the line\n"
         "  Ctrl + e, End     To its end\n"
         "  Ctrl + b, Left    Back by a character; Alt + b: by a word\n"
         "  Ctrl + f, Right   Forward by a character; Alt + f: by a word\n"
         "  Ctrl + k          Delete to the end of the line\n"
         "  Ctrl + u          Delete to its beginning\n"
         "  Ctrl + w          Delete the word before the cursor\n"
         "  Ctrl + p, n       Earlier and later messages, as Up and Down; Ctrl + r looks for one\n"
         "  Ctrl + l          Clear the screen\n"
         "  Ctrl + c          Stop the reply; drop what is typed\n"
         "  Ctrl + d          Leave, as /bye\n");
}

static void show_set_help(void)
{
    puts("Available commands:\n"
         "  /set parameter NAME VALUE  One of the parameters; /? parameters lists them\n"
         "  /set system TEXT           The system message\n"
         "  /set history, nohistory    Keep messages for the next time, or not\n"
         "  /set wordwrap, nowordwrap  Break lines between words, or not\n"
         "  /set format json           Replies that are JSON; or of the JSON schema in a FILE\n"
         "  /set noformat              Replies of any form\n"
         "  /set verbose, quiet        Figures after every reply, or not\n"
         "  /set think [LEVEL]         Have the model think before it replies: low, medium, high\n"
         "  /set nothink               ... not to\n");
}

static void show_parameter_help(void)
{
    puts("Available parameters:\n"
         "  /set parameter temperature X        0: always the most likely token\n"
         "  /set parameter top_k N              Choose among the N most likely\n"
         "  /set parameter top_p X              ... of the fewest that hold this probability\n"
         "  /set parameter min_p X              ... at least this fraction as likely as the best\n"
         "  /set parameter repeat_penalty X     Make what was said less likely (1: off)\n"
         "  /set parameter presence_penalty X   ... by this much once\n"
         "  /set parameter frequency_penalty X  ... by this much for each time\n"
         "  /set parameter repeat_last_n N      How far back penalties look; -1: all\n"
         "  /set parameter seed N               The same seed gives the same reply; -1: by chance\n"
         "  /set parameter num_predict N        The most tokens of a reply; -1: until it ends\n"
         "  /set parameter num_ctx N            Tokens of the context\n"
         "  /set parameter stop TEXT            A reply ends before this text\n");
}

static void show_show_help(void)
{
    puts("Available commands:\n"
         "  /show info         What the model is\n"
         "  /show license      Its license\n"
         "  /show modelfile    A Modelfile that makes it\n"
         "  /show parameters   Its parameters, and those set here\n"
         "  /show system       The system message\n"
         "  /show template     Its template\n");
}

static bool help(cli_repl_state *r, char *rest)
{
    (void)r;
    if (!strcmp(rest, "set") || !strcmp(rest, "/set"))
        show_set_help();
    else if (!strcmp(rest, "show") || !strcmp(rest, "/show"))
        show_show_help();
    else if (!strcmp(rest, "shortcut") || !strcmp(rest, "shortcuts"))
        show_shortcuts();
    else if (!strncmp(rest, "parameter", 9))
        show_parameter_help();
    else
        show_help();
    return true;
}

/* ---- /set */

/* As a Modelfile's PARAMETER, which knows the names and their types. */
static void set_parameter(cli_chat *chat, const char *rest)
{
    ae_bytes text = { 0 };
    aerie_error err = { 0 };
    char *request = NULL;
    if (!*rest || strchr(rest, '\n')) {
        show_parameter_help();
        return;
    }
    ae_bytes_printf(&text, "FROM x\nPARAMETER %s\n", rest);
    aerie_status status = ae_bytes_status(&text, &err);
    if (!status) status = aerie_modelfile_request(text.data, text.len, &request, &err);
    json_t *o = status ? NULL : json_loads(request, 0, NULL);
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(o, "parameters"), name, value)
    {
        json_object_set(chat->options, name, value);
        printf("Set parameter %s.\n", rest);
    }
    if (status) printf("Couldn't set the parameter: %s\n", err.message);
    json_decref(o);
    aerie_free(request);
    ae_bytes_free(&text);
}

static void set_system(cli_chat *chat, const char *text)
{
    char *copy = ae_strdup(text);
    if (!copy) return;
    ae_free(chat->system);
    chat->system = copy;
    puts("Set system message.");
}

static void set_format(cli_chat *chat, const char *word)
{
    json_t *format = NULL;
    aerie_error err = { 0 };
    if (!*word)
        puts("Say: /set format json, or the FILE of a JSON schema.");
    else if (cli_read_format(&format, word, &err))
        printf("Couldn't set the format: %s\n", err.message);
    else {
        json_decref(chat->format);
        chat->format = format;
        printf("Set format to %s.\n", word);
    }
}

static void set_history(cli_repl_state *r, bool keep)
{
    cli_input_keep_history(r->input, keep);
    puts(keep ? "Set 'history' mode." : "Set 'nohistory' mode.");
}

/* Cuts the first word off: what follows it, or "". */
static char *after_word(char *text)
{
    char *rest = text + strcspn(text, " \n");
    if (*rest) *rest++ = '\0';
    return rest + strspn(rest, " ");
}

static void set_thinking(cli_chat *chat, const char *word)
{
    if (!cli_read_think(chat, word))
        puts("Say: /set think, with or without low, medium, high or max.");
    else
        printf("Set '%s' mode.\n", chat->think == AERIE_THINK_YES ? "think" : "nothink");
}

static void set_word(cli_repl_state *r, const char *word, const char *rest)
{
    cli_chat *chat = r->chat;
    cli_talk *talk = r->talk;
    if (!strcmp(word, "verbose") || !strcmp(word, "quiet")) {
        talk->verbose = *word == 'v';
        printf("Set '%s' mode.\n", word);
    } else if (!strcmp(word, "wordwrap") || !strcmp(word, "nowordwrap")) {
        talk->no_wrap = *word == 'n';
        printf("Set '%s' mode.\n", word);
    } else if (!strcmp(word, "history") || !strcmp(word, "nohistory"))
        set_history(r, *word == 'h');
    else if (!strcmp(word, "format"))
        set_format(chat, rest);
    else if (!strcmp(word, "noformat")) {
        json_decref(chat->format);
        chat->format = NULL;
        puts("Replies may have any form.");
    } else if (!strcmp(word, "think") || !strcmp(word, "nothink"))
        set_thinking(chat, *word == 't' ? rest : "false");
    else
        printf("Unknown command '/set %s'. Type /? for help.\n", word);
}

static bool set(cli_repl_state *r, char *word)
{
    if (!*word) {
        show_set_help();
        return true;
    }
    char *rest = after_word(word);
    if (!strcmp(word, "parameter"))
        set_parameter(r->chat, rest);
    else if (!strcmp(word, "system") && *rest)
        set_system(r->chat, rest);
    else if (!strcmp(word, "system"))
        puts("Say: /set system TEXT");
    else
        set_word(r, word, rest);
    return true;
}

/* ---- /show */

static json_t *shown(cli_chat *chat)
{
    aerie_error err = { 0 };
    char *text = NULL;
    json_t *o = NULL;
    if (chat->by->show(chat, &text, &err))
        cli_fail(&err);
    else
        o = json_loads(text, 0, NULL);
    aerie_free(text);
    return o;
}

static void print_or(const char *text, const char *otherwise)
{
    puts(*text ? text : otherwise);
}

static void print_parameters(const cli_chat *chat, const json_t *o)
{
    const char *own = text_at(o, "parameters"), *name;
    json_t *value;
    if (*own) printf("Model defined parameters:\n%s\n", own);
    if (json_object_size(chat->options)) puts("User defined parameters:");
    json_object_foreach(chat->options, name, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        printf("%-30s %s\n", name, text ? text : "");
        free(text);
    }
    if (!*own && !json_object_size(chat->options))
        puts("No parameters were specified for this model.");
}

static bool show(cli_repl_state *r, char *word)
{
    cli_chat *chat = r->chat;
    json_t *o = *word ? shown(chat) : NULL;
    if (!*word)
        show_show_help();
    else if (!o)
        return true;
    else if (!strcmp(word, "info"))
        cli_print_shown(o, false);
    else if (!strcmp(word, "license"))
        print_or(text_at(o, "license"), "No license was specified for this model.");
    else if (!strcmp(word, "modelfile"))
        puts(text_at(o, "modelfile"));
    else if (!strcmp(word, "parameters"))
        print_parameters(chat, o);
    else if (!strcmp(word, "system"))
        print_or(chat->system ? chat->system : text_at(o, "system"),
                 "No system message was specified for this model.");
    else if (!strcmp(word, "template"))
        print_or(chat->template_text ? chat->template_text : text_at(o, "template"),
                 "No template was specified for this model.");
    else
        printf("Unknown command '/show %s'. Type /? for help.\n", word);
    json_decref(o);
    return true;
}

/* ---- other models */

void cli_repl_show_past(cli_chat *chat)
{
    json_t *o = shown(chat), *one;
    size_t i;
    json_array_foreach(json_object_get(o, "messages"), i, one)
    {
        bool is_user = !strcmp(text_at(one, "role"), "user");
        printf("%s%s\n%s", is_user ? ">>> " : "", text_at(one, "content"), is_user ? "" : "\n");
    }
    json_decref(o);
}

/* A model that is not there leaves everything as it was. */
static bool load(cli_repl_state *r, char *name)
{
    cli_chat *chat = r->chat;
    aerie_error err = { 0 }, worse = { 0 };
    if (!*name) {
        puts("Say: /load MODEL");
        return true;
    }
    char *before = ae_strdup(chat->model);
    json_t *messages = json_incref(chat->messages);
    if (before && !cli_chat_open(chat, name, chat->how, &err)) {
        cli_repl_show_past(chat);
    } else if (before) {
        cli_fail(&err);
        cli_forget_interrupt();
        if (cli_chat_open(chat, before, chat->how, &worse)) cli_fail(&worse);
        json_decref(chat->messages);
        chat->messages = json_incref(messages);
    }
    json_decref(messages);
    ae_free(before);
    return true;
}

/* The messages that the model brings, and those of the conversation. */
static json_t *all_messages(cli_chat *chat)
{
    json_t *o = shown(chat), *all = json_array();
    const json_t *own = json_object_get(o, "messages");
    if (own) json_array_extend(all, (json_t *)(uintptr_t)own);
    json_array_extend(all, chat->messages);
    json_decref(o);
    return all;
}

static bool save(cli_repl_state *r, char *name)
{
    cli_chat *chat = r->chat;
    aerie_error err = { 0 };
    if (!*name) {
        puts("Say: /save MODEL");
        return true;
    }
    json_t *o = json_pack("{s:s}", "from", chat->model);
    if (chat->system) json_object_set_new(o, "system", json_string(chat->system));
    if (chat->template_text) json_object_set_new(o, "template", json_string(chat->template_text));
    if (json_object_size(chat->options)) json_object_set(o, "parameters", chat->options);
    if (json_array_size(chat->messages)) json_object_set_new(o, "messages", all_messages(chat));
    char *request = json_dumps(o, 0);
    aerie_status status = request ? chat->by->create(chat, name, request, &err)
                                  : aerie_fail(&err, AERIE_NO_MEMORY, "out of memory");
    if (status)
        cli_fail(&err);
    else
        printf("Created new model '%s'.\n", name);
    free(request);
    json_decref(o);
    return true;
}

static bool clear(cli_repl_state *r, char *rest)
{
    (void)rest;
    json_array_clear(r->chat->messages);
    puts("Cleared the conversation.");
    return true;
}

static bool leave(cli_repl_state *r, char *rest)
{
    (void)r, (void)rest;
    return false;
}

bool cli_repl_command(cli_repl_state *r, char *line)
{
    static const struct {
        const char *name;
        bool (*run)(cli_repl_state *r, char *rest);
    } commands[] = {
        { "/set", set },     { "/show", show }, { "/load", load },  { "/save", save },
        { "/clear", clear }, { "/bye", leave }, { "/exit", leave }, { "/quit", leave },
        { "/?", help },      { "/help", help },
    };
    char *rest = after_word(line);
    size_t end = strlen(rest);
    while (end && (rest[end - 1] == ' ' || rest[end - 1] == '\n')) rest[--end] = '\0';
    for (size_t i = 0; i < AE_COUNT(commands); i++)
        if (!strcmp(line, commands[i].name)) return commands[i].run(r, rest);
    printf("Unknown command '%s'. Type /? for help.\n", line);
    return true;
}
