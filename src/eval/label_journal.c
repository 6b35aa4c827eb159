/* label_journal.c -- the verdicts of a run, a line each, as they come: what a killed run leaves. */
#include "eval/label_private.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char *kind_name(const ae_judge_task *task)
{
    return task->kind == AE_JUDGE_PAIR ? "pair" : "score";
}

static aerie_status write_line(ae_label_journal *j, json_t *line, aerie_error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    ae_bytes bytes = { 0 };
    aerie_status status;

    json_decref(line);
    if (text) ae_bytes_add_text(&bytes, text);
    ae_bytes_add_char(&bytes, '\n');
    status = text ? ae_bytes_status(&bytes, err)
                  : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a verdict");
    free(text);
    if (!status) {
        ssize_t n = write(j->fd, bytes.data, bytes.len);
        if (n != (ssize_t)bytes.len)
            status = aerie_fail(err, AERIE_IO, "%s: %s", j->path,
                                n < 0 ? strerror(errno) : "the disk is full");
    }
    ae_bytes_free(&bytes);
    return status;
}

static aerie_status keep(ae_label_journal *j, const ae_label_verdict *v, aerie_error *err)
{
    if (j->n == j->cap) {
        size_t cap = j->cap ? j->cap * 2 : 256;
        ae_label_verdict *grown = ae_realloc(j->items, j->cap, cap, sizeof *grown);
        if (!grown) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu verdicts", cap);
        j->items = grown;
        j->cap = cap;
    }
    j->items[j->n++] = *v;
    return AERIE_OK;
}

static aerie_status bad_line(const ae_label_journal *j, size_t line, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s:%zu: no verdict of `aerie judge label`; move the file away to begin anew",
                      j->path, line);
}

static aerie_status check_head(const ae_label_journal *j, const json_t *head, const char *judge,
                               const ae_judge_task *task, aerie_error *err)
{
    const char *was_judge = json_string_value(json_object_get(head, "judge"));
    const char *was_kind = json_string_value(json_object_get(head, "kind"));
    const char *was_words = json_string_value(json_object_get(head, "words"));
    char words[17];
    aerie_status status = ae_judge_task_hash(task, words, err);

    if (status) return status;
    if (!was_judge || !was_kind || !was_words) return bad_line(j, 1, err);
    if (strcmp(was_judge, judge) != 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: the verdicts there are of the judge '%.100s', not of '%.100s'; name "
                          "another output or move the file away",
                          j->path, was_judge, judge);
    if (strcmp(was_kind, kind_name(task)) != 0 || strcmp(was_words, words) != 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: the verdicts there answer another question (%.20s); name another "
                          "output or move the file away",
                          j->path, was_kind);
    return AERIE_OK;
}

static aerie_status read_verdict(ae_label_journal *j, const json_t *line, size_t number,
                                 aerie_error *err)
{
    const json_t *row = json_object_get(line, "row"), *q = json_object_get(line, "q");
    const char *of = json_string_value(json_object_get(line, "of"));
    const char *choice = json_string_value(json_object_get(line, "verdict"));
    const json_t *score = json_object_get(line, "score");
    ae_label_verdict v = { .row = json_integer_value(row),
                           .q = (int32_t)json_integer_value(q),
                           .choice = choice ? *choice : 0,
                           .score = json_is_number(score) ? json_number_value(score) : NAN };

    if (!json_is_integer(row) || !json_is_integer(q) || !of || (choice && !strchr("ABC", *choice)))
        return bad_line(j, number, err);
    v.of = strtoull(of, NULL, 16);
    return keep(j, &v, err);
}

static aerie_status read_lines(ae_label_journal *j, ae_span text, const char *judge,
                               const ae_judge_task *task, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t number = 0;

    for (size_t at = 0; at < text.len && !status; number++) {
        const char *begin = text.data + at, *end = memchr(begin, '\n', text.len - at);
        json_t *line = json_loadb(begin, (size_t)(end - begin), 0, NULL);
        if (!line)
            status = bad_line(j, number + 1, err);
        else if (number == 0)
            status = check_head(j, line, judge, task, err);
        else
            status = read_verdict(j, line, number + 1, err);
        json_decref(line);
        at += (size_t)(end - begin) + 1;
    }
    return status;
}

static aerie_status write_head(ae_label_journal *j, const char *judge, const ae_judge_task *task,
                               aerie_error *err)
{
    char words[17];
    aerie_status status = ae_judge_task_hash(task, words, err);
    json_t *head =
        status ? NULL
               : json_pack("{s:s, s:i, s:s, s:s, s:s}", "journal", "aerie judge label", "version",
                           1, "judge", judge, "kind", kind_name(task), "words", words);

    return status ? status : write_line(j, head, err);
}

/* Everything up to the last end of a line; the rest was cut off with the run, and goes. */
static aerie_status load(ae_label_journal *j, const char *judge, const ae_judge_task *task,
                         aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, j->path, 0, err);
    size_t whole = text.len;

    while (!status && whole > 0 && text.data[whole - 1] != '\n') whole--;
    if (!status && whole < text.len && ftruncate(j->fd, (off_t)whole))
        status = aerie_fail(err, AERIE_IO, "%s: %s", j->path, strerror(errno));
    if (!status) status = read_lines(j, (ae_span){ text.data, whole }, judge, task, err);
    if (!status && whole == 0) status = write_head(j, judge, task, err);
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_label_journal_open(ae_label_journal *j, const char *path, const char *judge,
                                   const ae_judge_task *task, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *j = (ae_label_journal){ .fd = -1, .path = ae_strdup(path) };
    if (!j->path) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a journal");
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (j->fd < 0)
        status = aerie_fail(err, AERIE_IO, "%s: %s", path, strerror(errno));
    else if (flock(j->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        status = aerie_fail(err, AERIE_IO, "%s: another run is writing to it", path);
    if (!status) status = load(j, judge, task, err);
    if (status) ae_label_journal_close(j);
    ae_label_journal_sort(j);
    return status;
}

void ae_label_journal_close(ae_label_journal *j)
{
    if (j->fd >= 0) close(j->fd);
    ae_free(j->path);
    ae_free(j->items);
    *j = (ae_label_journal){ .fd = -1 };
}

aerie_status ae_label_journal_add(ae_label_journal *j, const ae_judge_task *task,
                                  const ae_label_verdict *v, ae_span reply, aerie_error *err)
{
    char of[17], choice[2] = { v->choice, '\0' };
    json_t *line, *words = json_stringn(reply.data ? reply.data : "", reply.len);
    aerie_status status;

    snprintf(of, sizeof of, "%016llx", (unsigned long long)v->of);
    line = json_pack("{s:I, s:i, s:s}", "row", (json_int_t)v->row, "q", (int)v->q, "of", of);
    if (line && task->kind == AE_JUDGE_PAIR)
        json_object_set_new(line, "verdict", v->choice ? json_string(choice) : json_null());
    if (line && task->kind == AE_JUDGE_SCORE)
        json_object_set_new(line, "score", isnan(v->score) ? json_null() : json_real(v->score));
    if (line) json_object_set_new(line, "reply", words ? words : json_null());
    status = write_line(j, line, err);
    return status ? status : keep(j, v, err);
}

static int by_question(const void *a, const void *b)
{
    const ae_label_verdict *x = a, *y = b;

    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->q > y->q) - (x->q < y->q);
}

void ae_label_journal_sort(ae_label_journal *j)
{
    if (j->n > 1) qsort(j->items, j->n, sizeof *j->items, by_question);
    j->n_sorted = j->n;
}

const ae_label_verdict *ae_label_journal_find(const ae_label_journal *j, int64_t row, int64_t q)
{
    const ae_label_verdict wanted = { .row = row, .q = (int32_t)q };

    if (!j->n_sorted) return NULL;
    return bsearch(&wanted, j->items, j->n_sorted, sizeof wanted, by_question);
}
