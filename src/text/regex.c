/* regex.c -- regular expressions that users' files bring, by PCRE2. */
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>

/* What one text may cost: a hostile pattern takes exponentially many steps. PCRE2's own limit
 * counts from zero at every character that a match could start at, so we count: it calls us (an
 * automatic callout) before each part of the pattern. Quadratic patterns need most of what is
 * honest: `(?s)\w.*?X` over 4,000 characters without an X takes 8 million, a tenth of a second. */
enum {
    MOST_STEPS = 100000,
    MOST_SEARCH_STEPS = 10000000,
    STEP_BYTES = 16,        /* of the text, gone over at once */
    STEP_CODE_BYTES = 2048, /* of the pattern: groups end without a call, a thousand at once */
    MOST_HEAP_KIB = 64 * 1024,
    MOST_GROUPS = 32,
    SHOWN = 100
};

struct ae_regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    int64_t most_steps, steps, step_cost;
    size_t at;       /* where the last step was */
    ae_span checked; /* the text, known as UTF-8 */
    int gave_up;     /* PCRE2's code, or 0 */
    size_t gave_up_bytes;
    char shown[SHOWN + 1];
};

static int count_step(pcre2_callout_block *block, void *user)
{
    ae_regex *r = user;
    size_t at = block->current_position, moved = at > r->at ? at - r->at : r->at - at;

    r->at = at;
    r->steps += r->step_cost + (int64_t)(moved / STEP_BYTES);
    return r->steps > r->most_steps ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static aerie_status compile(ae_regex *r, const char *pattern, uint32_t options, aerie_error *err)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[160];

    pcre2_compile_context *lines = pcre2_compile_context_create(NULL);
    if (!lines) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a pattern");
    pcre2_set_newline(lines, PCRE2_NEWLINE_LF);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_AUTO_CALLOUT | options, &code, &at, lines);
    pcre2_compile_context_free(lines);
    if (r->code) return AERIE_OK;
    pcre2_get_error_message(code, why, sizeof why);
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the pattern '%.100s' is no regular expression, at character %zu: %s",
                      pattern, (size_t)at, (const char *)why);
}

static aerie_status open_regex(ae_regex **out, const char *pattern, uint32_t options, int64_t steps,
                               aerie_error *err)
{
    ae_regex *r = ae_alloc(1, sizeof *r);
    size_t code_bytes = 0;
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
    pcre2_set_callout(r->context, count_step, r);
    pcre2_set_match_limit(r->context, UINT32_MAX);
    pcre2_set_heap_limit(r->context, MOST_HEAP_KIB);
    pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &code_bytes);
    r->step_cost = 1 + (int64_t)(code_bytes / STEP_CODE_BYTES);
    r->most_steps = steps;
    memcpy(r->shown, pattern, strnlen(pattern, SHOWN));
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

aerie_status ae_regex_status(const ae_regex *r, aerie_error *err)
{
    PCRE2_UCHAR why[120];

    if (!r || !r->gave_up) return AERIE_OK;
    pcre2_get_error_message(r->gave_up, why, sizeof why);
    return aerie_fail(err, AERIE_BAD_TEXT,
                      "the pattern '%s' was given up on a text of %zu bytes (%s): write it so that "
                      "it tries fewer ways",
                      r->shown, r->gave_up_bytes, (const char *)why);
}

/* Whether text is what was searched from its begin before, and found to be UTF-8. */
static bool is_checked(const ae_regex *r, ae_span text, size_t from)
{
    return from > 0 && r->checked.data == text.data && r->checked.len == text.len;
}

/* A group that a look ahead or behind calls can have set (\K) the begin of the match behind its
 * end, or before where it was looked for. */
static bool is_in_order(const ae_regex *r, size_t from)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);

    return at[0] >= from && at[0] <= at[1];
}

/* How many groups of a match are told; below 0: there is none. */
static int match(ae_regex *r, ae_span text, size_t from)
{
    uint32_t options = is_checked(r, text, from) ? PCRE2_NO_UTF_CHECK : 0;
    int n;

    if (from > text.len || r->gave_up) return PCRE2_ERROR_NOMATCH;
    if (from == 0) r->steps = 0;
    r->at = from;
    n = pcre2_match(r->code, (PCRE2_SPTR)text.data, text.len, from, options, r->match, r->context);
    /* A text that is not UTF-8 has no match. */
    bool is_utf8 = n > PCRE2_ERROR_UTF8_ERR1 || n < PCRE2_ERROR_UTF8_ERR21;
    if (from == 0) r->checked = is_utf8 ? text : (ae_span){ NULL, 0 };
    if (n < 0 && n != PCRE2_ERROR_NOMATCH && n != PCRE2_ERROR_BADUTFOFFSET && is_utf8) {
        r->gave_up = n;
        r->gave_up_bytes = text.len;
    }
    if (n >= 0 && !is_in_order(r, from)) return PCRE2_ERROR_NOMATCH;
    return n == 0 ? MOST_GROUPS : n; /* 0: more than there is room for */
}

bool ae_regex_matches(ae_regex *r, ae_span text)
{
    return match(r, text, 0) >= 0;
}

bool ae_regex_find(ae_regex *r, ae_span text, size_t from, ae_span *groups, size_t n_groups)
{
    if (!text.data) text = (ae_span){ "", 0 };
    int n = match(r, text, from);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);

    for (size_t i = 0; i < n_groups; i++) {
        bool took = (int)i < n && at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];
        groups[i] = took ? (ae_span){ text.data + at[2 * i], at[2 * i + 1] - at[2 * i] }
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

int64_t ae_regex_count(ae_regex *r, ae_span text)
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

void ae_regex_replace(ae_regex *r, ae_span text, const char *with, ae_bytes *out)
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

int64_t ae_regex_cost(const ae_regex *r)
{
    return r->steps;
}

int64_t ae_regex_groups(const ae_regex *r)
{
    uint32_t n = 0;

    pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
}
