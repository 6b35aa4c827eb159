/* clean.c -- the functions that mend a data set's texts before they are asked: what HellaSwag's and
 * WikiText's markup becomes in the harness (their utils.py and preprocess_wikitext.py, less its rule
 * for "/' 5/"). */
#include "task/task_private.h"

#include <string.h>

typedef void clean_fn(ae_bytes *out, ae_span text);

/* str.replace(): every occurrence, from the left, in one pass. */
static void replace(ae_bytes *b, const char *old, const char *new)
{
    ae_bytes out = { 0 };
    size_t n = strlen(old), at = 0;

    while (at < b->len) {
        if (b->len - at >= n && memcmp(b->data + at, old, n) == 0) {
            ae_bytes_add_text(&out, new);
            at += n;
        } else {
            ae_bytes_add_char(&out, b->data[at++]);
        }
    }
    out.failed |= b->failed;
    ae_bytes_free(b);
    *b = out;
}

/* re.sub("\\[.*?\\]", ""): a bracket closes on its own line, or is none. */
static void drop_brackets(ae_bytes *b)
{
    ae_bytes out = { 0 };

    for (size_t at = 0; at < b->len; at++) {
        size_t end = at;
        if (b->data[at] == '[')
            while (end < b->len && b->data[end] != ']' && b->data[end] != '\n') end++;
        if (end > at && end < b->len && b->data[end] == ']')
            at = end;
        else
            ae_bytes_add_char(&out, b->data[at]);
    }
    out.failed |= b->failed;
    ae_bytes_free(b);
    *b = out;
}

static void clean_hellaswag(ae_bytes *out, ae_span text)
{
    text = python_strip(text, true, true);
    ae_bytes_add(out, text.data, text.len);
    replace(out, " [title]", ". ");
    drop_brackets(out);
    replace(out, "  ", " ");
}

/* OLMES': a stop that is there already is not doubled: re.sub("\\.? \\[title\\]", ". "). */
static void clean_hellaswag_olmes(ae_bytes *out, ae_span text)
{
    text = python_strip(text, true, true);
    ae_bytes_add(out, text.data, text.len);
    replace(out, ". [title]", " [title]");
    replace(out, " [title]", ". ");
    drop_brackets(out);
    replace(out, "  ", " ");
}

/* re.sub("\\(\\s*([^\\)]*?)\\s*\\)", "(\\1)"): no space inside a pair of marks. */
static void tighten(ae_bytes *b, char open, char close)
{
    ae_bytes out = { 0 };
    size_t at = 0;

    while (at < b->len) {
        const char *from = b->data + at, *end = NULL;
        if (*from == open) end = memchr(from + 1, close, b->len - at - 1);
        ae_bytes_add_char(&out, *from);
        at++;
        if (!end) continue;
        ae_span inner = python_strip((ae_span){ from + 1, (size_t)(end - from) - 1 }, true, true);
        ae_bytes_add(&out, inner.data, inner.len);
        ae_bytes_add_char(&out, close);
        at = (size_t)(end - b->data) + 1;
    }
    out.failed |= b->failed;
    ae_bytes_free(b);
    *b = out;
}

static void clean_wikitext(ae_bytes *out, ae_span text)
{
    static const char *const first[][2] = { { "s '", "s'" },  { " @-@ ", "-" }, { " @,@ ", "," },
                                            { " @.@ ", "." }, { " : ", ": " },  { " ; ", "; " },
                                            { " . ", ". " },  { " ! ", "! " },  { " ? ", "? " },
                                            { " , ", ", " } };
    static const char *const last[][2] = { { "= = = =", "====" }, { "= = =", "===" },
                                           { "= =", "==" },       { " \xc2\xb0 ", "\xc2\xb0" },
                                           { " \n", "\n" },       { "\n ", "\n" },
                                           { " N ", " 1 " },      { " 's", "'s" } };
    static const char marks[][2] = {
        { '(', ')' }, { '[', ']' }, { '{', '}' }, { '"', '"' }, { '\'', '\'' }
    };

    ae_bytes_add(out, text.data, text.len);
    for (size_t i = 0; i < AE_COUNT(first); i++) replace(out, first[i][0], first[i][1]);
    for (size_t i = 0; i < AE_COUNT(marks); i++) tighten(out, marks[i][0], marks[i][1]);
    for (size_t i = 0; i < AE_COUNT(last); i++) replace(out, last[i][0], last[i][1]);
}

static const struct {
    const char *name;
    clean_fn *fn;
} functions[] = { { "hellaswag", clean_hellaswag },
                  { "hellaswag_olmes", clean_hellaswag_olmes },
                  { "wikitext", clean_wikitext } };

static clean_fn *find(const char *name)
{
    for (size_t i = 0; i < AE_COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0) return functions[i].fn;
    return NULL;
}

bool task_clean_known(const char *name)
{
    return find(name) != NULL;
}

static aerie_status clean_text(json_t **out, clean_fn *fn, json_t *text, aerie_error *err)
{
    ae_bytes b = { 0 };
    aerie_status status;

    fn(&b, (ae_span){ json_string_value(text), json_string_length(text) });
    status = ae_bytes_status(&b, err);
    if (!status) {
        *out = json_stringn(b.data ? b.data : "", b.len);
        if (!*out) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's texts");
    }
    ae_bytes_free(&b);
    return status;
}

aerie_status task_clean(json_t **out, const char *name, json_t *value, aerie_error *err)
{
    clean_fn *fn = find(name);
    aerie_status status = AERIE_OK;

    *out = NULL;
    if (json_is_string(value)) return clean_text(out, fn, value, err);
    *out = json_array();
    for (size_t i = 0; *out && i < json_array_size(value) && !status; i++) {
        json_t *item = json_array_get(value, i), *cleaned = json_incref(item);
        if (json_is_string(item)) {
            json_decref(cleaned);
            status = clean_text(&cleaned, fn, item, err);
        }
        if (!status && json_array_append_new(*out, cleaned))
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a task's texts");
    }
    return status;
}
