/* mt_bench.h -- MT-Bench's questions, answers and judgments. Private. */
#ifndef AE_PANEL_MT_BENCH_H
#define AE_PANEL_MT_BENCH_H

#include "aerie/mt_bench.h"
#include "panel/panel.h"

enum { AE_MT_BENCH_TURNS = 2 };

/* ---- questions.c ---- */

typedef struct {
    int64_t id;
    char category[32];
    char *turns[AE_MT_BENCH_TURNS];
    char *references[AE_MT_BENCH_TURNS]; /* NULL: none */
} ae_mt_bench_question;

typedef struct {
    ae_mt_bench_question *items;
    size_t n, cap;
    json_t *prompts; /* name: {"system_prompt", "prompt_template"} */
} ae_mt_bench_questions;

aerie_status ae_mt_bench_questions_read(ae_mt_bench_questions *q,
                                        const aerie_mt_bench_options *with, aerie_error *err);
void ae_mt_bench_questions_free(ae_mt_bench_questions *q);
/* Its place; n: there is no such question. */
size_t ae_mt_bench_question_at(const ae_mt_bench_questions *q, int64_t id);
/* Whether its judge is shown a reference (NEED_REF_CATS of common.py). */
bool ae_mt_bench_needs_reference(const ae_mt_bench_question *q);
/* common.py's temperature_config. */
float ae_mt_bench_temperature(const ae_mt_bench_question *q);
/* The judge's prompt of this name with {places} filled, as the messages of one conversation;
 * `user_prompt` gets the last of them (ae_free()), `messages` is json_dumps()'s (free()). Places
 * are pairs of name and text, NULL at the end. On failure both are NULL. */
aerie_status ae_mt_bench_prompt(char **messages, char **user_prompt, const ae_mt_bench_questions *q,
                                const char *name, const char *const *places, aerie_error *err);

/* ---- answers.c ---- */

typedef struct {
    char *label;                       /* owned */
    char *(*turns)[AE_MT_BENCH_TURNS]; /* [questions]; NULL: not answered yet */
} ae_mt_bench_answers;

/* What is there, then what is missing. */
aerie_status ae_mt_bench_answers_get(ae_mt_bench_answers *out, const aerie_contender *model,
                                     const ae_mt_bench_questions *q,
                                     const aerie_mt_bench_options *with, aerie_error *err);
void ae_mt_bench_answers_free(ae_mt_bench_answers *a, const ae_mt_bench_questions *q);

/* ---- judgments.c ---- */

/* Every judgment that is missing; *path is their file (ae_free()). */
aerie_status ae_mt_bench_judge(char **path, const ae_mt_bench_answers *answers,
                               const ae_mt_bench_questions *q, const aerie_mt_bench_options *with,
                               aerie_error *err);

#endif
