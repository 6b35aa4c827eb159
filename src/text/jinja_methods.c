/* jinja_methods.c -- methods of texts (those that change or ask), lists, dicts, loops, cyclers. */
#include "text/jinja.h"
#include "text/utf8.h"

#include <string.h>

static bool is_given(jinja_value v)
{
    return v.kind != JINJA_MISSING && v.kind != JINJA_NONE;
}

static jinja_value strip_sides(jinja *j, jinja_value self, const jinja_args *args, bool left,
                               bool right)
{
    ae_span text = jinja_text_of(self);
    if (!is_given(args->pos[0])) return jinja_str(j, jinja_strip(text, left, right));
    ae_span chars = jinja_arg_text(j, args->pos[0], "");
    /* Every character taken away is looked for in the whole set. */
    if (!jinja_spend(j, text.len / 8 + chars.len * (text.len < 64 ? text.len / 8 : 8))) return self;
    return jinja_str(j, jinja_strip_chars(text, chars, left, right));
}

static jinja_value strip(jinja *j, jinja_value self, const jinja_args *args)
{
    return strip_sides(j, self, args, true, true);
}

static jinja_value lstrip(jinja *j, jinja_value self, const jinja_args *args)
{
    return strip_sides(j, self, args, true, false);
}

static jinja_value rstrip(jinja *j, jinja_value self, const jinja_args *args)
{
    return strip_sides(j, self, args, false, true);
}

static jinja_value cased(jinja *j, jinja_value self, jinja_case how)
{
    ae_bytes out = { 0 };
    jinja_put_case(&out, jinja_text_of(self), how);
    return jinja_str_take(j, &out);
}

static jinja_value upper(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_UPPER);
}

static jinja_value lower(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_LOWER);
}

static jinja_value capitalize(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_CAPITAL);
}

static jinja_value title(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_TITLE);
}

static jinja_value swapcase(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return cased(j, self, JINJA_SWAP);
}

/* Whether the text is not empty and every character is as `test` says. */
static jinja_value all_are(jinja_value self, bool (*test)(int32_t code))
{
    bool all = self.len > 0;
    for (size_t at = 0; all && at < self.len;) all = test(ae_utf8_next(jinja_text_of(self), &at));
    return jinja_bool(all);
}

static bool is_alphanumeric(int32_t code)
{
    return jinja_is_alpha(code) || jinja_is_digit(code);
}

static jinja_value isdigit_(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)j, (void)args;
    return all_are(self, jinja_is_digit);
}

static jinja_value isalpha_(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)j, (void)args;
    return all_are(self, jinja_is_alpha);
}

static jinja_value isalnum_(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)j, (void)args;
    return all_are(self, is_alphanumeric);
}

static jinja_value isspace_(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)j, (void)args;
    return all_are(self, jinja_is_space);
}

static jinja_value isupper_(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    jinja_args none = { 0 };
    return jinja_bool(jinja_test(j, ae_span_text("upper"), self, &none));
}

static jinja_value islower_(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    jinja_args none = { 0 };
    return jinja_bool(jinja_test(j, ae_span_text("lower"), self, &none));
}

/* join(iterable): every item must be a text. */
static jinja_value join(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_bytes out = { 0 };
    jinja_value items = jinja_iterate(j, args->pos[0]);
    for (size_t i = 0; !j->status && i < items.as.list->n && jinja_spend(j, 1); i++) {
        ae_span item = jinja_arg_text(j, items.as.list->items[i], "");
        if (i) ae_bytes_add(&out, self.as.text, self.len);
        ae_bytes_add(&out, item.data, item.len);
        if (out.len > j->max_output) break;
    }
    return jinja_str_take(j, &out);
}

/* Fills up to `width` characters, so many of them on the left. */
static jinja_value pad(jinja *j, jinja_value self, const jinja_args *args, int where)
{
    int64_t width = jinja_arg_int(j, args->pos[0], 0), have = jinja_length(j, self);
    ae_span fill = jinja_arg_text(j, args->n > 1 ? args->pos[1] : (jinja_value){ 0 }, " ");
    ae_bytes out = { 0 };
    if (j->status || width <= have) return self;
    if ((uint64_t)width > j->max_output) {
        jinja_fail(j, "a text grows past %zu bytes", j->max_output);
        return self;
    }
    int64_t total = width - have;
    /* str.center() gives the odd one to the left when the width is odd. */
    int64_t left = where < 0 ? 0 : where > 0 ? total : total / 2 + (total & width & 1);
    for (int64_t i = 0; i < left; i++) ae_bytes_add(&out, fill.data, fill.len);
    ae_bytes_add(&out, self.as.text, self.len);
    for (int64_t i = left; i < total; i++) ae_bytes_add(&out, fill.data, fill.len);
    return jinja_str_take(j, &out);
}

static jinja_value ljust(jinja *j, jinja_value self, const jinja_args *args)
{
    return pad(j, self, args, -1);
}

static jinja_value rjust(jinja *j, jinja_value self, const jinja_args *args)
{
    return pad(j, self, args, 1);
}

static jinja_value center(jinja *j, jinja_value self, const jinja_args *args)
{
    return pad(j, self, args, 0);
}

static jinja_value zfill(jinja *j, jinja_value self, const jinja_args *args)
{
    bool has_sign = self.len && (self.as.text[0] == '-' || self.as.text[0] == '+');
    jinja_value digits = self, width = args->pos[0];
    if (has_sign) {
        digits.as.text++;
        digits.len--;
        width = jinja_int(jinja_arg_int(j, width, 0) - 1);
    }
    jinja_value given[2] = { width, jinja_str(j, ae_span_text("0")) };
    jinja_value padded = pad(j, digits, &(jinja_args){ .pos = given, .n = 2 }, 1);
    if (!has_sign || j->status) return padded;
    ae_bytes out = { 0 };
    ae_bytes_add_char(&out, self.as.text[0]);
    ae_bytes_add(&out, padded.as.text, padded.len);
    return jinja_str_take(j, &out);
}

const jinja_callable jinja_str_methods[] = {
    { "strip", "chars", 0, strip },
    { "lstrip", "chars", 0, lstrip },
    { "rstrip", "chars", 0, rstrip },
    { "upper", "", 0, upper },
    { "lower", "", 0, lower },
    { "casefold", "", 0, lower },
    { "capitalize", "", 0, capitalize },
    { "title", "", 0, title },
    { "swapcase", "", 0, swapcase },
    { "isdigit", "", 0, isdigit_ },
    { "isdecimal", "", 0, isdigit_ },
    { "isnumeric", "", 0, isdigit_ },
    { "isalpha", "", 0, isalpha_ },
    { "isalnum", "", 0, isalnum_ },
    { "isspace", "", 0, isspace_ },
    { "isupper", "", 0, isupper_ },
    { "islower", "", 0, islower_ },
    { "join", "iterable", 1, join },
    { "ljust", "width fillchar", 1, ljust },
    { "rjust", "width fillchar", 1, rjust },
    { "center", "width fillchar", 1, center },
    { "zfill", "width", 1, zfill },
    { "format", NULL, 0, jinja_format_braces },
    { 0 },
};

static jinja_value list_index(jinja *j, jinja_value self, const jinja_args *args)
{
    const jinja_list *list = self.as.list;
    for (size_t i = 0; i < list->n && jinja_spend(j, 1); i++)
        if (jinja_equal(j, list->items[i], args->pos[0])) return jinja_int((int64_t)i);
    jinja_fail(j, "the value is not in the list");
    return jinja_int(0);
}

static jinja_value list_count(jinja *j, jinja_value self, const jinja_args *args)
{
    const jinja_list *list = self.as.list;
    int64_t n = 0;
    for (size_t i = 0; i < list->n && jinja_spend(j, 1); i++)
        n += jinja_equal(j, list->items[i], args->pos[0]);
    return jinja_int(n);
}

static jinja_value same(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)j, (void)args;
    return self;
}

const jinja_callable jinja_list_methods[] = {
    { "index", "value", 1, list_index },
    { "count", "value", 1, list_count },
    { "copy", "", 0, same }, /* nothing can change either of them */
    { 0 },
};

static jinja_value dict_get(jinja *j, jinja_value self, const jinja_args *args)
{
    const jinja_value *found = jinja_dict_get(j, self.as.dict, args->pos[0]);
    if (found) return *found;
    return args->pos[1].kind == JINJA_MISSING ? jinja_none() : args->pos[1];
}

typedef enum { KEYS, VALUES, ITEMS } view_part;

static jinja_value view(jinja *j, jinja_value self, view_part part)
{
    jinja_value out = jinja_list_new(j, JINJA_VIEW);
    for (size_t i = 0; i < self.as.dict->n && !j->status; i++) {
        jinja_pair pair = self.as.dict->pairs[i];
        jinja_value item = part == KEYS ? pair.key : pair.value;
        if (part == ITEMS) {
            item = jinja_list_new(j, JINJA_TUPLE);
            if (j->status) break;
            jinja_list_add(j, item, pair.key);
            jinja_list_add(j, item, pair.value);
        }
        jinja_list_add(j, out, item);
    }
    return out;
}

static jinja_value dict_keys(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return view(j, self, KEYS);
}

static jinja_value dict_values(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return view(j, self, VALUES);
}

static jinja_value dict_items(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)args;
    return view(j, self, ITEMS);
}

const jinja_callable jinja_dict_methods[] = {
    { "get", "key default", 1, dict_get },
    { "keys", "", 0, dict_keys },
    { "values", "", 0, dict_values },
    { "items", "", 0, dict_items },
    { "copy", "", 0, same },
    { 0 },
};

static jinja_value loop_cycle(jinja *j, jinja_value self, const jinja_args *args)
{
    if (args->n) return args->pos[self.as.loop->at % args->n];
    jinja_fail(j, "no items for cycling given");
    return self;
}

static jinja_value loop_changed(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_loop *loop = self.as.loop;
    jinja_value now = jinja_list_new(j, JINJA_TUPLE);
    for (size_t i = 0; i < args->n && !j->status; i++) jinja_list_add(j, now, args->pos[i]);
    bool changed = loop->changed.kind == JINJA_MISSING || !jinja_equal(j, loop->changed, now);
    loop->changed = now;
    return jinja_bool(changed);
}

const jinja_callable jinja_loop_methods[] = {
    { "cycle", NULL, 0, loop_cycle },
    { "changed", NULL, 0, loop_changed },
    { 0 },
};

static jinja_value cycler_next(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_list *list = self.as.list;
    jinja_value now = list->items[list->at];
    (void)j, (void)args;
    list->at = (list->at + 1) % list->n;
    return now;
}

static jinja_value cycler_reset(jinja *j, jinja_value self, const jinja_args *args)
{
    (void)j, (void)args;
    self.as.list->at = 0;
    return jinja_none();
}

const jinja_callable jinja_cycler_methods[] = {
    { "next", "", 0, cycler_next },
    { "reset", "", 0, cycler_reset },
    { 0 },
};
