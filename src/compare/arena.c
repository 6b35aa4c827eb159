/* arena.c -- votes in an SQLite file, their ratings, their pairs. */
#include "aerie/arena.h"

#include "compare/report.h"
#include "database/database.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS = 256 };

struct aerie_arena {
    ae_database db;
};

static const ae_database_kind kind = {
    .what = "the file of votes",
    .maker = "`aerie arena` begins it",
    .version = 1,
    .wait_ms = 5000,
    .schema = "CREATE TABLE votes (id INTEGER PRIMARY KEY, at INTEGER NOT NULL,"
              " voter TEXT NOT NULL, messages TEXT NOT NULL, model_a TEXT NOT NULL,"
              " model_b TEXT NOT NULL, reply_a TEXT NOT NULL, reply_b TEXT NOT NULL,"
              " vote INTEGER NOT NULL);",
};

typedef aerie_status open_fn(ae_database *, const ae_database_kind *, const char *, aerie_error *);

static aerie_status open_votes(aerie_arena **out, open_fn *open_file, const char *path,
                               aerie_error *err)
{
    aerie_arena *a = ae_alloc(1, sizeof *a);
    aerie_status status;

    *out = NULL;
    if (!a) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for votes");
    status = open_file(&a->db, &kind, path, err);
    if (status)
        ae_free(a);
    else
        *out = a;
    return status;
}

aerie_status aerie_arena_open(aerie_arena **out, const char *path, aerie_error *err)
{
    return open_votes(out, ae_database_create, path, err);
}

aerie_status aerie_arena_read(aerie_arena **out, const char *path, aerie_error *err)
{
    return open_votes(out, ae_database_open, path, err);
}

void aerie_arena_close(aerie_arena *a)
{
    if (!a) return;
    ae_database_close(&a->db);
    ae_free(a);
}

/* ---- votes ---- */

static void bind_vote(sqlite3_stmt *s, const aerie_vote *v)
{
    ae_database_bind(s, 1, v->voter);
    ae_database_bind(s, 2, v->messages);
    ae_database_bind(s, 3, v->model_a);
    ae_database_bind(s, 4, v->model_b);
    ae_database_bind(s, 5, v->reply_a);
    ae_database_bind(s, 6, v->reply_b);
}

aerie_status aerie_arena_vote(aerie_arena *a, const aerie_vote *vote, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(
        &a->db, &s,
        "INSERT INTO votes (voter, messages, model_a, model_b, reply_a, reply_b, vote, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        err);

    if (status) return status;
    bind_vote(s, vote);
    sqlite3_bind_int(s, 7, (int)vote->vote);
    sqlite3_bind_int64(s, 8, ae_clock_unix_seconds());
    status = ae_database_step(&a->db, s, err);
    sqlite3_finalize(s);
    return status;
}

aerie_status aerie_arena_has(aerie_arena *a, const aerie_vote *vote, bool *has, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status =
        ae_database_prepare(&a->db, &s,
                            "SELECT 1 FROM votes WHERE voter = ?1 AND messages = ?2 AND"
                            " ((model_a = ?3 AND model_b = ?4 AND reply_a = ?5 AND reply_b = ?6) OR"
                            "  (model_a = ?4 AND model_b = ?3 AND reply_a = ?6 AND reply_b = ?5))",
                            err);

    *has = false;
    if (status) return status;
    bind_vote(s, vote);
    status = ae_database_row(&a->db, s, has, err);
    sqlite3_finalize(s);
    return status;
}

/* ---- ratings ---- */

typedef struct {
    char *names[MODELS];
    int64_t votes[MODELS], wins[MODELS], ties[MODELS];
    int32_t n;
    ae_battle *battles;
    size_t n_battles, cap;
} standing;

static int32_t model_of(standing *st, const char *name)
{
    for (int32_t i = 0; i < st->n; i++)
        if (!strcmp(st->names[i], name)) return i;
    if (st->n == MODELS) return -1;
    st->names[st->n] = ae_strdup(name);
    return st->names[st->n] ? st->n++ : -1;
}

static aerie_status take_vote(standing *st, sqlite3_stmt *s, aerie_error *err)
{
    const char *messages = ae_database_text(s, 0);
    int32_t a = model_of(st, ae_database_text(s, 1)), b = model_of(st, ae_database_text(s, 2));
    int vote = sqlite3_column_int(s, 3);

    if (a < 0 || b < 0)
        return aerie_fail(err, AERIE_UNSUPPORTED, "votes on more than %d models", MODELS);
    if (a == b) return AERIE_OK;
    if (st->n_battles == st->cap) {
        size_t cap = st->cap ? 2 * st->cap : 256;
        ae_battle *grown = ae_realloc(st->battles, st->cap, cap, sizeof *grown);
        if (!grown) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for votes");
        st->battles = grown;
        st->cap = cap;
    }
    st->battles[st->n_battles++] = (ae_battle){
        .a = a,
        .b = b,
        .score = vote == AERIE_VOTE_A   ? 1
                 : vote == AERIE_VOTE_B ? 0
                                        : 0.5,
        .item = (int64_t)(ae_hash64(messages, strlen(messages), 0) >> 1),
    };
    st->votes[a]++;
    st->votes[b]++;
    st->wins[a] += vote == AERIE_VOTE_A;
    st->wins[b] += vote == AERIE_VOTE_B;
    st->ties[a] += vote != AERIE_VOTE_A && vote != AERIE_VOTE_B;
    st->ties[b] += vote != AERIE_VOTE_A && vote != AERIE_VOTE_B;
    return AERIE_OK;
}

static aerie_status read_votes(standing *st, aerie_arena *a, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    aerie_status status = ae_database_prepare(
        &a->db, &s, "SELECT messages, model_a, model_b, vote FROM votes ORDER BY id", err);
    bool is_row = true;

    while (!status && is_row) {
        status = ae_database_row(&a->db, s, &is_row, err);
        if (!status && is_row) status = take_vote(st, s, err);
    }
    sqlite3_finalize(s);
    return status;
}

static json_t *standing_json(const standing *st, const double *rating, const ae_interval *range)
{
    json_t *list = json_array();
    bool told[MODELS] = { false };

    for (int32_t k = 0; k < st->n; k++) {
        int32_t best = -1;
        for (int32_t i = 0; i < st->n; i++)
            if (!told[i] && (best < 0 || rating[i] > rating[best])) best = i;
        told[best] = true;
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:o, s:I, s:I, s:I}", "model", st->names[best], "rating",
                            rating[best], "interval",
                            /* Resamples of votes that all agree say nothing of what others may. */
                            range[best].low < range[best].high ? ae_report_interval(range[best])
                                                               : json_null(),
                            "votes", (json_int_t)st->votes[best], "wins",
                            (json_int_t)st->wins[best], "ties", (json_int_t)st->ties[best]));
    }
    return json_pack("{s:I, s:o}", "votes", (json_int_t)st->n_battles, "models", list);
}

static aerie_status rate(char **json, const standing *st, aerie_error *err)
{
    const ae_rating_options options = { .prior = 1, .seed = 1 };
    double rating[MODELS] = { 0 };
    ae_interval range[MODELS] = { 0 };
    aerie_status status = AERIE_OK;

    if (st->n > 0)
        status = ae_rating_bradley_terry(rating, st->battles, st->n_battles, st->n, &options, err);
    if (!status && st->n > 0)
        status = ae_rating_bootstrap(range, st->battles, st->n_battles, st->n, &options, err);
    if (status) return status;
    json_t *o = standing_json(st, rating, range);
    char *text = o ? json_dumps(o, JSON_REAL_PRECISION(8)) : NULL;
    *json = text ? ae_strdup(text) : NULL;
    free(text);
    json_decref(o);
    return *json ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for ratings");
}

aerie_status aerie_arena_ratings(aerie_arena *a, char **json, aerie_error *err)
{
    standing *st = ae_alloc(1, sizeof *st);
    aerie_status status;

    *json = NULL;
    if (!st) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for ratings");
    status = read_votes(st, a, err);
    if (!status) status = rate(json, st, err);
    for (int32_t i = 0; i < st->n; i++) ae_free(st->names[i]);
    ae_free(st->battles);
    ae_free(st);
    return status;
}

/* ---- pairs ---- */

static aerie_status write_pair(ae_file_writer *w, sqlite3_stmt *s, aerie_error *err)
{
    bool is_a = sqlite3_column_int(s, 3) == AERIE_VOTE_A;
    json_t *messages = json_loads(ae_database_text(s, 0), 0, NULL);
    json_t *line =
        json_pack("{s:o, s:[{s:s, s:s}], s:[{s:s, s:s}]}", "prompt", messages, "chosen", "role",
                  "assistant", "content", ae_database_text(s, is_a ? 1 : 2), "rejected", "role",
                  "assistant", "content", ae_database_text(s, is_a ? 2 : 1));
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

    json_decref(line);
    if (!text) return aerie_fail(err, AERIE_BAD_FILE, "a vote's texts are no JSON");
    ae_file_writer_add(w, text, strlen(text));
    ae_file_writer_add(w, "\n", 1);
    free(text);
    return AERIE_OK;
}

aerie_status aerie_arena_export(aerie_arena *a, const char *path, int64_t *n, aerie_error *err)
{
    sqlite3_stmt *s = NULL;
    ae_file_writer w = { 0 };
    bool is_row = true;
    aerie_status status = ae_database_prepare(
        &a->db, &s,
        "SELECT messages, reply_a, reply_b, vote FROM votes WHERE vote IN (0, 1)"
        " ORDER BY id",
        err);

    if (n) *n = 0;
    if (!status) status = ae_file_writer_open(&w, path, err);
    while (!status && is_row) {
        status = ae_database_row(&a->db, s, &is_row, err);
        if (!status && is_row) status = write_pair(&w, s, err);
        if (!status && is_row && n) ++*n;
    }
    if (!status) status = ae_file_writer_commit(&w, err);
    ae_file_writer_abandon(&w);
    sqlite3_finalize(s);
    return status;
}
