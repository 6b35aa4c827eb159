/* panel.h -- the door of panel: MT-Bench's questions, answers and judgments. */
#ifndef AE_PANEL_H
#define AE_PANEL_H

#include "aerie/panel.h"
#include "answer/answer.h"
#include "journal/journal.h"

#include <jansson.h>

enum { AE_PANEL_TURNS = 2 };

/* ---- questions.c ---- */

typedef struct {
    int64_t id;
    char category[32];
    char *turns[AE_PANEL_TURNS];
    char *references[AE_PANEL_TURNS]; /* NULL: none */
} ae_panel_question;

typedef struct {
    ae_panel_question *items;
    size_t n, cap;
    json_t *prompts; /* name: {"system_prompt", "prompt_template"} */
} ae_panel_questions;

aerie_status ae_panel_questions_read(ae_panel_questions *q, const aerie_panel_options *with,
                                     aerie_error *err);
void ae_panel_questions_free(ae_panel_questions *q);
/* Its place; n: there is no such question. */
size_t ae_panel_question_at(const ae_panel_questions *q, int64_t id);
/* Whether its judge is shown a reference (NEED_REF_CATS of common.py). */
bool ae_panel_needs_reference(const ae_panel_question *q);
/* common.py's temperature_config. */
float ae_panel_temperature(const ae_panel_question *q);
/* The judge's prompt of this name with {places} filled, as the messages of one conversation;
 * `user_prompt` gets the last of them (ae_free()), `messages` is json_dumps()'s (free()). Places
 * are pairs of name and text, NULL at the end. */
aerie_status ae_panel_prompt(char **messages, char **user_prompt, const ae_panel_questions *q,
                             const char *name, const char *const *places, aerie_error *err);

/* ---- answers.c ---- */

typedef struct {
    char *label;                    /* owned */
    char *(*turns)[AE_PANEL_TURNS]; /* [questions]; NULL: not answered yet */
} ae_panel_answers;

/* What is there, then what is missing. */
aerie_status ae_panel_answers_get(ae_panel_answers *out, const aerie_contender *model,
                                  const ae_panel_questions *q, const aerie_panel_options *with,
                                  aerie_error *err);
void ae_panel_answers_free(ae_panel_answers *a, const ae_panel_questions *q);

/* ---- judgments.c ---- */

/* Every judgment that is missing; *path is their file (ae_free()). */
aerie_status ae_panel_judge(char **path, const ae_panel_answers *answers,
                            const ae_panel_questions *q, const aerie_panel_options *with,
                            aerie_error *err);

/* ---- shared ---- */

/* Who answers, of a contender. */
ae_answerer ae_panel_answerer(const aerie_contender *c, const aerie_panel_options *with);
const char *ae_panel_label(const aerie_contender *c);

#endif
