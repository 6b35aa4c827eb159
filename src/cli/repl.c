/* repl.c -- the conversation: messages of one line or several, replies, Ctrl-C. */
#include "cli/repl.h"

#include "cli/server.h"
#include "cli/wrap.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A reply as it comes: what is shown of it is what it is. */
typedef struct {
    ae_bytes reply;
    cli_wrap wrap;
} coming;

static bool print_text(void *user, const char *text, size_t len)
{
    coming *c = user;
    ae_bytes_add(&c->reply, text, len);
    cli_wrap_put(&c->wrap, text, len);
    return !cli_interrupted();
}

/* A picture that Ollama would send along: said, rather than left to be wondered about. */
static void look_for_images(const char *message)
{
    static const char *const ends[] = { ".png", ".jpg", ".jpeg", ".webp" };
    char word[1024];
    while (*message) {
        size_t len = strcspn(message, " \n\t");
        for (size_t i = 0; i < AE_COUNT(ends) && len < sizeof word; i++) {
            size_t n = strlen(ends[i]);
            snprintf(word, sizeof word, "%.*s", (int)len, message);
            if (len > n && !strcasecmp(word + len - n, ends[i]) && ae_file_exists(word))
                fprintf(stderr, "The models here read text alone: %s is not looked at.\n", word);
        }
        message += len;
        message += *message != '\0';
    }
}

/* One message and its reply. A reply that was stopped stays in the conversation as far as it came;
 * a message that could not be answered leaves it. */
static void exchange(cli_repl_state *r, const char *message)
{
    cli_chat *chat = r->chat;
    aerie_error err = { 0 };
    cli_figures figures = { 0 };
    coming to = { .reply = { 0 } };
    look_for_images(message);
    if (cli_chat_add(chat, "user", message, &err)) {
        cli_fail(&err);
        return;
    }
    cli_forget_interrupt();
    cli_wrap_begin(&to.wrap, !r->talk->no_wrap);
    aerie_status status = chat->by->reply(chat, print_text, &to, &figures, &err);
    puts("\n");
    if (!status) status = ae_bytes_status(&to.reply, &err);
    if (!status) status = cli_chat_add(chat, "assistant", to.reply.data ? to.reply.data : "", &err);
    if (status) {
        json_array_remove(chat->messages, json_array_size(chat->messages) - 1);
        cli_fail(&err);
    } else {
        cli_warn_of_reply(chat, &figures);
        if (r->talk->verbose) cli_print_figures(&figures);
    }
    cli_forget_interrupt();
    cli_wrap_end(&to.wrap);
    ae_bytes_free(&to.reply);
}

/* Where three quotation marks begin a message of several lines, or a system message. */
static const char *find_block(const char *line)
{
    static const char *const before[] = { "", "/set system ", "/system " };
    for (size_t i = 0; i < AE_COUNT(before); i++) {
        size_t n = strlen(before[i]);
        if (!strncmp(line, before[i], n) && !strncmp(line + n, "\"\"\"", 3)) return line + n;
    }
    return NULL;
}

/* Adds a line up to the closing quotation marks; true when they were there. */
static bool add_line(ae_bytes *message, const char *line)
{
    const char *end = strstr(line, "\"\"\"");
    ae_bytes_add(message, line, end ? (size_t)(end - line) : strlen(line));
    if (!end) ae_bytes_add_char(message, '\n');
    return end != NULL;
}

/* A whole message, up to its closing quotation marks where it has any. */
static cli_input_kind read_message(cli_repl_state *r, ae_bytes *message)
{
    ae_bytes line = { 0 };
    ae_bytes_clear(message);
    cli_input_kind kind = cli_input_read(r->input, ">>> ", &line);
    const char *text = line.data ? line.data : "", *block = find_block(text);
    ae_bytes_add(message, text, block ? (size_t)(block - text) : line.len);
    bool open = kind == CLI_INPUT_LINE && block && !add_line(message, block + 3);
    while (open && kind == CLI_INPUT_LINE) {
        kind = cli_input_read(r->input, "... ", &line);
        open = !add_line(message, line.data ? line.data : "");
    }
    ae_bytes_free(&line);
    return kind;
}

static char *history_path(void)
{
    aerie_error err = { 0 };
    if (ae_file_make_folder(cli_places()->store, &err)) return NULL;
    return ae_path_join(cli_places()->store, "history");
}

static void greet(const cli_chat *chat)
{
    aerie_client *server;
    aerie_error err = { 0 };
    if (chat->how->common.quiet) return;
    fprintf(stderr, "Talking with %s", chat->model);
    if (!cli_chat_is_here(chat) && !cli_server(&server, &err))
        fprintf(stderr, " at %s", aerie_client_url(server));
    fprintf(stderr, ". /? tells what can be done here.\n");
}

static bool say(cli_repl_state *r, ae_bytes *message)
{
    if (message->len == 0 || message->failed) return true;
    cli_input_remember(r->input, message->data);
    if (message->data[0] == '/') return cli_repl_command(r, message->data);
    exchange(r, message->data);
    return true;
}

aerie_status cli_repl(cli_chat *chat, cli_talk *talk, aerie_error *err)
{
    cli_repl_state r = { .chat = chat, .talk = talk };
    ae_bytes message = { 0 };
    char *path = history_path();
    aerie_status status = cli_input_open(&r.input, path, err);
    /* Ctrl-C drops a line or a reply; who wants the program to end is to have that. */
    signal(SIGTERM, SIG_DFL);
    if (!status) greet(chat);
    if (!status) cli_repl_show_past(chat);
    for (bool go_on = !status; go_on;) {
        switch (read_message(&r, &message)) {
        case CLI_INPUT_LINE:
            go_on = say(&r, &message) && chat->by;
            break;
        case CLI_INPUT_INTERRUPTED:
            fputs("\nCtrl-D or /bye to leave.\n", stderr);
            break;
        case CLI_INPUT_END:
            putchar('\n');
            go_on = false;
        }
    }
    if (!status && !chat->by)
        status = aerie_fail(err, AERIE_NOT_FOUND, "the model that was talked with is gone");
    cli_input_close(r.input);
    ae_free(path);
    ae_bytes_free(&message);
    return status;
}
