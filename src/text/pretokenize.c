/* pretokenize.c -- hand-written scanners of the well-known pre-tokenizers, and their steps.
 *
 * Each scanner is one regular expression, alternative by alternative in its order; see
 * pretokenize_known.c for the expressions. */
#include "text/pretokenize.h"

#include "text/charclass.h"

#include <string.h>

/* The end of the run of characters of class `wanted` that begins at `at`. */
static size_t run_of(ae_span text, size_t at, ae_char_class wanted)
{
    size_t end;

    while (at < text.len && ae_char_next(text, at, &end) == wanted) at = end;
    return at;
}

static char folded(ae_span text, size_t at, bool any_case)
{
    char c = at < text.len ? text.data[at] : '\0';

    return any_case && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* 's|'t|'re|'ve|'m|'ll|'d -- its end, or `at` when there is none. */
static size_t contraction(ae_span text, size_t at, bool any_case)
{
    char first, second;

    if (text.data[at] != '\'') return at;
    first = folded(text, at + 1, any_case);
    second = folded(text, at + 2, any_case);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    if ((first == 'r' || first == 'v') && second == 'e') return at + 3;
    if (first == 'l' && second == 'l') return at + 3;
    /* U+017F, the long s, is another case of s. */
    if (any_case && first == '\xc5' && text.len - at > 2 && text.data[at + 2] == '\xbf')
        return at + 3;
    return at;
}

/* \s+(?!\S)|\s+ -- white space that begins at `at`: all of it at the end of the text, else all but
 * the last character, but at least one. */
static size_t white_space(ae_span text, size_t at)
{
    size_t end = at, last = at, next;

    while (end < text.len && ae_char_is_space(ae_char_next(text, end, &next))) {
        last = end;
        end = next;
    }
    return end == text.len || last == at ? end : last;
}

/* \s*[\r\n]+ -- through the last line break of the white space at `at`; `at` when it has none. */
static size_t through_newline(ae_span text, size_t at)
{
    size_t found = at, next;

    while (at < text.len) {
        ae_char_class class = ae_char_next(text, at, &next);

        if (!ae_char_is_space(class)) break;
        at = next;
        if (class == AE_CHAR_NEWLINE) found = at;
    }
    return found;
}

/*  ?[^\s\p{L}\p{N}]+ and its like: where the run begins behind an optional space. */
static size_t behind_space(ae_span text, size_t at)
{
    return text.data[at] == ' ' && at + 1 < text.len ? at + 1 : at;
}

static size_t scan_gpt2(ae_span text, size_t at)
{
    size_t end = contraction(text, at, false), start, next;
    ae_char_class class;

    if (end > at) return end;
    start = behind_space(text, at);
    class = ae_char_next(text, start, &next);
    if (!ae_char_is_space(class)) return run_of(text, next, class);
    return white_space(text, at);
}

/* Llama 3's expression and Qwen 2's differ in how many digits hold together. */
static size_t scan_llama3_like(ae_span text, size_t at, int max_digits)
{
    size_t end = contraction(text, at, true), start, next, after;
    ae_char_class class;

    if (end > at) return end;
    class = ae_char_next(text, at, &next);
    if (class == AE_CHAR_LETTER) return run_of(text, next, AE_CHAR_LETTER);
    if (class == AE_CHAR_NUMBER) {
        for (int i = 1; i < max_digits && next < text.len; i++) {
            if (ae_char_next(text, next, &after) != AE_CHAR_NUMBER) break;
            next = after;
        }
        return next;
    }
    if (class != AE_CHAR_NEWLINE) {
        end = run_of(text, next, AE_CHAR_LETTER);
        if (end > next) return end;
    }
    start = behind_space(text, at);
    end = run_of(text, start, AE_CHAR_OTHER);
    if (end > start) return run_of(text, end, AE_CHAR_NEWLINE);
    end = through_newline(text, at);
    return end > at ? end : white_space(text, at);
}

static size_t scan_llama3(ae_span text, size_t at)
{
    return scan_llama3_like(text, at, 3);
}

static size_t scan_qwen2(ae_span text, size_t at)
{
    return scan_llama3_like(text, at, 1);
}

/* Up to the next number: what lies between the pieces that \p{N} and \p{N}+ cut out. */
static size_t until_number(ae_span text, size_t at)
{
    size_t end;

    while (at < text.len && ae_char_next(text, at, &end) != AE_CHAR_NUMBER) at = end;
    return at;
}

static size_t scan_digit(ae_span text, size_t at)
{
    size_t end = until_number(text, at);

    if (end == at) ae_char_next(text, at, &end);
    return end;
}

static size_t scan_digits(ae_span text, size_t at)
{
    size_t end = until_number(text, at);

    return end > at ? end : run_of(text, at, AE_CHAR_NUMBER);
}

ae_pre_scan_fn *ae_pre_scanner(const char *pattern)
{
    int32_t n;

    if (strcmp(pattern, ae_pre_gpt2) == 0) return scan_gpt2;
    if (strcmp(pattern, ae_pre_digit) == 0) return scan_digit;
    if (strcmp(pattern, ae_pre_digits) == 0) return scan_digits;
    if (strcmp(pattern, ae_pre_patterns("llama-bpe", &n)[0]) == 0) return scan_llama3;
    if (strcmp(pattern, ae_pre_patterns("qwen2", &n)[0]) == 0) return scan_qwen2;
    return NULL;
}

aerie_status ae_pretokenizer_new(ae_pretokenizer *p, const char *const *patterns,
                                 int32_t n_patterns, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *p = (ae_pretokenizer){ 0 };
    if (n_patterns > AE_PRE_MAX_STEPS)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "the pre-tokenizer has %d steps, at most %d are supported", n_patterns,
                          (int)AE_PRE_MAX_STEPS);
    for (int32_t i = 0; i < n_patterns && !status; i++) {
        p->steps[i].scan = ae_pre_scanner(patterns[i]);
        if (!p->steps[i].scan) status = ae_pre_pattern_new(&p->steps[i].pattern, patterns[i], err);
        p->n_steps++;
    }
    return status;
}

void ae_pretokenizer_free(ae_pretokenizer *p)
{
    for (int32_t i = 0; i < p->n_steps; i++) ae_pre_pattern_free(p->steps[i].pattern);
    *p = (ae_pretokenizer){ 0 };
}

typedef struct {
    const ae_pretokenizer *p;
    ae_pre_matcher *matcher; /* NULL when every step is hand-written */
    ae_span text;
    int32_t step; /* the step that cuts `text` */
    size_t base;  /* where `text` lies in the whole */
    ae_pre_word_fn *word;
    void *user;
    aerie_status status;
    aerie_error *err;
} cutting;

static void cut(cutting *c);

/* A piece of one step is the text of the next; the last step's pieces are words. */
static void hand_down(void *user, size_t begin, size_t end)
{
    const cutting *c = user;
    cutting next = *c;

    if (c->status) return;
    if (c->step + 1 >= c->p->n_steps) {
        c->word(c->user, c->base + begin, c->base + end);
        return;
    }
    next.text = (ae_span){ c->text.data + begin, end - begin };
    next.base = c->base + begin;
    next.step++;
    cut(&next);
    ((cutting *)user)->status = next.status;
}

/* Calls itself through hand_down, AE_PRE_MAX_STEPS deep at most. */
static void cut(cutting *c)
{
    const ae_pre_step *step = &c->p->steps[c->step];

    if (step->scan) {
        for (size_t at = 0; at < c->text.len && !c->status;) {
            size_t end = step->scan(c->text, at);

            hand_down(c, at, end);
            at = end;
        }
    } else {
        aerie_status status =
            ae_pre_pattern_split(step->pattern, c->matcher, c->text, hand_down, c, c->err);

        if (!c->status) c->status = status;
    }
}

static bool has_patterns(const ae_pretokenizer *p)
{
    for (int32_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].pattern) return true;
    return false;
}

aerie_status ae_pretokenize(const ae_pretokenizer *p, ae_span text, ae_pre_word_fn *word,
                            void *user, aerie_error *err)
{
    cutting c = { .p = p, .text = text, .word = word, .user = user, .err = err };

    if (text.len == 0) return AERIE_OK;
    if (p->n_steps == 0) {
        word(user, 0, text.len);
        return AERIE_OK;
    }
    if (has_patterns(p)) c.status = ae_pre_matcher_new(&c.matcher, err);
    if (!c.status) cut(&c);
    ae_pre_matcher_free(c.matcher);
    return c.status;
}
