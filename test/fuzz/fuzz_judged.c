/* fuzz_judged.c -- runs of AlpacaEval, Arena-Hard and MT-Bench over files of any bytes: questions,
 * the judge's prompt, and the answers and judgments of an earlier run. Nobody can be asked: what is
 * not there already ends the run with a sentence. A judge's words are read, too.
 *
 * The first byte says which benchmark, and whether AlpacaEval's own program left the files; they
 * stand one after the other, '\x1e' between them. */
#include "aerie/alpaca_eval.h"
#include "aerie/arena_hard.h"
#include "aerie/mt_bench.h"
#include "base/base.h"
#include "board/board.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { QUESTIONS, PROMPT, ANSWERS, JUDGMENTS, BESIDE, PARTS };
enum { ALPACA, ARENA, MT_MARKS, MT_PAIRS, BENCHMARKS };

static char folder[64];
static const char *const inner[] = { "m", "m/j", "model_answer", "model_judgment",
                                     "model_judgment/j" };

static void remove_folder(void)
{
    char command[96];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) perror(folder);
}

static void make_folder(void)
{
    char path[128];

    if (*folder) return;
    snprintf(folder, sizeof folder, "%s/judgedXXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(folder)) exit(2);
    atexit(remove_folder);
    for (size_t i = 0; i < AE_COUNT(inner); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, inner[i]);
        if (mkdir(path, 0700)) exit(2);
    }
}

/* No input finds what another has left. */
static void empty_folder(void)
{
    for (size_t i = 0; i < AE_COUNT(inner); i++) {
        char path[600];
        struct dirent *entry;
        snprintf(path, sizeof path, "%s/%s", folder, inner[i]);
        DIR *dir = opendir(path);
        while (dir && (entry = readdir(dir))) {
            snprintf(path, sizeof path, "%s/%s/%s", folder, inner[i], entry->d_name);
            if (entry->d_type == DT_REG && unlink(path)) exit(2);
        }
        if (dir) closedir(dir);
    }
}

/* A file of the folder with the part in it. */
static void put(const char *name, ae_span part)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    if (!file || fwrite(part.data, 1, part.len, file) != part.len || fclose(file)) exit(2);
}

static void cut(ae_span parts[PARTS], ae_span rest)
{
    for (int i = 0; i < PARTS; i++) {
        const char *end = rest.len ? memchr(rest.data, '\x1e', rest.len) : NULL;
        size_t len = end && i + 1 < PARTS ? (size_t)(end - rest.data) : rest.len;
        parts[i] = (ae_span){ rest.data, len };
        len += len < rest.len;
        rest.data += len;
        rest.len -= len;
    }
}

/* Two models of MT-Bench's pairs have the same answers. */
static void put_all(int benchmark, bool upstream, const ae_span parts[PARTS])
{
    const char *const answers[] = { upstream ? "m/model_outputs.json" : "m/model_outputs.jsonl",
                                    "model_answer/m.jsonl", "model_answer/m.jsonl",
                                    "model_answer/m.jsonl" };
    const char *const judgments[] = { upstream ? "m/j/annotations.json" : "m/j/annotations.jsonl",
                                      "model_judgment/j/m.jsonl", "model_judgment/j_single.jsonl",
                                      "model_judgment/j_pair.jsonl" };

    put("questions", parts[QUESTIONS]);
    put("prompt", parts[PROMPT]);
    put("beside", parts[BESIDE]);
    put(answers[benchmark], parts[ANSWERS]);
    if (benchmark == MT_PAIRS) put("model_answer/n.jsonl", parts[ANSWERS]);
    put(judgments[benchmark], parts[JUDGMENTS]);
}

static aerie_status run(int benchmark, const char *prompt, char **json, aerie_error *err)
{
    const aerie_contender models[] = { { .path = "/no/such/model", .label = "m" },
                                       { .path = "/no/such/model", .label = "n" } };
    const aerie_contender judge = { .path = "/no/such/model", .label = "j" };
    const aerie_judged by = { .models = models,
                              .n_models = benchmark == MT_PAIRS ? 2 : 1,
                              .judge = &judge,
                              .folder = folder };
    char questions[80], prompts[80], beside[80];

    snprintf(questions, sizeof questions, "%s/questions", folder);
    snprintf(prompts, sizeof prompts, "%s/prompt", folder);
    snprintf(beside, sizeof beside, "%s/beside", folder);
    const aerie_alpaca_eval_options alpaca = { .by = by, .questions = questions, .prompt = prompt };
    const aerie_arena_hard_options arena = {
        .by = by, .questions = questions, .baseline = beside, .prompt = prompt
    };
    const aerie_mt_bench_options mt = { .by = by,
                                        .questions = questions,
                                        .references = beside,
                                        .prompts = prompts,
                                        .baseline = benchmark == MT_PAIRS ? "n" : NULL };
    return benchmark == ALPACA  ? aerie_alpaca_eval(&alpaca, json, err)
           : benchmark == ARENA ? aerie_arena_hard(&arena, json, err)
                                : aerie_mt_bench(&mt, json, err);
}

/* What a judge said, and a server's probabilities. */
static void read_words(ae_span words)
{
    char marks[16], *text = ae_strndup(words.data ? words.data : "", words.len);
    json_t *top = json_loadb(words.data ? words.data : "", words.len, 0, NULL);
    double p = ae_board_alpaca_preference(top), rating = ae_board_rating(words);
    char winner = ae_board_winner(words), by_marks = ae_board_winner_by_marks(words);

    if (!isnan(p) && !(p >= 1 && p <= 2)) __builtin_trap();
    if (!(rating >= 0 || rating == -1)) __builtin_trap();
    if ((winner && !strchr("ABC", winner)) || (by_marks && !strchr("ABC", by_marks)))
        __builtin_trap();
    if (text && ae_board_arena_hard_verdict(text, marks) && strlen(marks) > 5) __builtin_trap();
    json_decref(top);
    ae_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_span parts[PARTS];
    aerie_error err = { 0 };
    char *prompt, *json = NULL;

    if (size < 1) return 0;
    int benchmark = data[0] % BENCHMARKS;
    cut(parts, (ae_span){ (const char *)data + 1, size - 1 });
    read_words(parts[BESIDE]);
    make_folder();
    empty_folder();
    put_all(benchmark, data[0] & 64, parts);
    prompt = ae_strndup(parts[PROMPT].data, parts[PROMPT].len);
    if (!prompt) return 0;
    if (run(benchmark, *prompt ? prompt : NULL, &json, &err)) {
        if (json || !err.message[0]) __builtin_trap();
    } else if (!json) {
        __builtin_trap();
    }
    aerie_free(json);
    ae_free(prompt);
    return 0;
}
