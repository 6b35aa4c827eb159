/* arena_hard.c -- Arena-Hard's scores (Li et al. 2406.11939; lmarena/arena-hard-auto,
 * show_result.py). */
#include "board/arena_hard.h"

#include <math.h>
#include <string.h>

enum { STRONG = 3, ROUNDS = 1000, SEED = 1 }; /* votes of A>>B */

/* ---- verdicts ---- */

static char upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

static bool is_mark(char c)
{
    c = upper(c);
    return c == 'A' || c == 'B' || c == '<' || c == '>' || c == '=';
}

/* The last run of marks within n brackets, upper-cased, into `out`; false: there is none. */
static bool last_marks(const char *words, size_t n, char out[16])
{
    const char *open = n == 2 ? "[[" : "[";
    bool some = false;

    for (const char *at = strstr(words, open); at; at = strstr(at + 1, open)) {
        const char *begin = at + n;
        size_t len = 0;
        while (is_mark(begin[len])) len++;
        if (!len || len >= 16 || strncmp(begin + len, n == 2 ? "]]" : "]", n) != 0) continue;
        for (size_t i = 0; i < len; i++) out[i] = upper(begin[i]);
        out[len] = '\0';
        some = true;
    }
    return some;
}

/* How many votes a verdict is, and what share of each goes to A. */
static const struct {
    const char *marks;
    int votes;
    double for_a;
} verdicts[] = {
    { "A>>B", STRONG, 1 }, { "A>B", 1, 1 },       { "A=B", 1, 0.5 }, { "A<B", 1, 0 },
    { "A<<B", STRONG, 0 }, { "B>>A", STRONG, 0 }, { "B>A", 1, 0 },   { "B=A", 1, 0.5 },
    { "B<A", 1, 1 },       { "B<<A", STRONG, 1 },
};

bool ae_board_arena_hard_verdict(const char *judgment, char out[16])
{
    if (!last_marks(judgment, 2, out) && !last_marks(judgment, 1, out)) return false;
    for (size_t i = 0; i < AE_COUNT(verdicts); i++)
        if (!strcmp(out, verdicts[i].marks)) return true;
    return false;
}

/* False: the game has no verdict. */
static bool take_game(ae_arena_hard_question *q, const json_t *game, bool model_is_a)
{
    const char *score = json_string_value(json_object_get(game, "score"));
    const json_t *judgment = json_object_get(game, "judgment");
    char marks[16];

    if (json_is_object(judgment)) judgment = json_object_get(judgment, "answer");
    if (!score && json_is_string(judgment) &&
        ae_board_arena_hard_verdict(json_string_value(judgment), marks))
        score = marks;
    for (size_t i = 0; score && i < AE_COUNT(verdicts); i++) {
        if (strcmp(score, verdicts[i].marks) != 0) continue;
        double share = model_is_a ? verdicts[i].for_a : 1 - verdicts[i].for_a;
        q->votes += verdicts[i].votes;
        q->won += verdicts[i].votes * share;
        return true;
    }
    return false;
}

/* ---- rows ---- */

/* As release 0.1 was judged, whose judgments do not name it. */
static const char *baseline_of(const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "baseline"));

    return name ? name : "gpt-4-0314";
}

/* "uid", or "question_id" as the first release wrote it. */
static const char *question_of(const json_t *row)
{
    const char *id = json_string_value(json_object_get(row, "uid"));

    return id ? id : json_string_value(json_object_get(row, "question_id"));
}

static ae_arena_hard_model *model_at(ae_arena_hard *b, const char *name, const json_t *row)
{
    size_t at = ae_board_names_at(&b->names, name);
    const char *judge = json_string_value(json_object_get(row, "judge"));
    void *items = b->models;

    if (at == SIZE_MAX || !ae_board_grow(&items, &b->cap, at, sizeof *b->models)) return NULL;
    b->models = items;
    ae_arena_hard_model *m = &b->models[at];
    if (m->name) return m;
    m->name = ae_strdup(name);
    m->judge = ae_strdup(judge ? judge : "");
    m->baseline = ae_strdup(baseline_of(row));
    return m->name && m->judge && m->baseline ? m : NULL;
}

static aerie_status take(void *user, const json_t *row, aerie_error *err)
{
    const char *name = json_string_value(json_object_get(row, "model"));
    const json_t *games = json_object_get(row, "games");
    ae_arena_hard_question q = { 0 };

    if (!name || json_array_size(games) != 2)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a judgment of Arena-Hard needs 'model' and two 'games'");
    ae_arena_hard *b = user;
    ae_arena_hard_model *m = model_at(b, name, row);
    if (!m) return ae_board_no_memory(err);
    if (!take_game(&q, json_array_get(games, 0), false) ||
        !take_game(&q, json_array_get(games, 1), true)) {
        m->n_dropped++;
        return AERIE_OK;
    }
    void *items = m->questions;
    q.uid = ae_board_names_at(&b->uids, question_of(row) ? question_of(row) : "");
    if (q.uid == SIZE_MAX) return ae_board_no_memory(err);
    if (!ae_board_grow(&items, &m->cap, m->n, sizeof q)) return ae_board_no_memory(err);
    m->questions = items;
    m->questions[m->n++] = q;
    return AERIE_OK;
}

/* ---- the board ---- */

static double score_of(const ae_arena_hard_question *q, const size_t *at, size_t n)
{
    double votes = 0, won = 0;

    for (size_t i = 0; i < n; i++) {
        const ae_arena_hard_question *one = &q[at ? at[i] : i];
        votes += one->votes;
        won += one->won;
    }
    return 100 * won / votes;
}

/* The 5 % and 95 % quantiles over resamples of the questions. Upstream draws votes; a question's
 * votes come together. */
static bool interval_of(const ae_arena_hard_model *m, double *low, double *high)
{
    double *scores = ae_alloc(ROUNDS, sizeof *scores);
    size_t *at = ae_alloc(m->n, sizeof *at);
    uint64_t seed = SEED;
    bool done = scores && at && m->n;

    for (int r = 0; done && r < ROUNDS; r++) {
        for (size_t i = 0; i < m->n; i++) at[i] = ae_paired_draw_below(&seed, m->n);
        scores[r] = score_of(m->questions, at, m->n);
    }
    if (done) {
        ae_quantile_sort(scores, ROUNDS);
        *low = ae_quantile(scores, ROUNDS, 0.05);
        *high = ae_quantile(scores, ROUNDS, 0.95);
    }
    ae_free(scores);
    ae_free(at);
    return done;
}

static json_t *tell_model(const ae_arena_hard_model *m)
{
    double low = NAN, high = NAN;

    interval_of(m, &low, &high);
    return json_pack("{s:s, s:s, s:o, s:[o, o], s:I, s:I}", "model", m->name, "judge", m->judge,
                     "score", ae_board_real(m->n ? score_of(m->questions, NULL, m->n) : NAN),
                     "interval90", ae_board_real(low), ae_board_real(high), "n", (json_int_t)m->n,
                     "dropped", (json_int_t)m->n_dropped);
}

aerie_status ae_board_arena_hard(json_t **out, const ae_board_files *files, aerie_error *err)
{
    ae_arena_hard b = { 0 };
    aerie_status status = ae_board_each(files->paths, files->n_paths, take, &b, err);
    json_t *models = json_array();

    for (size_t i = 0; !status && i < b.names.n; i++)
        json_array_append_new(models, tell_model(&b.models[i]));
    *out = json_pack("{s:s, s:o}", "benchmark", "arena-hard", "models",
                     ae_board_sorted(models, "score"));
    if (!status && !*out) status = ae_board_no_memory(err);
    if (!status && files->n_texts) status = ae_arena_hard_style(*out, &b, files, err);
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    for (size_t i = 0; i < b.cap; i++) {
        ae_free(b.models[i].name);
        ae_free(b.models[i].judge);
        ae_free(b.models[i].baseline);
        ae_free(b.models[i].questions);
    }
    ae_free(b.models);
    ae_board_names_free(&b.names);
    ae_board_names_free(&b.uids);
    return status;
}
