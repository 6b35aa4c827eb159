/* train_judge.c -- 'reward: {source: judge}': every sampled reply gets a mark from a model behind
 * an OpenAI-compatible server. Training itself knows no network. */
#include "api/train_judge.h"

#include "data/data.h"
#include "eval/eval.h"

#include <string.h>

static aerie_status read_key(ae_train_judge *j, aerie_error *err)
{
    const char *path = j->recipe->online.key_file;
    aerie_status status;

    if (!path) return AERIE_OK;
    status = ae_file_read(&j->key_text, path, 1 << 16, err);
    while (!status && j->key_text.len > 0 &&
           strchr(" \t\r\n", j->key_text.data[j->key_text.len - 1]))
        j->key_text.data[--j->key_text.len] = '\0';
    if (!status && j->key_text.len == 0)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: the key's file is empty", path);
    j->key = j->key_text.data;
    return status;
}

static bool is_to_stop(void *user)
{
    const ae_train_judge *j = user;

    return j->progress &&
           j->progress(j->user, &(aerie_train_progress){ .phase = AERIE_TRAIN_WITHIN }) != 0;
}

static aerie_status open_judge(ae_train_judge *j, aerie_error *err)
{
    const ae_online_options *o = &j->recipe->online;
    ae_judge_endpoint endpoint = { .url = o->url,
                                   .model = o->model,
                                   .extra = o->judge_request,
                                   .in_flight = o->in_flight,
                                   .max_tokens = o->judge_tokens,
                                   .stop = is_to_stop,
                                   .stop_user = j };
    aerie_status status = read_key(j, err);

    endpoint.key = j->key;
    if (!status && o->prompt) status = ae_file_read(&j->words, o->prompt, 1 << 20, err);
    return status ? status : ae_judge_endpoint_open(&j->judge, &endpoint, err);
}

/* What came before the reply, as the data that it is from names its columns. */
static aerie_status messages_of(json_t **out, const ae_train_judge *j, const char *row,
                                aerie_error *err)
{
    json_t *record = row ? json_loads(row, 0, NULL) : NULL;
    aerie_status status = AERIE_NOT_FOUND;

    *out = NULL;
    for (int64_t i = 0; record && status && i < j->recipe->data.n; i++) {
        ae_dataset_options names = { .columns = j->recipe->data.items[i].columns,
                                     .n_columns = j->recipe->data.items[i].n_columns };
        status = ae_prompt_messages(out, record, &names, NULL);
    }
    json_decref(record);
    if (!status) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "'reward: {source: judge}' wants records with a prompt to show the judge; "
                      "this one has none: %.100s",
                      row ? row : "(no record)");
}

static aerie_status case_of(ae_judge_case *out, const ae_train_judge *j,
                            const aerie_reward_item *item, int64_t id, aerie_error *err)
{
    aerie_status status = messages_of(&out->messages, j, item->row, err);
    json_t *text = json_stringn(item->reply, item->reply_len);

    out->id = id;
    if (!text) text = json_string("(the reply is no text in UTF-8)");
    out->a = json_pack("[{s:s, s:o}]", "role", "assistant", "content", text);
    if (!status && !out->a)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a question to the judge");
    return status;
}

aerie_status ae_train_judge_score(void *user, double *scores, const aerie_reward_item *items,
                                  int64_t n, aerie_error *err)
{
    ae_train_judge *j = user;
    ae_judge_case *cases = ae_alloc((size_t)n, sizeof *cases);
    aerie_status status = cases ? AERIE_OK : AERIE_NO_MEMORY;

    if (!cases) aerie_fail(err, status, "no memory for questions to the judge");
    if (!status && !j->judge) status = open_judge(j, err);
    for (int64_t i = 0; i < n && !status; i++) status = case_of(&cases[i], j, &items[i], i, err);
    if (!status) {
        const ae_judge_task task = { .kind = AE_JUDGE_SCORE,
                                     .words = j->words.data,
                                     .low = (int)j->recipe->online.mark_low,
                                     .high = (int)j->recipe->online.mark_high };
        status = ae_judge_scores(scores, j->judge, &task, cases, n, err);
    }
    for (int64_t i = 0; cases && i < n; i++) ae_judge_case_free(&cases[i]);
    ae_free(cases);
    return status;
}

void ae_train_judge_close(ae_train_judge *j)
{
    ae_judge_close(j->judge);
    ae_bytes_free(&j->words);
    ae_bytes_free(&j->key_text);
    *j = (ae_train_judge){ 0 };
}
