/* onpty.c -- runs a program on a terminal of its own and talks with it as a script says.
 *
 *     onpty [-w COLUMNS] PROGRAM... < SCRIPT
 *
 * A line of the script is one of
 *     see TEXT     wait until the program has shown this, after what was seen last
 *     type TEXT    type it
 *     size N       the terminal is N columns wide from now on
 *     kill NAME    send a signal: TERM, STOP, CONT
 *     end          wait until the program has ended
 * with \r, \n, \e, \\ and \xHH in TEXT. All that was shown goes to stdout. The exit code is the
 * program's, or 99 with a sentence when something was not seen in time: a limit against hanging,
 * far longer than anything takes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 60, FAILED = 99 };

static struct {
    int fd;
    pid_t pid;
    char *shown;
    size_t len, room, seen;
    bool gone;
} terminal;

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c | 0x20);
    return c && at ? (int)(at - digits) : 0;
}

/* In place; the length. */
static size_t unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at != '\\' || !at[1]) {
            *to++ = *at;
            continue;
        }
        at++;
        *to++ = (char)(*at == 'r'   ? '\r'
                       : *at == 'n' ? '\n'
                       : *at == 'e' ? '\033'
                       : *at == 'x' ? hex(at[1]) * 16 + hex(at[2])
                                    : *at);
        if (*at == 'x') at += 2;
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* More of what is shown; false: nothing came for `ms`, or nothing will. */
static bool take_more(int ms)
{
    struct pollfd wait = { .fd = terminal.fd, .events = POLLIN };
    char piece[4096];
    if (terminal.gone || poll(&wait, 1, ms) <= 0) return false;
    ssize_t n = read(terminal.fd, piece, sizeof piece);
    if (n <= 0) {
        terminal.gone = !(n < 0 && errno == EINTR);
        return !terminal.gone;
    }
    if (terminal.len + (size_t)n + 1 > terminal.room) {
        terminal.room = 2 * (terminal.len + (size_t)n + 1);
        terminal.shown = realloc(terminal.shown, terminal.room);
        if (!terminal.shown) exit(FAILED);
    }
    memcpy(terminal.shown + terminal.len, piece, (size_t)n);
    terminal.len += (size_t)n;
    terminal.shown[terminal.len] = '\0';
    fwrite(piece, 1, (size_t)n, stdout);
    return true;
}

static int give_up(const char *what, const char *text)
{
    fflush(stdout);
    fprintf(stderr, "onpty: %s '%s'\n", what, text);
    kill(terminal.pid, SIGKILL);
    return FAILED;
}

static bool see(const char *text, size_t len)
{
    time_t end = time(NULL) + LIMIT_SECONDS;
    for (;;) {
        size_t left = terminal.len - terminal.seen;
        const char *from = terminal.shown ? terminal.shown + terminal.seen : "";
        const char *at = left ? memmem(from, left, text, len) : NULL;
        if (at) {
            terminal.seen += (size_t)(at - from) + len;
            return true;
        }
        if (terminal.gone || time(NULL) > end) return false;
        take_more(200);
    }
}

static int follow(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *text = strchr(line, ' ');
    if (text) *text++ = '\0';
    size_t len = text ? unescape(text) : 0;
    if (!strcmp(line, "see")) return see(text, len) ? 0 : give_up("never seen:", text);
    if (!strcmp(line, "type")) return write(terminal.fd, text, len) == (ssize_t)len ? 0 : FAILED;
    if (!strcmp(line, "size")) {
        struct winsize size = { .ws_row = 40, .ws_col = (unsigned short)atoi(text) };
        return ioctl(terminal.fd, TIOCSWINSZ, &size) ? FAILED : 0;
    }
    if (!strcmp(line, "kill")) {
        int number = !strcmp(text, "TERM") ? SIGTERM : !strcmp(text, "STOP") ? SIGSTOP : SIGCONT;
        return kill(terminal.pid, number) ? FAILED : 0;
    }
    if (!strcmp(line, "end")) {
        time_t end = time(NULL) + LIMIT_SECONDS;
        while (!terminal.gone && time(NULL) < end) take_more(200);
        return terminal.gone ? 0 : give_up("it does not end", "");
    }
    return *line && *line != '#' ? give_up("no such word:", line) : 0;
}

static void start(char **argv, int columns)
{
    struct winsize size = { .ws_row = 40, .ws_col = (unsigned short)columns };
    int outer = posix_openpt(O_RDWR | O_NOCTTY);
    if (outer < 0 || grantpt(outer) || unlockpt(outer)) exit(FAILED);
    const char *name = ptsname(outer);
    terminal.fd = outer;
    terminal.pid = fork();
    if (terminal.pid) return;
    setsid();
    int fd = open(name, O_RDWR);
    ioctl(fd, TIOCSCTTY, 0);
    ioctl(fd, TIOCSWINSZ, &size);
    for (int i = 0; i < 3; i++) dup2(fd, i);
    close(fd);
    close(outer);
    execvp(argv[0], argv);
    _exit(127);
}

int main(int argc, char **argv)
{
    char line[4096];
    int status, failed = 0, columns = 80, first = 1;
    if (argc > 2 && !strcmp(argv[1], "-w")) {
        columns = atoi(argv[2]);
        first = 3;
    }
    if (argc <= first) return FAILED;
    start(argv + first, columns);
    while (!failed && fgets(line, sizeof line, stdin)) failed = follow(line);
    if (!failed) {
        char last[] = "end";
        failed = follow(last);
    }
    waitpid(terminal.pid, &status, 0);
    return failed ? failed : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
