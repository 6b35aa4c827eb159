/* record.h -- one row of a file on its way to the neutral form. Private to data. */
#ifndef AE_DATA_RECORD_H
#define AE_DATA_RECORD_H

#include "data/data.h"

/* Where a row came from and under which names its columns go. */
typedef struct {
    const char *file;
    size_t line;
    bool is_row; /* `line` counts rows of an array, not lines */
    const ae_dataset_options *options;
    json_t *row; /* an object */
    size_t nth;  /* which of the row's records */
} ae_row_source;

/* What a shape makes of a row; owned references (text: part of `row`, which is kept). */
typedef struct {
    ae_example_kind kind;
    json_t *row, *messages, *chosen, *rejected, *ranked, *replies, *ranks, *tools, *condition;
    double margin;
    double gap;       /* of a pair: the difference of its answers' scores; NaN: they have none */
    bool undesirable; /* unpaired */
    bool left_out;    /* the row has no such record */
    bool more;        /* the row has a record after this */
    ae_span text;     /* of a .txt: points into `document` */
    ae_bytes document;
    const char *file;
    size_t line;
    bool is_row;
} ae_record;

void ae_record_free(ae_record *r);

/* A shape: which columns tell it, and how to read it. */
typedef struct {
    const char *name;
    ae_example_kind kind;
    bool (*fits)(const ae_row_source *src);
    aerie_status (*read)(ae_record *out, const ae_row_source *src, aerie_error *err);
} ae_shape;

/* The shape of a file's first row, for what the method wants; NULL and a sentence: none. */
const ae_shape *ae_shape_detect(const ae_row_source *src, aerie_error *err);
/* Ended by a NULL name. */
/* "responses", in a list beside a prompt or messages. */
bool ae_fits_responses(const ae_row_source *src);
aerie_status ae_read_responses(ae_record *out, const ae_row_source *src, aerie_error *err);
extern const ae_shape ae_unpaired_shapes[], ae_pair_shapes[], ae_ranked_shapes[], ae_chat_shapes[],
    ae_text_shapes[], ae_prompt_shapes[];

/* row.c: columns of a row, by our name. */
const char *ae_row_column(const ae_row_source *src, const char *ours); /* the file's name for it */
json_t *ae_row_get(const ae_row_source *src, const char *ours);        /* NULL: absent or null */
bool ae_row_has(const ae_row_source *src, const char *ours);
/* A sentence that starts with the place. */
aerie_status ae_row_fail(const ae_row_source *src, aerie_error *err, const char *format, ...)
    AERIE_PRINTF(3, 4);
/* "a, b, c": the row's columns, for messages. */
void ae_row_columns(const ae_row_source *src, char *out, size_t size);
/* Fails unless the column is there and holds a text. */
aerie_status ae_row_text(const ae_row_source *src, const char *ours, ae_span *out,
                         aerie_error *err);

/* shape_ranked.c: the answers of a row, best first; equal scores in the row's order. */
enum { AE_MAX_ANSWERS = 64 };
typedef struct {
    json_t *text[AE_MAX_ANSWERS]; /* borrowed from the row */
    double score[AE_MAX_ANSWERS]; /* more is better */
    size_t place[AE_MAX_ANSWERS]; /* in the row */
    size_t n;
} ae_ranking;
/* Puts one in; n < AE_MAX_ANSWERS. */
void ae_ranking_insert(ae_ranking *r, json_t *text, double score);
/* Gives the record, which has its messages, the pair or the ranking that the options ask for. */
aerie_status ae_ranking_take(ae_record *out, const ae_row_source *src, const ae_ranking *r,
                             aerie_error *err);

/* messages.c: conversations. New references. */
json_t *ae_message_new(const char *role, ae_span content); /* NULL: no memory */
/* Reads {"role", "content"} or {"from", "value"} objects into messages of ours. */
aerie_status ae_messages_read(json_t **out, const ae_row_source *src, json_t *list,
                              const char *column, aerie_error *err);
/* One text of "\n\nHuman: ...\n\nAssistant: ..." turns. */
aerie_status ae_messages_from_turns(json_t **out, const ae_row_source *src, ae_span text,
                                    const char *column, aerie_error *err);
/* Adds a message at the end (or the front); takes the reference. */
aerie_status ae_messages_add(json_t *messages, json_t *message, bool in_front, aerie_error *err);
/* A reply: a text, one message or a list of them. */
aerie_status ae_messages_reply(json_t **out, const ae_row_source *src, const char *ours,
                               aerie_error *err);
/* The columns "system" in front and "tools" beside, where the row has them. */
aerie_status ae_messages_add_columns(ae_record *out, const ae_row_source *src, json_t *messages,
                                     aerie_error *err);

#endif
