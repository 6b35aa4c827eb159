/* main.c -- the table of commands. */
#include "aerie/log.h"
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *name;
    cli_command_fn *run;
    const char *about; /* NULL: another name of the one before */
} command;

static const command commands[] = {
    { "run", cli_run, "chat with a model" },
    { "serve", cli_serve, "models over HTTP, for clients of Ollama and of OpenAI" },
    { "train", cli_train, "run one training stage of a recipe" },
    { "align", cli_align, "the stages of a pipeline, in order, and its evaluation" },
    { "runs", cli_runs, "what was trained, and how it went: list, show, diff, plot" },
    { "lint", cli_lint, "what would go wrong in training, before it does" },
    { "convert", cli_convert, "Hugging Face folder to GGUF, and back" },
    { "quantize", cli_quantize, "a model in fewer bits" },
    { "merge", cli_merge, "adapters folded into a model, and what that cost" },
    { "imatrix", cli_imatrix, "which columns of the weights matter, for quantize" },
    { "perplexity", cli_perplexity, "how well a model predicts a text" },
    { "logits", cli_logits, "a text's logits, for parity checks" },
    { "eval", cli_eval, "benchmarks, as published tables ask them" },
    { "compare", cli_compare, "models on your own prompts, and which of them is better" },
    { "arena", cli_arena, "blind votes on two models' replies, and ratings of them" },
    { "judge", cli_judge, "MT-Bench and its like, and training data, by asking a judge" },
    { "score", cli_score, "a reward model's scores of replies" },
    { "tokenize", cli_tokenize, "text to token ids" },
    { "render", cli_render, "what a chat template makes of messages" },
    { "pull", cli_pull, "fetch a model from a registry or from Hugging Face" },
    { "push", cli_push, "send a model to a registry" },
    { "create", cli_create, "a model from a Modelfile" },
    { "list", cli_models, "the models that have a name" },
    { "ls", cli_models, NULL },
    { "show", cli_show, "what a model is, and its Modelfile" },
    { "cp", cli_copy, "another name for a model" },
    { "ps", cli_processes, "the models that a server has open" },
    { "stop", cli_stop, "a server closes a model" },
    { "rm", cli_remove, "remove models from the store" },
    { "verify", cli_verify, "is the store what it says it is?" },
    { "inspect", cli_inspect, "what is in a model, adapter or data file" },
    { "bench", cli_bench, "tokens per second" },
    { "selftest", cli_selftest, "golden numbers, on this machine, with this build" },
};

static void print_help(FILE *to)
{
    fputs("usage: aerie COMMAND ...\n\n"
          "Turns a base language model into an assistant, and keeps it on your own hardware.\n\n",
          to);
    for (size_t i = 0; i < AE_COUNT(commands); i++)
        if (commands[i].about) fprintf(to, "  %-11s %s\n", commands[i].name, commands[i].about);
    fputs("\nA MODEL is a .gguf file, a Hugging Face folder, or a name in the store\n"
          "($AERIE_HOME, default "
          "~/.aerie). run, ps and stop talk to the server at $AERIE_HOST (default\n"
          "127.0.0.1:11434) when one runs. `aerie COMMAND --help` tells a command's\n"
          "options. Try: aerie run nursery\n",
          to);
}

static int unknown(const char *word)
{
    const char *names[AE_COUNT(commands)];
    for (size_t i = 0; i < AE_COUNT(commands); i++) names[i] = commands[i].name;
    const char *near = ae_nearest(word, names, AE_COUNT(commands));
    if (near) return cli_misused("there is no command '%s'; did you mean '%s'?", word, near);
    return cli_misused("there is no command '%s'; `aerie --help` lists them", word);
}

/* A warning, on a line of its own: it clears a progress bar that may stand there. */
static void print_log(void *user, aerie_log_level level, const char *message)
{
    (void)user;
    if (level == AERIE_LOG_WARNING)
        fprintf(stderr, "%saerie: warning: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", message);
}

static int run_named(int argc, char **argv)
{
    for (size_t i = 0; i < AE_COUNT(commands); i++)
        if (!strcmp(argv[0], commands[i].name)) return commands[i].run(argc, argv);
    return unknown(argv[0]);
}

/* "aerie help judge label" is "aerie judge label --help". */
static int help_of(int argc, char **argv)
{
    static char help[] = "--help";
    char *words[] = { argv[0], argc > 1 ? argv[1] : help, help };
    return run_named(argc > 1 ? 3 : 2, words);
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "help") && argc > 2) return help_of(argc - 2, argv + 2);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return CLI_DONE;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-v")) {
        puts("aerie " AERIE_VERSION);
        return CLI_DONE;
    }
    return run_named(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    /* A reader that went away, and a file that may not grow, are failed writes, not deaths. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    aerie_log_set(print_log, NULL);
    int code = run_command(argc, argv);
    /* What was printed counts only once it is out: a full disk behind a pipe is a failure. */
    if ((fflush(stdout) || ferror(stdout)) && code == CLI_DONE) {
        fputs("aerie: cannot write to standard output\n", stderr);
        code = CLI_FAILED;
    }
    return code;
}
