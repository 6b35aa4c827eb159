/* round.c -- items asked part by part, several at once. */
#include "panel/panel.h"

typedef struct {
    bool asked;
    char *text; /* owned; NULL: it has not come */
    bool failed;
    json_t *top_logprobs;
} part;

typedef struct {
    const ae_panel_round *round;
    const aerie_judged *by;
    ae_journal *log;
    part *parts; /* [n][round->parts] */
    size_t at;   /* all items before it are known, or every part of them was asked */
    size_t n_known;
} state;

static part *parts_of(const state *s, size_t item)
{
    return s->parts + item * s->round->parts;
}

static aerie_status next(void *user, ae_question *out, aerie_error *err)
{
    state *s = user;
    const ae_panel_round *r = s->round;

    for (; s->at < r->n; s->at++)
        for (size_t p = 0; p < r->parts && !r->known[s->at]; p++) {
            part *one = &parts_of(s, s->at)[p];
            if (one->asked) continue;
            one->asked = true;
            out->id = s->at * r->parts + p;
            return r->ask(r->user, s->at, p, out, err);
        }
    return AERIE_OK;
}

static void empty(part *one)
{
    ae_free(one->text);
    json_decref(one->top_logprobs);
    *one = (part){ .asked = one->asked };
}

/* All parts have come. */
static aerie_status write_row(state *s, size_t item, aerie_error *err)
{
    const ae_panel_round *r = s->round;
    part *parts = parts_of(s, item);
    ae_panel_reply replies[AE_PANEL_PARTS] = { 0 };
    json_t *row = NULL;

    for (size_t p = 0; p < r->parts; p++)
        replies[p] = (ae_panel_reply){ parts[p].text, parts[p].failed, parts[p].top_logprobs };
    aerie_status status = r->row(r->user, item, replies, &row, err);
    if (!status) status = ae_journal_add(s->log, row, AE_JOURNAL_ASCII, err);
    for (size_t p = 0; p < r->parts; p++) empty(&parts[p]);
    r->known[item] = true;
    s->n_known++;
    return status;
}

static aerie_status take(void *user, const ae_answer *answer, aerie_error *err)
{
    state *s = user;
    size_t item = answer->id / s->round->parts;
    part *parts = parts_of(s, item), *one = &parts[answer->id % s->round->parts];

    one->text = ae_strdup(answer->failed ? answer->failed : answer->text);
    one->failed = answer->failed != NULL;
    one->top_logprobs = answer->top_logprobs ? json_deep_copy(answer->top_logprobs) : NULL;
    if (!one->text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an answer");
    for (size_t p = 0; p < s->round->parts; p++)
        if (!parts[p].text) return AERIE_OK;
    return write_row(s, item, err);
}

static bool go_on(void *user)
{
    const state *s = user;

    return !s->by->progress ||
           s->by->progress(s->by->user, s->round->what, (int64_t)s->n_known, (int64_t)s->round->n);
}

aerie_status ae_panel_round_run(const ae_panel_round *round, const aerie_contender *who,
                                const aerie_judged *by, ae_journal *log, aerie_error *err)
{
    state s = { .round = round, .by = by, .log = log };
    const ae_answer_work work = { &s, next, take, go_on };
    const ae_answerer answerer = ae_panel_answerer(who, by);
    aerie_status status;

    for (size_t i = 0; i < round->n; i++) s.n_known += round->known[i];
    if (s.n_known == round->n) return AERIE_OK;
    s.parts = ae_alloc(round->n, round->parts * sizeof *s.parts);
    if (!s.parts) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
    status = ae_answer_all(&answerer, &work, NULL, err);
    if (!status) status = ae_journal_sync(log, err);
    for (size_t i = 0; i < round->n * round->parts; i++) empty(&s.parts[i]);
    ae_free(s.parts);
    return status;
}
