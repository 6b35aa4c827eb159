/* label_journal.c -- the verdicts of a run, a line each, as they come: what a killed run leaves. */
#include "eval/label_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char a_line[] = "verdict of `aerie judge label`";

static const char *kind_name(const ae_judge_task *task)
{
    return task->kind == AE_JUDGE_PAIR ? "pair" : "score";
}

static aerie_status keep(ae_label_journal *j, const ae_label_verdict *v, aerie_error *err)
{
    if (j->n == j->cap) {
        size_t cap = j->cap ? j->cap * 2 : 256;
        ae_label_verdict *grown = ae_realloc(j->items, j->cap, cap, sizeof *grown);
        if (!grown) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu verdicts", cap);
        j->items = grown;
        j->cap = cap;
    }
    j->items[j->n++] = *v;
    return AERIE_OK;
}

/* Whose verdicts are wanted, and where they go. */
typedef struct {
    ae_label_journal *j;
    const ae_judge *judge;
    const ae_judge_task *task;
    bool has_head;
} opening;

/* A journal of an earlier version tells no state. */
static bool is_of_another_state(const json_t *head, const ae_judge *judge)
{
    const char *was = json_string_value(json_object_get(head, "state"));

    return was && strcmp(was, judge->state) != 0;
}

static aerie_status check_head(const json_t *head, const ae_judge *judge, const ae_judge_task *task,
                               aerie_error *err)
{
    const char *was_judge = json_string_value(json_object_get(head, "judge"));
    const char *was_kind = json_string_value(json_object_get(head, "kind"));
    const char *was_words = json_string_value(json_object_get(head, "words"));
    char words[17];
    aerie_status status = ae_judge_task_hash(task, words, err);

    if (status) return status;
    if (!was_judge || !was_kind || !was_words) return ae_journal_refuse(a_line, err);
    if (strcmp(was_judge, judge->name) != 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the verdicts there are of the judge '%.100s', not of '%.100s'; name "
                          "another output or move the file away",
                          was_judge, judge->name);
    if (is_of_another_state(head, judge))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the verdicts there are of the judge '%.100s' as it was before its file "
                          "or template changed; name another output or move the file away",
                          judge->name);
    if (strcmp(was_kind, kind_name(task)) != 0 || strcmp(was_words, words) != 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the verdicts there answer another question (%.20s); name another output "
                          "or move the file away",
                          was_kind);
    return AERIE_OK;
}

static aerie_status read_verdict(ae_label_journal *j, const json_t *line, aerie_error *err)
{
    const json_t *row = json_object_get(line, "row"), *q = json_object_get(line, "q");
    const char *of = json_string_value(json_object_get(line, "of"));
    const char *choice = json_string_value(json_object_get(line, "verdict"));
    const json_t *score = json_object_get(line, "score");
    ae_label_verdict v = { .row = json_integer_value(row),
                           .q = (int32_t)json_integer_value(q),
                           .choice = choice ? *choice : 0,
                           .score = json_is_number(score) ? json_number_value(score) : NAN };

    if (!json_is_integer(row) || !json_is_integer(q) || !of || (choice && !strchr("ABC", *choice)))
        return ae_journal_refuse(a_line, err);
    v.of = strtoull(of, NULL, 16);
    return keep(j, &v, err);
}

static aerie_status read_line(void *user, const json_t *line, aerie_error *err)
{
    opening *w = user;

    if (w->has_head) return read_verdict(w->j, line, err);
    w->has_head = true;
    return check_head(line, w->judge, w->task, err);
}

/* Not before there is a verdict: a run that failed at its first question says nothing of a judge.
 */
static aerie_status make_head(ae_label_journal *j, const ae_judge *judge, const ae_judge_task *task,
                              aerie_error *err)
{
    char words[17];
    aerie_status status = ae_judge_task_hash(task, words, err);
    j->head = status ? NULL
                     : json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "journal", "aerie judge label",
                                 "version", 1, "judge", judge->name, "state", judge->state, "kind",
                                 kind_name(task), "words", words);

    if (!status && !j->head) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a journal");
    return status;
}

aerie_status ae_label_journal_open(ae_label_journal *j, const char *path, const ae_judge *judge,
                                   const ae_judge_task *task, aerie_error *err)
{
    opening w = { j, judge, task, false };
    aerie_status status;

    *j = (ae_label_journal){ 0 };
    status = ae_journal_open(&j->lines, path, a_line, read_line, &w, err);
    if (!status && !w.has_head) status = make_head(j, judge, task, err);
    if (status) ae_label_journal_close(j);
    ae_label_journal_sort(j);
    return status;
}

void ae_label_journal_close(ae_label_journal *j)
{
    ae_journal_close(&j->lines);
    json_decref(j->head);
    ae_free(j->items);
    *j = (ae_label_journal){ 0 };
}

static aerie_status write_head(ae_label_journal *j, aerie_error *err)
{
    json_t *head = j->head;

    j->head = NULL;
    return head ? ae_journal_add(&j->lines, head, AE_JOURNAL_UTF8, err) : AERIE_OK;
}

aerie_status ae_label_journal_add(ae_label_journal *j, const ae_judge_task *task,
                                  const ae_label_verdict *v, ae_span reply, aerie_error *err)
{
    char of[17], choice[2] = { v->choice, '\0' };
    json_t *line, *words = json_stringn(reply.data ? reply.data : "", reply.len);
    aerie_status status;

    snprintf(of, sizeof of, "%016llx", (unsigned long long)v->of);
    line = json_pack("{s:I, s:i, s:s}", "row", (json_int_t)v->row, "q", (int)v->q, "of", of);
    if (line && task->kind == AE_JUDGE_PAIR)
        json_object_set_new(line, "verdict", v->choice ? json_string(choice) : json_null());
    if (line && task->kind == AE_JUDGE_SCORE)
        json_object_set_new(line, "score", isnan(v->score) ? json_null() : json_real(v->score));
    if (line) json_object_set_new(line, "reply", words ? words : json_null());
    status = write_head(j, err);
    if (status)
        json_decref(line);
    else
        status = ae_journal_add(&j->lines, line, AE_JOURNAL_UTF8, err);
    return status ? status : keep(j, v, err);
}

static int by_question(const void *a, const void *b)
{
    const ae_label_verdict *x = a, *y = b;

    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->q > y->q) - (x->q < y->q);
}

void ae_label_journal_sort(ae_label_journal *j)
{
    if (j->n > 1) qsort(j->items, j->n, sizeof *j->items, by_question);
    j->n_sorted = j->n;
}

const ae_label_verdict *ae_label_journal_find(const ae_label_journal *j, int64_t row, int64_t q)
{
    const ae_label_verdict wanted = { .row = row, .q = (int32_t)q };

    if (!j->n_sorted) return NULL;
    return bsearch(&wanted, j->items, j->n_sorted, sizeof wanted, by_question);
}
