/* field.c -- values made of rows: columns, literals and Jinja templates. */
#include "task/field.h"

#include <ctype.h>
#include <string.h>

static bool has_markup(const char *text)
{
    return strstr(text, "{{") || strstr(text, "{%") || strstr(text, "{#");
}

/* "{{ expression }}" and nothing else: what is between the braces. */
static bool is_expression(const char *text, ae_span *inner)
{
    size_t len = strlen(text);

    if (len < 5 || strncmp(text, "{{", 2) != 0 || strcmp(text + len - 2, "}}") != 0) return false;
    *inner = (ae_span){ text + 2, len - 4 };
    for (size_t i = 0; i + 1 < inner->len; i++)
        if (strchr("{}", inner->data[i]) && inner->data[i] == inner->data[i + 1]) return false;
    return !strstr(text, "{%") && !strstr(text, "{#");
}

static aerie_status open_value(ae_field *f, ae_span inner, aerie_error *err)
{
    ae_bytes source = { 0 };
    aerie_status status;

    ae_bytes_add_text(&source, "{{ (");
    ae_bytes_add(&source, inner.data, inner.len);
    ae_bytes_add_text(&source, ") | tojson }}");
    status = ae_bytes_status(&source, err);
    if (!status) status = ae_template_parse_plain(&f->value, ae_span_of(&source), err);
    ae_bytes_free(&source);
    return status;
}

aerie_status ae_field_open(ae_field *out, json_t *spec, aerie_error *err)
{
    ae_span inner;
    aerie_status status = AERIE_OK;

    *out = (ae_field){ 0 };
    if (!spec || json_is_null(spec)) return AERIE_OK;
    if (!json_is_string(spec)) {
        out->literal = spec;
        return AERIE_OK;
    }
    out->text = json_string_value(spec);
    if (strlen(out->text) != json_string_length(spec))
        return aerie_fail(err, AERIE_BAD_TEXT, "a template holds a zero byte");
    if (!has_markup(out->text)) return AERIE_OK;
    if (is_expression(out->text, &inner)) status = open_value(out, inner, err);
    if (!status && !out->value)
        status = ae_template_parse_plain(&out->render, ae_span_text(out->text), err);
    if (status) ae_field_close(out);
    return status;
}

void ae_field_close(ae_field *f)
{
    ae_template_free(f->render);
    ae_template_free(f->value);
    *f = (ae_field){ 0 };
}

bool ae_field_given(const ae_field *f)
{
    return f->literal || f->text;
}

bool ae_field_is_template(const ae_field *f)
{
    return f->render || f->value;
}

static aerie_status render(const ae_template *t, json_t *doc, ae_bytes *out, aerie_error *err)
{
    ae_template_input in = { .extra = doc, .generation_unsaid = true };

    return ae_template_render(t, &in, out, err);
}

static bool is_name(const char *text)
{
    if (!*text || isdigit((unsigned char)*text)) return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_') return false;
    return true;
}

static void list_columns(ae_bytes *out, json_t *doc)
{
    for (void *at = json_object_iter(doc); at; at = json_object_iter_next(doc, at))
        ae_bytes_printf(out, "%s%.40s", out->len ? ", " : "", json_object_iter_key(at));
}

static aerie_status no_column(const char *name, json_t *doc, aerie_error *err)
{
    ae_bytes columns = { 0 };
    aerie_status status;

    list_columns(&columns, doc);
    status = aerie_fail(err, AERIE_NOT_FOUND, "the data has no column '%.60s'; it has %.200s", name,
                        columns.len ? columns.data : "none");
    ae_bytes_free(&columns);
    return status;
}

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's texts");
}

static aerie_status expression_value(json_t **out, const ae_field *f, json_t *doc, aerie_error *err)
{
    ae_bytes json = { 0 };
    json_error_t where;
    aerie_status status = render(f->value, doc, &json, err);

    if (!status) {
        *out = json_loadb(json.data, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
        if (!*out)
            status = aerie_fail(err, AERIE_BAD_TEXT, "'%.80s' gives no value: %.80s", f->text,
                                where.text);
    }
    ae_bytes_free(&json);
    return status;
}

static aerie_status rendered_value(json_t **out, const ae_field *f, json_t *doc, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = render(f->render, doc, &text, err);

    if (!status) {
        *out = json_stringn(text.data ? text.data : "", text.len);
        if (!*out) status = no_memory(err);
    }
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_field_value(json_t **out, const ae_field *f, json_t *doc, aerie_error *err)
{
    json_t *column = f->text ? json_object_get(doc, f->text) : NULL;

    *out = NULL;
    if (f->value) return expression_value(out, f, doc, err);
    if (f->render) return rendered_value(out, f, doc, err);
    if (f->literal || column) {
        *out = json_incref(f->literal ? f->literal : column);
        return AERIE_OK;
    }
    if (f->text && is_name(f->text)) return no_column(f->text, doc, err);
    *out = json_string(f->text ? f->text : "");
    return *out ? AERIE_OK : no_memory(err);
}

aerie_status ae_value_text(ae_bytes *out, json_t *value, aerie_error *err)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        ae_bytes_add(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        ae_bytes_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        ae_bytes_add_text(out, json_is_true(value) ? "True" : "False");
        break;
    case JSON_NULL:
        ae_bytes_add_text(out, "None");
        break;
    default:
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "a text was wanted, and this is a list, a mapping or a real number");
    }
    return ae_bytes_status(out, err);
}

aerie_status ae_field_text(ae_bytes *out, const ae_field *f, json_t *doc, aerie_error *err)
{
    json_t *value;
    aerie_status status = ae_field_value(&value, f, doc, err);

    if (!status) status = ae_value_text(out, value, err);
    json_decref(value);
    return status;
}
