/* prompts.c -- records as prompts: all that comes before the reply, rendered and tokenized, and the
 * record itself for whoever judges the replies. */
#include "data/encode.h"
#include "data/record.h"

#include <stdlib.h>
#include <string.h>

/* The first of them that a row has is its prompt. */
static const char *const columns[] = { "messages", "conversations", "prompt", "question",
                                       "instruction" };

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

static aerie_status read_prompt(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    aerie_status status = read_messages(&out->messages, src, err);

    if (!status) status = ae_messages_add_columns(out, src, out->messages, err);
    return status ? status : cut_replies(out->messages, src, err);
}

static bool fits(const ae_row_source *src)
{
    for (size_t i = 0; i < AE_COUNT(columns); i++) {
        json_t *value = ae_row_get(src, columns[i]);
        if (json_is_array(value) || json_is_string(value)) return true;
    }
    return false;
}

const ae_shape ae_prompt_shapes[] = {
    { "prompts", AE_EXAMPLE_PROMPT, fits, read_prompt },
    { 0 },
};

aerie_status ae_prompt_messages(json_t **out, json_t *row, const ae_dataset_options *dataset,
                                aerie_error *err)
{
    const ae_row_source src = { .file = "prompt", .line = 1, .options = dataset, .row = row };
    ae_record record = { 0 };
    aerie_status status = read_prompt(&record, &src, err);

    *out = status ? NULL : json_incref(record.messages);
    ae_record_free(&record);
    return status;
}

/* ---- tokens ---- */

static aerie_status no_room(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for a prompt");
}

static aerie_status fill(ae_sample *out, const ae_ids *ids, json_t *row, ae_arena *arena,
                         aerie_error *err)
{
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
    aerie_status status = ae_sample_new(out, AE_EXAMPLE_PROMPT, (int64_t)ids->len, arena, err);

    if (text) out->row = ae_arena_strndup(arena, text, strlen(text));
    free(text);
    if (status || (row && !out->row)) return status ? status : no_room(err);
    if (out->n) memcpy(out->ids, ids->data, ids->len * sizeof *out->ids);
    out->n_prompt = out->n;
    return AERIE_OK;
}

aerie_status ae_encode_prompt(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err)
{
    int32_t most = r->options->max_prompt_length;
    ae_bytes text = { 0 };
    ae_pieces p = { 0 };
    json_t *messages = ae_renderer_messages(r);
    aerie_status status = messages ? AERIE_OK : no_room(err);

    if (!status) status = ae_renderer_add(r, messages, true, &text, err);
    if (!status) status = ae_pieces_encode(&p, ae_span_of(&text), r->options, err);
    if (!status) status = ae_ids_status(&p.ids, err);
    if (!status) status = fill(out, &p.ids, r->example->row, arena, err);
    if (!status && (out->n == 0 || (most > 0 && out->n > most))) ae_sample_drop(out);
    json_decref(messages);
    ae_pieces_free(&p);
    ae_bytes_free(&text);
    return status;
}
