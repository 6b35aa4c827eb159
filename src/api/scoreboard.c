/* scoreboard.c -- the public face of benchmarks' numbers. */
#include "aerie/scoreboard.h"

#include "api/api.h"
#include "board/board.h"
#include "data/data.h"

#include <string.h>

aerie_status aerie_scoreboard(aerie_scoreboard_kind kind, const aerie_verdict_files *files,
                              char **json, aerie_error *err)
{
    const ae_board_files from = { files->paths, files->n_paths, files->texts, files->n_texts,
                                  files->difficulty };
    json_t *board = NULL;
    aerie_status status;

    *json = NULL;
    switch (kind) {
    case AERIE_MT_BENCH:
        status = ae_board_mtbench(&board, &from, err);
        break;
    case AERIE_ALPACA_EVAL:
        status = ae_board_alpaca(&board, &from, err);
        break;
    case AERIE_ARENA_HARD:
        status = ae_board_arena_hard(&board, &from, err);
        break;
    default:
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there is no such benchmark");
    }
    if (!status) status = ae_api_give_json(board, json, err);
    json_decref(board);
    return status;
}

/* ---- RewardBench ---- */

typedef struct {
    aerie_model *m;
    const aerie_score_options *options;
    aerie_scoreboard_progress_fn *progress;
    void *user;
    ae_rewardbench *board;
    int64_t n_done;
    double scores[2]; /* of the pair under way */
} reward_bench;

static bool on_scored(void *user, const aerie_scored *row)
{
    reward_bench *b = user;

    memcpy(b->scores, row->scores, sizeof b->scores);
    return true;
}

typedef struct {
    const char *prompt, *chosen, *rejected, *subset;
} pair;

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

/* LLMBar, of which RewardBench has a part under its own names: the label is the better output's
 * number. */
static void read_llmbar(pair *p, const json_t *row)
{
    static const char *const names[][2] = { { "Natural", "llmbar-natural" },
                                            { "Neighbor", "llmbar-adver-neighbor" },
                                            { "GPTInst", "llmbar-adver-GPTInst" },
                                            { "GPTOut", "llmbar-adver-GPTOut" },
                                            { "Manual", "llmbar-adver-manual" } };
    bool second = json_integer_value(json_object_get(row, "label")) == 2;

    p->prompt = text_of(row, "input");
    p->chosen = text_of(row, second ? "output_2" : "output_1");
    p->rejected = text_of(row, second ? "output_1" : "output_2");
    if (!p->subset) return;
    const char *folder = strrchr(p->subset, '/'); /* "Adversarial/Neighbor" */
    if (folder) p->subset = folder + 1;
    for (size_t i = 0; i < AE_COUNT(names); i++)
        if (!strcmp(p->subset, names[i][0])) p->subset = names[i][1];
}

static aerie_status take_pair(reward_bench *b, const json_t *row, aerie_error *err)
{
    pair p = { text_of(row, "prompt"), text_of(row, "chosen"), text_of(row, "rejected"),
               text_of(row, "subset") };
    aerie_status status;

    if (json_object_get(row, "output_1")) read_llmbar(&p, row);
    if (!p.prompt || !p.chosen || !p.rejected)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a pair needs 'prompt', 'chosen' and 'rejected', texts");
    const char *const replies[] = { p.chosen, p.rejected };
    status = aerie_score_replies(b->m, p.prompt, replies, 2, b->options, on_scored, b, err);
    if (!status)
        status = ae_rewardbench_add(b->board, p.subset ? p.subset : "all", b->scores[0],
                                    b->scores[1], err);
    b->n_done++;
    if (!status && b->progress && !b->progress(b->user, b->n_done))
        status =
            aerie_fail(err, AERIE_INTERRUPTED, "stopped after %lld pairs", (long long)b->n_done);
    return status;
}

static aerie_status take_file(reward_bench *b, const char *path, aerie_error *err)
{
    ae_rows *rows = NULL;
    ae_file_row row = { 0 };
    aerie_status status = ae_rows_open(&rows, path, err);

    while (!status && !(status = ae_rows_next(rows, &row, err)) && row.json) {
        status = take_pair(b, row.json, err);
        if (status) aerie_error_prefix(err, "%s:%zu", path, row.line);
        json_decref(row.json);
    }
    ae_rows_close(rows);
    return status;
}

aerie_status aerie_reward_bench(aerie_model *reward_model, const char *const *paths, size_t n_paths,
                                const aerie_score_options *options,
                                aerie_scoreboard_progress_fn *progress, void *user, char **json,
                                aerie_error *err)
{
    reward_bench b = { reward_model, options, progress, user, NULL, 0, { 0 } };
    json_t *board = NULL;
    aerie_status status = ae_rewardbench_open(&b.board, err);

    *json = NULL;
    for (size_t i = 0; i < n_paths && !status; i++) status = take_file(&b, paths[i], err);
    if (!status && !b.n_done)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: there is no pair in it", paths[0]);
    if (!status) status = ae_rewardbench_end(&board, b.board, err);
    if (!status) status = ae_api_give_json(board, json, err);
    json_decref(board);
    ae_rewardbench_close(b.board);
    return status;
}
