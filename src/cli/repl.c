/* repl.c -- the conversation: history, multi-line messages, commands, Ctrl-C. */
#include "cli/repl.h"

#include "cli/cli.h"

#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The messages so far. Contents are owned. */
typedef struct {
    aerie_message *items;
    size_t n;
} conversation;

void cli_print_stats(const aerie_reply_stats *s)
{
    int64_t computed = s->prompt_tokens - s->reused_tokens;
    fprintf(stderr,
            "prompt: %lld tokens (%lld already computed), %.2f s, %.1f tokens/s\n"
            "reply:  %lld tokens, %.2f s, %.1f tokens/s\n",
            (long long)s->prompt_tokens, (long long)s->reused_tokens, s->prompt_seconds,
            s->prompt_seconds > 0 ? (double)computed / s->prompt_seconds : 0,
            (long long)s->reply_tokens, s->reply_seconds,
            s->reply_seconds > 0 ? (double)s->reply_tokens / s->reply_seconds : 0);
    if (s->drafted_tokens > 0)
        fprintf(stderr, "ahead:  %lld tokens guessed, %lld right (%.0f %%)\n",
                (long long)s->drafted_tokens, (long long)s->accepted_tokens,
                100 * (double)s->accepted_tokens / (double)s->drafted_tokens);
}

static aerie_status add(conversation *c, const char *role, const char *content, aerie_error *err)
{
    char *copy = ae_strdup(content);
    aerie_message *grown = ae_realloc(c->items, c->n, c->n + 1, sizeof *grown);
    if (grown) c->items = grown;
    if (!copy || !grown) {
        ae_free(copy);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the conversation");
    }
    c->items[c->n++] = (aerie_message){ role, copy };
    return AERIE_OK;
}

static void drop_last(conversation *c)
{
    if (c->n > 0) ae_free((char *)c->items[--c->n].content);
}

static void forget(conversation *c)
{
    while (c->n > 0) drop_last(c);
    ae_free(c->items);
    *c = (conversation){ 0 };
}

static aerie_status begin(conversation *c, const cli_chat *chat, aerie_error *err)
{
    forget(c);
    aerie_status status = chat->system ? add(c, "system", chat->system, err) : AERIE_OK;
    for (size_t i = 0; !status && i < chat->own.n_messages; i++)
        status = add(c, chat->own.messages[i].role, chat->own.messages[i].content, err);
    return status;
}

/* A reply as it comes: what is shown of it is what it is. */
typedef struct {
    ae_bytes *reply;
    cli_stops *stops;
} coming;

static void show_from(const ae_bytes *reply, size_t start)
{
    if (reply->len > start) fwrite(reply->data + start, 1, reply->len - start, stdout);
    fflush(stdout);
}

static bool print_text(void *user, const char *text, size_t len)
{
    coming *c = user;
    size_t start = c->reply->len;
    bool go_on = cli_stops_pass(c->stops, text, len, c->reply);
    show_from(c->reply, start);
    return go_on && !cli_interrupted();
}

static void end_text(coming *c)
{
    size_t start = c->reply->len;
    cli_stops_end(c->stops, c->reply);
    show_from(c->reply, start);
}

/* One message and its reply. A reply that was stopped stays in the conversation as far as it came;
 * a message that could not be answered leaves it. */
static void exchange(conversation *c, cli_chat *chat, const char *message)
{
    ae_bytes reply = { 0 };
    aerie_error err = { 0 };
    aerie_reply_stats stats = { 0 };
    coming to = { &reply, &chat->own.stops };
    if (add(c, "user", message, &err)) {
        cli_fail(&err);
        return;
    }
    cli_forget_interrupt();
    aerie_status status = aerie_session_chat(chat->session, c->items, c->n, &chat->sampling,
                                             chat->max_tokens, print_text, &to, &stats, &err);
    end_text(&to);
    puts("\n");
    if (!status) status = ae_bytes_status(&reply, &err);
    if (!status) status = add(c, "assistant", reply.data ? reply.data : "", &err);
    if (status) {
        drop_last(c);
        cli_fail(&err);
    } else if (chat->verbose) {
        cli_print_stats(&stats);
    }
    cli_forget_interrupt();
    ae_bytes_free(&reply);
}

static void show_help(void)
{
    puts("  /clear            begin anew\n"
         "  /system TEXT      begin anew with this system message\n"
         "  /set NAME VALUE   temperature, top_k, top_p, min_p, repeat_penalty, seed, max_tokens\n"
         "  /info             what model this is\n"
         "  /verbose          timings after every reply, on and off\n"
         "  /bye              leave (or Ctrl-D)\n"
         "  \"\"\"               begins and ends a message of several lines\n"
         "  Ctrl-C            stops a reply\n");
}

static void show_info(const cli_chat *chat)
{
    aerie_model_info i;
    char size[32];
    aerie_model_describe(chat->model, &i);
    printf("  %s: %s, %.1f million parameters, %s, context %lld of %lld, %s with %d threads\n\n",
           i.path, i.architecture, (double)i.n_parameters / 1e6,
           cli_bytes(size, (double)i.weight_bytes), (long long)aerie_session_context(chat->session),
           (long long)i.context_length, i.device, i.threads);
}

static void set_option(cli_chat *chat, const char *name, const char *value)
{
    char *end = NULL;
    double x = value ? strtod(value, &end) : 0;
    if (!value || end == value || *end || x < 0) {
        puts("  say: /set NAME NUMBER\n");
        return;
    }
    aerie_sampling *s = &chat->sampling;
    if (!strcmp(name, "temperature"))
        s->temperature = (float)x;
    else if (!strcmp(name, "top_k"))
        s->top_k = (int)x;
    else if (!strcmp(name, "top_p"))
        s->top_p = (float)x;
    else if (!strcmp(name, "min_p"))
        s->min_p = (float)x;
    else if (!strcmp(name, "repeat_penalty"))
        s->repeat_penalty = (float)x;
    else if (!strcmp(name, "seed"))
        s->seed = (uint64_t)x;
    else if (!strcmp(name, "max_tokens"))
        chat->max_tokens = (int64_t)x;
    else
        printf("  there is no '%s' to set; /help lists what there is\n\n", name);
}

/* A line that begins with '/'. Returns false when the user leaves. */
static bool command(conversation *c, cli_chat *chat, char *line)
{
    aerie_error err = { 0 };
    char *rest = strchr(line, ' ');
    if (rest) {
        *rest++ = '\0';
        while (*rest == ' ') rest++;
    }
    if (!strcmp(line, "/bye") || !strcmp(line, "/exit") || !strcmp(line, "/quit")) return false;
    if (!strcmp(line, "/clear"))
        begin(c, chat, &err);
    else if (!strcmp(line, "/info"))
        show_info(chat);
    else if (!strcmp(line, "/verbose"))
        chat->verbose = !chat->verbose;
    else if (!strcmp(line, "/system") && rest) {
        static ae_bytes held; /* lives as long as the conversation */
        ae_bytes_clear(&held);
        ae_bytes_add_text(&held, rest);
        chat->system = held.data;
        begin(c, chat, &err);
    } else if (!strcmp(line, "/set") && rest) {
        char *value = strchr(rest, ' ');
        if (value) *value++ = '\0';
        set_option(chat, rest, value);
    } else
        show_help();
    if (err.status) cli_fail(&err);
    return true;
}

/* Adds a line up to the closing quotation marks; true when they were there. */
static bool add_line(ae_bytes *message, const char *line)
{
    const char *end = strstr(line, "\"\"\"");
    ae_bytes_add(message, line, end ? (size_t)(end - line) : strlen(line));
    if (!end) ae_bytes_add_char(message, '\n');
    return end != NULL;
}

/* A message begun with three quotation marks, up to the next three. False at the end of input. */
static bool read_block(ae_bytes *message, const char *first)
{
    bool done = add_line(message, first + 3);
    while (!done) {
        char *line = readline("... ");
        if (!line) return false;
        done = add_line(message, line);
        free(line);
    }
    return true;
}

static char *history_path(void)
{
    aerie_error err = { 0 };
    if (ae_file_make_folder(cli_places()->store, &err)) return NULL;
    return ae_path_join(cli_places()->store, "history");
}

aerie_status cli_repl(cli_chat *chat, aerie_error *err)
{
    conversation c = { 0 };
    ae_bytes message = { 0 };
    char *path = history_path();
    aerie_status status = begin(&c, chat, err);
    using_history();
    if (path) read_history(path);
    fprintf(stderr, "Talking with %s. /help tells what can be done here.\n", chat->name);

    for (bool go_on = !status; go_on;) {
        char *line = readline(">>> ");
        if (!line) {
            if (!cli_interrupted()) break;
            cli_forget_interrupt();
            fputs("\nCtrl-D or /bye to leave.\n", stderr);
            continue;
        }
        ae_bytes_clear(&message);
        bool whole = true;
        if (!strncmp(line, "\"\"\"", 3))
            whole = read_block(&message, line);
        else
            ae_bytes_add_text(&message, line);
        free(line);
        if (!whole) break;
        if (message.len == 0 || message.failed) continue;
        add_history(message.data);
        if (message.data[0] == '/')
            go_on = command(&c, chat, message.data);
        else
            exchange(&c, chat, message.data);
    }
    if (path) write_history(path);
    ae_free(path);
    ae_bytes_free(&message);
    forget(&c);
    return status;
}
