/* child.c -- starts another program with pipes to its standard input and output. Only the command
 * line starts processes; the library knows functions. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A child's ends of the pipes become its standard input and output, and nothing else stays open. */
static int spawn(pid_t *pid, const char *command, int in, int out)
{
    char shell[] = "sh", option[] = "-c";
    char *words[] = { shell, option, (char *)(uintptr_t)command, NULL };
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed) return failed;
    failed = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!failed) failed = posix_spawnp(pid, "sh", &actions, NULL, words, environ);
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
    c->to = failed ? NULL : fdopen(asking[1], "w");
    c->from = failed ? NULL : fdopen(answering[0], "r");
    if (c->to && c->from) return AERIE_OK;
    if (!c->to) close(asking[1]);
    if (!c->from) close(answering[0]);
    return not_started(command, failed ? failed : errno, err);
}

aerie_status cli_child_start(cli_child *c, const char *command, aerie_error *err)
{
    return c->to ? AERIE_OK : start(c, command, err);
}

bool cli_child_ask(cli_child *c, const char *line, char **answer)
{
    size_t cap = 0;

    *answer = NULL;
    if (fputs(line, c->to) == EOF || fputc('\n', c->to) == EOF || fflush(c->to) != 0 ||
        getline(answer, &cap, c->from) <= 0) {
        free(*answer);
        *answer = NULL;
        return false;
    }
    (*answer)[strcspn(*answer, "\r\n")] = '\0';
    return true;
}

void cli_child_close(cli_child *c)
{
    if (c->to) fclose(c->to);
    if (c->from) fclose(c->from);
    if (c->pid > 0) waitpid(c->pid, NULL, 0);
    *c = (cli_child){ 0 };
}
