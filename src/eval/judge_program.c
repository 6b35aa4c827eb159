/* judge_program.c -- a judge that answers lines of JSON. */
#include "eval/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    ae_judge judge;
    ae_judge_program program;
    char *name;
    ae_bytes text, answer;
} program_judge;

static json_t *text_json(program_judge *p, const json_t *messages)
{
    ae_bytes_clear(&p->text);
    ae_judge_text_of(&p->text, messages);
    return json_stringn(p->text.data ? p->text.data : "", p->text.len);
}

static json_t *question_json(program_judge *p, const ae_judge_task *task, const ae_judge_case *c)
{
    if (task->kind == AE_JUDGE_PAIR)
        return json_pack("{s:s, s:O, s:o, s:o}", "kind", "pair", "messages", c->messages, "a",
                         text_json(p, c->a), "b", text_json(p, c->b));
    return json_pack("{s:s, s:O, s:o, s:i, s:i}", "kind", "score", "messages", c->messages,
                     "answer", text_json(p, c->a), "low", task->low, "high", task->high);
}

static void keep_answer(void *to, const char *text, size_t len)
{
    program_judge *p = to;

    ae_bytes_clear(&p->answer);
    ae_bytes_add(&p->answer, text, len);
}

/* {"verdict": "A"}, "tie" being C; {"score": 7}; or a bare one of these. */
static ae_verdict read_answer(const program_judge *p, const ae_judge_task *task)
{
    const char *data = p->answer.data ? p->answer.data : "";
    ae_verdict v = { .score = NAN, .reply = { data, p->answer.len } };
    json_t *json = json_loadb(data, p->answer.len, JSON_DECODE_ANY, NULL);
    const char *key = task->kind == AE_JUDGE_PAIR ? "verdict" : "score";
    const json_t *value = json_is_object(json) ? json_object_get(json, key) : json;
    const char *word = json_string_value(value);

    if (task->kind == AE_JUDGE_SCORE) {
        double mark = json_is_number(value) ? json_number_value(value) : NAN;
        if (mark >= task->low && mark <= task->high) v.score = mark;
    } else if (word && !strcmp(word, "tie")) {
        v.choice = 'C';
    } else if (word && word[0] >= 'A' && word[0] <= 'C' && !word[1]) {
        v.choice = word[0];
    }
    json_decref(json);
    return v;
}

static aerie_status no_verdict(const program_judge *p, const ae_judge_task *task, aerie_error *err)
{
    int shown = (int)ae_min64(160, (int64_t)p->answer.len);

    if (task->kind == AE_JUDGE_PAIR)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "the judge %s answered '%.*s'; {\"verdict\": \"A\"}, \"B\" or \"tie\" is "
                          "wanted for each line",
                          p->judge.name, shown, p->answer.data ? p->answer.data : "");
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the judge %s answered '%.*s'; {\"score\": a number from %d to %d} is wanted "
                      "for each line",
                      p->judge.name, shown, p->answer.data ? p->answer.data : "", task->low,
                      task->high);
}

static aerie_status ask_one(program_judge *p, const ae_judge_task *task, const ae_judge_case *c,
                            const ae_judge_work *work, aerie_error *err)
{
    json_t *question = question_json(p, task, c);
    char *line = question ? json_dumps(question, JSON_COMPACT) : NULL;
    aerie_status status;
    ae_verdict v;

    json_decref(question);
    if (!line) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a question");
    ae_bytes_clear(&p->answer);
    status = p->program.fn(p->program.user, line, keep_answer, p, err);
    free(line);
    if (!status) status = ae_bytes_status(&p->answer, err);
    if (status) return status;
    v = read_answer(p, task);
    if (!ae_verdict_is_one(task, &v)) return no_verdict(p, task, err);
    return work->answer(work->user, c->id, &v, err);
}

static aerie_status ask(ae_judge *j, const ae_judge_task *task, const ae_judge_work *work,
                        ae_judge_counts *counts, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (;;) {
        ae_judge_case c = { 0 };
        bool is_one = false;
        status = work->next(work->user, &c, &is_one, err);
        if (status || !is_one) return status;
        counts->n_asked++;
        status = ask_one((program_judge *)j, task, &c, work, err);
        ae_judge_case_free(&c);
        if (status) return status;
    }
}

static void close_program(ae_judge *j)
{
    program_judge *p = (program_judge *)j;

    ae_bytes_free(&p->text);
    ae_bytes_free(&p->answer);
    ae_free(p->name);
    ae_free(p);
}

aerie_status ae_judge_program_open(ae_judge **out, const ae_judge_program *program,
                                   aerie_error *err)
{
    program_judge *p = ae_alloc(1, sizeof *p);

    *out = NULL;
    if (p) p->name = ae_strdup(program->name ? program->name : "program");
    if (!p || !p->name) {
        ae_free(p);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    }
    p->program = *program;
    p->judge = (ae_judge){ p->name, "", ask, close_program };
    *out = &p->judge;
    return AERIE_OK;
}
