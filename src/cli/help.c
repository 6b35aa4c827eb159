/* help.c -- a command's help, from its table of options, for a terminal of 80 columns. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, HELP_COLUMN = 29 }; /* where an option's explanation begins */

/* Writes words from `column` on, breaking lines before the last column; those that follow begin at
 * `indent`. Of the text's own line ends those stay that an empty line, or one that begins with a
 * space, follows. */
static void fill(const char *text, int column, int indent)
{
    bool begun = false;
    while (*text) {
        int n = (int)strcspn(text, " \n");
        if (*text == '\n' && (text[1] == '\n' || text[1] == ' ')) {
            n = 1 + (int)strcspn(text + 1, "\n");
            printf("%.*s", n, text);
            column = WIDTH;
        } else if (n == 0) {
            n = 1; /* white space between words */
        } else {
            if (begun && column + 1 + n >= WIDTH) {
                column = printf("\n%*s", indent, "") - 1;
                begun = false;
            }
            column += printf(begun ? " %.*s" : "%.*s", n, text);
            begun = true;
        }
        text += n;
    }
    putchar('\n');
}

static void print_option(const cli_option *o)
{
    char left[64];
    int n = o->letter ? snprintf(left, sizeof left, "-%c, %s", o->letter, o->name)
                      : snprintf(left, sizeof left, "    %s", o->name);
    if (o->kind == CLI_MAYBE && n > 0 && (size_t)n < sizeof left)
        snprintf(left + n, sizeof left - (size_t)n, "[=%s]", o->value);
    else if (o->value && n > 0 && (size_t)n < sizeof left)
        snprintf(left + n, sizeof left - (size_t)n, " %s", o->value);
    n = printf("  %-26s", left);
    printf(n < HELP_COLUMN ? " " : "\n%*s", HELP_COLUMN, "");
    fill(o->help, HELP_COLUMN, HELP_COLUMN);
}

/* A command's own option of a name goes before the common one. */
static bool has_own(const cli_call *call, const char *name)
{
    for (const cli_option *o = call->options; o && o->name; o++)
        if (!strcmp(o->name, name)) return true;
    return false;
}

void cli_print_help(const cli_call *call, const cli_option *common, int n_common)
{
    printf("usage: %s\n\n", call->usage);
    fill(call->about, 0, 0);
    putchar('\n');
    for (const cli_option *o = call->options; o && o->name; o++) print_option(o);
    for (int i = 0; i < n_common; i++)
        if (!has_own(call, common[i].name)) print_option(&common[i]);
}
