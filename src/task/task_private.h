/* task_private.h -- what a task is once read. Private to task. */
#ifndef AE_TASK_PRIVATE_H
#define AE_TASK_PRIVATE_H

#include "task/field.h"
#include "task/task.h"
#include "task/yaml.h"

#include "base/mersenne.h"

typedef enum {
    SHOTS_DRAWN = 0, /* random.sample() */
    SHOTS_FIRST      /* in the split's order */
} shot_rule;

typedef enum { ORDER_AS_IS = 0, ORDER_HELLASWAG, ORDER_SCALED } subset_rule; /* llama.cpp's draws */

/* A column made of others. */
typedef struct {
    const char *name;
    ae_field field;
    const char *clean; /* a function over its texts, or NULL */
} task_column;

/* Another shape that the data may have: when the rows have the path `has` and not `lacks`, these
 * columns replace the row's. The first that fits does. */
typedef struct {
    const char *has, *lacks; /* "question.stem"; lacks may be NULL */
    task_column *columns;
    size_t n;
} task_shape;

typedef struct {
    ae_field text, target, choices;
    const char *target_delimiter, *delimiter; /* between question and answer; after a shot */
} task_form;                                  /* how a row is written */

struct ae_task {
    ae_arena arena;
    json_t *spec;  /* all keys, overlays and includes done */
    json_t *lines; /* keys -> lines, where they are the file's own */
    const char *file;
    const char *name, *about, *source, *checker, *main_metric;
    const ae_protocol *protocol;
    ae_form form;
    const char *member; /* of a family, as the file's include names it; or NULL */
    json_t *vars;       /* of a family's member: {"subject": "anatomy"}; or NULL */

    ae_split split;
    task_form ask, shot; /* the question; the examples before it */
    ae_field description, unconditional;
    ae_field labels; /* a list that says of each choice whether it is right; or absent */
    ae_field count;  /* rolling: the text whose words and bytes count; absent: the target */
    int n_shots;
    shot_rule shots;
    subset_rule subset;
    size_t subsample; /* documents drawn by Random(1234); 0: all */
    int64_t window;   /* tokens of a window of a rolling text; 0: as the protocol says */

    const char *test_split, *shot_split; /* shot_split NULL: `samples` */
    bool same_split;                     /* a document may be drawn as its own example */
    bool has_train;
    json_t *samples;
    json_t *files;  /* split -> list of names */
    json_t *select; /* column -> value that rows must have; or NULL */
    task_shape *shapes;
    size_t n_shapes;
    task_column *made; /* process_docs */
    size_t n_made;

    ae_metric *metrics;
    size_t n_metrics;
    ae_filter *filters;
    size_t n_filters;
    ae_generation generation;
};

/* task_read.c: fills a task from its spec. */
aerie_status task_read(ae_task *t, aerie_error *err);
/* spec.c: the keys of a file with its include, family and protocol put together. */
aerie_status task_spec(ae_task *t, ae_yaml *yaml, const char *member, aerie_error *err);
/* known.c: the text of a built-in file, by its name. NULL: none. */
const char *task_known_text(const char *name);
/* Of the family that "mmlu_anatomy" is a member of; *member then is "anatomy". NULL: none. */
const char *task_known_family(const char *name, const char **member);

/* docs.c: the rows of a split as their files have them; appended to `rows`. */
aerie_status task_load_split(json_t *rows, const ae_task *t, const char *split, const char *data,
                             bool is_test, aerie_error *err);
/* Appends those of `all` that are the task's own, as its 'select' says. */
aerie_status task_select_rows(json_t *rows, json_t *all, const ae_task *t, aerie_error *err);
/* shape.c: a row in the form the task is written for; a new object. */
aerie_status task_shape_row(json_t **out, const ae_task *t, json_t *from, aerie_error *err);

/* rows.c: the rows of a split, each put in form when it is first asked for. */
typedef struct {
    const ae_task *task;
    json_t *raw;     /* an array; owned */
    json_t **shaped; /* [n]; NULL: not yet */
    size_t n;
} task_rows;
aerie_status task_rows_open(task_rows *r, const ae_task *t, json_t *raw, aerie_error *err);
void task_rows_close(task_rows *r);
/* Borrowed. */
aerie_status task_rows_at(json_t **out, task_rows *r, size_t i, aerie_error *err);

/* order.c: which documents are asked, in which order. *order is the arena's; `rng` is left where
 * the shots go on from. */
aerie_status task_order(int64_t **order, size_t *n, const ae_task *t, size_t n_docs, size_t limit,
                        ae_mersenne *rng, ae_arena *arena, aerie_error *err);

/* shots.c: which rows of `pool` stand before `doc`: *out holds k of them. */
aerie_status task_draw_shots(int32_t *out, size_t k, const ae_task *t, task_rows *pool, json_t *doc,
                             ae_mersenne *rng, aerie_error *err);

/* question.c: a row as texts. What it points to is the arena's or the row's. */
typedef struct {
    ae_span text; /* the question; absent when `several` */
    bool several; /* each choice is a question of its own: `right` is the one that is true */
    int32_t right;
    ae_span *choices;
    size_t n_choices;
    json_t *target; /* owned: an index, a text, or a list */
    ae_span answer; /* the target as text: of an index, that choice */
} task_question;
aerie_status task_question_read(task_question *q, const ae_task *t, const task_form *form,
                                json_t *doc, ae_arena *arena, aerie_error *err);
void task_question_close(task_question *q);
/* A field's text, in the arena. */
aerie_status task_field_span(ae_span *out, const ae_field *f, json_t *doc, ae_arena *arena,
                             aerie_error *err);

/* prompt.c: what stands before a question. */
typedef struct {
    ae_span question, answer; /* empty answer: none */
} task_shot;
typedef struct {
    const ae_task *task;
    const ae_task_options *options;
    ae_span description;
    const task_shot *shots;
    size_t n_shots;
} task_prompt;
/* Appends the context that ends with `question`. *shots_len: bytes of it before the question. */
aerie_status task_prompt_write(ae_bytes *out, size_t *shots_len, const task_prompt *p,
                               ae_span question, aerie_error *err);

/* clean.c: a text through a named function, "hellaswag"; false: none of that name. */
bool task_clean_known(const char *name);
aerie_status task_clean(json_t **out, const char *name, json_t *value, aerie_error *err);

/* python.c: Python's view of characters. */
bool python_is_space(int32_t code);
ae_span python_strip(ae_span text, bool left, bool right);
int64_t python_len(ae_span text); /* code points; ill-formed bytes count one each */
/* json.dumps() of a text, ASCII only. */
void python_json_text(ae_bytes *out, ae_span text);

#endif
