/* table.c -- columns of text for people. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

/* What a terminal shows of UTF-8: bytes that do not go on a character. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void cli_print_table(const cli_row *rows, size_t n, const char *indent)
{
    size_t widest[AE_COUNT(rows->cells)] = { 0 };
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < AE_COUNT(widest) && rows[i].cells[j]; j++)
            if (width(rows[i].cells[j]) > widest[j]) widest[j] = width(rows[i].cells[j]);
    for (size_t i = 0; i < n; i++) {
        fputs(indent, stdout);
        for (size_t j = 0; j < AE_COUNT(widest) && rows[i].cells[j]; j++) {
            bool is_last = j + 1 == AE_COUNT(widest) || !rows[i].cells[j + 1];
            fputs(rows[i].cells[j], stdout);
            if (!is_last) printf("%*s", (int)(widest[j] - width(rows[i].cells[j]) + 4), "");
        }
        putchar('\n');
    }
}
