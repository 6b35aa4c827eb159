/* benchmark_rescore.c -- answers that were saved: lines of --log_samples, aerie's or the harness',
 * which bring their documents along; or {"prompt", "response"}, whose documents are the task's
 * data.
 */
#include "data/data.h"
#include "eval/benchmark_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static aerie_status bad_line(const ae_bench *b, size_t line, const char *what, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s:%zu: %s", b->options->rescore, line + 1, what);
}

static bool is_sample(const json_t *row)
{
    return json_is_array(json_object_get(row, "resps")) && json_object_get(row, "doc");
}

/* ---- samples ---- */

/* "-12.5", or a number. */
static bool read_number(double *out, const json_t *value)
{
    char *end;

    if (json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    if (!json_is_string(value) || json_string_length(value) == 0) return false;
    *out = strtod(json_string_value(value), &end);
    return *end == '\0';
}

static bool is_true(const json_t *value)
{
    return json_is_true(value) ||
           (json_is_string(value) && !strcmp(json_string_value(value), "True"));
}

static aerie_status read_answer(ae_bench *b, int64_t i, ae_request_kind kind, const json_t *resp,
                                size_t line, aerie_error *err)
{
    ae_bench_answer *a = &b->answers[i];
    const json_t *first = json_array_get(resp, 0); /* of repeats */

    if (!first) return bad_line(b, line, "an answer is missing in 'resps'", err);
    a->known = true;
    /* A whole text's is one number. */
    if (kind == AE_REQUEST_ROLLING && !json_is_array(first))
        return read_number(&a->answer.ll, first)
                   ? AERIE_OK
                   : bad_line(b, line, "an answer in 'resps' is no log-likelihood", err);
    if (kind == AE_REQUEST_GENERATE || kind == AE_REQUEST_DIVERGENCE) {
        if (!json_is_string(first))
            return bad_line(b, line, "an answer in 'resps' is no reply", err);
        size_t n = json_string_length(first);
        char *copy = ae_arena_strndup(&b->arena, json_string_value(first), n);
        if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply");
        a->reply = (ae_span){ copy, n };
        return AERIE_OK;
    }
    if (!json_is_array(first) || !read_number(&a->answer.ll, json_array_get(first, 0)))
        return bad_line(b, line, "an answer in 'resps' is no log-likelihood", err);
    a->answer.is_greedy = is_true(json_array_get(first, 1));
    return AERIE_OK;
}

static aerie_status read_sample(ae_bench *b, int64_t item, const json_t *row, size_t line,
                                aerie_error *err)
{
    const json_t *resps = json_object_get(row, "resps"), *tokens = json_object_get(row, "n_tokens");
    const json_t *merged = json_object_get(row, "merged");
    int64_t n = b->first[item + 1] - b->first[item];
    aerie_status status = AERIE_OK;

    if ((int64_t)json_array_size(resps) != n)
        return aerie_fail(
            err, AERIE_BAD_FILE, "%s:%zu: %zu answers, the task %s asks %lld of this document",
            b->options->rescore, line + 1, json_array_size(resps), b->name, (long long)n);
    for (int64_t k = 0; k < n && !status; k++) {
        int64_t i = b->first[item] + k;
        status = read_answer(b, i, ae_bench_request(b, item, i)->kind,
                             json_array_get(resps, (size_t)k), line, err);
        b->answers[i].answer.squares = json_number_value(json_object_get(row, "squares"));
        b->answers[i].answer.n_tokens =
            (int32_t)json_integer_value(json_array_get(tokens, (size_t)k));
        b->answers[i].merged = json_is_true(json_array_get(merged, (size_t)k));
    }
    return status;
}

/* A document is there once for every filter: the first counts. Rows without an id are documents of
 * their own. */
static bool is_first(json_t *seen, const json_t *row)
{
    const json_t *id = json_object_get(row, "doc_id");
    char key[24];

    if (!json_is_integer(id)) return true;
    snprintf(key, sizeof key, "%lld", (long long)json_integer_value(id));
    return !json_object_get(seen, key) && json_object_set_new(seen, key, json_true()) == 0;
}

static aerie_status read_all_samples(ae_bench *b, json_t *rows, aerie_error *err)
{
    json_t *docs = json_array(), *seen = json_object();
    size_t n = json_array_size(rows), n_docs = 0;
    size_t *lines = ae_alloc(n, sizeof *lines); /* of each document */
    aerie_status status = AERIE_OK;

    if (!docs || !seen || !lines)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for samples");
    for (size_t i = 0; i < n && !status; i++) {
        json_t *row = json_array_get(rows, i);
        if (!is_sample(row)) status = bad_line(b, i, "it is no line of --log_samples", err);
        if (status || !is_first(seen, row)) continue;
        json_array_append(docs, json_object_get(row, "doc"));
        lines[n_docs++] = i;
    }
    if (!status) status = ae_bench_build(b, docs, 0, err);
    for (int64_t i = 0; i < b->n_items && !status; i++) {
        size_t line = lines[ae_task_set_at(b->set, (size_t)i)->doc_id];
        status = read_sample(b, i, json_array_get(rows, line), line, err);
    }
    json_decref(docs);
    json_decref(seen);
    ae_free(lines);
    return status;
}

/* ---- prompts with responses ---- */

static const char *response_of(const json_t *row)
{
    const char *text = json_string_value(json_object_get(row, "response"));

    return text ? text : json_string_value(json_object_get(row, "output"));
}

/* By prompt: {prompt: row}. */
static json_t *index_rows(const json_t *rows)
{
    json_t *by_prompt = json_object();

    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const char *prompt = json_string_value(json_object_get(row, "prompt"));
        if (prompt) json_object_set(by_prompt, prompt, row);
    }
    return by_prompt;
}

static const json_t *row_for(const json_t *by_prompt, const ae_item *it)
{
    const char *prompt = json_string_value(json_object_get(it->doc, "prompt"));
    char *context;
    const json_t *row = prompt ? json_object_get(by_prompt, prompt) : NULL;

    if (row || it->n_requests == 0) return row;
    context = ae_strndup(it->requests[0].context.data, it->requests[0].context.len);
    row = context ? json_object_get(by_prompt, context) : NULL;
    ae_free(context);
    return row;
}

static aerie_status take_responses(ae_bench *b, const json_t *by_prompt, aerie_error *err)
{
    for (int64_t i = 0; i < b->n_items; i++) {
        const json_t *row = row_for(by_prompt, ae_task_set_at(b->set, (size_t)i));
        const char *text = response_of(row);
        ae_bench_answer *a = &b->answers[b->first[i]];
        char *copy = text ? ae_arena_strndup(&b->arena, text, strlen(text)) : NULL;
        if (!text)
            return aerie_fail(err, AERIE_BAD_FILE, "%s: the row of document %lld has no 'response'",
                              b->options->rescore, (long long)i);
        if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply");
        a->reply = (ae_span){ copy, strlen(copy) };
        a->known = true;
    }
    return AERIE_OK;
}

/* Rows that are their own documents. */
static bool is_whole(const json_t *row)
{
    return response_of(row) && json_object_get(row, "instruction_id_list") &&
           json_object_get(row, "kwargs");
}

/* Documents that nobody answered are left out. */
static aerie_status read_responses(ae_bench *b, json_t *rows, aerie_error *err)
{
    json_t *by_prompt = index_rows(rows), *docs = json_array();
    json_t *own = is_whole(json_array_get(rows, 0)) ? rows : NULL;
    aerie_status status = ae_bench_build(b, own, b->options->shots, err);

    for (int64_t i = 0; i < b->n_items && !status; i++) {
        const ae_item *it = ae_task_set_at(b->set, (size_t)i);
        if (row_for(by_prompt, it)) json_array_append(docs, it->doc);
    }
    if (!status && json_array_size(docs) == 0)
        status = aerie_fail(err, AERIE_BAD_FILE,
                            "%s: none of its 'prompt's is one of the task %s's %lld documents",
                            b->options->rescore, b->name, (long long)b->n_items);
    if (!status && (int64_t)json_array_size(docs) < b->n_items)
        status = ae_bench_build(b, docs, b->options->shots, err);
    if (!status) status = take_responses(b, by_prompt, err);
    json_decref(by_prompt);
    json_decref(docs);
    return status;
}

static aerie_status read_rows(json_t *rows, const char *path, aerie_error *err)
{
    ae_rows *r = NULL;
    ae_file_row row = { 0 };
    aerie_status status = ae_rows_open(&r, path, err);

    while (!status) {
        status = ae_rows_next(r, &row, err);
        if (status || !row.json) break;
        json_array_append_new(rows, row.json);
    }
    ae_rows_close(r);
    return status;
}

aerie_status ae_bench_read_samples(ae_bench *b, aerie_error *err)
{
    json_t *rows = json_array();
    aerie_status status = rows ? read_rows(rows, b->options->rescore, err)
                               : aerie_fail(err, AERIE_NO_MEMORY, "no memory for samples");

    if (!status && json_array_size(rows) == 0)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: there is nothing in it", b->options->rescore);
    if (!status)
        status = is_sample(json_array_get(rows, 0)) ? read_all_samples(b, rows, err)
                                                    : read_responses(b, rows, err);
    json_decref(rows);
    return status;
}
