/* shape_responses.c -- rows that hold a prompt (or the messages so far) and a list "responses", of
 * texts or of objects, with or without scores or ranks. */
#include "data/record.h"

#include <math.h>
#include <string.h>

bool ae_fits_responses(const ae_row_source *src)
{
    return json_is_array(ae_row_get(src, "responses")) &&
           (ae_row_has(src, "prompt") || ae_row_has(src, "messages"));
}

static aerie_status read_prompt(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    const char *ours = ae_row_has(src, "messages") ? "messages" : "prompt";
    json_t *value = ae_row_get(src, ours);
    ae_span text;
    aerie_status status;
    if (json_is_array(value))
        return ae_messages_read(&out->messages, src, value, ae_row_column(src, ours), err);
    status = ae_row_text(src, ours, &text, err);
    if (status) return status;
    out->messages = json_array();
    if (!out->messages) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    return ae_messages_add(out->messages, ae_message_new("user", text), false, err);
}

static json_t *text_of(json_t *item)
{
    static const char *const names[] = { "text", "response", "content", "answer" };
    if (json_is_string(item)) return item;
    for (size_t i = 0; i < AE_COUNT(names); i++)
        if (json_is_string(json_object_get(item, names[i]))) return json_object_get(item, names[i]);
    return NULL;
}

/* A number that says how good the answer is, more being better; NaN: nothing does. */
static double score_of(const ae_row_source *src, json_t *item, size_t i)
{
    json_t *score = json_object_get(item, "score"), *rank = json_object_get(item, "rank");
    if (!score) score = json_array_get(ae_row_get(src, "scores"), i);
    if (!rank) rank = json_array_get(ae_row_get(src, "ranks"), i);
    if (json_is_number(score)) return json_number_value(score);
    return json_is_number(rank) ? -json_number_value(rank) : NAN;
}

static aerie_status rank_responses(ae_ranking *out, const ae_row_source *src, aerie_error *err)
{
    const char *column = ae_row_column(src, "responses");
    json_t *list = ae_row_get(src, "responses"), *item;
    size_t i;
    out->n = 0;
    if (json_array_size(list) > AE_MAX_ANSWERS)
        return ae_row_fail(src, err, "'%s' has %zu answers; at most %d are read", column,
                           json_array_size(list), AE_MAX_ANSWERS);
    json_array_foreach(list, i, item)
    {
        json_t *text = text_of(item);
        double score = score_of(src, item, i);
        bool unranked = src->options && src->options->unranked;
        if (!text)
            return ae_row_fail(src, err, "item %zu of '%s' is no text, and has none in 'text'",
                               i + 1, column);
        if (isnan(score) && !unranked)
            return ae_row_fail(src, err,
                               "item %zu of '%s' has no number in 'score' or 'rank', nor has the "
                               "row in 'scores' or 'ranks'",
                               i + 1, column);
        ae_ranking_insert(out, text, isnan(score) ? 0 : score);
    }
    return AERIE_OK;
}

aerie_status ae_read_responses(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    ae_ranking r;
    aerie_status status = read_prompt(out, src, err);
    if (!status) status = rank_responses(&r, src, err);
    return status ? status : ae_ranking_take(out, src, &r, err);
}
