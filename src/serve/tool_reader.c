/* tool_reader.c -- tells calls of tools from text, as it comes. */
#include "serve/tool_reader.h"

#include <ctype.h>
#include <string.h>

static const char close_mark[] = "</tool_call>";
/* Fences begin replies, and may hold other JSON: the last three. */
enum { MISTRAL = 2, FENCES = 3, LONGEST_NAME = 256 };
static const char *const marks[] = { "<tool_call>",    "<|python_tag|>", "[TOOL_CALLS]",
                                     "```tool_call\n", "```json\n",      "```\n" };
static const char fence[] = "```";

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_space(ae_span s, size_t at)
{
    while (at < s.len && is_space(s.data[at])) at++;
    return at;
}

static size_t without_space(ae_span s, size_t len)
{
    while (len > 0 && is_space(s.data[len - 1])) len--;
    return len;
}

/* s from `at` on begins with `word`, or, being shorter, is its beginning. */
static bool may_begin(ae_span s, size_t at, const char *word)
{
    size_t n = strlen(word), left = s.len - at;
    return !memcmp(s.data + at, word, left < n ? left : n);
}

static bool begins(ae_span s, size_t at, const char *word)
{
    return s.len - at >= strlen(word) && may_begin(s, at, word);
}

static void drop(ae_tool_reader *r, size_t n)
{
    if (n == 0) return;
    memmove(r->held.data, r->held.data + n, r->held.len - n + 1);
    r->held.len -= n;
}

static void say(ae_tool_reader *r, size_t n, ae_bytes *text)
{
    if (n == 0) return;
    ae_bytes_add(text, r->held.data, n);
    drop(r, n);
    r->said = true;
    r->after_call = false;
}

/* ---- values of JSON */

/* The end of the value at `start`, which is an object or a list; 0: not there yet. */
static size_t value_end(ae_json_scan *scan, ae_span s, size_t start)
{
    for (; start + scan->at < s.len; scan->at++) {
        char c = s.data[start + scan->at];
        if (scan->escaped)
            scan->escaped = false;
        else if (scan->string) {
            scan->escaped = c == '\\';
            scan->string = c != '"';
        } else if (c == '"')
            scan->string = true;
        else if (c == '{' || c == '[')
            scan->depth++;
        else if ((c == '}' || c == ']') && --scan->depth == 0)
            return start + scan->at + 1;
    }
    return 0;
}

/* A value with no mark before it: its first key tells whether it can be a call, so that other JSON
 * is not held back to its end. */
static bool may_be_call(ae_span s, size_t at)
{
    static const char *const keys[] = { "\"name\"",      "\"type\"",       "\"function\"",
                                        "\"arguments\"", "\"parameters\"", "\"id\"" };
    if (s.data[at] == '[') at = skip_space(s, at + 1);
    if (at >= s.len) return true;
    if (s.data[at] != '{') return false;
    at = skip_space(s, at + 1);
    for (size_t i = 0; i < AE_COUNT(keys); i++)
        if (at >= s.len || may_begin(s, at, keys[i])) return true;
    return false;
}

static json_t *arguments_of(const json_t *function, bool marked)
{
    json_t *v = json_object_get(function, "arguments");
    aerie_error ignored = { 0 };
    if (!v) v = json_object_get(function, "parameters");
    if (json_is_string(v))
        v = ae_json_of(ae_span_text(json_string_value(v)), &ignored);
    else if (!v && marked)
        v = json_object();
    else
        json_incref(v);
    if (json_is_object(v)) return v;
    json_decref(v);
    return NULL;
}

static void new_id(ae_tool_reader *r, char out[16])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    ae_rng rng;
    ae_rng_seed(&rng, r->seed + r->n_calls);
    memcpy(out, "call_", 6);
    for (int i = 0; i < 8; i++) out[5 + i] = letters[ae_rng_below(&rng, 36)];
    out[13] = '\0';
}

static bool add_call(ae_tool_reader *r, const json_t *one, json_t *calls)
{
    char id[16];
    const json_t *function = json_object_get(one, "function");
    if (!json_is_object(function)) function = one;
    const char *name = json_string_value(json_object_get(function, "name"));
    if (!name) name = json_string_value(json_object_get(one, "function"));
    if (!name || (!r->marked && !ae_tools_has(r->tools, name))) return false;
    json_t *arguments = arguments_of(function, r->marked);
    if (!arguments) return false;
    new_id(r, id);
    json_array_append_new(
        calls, json_pack("{s:s, s:s, s:o}", "id", id, "name", name, "arguments", arguments));
    r->n_calls++;
    return true;
}

/* The value is a call or a list of them, all of them right. */
static bool take_value(ae_tool_reader *r, size_t end, json_t *calls)
{
    aerie_error ignored = { 0 };
    ae_span span = { r->held.data + r->value, end - r->value };
    json_t *value = ae_json_of(span, &ignored), *found = json_array(), *one;
    if (value && r->name_len)
        value = json_pack("{s:o, s:o}", "name",
                          ae_text_json((ae_span){ r->held.data + r->name, r->name_len }),
                          "arguments", value);
    size_t i, n = r->n_calls;
    bool ok = json_is_array(value) ? json_array_size(value) > 0 : add_call(r, value, found);
    json_array_foreach(value, i, one) ok = ok && add_call(r, one, found);
    if (!ok) r->n_calls = n;
    json_array_foreach(found, i, one)
    {
        if (ok && !(r->tools->one && n + i > 0)) json_array_append(calls, one);
    }
    json_decref(found);
    json_decref(value);
    return ok;
}

/* ---- text and marks */

/* The place of the first mark, of a value that may be a call, or of what may become one of them;
 * held.len: none. *mark: the whole one that is there, or none. */
static size_t find_start(const ae_tool_reader *r, size_t *mark)
{
    ae_span s = ae_span_of(&r->held);
    size_t first = skip_space(s, 0);
    *mark = AE_COUNT(marks);
    for (size_t at = first; at < s.len; at++) {
        for (size_t i = 0; i < AE_COUNT(marks); i++) {
            if (!may_begin(s, at, marks[i]) || (i >= FENCES && (at != first || r->said))) continue;
            if (begins(s, at, marks[i])) *mark = i;
            return at;
        }
        bool opens = s.data[at] == '{' || s.data[at] == '[';
        if (at == first && !r->said && opens && may_be_call(s, at)) return at;
    }
    return s.len;
}

/* Between calls stand spaces, semicolons and the marks' ends. True: there may be more of them. */
static bool skip_after_call(ae_tool_reader *r)
{
    ae_span s = ae_span_of(&r->held);
    size_t at = 0;
    while (at < s.len) {
        if (is_space(s.data[at]) || s.data[at] == ';')
            at++;
        else if (begins(s, at, close_mark))
            at += sizeof close_mark - 1;
        else if (r->fenced && begins(s, at, fence)) {
            at += sizeof fence - 1;
            r->fenced = false;
        } else
            break;
    }
    drop(r, at);
    s = ae_span_of(&r->held);
    return s.len == 0 || may_begin(s, 0, close_mark) || (r->fenced && may_begin(s, 0, fence));
}

/* One step in text. True: go on. */
static bool read_text(ae_tool_reader *r, ae_bytes *text)
{
    size_t mark;
    if (r->after_call && skip_after_call(r)) return false;
    size_t start = find_start(r, &mark), before = without_space(ae_span_of(&r->held), start);
    /* Spaces wait: before a call they are not said. */
    say(r, before, text);
    start -= before;
    if (start == r->held.len) return false;
    char c = r->held.data[start];
    bool part = c == '<' || c == '`' ||
                (c == '[' && may_begin(ae_span_of(&r->held), start, marks[MISTRAL])),
         whole = mark < AE_COUNT(marks);
    if (!whole && part) return false;
    r->in_value = true;
    r->mark = mark;
    r->marked = mark < FENCES;
    r->value = start + (whole ? strlen(marks[mark]) : 0);
    r->name_len = 0;
    r->scan = (ae_json_scan){ 0 };
    return true;
}

static size_t skip_word(ae_span s, size_t at)
{
    while (at < s.len && (isalnum((unsigned char)s.data[at]) || strchr("_-.", s.data[at]))) at++;
    return at;
}

/* Mistral's newer form, name[ARGS]{...} or name[CALL_ID]id[ARGS]{...}: the value begins after it.
 * Without such a name nothing changes. False: more must come first. */
static bool read_name(ae_tool_reader *r, ae_span s)
{
    static const char id_mark[] = "[CALL_ID]", args_mark[] = "[ARGS]";
    size_t end = skip_word(s, r->value), at = end, len = end - r->value;
    if (r->mark != MISTRAL || r->name_len || len == 0 || len > LONGEST_NAME) return true;
    if (at < s.len && begins(s, at, id_mark)) at = skip_word(s, at + sizeof id_mark - 1);
    if (at == s.len ||
        (s.data[at] == '[' && s.len - at < sizeof id_mark - 1 &&
         (may_begin(s, at, id_mark) || may_begin(s, at, args_mark)) && !begins(s, at, args_mark)))
        return false;
    if (!begins(s, at, args_mark)) return true;
    r->name = r->value;
    r->name_len = len;
    r->value = at + sizeof args_mark - 1;
    return true;
}

/* One step in a value. True: go on. */
static bool read_value(ae_tool_reader *r, ae_bytes *text, json_t *calls)
{
    ae_span s = ae_span_of(&r->held);
    if (r->scan.at == 0) r->value = skip_space(s, r->value);
    if (r->value >= s.len || !read_name(r, s)) return false;
    if (r->value >= s.len) return false;
    bool opens = s.data[r->value] == '{' || s.data[r->value] == '[';
    bool hopeless = !opens || (!r->marked && !may_be_call(s, r->value));
    size_t end = hopeless ? 0 : value_end(&r->scan, s, r->value);
    if (!hopeless && end == 0) return false;
    r->in_value = false;
    if (end && take_value(r, end, calls)) {
        drop(r, end);
        r->after_call = true;
        r->fenced = r->mark >= FENCES && r->mark < AE_COUNT(marks);
    } else
        /* No call: text up to where a mark may stand again. */
        say(r, end ? end : r->value + !r->marked, text);
    return true;
}

void ae_tool_reader_add(ae_tool_reader *r, ae_span more, ae_bytes *text, json_t *calls)
{
    if (!r->tools || !r->tools->list) {
        ae_bytes_add(text, more.data, more.len);
        return;
    }
    ae_bytes_add(&r->held, more.data, more.len);
    while (r->held.len && (r->in_value ? read_value(r, text, calls) : read_text(r, text))) {}
}

void ae_tool_reader_end(ae_tool_reader *r, ae_bytes *text)
{
    if (r->after_call && r->held.len && !r->in_value) skip_after_call(r);
    ae_span s = ae_span_of(&r->held);
    size_t n = r->n_calls ? without_space(s, s.len) : s.len;
    say(r, n, text);
    ae_bytes_free(&r->held);
}

void ae_tool_reader_free(ae_tool_reader *r)
{
    ae_bytes_free(&r->held);
}
