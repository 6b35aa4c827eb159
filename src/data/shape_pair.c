/* shape_pair.c -- rows that hold two replies to one prompt, the first one preferred. */
#include "data/record.h"

#include <math.h>
#include <string.h>

static bool has_both(const ae_row_source *src)
{
    return ae_row_has(src, "chosen") && ae_row_has(src, "rejected");
}

static ae_span span_of(json_t *text)
{
    return (ae_span){ json_string_value(text), json_string_length(text) };
}

static bool is_turns(json_t *value)
{
    return json_is_string(value) && strncmp(json_string_value(value), "\n\nHuman:", 8) == 0;
}

static bool fits_hh(const ae_row_source *src)
{
    return is_turns(ae_row_get(src, "chosen")) && is_turns(ae_row_get(src, "rejected"));
}

/* Where the last "\n\nAssistant:" of what both texts share begins; SIZE_MAX: they share none. */
static size_t split_place(ae_span a, ae_span b)
{
    static const char marker[] = "\n\nAssistant:";
    size_t n = sizeof marker - 1, shared = 0, place = SIZE_MAX;
    while (shared < a.len && shared < b.len && a.data[shared] == b.data[shared]) shared++;
    for (size_t at = 0; at + n <= shared; at++)
        if (memcmp(a.data + at, marker, n) == 0) place = at;
    return place;
}

static ae_span from(ae_span text, size_t at)
{
    return (ae_span){ text.data + at, text.len - at };
}

static aerie_status read_hh(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    ae_span chosen = span_of(ae_row_get(src, "chosen"));
    ae_span rejected = span_of(ae_row_get(src, "rejected"));
    size_t place = split_place(chosen, rejected);
    aerie_status status;
    if (place == SIZE_MAX || place == 0)
        return ae_row_fail(src, err,
                           "chosen and rejected do not share a question and 'Assistant:'; remove "
                           "this row");
    status =
        ae_messages_from_turns(&out->messages, src, (ae_span){ chosen.data, place }, "chosen", err);
    if (!status)
        status = ae_messages_from_turns(&out->chosen, src, from(chosen, place), "chosen", err);
    if (!status)
        status =
            ae_messages_from_turns(&out->rejected, src, from(rejected, place), "rejected", err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

/* LLaMA-Factory: the conversation so far, and each reply as one {"from", "value"}. */
static bool fits_sharegpt(const ae_row_source *src)
{
    return has_both(src) && json_is_array(ae_row_get(src, "conversations")) &&
           json_is_object(ae_row_get(src, "chosen"));
}

static aerie_status read_single(json_t **out, const ae_row_source *src, const char *ours,
                                aerie_error *err)
{
    json_t *list = json_array();
    aerie_status status;
    if (!list || json_array_append(list, ae_row_get(src, ours)))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    else
        status = ae_messages_read(out, src, list, ae_row_column(src, ours), err);
    json_decref(list);
    return status;
}

static aerie_status read_sharegpt(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    aerie_status status = ae_messages_read(&out->messages, src, ae_row_get(src, "conversations"),
                                           ae_row_column(src, "conversations"), err);
    if (!status) status = read_single(&out->chosen, src, "chosen", err);
    if (!status) status = read_single(&out->rejected, src, "rejected", err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

aerie_status ae_messages_reply(json_t **out, const ae_row_source *src, const char *ours,
                               aerie_error *err)
{
    json_t *value = ae_row_get(src, ours);
    ae_span text;
    aerie_status status;
    if (json_is_object(value)) return read_single(out, src, ours, err);
    if (json_is_array(value))
        return ae_messages_read(out, src, value, ae_row_column(src, ours), err);
    status = ae_row_text(src, ours, &text, err);
    if (status) return status;
    *out = json_array();
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    return ae_messages_add(*out, ae_message_new("assistant", text), false, err);
}

/* How many messages both replies begin with; each keeps at least its last one. */
static size_t shared_messages(json_t *a, json_t *b)
{
    size_t n = json_array_size(a) < json_array_size(b) ? json_array_size(a) : json_array_size(b);
    size_t shared = 0;
    while (shared + 1 < n && json_equal(json_array_get(a, shared), json_array_get(b, shared)))
        shared++;
    return shared;
}

/* The prompt is what both conversations begin with, and leaves them. */
static aerie_status take_implicit_prompt(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    size_t n = shared_messages(out->chosen, out->rejected);
    if (n == 0)
        return ae_row_fail(src, err,
                           "chosen and rejected begin with different messages, and there is no "
                           "'prompt' to answer");
    out->messages = json_array();
    for (size_t i = 0; i < n; i++)
        if (!out->messages || json_array_append(out->messages, json_array_get(out->chosen, i)))
            return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    for (size_t i = 0; i < n; i++) {
        json_array_remove(out->chosen, 0);
        json_array_remove(out->rejected, 0);
    }
    return AERIE_OK;
}

/* UltraFeedback's binarized form says how good each answer is. */
static aerie_status read_scores(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    json_t *chosen = ae_row_get(src, "score_chosen"), *rejected = ae_row_get(src, "score_rejected");
    double least = src->options ? src->options->min_margin : 0;
    if (json_is_number(chosen) && json_is_number(rejected))
        out->gap = json_number_value(chosen) - json_number_value(rejected);
    if (least <= 0) return AERIE_OK;
    if (isnan(out->gap))
        return ae_row_fail(
            src, err, "'min_margin' wants numbers in '%s' and '%s'; remove this row, or the key",
            ae_row_column(src, "score_chosen"), ae_row_column(src, "score_rejected"));
    out->left_out = out->gap < least;
    return AERIE_OK;
}

static bool fits_pair(const ae_row_source *src)
{
    return has_both(src);
}

/* A prompt in text is ignored where the replies are whole conversations (UltraFeedback's form). */
static aerie_status read_pair(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    json_t *prompt = ae_row_get(src, "prompt");
    aerie_status status = ae_messages_reply(&out->chosen, src, "chosen", err);
    if (!status) status = ae_messages_reply(&out->rejected, src, "rejected", err);
    if (status) return status;
    bool whole = shared_messages(out->chosen, out->rejected) > 0;
    if (json_is_array(prompt)) {
        status = ae_messages_read(&out->messages, src, prompt, ae_row_column(src, "prompt"), err);
    } else if (prompt && !whole) {
        ae_span text;
        status = ae_row_text(src, "prompt", &text, err);
        if (status) return status;
        out->messages = json_array();
        if (!out->messages) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
        status = ae_messages_add(out->messages, ae_message_new("user", text), false, err);
    } else {
        status = take_implicit_prompt(out, src, err);
    }
    if (!status) status = read_scores(out, src, err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

const ae_shape ae_pair_shapes[] = {
    { "sharegpt pairs", AE_EXAMPLE_PAIR, fits_sharegpt, read_sharegpt },
    { "hh-rlhf", AE_EXAMPLE_PAIR, fits_hh, read_hh },
    { "prompt, chosen and rejected", AE_EXAMPLE_PAIR, fits_pair, read_pair },
    { 0 },
};
