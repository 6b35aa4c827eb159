/* lines.c -- JSON lines in and out, a progress bar, and the one way to give up. */
#include "nursery.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void nu_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("nursery: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void nu_each_line(const char *path, void (*take)(json_t *line, void *user), void *user)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, number = 0;
    json_error_t error;

    if (!f) nu_die("%s: %s", path, strerror(errno));
    while (getline(&line, &cap, f) > 0) {
        number++;
        json_t *value = json_loads(line, 0, &error);
        if (!json_is_object(value))
            nu_die("%s:%zu: not a JSON object: %s", path, number, error.text);
        take(value, user);
        json_decref(value);
    }
    free(line);
    fclose(f);
}

void nu_print_line(json_t *line)
{
    if (!line || json_dumpf(line, stdout, JSON_COMPACT) || putchar('\n') == EOF)
        nu_die("could not write a line: %s", strerror(errno));
    json_decref(line);
}

void nu_progress(const char *what, size_t done, size_t total)
{
    enum { WIDTH = 30 };
    char bar[WIDTH + 1] = { 0 };
    size_t full = total ? done * WIDTH / total : WIDTH;

    for (size_t i = 0; i < WIDTH; i++) bar[i] = i < full ? '#' : '.';
    fprintf(stderr, "\r%-10s %s %zu/%zu%s", what, bar, done, total, done == total ? "\n" : "");
}
