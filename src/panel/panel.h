/* panel.h -- the door of panel: benchmarks that a judge decides, carried out. What is here they
 * share. */
#ifndef AE_PANEL_H
#define AE_PANEL_H

#include "aerie/judged.h"
#include "answer/answer.h"
#include "journal/journal.h"

#include <jansson.h>

/* ---- panel.c ---- */

/* Who answers, of a contender. */
ae_answerer ae_panel_answerer(const aerie_contender *c, const aerie_judged *by);
/* What it is called, fit for a file's name. Borrowed from the contender. */
const char *ae_panel_label(const aerie_contender *c);
/* Of a model here, a hash of its file as it lies and of how it is used; "" of a server's. */
aerie_status ae_panel_state(char out[17], const aerie_contender *c, aerie_error *err);
/* A row of an earlier run whose "state" is another than `state` fails; one without is fine. */
aerie_status ae_panel_check_state(const json_t *row, const char *state, const char *label,
                                  aerie_error *err);
/* Models, a folder, and no two models of one name; otherwise AERIE_BAD_ARGUMENT. */
aerie_status ae_panel_check(const aerie_judged *by, const char *benchmark, aerie_error *err);
/* What a judge here may write in so many tokens: reasons, and one of `verdicts` (GBNF) between
 * [[ and ]]. */
aerie_status ae_panel_grammar(aerie_grammar **out, int64_t tokens, const char *verdicts,
                              aerie_error *err);
/* Appends a text with its {places} filled: pairs of name and text, NULL at the end. Braces within
 * what is filled in stay as they are. */
void ae_panel_fill(ae_bytes *out, const char *text, const char *const *places);

/* Reads a file of rows (data.h's forms), at most `limit` of them (0: all); the first failure of
 * `fn` ends it, with file and line before its sentence. */
typedef aerie_status ae_panel_row_fn(void *user, const json_t *row, aerie_error *err);
aerie_status ae_panel_read(const char *path, int64_t limit, ae_panel_row_fn *fn, void *user,
                           aerie_error *err);

/* ---- round.c: one round of questions, replies that become rows of a journal ---- */

enum { AE_PANEL_PARTS = 2 };

typedef struct {
    const char *text;
    bool failed;                /* there is no reply; `text` says why */
    const json_t *top_logprobs; /* as ae_answer has them */
} ae_panel_reply;

typedef struct {
    const char *what; /* for a progress line */
    size_t n, parts;  /* items, and how many replies each takes */
    bool *known;      /* [n]: it is there already. Set as rows come */
    void *user;
    /* A part's question but for its id. */
    aerie_status (*ask)(void *user, size_t item, size_t part, ae_question *out, aerie_error *err);
    /* What the item's replies, [parts], become. *row is the round's, which puts it into the
     * journal. */
    aerie_status (*row)(void *user, size_t item, const ae_panel_reply *replies, json_t **row,
                        aerie_error *err);
} ae_panel_round;

/* Asks for every item that is not known. An item's row is written when all its parts have come. */
aerie_status ae_panel_round_run(const ae_panel_round *round, const aerie_contender *who,
                                const aerie_judged *by, ae_journal *log, aerie_error *err);

#endif
