/* prompts.c -- records as prompts: all that comes before the reply, rendered and tokenized, and the
 * record itself for whoever judges the replies. */
#include "data/encode.h"
#include "data/record.h"
#include "data/rows.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    ae_samples *out;
    const ae_encode_options *encode;
    ae_row_source src;
    size_t cap;
} reading;

static bool is_reply(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));

    return role && strcmp(role, "assistant") == 0;
}

/* A text is what a person says, or HH-RLHF's turns. */
static aerie_status from_text(json_t **out, const ae_row_source *src, const char *column,
                              json_t *text, aerie_error *err)
{
    ae_span said = { json_string_value(text), json_string_length(text) };
    aerie_status status;

    if (said.len >= 8 && memcmp(said.data, "\n\nHuman:", 8) == 0)
        return ae_messages_from_turns(out, src, said, column, err);
    *out = json_array();
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a prompt");
    status = ae_messages_add(*out, ae_message_new("user", said), false, err);
    if (status) json_decref(*out);
    return status;
}

static aerie_status read_messages(json_t **out, const ae_row_source *src, aerie_error *err)
{
    static const char *const columns[] = { "messages", "conversations", "prompt", "question",
                                           "instruction" };
    char names[256];

    *out = NULL;
    for (size_t i = 0; i < AE_COUNT(columns); i++) {
        json_t *value = ae_row_get(src, columns[i]);
        if (json_is_array(value)) return ae_messages_read(out, src, value, columns[i], err);
        if (json_is_string(value)) return from_text(out, src, columns[i], value, err);
    }
    ae_row_columns(src, names, sizeof names);
    return ae_row_fail(src, err,
                       "no prompt in the columns %s; one of 'messages', 'prompt', 'question' or "
                       "'instruction' is wanted: name it with 'columns: {prompt: its_name}'",
                       names);
}

/* The reply is to be sampled: one that is there already goes. */
static aerie_status cut_replies(json_t *messages, const ae_row_source *src, aerie_error *err)
{
    size_t n = json_array_size(messages);

    while (n > 0 && is_reply(json_array_get(messages, n - 1))) json_array_remove(messages, --n);
    return n > 0 ? AERIE_OK : ae_row_fail(src, err, "nothing comes before the reply");
}

static aerie_status encode(ae_ids *ids, reading *in, ae_record *record, aerie_error *err)
{
    const ae_example e = { .kind = AE_EXAMPLE_CHAT,
                           .messages = record->messages,
                           .tools = record->tools };
    ae_renderer r;
    ae_pieces p = { 0 };
    ae_bytes text = { 0 };
    json_t *messages = NULL;
    aerie_status status = ae_renderer_open(&r, &e, in->encode, err);

    if (!status && !(messages = ae_renderer_messages(&r)))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no room for a prompt");
    if (!status) status = ae_renderer_add(&r, messages, true, &text, err);
    if (!status) status = ae_pieces_encode(&p, ae_span_of(&text), in->encode, err);
    if (!status) status = ae_ids_status(&p.ids, err);
    if (!status) {
        *ids = p.ids;
        p.ids = (ae_ids){ 0 };
    }
    json_decref(messages);
    ae_pieces_free(&p);
    ae_bytes_free(&text);
    ae_renderer_close(&r);
    return status;
}

static aerie_status no_room(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for the prompts");
}

static aerie_status keep(reading *in, const ae_ids *ids, aerie_error *err)
{
    ae_samples *out = in->out;
    char *row = json_dumps(in->src.row, JSON_COMPACT);
    ae_sample s;
    aerie_status status = ae_sample_new(&s, AE_EXAMPLE_CHAT, (int64_t)ids->len, &out->arena, err);

    if (!status && row) s.row = ae_arena_strndup(&out->arena, row, strlen(row));
    free(row);
    if (status || !s.row) return status ? status : no_room(err);
    memcpy(s.ids, ids->data, ids->len * sizeof *s.ids);
    s.n_prompt = s.n;
    if (out->n == in->cap) {
        size_t cap = in->cap * 2 + 64;
        ae_sample *grown = ae_arena_take(&out->arena, cap, sizeof *grown);
        if (!grown) return no_room(err);
        if (out->n) memcpy(grown, out->items, out->n * sizeof *grown);
        out->items = grown;
        in->cap = cap;
    }
    out->items[out->n++] = s;
    out->n_tokens += s.n;
    if (s.n > out->longest) out->longest = s.n;
    return AERIE_OK;
}

aerie_status ae_prompt_messages(json_t **out, json_t *row, const ae_dataset_options *dataset,
                                aerie_error *err)
{
    const ae_row_source src = { .file = "prompt", .line = 1, .options = dataset, .row = row };
    ae_record record = { 0 };
    aerie_status status = read_messages(&record.messages, &src, err);

    if (!status) status = ae_messages_add_columns(&record, &src, record.messages, err);
    if (!status) status = cut_replies(record.messages, &src, err);
    *out = status ? NULL : json_incref(record.messages);
    ae_record_free(&record);
    return status;
}

/* A prompt that is too long is left out: cut, it would ask something else. */
static aerie_status read_row(reading *in, json_t *row, size_t line, aerie_error *err)
{
    int32_t most = in->encode->max_prompt_length;
    ae_record record = { 0 };
    ae_ids ids = { 0 };
    aerie_status status;

    in->src.row = row;
    in->src.line = line;
    if (!json_is_object(row))
        return ae_row_fail(&in->src, err, "a record must be an object, {\"column\": ...}");
    status = read_messages(&record.messages, &in->src, err);
    if (!status) status = ae_messages_add_columns(&record, &in->src, record.messages, err);
    if (!status) status = cut_replies(record.messages, &in->src, err);
    if (!status) {
        status = encode(&ids, in, &record, err);
        if (status) aerie_error_prefix(err, "%s:%zu", in->src.file, line);
    }
    if (!status && (ids.len == 0 || (most > 0 && ids.len > (size_t)most)))
        in->out->n_dropped++;
    else if (!status)
        status = keep(in, &ids, err);
    ae_ids_free(&ids);
    ae_record_free(&record);
    return status;
}

static aerie_status read_file(reading *in, aerie_error *err)
{
    ae_rows *rows;
    aerie_status status = ae_rows_open(&rows, in->src.file, err);

    while (!status) {
        ae_row row;
        status = ae_rows_next(rows, &row, err);
        if (status || !row.json) break;
        in->src.is_row = row.is_row;
        status = read_row(in, row.json, row.line, err);
        json_decref(row.json);
    }
    ae_rows_close(rows);
    return status;
}

aerie_status ae_prompts_read(ae_samples *out, const char *path, const ae_dataset_options *dataset,
                             const ae_encode_options *options, aerie_error *err)
{
    reading in = { .out = out, .encode = options, .src = { .options = dataset } };
    ae_arena names = { 0 };
    const char **files = NULL;
    size_t n_files = 0;
    aerie_status status = ae_files_of(&files, &n_files, path, &names, err);

    *out = (ae_samples){ 0 };
    for (size_t i = 0; i < n_files && !status; i++) {
        in.src.file = files[i];
        status = read_file(&in, err);
    }
    ae_arena_free(&names);
    if (!status && out->n == 0)
        status = aerie_fail(err, AERIE_BAD_FILE,
                            "%s: no prompt is left: %zu are empty or longer than "
                            "'max_prompt_length' (%d)",
                            path, out->n_dropped, options->max_prompt_length);
    if (status) ae_samples_free(out);
    return status;
}
