/* child.c -- starts another program with pipes to its standard input and output. Only the command
 * line starts processes; the library knows functions. */
#include "cli/child.h"

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MOST_LINE = 1 << 20, PATIENCE = 600, LOOK_MS = 100, END_MS = 2000 };

/* ---- starting ---- */

/* A child's ends of the pipes become its standard input and output, and nothing else stays open. It
 * leads a group of its own, with whatever it starts. */
static int spawn(pid_t *pid, const char *command, int in, int out)
{
    char shell[] = "sh", option[] = "-c";
    char *words[] = { shell, option, (char *)(uintptr_t)command, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed) return failed;
    failed = posix_spawnattr_init(&how);
    if (!failed) {
        sigset_t as_usual; /* SIGPIPE is ignored here alone */
        sigemptyset(&as_usual);
        sigaddset(&as_usual, SIGPIPE);
        failed = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
        if (!failed) failed = posix_spawnattr_setsigdefault(&how, &as_usual);
        if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (!failed) failed = posix_spawnp(pid, "sh", &actions, &how, words, environ);
        posix_spawnattr_destroy(&how);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static void close_both(int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) close(ends[i]);
}

static aerie_status not_started(const char *command, int why, aerie_error *err)
{
    return aerie_fail(err, AERIE_IO, "'%.100s' could not be started: %s", command, strerror(why));
}

static aerie_status start(cli_child *c, const char *command, aerie_error *err)
{
    int asking[2] = { -1, -1 }, answering[2] = { -1, -1 }, failed;

    /* A program that has ended is an error to tell, not a signal to die of. */
    signal(SIGPIPE, SIG_IGN);
    if (pipe(asking) || pipe(answering)) {
        failed = errno;
        close_both(asking);
        return not_started(command, failed, err);
    }
    for (int i = 0; i < 2; i++) {
        fcntl(asking[i], F_SETFD, FD_CLOEXEC);
        fcntl(answering[i], F_SETFD, FD_CLOEXEC);
    }
    failed = spawn(&c->pid, command, asking[0], answering[1]);
    close(asking[0]);
    close(answering[1]);
    c->to = asking[1];
    c->from = answering[0];
    if (!failed && fcntl(c->to, F_SETFL, O_NONBLOCK) == 0 &&
        fcntl(c->from, F_SETFL, O_NONBLOCK) == 0)
        return AERIE_OK;
    failed = failed ? failed : errno;
    cli_child_close(c);
    return not_started(command, failed, err);
}

aerie_status cli_child_start(cli_child *c, const char *command, aerie_error *err)
{
    return c->pid > 0 ? AERIE_OK : start(c, command, err);
}

/* ---- asking ---- */

typedef struct {
    cli_child *c;
    const char *command, *line;
    size_t len, sent; /* of the line and its end */
    double until;
} asking;

static aerie_status has_ended(const asking *a, aerie_error *err)
{
    return aerie_fail(err, AERIE_IO, "'%.100s' ended without an answer to: %.200s", a->command,
                      a->line);
}

static bool may_pass(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void send_more(asking *a)
{
    bool at_end = a->sent == a->len;
    ssize_t n = write(a->c->to, at_end ? "\n" : a->line + a->sent, at_end ? 1 : a->len - a->sent);

    if (n > 0) a->sent += (size_t)n;
    /* It reads no more; it may have answered before. */
    if (n < 0 && !may_pass()) a->sent = a->len + 1;
}

static bool has_line(const cli_child *c)
{
    return c->said.len > 0 && memchr(c->said.data, '\n', c->said.len);
}

static aerie_status read_more(asking *a, aerie_error *err)
{
    char room[4096];
    ssize_t n = read(a->c->from, room, sizeof room);

    if (n == 0 || (n < 0 && !may_pass())) return has_ended(a, err);
    if (n > 0) ae_bytes_add(&a->c->said, room, (size_t)n);
    if (a->c->said.len > MOST_LINE && !has_line(a->c))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'%.100s' answers with more than %d bytes in one line; a line of JSON is "
                          "wanted for each",
                          a->command, MOST_LINE);
    return ae_bytes_status(&a->c->said, err);
}

/* Until the line is sent and another has come, whichever the program does first. */
static aerie_status talk(asking *a, aerie_error *err)
{
    cli_child *c = a->c;
    aerie_status status = AERIE_OK;

    while (!status && (a->sent <= a->len || !has_line(c))) {
        struct pollfd ends[2] = { { c->from, POLLIN, 0 }, { c->to, POLLOUT, 0 } };
        int n = poll(ends, a->sent <= a->len ? 2 : 1, LOOK_MS);
        if (cli_interrupted()) return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
        if (n <= 0 && ae_clock_seconds() > a->until)
            return aerie_fail(err, AERIE_IO,
                              "'%.100s' gave no answer within %.0f seconds (--program-timeout) to: "
                              "%.200s",
                              a->command, c->seconds > 0 ? c->seconds : PATIENCE, a->line);
        if (n > 0 && ends[1].revents) send_more(a);
        /* What it said before it ended counts. */
        if (n > 0 && ends[0].revents && c->said.len <= MOST_LINE) status = read_more(a, err);
    }
    return status;
}

static size_t line_length(const cli_child *c)
{
    const char *end = memchr(c->said.data, '\n', c->said.len);

    return end ? (size_t)(end - c->said.data) : c->said.len;
}

static char *take_line(cli_child *c)
{
    size_t len = line_length(c), n = len;

    while (n > 0 && c->said.data[n - 1] == '\r') n--;
    char *answer = ae_strndup(c->said.data, n);
    memmove(c->said.data, c->said.data + len + 1, c->said.len - len - 1);
    c->said.len -= len + 1;
    return answer;
}

aerie_status cli_child_ask(cli_child *c, const char *command, const char *line, char **answer,
                           aerie_error *err)
{
    double seconds = c->seconds > 0 ? c->seconds : PATIENCE;
    asking a = { c, command, line, strlen(line), 0, ae_clock_seconds() + seconds };
    aerie_status status;

    *answer = NULL;
    /* Else its answers would be taken for those to other lines. */
    if (c->said.len)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'%.100s' says more than one line for each that it gets: %.*s", command,
                          (int)ae_min64(100, (int64_t)line_length(c)), c->said.data);
    status = talk(&a, err);
    if (status) return status;
    *answer = take_line(c);
    return *answer ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for an answer");
}

/* ---- ending ---- */

/* With its input closed a program ends by itself; one that does not is ended, with its own. */
static void end(pid_t pid)
{
    for (int waited = 0; waited < END_MS; waited += 10) {
        if (waitpid(pid, NULL, WNOHANG) != 0) return;
        poll(NULL, 0, 10);
    }
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void cli_child_close(cli_child *c)
{
    if (c->to > 0) close(c->to);
    if (c->from > 0) close(c->from);
    if (c->pid > 0) end(c->pid);
    ae_bytes_free(&c->said);
    *c = (cli_child){ .seconds = c->seconds };
}
