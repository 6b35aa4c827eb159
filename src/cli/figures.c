/* figures.c -- how a reply went, in Ollama's lines. */
#include "cli/chat.h"

#include <stdio.h>

/* As Go writes a duration: "1m2.5s", "41.2ms". */
static void print_duration(const char *what, double seconds)
{
    char text[48];
    if (seconds <= 0) return;
    if (seconds < 1e-3)
        snprintf(text, sizeof text, "%.6gµs", seconds * 1e6);
    else if (seconds < 1)
        snprintf(text, sizeof text, "%.6gms", seconds * 1e3);
    else if (seconds < 60)
        snprintf(text, sizeof text, "%.7gs", seconds);
    else {
        long minutes = (long)(seconds / 60);
        double rest = seconds - 60.0 * (double)minutes;
        if (minutes < 60)
            snprintf(text, sizeof text, "%ldm%.6gs", minutes, rest);
        else
            snprintf(text, sizeof text, "%ldh%ldm%.6gs", minutes / 60, minutes % 60, rest);
    }
    fprintf(stderr, "%-21s %s\n", what, text);
}

static void print_count(const char *what, int64_t n)
{
    if (n > 0) fprintf(stderr, "%-21s %lld token(s)\n", what, (long long)n);
}

static void print_rate(const char *what, int64_t n, double seconds)
{
    if (seconds > 0) fprintf(stderr, "%-21s %.2f tokens/s\n", what, (double)n / seconds);
}

void cli_print_figures(const cli_figures *f)
{
    print_duration("total duration:", f->total_seconds);
    print_duration("load duration:", f->load_seconds);
    print_count("prompt eval count:", f->prompt_tokens);
    print_count("already computed:", f->reused_tokens);
    print_duration("prompt eval duration:", f->prompt_seconds);
    print_rate("prompt eval rate:", f->prompt_tokens - f->reused_tokens, f->prompt_seconds);
    print_count("eval count:", f->reply_tokens);
    print_duration("eval duration:", f->reply_seconds);
    print_rate("eval rate:", f->reply_tokens, f->reply_seconds);
    if (f->drafted_tokens > 0)
        fprintf(stderr, "%-21s %lld token(s), %lld right (%.0f %%)\n",
                "guessed ahead:", (long long)f->drafted_tokens, (long long)f->accepted_tokens,
                100 * (double)f->accepted_tokens / (double)f->drafted_tokens);
}

void cli_warn_of_reply(const cli_chat *c, const cli_figures *f)
{
    if (c->how->common.quiet) return;
    if (f->dropped_messages > 0)
        fprintf(stderr,
                "aerie: warning: the context did not hold the conversation; its %lld oldest "
                "messages were left out\n",
                (long long)f->dropped_messages);
    if (c->format && f->finish == AERIE_FINISH_LENGTH)
        fputs("aerie: warning: the reply's length ended it; it is the beginning of JSON\n", stderr);
}
