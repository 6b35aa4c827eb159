/* judge.c -- replies before a judge, or a reward model: both read them from a file of rows, a
 * prompt with the models' replies each. */
#include "compare/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    aerie_compare *c;
    size_t *rows; /* [n] which row of the comparison a row of the file is */
    size_t n, n_differ;
    char *path, *labels;
    const char *what;
    aerie_status status;
} showing;

static bool has_all(const aerie_compare *c, size_t row)
{
    for (size_t i = 0; i < c->n_models; i++)
        if (!c->models[i].replies[row].text || c->models[i].replies[row].failed) return false;
    return true;
}

static bool differ(const aerie_compare *c, size_t row)
{
    for (size_t i = 1; i < c->n_models; i++)
        if (strcmp(c->models[i].replies[row].text, c->models[0].replies[row].text) != 0)
            return true;
    return false;
}

/* A reply without a word is shown as what it is. */
static const char *shown_text(const ae_compare_reply *r)
{
    return ae_reply_words(r->text, strlen(r->text)) ? r->text : "(no reply)";
}

static aerie_status write_row(showing *s, ae_file_writer *w, size_t row, aerie_error *err)
{
    const aerie_compare *c = s->c;
    json_t *replies = json_array(), *line;
    char *text;

    for (size_t i = 0; i < c->n_models; i++)
        json_array_append_new(replies, json_string(shown_text(&c->models[i].replies[row])));
    line = json_pack("{s:O, s:o}", "messages", c->data.items[ae_compare_item_of(c, row)].messages,
                     "responses", replies);
    text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for replies to judge");
    ae_file_writer_add(w, text, strlen(text));
    ae_file_writer_add(w, "\n", 1);
    free(text);
    s->rows[s->n++] = row;
    s->n_differ += differ(c, row);
    return AERIE_OK;
}

static aerie_status write_rows(showing *s, aerie_error *err)
{
    ae_file_writer w = { 0 };
    aerie_status status = ae_file_writer_open(&w, s->path, err);

    for (size_t row = 0; row < s->c->n_rows && !status; row++)
        if (has_all(s->c, row)) status = write_row(s, &w, row, err);
    if (!status) status = ae_file_writer_commit(&w, err);
    ae_file_writer_abandon(&w);
    if (!status && !s->n)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "no prompt has replies of all models; there is nothing to judge");
    return status;
}

/* Who is judged, by whom, how: another file for each, so that a longer run goes on from a shorter
 * one's verdicts. */
static uint64_t name_of(const aerie_compare *c, const char *judge, const char *words)
{
    uint64_t hash = ae_hash64(judge, strlen(judge), (uint64_t)c->with.repeats);

    if (words) hash = ae_hash64(words, strlen(words), hash);
    for (size_t i = 0; i < c->n_models; i++)
        hash = ae_hash64(c->models[i].key, strlen(c->models[i].key), hash);
    for (size_t i = 0; i < c->with.n_paths; i++)
        hash = ae_hash64(c->with.paths[i], strlen(c->with.paths[i]), hash);
    return hash;
}

static aerie_status begin(showing *s, aerie_compare *c, const char *what, const char *judge,
                          const char *words, aerie_error *err)
{
    char name[64];
    unsigned long long hash = name_of(c, judge, words);

    *s = (showing){ .c = c, .what = what };
    s->rows = ae_alloc(c->n_rows, sizeof *s->rows);
    snprintf(name, sizeof name, "%s-%016llx.jsonl", what, hash);
    s->path = ae_path_join(c->with.folder, name);
    snprintf(name, sizeof name, "%s-%016llx.out.jsonl", what, hash);
    s->labels = ae_path_join(c->with.folder, name);
    if (!s->rows || !s->path || !s->labels)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for replies to judge");
    return write_rows(s, err);
}

static void end(showing *s)
{
    ae_free(s->rows);
    ae_free(s->path);
    ae_free(s->labels);
}

/* ---- a judge ---- */

static bool add_outcome(aerie_compare *c, ae_compare_outcome outcome)
{
    if (c->n_outcomes == c->cap_outcomes) {
        size_t cap = c->cap_outcomes ? 2 * c->cap_outcomes : 256;
        ae_compare_outcome *grown = ae_realloc(c->outcomes, c->cap_outcomes, cap, sizeof *grown);
        if (!grown) return false;
        c->outcomes = grown;
        c->cap_outcomes = cap;
    }
    c->outcomes[c->n_outcomes++] = outcome;
    return true;
}

static void on_pair(void *user, const aerie_label_pair *p)
{
    showing *s = user;
    ae_compare_outcome outcome = { .a = p->first, .b = p->second, .outcome = p->outcome };

    if (p->row < 0 || (size_t)p->row >= s->n) return;
    outcome.row = (int64_t)s->rows[p->row];
    if (!add_outcome(s->c, outcome)) s->status = AERIE_NO_MEMORY;
}

static bool on_progress(void *user, int64_t n_done, int64_t n)
{
    const showing *s = user;
    const aerie_compare *c = s->c;

    return !c->with.progress || c->with.progress(c->with.user, s->what, n_done, n);
}

/* All replies are alike: there is nothing to ask. */
static void tie_all(showing *s)
{
    for (size_t i = 0; i < s->n; i++)
        for (int a = 0; a < (int)s->c->n_models; a++)
            for (int b = a + 1; b < (int)s->c->n_models; b++)
                on_pair(s, &(aerie_label_pair){ (int64_t)i, a, b, AERIE_PAIR_TIED });
}

aerie_status aerie_compare_judge(aerie_compare *c, aerie_judge *judge, const char *name,
                                 const char *words, aerie_error *err)
{
    showing s = { 0 };
    aerie_status status = AERIE_OK;

    if (c->n_models < 2) return aerie_fail(err, AERIE_BAD_ARGUMENT, "a judge compares two models");
    status = begin(&s, c, "judge", name, words, err);
    c->n_outcomes = 0;
    if (!status && s.n_differ == 0) tie_all(&s);
    if (!status && s.n_differ > 0) {
        const aerie_label_options options = { .paths = (const char *const *)&s.path,
                                              .n_paths = 1,
                                              .out_path = s.labels,
                                              .ranked = true,
                                              .words = words,
                                              .progress = on_progress,
                                              .on_pair = on_pair,
                                              .user = &s };
        status = aerie_label(judge, &options, &c->judged, err);
    }
    if (!status && s.status) status = aerie_fail(err, s.status, "no memory for verdicts");
    ae_free(c->judge_name);
    c->judge_name = status ? NULL : ae_strdup(name);
    end(&s);
    return status || c->judge_name ? status
                                   : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a name");
}

/* ---- a reward model ---- */

static bool on_scored(void *user, const aerie_scored *row)
{
    showing *s = user;
    const aerie_compare *c = s->c;

    for (size_t i = 0; i < row->n && i < c->n_models && (size_t)row->index < s->n; i++)
        c->models[i].replies[s->rows[row->index]].reward = row->scores[i];
    return on_progress(user, row->index + 1, (int64_t)s->n);
}

aerie_status aerie_compare_reward(aerie_compare *c, aerie_model *reward_model,
                                  const aerie_score_options *options, aerie_error *err)
{
    aerie_model_info info;
    showing s = { 0 };
    aerie_status status;

    aerie_model_describe(reward_model, &info);
    status = begin(&s, c, "reward", info.path, NULL, err);
    if (!status) status = aerie_score(reward_model, s.path, options, on_scored, &s, NULL, err);
    ae_free(c->reward_name);
    c->reward_name = status ? NULL : ae_strdup(info.path);
    end(&s);
    return status || c->reward_name ? status
                                    : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a name");
}
