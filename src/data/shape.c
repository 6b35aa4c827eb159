/* shape.c -- which shape a file's rows have, told by their columns. */
#include "data/record.h"

#include <stdio.h>
#include <string.h>

static aerie_status read_text(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    return ae_row_text(src, "text", &out->text, err);
}

static bool fits_text(const ae_row_source *src)
{
    return json_is_string(ae_row_get(src, "text"));
}

const ae_shape ae_text_shapes[] = {
    { "text", AE_EXAMPLE_TEXT, fits_text, read_text },
    { 0 },
};

static const ae_shape *find(const ae_shape *shapes, const ae_row_source *src)
{
    for (; shapes->name; shapes++)
        if (shapes->fits(src)) return shapes;
    return NULL;
}

static const ae_shape *find_pairs(const ae_row_source *src)
{
    const ae_shape *shape = find(ae_pair_shapes, src);
    return shape ? shape : find(ae_ranked_shapes, src);
}

/* Without a wish, what says more comes first: a pair's row may hold a conversation too. */
static const ae_shape *find_for(ae_example_kind kind, const ae_row_source *src)
{
    const ae_shape *shape = NULL;
    if (kind == AE_EXAMPLE_PROMPT) return find(ae_prompt_shapes, src);
    if (kind == 0 || kind == AE_EXAMPLE_UNPAIRED) shape = find(ae_unpaired_shapes, src);
    if (!shape && kind != AE_EXAMPLE_CHAT && kind != AE_EXAMPLE_TEXT) shape = find_pairs(src);
    if (!shape && (kind == 0 || kind == AE_EXAMPLE_CHAT)) shape = find(ae_chat_shapes, src);
    if (!shape && kind == AE_EXAMPLE_CHAT) shape = find_pairs(src);
    if (!shape && (kind == 0 || kind == AE_EXAMPLE_TEXT)) shape = find(ae_text_shapes, src);
    return shape;
}

static const char *wanted_columns(ae_example_kind kind)
{
    switch (kind) {
    case AE_EXAMPLE_TEXT:
        return "'text'";
    case AE_EXAMPLE_CHAT:
        return "'messages', 'conversations', 'prompt' and 'completion', or 'instruction' and "
               "'output'";
    case AE_EXAMPLE_PROMPT:
        return "'messages', 'conversations', 'prompt', 'question' or 'instruction'";
    case AE_EXAMPLE_UNPAIRED:
        return "'prompt', 'completion' and 'label', or pairs: 'chosen' and 'rejected'";
    case AE_EXAMPLE_PAIR:
    case AE_EXAMPLE_RANKED:
        return "'chosen' and 'rejected' (and 'prompt' or 'conversations'), 'instruction' and "
               "'completions', 'prompt' and 'answers', or 'prompt' and 'responses'";
    default:
        return "'messages', 'prompt' and 'completion', 'chosen' and 'rejected', or 'text'";
    }
}

static const char *const our_columns[] = {
    "messages",    "conversations", "prompt",  "completion", "chosen",   "rejected",
    "instruction", "input",         "output",  "history",    "system",   "tools",
    "text",        "completions",   "answers", "responses",  "scores",   "ranks",
    "margin",      "label",         "items",   "condition",  "question",
};

/* A column of the row that looks like a slip of one of ours, and what it should be; NULL: none. */
static const char *slip(const ae_row_source *src, const char **ours)
{
    for (void *at = json_object_iter(src->row); at; at = json_object_iter_next(src->row, at)) {
        const char *name = json_object_iter_key(at);
        *ours = ae_nearest(name, our_columns, AE_COUNT(our_columns));
        if (*ours && strcmp(*ours, name) != 0) return name;
    }
    return NULL;
}

/* A mapped name that the file lacks is the likeliest reason; then a slip in a column's name. */
static aerie_status explain(const ae_row_source *src, aerie_error *err)
{
    const ae_dataset_options *o = src->options;
    char columns[160];
    ae_row_columns(src, columns, sizeof columns);
    for (size_t i = 0; o && i < o->n_columns; i++) {
        const char *theirs = o->columns[i].theirs;
        if (!json_object_get(src->row, theirs))
            return ae_row_fail(src, err, "no column '%s' (the recipe's name for '%s'); it has %s",
                               theirs, o->columns[i].ours, columns);
    }
    const char *ours, *name = slip(src, &ours);
    if (name)
        return ae_row_fail(
            src, err,
            "its columns are %s; is '%s' what is called '%s' here? Name it so, or map "
            "it in the recipe, 'columns: {%s: %s}'",
            columns, name, ours, ours, name);
    return ae_row_fail(src, err,
                       "its columns are %s; needed are %s: name them so or map them in the recipe, "
                       "'columns: {ours: theirs}'",
                       columns, wanted_columns(o ? o->kind : 0));
}

static aerie_status check_mapping(const ae_row_source *src, aerie_error *err)
{
    const ae_dataset_options *o = src->options;
    for (size_t i = 0; o && i < o->n_columns; i++) {
        const char *ours = o->columns[i].ours;
        bool known = false;
        for (size_t k = 0; k < AE_COUNT(our_columns); k++)
            known = known || strcmp(our_columns[k], ours) == 0;
        if (known) continue;
        const char *near = ae_nearest(ours, our_columns, AE_COUNT(our_columns));
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the recipe maps an unknown column '%s'%s%s%s",
                          ours, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return AERIE_OK;
}

const ae_shape *ae_shape_detect(const ae_row_source *src, aerie_error *err)
{
    const ae_shape *shape;
    if (check_mapping(src, err)) return NULL;
    shape = find_for(src->options ? src->options->kind : 0, src);
    if (!shape) explain(src, err);
    return shape;
}
