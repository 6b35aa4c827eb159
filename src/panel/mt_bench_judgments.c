/* mt_bench_judgments.c -- what a judge makes of the answers: a mark each, or of two which is
 * better, in both orders (gen_judgment.py, common.py). */
#include "panel/mt_bench.h"

#include "board/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { JUDGE_TOKENS = 2048, GAMES = 2 };

/* Something to be judged: an answer's mark, or two answers' games. */
typedef struct {
    size_t model, question, turn;
    bool known, asked[GAMES];
    char *user_prompt[GAMES], *words[GAMES]; /* of what has been asked; the second of pairs alone */
} item;

typedef struct {
    const ae_mt_bench_answers *answers;
    const ae_mt_bench_questions *q;
    const aerie_mt_bench_options *with;
    const char *judge;
    size_t baseline; /* of pairs; n_models: marks */
    item *items;
    size_t n, n_known;
    ae_journal log;
    aerie_grammar *grammar; /* of a judge here */
    char what[160], state[17];
} judging;

static bool is_pairs(const judging *j)
{
    return j->baseline < j->with->by.n_models;
}

static size_t n_games(const judging *j)
{
    return is_pairs(j) ? GAMES : 1;
}

/* ---- what is to be judged ---- */

static aerie_status list_items(judging *j, aerie_error *err)
{
    size_t most = j->with->by.n_models * j->q->n * AE_MT_BENCH_TURNS;

    j->items = ae_alloc(most, sizeof *j->items);
    if (!j->items) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for judgments");
    for (size_t m = 0; m < j->with->by.n_models; m++)
        for (size_t k = 0; k < j->q->n && m != j->baseline; k++)
            for (size_t t = 0; t < AE_MT_BENCH_TURNS && j->q->items[k].turns[t]; t++)
                j->items[j->n++] = (item){ .model = m, .question = k, .turn = t };
    return AERIE_OK;
}

/* ---- what is asked ---- */

/* Which of the published prompts. */
static const char *prompt_name(const judging *j, const item *x, char out[64])
{
    const bool with_reference = ae_mt_bench_needs_reference(&j->q->items[x->question]);
    const char *kind = is_pairs(j) ? (with_reference ? "pair-math-v1" : "pair-v2")
                                   : (with_reference ? "single-math-v1" : "single-v1");

    snprintf(out, 64, "%s%s", kind, x->turn > 0 ? "-multi-turn" : "");
    return out;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* In the second game of a pair the models change places. */
static aerie_status make_prompt(judging *j, item *x, size_t game, char **messages, aerie_error *err)
{
    const ae_mt_bench_question *q = &j->q->items[x->question];
    size_t first = x->model, second = is_pairs(j) ? j->baseline : x->model;
    char name[64];

    if (game > 0) {
        first = j->baseline;
        second = x->model;
    }
    char *const *a = j->answers[first].turns[x->question];
    char *const *b = j->answers[second].turns[x->question];
    const char *const places[] = { "question",
                                   q->turns[0],
                                   "question_1",
                                   q->turns[0],
                                   "question_2",
                                   or_empty(q->turns[1]),
                                   "answer",
                                   a[0],
                                   "answer_1",
                                   a[0],
                                   "answer_2",
                                   or_empty(a[1]),
                                   "answer_a",
                                   a[0],
                                   "answer_b",
                                   b[0],
                                   "answer_a_1",
                                   a[0],
                                   "answer_a_2",
                                   or_empty(a[1]),
                                   "answer_b_1",
                                   b[0],
                                   "answer_b_2",
                                   or_empty(b[1]),
                                   "ref_answer_1",
                                   or_empty(q->references[0]),
                                   "ref_answer_2",
                                   or_empty(q->references[1]),
                                   NULL };
    return ae_mt_bench_prompt(messages, &x->user_prompt[game], j->q, prompt_name(j, x, name),
                              places, err);
}

static int64_t judge_tokens(const judging *j)
{
    return j->with->by.judge_tokens > 0 ? j->with->by.judge_tokens : JUDGE_TOKENS;
}

static void empty(item *x)
{
    for (int g = 0; g < GAMES; g++) {
        ae_free(x->user_prompt[g]);
        ae_free(x->words[g]);
        x->user_prompt[g] = x->words[g] = NULL;
    }
}

static aerie_status next(void *user, ae_question *out, aerie_error *err)
{
    judging *j = user;

    for (size_t i = 0; i < j->n; i++)
        for (size_t game = 0; game < n_games(j) && !j->items[i].known; game++) {
            item *x = &j->items[i];
            if (x->asked[game]) continue;
            aerie_status status = make_prompt(j, x, game, &out->messages, err);
            if (status) return status;
            x->asked[game] = true;
            out->id = i * GAMES + game;
            out->sampling = aerie_sampling_default();
            out->sampling.temperature = 0;
            out->max_tokens = judge_tokens(j);
            out->grammar = j->grammar;
            return AERIE_OK;
        }
    return AERIE_OK;
}

/* ---- what is there ---- */

static bool is_label(const judging *j, size_t model, const json_t *row, const char *key)
{
    const char *name = json_string_value(json_object_get(row, key));

    return name && !strcmp(name, j->answers[model].label);
}

/* Fails where a row judges other answers, or other questions, than there are now. */
static aerie_status check_prompts(judging *j, item *x, const json_t *row, aerie_error *err)
{
    static const char *const of_pair[GAMES] = { "g1_user_prompt", "g2_user_prompt" };
    aerie_status status = AERIE_OK;

    for (size_t game = 0; game < n_games(j) && !status; game++) {
        const char *key = is_pairs(j) ? of_pair[game] : "user_prompt";
        const char *was = json_string_value(json_object_get(row, key));
        char *messages = NULL;
        status = make_prompt(j, x, game, &messages, err);
        if (!status && was && strcmp(was, x->user_prompt[game]) != 0)
            status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                                "it judges another answer of '%.100s' to question %lld than there "
                                "is now; move the file away to judge anew",
                                j->answers[x->model].label, (long long)j->q->items[x->question].id);
        free(messages);
    }
    empty(x);
    return status;
}

/* A row of an earlier run, or of FastChat. */
static aerie_status take_row(void *user, const json_t *row, aerie_error *err)
{
    judging *j = user;
    int64_t id = json_integer_value(json_object_get(row, "question_id"));
    json_int_t turn = json_integer_value(json_object_get(row, "turn"));
    aerie_status status = ae_panel_check_state(row, j->state, j->judge, err);

    for (size_t i = 0; i < j->n && !status; i++) {
        item *x = &j->items[i];
        if (x->known || (json_int_t)x->turn + 1 != turn || j->q->items[x->question].id != id)
            continue;
        x->known = is_pairs(j) ? is_label(j, x->model, row, "model_1") &&
                                     is_label(j, j->baseline, row, "model_2")
                               : is_label(j, x->model, row, "model");
        j->n_known += x->known;
        if (x->known) status = check_prompts(j, x, row, err);
    }
    return status;
}

/* ---- what becomes of it ---- */

static json_t *single_row(const judging *j, const item *x, const char *prompt)
{
    return json_pack("{s:I, s:s, s:[s, s], s:s, s:s, s:f, s:I, s:I}", "question_id",
                     (json_int_t)j->q->items[x->question].id, "model", j->answers[x->model].label,
                     "judge", j->judge, prompt, "user_prompt", x->user_prompt[0], "judgment",
                     x->words[0], "score", ae_board_rating(ae_span_text(x->words[0])), "turn",
                     (json_int_t)x->turn + 1, "tstamp", (json_int_t)time(NULL));
}

/* A winner by name: in the second game the second model is A. */
static const char *winner(const char *words, size_t game)
{
    switch (ae_board_winner(ae_span_text(words))) {
    case 'A':
        return game ? "model_2" : "model_1";
    case 'B':
        return game ? "model_1" : "model_2";
    case 'C':
        return "tie";
    default:
        return "error";
    }
}

static json_t *pair_row(const judging *j, const item *x, const char *prompt)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:[s, s], s:s, s:s, s:s, s:s, s:I, s:I}",
                     "question_id", (json_int_t)j->q->items[x->question].id, "model_1",
                     j->answers[x->model].label, "model_2", j->answers[j->baseline].label,
                     "g1_winner", winner(x->words[0], 0), "g2_winner", winner(x->words[1], 1),
                     "judge", j->judge, prompt, "g1_user_prompt", x->user_prompt[0], "g1_judgment",
                     x->words[0], "g2_user_prompt", x->user_prompt[1], "g2_judgment", x->words[1],
                     "turn", (json_int_t)x->turn + 1, "tstamp", (json_int_t)time(NULL));
}

static aerie_status take(void *user, const ae_answer *answer, aerie_error *err)
{
    judging *j = user;
    item *x = &j->items[answer->id / GAMES];
    char prompt[64];
    json_t *row;

    x->words[answer->id % GAMES] = ae_strdup(answer->failed ? answer->failed : answer->text);
    if (!x->words[answer->id % GAMES])
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judgment");
    for (size_t g = 0; g < n_games(j); g++)
        if (!x->words[g]) return AERIE_OK;
    prompt_name(j, x, prompt);
    row = is_pairs(j) ? pair_row(j, x, prompt) : single_row(j, x, prompt);
    if (row && *j->state) json_object_set_new(row, "state", json_string(j->state));
    aerie_status status = ae_journal_add(&j->log, row, AE_JOURNAL_ASCII, err);
    empty(x);
    x->known = true;
    j->n_known++;
    return status;
}

static bool go_on(void *user)
{
    const judging *j = user;

    return !j->with->by.progress ||
           j->with->by.progress(j->with->by.user, j->what, (int64_t)j->n_known, (int64_t)j->n);
}

static aerie_status ask(judging *j, aerie_error *err)
{
    const ae_answer_work work = { j, next, take, go_on };
    const ae_answerer who = ae_panel_answerer(j->with->by.judge, &j->with->by);
    aerie_status status = AERIE_OK;

    if (j->n_known == j->n) return AERIE_OK;
    if (!j->with->by.judge->url)
        status = ae_panel_grammar(&j->grammar, judge_tokens(j),
                                  is_pairs(j) ? "[ABC]" : "[1-9] | \"10\"", err);
    if (!status) status = ae_answer_all(&who, &work, NULL, err);
    return status;
}

static aerie_status find_baseline(judging *j, aerie_error *err)
{
    j->baseline = j->with->by.n_models;
    for (size_t i = 0; j->with->baseline && i < j->with->by.n_models; i++)
        if (!strcmp(j->answers[i].label, j->with->baseline)) j->baseline = i;
    if (!j->with->baseline || is_pairs(j)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "no model is called '%s', with which the others are to be compared",
                      j->with->baseline);
}

aerie_status ae_mt_bench_judge(char **path, const ae_mt_bench_answers *answers,
                               const ae_mt_bench_questions *q, const aerie_mt_bench_options *with,
                               aerie_error *err)
{
    judging j = {
        .answers = answers, .q = q, .with = with, .judge = ae_panel_label(with->by.judge)
    };
    ae_bytes name = { 0 };
    aerie_status status = find_baseline(&j, err);

    *path = NULL;
    snprintf(j.what, sizeof j.what, "%s judges", j.judge);
    if (!status) status = list_items(&j, err);
    if (!status) status = ae_panel_state(j.state, with->by.judge, err);
    ae_bytes_printf(&name, "%s/model_judgment", with->by.folder);
    if (!status) status = ae_bytes_status(&name, err);
    if (!status) status = ae_file_make_folder(name.data, err);
    ae_bytes_printf(&name, "/%s_%s.jsonl", j.judge, is_pairs(&j) ? "pair" : "single");
    if (!status) status = ae_bytes_status(&name, err);
    if (!status)
        status = ae_journal_open(&j.log, name.data, "judgment of MT-Bench", take_row, &j, err);
    if (!status) status = ask(&j, err);
    if (!status) status = ae_journal_sync(&j.log, err);
    ae_journal_close(&j.log);
    aerie_grammar_free(j.grammar);
    for (size_t i = 0; i < j.n; i++) empty(&j.items[i]);
    ae_free(j.items);
    if (!status && !(*path = ae_strdup(name.data)))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a file's name");
    ae_bytes_free(&name);
    return status;
}
