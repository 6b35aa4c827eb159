/* shape_unpaired.c -- rows of one reply and whether it is wanted: TRL's prompt, completion, label.
 */
#include "data/record.h"

static bool fits_label(const ae_row_source *src)
{
    return ae_row_has(src, "prompt") && ae_row_has(src, "completion") && ae_row_has(src, "label");
}

/* true and false, or 1 and 0. */
static aerie_status read_label(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    json_t *label = ae_row_get(src, "label");
    bool one = json_is_integer(label) && json_integer_value(label) == 1;
    bool zero = json_is_integer(label) && json_integer_value(label) == 0;
    if (!json_is_boolean(label) && !one && !zero)
        return ae_row_fail(src, err,
                           "the column '%s' must be true (wanted) or false, or 1 or 0; mend or "
                           "remove this row",
                           ae_row_column(src, "label"));
    out->undesirable = json_is_false(label) || zero;
    return AERIE_OK;
}

static aerie_status read_prompt(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    json_t *value = ae_row_get(src, "prompt");
    ae_span text;
    aerie_status status;
    if (json_is_array(value))
        return ae_messages_read(&out->messages, src, value, ae_row_column(src, "prompt"), err);
    status = ae_row_text(src, "prompt", &text, err);
    if (status) return status;
    out->messages = json_array();
    if (!out->messages) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    return ae_messages_add(out->messages, ae_message_new("user", text), false, err);
}

static aerie_status read_row(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    aerie_status status = read_label(out, src, err);
    if (!status) status = read_prompt(out, src, err);
    if (!status) status = ae_messages_reply(&out->chosen, src, "completion", err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

const ae_shape ae_unpaired_shapes[] = {
    { "prompt, completion and label", AE_EXAMPLE_UNPAIRED, fits_label, read_row },
    { 0 },
};
