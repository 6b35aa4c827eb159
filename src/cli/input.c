/* input.c -- the line editor: libedit with Ollama's keys, and pasted text in one piece. */
#include "cli/input.h"

#include "cli/cli.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <wchar.h>

enum { MOST_HISTORY = 1000, MOST_PASTED = 1 << 20 };

struct cli_input {
    EditLine *edit;
    History *history;
    char *path; /* of the history; NULL: none */
    char prompt[16];
    bool keeps, pastes, interrupted;
};

static cli_input *of(EditLine *edit)
{
    void *in = NULL;
    el_get(edit, EL_CLIENTDATA, &in);
    return in;
}

static char *prompt_of(EditLine *edit)
{
    return of(edit)->prompt;
}

static volatile sig_atomic_t changed;

static void on_change(int signal_number)
{
    (void)signal_number;
    changed = 1;
}

/* The terminal has another size, or was the shell's meanwhile (Ctrl-Z). */
static void catch_changes(void)
{
    struct sigaction action = { .sa_handler = on_change };
    sigemptyset(&action.sa_mask);
    sigaction(SIGCONT, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
}

static void ask_for_paste(const cli_input *in, bool on)
{
    if (!in->pastes) return;
    fputs(on ? "\033[?2004h" : "\033[?2004l", stdout);
    fflush(stdout);
}

static void look_for_changes(EditLine *edit)
{
    if (!changed) return;
    changed = 0;
    el_set(edit, EL_PREP_TERM, 0);
    el_set(edit, EL_PREP_TERM, 1);
    ask_for_paste(of(edit), true);
    el_resize(edit);
    el_set(edit, EL_REFRESH);
}

/* Waits for a byte. False: a signal came first, be it just before. */
static bool wait_for_byte(void)
{
    sigset_t ours, before;
    fd_set from;
    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGCONT);
    sigaddset(&ours, SIGWINCH);
    sigprocmask(SIG_BLOCK, &ours, &before);
    FD_ZERO(&from);
    FD_SET(STDIN_FILENO, &from);
    int n = changed || cli_interrupted()
                ? 0
                : pselect(STDIN_FILENO + 1, &from, NULL, NULL, NULL, &before);
    bool there = n > 0 || (n < 0 && errno != EINTR); /* what is wrong reading tells */
    sigprocmask(SIG_SETMASK, &before, NULL);
    return there;
}

/* A character, as libedit wants it: 1; 0 at the end; -1 after Ctrl-C. */
static int read_key(EditLine *edit, wchar_t *out)
{
    mbstate_t state = { 0 };
    for (;;) {
        char byte;
        bool there = wait_for_byte();
        look_for_changes(edit);
        of(edit)->interrupted = cli_interrupted();
        if (of(edit)->interrupted) return -1;
        if (!there) continue;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        size_t len = mbrtowc(out, &byte, 1, &state);
        if (len == (size_t)-2) continue;
        if (len == (size_t)-1) *out = 0xFFFD;
        return 1;
    }
}

/* ---- pasted text comes between ESC [ 200 ~ and ESC [ 201 ~ */

typedef struct {
    wchar_t *text;
    size_t len, room;
} pasted;

static bool add_pasted(pasted *p, wchar_t c)
{
    if (p->len + 1 >= p->room) {
        size_t room = p->room ? p->room * 2 : 256;
        wchar_t *grown = ae_realloc(p->text, p->room, room, sizeof *grown);
        if (!grown || room > MOST_PASTED) return false;
        p->text = grown;
        p->room = room;
    }
    p->text[p->len++] = c;
    p->text[p->len] = L'\0';
    return true;
}

/* Line ends are those of any system; what a terminal would obey is left out. */
static void take_pasted(pasted *p, wchar_t c, wchar_t before)
{
    if (c == L'\n' && before == L'\r') return;
    if (c == L'\r') c = L'\n';
    if (c == L'\n' || c == L'\t' || (c >= L' ' && c != 127)) add_pasted(p, c);
}

static unsigned char paste(EditLine *edit, int key)
{
    static const wchar_t end[] = L"\033[201~";
    pasted p = { 0 };
    size_t seen = 0; /* of `end` */
    wchar_t c, before = 0;
    (void)key;
    while (seen < wcslen(end)) {
        if (read_key(edit, &c) != 1) break;
        if (c == end[seen]) {
            seen++;
            continue;
        }
        /* It was not the end: ESC is dropped, the rest is text. */
        for (size_t i = 1; i < seen; i++) take_pasted(&p, end[i], 0);
        seen = c == end[0];
        if (!seen) take_pasted(&p, c, before);
        before = c;
    }
    while (p.len && p.text[p.len - 1] == L'\n') p.text[--p.len] = L'\0';
    if (p.len) el_winsertstr(edit, p.text);
    ae_free(p.text);
    return CC_REFRESH;
}

/* ---- opening */

/* Letters of all languages, whatever the words of the system are in. */
static void take_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static bool is_able(const char *terminal)
{
    return terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static void bind_keys(cli_input *in)
{
    static const char *const keys[][2] = {
        { "^A", "ed-move-to-beg" },
        { "^E", "ed-move-to-end" },
        { "^B", "ed-prev-char" },
        { "^F", "ed-next-char" },
        { "^K", "ed-kill-line" },
        { "^U", "vi-kill-line-prev" },
        { "^W", "ed-delete-prev-word" },
        { "^L", "ed-clear-screen" },
        { "^D", "em-delete-or-list" },
        { "^P", "ed-prev-history" },
        { "^N", "ed-next-history" },
        { "^R", "em-inc-search-prev" },
        { "\\e[A", "ed-prev-history" },
        { "\\e[B", "ed-next-history" },
        { "\\e[C", "ed-next-char" },
        { "\\e[D", "ed-prev-char" },
        { "\\e[H", "ed-move-to-beg" },
        { "\\e[F", "ed-move-to-end" },
        { "\\e[1~", "ed-move-to-beg" },
        { "\\e[4~", "ed-move-to-end" },
        { "\\e[3~", "ed-delete-next-char" },
        { "\\eb", "ed-prev-word" },
        { "\\ef", "em-next-word" },
        { "\\e[1;5D", "ed-prev-word" },
        { "\\e[1;5C", "em-next-word" },
        { "\\e[200~", "aerie-paste" },
    };
    el_set(in->edit, EL_EDITOR, "emacs");
    /* The narrow call keeps copies of both texts for ever. */
    el_wset(in->edit, EL_ADDFN, L"aerie-paste", L"take text that is pasted", paste);
    for (size_t i = 0; i < AE_COUNT(keys); i++)
        el_set(in->edit, EL_BIND, keys[i][0], keys[i][1], NULL);
}

aerie_status cli_input_open(cli_input **out, const char *path, aerie_error *err)
{
    HistEvent event;
    cli_input *in = *out = ae_alloc(1, sizeof *in);
    if (!in) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a conversation");
    take_locale();
    catch_changes();
    in->keeps = true;
    in->pastes = is_able(getenv("TERM"));
    in->path = path ? ae_strdup(path) : NULL;
    in->edit = el_init("aerie", stdin, stdout, stderr);
    in->history = history_init();
    if (!in->edit || !in->history) {
        cli_input_close(in);
        *out = NULL;
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "this terminal cannot be talked at; give the prompt after the model's "
                          "name");
    }
    el_set(in->edit, EL_CLIENTDATA, in);
    el_set(in->edit, EL_PROMPT, prompt_of);
    el_set(in->edit, EL_GETCFN, read_key);
    bind_keys(in);
    history(in->history, &event, H_SETSIZE, MOST_HISTORY);
    history(in->history, &event, H_SETUNIQUE, 1);
    el_set(in->edit, EL_HIST, history, in->history);
    if (in->path) history(in->history, &event, H_LOAD, in->path);
    return AERIE_OK;
}

void cli_input_close(cli_input *in)
{
    if (!in) return;
    if (in->edit) el_end(in->edit);
    if (in->history) history_end(in->history);
    ae_free(in->path);
    ae_free(in);
}

cli_input_kind cli_input_read(cli_input *in, const char *prompt, ae_bytes *line)
{
    int n = 0;
    ae_bytes_clear(line);
    snprintf(in->prompt, sizeof in->prompt, "%s", prompt);
    in->interrupted = false;
    el_resize(in->edit);
    /* Before the prompt shows: keys typed from then on are the editor's, not the terminal's. */
    el_set(in->edit, EL_PREP_TERM, 1);
    ask_for_paste(in, true);
    const char *text = el_gets(in->edit, &n);
    ask_for_paste(in, false);
    if (in->interrupted) {
        cli_forget_interrupt();
        el_reset(in->edit);
        return CLI_INPUT_INTERRUPTED;
    }
    if (!text || n <= 0) return CLI_INPUT_END;
    size_t len = strlen(text);
    if (len && text[len - 1] == '\n') len--;
    ae_bytes_add(line, text, len);
    return CLI_INPUT_LINE;
}

void cli_input_remember(cli_input *in, const char *message)
{
    HistEvent event;
    if (!in->keeps) return;
    history(in->history, &event, H_ENTER, message);
    if (in->path) history(in->history, &event, H_SAVE, in->path);
}

void cli_input_keep_history(cli_input *in, bool keep)
{
    in->keeps = keep;
}
