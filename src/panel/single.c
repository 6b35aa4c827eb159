/* single.c -- every model's answers, then what the judge says of them. */
#include "panel/single.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static aerie_status no_memory(const ae_single *s, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %s", s->kind->name);
}

/* ---- questions ---- */

aerie_status ae_single_add(ae_single *s, const char *key, const char *prompt, const char *baseline,
                           const json_t *row, aerie_error *err)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        ae_single_item *grown = ae_realloc(s->items, s->cap, cap, sizeof *grown);
        if (!grown) return no_memory(s, err);
        s->items = grown;
        s->cap = cap;
    }
    ae_single_item *one = &s->items[s->n++];
    *one = (ae_single_item){ .key = ae_strdup(key),
                             .prompt = ae_strdup(prompt),
                             .baseline = baseline ? ae_strdup(baseline) : NULL,
                             .row = json_incref((json_t *)(uintptr_t)row) };
    return one->key && one->prompt && (!baseline || one->baseline) ? AERIE_OK : no_memory(s, err);
}

aerie_status ae_single_messages(char **out, json_t *list, aerie_error *err)
{
    *out = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return *out ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a question");
}

/* ---- what is there ---- */

/* An item of that name without a row: the one that the row's index says, or of several (an
 * instruction may come twice) the first whose judgment it can be. n: none. */
static size_t item_of(const ae_single *s, const char *key, const json_t *row)
{
    const json_t *index = json_object_get(row, "index");
    size_t first = s->n;

    for (size_t i = 0; i < s->n; i++) {
        if (s->known[i] || strcmp(s->items[i].key, key) != 0) continue;
        if (json_is_integer(index) && json_integer_value(index) == (json_int_t)i) return i;
        if (!json_is_integer(index) && (!s->is_judging || s->kind->is_current(s, i, row))) return i;
        if (first == s->n) first = i;
    }
    return first;
}

static aerie_status keep(ae_single *s, size_t item, const json_t *row, aerie_error *err)
{
    s->known[item] = true;
    return json_array_set(s->rows, item, (json_t *)(uintptr_t)row) ? no_memory(s, err) : AERIE_OK;
}

static aerie_status keep_answer(ae_single *s, size_t item, const char *text, aerie_error *err)
{
    ae_free(s->answers[item]);
    s->answers[item] = ae_strdup(text);
    return s->answers[item] ? AERIE_OK : no_memory(s, err);
}

/* A row of an earlier run, or of upstream's program. */
static aerie_status take_row(void *user, const json_t *row, aerie_error *err)
{
    ae_single *s = user;
    const char *key = s->kind->key(row);
    size_t item = key ? item_of(s, key, row) : s->n;
    const char *text = s->is_judging ? NULL : s->kind->answer_of(row);
    aerie_status status = AERIE_OK;

    if (!key || (!s->is_judging && !text))
        return ae_journal_refuse(s->is_judging ? s->kind->judgment : s->kind->answer, err);
    if (item == s->n) return AERIE_OK; /* of no question of this run */
    status = ae_panel_check_state(row, s->state, s->is_judging ? s->judge : s->label, err);
    if (status) return status;
    if (s->is_judging && !s->kind->is_current(s, item, row))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "a judgment of other answers than there are now; move the file away to "
                          "have these judged");
    if (text) status = keep_answer(s, item, text, err);
    return status ? status : keep(s, item, row, err);
}

typedef struct {
    ae_single *s;
    ae_journal *log;
} importing;

static aerie_status import_row(void *user, const json_t *row, aerie_error *err)
{
    importing *in = user;
    aerie_status status = take_row(in->s, row, err);

    return status ? status
                  : ae_journal_add(in->log, json_incref((json_t *)(uintptr_t)row), AE_JOURNAL_ASCII,
                                   err);
}

/* The journal, with what upstream's program left where there is no journal yet. */
static aerie_status open_log(ae_single *s, ae_journal *log, const char *path, const char *array,
                             aerie_error *err)
{
    bool is_new = !ae_file_exists(path);
    importing in = { s, log };
    aerie_status status = ae_journal_open(
        log, path, s->is_judging ? s->kind->judgment : s->kind->answer, take_row, s, err);

    if (!status && is_new && array && ae_file_exists(array))
        status = ae_panel_read(array, 0, import_row, &in, err);
    return status;
}

/* ---- what is missing ---- */

static int64_t tokens_of(int64_t asked, int64_t usual)
{
    return asked > 0 ? asked : usual;
}

static aerie_status ask(void *user, size_t item, size_t part, ae_question *out, aerie_error *err)
{
    const ae_single *s = user;

    out->sampling = aerie_sampling_default();
    if (s->is_judging) {
        out->max_tokens = tokens_of(s->by->judge_tokens, s->kind->judge_tokens);
        out->grammar = s->grammar;
        return s->kind->judge(s, item, part, out, err);
    }
    out->max_tokens = tokens_of(s->by->max_tokens, s->kind->answer_tokens);
    out->stop = s->model->stop;
    out->n_stop = s->model->n_stop;
    s->kind->answer_sampling(s, out);
    return ae_single_messages(
        &out->messages, json_pack("[{s:s, s:s}]", "role", "user", "content", s->items[item].prompt),
        err);
}

/* An answer that could not be had is an empty one. */
static aerie_status make_row(void *user, size_t item, const ae_panel_reply *replies, json_t **row,
                             aerie_error *err)
{
    ae_single *s = user;
    aerie_status status;

    if (s->is_judging) {
        status = s->kind->judgment_row(s, item, replies, row, err);
    } else {
        status = keep_answer(s, item, replies->failed ? "" : replies->text, err);
        if (!status) *row = s->kind->answer_row(s, item);
    }
    if (!status && !*row) status = no_memory(s, err);
    if (!status && *s->state) json_object_set_new(*row, "state", json_string(s->state));
    return status ? status : keep(s, item, *row, err);
}

static aerie_status settle(ae_single *s, ae_journal *log, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < s->n && !status && s->is_judging && s->kind->settled; i++) {
        json_t *row = s->known[i] ? NULL : s->kind->settled(s, i);
        if (!row) continue;
        status = keep(s, i, row, err);
        if (!status)
            status = ae_journal_add(log, row, AE_JOURNAL_ASCII, err);
        else
            json_decref(row);
    }
    return status;
}

/* ---- one model ---- */

/* The rows that there are, in the benchmark's order. */
static aerie_status write_array(const ae_single *s, const char *path, aerie_error *err)
{
    json_t *rows = json_array(), *row;
    char *text = NULL;
    size_t i;

    json_array_foreach(s->rows, i, row) if (!json_is_null(row)) json_array_append(rows, row);
    text = json_dumps(rows, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(rows);
    if (!text) return no_memory(s, err);
    aerie_status status = ae_file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

static aerie_status run_round(ae_single *s, const char *path, const char *array, aerie_error *err)
{
    char what[200];
    ae_journal log = { 0 };
    const ae_panel_round round = { .what = what,
                                   .n = s->n,
                                   .parts = s->is_judging ? s->kind->games : 1,
                                   .known = s->known,
                                   .user = s,
                                   .ask = ask,
                                   .row = make_row };
    aerie_status status = open_log(s, &log, path, array, err);

    if (s->is_judging)
        snprintf(what, sizeof what, "%s judges %s", s->judge, s->label);
    else
        snprintf(what, sizeof what, "%s answers", s->label);
    if (!status) status = settle(s, &log, err);
    if (!status)
        status =
            ae_panel_round_run(&round, s->is_judging ? s->by->judge : s->model, s->by, &log, err);
    if (!status && array) status = write_array(s, array, err);
    ae_journal_close(&log);
    return status;
}

static aerie_status make_folder_of(const char *path, aerie_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? ae_strndup(path, (size_t)(slash - path)) : ae_strdup(".");
    aerie_status status = folder ? ae_file_make_folder(folder, err)
                                 : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a name");

    ae_free(folder);
    return status;
}

aerie_status ae_single_paths(ae_single *s, size_t model, bool is_judgment, ae_bytes *journal,
                             ae_bytes *array, aerie_error *err)
{
    s->model = &s->by->models[model];
    s->label = ae_panel_label(s->model);
    s->kind->paths(s, is_judgment, journal, array);
    aerie_status status = ae_bytes_status(journal, err);
    return status ? status : ae_bytes_status(array, err);
}

static aerie_status run_phase(ae_single *s, size_t model, bool is_judging, aerie_error *err)
{
    ae_bytes journal = { 0 }, array = { 0 };
    aerie_status status = ae_single_paths(s, model, is_judging, &journal, &array, err);

    s->is_judging = is_judging;
    if (!status) status = ae_panel_state(s->state, is_judging ? s->by->judge : s->model, err);
    memset(s->known, 0, s->n * sizeof *s->known);
    json_array_clear(s->rows);
    for (size_t i = 0; i < s->n; i++)
        if (json_array_append_new(s->rows, json_null())) status = no_memory(s, err);
    if (!status) status = make_folder_of(journal.data, err);
    if (!status) status = run_round(s, journal.data, array.len ? array.data : NULL, err);
    ae_bytes_free(&journal);
    ae_bytes_free(&array);
    return status;
}

aerie_status ae_single_run(ae_single *s, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    s->answers = ae_alloc(s->n, sizeof *s->answers);
    s->known = ae_alloc(s->n, sizeof *s->known);
    s->rows = json_array();
    if (!s->answers || !s->known || !s->rows) status = no_memory(s, err);
    /* All answers first: whoever judges may be dear, and is asked once all is there. */
    for (size_t i = 0; i < s->by->n_models && !status; i++) status = run_phase(s, i, false, err);
    for (size_t i = 0; i < s->by->n_models && !status && s->by->judge; i++) {
        status = run_phase(s, i, false, err); /* read again */
        if (!status) status = run_phase(s, i, true, err);
    }
    return status;
}

void ae_single_free(ae_single *s)
{
    for (size_t i = 0; i < s->n; i++) {
        ae_single_item *one = &s->items[i];
        ae_free(one->key);
        ae_free(one->prompt);
        ae_free(one->baseline);
        json_decref(one->row);
        if (s->answers) ae_free(s->answers[i]);
    }
    ae_free(s->items);
    ae_free(s->answers);
    ae_free(s->known);
    json_decref(s->rows);
    aerie_grammar_free(s->grammar);
    *s = (ae_single){ 0 };
}
