/* judge.c -- what all judges share. */
#include "eval/judge.h"

#include <math.h>
#include <string.h>

void ae_judge_case_free(ae_judge_case *c)
{
    json_decref(c->messages);
    json_decref(c->a);
    json_decref(c->b);
    *c = (ae_judge_case){ 0 };
}

aerie_status ae_judge_ask(ae_judge *j, const ae_judge_task *task, const ae_judge_work *work,
                          ae_judge_counts *counts, aerie_error *err)
{
    ae_judge_task checked = *task;
    aerie_status status = ae_judge_task_check(&checked, err);

    return status ? status : j->ask(j, &checked, work, counts, err);
}

void ae_judge_close(ae_judge *j)
{
    if (j) j->close(j);
}

typedef struct {
    double *scores;
    const ae_judge_case *cases;
    int64_t n, at;
} list;

static aerie_status next_of_list(void *user, ae_judge_case *out, bool *is_one, aerie_error *err)
{
    list *l = user;

    (void)err;
    *is_one = l->at < l->n;
    if (!*is_one) return AERIE_OK;
    *out = l->cases[l->at++];
    json_incref(out->messages);
    json_incref(out->a);
    json_incref(out->b);
    return AERIE_OK;
}

static aerie_status keep_score(void *user, int64_t id, const ae_verdict *v, aerie_error *err)
{
    list *l = user;

    l->scores[id] = v->score;
    if (isfinite(v->score)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the judge gave no mark for a reply, asked again and again; its last words: "
                      "%.*s",
                      (int)(v->reply.len < 160 ? v->reply.len : 160),
                      v->reply.data ? v->reply.data : "");
}

aerie_status ae_judge_scores(double *scores, ae_judge *j, const ae_judge_task *task,
                             const ae_judge_case *cases, int64_t n, aerie_error *err)
{
    list l = { .scores = scores, .cases = cases, .n = n };
    ae_judge_work work = { &l, next_of_list, keep_score };
    ae_judge_counts counts = { 0 };
    ae_judge_task marks = *task;

    marks.kind = AE_JUDGE_SCORE;
    return ae_judge_ask(j, &marks, &work, &counts, err);
}
