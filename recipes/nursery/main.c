/* main.c -- the nursery program: one table of commands, and the options they share. */
#include "nursery.h"

#include <errno.h>
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
    { "sft", nu_cmd_sft, "--seed S --n N [--split train]: demonstrations, good and flawed" },
    { "prompts", nu_cmd_prompts,
      "--seed S --n N --split train|heldout: prompts with their checks" },
    { "sample", nu_cmd_sample,
      "MODEL --file PROMPTS.jsonl [--n N --replies K --temp T --seed S --start MODEL --threads N]: "
      "replies" },
    { "train", nu_cmd_train,
      "RECIPE.yaml [--set KEY=VALUE ... --resume --threads N]: aerie train, rewarded by the "
      "checker" },
    { "reward", nu_cmd_reward, "answers JSON lines {reply, row} with scores: a reward command" },
    { "score", nu_cmd_score, "--file REPLIES.jsonl [--each]: replies scored by the checker" },
    { "pairs", nu_cmd_pairs, "--file REPLIES.jsonl --seed S: the best against a random worse one" },
    { "rank", nu_cmd_rank,
      "--file REPLIES.jsonl ...: every prompt's replies, of all files, ranked by the checker" },
    { "accuracy", nu_cmd_accuracy,
      "REWARD_MODEL --file RANKED.jsonl [--file OWN.jsonl]: how often it agrees with the ranks" },
    { "report", nu_cmd_report,
      "--file BASE.jsonl --file SFT.jsonl ... [--judge ACCURACY.json --time STAGE=S ... --json OUT "
      "--seconds T]: models compared" },
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int usage(FILE *to)
{
    fputs("usage: nursery COMMAND [options]\n", to);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
    return to == stderr ? 2 : 0;
}

static uint64_t number(const char *option, const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (!*text || *end || *text == '-') nu_die("%s wants a whole number, not '%s'", option, text);
    return n;
}

static double real(const char *option, const char *text)
{
    char *end;
    double x = strtod(text, &end);

    if (!*text || *end || !(x >= 0 && x < 1e9))
        nu_die("%s wants a number from 0, not '%s'", option, text);
    return x;
}

static bool take_count(nu_options *o, const char *name, const char *value)
{
    if (strcmp(name, "--seed") == 0) return o->seed = number(name, value), true;
    if (strcmp(name, "--n") == 0) return o->n = (size_t)number(name, value), true;
    if (strcmp(name, "--bytes") == 0) return o->bytes = (size_t)number(name, value), true;
    if (strcmp(name, "--threads") == 0) return o->threads = (int)(number(name, value) % 4096), true;
    if (strcmp(name, "--temp") == 0) return o->temperature = real(name, value), true;
    if (strcmp(name, "--seconds") == 0) return o->seconds = real(name, value), true;
    if (strcmp(name, "--replies") != 0) return false;
    o->replies = (size_t)number(name, value);
    if (!o->replies || o->replies > 64) nu_die("--replies goes from 1 to 64");
    return true;
}

static bool take_text(nu_options *o, const char *name, const char *value)
{
    if (strcmp(name, "--split") == 0) return o->split = value, true;
    if (strcmp(name, "--start") == 0) return o->start = value, true;
    if (strcmp(name, "--out") == 0) return o->out = value, true;
    if (strcmp(name, "--json") == 0) return o->json = value, true;
    if (strcmp(name, "--judge") == 0) return o->judge = value, true;
    if (strcmp(name, "--time") == 0 && o->n_times < sizeof o->times / sizeof *o->times)
        return o->times[o->n_times++] = value, true;
    if (strcmp(name, "--set") == 0 && o->n_settings < sizeof o->settings / sizeof *o->settings)
        return o->settings[o->n_settings++] = value, true;
    if (strcmp(name, "--file") != 0 || o->n_files == sizeof o->files / sizeof *o->files)
        return false;
    o->files[o->n_files++] = value;
    return true;
}

/* Takes argv[0] and perhaps its value argv[1]; returns how many words it used, 0: unknown. */
static int take_word(nu_options *o, char **argv, int left)
{
    if (argv[0][0] != '-' && !o->model) return o->model = argv[0], 1;
    if (strcmp(argv[0], "--each") == 0) return o->each = true, 1;
    if (strcmp(argv[0], "--resume") == 0) return o->resume = true, 1;
    if (left < 2) return 0;
    return take_count(o, argv[0], argv[1]) || take_text(o, argv[0], argv[1]) ? 2 : 0;
}

static int run(const command *c, int argc, char **argv)
{
    nu_options options = { .seed = 1, .bytes = 100000, .replies = 1, .temperature = 1 };

    for (int i = 0; i < argc;) {
        int used = take_word(&options, argv + i, argc - i);
        if (!used) {
            fprintf(stderr, "nursery: unknown or incomplete option '%s'\n", argv[i]);
            return 2;
        }
        i += used;
    }
    int code = c->run(&options);
    if (fflush(stdout)) nu_die("could not write the output: %s", strerror(errno));
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2) return usage(stderr);
    if (strcmp(argv[1], "--help") == 0) return usage(stdout);
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return run(&commands[i], argc - 2, argv + 2);
    fprintf(stderr, "nursery: unknown command '%s'\n", argv[1]);
    return usage(stderr);
}
