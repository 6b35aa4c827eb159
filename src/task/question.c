/* question.c -- a row as texts: the question, its choices, the answer. */
#include "task/task_private.h"

#include <stdlib.h>
#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's texts");
}

static aerie_status keep(ae_span *out, const ae_bytes *text, ae_arena *arena, aerie_error *err)
{
    char *copy = ae_arena_strndup(arena, text->data ? text->data : "", text->len);

    *out = (ae_span){ copy, text->len };
    return copy ? AERIE_OK : no_memory(err);
}

static aerie_status value_span(ae_span *out, json_t *value, ae_arena *arena, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_value_text(&text, value, err);

    if (!status) status = keep(out, &text, arena, err);
    ae_bytes_free(&text);
    return status;
}

aerie_status task_field_span(ae_span *out, const ae_field *f, json_t *doc, ae_arena *arena,
                             aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_field_given(f) ? ae_field_text(&text, f, doc, err) : AERIE_OK;

    if (!status) status = keep(out, &text, arena, err);
    ae_bytes_free(&text);
    return status;
}

/* A template's text of digits alone is a number where there are choices to count. */
static void digits_to_number(json_t **value, const ae_field *f)
{
    const char *text = json_string_value(*value);
    size_t len = json_string_length(*value);
    json_t *number;

    if (!text || (!f->render && !f->value) || !len || len > 9 || strspn(text, "0123456789") != len)
        return;
    number = json_integer(strtol(text, NULL, 10));
    if (!number) return;
    json_decref(*value);
    *value = number;
}

static aerie_status read_choices(task_question *q, const ae_field *f, json_t *doc, ae_arena *arena,
                                 aerie_error *err)
{
    json_t *list;
    aerie_status status = ae_field_value(&list, f, doc, err);

    if (!status && (!json_is_array(list) || !json_array_size(list)))
        status = aerie_fail(err, AERIE_BAD_TEXT,
                            "'doc_to_choice' must give a list, and not an empty one");
    if (!status) {
        q->n_choices = json_array_size(list);
        q->choices = ae_arena_take(arena, q->n_choices, sizeof *q->choices);
        if (!q->choices) status = no_memory(err);
    }
    for (size_t i = 0; !status && i < q->n_choices; i++)
        status = value_span(&q->choices[i], json_array_get(list, i), arena, err);
    json_decref(list);
    return status;
}

static aerie_status read_text(task_question *q, const ae_field *f, json_t *doc, ae_arena *arena,
                              aerie_error *err)
{
    json_t *value;
    aerie_status status = ae_field_value(&value, f, doc, err);

    if (!status && q->n_choices) digits_to_number(&value, f);
    if (!status && q->n_choices && json_is_integer(value)) {
        json_int_t right = json_integer_value(value);
        q->several = true;
        if (right < 0 || (size_t)right >= q->n_choices || right > INT32_MAX)
            status = aerie_fail(err, AERIE_BAD_TEXT, "'doc_to_text' gives %lld of %zu choices",
                                (long long)right, q->n_choices);
        q->right = status ? 0 : (int32_t)right;
    } else if (!status) {
        status = value_span(&q->text, value, arena, err);
    }
    json_decref(value);
    return status;
}

/* What an example shows as the answer. */
static aerie_status read_answer(task_question *q, ae_arena *arena, aerie_error *err)
{
    json_t *value = q->target;
    json_int_t i = json_integer_value(value);

    if (json_is_array(value)) value = json_array_get(value, 0);
    if (json_is_integer(value)) i = json_integer_value(value);
    if (json_is_integer(value) && q->n_choices && !q->several) {
        if (i < 0 || (size_t)i >= q->n_choices) return AERIE_OK; /* no answer to show */
        q->answer = q->choices[i];
        return AERIE_OK;
    }
    if (!value) return AERIE_OK;
    return value_span(&q->answer, value, arena, err);
}

static const ae_field *field_or(const ae_field *own, const ae_field *base)
{
    return ae_field_given(own) ? own : base;
}

aerie_status task_question_read(task_question *q, const ae_task *t, const task_form *form,
                                json_t *doc, ae_arena *arena, aerie_error *err)
{
    const ae_field *text = field_or(&form->text, &t->ask.text);
    const ae_field *target = field_or(&form->target, &t->ask.target);
    const ae_field *choices = field_or(&form->choices, &t->ask.choices);
    aerie_status status = AERIE_OK;

    *q = (task_question){ .text = { "", 0 }, .answer = { "", 0 } };
    if (ae_field_given(choices)) status = read_choices(q, choices, doc, arena, err);
    if (!status && ae_field_given(text)) status = read_text(q, text, doc, arena, err);
    if (!status) status = ae_field_value(&q->target, target, doc, err);
    if (!status && q->n_choices) digits_to_number(&q->target, target);
    if (!status) status = read_answer(q, arena, err);
    if (!status && q->several) q->text = q->choices[q->right];
    if (status) task_question_close(q);
    return status;
}

void task_question_close(task_question *q)
{
    json_decref(q->target);
    q->target = NULL;
}
