/* check.c -- the table of checks: how each is read, and what it looks at. */
#include "compare/check.h"

#include "text/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct kind kind;

struct ae_check {
    const kind *kind;
    char name[80];
    char *source; /* the spec with sorted keys */
    json_t *spec;
    bool turned; /* "not": true */
    ae_regex *pattern;
};

/* Whether a check compares with what is expected: UNLESS its spec has a word of its own. */
typedef enum { NEVER, UNLESS, ALWAYS } comparing;

/* One kind of check. `open` (or NULL) looks at the spec; `word` is the key that a short form's rest
 * is the value of, a number where `is_number`. */
struct kind {
    const char *type, *word;
    bool is_number;
    comparing expected;
    aerie_status (*open)(ae_check *c, aerie_error *err);
    bool (*holds)(const ae_check *c, const ae_check_of *of, const char *reply, size_t len);
};

static bool flag(const ae_check *c, const char *key)
{
    return json_is_true(json_object_get(c->spec, key));
}

static const char *word(const ae_check *c, const char *key)
{
    return json_string_value(json_object_get(c->spec, key));
}

static aerie_status wrong(const ae_check *c, aerie_error *err, const char *wants)
{
    return aerie_fail(err, AERIE_BAD_TEXT, "the check '%s' wants %s", c->kind->type, wants);
}

/* ---- JSON ---- */

static bool holds_json(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    json_t *value = ae_reply_json_of(reply, len);
    const json_t *schema = json_object_get(c->spec, "schema");
    bool holds = value && (!schema || ae_check_schema(schema, value));

    (void)of;
    json_decref(value);
    return holds;
}

static aerie_status open_schema(ae_check *c, aerie_error *err)
{
    const json_t *schema = json_object_get(c->spec, "schema");

    if (!schema) return wrong(c, err, "'schema', a JSON schema");
    return ae_check_schema_open(schema, err);
}

/* ---- texts ---- */

static aerie_status open_regex(ae_check *c, aerie_error *err)
{
    const char *pattern = word(c, "pattern");

    if (!pattern) return wrong(c, err, "'pattern', a regular expression");
    return ae_regex_open_search(&c->pattern, pattern,
                                flag(c, "ignore_case") ? AE_REGEX_IGNORE_CASE : 0, err);
}

static bool holds_regex(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)of;
    return ae_regex_find(c->pattern, (ae_span){ reply, len }, 0, NULL, 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(const char *text, size_t len, const char *part, bool any_case)
{
    size_t n = strlen(part);

    for (size_t i = 0; i + n <= len; i++) {
        size_t k = 0;
        while (k < n && (any_case ? lower(text[i + k]) == lower(part[k]) : text[i + k] == part[k]))
            k++;
        if (k == n) return true;
    }
    return false;
}

static aerie_status open_contains(ae_check *c, aerie_error *err)
{
    const json_t *texts = json_object_get(c->spec, "texts"), *one;
    size_t i;

    if (!word(c, "text") && !json_is_array(texts))
        return wrong(c, err, "'text', or 'texts', a list");
    json_array_foreach((json_t *)texts, i,
                       one) if (!json_is_string(one)) return wrong(c, err, "texts in 'texts'");
    return AERIE_OK;
}

/* All of "texts"; with "any" one of them. */
static bool holds_contains(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    const json_t *texts = json_object_get(c->spec, "texts"), *one;
    bool any_case = flag(c, "ignore_case"), any = flag(c, "any");
    const char *text = word(c, "text");
    size_t i, n_found = 0;

    (void)of;
    if (text) return contains(reply, len, text, any_case);
    json_array_foreach((json_t *)texts, i, one) n_found +=
        contains(reply, len, json_string_value(one), any_case);
    return any ? n_found > 0 : n_found == json_array_size(texts);
}

static const char *wanted_text(const ae_check *c, const ae_check_of *of)
{
    const char *own = word(c, "text");

    return own ? own : of->expected;
}

/* White space at the ends does not count, nor case where that is said. */
static bool holds_equals(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    static const char blank[] = " \t\r\n";
    const char *wanted = wanted_text(c, of);
    size_t n = strlen(wanted);

    while (n > 0 && strchr(blank, wanted[n - 1])) n--;
    while (n > 0 && strchr(blank, *wanted)) wanted++, n--;
    while (len > 0 && strchr(blank, reply[len - 1])) len--;
    while (len > 0 && strchr(blank, *reply)) reply++, len--;
    if (n != len) return false;
    for (size_t i = 0; i < n; i++)
        if (flag(c, "ignore_case") ? lower(wanted[i]) != lower(reply[i]) : wanted[i] != reply[i])
            return false;
    return true;
}

/* ---- numbers, lengths ---- */

static bool holds_number(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    const json_t *own = json_object_get(c->spec, "value");
    double tolerance = json_number_value(json_object_get(c->spec, "tolerance"));
    double is, wanted = json_number_value(own);

    if (!json_is_number(own) && !ae_reply_number(of->expected, strlen(of->expected), &wanted))
        return false;
    return ae_reply_number(reply, len, &is) && fabs(is - wanted) <= tolerance;
}

static aerie_status open_length(ae_check *c, aerie_error *err)
{
    const char *unit = word(c, "unit");

    if (unit && strcmp(unit, "words") != 0 && strcmp(unit, "characters") != 0)
        return wrong(c, err, "'unit' words or characters");
    const json_t *min = json_object_get(c->spec, "min"), *max = json_object_get(c->spec, "max");
    if ((!min && !max) || (min && !json_is_number(min)) || (max && !json_is_number(max)))
        return wrong(c, err, "numbers as 'min', 'max' or both");
    return AERIE_OK;
}

static bool holds_length(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    const json_t *min = json_object_get(c->spec, "min"), *max = json_object_get(c->spec, "max");
    const char *unit = word(c, "unit");
    double is = (double)(unit && !strcmp(unit, "words") ? ae_reply_words(reply, len)
                                                        : ae_reply_characters(reply, len));

    (void)of;
    return (!min || is >= json_number_value(min)) && (!max || is <= json_number_value(max));
}

static bool holds_max_words(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)of;
    return (double)ae_reply_words(reply, len) <= json_number_value(json_object_get(c->spec, "max"));
}

static bool holds_max_chars(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)of;
    return (double)ae_reply_characters(reply, len) <=
           json_number_value(json_object_get(c->spec, "max"));
}

static aerie_status open_max(ae_check *c, aerie_error *err)
{
    return json_is_number(json_object_get(c->spec, "max")) ? AERIE_OK
                                                           : wrong(c, err, "'max', a number");
}

/* ---- what it says ---- */

static bool holds_answers(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)c;
    (void)of;
    return !ae_reply_refuses(reply, len);
}

static bool holds_refuses(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)c;
    (void)of;
    return ae_reply_refuses(reply, len);
}

static bool holds_not_empty(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)c;
    (void)of;
    return ae_reply_words(reply, len) > 0;
}

static aerie_status open_language(ae_check *c, aerie_error *err)
{
    const char *is = word(c, "is");

    if (!is) return wrong(c, err, "'is', a language such as \"en\"");
    if (ae_reply_knows_language(is)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the language '%.40s' is not known; those there are: en de fr es it pt nl sv "
                      "pl tr ru el he ar hi th ko ja zh",
                      is);
}

static bool holds_language(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)of;
    return !strcmp(ae_reply_language(reply, len), word(c, "is"));
}

static aerie_status open_similar(ae_check *c, aerie_error *err)
{
    double min = json_number_value(json_object_get(c->spec, "min"));

    return min > 0 && min <= 1 ? AERIE_OK : wrong(c, err, "'min', above 0 and at most 1");
}

static bool holds_similar(const ae_check *c, const ae_check_of *of, const char *reply, size_t len)
{
    (void)len;
    return ae_reply_similarity(reply, of->expected) >=
           json_number_value(json_object_get(c->spec, "min"));
}

static aerie_status open_program(ae_check *c, aerie_error *err)
{
    return word(c, "command") ? AERIE_OK : wrong(c, err, "'command', a program");
}

static const kind kinds[] = {
    { "json", NULL, false, NEVER, NULL, holds_json },
    { "json_schema", NULL, false, NEVER, open_schema, holds_json },
    { "regex", "pattern", false, NEVER, open_regex, holds_regex },
    { "contains", "text", false, NEVER, open_contains, holds_contains },
    { "equals", "text", false, UNLESS, NULL, holds_equals },
    { "number", "value", true, UNLESS, NULL, holds_number },
    { "length", NULL, false, NEVER, open_length, holds_length },
    { "max_words", "max", true, NEVER, open_max, holds_max_words },
    { "max_chars", "max", true, NEVER, open_max, holds_max_chars },
    { "answers", NULL, false, NEVER, NULL, holds_answers },
    { "refuses", NULL, false, NEVER, NULL, holds_refuses },
    { "not_empty", NULL, false, NEVER, NULL, holds_not_empty },
    { "language", "is", false, NEVER, open_language, holds_language },
    { "similar", "min", true, ALWAYS, open_similar, holds_similar },
    { "program", "command", false, NEVER, open_program, NULL },
};

/* ---- reading ---- */

static const kind *find_kind(const char *type, size_t len)
{
    for (size_t i = 0; i < AE_COUNT(kinds); i++)
        if (strlen(kinds[i].type) == len && !memcmp(kinds[i].type, type, len)) return &kinds[i];
    return NULL;
}

static aerie_status no_such(const char *type, aerie_error *err)
{
    const char *names[AE_COUNT(kinds)];

    for (size_t i = 0; i < AE_COUNT(kinds); i++) names[i] = kinds[i].type;
    const char *near = ae_nearest(type, names, AE_COUNT(kinds));
    if (near)
        return aerie_fail(err, AERIE_BAD_TEXT, "there is no check '%.60s'; did you mean '%s'?",
                          type, near);
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "there is no check '%.60s'; there are json, json_schema, regex, contains, "
                      "equals, number, length, max_words, max_chars, answers, refuses, not_empty, "
                      "language, similar and program",
                      type);
}

/* "contains:yes" -> {"type": "contains", "text": "yes"}; "!" before it turns it. */
static aerie_status long_form(const char *text, json_t **out, aerie_error *err)
{
    bool turned = *text == '!';
    size_t len;

    text += turned;
    len = strcspn(text, ":");
    const kind *k = find_kind(text, len);
    const char *rest = text[len] ? text + len + 1 : NULL;
    if (!k) return no_such(text, err);
    *out = json_pack("{s:s}", "type", k->type);
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a check");
    if (turned) json_object_set_new(*out, "not", json_true());
    if (!rest) return AERIE_OK;
    if (!k->word)
        return aerie_fail(err, AERIE_BAD_TEXT, "nothing goes after '%s:' in a short check",
                          k->type);
    char *end = NULL;
    double number = strtod(rest, &end);
    if (k->is_number && (end == rest || *end || !isfinite(number)))
        return aerie_fail(err, AERIE_BAD_TEXT, "'%.60s' is no number, which '%s:' wants", rest,
                          k->type);
    json_object_set_new(*out, k->word, k->is_number ? json_real(number) : json_string(rest));
    return AERIE_OK;
}

static void name_check(ae_check *c)
{
    const char *own = word(c, "name"), *not = c->turned ? "not " : "";
    const json_t *value = c->kind->word ? json_object_get(c->spec, c->kind->word) : NULL;
    char begin[51];

    snprintf(begin, sizeof begin, "%s", json_is_string(value) ? json_string_value(value) : "");
    ae_reply_cut(begin);
    if (own)
        snprintf(c->name, sizeof c->name, "%s", own);
    else if (json_is_string(value))
        snprintf(c->name, sizeof c->name, "%s%s '%s'", not, c->kind->type, begin);
    else if (json_is_number(value))
        snprintf(c->name, sizeof c->name, "%s%s %g", not, c->kind->type, json_number_value(value));
    else
        snprintf(c->name, sizeof c->name, "%s%s", not, c->kind->type);
    ae_reply_cut(c->name);
}

static aerie_status read_spec(ae_check *c, const json_t *spec, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    if (json_is_string(spec))
        status = long_form(json_string_value(spec), &c->spec, err);
    else
        c->spec = json_deep_copy(spec);
    if (status) return status;
    const char *type = word(c, "type");
    if (!type)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "a check is {\"type\": ..., ...}, or a text such as \"json\" or "
                          "\"contains:yes\"");
    c->kind = find_kind(type, strlen(type));
    if (!c->kind) return no_such(type, err);
    c->turned = flag(c, "not");
    c->source = json_dumps(c->spec, JSON_COMPACT | JSON_SORT_KEYS);
    if (!c->source) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a check");
    name_check(c);
    return c->kind->open ? c->kind->open(c, err) : AERIE_OK;
}

aerie_status ae_check_open(ae_check **out, const json_t *spec, aerie_error *err)
{
    ae_check *c = ae_alloc(1, sizeof *c);
    aerie_status status;

    *out = NULL;
    if (!c) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a check");
    status = read_spec(c, spec, err);
    if (status)
        ae_check_close(c);
    else
        *out = c;
    return status;
}

void ae_check_close(ae_check *c)
{
    if (!c) return;
    ae_regex_close(c->pattern);
    json_decref(c->spec);
    free(c->source);
    ae_free(c);
}

const char *ae_check_name(const ae_check *c)
{
    return c->name;
}

const char *ae_check_source(const ae_check *c)
{
    return c->source;
}

bool ae_check_wants_expected(const ae_check *c)
{
    const kind *k = c->kind;
    const json_t *own = k->word ? json_object_get(c->spec, k->word) : NULL;
    bool has_own = k->is_number ? json_is_number(own) : json_is_string(own);

    return k->expected == ALWAYS || (k->expected == UNLESS && !has_own);
}

/* ---- a program's word ---- */

typedef struct {
    const char *command;
    double least; /* a number passes from here on */
    bool passed, answered;
} program_answer;

static void take_answer(void *to, const char *text, size_t len)
{
    program_answer *a = to;
    json_t *answer = json_loadb(text, len, JSON_DECODE_ANY, NULL);
    const json_t *pass = json_object_get(answer, "pass");

    a->answered = json_is_boolean(pass) || json_is_number(answer);
    a->passed = json_is_number(answer) ? json_number_value(answer) >= a->least : json_is_true(pass);
    json_decref(answer);
}

static aerie_status ask_program(const ae_check *c, const ae_check_of *of, const char *reply,
                                size_t len, bool *passed, aerie_error *err)
{
    const json_t *min = json_object_get(c->spec, "min");
    program_answer answer = { .command = word(c, "command"),
                              .least = json_is_number(min) ? json_number_value(min) : 1 };
    json_t *line = json_pack("{s:s, s:s, s:O, s:s%, s:s?, s:O?}", "command", answer.command, "id",
                             of->id, "messages", of->messages, "reply", reply, len, "expected",
                             of->expected, "row", of->row);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    aerie_status status;

    json_decref(line);
    if (!text) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a check");
    if (!of->program)
        status = aerie_fail(err, AERIE_UNSUPPORTED, "nobody here runs programs, '%.100s' is one",
                            answer.command);
    else
        status = of->program(of->program_user, text, take_answer, &answer, err);
    free(text);
    if (!status && !answer.answered)
        status = aerie_fail(err, AERIE_BAD_TEXT,
                            "'%.100s' answers a line with {\"pass\": true}, {\"pass\": false} or "
                            "a number, and did not",
                            answer.command);
    *passed = answer.passed;
    return status;
}

aerie_status ae_check_run(const ae_check *c, const ae_check_of *of, const char *reply, size_t len,
                          bool *passed, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    if (c->kind->holds)
        *passed = c->kind->holds(c, of, reply, len);
    else
        status = ask_program(c, of, reply, len, passed, err);
    if (!status) status = ae_regex_status(c->pattern, err);
    *passed = *passed != c->turned;
    return status;
}
