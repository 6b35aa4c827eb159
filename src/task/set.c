/* set.c -- the requests of a task, document by document. */
#include "task/task_private.h"

#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ae_task_set {
    const ae_task *task;
    ae_arena arena;
    ae_item *items;
    size_t n;
    task_rows docs;
};

/* What building needs besides. */
typedef struct {
    ae_task_set *set;
    const ae_task *task;
    const ae_task_options *options;
    task_rows pool;   /* the shots' rows */
    task_shot *shown; /* [pool.n] of them as texts; NULL question: not yet */
    size_t k;         /* shots of a document */
    task_shot *shots; /* [k] */
    ae_mersenne rng;
    aerie_error *err;
} builder;

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's requests");
}

static ae_span keep(builder *b, ae_span text)
{
    char *copy = ae_arena_strndup(&b->set->arena, text.data ? text.data : "", text.len);

    return (ae_span){ copy, text.len };
}

/* ---- rows ---- */

static aerie_status load(task_rows *out, builder *b, json_t *given, const char *split, bool is_test)
{
    json_t *rows = json_array();
    aerie_status status = rows ? AERIE_OK : no_memory(b->err);

    if (!status && !given && !b->options->data)
        status =
            aerie_fail(b->err, AERIE_BAD_ARGUMENT, "%s: say where its data is (--data FOLDER)%s%s",
                       b->task->name, b->task->source ? "; it can be had from " : "",
                       b->task->source ? b->task->source : "");
    if (!status && given)
        status = task_select_rows(rows, given, b->task, b->err);
    else if (!status)
        status = task_load_split(rows, b->task, split, b->options->data, is_test, b->err);
    if (status) {
        json_decref(rows);
        return status;
    }
    return task_rows_open(out, b->task, rows, b->err);
}

static aerie_status load_pool(builder *b)
{
    json_t *given = b->task->shot_split ? b->options->train : b->task->samples;
    aerie_status status;

    if (b->task->shot_split && !given && strcmp(b->task->shot_split, b->task->test_split) == 0)
        given = b->set->docs.raw;
    status = load(&b->pool, b, given, b->task->shot_split, false);
    if (status) return status;
    b->shown = ae_arena_take(&b->set->arena, b->pool.n, sizeof *b->shown);
    b->shots = ae_arena_take(&b->set->arena, b->k, sizeof *b->shots);
    return b->shown && b->shots ? AERIE_OK : no_memory(b->err);
}

/* A template that names no column of the row: which there are. */
static void tell_columns(aerie_error *err, json_t *doc)
{
    ae_bytes names = { 0 };

    if (!strstr(err->message, "is undefined") || strstr(err->message, "; the row has")) return;
    for (void *p = json_object_iter(doc); p; p = json_object_iter_next(doc, p))
        if (names.len < 200)
            ae_bytes_printf(&names, "%s%.60s", names.len ? ", " : "", json_object_iter_key(p));
    size_t len = strlen(err->message);
    if (names.len && !names.failed)
        snprintf(err->message + len, sizeof err->message - len, "; the row has %s", names.data);
    ae_bytes_free(&names);
}

/* ---- contexts ---- */

/* A row of the pool as question and answer; made once. */
static aerie_status show(builder *b, task_shot *out, size_t row)
{
    task_question q = { 0 };
    json_t *doc = NULL;
    aerie_status status = AERIE_OK;

    if (!b->shown[row].question.data) {
        status = task_rows_at(&doc, &b->pool, row, b->err);
        if (!status)
            status = task_question_read(&q, b->task, &b->task->shot, doc, &b->set->arena, b->err);
        if (!status) b->shown[row] = (task_shot){ q.text, q.answer };
        task_question_close(&q);
        if (status) tell_columns(b->err, doc);
        if (status) aerie_error_prefix(b->err, "example %zu", row + 1);
    }
    *out = b->shown[row];
    return status;
}

static aerie_status choose_shots(builder *b, ae_item *item)
{
    int32_t *rows = ae_arena_take(&b->set->arena, b->k, sizeof *rows);
    aerie_status status;

    if (!rows) return no_memory(b->err);
    status = task_draw_shots(rows, b->k, b->task, &b->pool, item->doc, &b->rng, b->err);
    for (size_t i = 0; i < b->k && !status; i++) status = show(b, &b->shots[i], (size_t)rows[i]);
    item->shots = rows;
    item->n_shots = b->k;
    return status;
}

static aerie_status write_context(builder *b, ae_span *out, size_t *shots_len, ae_item *item,
                                  ae_span question)
{
    task_prompt p = { .task = b->task, .options = b->options, .shots = b->shots, .n_shots = b->k };
    ae_bytes text = { 0 };
    aerie_status status =
        task_field_span(&p.description, &b->task->description, item->doc, &b->set->arena, b->err);

    if (!status) status = task_prompt_write(&text, shots_len, &p, question, b->err);
    if (!status) {
        *out = keep(b, ae_span_of(&text));
        if (!out->data) status = no_memory(b->err);
    }
    ae_bytes_free(&text);
    return status;
}

/* ---- requests ---- */

/* The delimiter and a text. In a conversation the reply begins without the delimiter. */
static aerie_status continuation(builder *b, ae_span *out, const char *delimiter, ae_span text)
{
    size_t n = strlen(delimiter);
    char *copy = ae_arena_take_raw(&b->set->arena, n + text.len + 1, 1);

    if (!copy) return no_memory(b->err);
    memcpy(copy, delimiter, n);
    if (text.len) memcpy(copy + n, text.data, text.len);
    copy[n + text.len] = '\0';
    *out = (ae_span){ copy, n + text.len };
    return AERIE_OK;
}

static const char *delimiter_of(const builder *b)
{
    return b->task->protocol->chat ? "" : b->task->ask.target_delimiter;
}

static aerie_status take_requests(builder *b, ae_item *item, ae_task_request **out, size_t n)
{
    *out = ae_arena_take(&b->set->arena, n, sizeof **out);
    item->requests = *out;
    item->n_requests = n;
    return *out ? AERIE_OK : no_memory(b->err);
}

/* The choices again after words that say nothing of the question. */
static aerie_status ask_unconditionally(builder *b, ae_item *item, ae_task_request *r)
{
    ae_span nothing;
    aerie_status status =
        task_field_span(&nothing, &b->task->unconditional, item->doc, &b->set->arena, b->err);

    for (size_t i = 0; i < item->n_choices && !status; i++) {
        r[item->n_choices + i] = r[i];
        r[item->n_choices + i].context = nothing;
        r[item->n_choices + i].unconditional = true;
    }
    return status;
}

/* Each choice is the question, and what follows is the same (winogrande). */
static aerie_status ask_several(builder *b, ae_item *item, const task_question *q,
                                ae_task_request *r)
{
    ae_span same;
    aerie_status status = continuation(b, &same, delimiter_of(b), q->answer);

    for (size_t i = 0; i < q->n_choices && !status; i++) {
        r[i] = (ae_task_request){ .kind = AE_REQUEST_LIKELIHOOD,
                                  .continuation = same,
                                  .choice = (int32_t)i };
        status = write_context(b, &r[i].context, &item->shots_len, item, q->choices[i]);
    }
    return status;
}

static aerie_status ask_choices(builder *b, ae_item *item, const task_question *q)
{
    bool twice = ae_field_given(&b->task->unconditional);
    ae_task_request *r;
    ae_span context = { 0 };
    aerie_status status = take_requests(b, item, &r, q->n_choices * (twice ? 2 : 1));

    if (!status && q->several) return ask_several(b, item, q, r);
    if (!status) status = write_context(b, &context, &item->shots_len, item, q->text);
    for (size_t i = 0; i < q->n_choices && !status; i++) {
        r[i] = (ae_task_request){ .kind = AE_REQUEST_LIKELIHOOD,
                                  .context = context,
                                  .choice = (int32_t)i };
        status = continuation(b, &r[i].continuation, delimiter_of(b), q->choices[i]);
    }
    if (!status && twice) status = ask_unconditionally(b, item, r);
    return status;
}

/* len(re.split(r"\s+", text)) */
static int64_t count_words(ae_span text)
{
    int64_t n = 1;
    bool space = false;

    for (size_t at = 0; at < text.len;) {
        bool now = python_is_space(ae_utf8_next(text, &at));
        n += now && !space;
        space = now;
    }
    return n;
}

static ae_request_kind kind_of(ae_form form)
{
    return form == AE_FORM_GENERATE     ? AE_REQUEST_GENERATE
           : form == AE_FORM_ROLLING    ? AE_REQUEST_ROLLING
           : form == AE_FORM_DIVERGENCE ? AE_REQUEST_DIVERGENCE
                                        : AE_REQUEST_LIKELIHOOD;
}

static aerie_status ask_one(builder *b, ae_item *item, const task_question *q)
{
    ae_task_request *r;
    ae_span counted = q->answer;
    aerie_status status = take_requests(b, item, &r, 1);

    if (status) return status;
    r->kind = kind_of(b->task->form);
    r->context = (ae_span){ "", 0 };
    r->continuation = r->kind == AE_REQUEST_GENERATE ? (ae_span){ "", 0 } : q->answer;
    if (r->kind == AE_REQUEST_GENERATE || r->kind == AE_REQUEST_LIKELIHOOD)
        return write_context(b, &r->context, &item->shots_len, item, q->text);
    if (ae_field_given(&b->task->count))
        status = task_field_span(&counted, &b->task->count, item->doc, &b->set->arena, b->err);
    item->n_words = count_words(counted);
    item->n_bytes = (int64_t)counted.len;
    return status;
}

/* ---- what is right ---- */

static int32_t find_choice(const task_question *q, json_t *value)
{
    ae_span text = { json_string_value(value), json_string_length(value) };

    if (json_is_integer(value)) {
        json_int_t i = json_integer_value(value);
        return i >= 0 && (size_t)i < q->n_choices ? (int32_t)i : -1;
    }
    for (size_t i = 0; text.data && i < q->n_choices; i++)
        if (ae_span_equal(q->choices[i], text)) return (int32_t)i;
    return -1;
}

static aerie_status read_labels(builder *b, bool *is_true, const ae_item *item)
{
    json_t *list;
    aerie_status status = ae_field_value(&list, &b->task->labels, item->doc, b->err);

    if (!status && json_array_size(list) != item->n_choices)
        status = aerie_fail(b->err, AERIE_BAD_TEXT, "%zu labels for %zu choices",
                            json_array_size(list), item->n_choices);
    for (size_t i = 0; i < item->n_choices && !status; i++) {
        json_t *label = json_array_get(list, i);
        is_true[i] = json_is_true(label) || json_integer_value(label) > 0;
    }
    json_decref(list);
    return status;
}

static aerie_status mark_right(builder *b, ae_item *item, const task_question *q)
{
    bool listed = json_is_array(q->target), labelled = ae_field_given(&b->task->labels);
    bool *is_true;

    item->gold = q->several ? q->right : listed ? -1 : find_choice(q, q->target);
    if (!listed && !labelled) return AERIE_OK;
    is_true = ae_arena_take(&b->set->arena, q->n_choices, sizeof *is_true);
    if (!is_true) return no_memory(b->err);
    item->is_true = is_true;
    if (labelled) return read_labels(b, is_true, item);
    for (size_t i = 0; i < json_array_size(q->target); i++) {
        int32_t right = find_choice(q, json_array_get(q->target, i));
        if (right >= 0) is_true[right] = true;
    }
    return AERIE_OK;
}

static aerie_status describe_choices(builder *b, ae_item *item, const task_question *q)
{
    int64_t *chars = ae_arena_take(&b->set->arena, q->n_choices, sizeof *chars);
    int64_t *bytes = ae_arena_take(&b->set->arena, q->n_choices, sizeof *bytes);

    if (!chars || !bytes) return no_memory(b->err);
    for (size_t i = 0; i < q->n_choices; i++) {
        chars[i] = python_len(q->choices[i]);
        bytes[i] = (int64_t)q->choices[i].len;
    }
    item->choices = q->choices;
    item->n_choices = q->n_choices;
    item->char_len = chars;
    item->byte_len = bytes;
    return mark_right(b, item, q);
}

/* str() of what the task gives as target: a list is written as Python writes it. */
static aerie_status keep_target(builder *b, ae_item *item, const task_question *q)
{
    ae_bytes text = { 0 };
    aerie_status status = AERIE_OK;

    if (!json_is_array(q->target)) {
        status = ae_value_text(&text, q->target, b->err);
    } else {
        char *json = json_dumps(q->target, JSON_ENCODE_ANY);
        ae_bytes_add_text(&text, json ? json : "");
        if (!json) status = no_memory(b->err);
        free(json);
    }
    if (!status) item->target = keep(b, ae_span_of(&text));
    if (!status && !item->target.data) status = no_memory(b->err);
    ae_bytes_free(&text);
    return status;
}

/* ---- items ---- */

static void hash_prompt(ae_item *item)
{
    const ae_task_request *r = &item->requests[0];
    bool whole = r->kind == AE_REQUEST_ROLLING || r->kind == AE_REQUEST_DIVERGENCE;
    ae_span prompt = whole ? r->continuation : r->context;
    ae_sha256 s;

    ae_sha256_start(&s);
    ae_sha256_add(&s, prompt.data, prompt.len);
    ae_sha256_hex(&s, item->prompt_sha256);
}

static aerie_status build_item(builder *b, ae_item *item)
{
    task_question q = { 0 };
    aerie_status status = choose_shots(b, item);

    item->gold = -1;
    if (!status)
        status = task_question_read(&q, b->task, &b->task->ask, item->doc, &b->set->arena, b->err);
    if (!status && q.n_choices) status = describe_choices(b, item, &q);
    if (!status) status = keep_target(b, item, &q);
    if (!status)
        status = b->task->form == AE_FORM_CHOICE ? ask_choices(b, item, &q) : ask_one(b, item, &q);
    if (!status) hash_prompt(item);
    task_question_close(&q);
    if (status) tell_columns(b->err, item->doc);
    if (status) aerie_error_prefix(b->err, "%s: document %zu", b->task->name, item->doc_id);
    return status;
}

static aerie_status build_items(builder *b)
{
    ae_task_set *s = b->set;
    int64_t *order;
    aerie_status status = task_order(&order, &s->n, b->task, s->docs.n, b->options->limit, &b->rng,
                                     &s->arena, b->err);

    if (status) return status;
    s->items = ae_arena_take(&s->arena, s->n, sizeof *s->items);
    if (!s->items) return no_memory(b->err);
    for (size_t i = 0; i < s->n && !status; i++) {
        s->items[i].doc_id = (size_t)order[i];
        status = task_rows_at(&s->items[i].doc, &s->docs, (size_t)order[i], b->err);
        if (!status) status = build_item(b, &s->items[i]);
    }
    return status;
}

static aerie_status check(const ae_task *t, const ae_task_options *o, aerie_error *err)
{
    if (t->protocol->chat && !o->chat)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the protocol %s needs a model with a chat template; ask with lm-eval",
                          t->protocol->name);
    return AERIE_OK;
}

aerie_status ae_task_set_build(ae_task_set **out, const ae_task *task,
                               const ae_task_options *options, aerie_error *err)
{
    ae_task_set *s = ae_alloc(1, sizeof *s);
    builder b = { .set = s, .task = task, .options = options, .err = err };
    aerie_status status = check(task, options, err);

    *out = NULL;
    if (!s) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's requests");
    s->task = task;
    b.k = (size_t)(options->shots >= 0 ? options->shots : task->n_shots);
    ae_python_seed(&b.rng, options->seed ? options->seed : 1234);
    if (!status) status = load(&s->docs, &b, options->docs, task->test_split, true);
    if (!status && b.k) status = load_pool(&b);
    if (!status) status = build_items(&b);
    task_rows_close(&b.pool);
    if (status)
        ae_task_set_free(s);
    else
        *out = s;
    return status;
}

void ae_task_set_free(ae_task_set *s)
{
    if (!s) return;
    task_rows_close(&s->docs);
    ae_arena_free(&s->arena);
    ae_free(s);
}

size_t ae_task_set_len(const ae_task_set *s)
{
    return s->n;
}

const ae_item *ae_task_set_at(const ae_task_set *s, size_t i)
{
    return &s->items[i];
}

/* ---- hashes ---- */

static void write_request(ae_bytes *out, const ae_task_request *r)
{
    if (r->kind == AE_REQUEST_GENERATE) {
        python_json_text(out, r->context);
        return;
    }
    ae_bytes_add_char(out, '[');
    if (r->kind == AE_REQUEST_LIKELIHOOD) {
        python_json_text(out, r->context);
        ae_bytes_add_text(out, ", ");
    }
    python_json_text(out, r->continuation);
    ae_bytes_add_char(out, ']');
}

aerie_status ae_task_set_sha256(const ae_task_set *s, char out[65], aerie_error *err)
{
    ae_bytes text = { 0 };
    ae_sha256 sha;
    aerie_status status = AERIE_OK;
    bool first = true;

    ae_sha256_start(&sha);
    ae_sha256_add(&sha, "[", 1);
    for (size_t i = 0; i < s->n && !status; i++)
        for (size_t k = 0; k < s->items[i].n_requests && !status; k++, first = false) {
            ae_bytes_clear(&text);
            if (!first) ae_bytes_add_text(&text, ", ");
            write_request(&text, &s->items[i].requests[k]);
            status = ae_bytes_status(&text, err);
            if (!status) ae_sha256_add(&sha, text.data, text.len);
        }
    ae_sha256_add(&sha, "]", 1);
    ae_sha256_hex(&sha, out);
    ae_bytes_free(&text);
    return status;
}

static void hash_text(const char *text, size_t len, char out[65])
{
    ae_sha256 s;

    ae_sha256_start(&s);
    ae_sha256_add(&s, text, len);
    ae_sha256_hex(&s, out);
}

aerie_status ae_item_doc_sha256(const ae_item *item, char out[65], aerie_error *err)
{
    char *text = json_dumps(item->doc, JSON_INDENT(2));

    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a document's hash");
    hash_text(text, strlen(text), out);
    free(text);
    return AERIE_OK;
}

void ae_item_target_sha256(const ae_item *item, char out[65])
{
    hash_text(item->target.data, item->target.len, out);
}
