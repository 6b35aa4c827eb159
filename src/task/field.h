/* field.h -- one `doc_to_...`: how a value is made of a row. Private to task. */
#ifndef AE_TASK_FIELD_H
#define AE_TASK_FIELD_H

#include "base/base.h"
#include "text/text.h"

#include <jansson.h>

/* A zeroed field is absent. */
typedef struct {
    json_t *literal;     /* a number, a list: itself */
    const char *text;    /* a column's name, or a template's source; borrowed from the task */
    ae_template *render; /* of a template */
    ae_template *value;  /* of a template that is one expression: its value as JSON */
} ae_field;

/* `spec` is borrowed and must outlive the field; NULL or null: absent. */
aerie_status ae_field_open(ae_field *out, json_t *spec, aerie_error *err);
void ae_field_close(ae_field *f);
bool ae_field_given(const ae_field *f);
bool ae_field_is_template(const ae_field *f);

/* The value for a row: a column as it is; an expression's value; otherwise text. A new reference.
 */
aerie_status ae_field_value(json_t **out, const ae_field *f, json_t *doc, aerie_error *err);
/* The same as text: numbers are written out, truth values as Python does. Appends. */
aerie_status ae_field_text(ae_bytes *out, const ae_field *f, json_t *doc, aerie_error *err);
/* Of a value: appends its text. */
aerie_status ae_value_text(ae_bytes *out, json_t *value, aerie_error *err);

#endif
