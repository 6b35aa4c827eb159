/* regex.c -- regular expressions that users' files bring, by PCRE2. */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A hostile pattern can take exponentially many. */
enum { MOST_STEPS = 100000 };

struct ae_regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static aerie_status compile(ae_regex *r, const char *pattern, aerie_error *err)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160];

    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at, NULL);
    if (r->code) return AERIE_OK;
    pcre2_get_error_message(code, why, sizeof why);
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the pattern '%.100s' is no regular expression, at character %zu: %s",
                      pattern, (size_t)at, (const char *)why);
}

aerie_status ae_regex_open(ae_regex **out, const char *pattern, aerie_error *err)
{
    ae_regex *r = ae_alloc(1, sizeof *r);
    aerie_status status;

    *out = NULL;
    if (!r) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a pattern");
    status = compile(r, pattern, err);
    if (!status) {
        r->match = pcre2_match_data_create(1, NULL);
        r->context = pcre2_match_context_create(NULL);
        if (!r->match || !r->context)
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a pattern");
    }
    if (status) {
        ae_regex_close(r);
        return status;
    }
    pcre2_set_match_limit(r->context, MOST_STEPS);
    *out = r;
    return AERIE_OK;
}

void ae_regex_close(ae_regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->context);
    ae_free(r);
}

bool ae_regex_matches(const ae_regex *r, ae_span text)
{
    return pcre2_match(r->code, (PCRE2_SPTR)text.data, text.len, 0, 0, r->match, r->context) >= 0;
}
