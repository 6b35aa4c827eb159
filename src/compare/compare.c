/* compare.c -- the public face: opening, asking, checking, judging. */
#include "compare/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 10000, REPLY_TOKENS = 512, SEED = 42 };

static void fill_in(aerie_compare_options *o)
{
    if (o->repeats <= 0) o->repeats = 1;
    if (o->resamples <= 0) o->resamples = RESAMPLES;
    if (!o->seed) o->seed = 1;
    if (o->timeout_seconds <= 0) o->timeout_seconds = 300;
}

/* ---- models ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

static aerie_status check_contender(const aerie_contender *with, aerie_error *err)
{
    if ((with->path != NULL) == (with->url != NULL))
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a model to compare is a file here, or behind a server's address");
    if (with->url && (!with->model || !*with->model))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "name the model at %s as the server calls it",
                          with->url);
    return AERIE_OK;
}

/* Two of the same name are told apart by a number. */
static void label(aerie_compare *c, size_t at)
{
    ae_compare_model *m = &c->models[at];
    const aerie_contender *with = m->with;
    const char *name = with->label ? with->label : with->path ? last_part(with->path) : with->model;
    size_t n = 1;

    for (size_t i = 0; i < at; i++) {
        const aerie_contender *o = c->models[i].with;
        const char *other = o->label ? o->label : o->path ? last_part(o->path) : o->model;
        n += !strcmp(other, name);
    }
    char begin[64];
    snprintf(begin, sizeof begin, "%s", name);
    ae_reply_cut(begin);
    if (n > 1)
        snprintf(m->label, sizeof m->label, "%s (%zu)", begin, n);
    else
        snprintf(m->label, sizeof m->label, "%s", begin);
}

static aerie_status open_model(aerie_compare *c, size_t at, aerie_error *err)
{
    ae_compare_model *m = &c->models[at];
    aerie_status status = check_contender(&c->with.contenders[at], err);

    if (status) return status;
    c->own[at].with = c->with.contenders[at];
    c->own[at].sampling =
        c->own[at].with.sampling ? *c->own[at].with.sampling : aerie_sampling_default();
    if (!c->own[at].sampling.seed) c->own[at].sampling.seed = SEED;
    if (c->own[at].with.max_tokens <= 0) c->own[at].with.max_tokens = REPLY_TOKENS;
    c->own[at].with.sampling = &c->own[at].sampling;
    m->with = &c->own[at].with;
    label(c, at);
    m->replies = ae_alloc(c->n_rows, sizeof *m->replies);
    if (!m->replies)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu replies", c->n_rows);
    for (size_t i = 0; i < c->n_rows; i++) m->replies[i].similarity = m->replies[i].reward = NAN;
    return ae_compare_key(m, err);
}

json_t *ae_compare_messages(const ae_compare_model *m, const ae_compare_item *item)
{
    const json_t *first = json_array_get(item->messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    bool has_system = role && !strcmp(role, "system");
    json_t *list = json_array(), *before = NULL, *one;
    size_t i;

    if (!list) return NULL;
    if (m->with->before) before = json_loads(m->with->before, 0, NULL);
    if (has_system) json_array_append(list, (json_t *)first);
    if (!has_system && m->with->system)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "role", "system", "content", m->with->system));
    json_array_foreach(before, i, one) json_array_append(list, one);
    json_array_foreach(item->messages, i, one) if (i > 0 || !has_system)
        json_array_append(list, one);
    json_decref(before);
    return list;
}

/* ---- opening ---- */

static aerie_status read_data(aerie_compare *c, aerie_error *err)
{
    json_t *checks = c->with.checks ? json_loads(c->with.checks, 0, NULL) : NULL;
    aerie_status status = AERIE_OK;

    if (c->with.checks && !json_is_array(checks))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "the checks are no JSON list: %.100s",
                            c->with.checks);
    /* Those of all prompts first, so that a mistake in one is not told of a line of the data. */
    for (size_t i = 0; i < json_array_size(checks) && !status; i++) {
        ae_check *one;
        status = ae_check_open(&one, json_array_get(checks, i), err);
        if (status)
            aerie_error_prefix(err, "check %zu of all prompts", i + 1);
        else
            ae_check_close(one);
    }
    for (size_t i = 0; i < c->with.n_paths && !status; i++)
        status = ae_compare_items_read(&c->data, c->with.paths[i], checks, c->with.limit, err);
    json_decref(checks);
    c->n_rows = c->data.n * (size_t)c->with.repeats;
    return status;
}

static aerie_status open_all(aerie_compare *c, aerie_error *err)
{
    aerie_status status;

    if (c->with.n_contenders < 1 || c->with.n_contenders > AE_COMPARE_MODELS)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "1 to %d models are compared, not %zu",
                          AE_COMPARE_MODELS, c->with.n_contenders);
    if (!c->with.n_paths || !c->with.folder)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a comparison needs data, and a folder to keep replies in");
    if (c->with.repeats > 1000) return aerie_fail(err, AERIE_BAD_ARGUMENT, "at most 1000 repeats");
    status = read_data(c, err);
    for (size_t i = 0; i < c->with.n_contenders && !status; i++) {
        c->n_models = i + 1;
        status = open_model(c, i, err);
    }
    return status ? status : ae_compare_replies_open(c, err);
}

aerie_status aerie_compare_open(aerie_compare **out, const aerie_compare_options *options,
                                aerie_error *err)
{
    aerie_compare *c = ae_alloc(1, sizeof *c);
    aerie_status status;

    *out = NULL;
    if (!c) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a comparison");
    c->with = *options;
    fill_in(&c->with);
    status = open_all(c, err);
    if (status)
        aerie_compare_close(c);
    else
        *out = c;
    return status;
}

void aerie_compare_close(aerie_compare *c)
{
    if (!c) return;
    ae_compare_replies_close(c);
    ae_compare_items_free(&c->data);
    ae_free(c->outcomes);
    ae_free(c->judge_name);
    ae_free(c->reward_name);
    ae_free(c);
}

/* ---- asking ---- */

bool ae_compare_next_missing(const aerie_compare *c, const ae_compare_model *m, size_t *row)
{
    while (*row < c->n_rows && m->replies[*row].text) ++*row;
    return *row < c->n_rows;
}

bool ae_compare_tell(const aerie_compare *c, const ae_compare_model *m)
{
    int64_t n = 0;

    if (!c->with.progress) return true;
    for (size_t i = 0; i < c->n_rows; i++) n += m->replies[i].text != NULL;
    return c->with.progress(c->with.user, m->label, n, (int64_t)c->n_rows);
}

/* Another model of the same settings has the same replies. */
static aerie_status share_replies(aerie_compare *c, size_t at, aerie_error *err)
{
    ae_compare_model *to = &c->models[at];

    for (size_t i = 0; i < at; i++) {
        const ae_compare_model *from = &c->models[i];
        if (strcmp(from->key, to->key) != 0) continue;
        for (size_t row = 0; row < c->n_rows; row++) {
            if (to->replies[row].text || !from->replies[row].text) continue;
            to->replies[row] = from->replies[row];
            to->replies[row].text = ae_strdup(from->replies[row].text);
            if (from->replies[row].failed)
                to->replies[row].failed = ae_strdup(from->replies[row].failed);
            if (!to->replies[row].text || (from->replies[row].failed && !to->replies[row].failed))
                return aerie_fail(err, AERIE_NO_MEMORY, "no memory for replies");
        }
        to->memory_bytes = from->memory_bytes;
        to->busy_seconds = from->busy_seconds;
    }
    return AERIE_OK;
}

static aerie_status check_reply(const aerie_compare *c, size_t row, ae_compare_reply *r,
                                aerie_error *err)
{
    const ae_compare_item *item = &c->data.items[ae_compare_item_of(c, row)];
    const ae_check_of of = { item->id,  item->messages, item->expected,
                             item->row, c->with.check,  c->with.check_user };
    aerie_status status = AERIE_OK;

    for (size_t k = 0; k < item->n_checks && !status && !r->failed; k++)
        status = ae_check_run(c->data.checks[item->checks[k]], &of, r->text, strlen(r->text),
                              &r->passed[k], err);
    if (status) aerie_error_prefix(err, "prompt '%.60s'", item->id);
    if (item->expected && !r->failed) r->similarity = ae_reply_similarity(r->text, item->expected);
    return status;
}

static aerie_status check_all(aerie_compare *c, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t row = 0; row < c->n_rows && !status; row++)
        for (size_t i = 0; i < c->n_models && !status; i++)
            status = check_reply(c, row, &c->models[i].replies[row], err);
    return status;
}

aerie_status aerie_compare_ask(aerie_compare *c, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < c->n_models && !status; i++) {
        ae_compare_model *m = &c->models[i];
        size_t row = 0;
        status = share_replies(c, i, err);
        if (status || !ae_compare_next_missing(c, m, &row)) continue;
        status = ae_compare_ask(c, m, err);
        if (status) aerie_error_prefix(err, "%s", m->label);
    }
    return status ? status : check_all(c, err);
}
