/* process.c -- whether the process that began a run still is: a number alone would be taken for
 * another process's after a while, so that its beginning is part of the name. */
#include "runs/private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* When a process began, in the system's ticks: field 22 of Linux's /proc/N/stat, whose second field
 * is a name in parentheses that may hold anything. 0: not known. */
static unsigned long long began(long pid)
{
    char path[64], text[1024];
    const char *at;
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    f = fopen(path, "rb");
    if (!f) return 0;
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void host_name(char out[80])
{
    if (gethostname(out, 80) != 0) out[0] = '\0';
    out[79] = '\0';
    for (char *c = out; *c; c++)
        if (*c == ' ') *c = '-';
}

void ae_process_name(char out[160])
{
    char host[80];
    long pid = (long)getpid();

    host_name(host);
    snprintf(out, 160, "%s %ld %llu", host, pid, began(pid));
}

bool ae_process_is_gone(const char *name)
{
    const char *space = strchr(name, ' ');
    char host[80];
    char *end;
    long pid;
    unsigned long long then, now;

    host_name(host);
    if (!space || strlen(host) != (size_t)(space - name) || strncmp(host, name, strlen(host)) != 0)
        return false;
    pid = strtol(space + 1, &end, 10);
    if (pid <= 0) return false;
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return true;
    then = strtoull(end, NULL, 10);
    now = began(pid);
    return then && now && then != now;
}
