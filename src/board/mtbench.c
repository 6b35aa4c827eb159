/* mtbench.c -- MT-Bench's scores and win rates (Zheng et al. 2306.05685; FastChat, llm_judge,
 * common.py and show_result.py). */
#include "board/rows.h"
#include "stats/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a judge's words say ---- */

static bool is_digit(ae_span s, size_t at)
{
    return at < s.len && s.data[at] >= '0' && s.data[at] <= '9';
}

/* digits, a point and digits; the place after them, or `at` when there is no number. */
static size_t past_number(ae_span s, size_t at)
{
    if (!is_digit(s, at)) return at;
    while (is_digit(s, at)) at++;
    if (at < s.len && s.data[at] == '.') at++;
    while (is_digit(s, at)) at++;
    return at;
}

/* NaN for what Python takes for no literal: a zero before other digits, and no point. */
static double number_of(ae_span s, size_t begin, size_t end)
{
    char text[32];
    size_t n = end - begin;

    if (n >= sizeof text) return NAN;
    memcpy(text, s.data + begin, n);
    text[n] = '\0';
    if (text[0] == '0' && !strchr(text, '.') && strspn(text, "0") != n) return NAN;
    return strtod(text, NULL);
}

static bool has_marks(ae_span s, size_t at, char mark, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (at + i >= s.len || s.data[at + i] != mark) return false;
    return true;
}

/* The first number, or two with a comma between, within `n` brackets. */
static bool in_brackets(ae_span s, size_t n, size_t n_numbers, double *numbers)
{
    for (size_t from = 0; from + 2 * n < s.len; from++) {
        size_t at = from + n, i = 0;
        if (!has_marks(s, from, '[', n)) continue;
        for (; i < n_numbers; i++) {
            size_t begin = at;
            at = past_number(s, begin);
            if (at == begin) break;
            numbers[i] = number_of(s, begin, at);
            if (i + 1 == n_numbers) continue;
            if (at >= s.len || s.data[at++] != ',') break;
            if (at < s.len && s.data[at] == ' ') at++;
        }
        if (i == n_numbers && has_marks(s, at, ']', n)) return true;
    }
    return false;
}

double ae_board_rating(ae_span judgment)
{
    double mark;

    if (!in_brackets(judgment, 2, 1, &mark) && !in_brackets(judgment, 1, 1, &mark)) return -1;
    return isnan(mark) ? -1 : mark;
}

static bool has_text(ae_span s, const char *text)
{
    size_t n = strlen(text);

    for (size_t at = 0; at + n <= s.len; at++)
        if (!memcmp(s.data + at, text, n)) return true;
    return false;
}

char ae_board_winner(ae_span judgment)
{
    return (char)(has_text(judgment, "[[A]]")   ? 'A'
                  : has_text(judgment, "[[B]]") ? 'B'
                  : has_text(judgment, "[[C]]") ? 'C'
                                                : 0);
}

char ae_board_winner_by_marks(ae_span judgment)
{
    double marks[2];

    if (!in_brackets(judgment, 2, 2, marks) && !in_brackets(judgment, 1, 2, marks)) return 0;
    if (isnan(marks[0]) || isnan(marks[1])) return 0;
    if (fabs(marks[0] - marks[1]) <= 0.1) return 'C';
    return marks[0] > marks[1] ? 'A' : 'B';
}

/* ---- single answers ---- */

enum { TURNS = 2 };
static const char *const categories[] = { "writing", "roleplay",   "reasoning", "math",
                                          "coding",  "extraction", "stem",      "humanities" };
enum { CATEGORIES = AE_COUNT(categories), FIRST_QUESTION = 81, A_CATEGORY = 10 };

/* A question's marks: it, not a turn, is what was drawn from all questions that one could ask. */
typedef struct {
    double sum, n;
} question;

typedef struct {
    char *name, *judge;
    ae_board_list marks, turns[TURNS], of_category[CATEGORIES];
    ae_board_names ids;
    question *questions;
    size_t cap_questions;
    int64_t n_without;
} rated;

/* One of two in pairs. */
typedef struct {
    char *name;
    int64_t win, loss, tie;
} player;

typedef struct {
    ae_board_names model_names, player_names;
    rated *models;
    player *players;
    size_t cap_models, cap_players;
    json_t *category_of; /* question id: name, as the questions' file has it */
    int64_t n_pairs, n_dropped;
} mtbench;

static int category_of(const mtbench *b, const json_t *row, const char *id)
{
    const char *name = json_string_value(json_object_get(row, "category"));
    long number = strtol(id, NULL, 10), last = FIRST_QUESTION + CATEGORIES * A_CATEGORY - 1;

    if (!name) name = json_string_value(json_object_get(b->category_of, id));
    for (int i = 0; name && i < CATEGORIES; i++)
        if (!strcmp(name, categories[i])) return i;
    /* The published questions: 81 to 160, ten of each. */
    if (name || number < FIRST_QUESTION || number > last) return -1;
    return (int)(number - FIRST_QUESTION) / A_CATEGORY;
}

static rated *model_at(mtbench *b, const json_t *row, const char *name)
{
    const json_t *judge = json_object_get(row, "judge");
    size_t at = ae_board_names_at(&b->model_names, name);
    void *items = b->models;

    if (at == SIZE_MAX || !ae_board_grow(&items, &b->cap_models, at, sizeof *b->models))
        return NULL;
    b->models = items;
    rated *m = &b->models[at];
    if (m->name) return m;
    if (json_is_array(judge)) judge = json_array_get(judge, 0);
    m->name = ae_strdup(name);
    m->judge = ae_strdup(json_is_string(judge) ? json_string_value(judge) : "");
    return m->name && m->judge ? m : NULL;
}

/* FastChat's -1 and rows without a mark are no marks. */
static double mark_of(const json_t *row)
{
    const json_t *score = json_object_get(row, "score");
    const char *words = json_string_value(json_object_get(row, "judgment"));

    if (json_is_number(score)) return json_number_value(score);
    return words ? ae_board_rating(ae_span_text(words)) : -1;
}

static bool count_question(rated *m, const char *id, double mark)
{
    size_t at = ae_board_names_at(&m->ids, id);
    void *items = m->questions;

    if (at == SIZE_MAX || !ae_board_grow(&items, &m->cap_questions, at, sizeof *m->questions))
        return false;
    m->questions = items;
    m->questions[at].sum += mark;
    m->questions[at].n++;
    return true;
}

static aerie_status take_single(mtbench *b, const json_t *row, const char *name, aerie_error *err)
{
    char room[24];
    const char *id = ae_board_text(row, "question_id", room);
    json_int_t turn = json_integer_value(json_object_get(row, "turn"));
    double mark = mark_of(row);
    rated *m = model_at(b, row, name);

    if (!m) return ae_board_no_memory(err);
    if (!id || turn < 1 || turn > TURNS)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a judgment of MT-Bench needs 'question_id' and 'turn' (1 or 2)");
    if (mark < 0) {
        m->n_without++;
        return AERIE_OK;
    }
    int category = category_of(b, row, id);
    bool done = ae_board_list_add(&m->marks, mark) &&
                ae_board_list_add(&m->turns[turn - 1], mark) && count_question(m, id, mark) &&
                (category < 0 || ae_board_list_add(&m->of_category[category], mark));
    return done ? AERIE_OK : ae_board_no_memory(err);
}

/* ---- pairs ---- */

static player *player_at(mtbench *b, const char *name)
{
    size_t at = ae_board_names_at(&b->player_names, name);
    void *items = b->players;

    if (at == SIZE_MAX || !ae_board_grow(&items, &b->cap_players, at, sizeof *b->players))
        return NULL;
    b->players = items;
    player *p = &b->players[at];
    if (!p->name) p->name = ae_strdup(name);
    return p->name ? p : NULL;
}

/* Who won a game: 1, 2, 0 for a tie, -1 for no verdict. `first` is who was shown first. */
static int winner_of(const json_t *row, const char *winner_key, const char *words_key, int first)
{
    const char *winner = json_string_value(json_object_get(row, winner_key));
    const char *words = json_string_value(json_object_get(row, words_key));

    if (winner)
        return !strcmp(winner, "model_1")   ? 1
               : !strcmp(winner, "model_2") ? 2
               : !strcmp(winner, "tie")     ? 0
                                            : -1;
    switch (words ? ae_board_winner(ae_span_text(words)) : 0) {
    case 'A':
        return first;
    case 'B':
        return 3 - first;
    case 'C':
        return 0;
    default:
        return -1;
    }
}

static aerie_status take_pair(mtbench *b, const json_t *row, const char *one, const char *two,
                              aerie_error *err)
{
    int g1 = winner_of(row, "g1_winner", "g1_judgment", 1);
    int g2 = winner_of(row, "g2_winner", "g2_judgment", 2);

    if (!player_at(b, one) || !player_at(b, two)) return ae_board_no_memory(err);
    /* Asked for anew: the second may have moved the first. */
    player *p1 = player_at(b, one), *p2 = player_at(b, two);
    b->n_pairs++;
    if (g1 < 0 || g2 < 0) {
        b->n_dropped++;
    } else if (g1 == g2 && g1 != 0) {
        player *winner = g1 == 1 ? p1 : p2, *loser = g1 == 1 ? p2 : p1;
        winner->win++;
        loser->loss++;
    } else {
        p1->tie++;
        p2->tie++;
    }
    return AERIE_OK;
}

static aerie_status take(void *user, const json_t *row, aerie_error *err)
{
    mtbench *b = user;
    const char *one = json_string_value(json_object_get(row, "model_1"));
    const char *two = json_string_value(json_object_get(row, "model_2"));
    const char *name = json_string_value(json_object_get(row, "model"));

    if (one && two) return take_pair(b, row, one, two, err);
    if (name) return take_single(b, row, name, err);
    return aerie_fail(err, AERIE_BAD_FILE,
                      "a judgment of MT-Bench needs 'model', or 'model_1' and 'model_2'");
}

static aerie_status take_question(void *user, const json_t *row, aerie_error *err)
{
    mtbench *b = user;
    char room[24];
    const char *id = ae_board_text(row, "question_id", room);
    json_t *name = json_object_get(row, "category");

    if (!id || !json_is_string(name))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a question of MT-Bench needs 'question_id' and 'category'");
    return json_object_set(b->category_of, id, name) ? ae_board_no_memory(err) : AERIE_OK;
}

/* ---- the board ---- */

static json_t *mean_of(const ae_board_list *list)
{
    return ae_board_real(ae_mean(list->x, list->n));
}

/* Of the mean over questions. */
static double error_of(const rated *m)
{
    double *means = ae_alloc(m->ids.n, sizeof *means), error;

    if (!means) return NAN;
    for (size_t i = 0; i < m->ids.n; i++) means[i] = m->questions[i].sum / m->questions[i].n;
    error = ae_mean_stderr(means, m->ids.n);
    ae_free(means);
    return error;
}

static json_t *tell_model(const rated *m)
{
    json_t *kinds = json_object();

    for (int i = 0; i < CATEGORIES; i++)
        if (m->of_category[i].n)
            json_object_set_new(kinds, categories[i], mean_of(&m->of_category[i]));
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "model", m->name, "judge",
                     m->judge, "score", mean_of(&m->marks), "stderr", ae_board_real(error_of(m)),
                     "first_turn", mean_of(&m->turns[0]), "second_turn", mean_of(&m->turns[1]), "n",
                     (json_int_t)m->marks.n, "without_mark", (json_int_t)m->n_without, "categories",
                     kinds);
}

static json_t *tell_player(const player *p)
{
    double n = (double)(p->win + p->loss + p->tie);

    return json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "model", p->name, "win",
                     (json_int_t)p->win, "loss", (json_int_t)p->loss, "tie", (json_int_t)p->tie,
                     "win_rate", ae_board_real((double)p->win / n), "loss_rate",
                     ae_board_real((double)p->loss / n), "win_rate_adjusted",
                     ae_board_real(((double)p->win + 0.5 * (double)p->tie) / n));
}

static json_t *tell(const mtbench *b)
{
    json_t *models = json_array(), *pairs = json_array();

    for (size_t i = 0; i < b->model_names.n; i++)
        json_array_append_new(models, tell_model(&b->models[i]));
    for (size_t i = 0; i < b->player_names.n; i++)
        json_array_append_new(pairs, tell_player(&b->players[i]));
    return json_pack("{s:s, s:o, s:o, s:I, s:I}", "benchmark", "mt-bench", "models",
                     ae_board_sorted(models, "score"), "pairwise",
                     ae_board_sorted(pairs, "win_rate_adjusted"), "pairs", (json_int_t)b->n_pairs,
                     "dropped", (json_int_t)b->n_dropped);
}

static void free_model(rated *m)
{
    ae_free(m->name);
    ae_free(m->judge);
    ae_free(m->marks.x);
    for (int i = 0; i < TURNS; i++) ae_free(m->turns[i].x);
    for (int i = 0; i < CATEGORIES; i++) ae_free(m->of_category[i].x);
    ae_board_names_free(&m->ids);
    ae_free(m->questions);
}

static void free_all(mtbench *b)
{
    for (size_t i = 0; i < b->cap_models; i++) free_model(&b->models[i]);
    for (size_t i = 0; i < b->cap_players; i++) ae_free(b->players[i].name);
    ae_free(b->models);
    ae_free(b->players);
    ae_board_names_free(&b->model_names);
    ae_board_names_free(&b->player_names);
    json_decref(b->category_of);
}

aerie_status ae_board_mtbench(json_t **out, const ae_board_files *files, aerie_error *err)
{
    mtbench b = { .category_of = json_object() };
    aerie_status status = b.category_of ? AERIE_OK : ae_board_no_memory(err);

    *out = NULL;
    if (!status) status = ae_board_each(files->texts, files->n_texts, take_question, &b, err);
    if (!status) status = ae_board_each(files->paths, files->n_paths, take, &b, err);
    if (!status && !(*out = tell(&b))) status = ae_board_no_memory(err);
    free_all(&b);
    return status;
}
