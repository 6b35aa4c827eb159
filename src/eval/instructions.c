/* instructions.c -- the table of checkers, their arguments, and the loose variants of a reply. */
#include "eval/instructions_private.h"

#include <string.h>

static const struct {
    const char *name;
    ae_check_fn *check;
} checkers[] = {
    { "keywords:existence", ae_check_keywords },
    { "keywords:frequency", ae_check_keyword_frequency },
    { "keywords:forbidden_words", ae_check_forbidden },
    { "keywords:letter_frequency", ae_check_letters },
    { "language:response_language", ae_check_language },
    { "length_constraints:number_sentences", ae_check_sentences },
    { "length_constraints:number_paragraphs", ae_check_paragraphs },
    { "length_constraints:number_words", ae_check_words },
    { "length_constraints:nth_paragraph_first_word", ae_check_nth_paragraph },
    { "detectable_content:number_placeholders", ae_check_placeholders },
    { "detectable_content:postscript", ae_check_postscript },
    { "detectable_format:number_bullet_lists", ae_check_bullets },
    { "detectable_format:constrained_response", ae_check_constrained },
    { "detectable_format:number_highlighted_sections", ae_check_highlights },
    { "detectable_format:multiple_sections", ae_check_sections },
    { "detectable_format:json_format", ae_check_json },
    { "detectable_format:title", ae_check_title },
    { "combination:two_responses", ae_check_two_responses },
    { "combination:repeat_prompt", ae_check_repeat_prompt },
    { "startend:end_checker", ae_check_end },
    { "startend:quotation", ae_check_quotation },
    { "change_case:capital_word_frequency", ae_check_capital_words },
    { "change_case:english_capital", ae_check_capital },
    { "change_case:english_lowercase", ae_check_lowercase },
    { "punctuation:no_comma", ae_check_no_comma },
};

/* ---- what checkers ask of an instruction ---- */

static const json_t *argument(ae_check *c, const char *key)
{
    const json_t *value = json_object_get(c->args, key);

    if (value && !json_is_null(value)) return value;
    if (!c->status)
        c->status =
            aerie_fail(c->err, AERIE_BAD_TEXT, "the instruction '%s' lacks its '%s'", c->name, key);
    return NULL;
}

int64_t ae_check_number(ae_check *c, const char *key)
{
    const json_t *value = argument(c, key);

    if (!value) return 0;
    if (json_is_number(value)) {
        double number = json_number_value(value);
        if (number >= -1e9 && number <= 1e9) return (int64_t)number;
    }
    if (!c->status)
        c->status = aerie_fail(c->err, AERIE_BAD_TEXT,
                               "the instruction '%s': its '%s' is no number that can be meant",
                               c->name, key);
    return 0;
}

ae_span ae_check_word(ae_check *c, const char *key)
{
    const json_t *value = argument(c, key);

    if (json_is_string(value))
        return (ae_span){ json_string_value(value), json_string_length(value) };
    if (value && !c->status)
        c->status = aerie_fail(c->err, AERIE_BAD_TEXT, "the instruction '%s': its '%s' is no text",
                               c->name, key);
    return (ae_span){ "", 0 };
}

bool ae_check_relation(ae_check *c, int64_t n, const char *relation_key, const char *number_key)
{
    ae_span relation = ae_check_word(c, relation_key);
    int64_t number = ae_check_number(c, number_key);

    return ae_span_is(relation, "less than") ? n < number : n >= number;
}

int64_t ae_check_count(ae_check *c, const char *pattern, unsigned flags, ae_span text)
{
    ae_regex *r = NULL;
    int64_t n = 0;

    if (!c->status) c->status = ae_regex_open_search(&r, pattern, flags, c->err);
    if (!c->status) n = ae_regex_count(r, text);
    if (!c->status) c->status = ae_regex_status(r, c->err);
    ae_regex_close(r);
    return n;
}

ae_span ae_check_lower(ae_check *c, ae_span text)
{
    ae_bytes_clear(&c->scratch);
    jinja_put_case(&c->scratch, text, JINJA_LOWER);
    ae_bytes_add_char(&c->scratch, '\0');
    if (!c->status) c->status = ae_bytes_status(&c->scratch, c->err);
    return c->status ? (ae_span){ "", 0 } : (ae_span){ c->scratch.data, c->scratch.len - 1 };
}

bool ae_split_next(ae_span *part, ae_span *rest, const char *by)
{
    size_t at, n = strlen(by);

    if (!rest->data) return false;
    at = jinja_find_text(*rest, (ae_span){ by, n }, 0);
    if (at == SIZE_MAX) {
        *part = *rest;
        *rest = (ae_span){ NULL, 0 };
        return true;
    }
    *part = (ae_span){ rest->data, at };
    rest->data += at + n;
    rest->len -= at + n;
    return true;
}

/* ---- variants ---- */

/* Without the first or the last line, or both; str.split('\n')[1:-1] joined again. */
static ae_span without_lines(ae_span text, bool first, bool last)
{
    ae_span rest = text, line;

    if (first) ae_split_next(&line, &rest, "\n");
    if (!rest.data) return (ae_span){ "", 0 };
    if (last) {
        while (rest.len > 0 && rest.data[rest.len - 1] != '\n') rest.len--;
        if (rest.len > 0) rest.len--;
    }
    return rest;
}

static void put_without_stars(ae_bytes *out, ae_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != '*') ae_bytes_add_char(out, text.data[i]);
}

enum { VARIANTS = 8 };

/* The reply first. *plain holds the texts without stars. */
static aerie_status make_variants(ae_span out[VARIANTS], ae_bytes plain[4], ae_span reply,
                                  aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (unsigned i = 0; i < 4 && !status; i++) {
        ae_span some = i ? ae_strip(without_lines(reply, i & 1, i & 2)) : reply;
        put_without_stars(&plain[i], some);
        status = ae_bytes_status(&plain[i], err);
        out[2 * i] = some;
        out[2 * i + 1] = ae_span_of(&plain[i]);
    }
    return status;
}

static aerie_status find_checker(ae_check_fn **out, const char *name, aerie_error *err)
{
    const char *known[AE_COUNT(checkers)], *nearest;

    for (size_t i = 0; i < AE_COUNT(checkers); i++) {
        *out = checkers[i].check;
        known[i] = checkers[i].name;
        if (!strcmp(name, known[i])) return AERIE_OK;
    }
    nearest = ae_nearest(name, known, AE_COUNT(checkers));
    return aerie_fail(err, AERIE_BAD_TEXT, "there is no instruction '%.80s'%s%s%s", name,
                      nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static aerie_status check_one(bool *strict, bool *loose, ae_check *c, const ae_span *variants)
{
    ae_check_fn *check;
    aerie_status status = find_checker(&check, c->name, c->err);

    *strict = *loose = false;
    if (status) return status;
    for (int i = 0; i < VARIANTS && !*loose && !c->status; i++) {
        bool follows = !ae_is_blank(variants[i]) && check(c, variants[i]) && !c->status;
        if (i == 0) *strict = follows;
        *loose = follows;
    }
    return c->status;
}

aerie_status ae_instructions_check(bool *strict, bool *loose, const json_t *ids,
                                   const json_t *kwargs, ae_span reply, aerie_error *err)
{
    ae_bytes plain[4] = { { 0 } };
    ae_span variants[VARIANTS];
    aerie_status status = make_variants(variants, plain, reply, err);

    for (size_t i = 0; i < json_array_size(ids) && !status; i++) {
        const char *name = json_string_value(json_array_get(ids, i));
        ae_check c = { .name = name, .args = json_array_get(kwargs, i), .err = err };
        if (!name || !json_is_object(c.args))
            status = aerie_fail(err, AERIE_BAD_TEXT,
                                "an instruction needs a name in 'instruction_id_list' and an "
                                "object in 'kwargs'");
        if (!status) status = check_one(&strict[i], &loose[i], &c, variants);
        ae_bytes_free(&c.scratch);
    }
    for (int i = 0; i < 4; i++) ae_bytes_free(&plain[i]);
    return status;
}
