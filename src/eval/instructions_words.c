/* instructions_words.c -- checkers of what a reply's words are. */
#include "eval/instructions_private.h"
#include "eval/language.h"
#include "eval/sentences.h"

#include <string.h>

/* Whether every text of the list (or, with `any`, one of them) is found: "\\b" around it where
 * words are wanted. */
static bool finds(ae_check *c, const char *key, const char *around, bool any, ae_span reply)
{
    const json_t *list = json_object_get(c->args, key);
    bool follows = !any;

    if (!json_is_array(list)) {
        if (!c->status)
            c->status = aerie_fail(c->err, AERIE_BAD_TEXT, "the instruction '%s' lacks its '%s'",
                                   c->name, key);
        return false;
    }
    for (size_t i = 0; i < json_array_size(list) && !c->status; i++) {
        const char *word = json_string_value(json_array_get(list, i));
        ae_bytes pattern = { 0 };
        ae_bytes_printf(&pattern, "%s%s%s", around, word ? word : "", around);
        c->status = ae_bytes_status(&pattern, c->err);
        if (!c->status && (ae_check_count(c, pattern.data, AE_REGEX_IGNORE_CASE, reply) > 0) == any)
            follows = any;
        ae_bytes_free(&pattern);
    }
    return follows;
}

bool ae_check_keywords(ae_check *c, ae_span reply)
{
    return finds(c, "keywords", "", false, reply);
}

bool ae_check_forbidden(ae_check *c, ae_span reply)
{
    return !finds(c, "forbidden_words", "\\b", true, reply);
}

bool ae_check_keyword_frequency(ae_check *c, ae_span reply)
{
    ae_span keyword = ae_strip(ae_check_word(c, "keyword"));
    ae_bytes pattern = { 0 };

    ae_bytes_add(&pattern, keyword.data, keyword.len);
    if (!c->status) c->status = ae_bytes_status(&pattern, c->err);
    int64_t n = c->status ? 0 : ae_check_count(c, pattern.data, AE_REGEX_IGNORE_CASE, reply);
    ae_bytes_free(&pattern);
    return ae_check_relation(c, n, "relation", "frequency");
}

/* The official code draws another letter at random when this is none of a .. z. */
bool ae_check_letters(ae_check *c, ae_span reply)
{
    char letter[8] = "";
    ae_span lower = ae_check_lower(c, ae_strip(ae_check_word(c, "letter")));
    int64_t n = 0;

    if (lower.len == 0 || lower.len >= sizeof letter) return false;
    memcpy(letter, lower.data, lower.len);
    lower = ae_check_lower(c, reply);
    for (size_t at = 0; (at = jinja_find_text(lower, ae_span_text(letter), at)) != SIZE_MAX; at++)
        n++;
    return ae_check_relation(c, n, "let_relation", "let_frequency");
}

bool ae_check_words(ae_check *c, ae_span reply)
{
    return ae_check_relation(c, ae_check_count(c, "\\w+", 0, reply), "relation", "num_words");
}

bool ae_check_sentences(ae_check *c, ae_span reply)
{
    int64_t n = 0;

    if (!c->status) c->status = ae_count_sentences(&n, reply, c->err);
    return ae_check_relation(c, n, "relation", "num_sentences");
}

bool ae_check_constrained(ae_check *c, ae_span reply)
{
    static const char *const answers[] = { "My answer is yes.", "My answer is no.",
                                           "My answer is maybe." };
    (void)c;

    for (size_t i = 0; i < AE_COUNT(answers); i++)
        if (jinja_find_text(reply, ae_span_text(answers[i]), 0) != SIZE_MAX) return true;
    return false;
}

/* str.isupper(), str.islower(): letters with case, all of the one. */
static bool is_all(ae_span text, bool upper)
{
    bool any = false;

    for (size_t at = 0; at < text.len;) {
        int32_t code = ae_utf8_next(text, &at);
        if (upper ? jinja_is_lower(code) : jinja_is_upper(code)) return false;
        any |= upper ? jinja_is_upper(code) : jinja_is_lower(code);
    }
    return any;
}

static bool is_language(ae_check *c, ae_span reply, ae_span want)
{
    const char *language = NULL;

    if (!c->status) c->status = ae_language_of(&language, reply, c->err);
    /* The official code takes what cannot be told for followed. */
    return !c->status && (!language || ae_span_is(want, language));
}

bool ae_check_capital(ae_check *c, ae_span reply)
{
    return is_all(reply, true) && is_language(c, reply, ae_span_text("en"));
}

bool ae_check_lowercase(ae_check *c, ae_span reply)
{
    return is_all(reply, false) && is_language(c, reply, ae_span_text("en"));
}

bool ae_check_language(ae_check *c, ae_span reply)
{
    return is_language(c, reply, ae_check_word(c, "language"));
}

static bool count_capital(void *user, ae_span word)
{
    *(int64_t *)user += is_all(word, true);
    return true;
}

bool ae_check_capital_words(ae_check *c, ae_span reply)
{
    int64_t n = 0;

    if (!c->status) c->status = ae_each_word(reply, count_capital, &n, c->err);
    return ae_check_relation(c, n, "capital_relation", "capital_frequency");
}
