/* label_row.c -- a row's replies as questions, and the verdicts as scores. */
#include "eval/label_private.h"

#include <math.h>

int64_t ae_label_n_questions(const ae_judge_task *task, int64_t n_replies)
{
    return task->kind == AE_JUDGE_PAIR ? n_replies * (n_replies - 1) : n_replies;
}

ae_label_question ae_label_question_at(const ae_judge_task *task, int64_t n_replies, int64_t q)
{
    int64_t pair = q / 2, i = 0;

    if (task->kind == AE_JUDGE_SCORE) return (ae_label_question){ (int)q, -1 };
    while (pair >= n_replies - 1 - i) pair -= n_replies - 1 - i++;
    if (q % 2) return (ae_label_question){ (int)(i + 1 + pair), (int)i };
    return (ae_label_question){ (int)i, (int)(i + 1 + pair) };
}

bool ae_label_row_of(ae_label_row *out, const ae_judge_task *task, const ae_example *e,
                     int64_t index)
{
    size_t n = json_array_size(e->replies);

    *out = (ae_label_row){ .index = index, .n = (int)n, .example = *e };
    return n <= AE_LABEL_MAX_REPLIES && n >= (task->kind == AE_JUDGE_PAIR ? 2 : 1);
}

json_t *ae_label_reply(const ae_label_row *row, int i)
{
    return json_array_get(row->example.replies, (size_t)i);
}

bool ae_label_are_alike(const ae_label_row *row, ae_label_question q)
{
    return q.b >= 0 && json_equal(ae_label_reply(row, q.a), ae_label_reply(row, q.b));
}

ae_judge_case ae_label_case(const ae_label_row *row, ae_label_question q)
{
    return (ae_judge_case){ .messages = json_incref(row->example.messages),
                            .a = json_incref(ae_label_reply(row, q.a)),
                            .b = q.b < 0 ? NULL : json_incref(ae_label_reply(row, q.b)) };
}

aerie_pair_outcome ae_pair_outcome_of(char in_order, char turned)
{
    char as_first = turned == 'A' ? 'B' : turned == 'B' ? 'A' : turned;

    if (!in_order || !turned) return AERIE_PAIR_WITHOUT;
    if (in_order == as_first)
        return in_order == 'C'   ? AERIE_PAIR_TIED
               : in_order == 'A' ? AERIE_PAIR_FIRST
                                 : AERIE_PAIR_SECOND;
    return in_order == 'C' || turned == 'C' ? AERIE_PAIR_HALF_TIED : AERIE_PAIR_TURNED;
}

static double rank_of(const ae_label_row *row, int i)
{
    const json_t *rank = json_array_get(row->example.ranks, (size_t)i);

    return json_is_number(rank) ? json_number_value(rank) : NAN;
}

/* What the data itself says of two replies, of which the judge holds `a` for the better. */
static void compare_known(const ae_label_row *row, int a, int b, ae_label_summary *sums)
{
    double ra = rank_of(row, a), rb = rank_of(row, b);

    if (!(ra < rb) && !(rb < ra)) return;
    sums->n_known++;
    sums->n_known_agree += ra < rb;
}

static void count_outcome(aerie_pair_outcome o, bool alike, ae_label_summary *sums)
{
    sums->n_pairs++;
    sums->n_alike += alike;
    switch (o) {
    case AERIE_PAIR_WITHOUT:
        sums->n_without++;
        break;
    case AERIE_PAIR_FIRST:
    case AERIE_PAIR_SECOND:
        sums->n_decided++;
        break;
    case AERIE_PAIR_TIED:
        sums->n_tied++;
        break;
    case AERIE_PAIR_HALF_TIED:
        sums->n_half_tied++;
        break;
    case AERIE_PAIR_TURNED:
        sums->n_turned++;
        break;
    }
}

static void score_pair(ae_label_result *out, const ae_label_row *row, ae_label_question q,
                       aerie_pair_outcome o, ae_label_summary *sums)
{
    if (o == AERIE_PAIR_WITHOUT) return;
    if (o == AERIE_PAIR_FIRST || o == AERIE_PAIR_SECOND) {
        int winner = o == AERIE_PAIR_FIRST ? q.a : q.b, loser = o == AERIE_PAIR_FIRST ? q.b : q.a;
        out->score[winner] += 1;
        compare_known(row, winner, loser, sums);
    } else {
        out->score[q.a] += 0.5;
        out->score[q.b] += 0.5;
    }
    out->has_score[q.a] = out->has_score[q.b] = true;
}

static void count_place(char choice, ae_label_summary *sums)
{
    sums->n_first += choice == 'A';
    sums->n_second += choice == 'B';
    sums->n_none += choice == 0;
}

static aerie_status result_of_pairs(ae_label_result *out, const ae_label_row *row,
                                    const ae_judge_task *task, const ae_label_verdict *v,
                                    ae_label_summary *sums, ae_arena *arena, aerie_error *err)
{
    int64_t n = ae_label_n_questions(task, row->n) / 2;

    out->outcomes = ae_arena_take(arena, (size_t)n, sizeof *out->outcomes);
    if (!out->outcomes) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a row's pairs");
    for (int64_t p = 0; p < n; p++) {
        ae_label_question q = ae_label_question_at(task, row->n, 2 * p);
        bool alike = ae_label_are_alike(row, q);
        aerie_pair_outcome o =
            alike ? AERIE_PAIR_TIED : ae_pair_outcome_of(v[2 * p].choice, v[2 * p + 1].choice);
        if (!alike) {
            count_place(v[2 * p].choice, sums);
            count_place(v[2 * p + 1].choice, sums);
        }
        out->outcomes[p] = o;
        count_outcome(o, alike, sums);
        score_pair(out, row, q, o, sums);
    }
    return AERIE_OK;
}

static void result_of_scores(ae_label_result *out, const ae_label_row *row,
                             const ae_label_verdict *v, ae_label_summary *sums)
{
    for (int i = 0; i < row->n; i++) {
        out->has_score[i] = !isnan(v[i].score);
        out->score[i] = v[i].score;
        sums->n_none += !out->has_score[i];
        if (out->has_score[i]) sums->mean_score += v[i].score; /* a sum until the end */
    }
    for (int i = 0; i < row->n; i++)
        for (int k = 0; k < row->n; k++)
            if (v[i].score > v[k].score) compare_known(row, i, k, sums);
}

aerie_status ae_label_row_result(ae_label_result *out, const ae_label_row *row,
                                 const ae_judge_task *task, const ae_label_verdict *verdicts,
                                 ae_label_summary *sums, ae_arena *arena, aerie_error *err)
{
    *out = (ae_label_result){ 0 };
    sums->n_rows++;
    if (task->kind == AE_JUDGE_PAIR)
        return result_of_pairs(out, row, task, verdicts, sums, arena, err);
    result_of_scores(out, row, verdicts, sums);
    return AERIE_OK;
}
