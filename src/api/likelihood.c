/* likelihood.c -- how likely a model finds a reply. */
#include "aerie/session.h"
#include "api/api.h"

#include <string.h>

/* The token that ends a reply: what the vocabulary calls the end of a turn, or of a text. */
static int32_t end_of_reply(const ae_tokenizer *t)
{
    const ae_vocab *v = ae_tokenizer_vocab(t);

    return v->eot >= 0 ? v->eot : v->eos;
}

static aerie_status add_reply(ae_ids *ids, const ae_tokenizer *t, const char *reply, bool ended,
                              aerie_error *err)
{
    aerie_status status = ae_tokenizer_encode(t, ae_span_text(reply), 0, ids, NULL, err);

    if (!status && ended && end_of_reply(t) >= 0) ae_ids_add(ids, end_of_reply(t));
    return status ? status : ae_ids_status(ids, err);
}

/* Of ids[first ..]. */
static aerie_status add_up(aerie_reply_likelihood *out, aerie_model *m, const ae_ids *ids,
                           size_t first, aerie_error *err)
{
    ae_engine_options o = ae_api_scorer(m);
    aerie_memory_plan plan = { .n_ctx = (int64_t)ids->len, .use = AERIE_USE_SCORES };
    float *logp = ae_alloc(ids->len, sizeof *logp);
    ae_engine *engine = NULL;
    aerie_status status =
        logp ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu tokens", ids->len);

    if (!status) status = ae_api_check_use(m, NULL, &plan, err);
    if (!status) status = ae_engine_open(&engine, &o, err);
    if (!status) status = ae_engine_log_probs(engine, ids->data, (int64_t)ids->len, logp, err);
    for (size_t i = first; i < ids->len && !status; i++) {
        out->logprob += (double)logp[i - 1];
        out->n_tokens++;
    }
    ae_engine_close(engine);
    ae_free(logp);
    return status;
}

aerie_status aerie_reply_logprob(aerie_model *m, const aerie_message *messages, size_t n_messages,
                                 const char *reply, bool ended, const char *chat_template,
                                 aerie_reply_likelihood *out, aerie_error *err)
{
    ae_template *chat = NULL;
    ae_ids ids = { 0 };
    size_t first = 0;
    aerie_status status = ae_api_template(&chat, m, chat_template, err);

    *out = (aerie_reply_likelihood){ 0 };
    if (!status) status = ae_api_chat_ids(&ids, m, chat, messages, n_messages, err);
    if (!status) {
        first = ids.len;
        status = add_reply(&ids, ae_model_tokenizer(m->model), reply, ended, err);
    }
    if (!status && first == 0)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "the template makes nothing of the messages; a reply's first token "
                            "wants something before it");
    if (!status && ids.len > first) status = add_up(out, m, &ids, first, err);
    ae_ids_free(&ids);
    ae_template_free(chat);
    return status;
}
