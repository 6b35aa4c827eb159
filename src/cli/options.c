/* options.c -- reads a command's words by its table of options. */
#include "aerie/log.h"
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_COMMON = 8, MAX_OPTIONS = 96 };

/* The common options that the command takes, pointing into *c. Returns how many there are. */
static int common_options(cli_option out[N_COMMON], const cli_call *call, cli_common *c)
{
    const unsigned takes = call->takes ? call->takes : CLI_TAKES_ALL;
    int n = 0;
    static const unsigned bits[N_COMMON] = { CLI_TAKES_THREADS, CLI_TAKES_PIN, CLI_TAKES_CPU,
                                             CLI_TAKES_ADAPTER, CLI_TAKES_FORCE };
    const cli_option table[N_COMMON] = {
        { "--threads", 't', CLI_INT, &c->threads, "N", "threads; default: one per processor" },
        { "--pin", 0, CLI_FLAG, &c->pin, NULL, "keep each thread to a processor of its own" },
        { "--cpu", 0, CLI_TEXT, &c->cpu, "NAME",
          "kernels: ref, avx2, avxvnni, avx512, neon or auto" },
        { "--adapter", 0, CLI_LIST, &c->adapters, "FILE[=SCALE]",
          "lay a LoRA adapter over the model; may be repeated" },
        { "--force", 0, CLI_FLAG, &c->force, NULL,
          "go on though an adapter is of another model, or memory may not suffice" },
        { "--json", 0, CLI_FLAG, &c->json, NULL, "print JSON, and nothing else, on stdout" },
        { "--quiet", 'q', CLI_FLAG, &c->quiet, NULL, "no progress and no remarks" },
        { "--help", 'h', CLI_FLAG, &c->help, NULL, "this help" },
    };
    for (int i = 0; i < N_COMMON; i++)
        if (!bits[i] || (takes & bits[i])) out[n++] = table[i];
    return n;
}

int cli_misused(const char *format, ...)
{
    va_list args;
    fputs("aerie: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_USAGE;
}

static const cli_option *find(const cli_option *const *all, int n, const char *word, size_t len)
{
    for (int i = 0; i < n; i++) {
        if (strlen(all[i]->name) == len && !strncmp(all[i]->name, word, len)) return all[i];
        if (len == 2 && word[0] == '-' && word[1] == all[i]->letter) return all[i];
    }
    return NULL;
}

static bool set_number(const cli_option *o, const char *value, int *code)
{
    char *end = NULL;
    errno = 0;
    bool whole = o->kind == CLI_INT || o->kind == CLI_COUNT;
    bool counts = o->kind == CLI_COUNT || o->kind == CLI_AMOUNT;
    if (whole)
        *(int64_t *)o->to = strtoll(value, &end, 10);
    else
        *(double *)o->to = strtod(value, &end);
    bool finite = whole || isfinite(*(double *)o->to);
    bool below = whole ? *(int64_t *)o->to < 0 : *(double *)o->to < 0;
    if (end != value && *end == '\0' && errno == 0 && finite && !(counts && below)) return true;
    *code = cli_misused("%s wants a%s number%s, not '%s'", o->name, whole ? " whole" : "",
                        counts ? " of 0 or more" : "", value);
    return false;
}

static bool set(const cli_option *o, const char *value, int *code)
{
    cli_list *list;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->to = true;
        return true;
    case CLI_MAYBE:
        *(const char **)o->to = value ? value : "";
        return true;
    case CLI_TEXT:
        *(const char **)o->to = value;
        return true;
    case CLI_INT:
    case CLI_COUNT:
    case CLI_FLOAT:
    case CLI_AMOUNT:
        return set_number(o, value, code);
    case CLI_LIST:
        list = o->to;
        if (list->n < (int)AE_COUNT(list->items)) {
            list->items[list->n++] = value;
            return true;
        }
        *code = cli_misused("%s is given more than %d times", o->name, list->n);
        return false;
    }
    return false;
}

static bool unknown(const cli_option *const *all, int n, const char *word, int *code)
{
    const char *names[MAX_OPTIONS];
    for (int i = 0; i < n; i++) names[i] = all[i]->name;
    const char *near = ae_nearest(word, names, (size_t)n);
    *code = near ? cli_misused("there is no option '%s'; did you mean '%s'?", word, near)
                 : cli_misused("there is no option '%s'; --help lists them", word);
    return false;
}

/* One word that begins with '-'; *i moves past a value of its own. */
static bool read_option(const cli_option *const *all, int n, int argc, char **argv, int *i,
                        int *code)
{
    const char *word = argv[*i], *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const cli_option *o = find(all, n, word, len);
    const char *value = equals ? equals + 1 : NULL;
    if (!o) return unknown(all, n, word, code);
    if (o->kind == CLI_FLAG && value) {
        *code = cli_misused("%s takes no value", o->name);
        return false;
    }
    if (o->kind != CLI_FLAG && o->kind != CLI_MAYBE && !value) {
        if (*i + 1 >= argc) {
            *code = cli_misused("%s wants a value: %s", o->name, o->value);
            return false;
        }
        value = argv[++*i];
    }
    return set(o, value, code);
}

static bool read_words(cli_call *call, const cli_option *const *all, int n, int argc, char **argv,
                       int *code)
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && !strcmp(argv[i], "--"))
            only_words = true;
        else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (!read_option(all, n, argc, argv, &i, code)) return false;
        } else if (call->n_words < call->max_words)
            call->words[call->n_words++] = argv[i];
        else {
            *code = cli_misused("'%s' is one word too many; usage: %s", argv[i], call->usage);
            return false;
        }
    }
    return true;
}

bool cli_read(cli_call *call, cli_common *common, int argc, char **argv, int *code)
{
    cli_option shared[N_COMMON];
    const cli_option *all[MAX_OPTIONS];
    int n = 0, n_shared = common_options(shared, call, common);
    for (const cli_option *o = call->options; o && o->name && n < MAX_OPTIONS - N_COMMON; o++)
        all[n++] = o;
    for (int i = 0; i < n_shared; i++) all[n++] = &shared[i];

    if (!read_words(call, all, n, argc, argv, code)) return false;
    if (common->help) {
        cli_print_help(call, shared, n_shared);
        *code = CLI_DONE;
        return false;
    }
    if (call->n_words < call->min_words) {
        *code = cli_misused("something is missing; usage: %s", call->usage);
        return false;
    }
    if (common->quiet) aerie_log_set(NULL, NULL);
    if (common->threads < 0 || common->threads > 1024) {
        *code = cli_misused("--threads wants a number from 1 to 1024");
        return false;
    }
    return true;
}
