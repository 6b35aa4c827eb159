/* label_write.c -- a judged row as the lines that `aerie train` reads. */
#include "eval/label_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static aerie_status write_line(ae_file_writer *w, json_t *line, int64_t *n_lines, aerie_error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;

    json_decref(line);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judged row");
    ae_file_writer_add(w, text, strlen(text));
    ae_file_writer_add(w, "\n", 1);
    free(text);
    ++*n_lines;
    return AERIE_OK;
}

static json_t *pair_line(const ae_label_row *row, int chosen, int rejected, const char *judge)
{
    json_t *line = json_pack("{s:O, s:O, s:O, s:s}", "prompt", row->example.messages, "chosen",
                             ae_label_reply(row, chosen), "rejected", ae_label_reply(row, rejected),
                             "judge", judge);

    if (line && row->example.tools) json_object_set(line, "tools", row->example.tools);
    return line;
}

static aerie_status write_pairs(ae_file_writer *w, const ae_label_row *row,
                                const ae_label_options *options, const char *judge,
                                const ae_label_result *result, int64_t *n_lines, aerie_error *err)
{
    int64_t n = ae_label_n_questions(&options->task, row->n) / 2;
    aerie_status status = AERIE_OK;

    for (int64_t p = 0; p < n && !status; p++) {
        ae_label_question q = ae_label_question_at(&options->task, row->n, 2 * p);
        if (result->outcomes[p] == AERIE_PAIR_FIRST)
            status = write_line(w, pair_line(row, q.a, q.b, judge), n_lines, err);
        if (result->outcomes[p] == AERIE_PAIR_SECOND)
            status = write_line(w, pair_line(row, q.b, q.a, judge), n_lines, err);
    }
    return status;
}

/* Of marks: the better one of every two that differ. */
static aerie_status write_scored_pairs(ae_file_writer *w, const ae_label_row *row,
                                       const char *judge, const ae_label_result *r,
                                       int64_t *n_lines, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int i = 0; i < row->n && !status; i++)
        for (int k = i + 1; k < row->n && !status; k++) {
            if (!r->has_score[i] || !r->has_score[k] || r->score[i] == r->score[k]) continue;
            bool first = r->score[i] > r->score[k];
            status =
                write_line(w, pair_line(row, first ? i : k, first ? k : i, judge), n_lines, err);
        }
    return status;
}

static aerie_status response_of(json_t **out, const ae_label_row *row, int i, double score,
                                aerie_error *err)
{
    json_t *reply = ae_label_reply(row, i), *message = json_array_get(reply, 0);
    json_t *text = json_object_get(message, "content");

    *out = NULL;
    if (json_array_size(reply) != 1 || !json_is_string(text))
        return aerie_fail(
            err, AERIE_UNSUPPORTED,
            "row %lld: a reply of several messages has no place in ranked rows; write "
            "pairs",
            (long long)row->index + 1);
    *out = json_pack("{s:O, s:f}", "text", text, "score", score);
    return *out ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judged row");
}

static aerie_status write_ranked(ae_file_writer *w, const ae_label_row *row, const char *judge,
                                 const ae_label_result *r, int64_t *n_lines, aerie_error *err)
{
    json_t *list = json_array();
    json_t *line = json_pack("{s:O, s:o, s:s}", "messages", row->example.messages, "responses",
                             list, "judge", judge);
    aerie_status status = line ? AERIE_OK : AERIE_NO_MEMORY;

    for (int i = 0; i < row->n && !status; i++) {
        json_t *response = NULL;
        if (!r->has_score[i]) continue;
        status = response_of(&response, row, i, r->score[i], err);
        if (!status) json_array_append_new(list, response);
    }
    if (line && row->example.tools) json_object_set(line, "tools", row->example.tools);
    if (status || json_array_size(list) == 0) {
        json_decref(line);
        return status;
    }
    return write_line(w, line, n_lines, err);
}

aerie_status ae_label_write_row(ae_file_writer *w, const ae_label_row *row,
                                const ae_label_options *options, const char *judge,
                                const ae_label_result *result, int64_t *n_lines, aerie_error *err)
{
    if (options->ranked) return write_ranked(w, row, judge, result, n_lines, err);
    if (options->task.kind == AE_JUDGE_PAIR)
        return write_pairs(w, row, options, judge, result, n_lines, err);
    return write_scored_pairs(w, row, judge, result, n_lines, err);
}
