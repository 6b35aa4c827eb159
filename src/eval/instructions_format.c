/* instructions_format.c -- checkers of how a reply is laid out. */
#include "eval/instructions_private.h"

#include <string.h>

bool ae_check_no_comma(ae_check *c, ae_span reply)
{
    (void)c;
    return !memchr(reply.data, ',', reply.len);
}

bool ae_check_bullets(ae_check *c, ae_span reply)
{
    /* "^\\s*": blank lines before a bullet add none. */
    int64_t stars = ae_check_count(c, "^[^\\S\\n]*\\*[^\\*].*$", AE_REGEX_MULTILINE, reply);
    int64_t dashes = ae_check_count(c, "^[^\\S\\n]*-.*$", AE_REGEX_MULTILINE, reply);

    return stars + dashes == ae_check_number(c, "num_bullets");
}

/* Matches of "\\[.*?\\]", which looks for the end of each bracket anew. */
static int64_t count_placeholders(ae_span text)
{
    bool is_open = false;
    int64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        n += is_open && c == ']';
        is_open = c == '[' || (is_open && c != ']' && c != '\n');
    }
    return n;
}

bool ae_check_placeholders(ae_check *c, ae_span reply)
{
    return count_placeholders(reply) >= ae_check_number(c, "num_placeholders");
}

/* Matches of a pattern that hold more than white space between characters of `around`. */
static int64_t count_filled(ae_check *c, const char *pattern, ae_span reply, const char *around)
{
    ae_regex *r = NULL;
    ae_span match;
    int64_t n = 0;

    if (!c->status) c->status = ae_regex_open_search(&r, pattern, 0, c->err);
    /* None of these patterns matches an empty text. */
    for (size_t at = 0; !c->status && ae_regex_find(r, reply, at, &match, 1);
         at = (size_t)(match.data - reply.data) + match.len)
        n += !ae_is_blank(jinja_strip_chars(match, ae_span_text(around), true, true));
    if (!c->status) c->status = ae_regex_status(r, c->err);
    ae_regex_close(r);
    return n;
}

bool ae_check_title(ae_check *c, ae_span reply)
{
    /* "<<[^\\n]+>>", tried once a line: where the first "<<" has no ">>" behind it, no other has.
     */
    static const char title[] = "(?m)^(?>[^\\n]*?(?=<<))\\K<<[^\\n]+>>";
    ae_regex *r = NULL;
    ae_span match;
    bool found = false;

    if (!c->status) c->status = ae_regex_open_search(&r, title, 0, c->err);
    for (size_t at = 0; !c->status && !found && ae_regex_find(r, reply, at, &match, 1);
         at = (size_t)(match.data - reply.data) + match.len) {
        match = jinja_strip_chars(match, ae_span_text("<"), true, false);
        match = jinja_strip_chars(match, ae_span_text(">"), false, true);
        found = !ae_is_blank(match);
    }
    if (!c->status) c->status = ae_regex_status(r, c->err);
    ae_regex_close(r);
    return found;
}

bool ae_check_highlights(ae_check *c, ae_span reply)
{
    int64_t n = count_filled(c, "\\*[^\\n\\*]*\\*", reply, "*") +
                count_filled(c, "\\*\\*[^\\n\\*]*\\*\\*", reply, "*");

    return n >= ae_check_number(c, "num_highlights");
}

bool ae_check_sections(ae_check *c, ae_span reply)
{
    ae_span splitter = ae_strip(ae_check_word(c, "section_spliter"));
    ae_bytes pattern = { 0 };
    bool follows;

    ae_bytes_printf(&pattern, "\\s?%.*s\\s?\\d+\\s?", (int)splitter.len, splitter.data);
    if (!c->status) c->status = ae_bytes_status(&pattern, c->err);
    follows = !c->status &&
              ae_check_count(c, pattern.data, 0, reply) >= ae_check_number(c, "num_sections");
    ae_bytes_free(&pattern);
    return follows;
}

/* Cut at "***", with a white space on either side. What is empty may only be first or last. */
bool ae_check_paragraphs(ae_check *c, ae_span reply)
{
    ae_regex *r = NULL;
    ae_span match = { NULL, 0 };
    int64_t n = 0, want = ae_check_number(c, "num_paragraphs");
    bool more = true, good = true;

    if (!c->status) c->status = ae_regex_open_search(&r, "\\s?\\*\\*\\*\\s?", 0, c->err);
    for (size_t at = 0; !c->status && more;) {
        more = ae_regex_find(r, reply, at, &match, 1);
        size_t end = more ? (size_t)(match.data - reply.data) : reply.len;
        if (!ae_is_blank((ae_span){ reply.data + at, end - at }))
            n++;
        else if (at > 0 && more)
            good = false;
        at = end + match.len;
    }
    if (!c->status) c->status = ae_regex_status(r, c->err);
    ae_regex_close(r);
    return good && n == want;
}

/* A paragraph's first word up to where punctuation begins, without quotes before it. */
static ae_span first_word_of(ae_span paragraph)
{
    size_t n = 0;

    while (n < paragraph.len) {
        size_t next = n;
        if (jinja_is_space(ae_utf8_next(paragraph, &next))) break;
        n = next;
    }
    paragraph.len = n;
    paragraph = jinja_strip_chars(paragraph, ae_span_text("'"), true, false);
    paragraph = jinja_strip_chars(paragraph, ae_span_text("\""), true, false);
    for (n = 0; n < paragraph.len && !strchr(".,?!'\"", paragraph.data[n]);) n++;
    paragraph.len = n;
    return paragraph;
}

bool ae_check_nth_paragraph(ae_check *c, ae_span reply)
{
    int64_t want = ae_check_number(c, "num_paragraphs"), nth = ae_check_number(c, "nth_paragraph");
    int64_t n = 0, filled = 0;
    ae_span rest = reply, part, wanted = { "", 0 };

    while (ae_split_next(&part, &rest, "\n\n")) {
        if (++n == nth) wanted = ae_strip(part);
        filled += !ae_is_blank(part);
    }
    if (nth > filled || wanted.len == 0 || filled != want) return false;
    ae_bytes lower = { 0 };
    ae_span first_word = ae_check_word(c, "first_word");
    jinja_put_case(&lower, first_word, JINJA_LOWER);
    if (!c->status) c->status = ae_bytes_status(&lower, c->err);
    bool same = ae_span_equal(ae_check_lower(c, first_word_of(wanted)), ae_span_of(&lower));
    ae_bytes_free(&lower);
    return same;
}

/* White space before the marker is tried from its begin alone. */
bool ae_check_postscript(ae_check *c, ae_span reply)
{
    ae_span marker = ae_strip(ae_check_word(c, "postscript_marker"));
    ae_bytes pattern = { 0 };

    if (ae_span_is(marker, "P.P.S")) {
        ae_bytes_add_text(&pattern, "(?<!\\s)\\s*p\\.\\s?p\\.\\s?s.*$");
    } else if (ae_span_is(marker, "P.S.")) {
        ae_bytes_add_text(&pattern, "(?<!\\s)\\s*p\\.\\s?s\\..*$");
    } else {
        ae_bytes_add_text(&pattern, "(?<!\\s)\\s*");
        jinja_put_case(&pattern, marker, JINJA_LOWER);
        ae_bytes_add_text(&pattern, ".*$");
    }
    if (!c->status) c->status = ae_bytes_status(&pattern, c->err);
    ae_span lower = ae_check_lower(c, reply);
    bool found = !c->status && ae_check_count(c, pattern.data, AE_REGEX_MULTILINE, lower) > 0;
    ae_bytes_free(&pattern);
    return found;
}

static ae_span without_prefix(ae_span text, const char *prefix)
{
    size_t n = strlen(prefix);

    if (text.len < n || memcmp(text.data, prefix, n)) return text;
    return (ae_span){ text.data + n, text.len - n };
}

static bool ends_with(ae_span text, ae_span end)
{
    if (text.len < end.len) return false;
    return ae_span_equal((ae_span){ text.data + text.len - end.len, end.len }, end);
}

bool ae_check_json(ae_check *c, ae_span reply)
{
    static const char *const fences[] = { "```json", "```Json", "```JSON", "```" };
    ae_span text = ae_strip(reply);
    json_t *value;
    (void)c;

    for (size_t i = 0; i < AE_COUNT(fences); i++) text = without_prefix(text, fences[i]);
    if (ends_with(text, ae_span_text("```"))) text.len -= 3;
    text = ae_strip(text);
    /* Numbers as reals: an integer may be of any length. */
    value = json_loadb(text.data, text.len,
                       JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    json_decref(value);
    return value != NULL;
}

bool ae_check_end(ae_check *c, ae_span reply)
{
    ae_bytes end = { 0 };
    ae_span text = jinja_strip_chars(ae_strip(reply), ae_span_text("\""), true, true);

    jinja_put_case(&end, ae_strip(ae_check_word(c, "end_phrase")), JINJA_LOWER);
    if (!c->status) c->status = ae_bytes_status(&end, c->err);
    bool follows = ends_with(ae_check_lower(c, text), ae_span_of(&end));
    ae_bytes_free(&end);
    return follows;
}

bool ae_check_quotation(ae_check *c, ae_span reply)
{
    ae_span text = ae_strip(reply);
    (void)c;

    return text.len > 1 && text.data[0] == '"' && text.data[text.len - 1] == '"';
}

bool ae_check_two_responses(ae_check *c, ae_span reply)
{
    ae_span rest = reply, part, found[2] = { { NULL, 0 } };
    int n = 0;
    bool first = true;
    (void)c;

    for (; ae_split_next(&part, &rest, "******"); first = false) {
        part = ae_strip(part);
        if (part.len > 0 && n < 2) found[n] = part;
        if (part.len > 0)
            n++;
        else if (!first && rest.data)
            return false;
    }
    return n == 2 && !ae_span_equal(found[0], found[1]);
}

bool ae_check_repeat_prompt(ae_check *c, ae_span reply)
{
    ae_bytes prompt = { 0 };
    ae_span text;

    jinja_put_case(&prompt, ae_strip(ae_check_word(c, "prompt_to_repeat")), JINJA_LOWER);
    if (!c->status) c->status = ae_bytes_status(&prompt, c->err);
    text = ae_check_lower(c, ae_strip(reply));
    bool follows = !c->status && prompt.len > 0 && text.len >= prompt.len &&
                   !memcmp(text.data, prompt.data, prompt.len);
    ae_bytes_free(&prompt);
    return follows;
}
