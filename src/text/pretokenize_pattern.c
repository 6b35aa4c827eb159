/* pretokenize_pattern.c -- a pre-tokenizer step for any regular expression, by PCRE2. */
#include "text/pretokenize.h"

#include "text/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

enum {
    STACK_START = 32 * 1024,
    STACK_MOST = 64 * 1024 * 1024, /* a run of a million spaces backtracks in about this much */
    SHOWN_PATTERN = 80
};

struct ae_pre_pattern {
    pcre2_code *code; /* only read when matching: threads may share it */
    char shown[SHOWN_PATTERN + 1];
};

aerie_status ae_pre_pattern_new(ae_pre_pattern **out, const char *pattern, aerie_error *err)
{
    ae_pre_pattern *p = ae_alloc(1, sizeof *p);
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160];

    *out = NULL;
    if (!p) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a pattern");
    p->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                            &code, &at, NULL);
    if (!p->code) {
        ae_pre_pattern_free(p);
        pcre2_get_error_message(code, why, sizeof why);
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "the pre-tokenizer's pattern %.100s does not compile, at character %zu: "
                          "%s",
                          pattern, (size_t)at, (const char *)why);
    }
    /* Where there is no compiler for this machine, matching is interpreted. */
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    memcpy(p->shown, pattern, strnlen(pattern, SHOWN_PATTERN));
    *out = p;
    return AERIE_OK;
}

void ae_pre_pattern_free(ae_pre_pattern *p)
{
    if (!p) return;
    pcre2_code_free(p->code);
    ae_free(p);
}

struct ae_pre_matcher {
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

aerie_status ae_pre_matcher_new(ae_pre_matcher **out, aerie_error *err)
{
    ae_pre_matcher *m = ae_alloc(1, sizeof *m);

    *out = NULL;
    if (!m) goto failed;
    m->match = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    m->stack = pcre2_jit_stack_create(STACK_START, STACK_MOST, NULL);
    if (!m->match || !m->context || !m->stack) goto failed;
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    *out = m;
    return AERIE_OK;
failed:
    ae_pre_matcher_free(m);
    return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for matching a pattern");
}

void ae_pre_matcher_free(ae_pre_matcher *m)
{
    if (!m) return;
    pcre2_match_data_free(m->match);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    ae_free(m);
}

/* One split under way. */
typedef struct {
    const ae_pre_pattern *pattern;
    ae_pre_matcher *matcher;
    ae_pre_word_fn *piece;
    void *user;
} splitting;

/* Finds the next match that is not empty at or behind `at`; false: there is none, or *rc < 0. */
static bool next_match(const splitting *m, ae_span text, size_t at, size_t *begin, size_t *end,
                       int *rc)
{
    while (at <= text.len) {
        const PCRE2_SIZE *found;

        *rc = pcre2_match(m->pattern->code, (PCRE2_SPTR)text.data, text.len, at,
                          PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, m->matcher->match,
                          m->matcher->context);
        if (*rc < 0) return false;
        found = pcre2_get_ovector_pointer(m->matcher->match);
        *begin = found[0];
        *end = found[1];
        if (*begin >= at && *end > *begin) return true;
        at = (*end > at ? *end : at) + 1; /* \K can place a match before where it was sought */
        while (at < text.len && ((uint8_t)text.data[at] & 0xc0) == 0x80) at++;
    }
    *rc = PCRE2_ERROR_NOMATCH;
    return false;
}

/* Cuts the stretch from `from` to `to`, which is well-formed UTF-8. */
static int split_valid(const splitting *m, ae_span text, size_t from, size_t to)
{
    ae_span valid = { text.data + from, to - from };
    size_t at = 0, begin = 0, end = 0;
    int rc = PCRE2_ERROR_NOMATCH;

    while (at < valid.len && next_match(m, valid, at, &begin, &end, &rc)) {
        if (begin > at) m->piece(m->user, from + at, from + begin);
        m->piece(m->user, from + begin, from + end);
        at = end;
    }
    if (at < valid.len) {
        if (rc != PCRE2_ERROR_NOMATCH) return rc;
        m->piece(m->user, from + at, to);
    }
    return 0;
}

/* Ill-formed bytes, which PCRE2 must not see, are pieces of their own. */
static int split_all(const splitting *m, ae_span text)
{
    size_t at = 0, from = 0;
    int rc = 0;

    while (at < text.len && rc == 0) {
        size_t here = at;

        if (ae_utf8_next(text, &at) >= 0) continue;
        rc = split_valid(m, text, from, here);
        if (rc == 0) m->piece(m->user, here, at);
        from = at;
    }
    return rc ? rc : split_valid(m, text, from, text.len);
}

aerie_status ae_pre_pattern_split(const ae_pre_pattern *p, ae_pre_matcher *m, ae_span text,
                                  ae_pre_word_fn *piece, void *user, aerie_error *err)
{
    splitting s = { p, m, piece, user };
    int rc = split_all(&s, text);
    PCRE2_UCHAR why[120];

    if (rc == 0) return AERIE_OK;
    pcre2_get_error_message(rc, why, sizeof why);
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the pre-tokenizer's pattern %s gave up on a text of %zu bytes: %s", p->shown,
                      text.len, (const char *)why);
}
