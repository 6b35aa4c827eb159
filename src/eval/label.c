/* label.c -- the run: what there is to ask, the asking, and the output. */
#include "eval/label_private.h"

#include <math.h>
#include <string.h>

/* The rows of the data, one after the other, a part of the file at a time. */
typedef struct {
    ae_dataset *data;
    size_t at;
    int64_t index, limit;
} walk;

typedef struct {
    ae_judge *judge;
    const ae_label_options *options;
    ae_judge_task task;
    ae_label_journal journal;
    ae_label_summary sums;
    walk asked;       /* where the asking is */
    ae_label_row row; /* ... its row, */
    bool has_row;
    int64_t q; /* ... and its next question */
    int64_t n_done;
    ae_bytes text;
    /* Questions that are under way, by id. */
    ae_label_verdict *waiting;
    size_t n_waiting, cap_waiting;
    ae_arena arena; /* of a row */
} labelling;

static const ae_dataset_options of_replies = { .kind = AE_EXAMPLE_RANKED, .unranked = true };

static aerie_status begin_walk(walk *w, const ae_label_options *o, aerie_error *err)
{
    *w = (walk){ .limit = o->limit };
    return ae_dataset_start(&w->data, o->paths, o->n_paths, &of_replies, err);
}

static void end_walk(walk *w)
{
    ae_dataset_close(w->data);
    *w = (walk){ 0 };
}

/* The next row that has something to compare; *is_one false: there is none. */
static aerie_status next_row(labelling *l, walk *w, ae_label_row *out, bool *is_one,
                             int64_t *n_left_out, aerie_error *err)
{
    enum { AT_ONCE = 64 };

    *is_one = false;
    for (;;) {
        if (w->limit > 0 && w->index >= w->limit) return AERIE_OK;
        if (w->at == ae_dataset_len(w->data)) {
            aerie_status status = AERIE_OK;
            if (ae_dataset_ended(w->data)) return AERIE_OK;
            status = ae_dataset_more(w->data, AT_ONCE, err);
            w->at = 0;
            if (status) return status;
            continue;
        }
        const ae_example e = ae_dataset_at(w->data, w->at++);
        *is_one = ae_label_row_of(out, &l->task, &e, w->index++);
        if (*is_one) return AERIE_OK;
        if (n_left_out) ++*n_left_out;
    }
}

/* ---- what there is to ask ---- */

static void count_row(labelling *l, const ae_label_row *row)
{
    int64_t n = ae_label_n_questions(&l->task, row->n);

    for (int64_t q = 0; q < n; q++) {
        if (ae_label_are_alike(row, ae_label_question_at(&l->task, row->n, q))) continue;
        l->sums.n_questions++;
        if (ae_label_journal_find(&l->journal, row->index, q)) l->sums.n_kept++;
    }
}

/* The whole data is read before anything is asked: a bad row costs no judge's time. */
static aerie_status count_all(labelling *l, aerie_error *err)
{
    ae_label_row row;
    walk w;
    bool is_one = true;
    aerie_status status = begin_walk(&w, l->options, err);

    while (!status && is_one) {
        status = next_row(l, &w, &row, &is_one, &l->sums.n_left_out, err);
        if (!status && is_one) count_row(l, &row);
    }
    end_walk(&w);
    l->n_done = l->sums.n_kept;
    if (!status && l->sums.n_questions == 0)
        status = aerie_fail(err, AERIE_BAD_FILE,
                            "%s: no row has %s; rows of a prompt with several responses, of pairs "
                            "or of ranked answers are wanted",
                            l->options->paths[0],
                            l->task.kind == AE_JUDGE_PAIR ? "two replies that differ" : "a reply");
    return status;
}

/* ---- asking ---- */

static aerie_status hash_case(labelling *l, const ae_judge_case *c, uint64_t *hash,
                              aerie_error *err)
{
    aerie_status status;

    ae_bytes_clear(&l->text);
    status = ae_judge_question(&l->text, &l->task, c, err);
    if (!status) *hash = ae_hash64(l->text.data, l->text.len, 0);
    return status;
}

/* An earlier run's verdict on this very question? */
static aerie_status is_kept(labelling *l, uint64_t of, bool *kept, aerie_error *err)
{
    const ae_label_verdict *v = ae_label_journal_find(&l->journal, l->row.index, l->q);

    *kept = v != NULL;
    if (!v || v->of == of) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "%s: the verdicts there are of other data: row %lld is not what it was; name "
                      "another output or move the file away",
                      l->journal.lines.path, (long long)l->row.index + 1);
}

/* A place for a question under way; its index is the question's id. */
static aerie_status wait_for(labelling *l, uint64_t of, int64_t *id, aerie_error *err)
{
    size_t at = 0;

    while (at < l->n_waiting && l->waiting[at].row >= 0) at++;
    if (at == l->cap_waiting) {
        size_t cap = at ? at * 2 : 16;
        ae_label_verdict *grown = ae_realloc(l->waiting, at, cap, sizeof *grown);
        if (!grown) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for questions");
        l->waiting = grown;
        l->cap_waiting = cap;
    }
    if (at == l->n_waiting) l->n_waiting++;
    l->waiting[at] = (ae_label_verdict){ .row = l->row.index, .q = (int32_t)l->q, .of = of };
    *id = (int64_t)at;
    return AERIE_OK;
}

/* The question that the cursor is at, when it is to be asked. */
static aerie_status take_question(labelling *l, ae_judge_case *out, bool *is_one, aerie_error *err)
{
    ae_label_question q = ae_label_question_at(&l->task, l->row.n, l->q);
    ae_judge_case c = { 0 };
    uint64_t of = 0;
    bool kept = false;
    aerie_status status;

    if (ae_label_are_alike(&l->row, q)) return AERIE_OK;
    c = ae_label_case(&l->row, q);
    status = hash_case(l, &c, &of, err);
    if (!status) status = is_kept(l, of, &kept, err);
    if (!status && !kept) status = wait_for(l, of, &c.id, err);
    if (status || kept) {
        ae_judge_case_free(&c);
        return status;
    }
    *out = c;
    *is_one = true;
    return AERIE_OK;
}

static aerie_status next_question(void *user, ae_judge_case *out, bool *is_one, aerie_error *err)
{
    labelling *l = user;
    aerie_status status = AERIE_OK;

    *is_one = false;
    while (!status && !*is_one) {
        if (!l->has_row) {
            status = next_row(l, &l->asked, &l->row, &l->has_row, NULL, err);
            l->q = 0;
            if (status || !l->has_row) return status;
        }
        if (l->q < ae_label_n_questions(&l->task, l->row.n)) {
            status = take_question(l, out, is_one, err);
            l->q++;
        } else {
            l->has_row = false;
        }
    }
    return status;
}

static aerie_status interrupted(const labelling *l, aerie_error *err)
{
    return aerie_fail(err, AERIE_INTERRUPTED,
                      "stopped after %lld of %lld questions; the same command goes on from there",
                      (long long)l->n_done, (long long)l->sums.n_questions);
}

static aerie_status keep_verdict(void *user, int64_t id, const ae_verdict *given, aerie_error *err)
{
    labelling *l = user;
    ae_label_verdict v = l->waiting[id];
    aerie_status status;

    l->waiting[id].row = -1;
    v.choice = given->choice;
    v.score = given->score;
    status = ae_label_journal_add(&l->journal, &l->task, &v, given->reply, err);
    if (status) return status;
    l->n_done++;
    if (!l->options->progress ||
        l->options->progress(l->options->user, l->n_done, l->sums.n_questions))
        return AERIE_OK;
    return interrupted(l, err);
}

static aerie_status ask_all(labelling *l, aerie_error *err)
{
    ae_judge_work work = { l, next_question, keep_verdict };
    aerie_error why = { 0 };
    aerie_status status = begin_walk(&l->asked, l->options, err);

    if (status) return status;
    l->sums.counts.n_answered = l->sums.n_kept;
    status = ae_judge_ask(l->judge, &l->task, &work, &l->sums.counts, &why);
    end_walk(&l->asked);
    if (status == AERIE_INTERRUPTED) return interrupted(l, err);
    if (status)
        return aerie_fail(err, status, "%.300s (%lld of %lld questions are answered and kept)",
                          why.message, (long long)l->n_done, (long long)l->sums.n_questions);
    return AERIE_OK;
}

/* ---- the output ---- */

static void tell_of_pairs(const labelling *l, const ae_label_row *row, const ae_label_result *r)
{
    int64_t n = ae_label_n_questions(&l->task, row->n) / 2;

    for (int64_t p = 0; p < n; p++) {
        ae_label_question q = ae_label_question_at(&l->task, row->n, 2 * p);
        const aerie_label_pair pair = { row->index, q.a, q.b, r->outcomes[p] };
        l->options->on_pair(l->options->user, &pair);
    }
}

static aerie_status write_row(labelling *l, ae_file_writer *w, const ae_label_row *row,
                              aerie_error *err)
{
    size_t n = (size_t)ae_label_n_questions(&l->task, row->n);
    ae_label_verdict *verdicts;
    ae_label_result result;
    aerie_status status;

    ae_arena_reset_all(&l->arena);
    verdicts = ae_arena_take(&l->arena, n, sizeof *verdicts);
    if (!verdicts) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a row's verdicts");
    for (size_t q = 0; q < n; q++) {
        const ae_label_verdict *v = ae_label_journal_find(&l->journal, row->index, (int64_t)q);
        verdicts[q] = v ? *v : (ae_label_verdict){ .score = NAN };
    }
    status = ae_label_row_result(&result, row, &l->task, verdicts, &l->sums, &l->arena, err);
    if (status) return status;
    if (l->options->on_pair && l->task.kind == AE_JUDGE_PAIR) tell_of_pairs(l, row, &result);
    return ae_label_write_row(w, row, l->options, l->judge->name, &result, &l->sums.n_written, err);
}

static aerie_status write_all(labelling *l, aerie_error *err)
{
    ae_file_writer w = { 0 };
    ae_label_row row;
    walk data;
    bool is_one = true;
    aerie_status status = begin_walk(&data, l->options, err);

    ae_label_journal_sort(&l->journal);
    if (!status) status = ae_file_writer_open(&w, l->options->out_path, err);
    while (!status && is_one) {
        status = next_row(l, &data, &row, &is_one, NULL, err);
        if (!status && is_one) status = write_row(l, &w, &row, err);
    }
    if (!status) status = ae_file_writer_commit(&w, err);
    ae_file_writer_abandon(&w);
    end_walk(&data);
    return status;
}

static void finish(ae_label_summary *s, const ae_judge_task *task)
{
    int64_t n = s->n_questions - s->n_none;

    if (task->kind == AE_JUDGE_SCORE) s->mean_score = n > 0 ? s->mean_score / (double)n : NAN;
}

static aerie_status open_journal(labelling *l, aerie_error *err)
{
    ae_bytes path = { 0 };
    aerie_status status;

    if (l->options->journal_path)
        ae_bytes_add_text(&path, l->options->journal_path);
    else
        ae_bytes_printf(&path, "%s.verdicts.jsonl", l->options->out_path);
    status = ae_bytes_status(&path, err);
    if (!status) status = ae_label_journal_open(&l->journal, path.data, l->judge, &l->task, err);
    ae_bytes_free(&path);
    return status;
}

aerie_status ae_label(ae_judge *judge, const ae_label_options *options, ae_label_summary *out,
                      aerie_error *err)
{
    labelling l = { .judge = judge, .options = options, .task = options->task };
    aerie_status status = ae_judge_task_check(&l.task, err);

    if (!status) status = open_journal(&l, err);
    if (!status) status = count_all(&l, err);
    if (!status) status = ask_all(&l, err);
    if (!status) status = ae_journal_sync(&l.journal.lines, err);
    if (!status) status = write_all(&l, err);
    if (!status) finish(&l.sums, &l.task);
    *out = l.sums;
    ae_label_journal_close(&l.journal);
    ae_arena_free(&l.arena);
    ae_free(l.waiting);
    ae_bytes_free(&l.text);
    return status;
}
