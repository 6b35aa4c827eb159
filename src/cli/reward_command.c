/* reward_command.c -- runs the program that a recipe's reward.command names. Only the command line
 * starts processes; the library knows a function. */
#include "cli/reward_command.h"

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
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

static aerie_status start(cli_reward_command *c, const char *command, aerie_error *err)
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

static bool send_item(FILE *to, const aerie_reward_item *item)
{
    json_t *row = item->row ? json_loads(item->row, 0, NULL) : NULL;
    json_t *line = json_pack("{s:o?, s:o, s:I, s:b}", "row", row, "reply",
                             json_stringn_nocheck(item->reply, item->reply_len), "tokens",
                             (json_int_t)item->n_tokens, "ended", item->ended);
    bool ok = line && json_dumpf(line, to, JSON_COMPACT) == 0 && fputc('\n', to) != EOF;

    json_decref(line);
    return ok && fflush(to) == 0;
}

/* A number, or {"score": number}. */
static bool read_score(double *score, const char *line)
{
    json_t *answer = json_loads(line, JSON_DECODE_ANY, NULL);
    const json_t *value = json_is_object(answer) ? json_object_get(answer, "score") : answer;
    bool ok = json_is_number(value);

    if (ok) *score = json_number_value(value);
    json_decref(answer);
    return ok;
}

static aerie_status ask_one(const cli_reward_command *c, const char *command,
                            const aerie_reward_item *item, double *score, aerie_error *err)
{
    char *line = NULL;
    size_t cap = 0;
    aerie_status status = AERIE_OK;

    if (!send_item(c->to, item) || getline(&line, &cap, c->from) <= 0)
        status = aerie_fail(err, AERIE_IO,
                            "'%.100s' ended without an answer; try it by hand with a line such as "
                            "{\"reply\": \"...\", \"row\": {...}, \"tokens\": 3, \"ended\": true}",
                            command);
    else if (!read_score(score, line))
        status = aerie_fail(err, AERIE_BAD_TEXT,
                            "'%.100s' answered '%.*s'; a number, or {\"score\": number}, is "
                            "wanted for each line",
                            command, (int)strcspn(line, "\r\n"), line);
    free(line);
    return status;
}

aerie_status cli_reward_ask(void *user, const char *command, const aerie_reward_item *items,
                            size_t n, double *scores, aerie_error *err)
{
    cli_reward_command *c = user;
    aerie_status status = AERIE_OK;

    if (!command)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the recipe's 'reward' names no source; give 'reward: {source: ...}': "
                          "number, length, format, or command");
    if (!c->to) status = start(c, command, err);
    for (size_t i = 0; i < n && !status; i++)
        status = ask_one(c, command, &items[i], &scores[i], err);
    return status;
}

void cli_reward_close(cli_reward_command *c)
{
    if (c->to) fclose(c->to);
    if (c->from) fclose(c->from);
    if (c->pid > 0) waitpid(c->pid, NULL, 0);
    *c = (cli_reward_command){ 0 };
}
