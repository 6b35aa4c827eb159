/* reward_model.c -- scores replies with a reward model: a file of its own, or an adapter with a
 * head over the weights that the policy began with. */
#include "train/reward_model.h"

#include "infer/infer.h"
#include "train/pass.h"

#include <string.h>

struct ae_reward_model {
    ae_device *device;
    ae_model *owned;       /* NULL: the policy's */
    const ae_model *model; /* what is scored with */
    ae_adapter *adapter;   /* NULL: none */
    ae_net net;
    ae_template *chat_template;
    ae_dataset_options columns;
    ae_encode_options encode;
    ae_arena nets, rows, sample;
};

static aerie_status open_adapter(ae_reward_model *m, const char *path, aerie_error *err)
{
    aerie_status status = ae_adapter_open(&m->adapter, path, m->model, false, err);

    if (!status) status = ae_adapter_norms(m->adapter, m->model, m->device, false, err);
    return status;
}

static aerie_status open_net(ae_reward_model *m, const ae_recipe *recipe, aerie_error *err)
{
    const ae_online_options *o = &recipe->online;
    aerie_status status = AERIE_OK;

    if (o->model) status = ae_model_open(&m->owned, o->model, err);
    if (m->owned) m->model = m->owned;
    if (!status && o->adapter) status = open_adapter(m, o->adapter, err);
    if (!status)
        status =
            ae_net_with_adapters(&m->net, &m->nets, m->model, &m->adapter, m->adapter ? 1 : 0, err);
    if (!status && (!m->net.score || !ae_model_tokenizer(m->model)))
        status =
            aerie_fail(err, AERIE_BAD_ARGUMENT,
                       "%s: no reward model: it has no %s; train one with 'method: reward'",
                       ae_model_path(m->model), m->net.score ? "tokenizer" : "head that scores");
    return status;
}

static aerie_status open_text(ae_reward_model *m, const ae_recipe *recipe, aerie_error *err)
{
    const char *source = ae_model_template(m->model);
    int64_t context = ae_model_config(m->model)->max_position;

    if (!source)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: the reward model has no chat template",
                          ae_model_path(m->model));
    m->columns = (ae_dataset_options){ .columns = recipe->data.items[0].columns,
                                       .n_columns = recipe->data.items[0].n_columns };
    m->encode = (ae_encode_options){ .tokenizer = ae_model_tokenizer(m->model),
                                     .max_length = (int32_t)(context < INT32_MAX ? context : 0) };
    return ae_template_parse(&m->chat_template, ae_span_text(source), err);
}

aerie_status ae_reward_model_open(ae_reward_model **out, const ae_recipe *recipe,
                                  const ae_model *base, ae_device *device, aerie_error *err)
{
    ae_reward_model *m = ae_alloc(1, sizeof *m);
    aerie_status status;

    *out = NULL;
    if (!m) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reward model");
    m->device = device;
    m->model = base;
    status = open_net(m, recipe, err);
    if (!status) status = open_text(m, recipe, err);
    m->encode.chat_template = m->chat_template;
    if (status)
        ae_reward_model_close(m);
    else
        *out = m;
    return status;
}

void ae_reward_model_close(ae_reward_model *m)
{
    if (!m) return;
    ae_template_free(m->chat_template);
    ae_adapter_close(m->adapter);
    ae_model_close(m->owned);
    ae_arena_free(&m->nets);
    ae_arena_free(&m->rows);
    ae_arena_free(&m->sample);
    ae_free(m);
}

aerie_status ae_reward_model_identify(const ae_reward_model *m, ae_bytes *out, aerie_error *err)
{
    char hash[65];
    aerie_status status = ae_model_hash(m->model, hash, err);

    if (status) return status;
    ae_bytes_printf(out, "reward model's hash: %.16s\n", hash);
    if (!m->adapter) return ae_bytes_status(out, err);
    ae_adapter_hash(m->adapter, hash);
    ae_bytes_printf(out, "reward adapter's hash: %.16s\n", hash);
    return ae_bytes_status(out, err);
}

/* Replies as rankings have them: lists of one message each, all ranked alike. */
static bool add_replies(json_t *replies, json_t *ranks, const aerie_reward_item *items, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        json_t *reply = json_pack("[{s:s, s:o}]", "role", "assistant", "content",
                                  json_stringn_nocheck(items[i].reply, items[i].reply_len));
        if (json_array_append_new(replies, reply) || json_array_append_new(ranks, json_integer(1)))
            return false;
    }
    return true;
}

static aerie_status score_sample(double *scores, ae_reward_model *m, const ae_sample *s, int64_t n,
                                 aerie_error *err)
{
    const ae_replies replies = { s->ids, s->n_prompt, s->reply_n, s->n_replies };
    float *every = ae_arena_take(&m->sample, (size_t)s->n, sizeof *every);
    aerie_status status;

    if (s->dropped || s->n_replies != n)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a prompt and its replies don't fit into the reward model's context of "
                          "%d tokens; lower 'max_prompt_length'",
                          m->encode.max_length);
    if (!every) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for scores");
    status = ae_reward_scores(every, &replies, 0, m->device, &m->net, &m->rows, err);
    for (int64_t i = 0; i < n && !status; i++)
        scores[i] = (double)every[ae_replies_last(&replies, i)];
    return status;
}

/* Replies to one prompt. */
static aerie_status score_group(double *scores, ae_reward_model *m, const aerie_reward_item *items,
                                int64_t n, aerie_error *err)
{
    json_t *row = items[0].row ? json_loads(items[0].row, 0, NULL) : NULL;
    json_t *messages = NULL, *replies = json_array(), *ranks = json_array();
    aerie_status status;
    ae_sample sample;

    if (!row)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "a reward model wants the prompt's record, and this one has none");
    else if (!replies || !ranks || !add_replies(replies, ranks, items, n))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt's replies");
    else
        status = ae_prompt_messages(&messages, row, &m->columns, err);
    if (!status) {
        const ae_example e = {
            .kind = AE_EXAMPLE_RANKED, .messages = messages, .replies = replies, .ranks = ranks
        };
        ae_arena_reset_all(&m->sample);
        status = ae_encode(&sample, &e, &m->encode, &m->sample, err);
    }
    if (!status) status = score_sample(scores, m, &sample, n, err);
    json_decref(messages);
    json_decref(replies);
    json_decref(ranks);
    json_decref(row);
    return status;
}

aerie_status ae_reward_model_score(double *scores, ae_reward_model *m, const ae_train_run *run,
                                   const aerie_reward_item *items, int64_t n, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int64_t i = 0, end; i < n && !status; i = end) {
        for (end = i + 1; end < n && items[end].row == items[i].row;) end++;
        status = ae_run_ask(run, err);
        if (!status) status = score_group(scores + i, m, items + i, end - i, err);
    }
    return status;
}
