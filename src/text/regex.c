/* regex.c -- regular expressions that users' files bring, by PCRE2. */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* A hostile pattern can take exponentially many. */
enum { MOST_STEPS = 100000, MOST_SEARCH_STEPS = 10000000, MOST_GROUPS = 32 };

struct ae_regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static aerie_status compile(ae_regex *r, const char *pattern, uint32_t options, aerie_error *err)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160];

    pcre2_compile_context *lines = pcre2_compile_context_create(NULL);
    if (!lines) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a pattern");
    pcre2_set_newline(lines, PCRE2_NEWLINE_LF);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | options, &code,
                            &at, lines);
    pcre2_compile_context_free(lines);
    if (r->code) return AERIE_OK;
    pcre2_get_error_message(code, why, sizeof why);
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the pattern '%.100s' is no regular expression, at character %zu: %s",
                      pattern, (size_t)at, (const char *)why);
}

static aerie_status open_regex(ae_regex **out, const char *pattern, uint32_t options,
                               uint32_t steps, aerie_error *err)
{
    ae_regex *r = ae_alloc(1, sizeof *r);
    aerie_status status;

    *out = NULL;
    if (!r) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a pattern");
    status = compile(r, pattern, options, err);
    if (!status) {
        r->match = pcre2_match_data_create(MOST_GROUPS, NULL);
        r->context = pcre2_match_context_create(NULL);
        if (!r->match || !r->context)
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a pattern");
    }
    if (status) {
        ae_regex_close(r);
        return status;
    }
    pcre2_set_match_limit(r->context, steps);
    *out = r;
    return AERIE_OK;
}

aerie_status ae_regex_open(ae_regex **out, const char *pattern, aerie_error *err)
{
    return open_regex(out, pattern, PCRE2_ANCHORED | PCRE2_ENDANCHORED, MOST_STEPS, err);
}

aerie_status ae_regex_open_search(ae_regex **out, const char *pattern, unsigned flags,
                                  aerie_error *err)
{
    uint32_t options = PCRE2_UCP;

    if (flags & AE_REGEX_IGNORE_CASE) options |= PCRE2_CASELESS;
    if (flags & AE_REGEX_MULTILINE) options |= PCRE2_MULTILINE;
    return open_regex(out, pattern, options, MOST_SEARCH_STEPS, err);
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

bool ae_regex_find(const ae_regex *r, ae_span text, size_t from, ae_span *groups, size_t n_groups)
{
    PCRE2_SPTR data = (PCRE2_SPTR)(text.data ? text.data : "");
    int n = from <= text.len ? pcre2_match(r->code, data, text.len, from, 0, r->match, r->context)
                             : PCRE2_ERROR_NOMATCH;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);

    for (size_t i = 0; i < n_groups; i++) {
        bool took = (int)i < n && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];
        groups[i] = took ? (ae_span){ (const char *)data + at[2 * i], at[2 * i + 1] - at[2 * i] }
                         : (ae_span){ NULL, 0 };
    }
    return n > 0;
}

/* An empty match would be found again: one character further. */
size_t ae_regex_after(ae_span text, ae_span match)
{
    size_t at = (size_t)(match.data - text.data) + match.len;

    if (match.len > 0) return at;
    do at++;
    while (at < text.len && ((unsigned char)text.data[at] & 0xc0) == 0x80);
    return at;
}

int64_t ae_regex_count(const ae_regex *r, ae_span text)
{
    int64_t n = 0;
    ae_span match;

    if (!text.data) text = (ae_span){ "", 0 };
    for (size_t at = 0; ae_regex_find(r, text, at, &match, 1); at = ae_regex_after(text, match))
        n++;
    return n;
}

static void put_replacement(ae_bytes *out, const char *with, const ae_span *groups)
{
    for (; *with; with++) {
        if (*with == '$' && with[1] >= '0' && with[1] <= '9') {
            const ae_span *group = &groups[*++with - '0'];
            if (group->data) ae_bytes_add(out, group->data, group->len);
        } else {
            ae_bytes_add_char(out, *with);
        }
    }
}

void ae_regex_replace(const ae_regex *r, ae_span text, const char *with, ae_bytes *out)
{
    ae_span groups[10];
    size_t kept = 0;

    if (!text.data) text = (ae_span){ "", 0 };
    for (size_t at = 0; ae_regex_find(r, text, at, groups, 10);
         at = ae_regex_after(text, groups[0])) {
        size_t start = (size_t)(groups[0].data - text.data);
        ae_bytes_add(out, text.data + kept, start - kept);
        put_replacement(out, with, groups);
        kept = start + groups[0].len;
    }
    ae_bytes_add(out, text.data + kept, text.len - kept);
}

int64_t ae_regex_groups(const ae_regex *r)
{
    uint32_t n = 0;

    pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
}
