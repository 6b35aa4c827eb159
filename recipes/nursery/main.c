/* main.c -- the nursery program: one table of commands, and the options they share. */
#include "nursery.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name;
    int (*run)(const nu_options *o);
    const char *help;
} command;

static const command commands[] = {
    { "text", nu_cmd_text, "--seed S --bytes N: pre-training documents as JSON lines" },
    { "vocab", nu_cmd_vocab, "--file TEXT.jsonl ... --n TOKENS --out FOLDER: a tokenizer" },
    { "sft", nu_cmd_sft, "--seed S --n N: demonstrations, good and flawed" },
    { "prompts", nu_cmd_prompts, "--seed S --n N --split train|heldout: prompts with their checks" },
    { "score", nu_cmd_score, "--file REPLIES.jsonl [--each]: replies scored by the checker" },
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

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
        if (!json_is_object(value)) nu_die("%s:%zu: not a JSON object: %s", path, number, error.text);
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

static int usage(FILE *to)
{
    fputs("usage: nursery COMMAND [options]\n", to);
    for (size_t i = 0; i < N_COMMANDS; i++) fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    return to == stderr ? 2 : 0;
}

static uint64_t number(const char *option, const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (!*text || *end || *text == '-') nu_die("%s wants a whole number, not '%s'", option, text);
    return n;
}

/* Takes option argv[0] with its value argv[1]; returns how many words it used, 0: unknown. */
static int take_option(nu_options *o, char **argv, int left)
{
    const char *name = argv[0], *value = left > 1 ? argv[1] : NULL;

    if (strcmp(name, "--each") == 0) return o->each = true, 1;
    if (!value) return 0;
    if (strcmp(name, "--seed") == 0)
        o->seed = number(name, value);
    else if (strcmp(name, "--n") == 0)
        o->n = (size_t)number(name, value);
    else if (strcmp(name, "--bytes") == 0)
        o->bytes = (size_t)number(name, value);
    else if (strcmp(name, "--split") == 0)
        o->split = value;
    else if (strcmp(name, "--out") == 0)
        o->out = value;
    else if (strcmp(name, "--file") == 0 && o->n_files < sizeof o->files / sizeof *o->files)
        o->files[o->n_files++] = value;
    else
        return 0;
    return 2;
}

int main(int argc, char **argv)
{
    nu_options options = { .seed = 1, .n = 100, .bytes = 100000 };

    if (argc < 2) return usage(stderr);
    if (strcmp(argv[1], "--help") == 0) return usage(stdout);
    for (int i = 2; i < argc;) {
        int used = take_option(&options, argv + i, argc - i);
        if (!used) {
            fprintf(stderr, "nursery: unknown or incomplete option '%s'\n", argv[i]);
            return 2;
        }
        i += used;
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            int code = commands[i].run(&options);
            if (fflush(stdout)) nu_die("could not write the output: %s", strerror(errno));
            return code;
        }
    fprintf(stderr, "nursery: unknown command '%s'\n", argv[1]);
    return usage(stderr);
}
