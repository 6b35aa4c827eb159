/* jinja_methods_find.c -- methods of texts that look for parts of them: split, replace, find. */
#include "text/jinja.h"
#include "text/utf8.h"

#include <string.h>

static bool is_given(jinja_value v)
{
    return v.kind != JINJA_MISSING && v.kind != JINJA_NONE;
}

static jinja_value piece(jinja *j, ae_span text, size_t begin, size_t end)
{
    return jinja_str(j, (ae_span){ text.data + begin, end - begin });
}

/* Between runs of white space; the rest, unstripped on the right, after `max` cuts. */
static void split_space(jinja *j, jinja_value out, ae_span text, int64_t max)
{
    size_t at = jinja_space_prefix(text);
    for (int64_t cuts = 0; at < text.len && !j->status; cuts++) {
        size_t end = at;
        while (end < text.len) {
            size_t next = end;
            if (jinja_is_space(ae_utf8_next(text, &next))) break;
            end = next;
        }
        if (max >= 0 && cuts == max) end = text.len;
        jinja_list_add(j, out, piece(j, text, at, end));
        at = end + jinja_space_prefix((ae_span){ text.data + end, text.len - end });
    }
}

static void split_at(jinja *j, jinja_value out, ae_span text, ae_span part, int64_t max)
{
    size_t at = 0;
    for (int64_t cuts = 0; (max < 0 || cuts < max) && jinja_spend(j, 1); cuts++) {
        size_t found = jinja_find_text(text, part, at);
        if (found == SIZE_MAX) break;
        jinja_list_add(j, out, piece(j, text, at, found));
        at = found + part.len;
    }
    jinja_list_add(j, out, piece(j, text, at, text.len));
}

static ae_span separator(jinja *j, jinja_value v)
{
    ae_span part = jinja_arg_text(j, v, "");
    if (!j->status && part.len == 0) jinja_fail(j, "empty separator");
    return part;
}

/* split(sep=None, maxsplit=-1) */
static jinja_value split(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value out = jinja_list_new(j, JINJA_LIST);
    int64_t max = jinja_arg_int(j, args->pos[1], -1);
    ae_span text = jinja_text_of(self);
    if (!jinja_spend(j, text.len / 16)) return out;
    if (!is_given(args->pos[0])) {
        split_space(j, out, text, max);
        return out;
    }
    ae_span part = separator(j, args->pos[0]);
    if (!j->status) split_at(j, out, text, part, max);
    return out;
}

/* Where `part` begins last at or before `end` bytes; SIZE_MAX: nowhere. */
static size_t find_last(jinja *j, ae_span text, ae_span part, size_t end)
{
    size_t last = SIZE_MAX, at = 0;
    text.len = end;
    for (size_t found; (found = jinja_find_text(text, part, at)) != SIZE_MAX; at = found + 1) {
        last = found;
        if (part.len == 0) return text.len;
        if (!jinja_spend(j, part.len / 64)) break;
    }
    return last;
}

/* The place of each cut of rsplit, from the right. */
static jinja_value rsplit(jinja *j, jinja_value self, const jinja_args *args)
{
    int64_t max = jinja_arg_int(j, args->pos[1], -1);
    if (!is_given(args->pos[0]) || max < 0) return split(j, self, args);
    ae_span text = jinja_text_of(self), part = separator(j, args->pos[0]);
    jinja_value reversed = jinja_list_new(j, JINJA_LIST), out = jinja_list_new(j, JINJA_LIST);
    for (; max > 0 && jinja_spend(j, 1 + text.len / 16); max--) {
        size_t found = find_last(j, text, part, text.len);
        if (found == SIZE_MAX) break;
        jinja_list_add(j, reversed, piece(j, text, found + part.len, text.len));
        text.len = found;
    }
    jinja_list_add(j, out, jinja_str(j, text));
    for (size_t i = j->status ? 0 : reversed.as.list->n; i-- > 0 && !j->status;)
        jinja_list_add(j, out, reversed.as.list->items[i]);
    return out;
}

static jinja_value splitlines(jinja *j, jinja_value self, const jinja_args *args)
{
    jinja_value out = jinja_list_new(j, JINJA_LIST);
    ae_span text = jinja_text_of(self);
    bool keep = jinja_arg_bool(args->pos[0], false);
    for (size_t at = 0; at < text.len && !j->status;) {
        size_t end = at;
        while (end < text.len && text.data[end] != '\n' && text.data[end] != '\r') end++;
        size_t next = end < text.len ? end + 1 : end;
        if (next < text.len && text.data[end] == '\r' && text.data[next] == '\n') next++;
        jinja_list_add(j, out, piece(j, text, at, keep ? next : end));
        at = next;
    }
    return out;
}

static jinja_value partition_at(jinja *j, ae_span text, ae_span part, size_t found)
{
    jinja_value out = jinja_list_new(j, JINJA_TUPLE);
    if (j->status) return out;
    jinja_list_add(j, out, piece(j, text, 0, found));
    jinja_list_add(j, out, piece(j, text, found, found + part.len));
    jinja_list_add(j, out, piece(j, text, found + part.len, text.len));
    return out;
}

static jinja_value partition(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span text = jinja_text_of(self), part = separator(j, args->pos[0]);
    size_t found = j->status ? SIZE_MAX : jinja_find_text(text, part, 0);
    return found == SIZE_MAX ? partition_at(j, text, (ae_span){ "", 0 }, text.len)
                             : partition_at(j, text, part, found);
}

static jinja_value rpartition(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span text = jinja_text_of(self), part = separator(j, args->pos[0]);
    size_t found = j->status ? SIZE_MAX : find_last(j, text, part, text.len);
    return found == SIZE_MAX ? partition_at(j, text, (ae_span){ "", 0 }, 0)
                             : partition_at(j, text, part, found);
}

/* Copies `text` to `out` with `from` replaced; an empty `from` stands between all characters. */
static void replace_into(jinja *j, ae_bytes *out, ae_span text, ae_span from, ae_span to,
                         int64_t max)
{
    size_t at = 0;
    for (int64_t n = 0; (max < 0 || n < max) && jinja_spend(j, 1 + to.len / 64); n++) {
        size_t found = jinja_find_text(text, from, at);
        if (found == SIZE_MAX || out->len > j->max_output) break;
        ae_bytes_add(out, text.data + at, found - at);
        ae_bytes_add(out, to.data, to.len);
        at = found + from.len;
        if (from.len == 0) {
            if (at >= text.len) return;
            size_t next = at;
            ae_utf8_next(text, &next);
            ae_bytes_add(out, text.data + at, next - at);
            at = next;
        }
    }
    ae_bytes_add(out, text.data + at, text.len - at);
}

/* replace(old, new, count=-1) */
static jinja_value replace(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span from = jinja_arg_text(j, args->pos[0], ""), to = jinja_arg_text(j, args->pos[1], "");
    int64_t max = jinja_arg_int(j, args->pos[2], -1);
    ae_bytes out = { 0 };
    if (j->status) return self;
    replace_into(j, &out, jinja_text_of(self), from, to, max);
    return jinja_str_take(j, &out);
}

/* The part of the text that start and end (in characters) leave, and where it begins in bytes. */
static ae_span window(jinja *j, jinja_value self, const jinja_args *args, size_t *begin)
{
    ae_span text = jinja_text_of(self);
    int64_t n = is_given(args->pos[1]) || is_given(args->pos[2]) ? jinja_length(j, self) : 0;
    int64_t from = jinja_arg_int(j, args->pos[1], 0),
            to = jinja_arg_int(j, args->pos[2], INT64_MAX);
    if (from < 0) from = from + n < 0 ? 0 : from + n;
    if (to < 0) to = to + n < 0 ? 0 : to + n;
    *begin = from > 0 ? jinja_char_offset(text, (size_t)from) : 0;
    size_t end = to == INT64_MAX ? text.len : jinja_char_offset(text, (size_t)to);
    return (ae_span){ text.data + *begin, end > *begin ? end - *begin : 0 };
}

static int64_t find_char(jinja *j, jinja_value self, const jinja_args *args, bool last)
{
    size_t begin;
    ae_span part = jinja_arg_text(j, args->pos[0], ""), text = window(j, self, args, &begin);
    if (!jinja_spend(j, text.len / 16)) return -1;
    size_t found = last ? find_last(j, text, part, text.len) : jinja_find_text(text, part, 0);
    if (found == SIZE_MAX) return -1;
    return (int64_t)jinja_char_count((ae_span){ self.as.text, begin + found });
}

static jinja_value find(jinja *j, jinja_value self, const jinja_args *args)
{
    return jinja_int(find_char(j, self, args, false));
}

static jinja_value rfind(jinja *j, jinja_value self, const jinja_args *args)
{
    return jinja_int(find_char(j, self, args, true));
}

static jinja_value found_or_fail(jinja *j, int64_t at)
{
    if (at < 0) jinja_fail(j, "substring not found");
    return jinja_int(at);
}

static jinja_value index_from_left(jinja *j, jinja_value self, const jinja_args *args)
{
    return found_or_fail(j, find_char(j, self, args, false));
}

static jinja_value index_from_right(jinja *j, jinja_value self, const jinja_args *args)
{
    return found_or_fail(j, find_char(j, self, args, true));
}

static jinja_value count(jinja *j, jinja_value self, const jinja_args *args)
{
    size_t begin, at = 0;
    ae_span part = jinja_arg_text(j, args->pos[0], ""), text = window(j, self, args, &begin);
    int64_t n = 0;
    if (part.len == 0) return jinja_int((int64_t)jinja_char_count(text) + 1);
    for (size_t found; (found = jinja_find_text(text, part, at)) != SIZE_MAX && jinja_spend(j, 1);
         at = found + part.len)
        n++;
    return jinja_int(n);
}

static bool has_end(ae_span text, ae_span part, bool at_start)
{
    if (part.len > text.len) return false;
    const char *where = at_start ? text.data : text.data + text.len - part.len;
    return part.len == 0 || memcmp(where, part.data, part.len) == 0;
}

/* startswith and endswith: a text, or a tuple of which one must fit. */
static jinja_value has_any_end(jinja *j, jinja_value self, const jinja_args *args, bool at_start)
{
    size_t begin;
    ae_span text = window(j, self, args, &begin);
    if (args->pos[0].kind != JINJA_TUPLE)
        return jinja_bool(has_end(text, jinja_arg_text(j, args->pos[0], ""), at_start));
    const jinja_list *parts = args->pos[0].as.list;
    for (size_t i = 0; i < parts->n && jinja_spend(j, 1); i++)
        if (has_end(text, jinja_arg_text(j, parts->items[i], ""), at_start))
            return jinja_bool(true);
    return jinja_bool(false);
}

static jinja_value startswith(jinja *j, jinja_value self, const jinja_args *args)
{
    return has_any_end(j, self, args, true);
}

static jinja_value endswith(jinja *j, jinja_value self, const jinja_args *args)
{
    return has_any_end(j, self, args, false);
}

static jinja_value removeprefix(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span text = jinja_text_of(self), part = jinja_arg_text(j, args->pos[0], "");
    return has_end(text, part, true) ? piece(j, text, part.len, text.len) : self;
}

static jinja_value removesuffix(jinja *j, jinja_value self, const jinja_args *args)
{
    ae_span text = jinja_text_of(self), part = jinja_arg_text(j, args->pos[0], "");
    return has_end(text, part, false) ? piece(j, text, 0, text.len - part.len) : self;
}

const jinja_callable jinja_str_methods_find[] = {
    { "split", "sep maxsplit", 0, split },
    { "rsplit", "sep maxsplit", 0, rsplit },
    { "splitlines", "keepends", 0, splitlines },
    { "partition", "sep", 1, partition },
    { "rpartition", "sep", 1, rpartition },
    { "replace", "old new count", 2, replace },
    { "find", "sub start end", 1, find },
    { "rfind", "sub start end", 1, rfind },
    { "index", "sub start end", 1, index_from_left },
    { "rindex", "sub start end", 1, index_from_right },
    { "count", "sub start end", 1, count },
    { "startswith", "prefix start end", 1, startswith },
    { "endswith", "suffix start end", 1, endswith },
    { "removeprefix", "prefix", 1, removeprefix },
    { "removesuffix", "suffix", 1, removesuffix },
    { 0 },
};
