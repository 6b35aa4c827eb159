/* shape_chat.c -- rows that hold one conversation: messages, OpenChat, ShareGPT, prompt and
 * completion, Alpaca. */
#include "data/record.h"

#include <string.h>

static bool fits_messages(const ae_row_source *src)
{
    return json_is_array(ae_row_get(src, "messages"));
}

static aerie_status read_messages(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    const char *column = ae_row_column(src, "messages");
    aerie_status status =
        ae_messages_read(&out->messages, src, ae_row_get(src, "messages"), column, err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

/* OpenChat: {"items": [{"role", "content", "weight"}], "condition", "system"}. */
static bool fits_openchat(const ae_row_source *src)
{
    return json_is_array(ae_row_get(src, "items"));
}

static aerie_status read_openchat(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    const char *column = ae_row_column(src, "items");
    aerie_status status =
        ae_messages_read(&out->messages, src, ae_row_get(src, "items"), column, err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

static bool fits_sharegpt(const ae_row_source *src)
{
    return json_is_array(ae_row_get(src, "conversations"));
}

static aerie_status read_sharegpt(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    const char *column = ae_row_column(src, "conversations");
    aerie_status status =
        ae_messages_read(&out->messages, src, ae_row_get(src, "conversations"), column, err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

/* "response" is a common name of what we call completion and output. */
static const char *reply_column(const ae_row_source *src, const char *ours)
{
    return !ae_row_has(src, ours) && ae_row_has(src, "response") ? "response" : ours;
}

static bool fits_completion(const ae_row_source *src)
{
    return ae_row_has(src, "prompt") && ae_row_has(src, reply_column(src, "completion"));
}

/* Appends a text as one message, or a list of messages. */
static aerie_status append(json_t *messages, const ae_row_source *src, const char *ours,
                           const char *role, aerie_error *err)
{
    json_t *value = ae_row_get(src, ours), *list = NULL;
    ae_span text;
    aerie_status status;
    if (json_is_array(value)) {
        status = ae_messages_read(&list, src, value, ae_row_column(src, ours), err);
        if (!status && json_array_extend(messages, list))
            status = aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
        json_decref(list);
        return status;
    }
    status = ae_row_text(src, ours, &text, err);
    return status ? status : ae_messages_add(messages, ae_message_new(role, text), false, err);
}

static aerie_status new_messages(ae_record *out, aerie_error *err)
{
    out->messages = json_array();
    return out->messages ? AERIE_OK
                         : aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
}

static aerie_status read_completion(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    aerie_status status = new_messages(out, err);
    if (!status) status = append(out->messages, src, "prompt", "user", err);
    if (!status)
        status = append(out->messages, src, reply_column(src, "completion"), "assistant", err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

static bool fits_alpaca(const ae_row_source *src)
{
    return ae_row_has(src, "instruction") && ae_row_has(src, reply_column(src, "output"));
}

/* history: [["question", "answer"], ...] before this turn. */
static aerie_status add_history(json_t *messages, const ae_row_source *src, aerie_error *err)
{
    json_t *history = ae_row_get(src, "history"), *turn;
    aerie_status status = AERIE_OK;
    size_t i;
    json_array_foreach(history, i, turn)
    {
        for (size_t k = 0; k < 2 && !status; k++) {
            json_t *text = json_array_get(turn, k);
            ae_span content = { json_string_value(text), json_string_length(text) };
            if (!json_is_string(text))
                return ae_row_fail(src, err,
                                   "'history' must hold pairs of texts; turn %zu does not", i + 1);
            status = ae_messages_add(messages, ae_message_new(k ? "assistant" : "user", content),
                                     false, err);
        }
    }
    return status;
}

/* The instruction, and on a line of its own what it is about. */
static aerie_status add_instruction(json_t *messages, const ae_row_source *src, aerie_error *err)
{
    ae_span instruction, input = { 0 };
    ae_bytes text = { 0 };
    aerie_status status = ae_row_text(src, "instruction", &instruction, err);
    if (!status && ae_row_has(src, "input")) status = ae_row_text(src, "input", &input, err);
    if (status) return status;
    ae_bytes_add(&text, instruction.data, instruction.len);
    if (input.len) ae_bytes_add_char(&text, '\n');
    ae_bytes_add(&text, input.data, input.len);
    status = ae_bytes_status(&text, err);
    if (!status)
        status = ae_messages_add(messages, ae_message_new("user", ae_span_of(&text)), false, err);
    ae_bytes_free(&text);
    return status;
}

static aerie_status read_alpaca(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    aerie_status status = new_messages(out, err);
    if (!status) status = add_history(out->messages, src, err);
    if (!status) status = add_instruction(out->messages, src, err);
    if (!status) status = append(out->messages, src, reply_column(src, "output"), "assistant", err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

const ae_shape ae_chat_shapes[] = {
    { "messages", AE_EXAMPLE_CHAT, fits_messages, read_messages },
    { "openchat", AE_EXAMPLE_CHAT, fits_openchat, read_openchat },
    { "sharegpt", AE_EXAMPLE_CHAT, fits_sharegpt, read_sharegpt },
    { "prompt and completion", AE_EXAMPLE_CHAT, fits_completion, read_completion },
    { "alpaca", AE_EXAMPLE_CHAT, fits_alpaca, read_alpaca },
    { 0 },
};
