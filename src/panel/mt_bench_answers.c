/* mt_bench_answers.c -- what models say to the questions, turn after turn (gen_model_answer.py). */
#include "panel/mt_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_TOKENS = 1024 };

typedef struct {
    ae_mt_bench_answers *out;
    const ae_mt_bench_questions *q;
    const aerie_mt_bench_options *with;
    ae_journal log;
    char state[17];
    bool *asked; /* [questions]: its next turn is under way */
    size_t n_done, n_failed;
    char what[160];
} answering;

static size_t n_turns(const ae_mt_bench_question *q)
{
    return q->turns[1] ? 2 : 1;
}

/* How many turns of it are answered. */
static size_t n_answered(const answering *a, size_t at)
{
    size_t n = 0;

    while (n < n_turns(&a->q->items[at]) && a->out->turns[at][n]) n++;
    return n;
}

static bool is_done(const answering *a, size_t at)
{
    return n_answered(a, at) == n_turns(&a->q->items[at]);
}

/* ---- what is there ---- */

static aerie_status take_row(void *user, const json_t *row, aerie_error *err)
{
    answering *a = user;
    size_t at =
        ae_mt_bench_question_at(a->q, json_integer_value(json_object_get(row, "question_id")));
    const json_t *turns =
        json_object_get(json_array_get(json_object_get(row, "choices"), 0), "turns");

    if (at == a->q->n) return AERIE_OK;
    aerie_status status = ae_panel_check_state(row, a->state, a->out->label, err);
    if (status) return status;
    for (size_t i = 0; i < n_turns(&a->q->items[at]); i++) {
        const char *text = json_string_value(json_array_get(turns, i));
        if (!text)
            return aerie_fail(err, AERIE_BAD_FILE,
                              "an answer needs 'question_id' and 'choices' with 'turns'");
        ae_free(a->out->turns[at][i]);
        if (!(a->out->turns[at][i] = ae_strdup(text)))
            return aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
    }
    a->n_done++;
    return AERIE_OK;
}

/* ---- what is missing ---- */

/* The conversation so far, with the turn that is to be answered. */
static char *messages_of(const answering *a, size_t at)
{
    json_t *list = json_array();
    size_t n = n_answered(a, at);
    char *text;

    for (size_t i = 0; i <= n; i++) {
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "role", "user", "content", a->q->items[at].turns[i]));
        if (i < n)
            json_array_append_new(list, json_pack("{s:s, s:s}", "role", "assistant", "content",
                                                  a->out->turns[at][i]));
    }
    text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

/* Second turns first: their beginning is still in the cache. */
static size_t next_at(const answering *a)
{
    size_t best = a->q->n;

    for (size_t i = 0; i < a->q->n; i++) {
        if (a->asked[i] || is_done(a, i)) continue;
        if (n_answered(a, i) > 0) return i;
        if (best == a->q->n) best = i;
    }
    return best;
}

static aerie_status next(void *user, ae_question *out, aerie_error *err)
{
    answering *a = user;
    size_t at = next_at(a);

    if (at == a->q->n) return AERIE_OK;
    out->id = at;
    out->messages = messages_of(a, at);
    if (!out->messages) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a question");
    out->sampling = aerie_sampling_default();
    out->sampling.temperature = ae_mt_bench_temperature(&a->q->items[at]);
    out->sampling.top_k = 0;
    out->sampling.top_p = 1;
    out->max_tokens = a->with->by.max_tokens > 0 ? a->with->by.max_tokens : ANSWER_TOKENS;
    a->asked[at] = true;
    return AERIE_OK;
}

static aerie_status write_row(answering *a, size_t at, aerie_error *err)
{
    const ae_mt_bench_question *q = &a->q->items[at];
    json_t *turns = json_array(), *row;
    char id[64];

    for (size_t i = 0; i < n_turns(q); i++)
        json_array_append_new(turns, json_string(a->out->turns[at][i]));
    snprintf(id, sizeof id, "%lld-%lld", (long long)q->id, (long long)time(NULL));
    row = json_pack("{s:I, s:s, s:s, s:[{s:i, s:o}], s:I}", "question_id", (json_int_t)q->id,
                    "answer_id", id, "model_id", a->out->label, "choices", "index", 0, "turns",
                    turns, "tstamp", (json_int_t)time(NULL));
    if (row && *a->state) json_object_set_new(row, "state", json_string(a->state));
    aerie_status status = ae_journal_add(&a->log, row, AE_JOURNAL_ASCII, err);
    return status;
}

static aerie_status take(void *user, const ae_answer *answer, aerie_error *err)
{
    answering *a = user;
    size_t at = answer->id, turn = n_answered(a, at);

    /* FastChat's word for an answer that could not be had. */
    a->out->turns[at][turn] = ae_strdup(answer->failed ? "$ERROR$" : answer->text);
    a->n_failed += answer->failed != NULL;
    if (!a->out->turns[at][turn])
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an answer");
    a->asked[at] = false;
    if (!is_done(a, at)) return AERIE_OK;
    a->n_done++;
    return write_row(a, at, err);
}

static bool go_on(void *user)
{
    const answering *a = user;

    return !a->with->by.progress ||
           a->with->by.progress(a->with->by.user, a->what, (int64_t)a->n_done, (int64_t)a->q->n);
}

static aerie_status answer(answering *a, const aerie_contender *model, aerie_error *err)
{
    const ae_answer_work work = { a, next, take, go_on };
    const ae_answerer who = ae_panel_answerer(model, &a->with->by);

    if (next_at(a) == a->q->n) return AERIE_OK;
    return ae_answer_all(&who, &work, NULL, err);
}

aerie_status ae_mt_bench_answers_get(ae_mt_bench_answers *out, const aerie_contender *model,
                                     const ae_mt_bench_questions *q,
                                     const aerie_mt_bench_options *with, aerie_error *err)
{
    answering a = { .out = out, .q = q, .with = with };
    ae_bytes path = { 0 };
    aerie_status status;

    *out = (ae_mt_bench_answers){ .label = ae_strdup(ae_panel_label(model)),
                                  .turns = ae_alloc(q->n, sizeof *out->turns) };
    a.asked = ae_alloc(q->n, sizeof *a.asked);
    ae_bytes_printf(&path, "%s/model_answer", with->by.folder);
    if (!out->label || !out->turns || !a.asked || path.failed) {
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
    } else {
        snprintf(a.what, sizeof a.what, "%s answers", out->label);
        status = ae_panel_state(a.state, model, err);
        if (!status) status = ae_file_make_folder(path.data, err);
        ae_bytes_printf(&path, "/%s.jsonl", out->label);
        if (!status) status = ae_bytes_status(&path, err);
        if (!status)
            status = ae_journal_open(&a.log, path.data, "answer to MT-Bench", take_row, &a, err);
        if (!status) status = answer(&a, model, err);
        if (!status) status = ae_journal_sync(&a.log, err);
        ae_journal_close(&a.log);
    }
    ae_bytes_free(&path);
    ae_free(a.asked);
    return status;
}

void ae_mt_bench_answers_free(ae_mt_bench_answers *a, const ae_mt_bench_questions *q)
{
    for (size_t i = 0; a->turns && i < q->n; i++)
        for (int t = 0; t < AE_MT_BENCH_TURNS; t++) ae_free(a->turns[i][t]);
    ae_free(a->turns);
    ae_free(a->label);
    *a = (ae_mt_bench_answers){ 0 };
}
