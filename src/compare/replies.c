/* replies.c -- replies.jsonl: every reply a line, as it comes; what a killed run leaves, and what
 * the next one goes on from. A line names the model's settings and the prompt by their hashes, so
 * that other models and prompts may share the file. */
#include "compare/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- a model's key ---- */

/* The file as it lies: who changes it gets other replies. */
static json_t *stamp_of(const char *path)
{
    ae_bytes stamp = { 0 };
    json_t *text;

    ae_file_stamp(&stamp, path);
    text = json_string(stamp.data ? stamp.data : "");
    ae_bytes_free(&stamp);
    return text;
}

static void add_local(json_t *o, const aerie_contender *with)
{
    json_t *adapters = json_array();

    json_object_set_new(o, "path", json_string(with->path));
    json_object_set_new(o, "stamp", stamp_of(with->path));
    for (int i = 0; with->load && i < with->load->n_adapters; i++)
        json_array_append_new(adapters, json_pack("{s:s, s:o}", "path", with->load->adapters[i],
                                                  "stamp", stamp_of(with->load->adapters[i])));
    json_object_set_new(o, "adapters", adapters);
    json_object_set_new(o, "exact", json_boolean(with->load && with->load->exact));
    if (with->load && with->load->kv) json_object_set_new(o, "kv", json_string(with->load->kv));
    if (with->chat_template) json_object_set_new(o, "template", json_string(with->chat_template));
    json_object_set_new(o, "context", json_integer(with->context));
}

static json_t *settings_of(const aerie_contender *with)
{
    const aerie_sampling *s = with->sampling;
    json_t *o = json_object(), *stops = json_array();

    if (with->path)
        add_local(o, with);
    else
        json_object_set_new(o, "server",
                            json_pack("{s:s, s:s, s:s?}", "url", with->url, "model", with->model,
                                      "request", with->request));
    if (with->system) json_object_set_new(o, "system", json_string(with->system));
    if (with->before) json_object_set_new(o, "before", json_string(with->before));
    for (size_t i = 0; i < with->n_stop; i++)
        json_array_append_new(stops, json_string(with->stop[i]));
    json_object_set_new(o, "stop", stops);
    json_object_set_new(o, "max_tokens", json_integer(with->max_tokens));
    json_object_set_new(
        o, "sampling",
        json_pack("{s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:i, s:I}", "temperature",
                  (double)s->temperature, "top_k", s->top_k, "top_p", (double)s->top_p, "min_p",
                  (double)s->min_p, "repeat_penalty", (double)s->repeat_penalty, "presence_penalty",
                  (double)s->presence_penalty, "frequency_penalty", (double)s->frequency_penalty,
                  "repeat_last_n", s->repeat_last_n, "seed", (json_int_t)s->seed));
    /* Only where it filters: replies that were kept without it are of the same settings. */
    if (s->typical_p > 0 && s->typical_p < 1)
        json_object_set_new(o, "typical_p", json_real((double)s->typical_p));
    return o;
}

aerie_status ae_compare_key(ae_compare_model *m, aerie_error *err)
{
    json_t *settings = settings_of(m->with);
    char *text = settings ? json_dumps(settings, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    json_decref(settings);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a model's settings");
    snprintf(m->key, sizeof m->key, "%016llx",
             (unsigned long long)ae_hash64(text, strlen(text), 0));
    free(text);
    return AERIE_OK;
}

/* ---- lines ---- */

aerie_status ae_compare_replies_add(aerie_compare *c, ae_compare_model *m, size_t row,
                                    const ae_compare_reply *reply, aerie_error *err)
{
    const ae_compare_item *item = &c->data.items[ae_compare_item_of(c, row)];
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s?, s:b, s:I, s:I, s:f, s:f}", "of", m->key,
                  "model", m->label, "prompt", item->hash, "id", item->id, "repeat",
                  (json_int_t)(row % (size_t)c->with.repeats), "reply", reply->text, "failed",
                  reply->failed, "cut", reply->cut, "prompt_tokens",
                  (json_int_t)reply->prompt_tokens, "reply_tokens", (json_int_t)reply->reply_tokens,
                  "first_seconds", reply->first_seconds, "seconds", reply->seconds);

    m->replies[row] = *reply;
    if (!line) return aerie_fail(err, AERIE_BAD_TEXT, "a reply of %s is no UTF-8", m->label);
    return ae_journal_add(&c->replies, line, AE_JOURNAL_UTF8, err);
}

aerie_status ae_compare_replies_note(aerie_compare *c, ae_compare_model *m, aerie_error *err)
{
    json_t *line =
        json_pack("{s:s, s:s, s:I, s:f}", "of", m->key, "model", m->label, "memory_bytes",
                  (json_int_t)m->memory_bytes, "busy_seconds", m->busy_seconds);
    aerie_status status = ae_journal_add(&c->replies, line, AE_JOURNAL_UTF8, err);

    return status ? status : ae_journal_sync(&c->replies, err);
}

/* ---- what is there ---- */

static const char *text_at(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));

    return text ? text : "";
}

static double number_at(const json_t *line, const char *key)
{
    return json_number_value(json_object_get(line, key));
}

static void take_note(ae_compare_model *m, const json_t *line)
{
    double busy = number_at(line, "busy_seconds");
    uint64_t bytes = (uint64_t)json_integer_value(json_object_get(line, "memory_bytes"));

    if (bytes > m->memory_bytes) m->memory_bytes = bytes;
    /* A run's note has the seconds of the runs before in it. */
    if (busy > m->busy_seconds) m->busy_seconds = busy;
}

static aerie_status take_reply(aerie_compare *c, ae_compare_model *m, const json_t *line,
                               aerie_error *err)
{
    const char *hash = text_at(line, "prompt"), *failed = text_at(line, "failed");
    int64_t repeat = json_integer_value(json_object_get(line, "repeat"));

    if (repeat < 0 || repeat >= c->with.repeats) return AERIE_OK;
    for (size_t i = 0; i < c->data.n; i++) {
        ae_compare_reply *r = &m->replies[i * (size_t)c->with.repeats + (size_t)repeat];
        if (strcmp(c->data.items[i].hash, hash) != 0 || r->text) continue;
        *r = (ae_compare_reply){
            .text = ae_strdup(text_at(line, "reply")),
            .failed = *failed ? ae_strdup(failed) : NULL,
            .cut = json_is_true(json_object_get(line, "cut")),
            .prompt_tokens = json_integer_value(json_object_get(line, "prompt_tokens")),
            .reply_tokens = json_integer_value(json_object_get(line, "reply_tokens")),
            .first_seconds = number_at(line, "first_seconds"),
            .seconds = number_at(line, "seconds"),
            .similarity = NAN,
            .reward = NAN,
        };
        if (!r->text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for kept replies");
    }
    return AERIE_OK;
}

static aerie_status take_line(void *user, const json_t *line, aerie_error *err)
{
    aerie_compare *c = user;
    const char *of = text_at(line, "of");
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < c->n_models && !status; i++) {
        ae_compare_model *m = &c->models[i];
        if (strcmp(m->key, of) != 0) continue;
        if (json_object_get(line, "reply"))
            status = take_reply(c, m, line, err);
        else
            take_note(m, line);
    }
    return status;
}

aerie_status ae_compare_replies_open(aerie_compare *c, aerie_error *err)
{
    aerie_status status = ae_file_make_folder(c->with.folder, err);
    char *path;

    if (status) return status;
    path = ae_path_join(c->with.folder, "replies.jsonl");
    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a path");
    status = ae_journal_open(&c->replies, path, "reply of `aerie compare`", take_line, c, err);
    ae_free(path);
    return status;
}

void ae_compare_replies_close(aerie_compare *c)
{
    ae_journal_close(&c->replies);
    for (size_t i = 0; i < c->n_models; i++) {
        ae_compare_model *m = &c->models[i];
        for (size_t row = 0; m->replies && row < c->n_rows; row++) {
            ae_free(m->replies[row].text);
            ae_free(m->replies[row].failed);
        }
        ae_free(m->replies);
        m->replies = NULL;
    }
}
