/* wrap.c -- breaks lines between words while they come, a few bytes at a time. */
#define _XOPEN_SOURCE 700 /* wcwidth() */
#include "cli/wrap.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { NARROWEST = 20 }; /* where breaking would do more harm than good */

void cli_wrap_begin(cli_wrap *w, bool on)
{
    struct winsize size = { 0 };
    bool known = on && isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    w->width = known && size.ws_col >= NARROWEST ? size.ws_col : 0;
    w->column = w->word_width = 0;
    ae_bytes_clear(&w->word);
}

void cli_wrap_end(cli_wrap *w)
{
    ae_bytes_free(&w->word);
    *w = (cli_wrap){ 0 };
}

/* How many bytes a character has, and how many columns it takes. */
static size_t measure(const char *text, size_t len, int *columns)
{
    unsigned char c = (unsigned char)*text;
    size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    uint32_t code = c < 0x80 ? c : c & (0x3Fu >> (n - 1));
    if (n > len) n = len;
    for (size_t i = 1; i < n; i++) code = code << 6 | ((unsigned char)text[i] & 0x3F);
    int width = c < 0x80 ? 1 : wcwidth((wchar_t)code);
    *columns = width < 0 ? 1 : width;
    return n;
}

static void end_line(cli_wrap *w)
{
    putchar('\n');
    w->column = w->word_width = 0;
    ae_bytes_clear(&w->word);
}

/* The word so far goes to the next line, if it is not as good as a line by itself. */
static void move_word(cli_wrap *w)
{
    if (w->word_width == 0 || w->word_width > w->width / 2) {
        end_line(w);
        return;
    }
    printf("\033[%dD\033[K\n", w->word_width);
    fwrite(w->word.data, 1, w->word.len, stdout);
    w->column = w->word_width;
}

static void put_character(cli_wrap *w, const char *text, size_t n, int columns)
{
    bool is_space = n == 1 && *text == ' ';
    if (w->column + columns > w->width - 1) {
        if (is_space) {
            end_line(w);
            return;
        }
        move_word(w);
    }
    fwrite(text, 1, n, stdout);
    w->column += columns;
    /* Between wide characters (Chinese, say) a line may break anywhere. */
    if (is_space || columns > 1) {
        ae_bytes_clear(&w->word);
        w->word_width = 0;
    } else {
        ae_bytes_add(&w->word, text, n);
        w->word_width += columns;
    }
}

void cli_wrap_put(cli_wrap *w, const char *text, size_t len)
{
    if (!w->width) fwrite(text, 1, len, stdout);
    for (size_t i = 0, n; w->width && i < len; i += n) {
        int columns;
        n = measure(text + i, len - i, &columns);
        if (text[i] == '\n')
            end_line(w);
        else
            put_character(w, text + i, n, columns);
    }
    fflush(stdout);
}
