/* ask.c -- every reply of a model that is missing. */
#include "compare/compare.h"

#include "answer/answer.h"

#include <math.h>

typedef struct {
    aerie_compare *c;
    ae_compare_model *m;
    size_t next_row;
} asking;

static aerie_status next(void *user, ae_question *out, aerie_error *err)
{
    asking *a = user;
    const aerie_contender *with = a->m->with;
    json_t *list;

    if (!ae_compare_next_missing(a->c, a->m, &a->next_row)) return AERIE_OK;
    out->id = a->next_row++;
    list = ae_compare_messages(a->m, &a->c->data.items[ae_compare_item_of(a->c, out->id)]);
    out->messages = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    if (!out->messages) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    out->sampling = *with->sampling;
    out->sampling.seed += out->id % (size_t)a->c->with.repeats;
    out->max_tokens = with->max_tokens;
    out->stop = with->stop;
    out->n_stop = with->n_stop;
    return AERIE_OK;
}

static aerie_status take(void *user, const ae_answer *answer, aerie_error *err)
{
    asking *a = user;
    ae_compare_reply r = { .text = ae_strdup(answer->text),
                           .failed = answer->failed ? ae_strdup(answer->failed) : NULL,
                           .cut = answer->cut,
                           .prompt_tokens = answer->prompt_tokens,
                           .reply_tokens = answer->reply_tokens,
                           .first_seconds = answer->first_seconds,
                           .seconds = answer->seconds,
                           .similarity = NAN,
                           .reward = NAN };

    if (!r.text || (answer->failed && !r.failed)) {
        ae_free(r.text);
        ae_free(r.failed);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply");
    }
    return ae_compare_replies_add(a->c, a->m, answer->id, &r, err);
}

static bool go_on(void *user)
{
    const asking *a = user;

    return ae_compare_tell(a->c, a->m);
}

aerie_status ae_compare_ask(aerie_compare *c, ae_compare_model *m, aerie_error *err)
{
    asking a = { c, m, 0 };
    const aerie_contender *with = m->with;
    const ae_answer_work work = { &a, next, take, go_on };
    const ae_answerer who = { .path = with->path,
                              .opened = with->opened,
                              .load = with->load,
                              .chat_template = with->chat_template,
                              .context = with->context,
                              .url = with->url,
                              .name = with->model,
                              .key = with->key,
                              .request = with->request,
                              .timeout_seconds = c->with.timeout_seconds,
                              .parallel = c->with.parallel };
    ae_answer_totals totals;
    aerie_status status = ae_answer_all(&who, &work, &totals, err);

    if (totals.memory_bytes > m->memory_bytes) m->memory_bytes = totals.memory_bytes;
    m->busy_seconds += totals.seconds;
    aerie_error ignored = { 0 };
    aerie_status noted = ae_compare_replies_note(c, m, status ? &ignored : err);
    return status ? status : noted;
}
