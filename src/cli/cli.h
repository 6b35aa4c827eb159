/* cli.h -- what the commands share: options, places, progress, messages. */
#ifndef AE_CLI_H
#define AE_CLI_H

#include "aerie/hub.h"
#include "aerie/model.h"
#include "aerie/store.h"
#include "base/base.h"

/* Exit codes; part of the contract with scripts. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

typedef enum {
    CLI_FLAG,
    CLI_MAYBE,
    CLI_TEXT,
    CLI_INT,
    CLI_COUNT, /* a whole number of 0 or more */
    CLI_FLOAT,
    CLI_AMOUNT, /* a number of 0 or more */
    CLI_LIST
} cli_kind;

/* A repeatable option's values, in order. */
typedef struct {
    const char *items[64];
    int n;
} cli_list;

/* One option. CLI_MAYBE is a flag that may have a value, "--think=low": a text, "" without one.
 * CLI_COUNT and CLI_AMOUNT are CLI_INT and CLI_FLOAT that refuse what is below 0. `to` points at a
 * bool, const char *, int64_t, double or cli_list, as `kind` says. */
typedef struct {
    const char *name; /* "--seed" */
    char letter;      /* 'p' for "-p"; 0: none */
    cli_kind kind;
    void *to;
    const char *value; /* how the help names the value: "N" */
    const char *help;
} cli_option;

/* What every command that computes takes. */
typedef struct {
    bool json, quiet, help, pin;
    bool force;                    /* go on where a warning would do */
    bool exact;                    /* an option of the commands that offer it, as is kv */
    const aerie_memory_plan *plan; /* what the model is opened for; NULL: memory is not looked at */
    const char *kv;
    int64_t threads;
    const char *cpu;
    cli_list adapters;
} cli_common;

/* The common options that a command may leave out, for it would not heed them. All take --json,
 * --quiet and --help. */
enum {
    CLI_TAKES_THREADS = 1,
    CLI_TAKES_PIN = 2,
    CLI_TAKES_CPU = 4,
    CLI_TAKES_ADAPTER = 8,
    CLI_TAKES_FORCE = 16,
    CLI_TAKES_NONE = 32,
    CLI_TAKES_ALL = 31,
    CLI_TAKES_KERNELS = CLI_TAKES_THREADS | CLI_TAKES_CPU,
};

/* A command line being read: the command's own options beside the common ones. */
typedef struct {
    const char *usage;         /* "aerie bench MODEL [options]" */
    const char *about;         /* a sentence or two for the help */
    const cli_option *options; /* ends with a NULL name */
    unsigned takes;            /* of the common options, CLI_TAKES_*; 0: all of them */
    int min_words, max_words;  /* positional arguments */
    const char *words[8];
    int n_words;
} cli_call;

/* Reads argv[1..]. Returns true when the command should go on; else *code is the exit code (help
 * was asked for, or the words are wrong and a sentence was printed). */
bool cli_read(cli_call *call, cli_common *common, int argc, char **argv, int *code);

/* A command's help on stdout; of `common` those that it has no own option in place of. */
void cli_print_help(const cli_call *call, const cli_option *common, int n_common);

/* "aerie: sentence" on stderr; the exit code for the status. */
int cli_fail(const aerie_error *err);
/* The same for a wrong call: CLI_USAGE. */
int cli_misused(const char *format, ...) AERIE_PRINTF(1, 2);

/* The store ($AERIE_HOME, default ~/.aerie), the models installed with the program, Ollama's store
 * ($OLLAMA_MODELS, default ~/.ollama/models) and Hugging Face's cache ($HF_HUB_CACHE, $HF_HOME/hub,
 * default ~/.cache/huggingface/hub). */
const aerie_places *cli_places(void);
/* The record of runs in it. */
const char *cli_runs_path(void);
/* What a MODEL word stands for; aerie_stored_free(). */
aerie_status cli_resolve(const aerie_stored **out, const char *model, aerie_error *err);
/* The path of a MODEL word's weights; to be freed with aerie_free(). */
aerie_status cli_find(const char *model, char **path, aerie_error *err);
/* The same, for what would lose a model's own adapters: such a model is refused. */
aerie_status cli_find_whole(const char *model, char **path, aerie_error *err);
/* The model's own adapters, then --adapter's; borrowed of both. */
aerie_status cli_all_adapters(cli_list *out, const aerie_stored *stored, const cli_common *common,
                              aerie_error *err);
/* Finds and opens a MODEL with the common options. */
aerie_status cli_open(aerie_model **out, const char *model, const cli_common *common,
                      aerie_error *err);

/* The key for a judge's server: $AERIE_JUDGE_KEY; NULL: none. */
const char *cli_judge_key(void);

/* What --template stands for: a known format's name, a file's Jinja, or Jinja itself. */
aerie_status cli_read_template(ae_bytes *out, const char *word, aerie_error *err);

/* Ctrl-C: the first sets a flag that long work looks at, a second ends the process. */
void cli_catch_interrupt(void);
bool cli_interrupted(void);
void cli_forget_interrupt(void);

/* A line on stderr that is drawn over itself; nothing unless stderr is a terminal. */
typedef struct {
    bool shown, off;
    double drawn_at;
} cli_progress;
/* fraction 0 to 1; redraws at most some ten times a second. */
void cli_progress_draw(cli_progress *p, double fraction, const char *format, ...)
    AERIE_PRINTF(3, 4);
/* The same for what nobody knows the end of. */
void cli_progress_spin(cli_progress *p, const char *what);
void cli_progress_end(cli_progress *p); /* clears the line */

/* The option for cli_common.exact. */
#define CLI_EXACT(common)                                                                          \
    {                                                                                              \
        "--exact", 0, CLI_FLAG, &(common)->exact, NULL,                                            \
            "compute in float32 (slow): what rounding activations to 8 bits is compared with"      \
    }
/* The option for cli_common.kv. */
#define CLI_KV(common)                                                                             \
    {                                                                                              \
        "--kv", 0, CLI_TEXT, &(common)->kv, "TYPE",                                                \
            "keep keys and values of past tokens as f16 (default), f32 or q8_0"                    \
    }
/* ... for commands that score texts. */
#define CLI_SCORE_KV(common)                                                                       \
    {                                                                                              \
        "--kv", 0, CLI_TEXT, &(common)->kv, "TYPE",                                                \
            "read in passes, keys and values kept as f16, f32 or q8_0; default: at once, in f32"   \
    }

/* Rows of cells (each "" or a text, NULL: the row is shorter) in columns, four spaces apart. */
typedef struct {
    const char *cells[6];
} cli_row;
void cli_print_table(const cli_row *rows, size_t n, const char *indent);

/* "1.2 GB", "34 s", for people. Written into a buffer of 32. */
const char *cli_bytes(char out[32], double bytes);
const char *cli_seconds(char out[32], double seconds);
/* As Ollama has it: "3 minutes ago", "1 hour from now". */
const char *cli_write_span(char out[48], int64_t seconds, const char *direction);

/* The commands, one file each; argv[0] is the command's name. */
typedef int cli_command_fn(int argc, char **argv);
cli_command_fn cli_align, cli_merge, cli_runs, cli_serve;
cli_command_fn cli_copy, cli_create, cli_pull, cli_push, cli_models, cli_processes, cli_remove,
    cli_show, cli_stop, cli_verify;
cli_command_fn cli_arena, cli_bench, cli_compare, cli_convert, cli_eval, cli_imatrix, cli_inspect,
    cli_judge, cli_lint, cli_logits, cli_perplexity, cli_quantize, cli_render, cli_run, cli_score,
    cli_selftest, cli_tokenize, cli_train;

#endif
