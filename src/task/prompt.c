/* prompt.c -- contexts: description, examples and question, as one text or as a conversation (the
 * harness' fewshot_context() and build_qa_turn()). */
#include "task/task_private.h"

#include "text/text.h"

#include <string.h>

static void add(ae_bytes *out, ae_span text)
{
    ae_bytes_add(out, text.data, text.len);
}

static bool begins_with_space(ae_span text)
{
    return text.len && python_strip(text, true, false).len < text.len;
}

static bool ends_with_space(ae_span text)
{
    return text.len && python_strip(text, false, true).len < text.len;
}

/* The system's words and the task's, apart unless one brings white space along. */
static void write_system(ae_bytes *out, const task_prompt *p)
{
    ae_span system = ae_span_text(p->options->system ? p->options->system : "");

    add(out, system);
    if (system.len && p->description.len && !ends_with_space(system) &&
        !begins_with_space(p->description))
        ae_bytes_add_text(out, p->task->shot.delimiter);
    add(out, p->description);
}

static void write_shots(ae_bytes *out, const task_prompt *p)
{
    const task_form *f = &p->task->shot;

    for (size_t i = 0; i < p->n_shots; i++) {
        add(out, p->shots[i].question);
        if (!p->shots[i].answer.len) continue;
        ae_bytes_add_text(out, f->target_delimiter);
        add(out, p->shots[i].answer);
        ae_bytes_add_text(out, f->delimiter);
    }
}

/* ---- conversations ---- */

static bool say(json_t *messages, const char *role, ae_span text)
{
    json_t *one =
        json_pack("{s:s, s:s%}", "role", role, "content", text.data ? text.data : "", text.len);

    return one && json_array_append_new(messages, one) == 0;
}

static bool say_turns(json_t *messages, const task_prompt *p, ae_span question)
{
    for (size_t i = 0; i < p->n_shots; i++)
        if (!say(messages, "user", p->shots[i].question) ||
            (p->shots[i].answer.len && !say(messages, "assistant", p->shots[i].answer)))
            return false;
    return say(messages, "user", question);
}

static bool say_at_once(json_t *messages, const task_prompt *p, ae_span question)
{
    ae_bytes all = { 0 };
    bool good;

    write_shots(&all, p);
    add(&all, question);
    good = !all.failed && say(messages, "user", ae_span_of(&all));
    ae_bytes_free(&all);
    return good;
}

static aerie_status write_chat(ae_bytes *out, const task_prompt *p, ae_span question,
                               aerie_error *err)
{
    json_t *messages = json_array();
    ae_bytes system = { 0 };
    bool good = messages != NULL;
    aerie_status status;

    write_system(&system, p);
    if (good && system.len) good = say(messages, "system", ae_span_of(&system));
    if (good && p->options->multiturn)
        good = say_turns(messages, p, question);
    else if (good)
        good = say_at_once(messages, p, question);
    status = good && !system.failed ? p->options->chat(p->options->chat_user, messages, out, err)
                                    : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    ae_bytes_free(&system);
    json_decref(messages);
    return status ? status : ae_bytes_status(out, err);
}

aerie_status task_prompt_write(ae_bytes *out, size_t *shots_len, const task_prompt *p,
                               ae_span question, aerie_error *err)
{
    *shots_len = 0;
    if (p->task->protocol->chat) return write_chat(out, p, question, err);
    write_system(out, p);
    write_shots(out, p);
    *shots_len = out->len;
    add(out, question);
    return ae_bytes_status(out, err);
}
