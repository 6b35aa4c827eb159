/* reply_filter.c -- the steps of filters, and exact match. */
#include "eval/reply_filter.h"

#include "text/text.h"

#include <string.h>

static const char *text_option(const ae_filter_step *step, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(step->options, key));
    return text ? text : otherwise;
}

/* What re.findall() gives of one match: group 1, of several groups the first that took something,
 * without groups all of it. False: several groups, and none took anything. */
static bool found_of(ae_span *out, const ae_span *groups, int64_t n_groups)
{
    *out = n_groups > 1 ? (ae_span){ NULL, 0 } : groups[n_groups];
    for (int64_t i = 1; n_groups > 1 && i <= n_groups && out->len == 0; i++) *out = groups[i];
    return n_groups < 2 || out->len > 0;
}

/* Match `select` of the text, counted from its end when below 0. */
static bool select_match(ae_span *out, ae_regex *r, ae_span text, int64_t select)
{
    enum { GROUPS = 10 };
    int64_t n = select < 0 ? ae_regex_count(r, text) + select : select;
    int64_t n_groups = ae_min64(ae_regex_groups(r), GROUPS - 1);
    ae_span groups[GROUPS];
    size_t at = 0;

    if (n < 0) return false;
    for (; n >= 0; n--) {
        if (!ae_regex_find(r, text, at, groups, GROUPS)) return false;
        at = ae_regex_after(text, groups[0]);
    }
    return found_of(out, groups, n_groups);
}

static aerie_status by_regex(ae_bytes *out, const ae_filter_step *step, ae_span text,
                             aerie_error *err)
{
    const json_t *select = json_object_get(step->options, "group_select");
    ae_span found = { NULL, 0 };
    ae_regex *r;
    aerie_status status = ae_regex_open_search(
        &r, text_option(step, "regex_pattern", "#### (\\-?[0-9\\.\\,]+)"), 0, err);

    if (status) return status;
    if (select_match(&found, r, text, json_is_integer(select) ? json_integer_value(select) : 0))
        found = jinja_strip(found, true, true);
    else
        found = ae_span_text(text_option(step, "fallback", "[invalid]"));
    ae_bytes_add(out, found.data, found.len);
    status = ae_regex_status(r, err);
    ae_regex_close(r);
    return status;
}

static aerie_status by_map(ae_bytes *out, const ae_filter_step *step, ae_span text,
                           aerie_error *err)
{
    json_t *map = json_object_get(step->options, "mapping_dict");
    char *key = ae_strndup(text.data ? text.data : "", text.len);
    const json_t *to = key ? json_object_get(map, key) : NULL;
    const char *word = json_string_value(to);

    if (!key) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply");
    if (json_is_integer(to))
        ae_bytes_printf(out, "%lld", (long long)json_integer_value(to));
    else
        ae_bytes_add_text(out, word ? word : text_option(step, "default_value", ""));
    ae_free(key);
    return AERIE_OK;
}

static aerie_status take_step(ae_bytes *out, const ae_filter_step *step, ae_span text,
                              aerie_error *err)
{
    const char *name = step->function;

    if (!strcmp(name, "regex")) return by_regex(out, step, text, err);
    if (!strcmp(name, "map")) return by_map(out, step, text, err);
    if (!strcmp(name, "lowercase")) {
        jinja_put_case(out, text, JINJA_LOWER);
    } else if (!strcmp(name, "uppercase")) {
        jinja_put_case(out, text, JINJA_UPPER);
    } else if (!strcmp(name, "take_first") || !strcmp(name, "take_first_k")) {
        ae_bytes_add(out, text.data, text.len); /* there is one reply */
    } else if (!strcmp(name, "remove_whitespace")) {
        text = jinja_strip(text, true, false);
        ae_bytes_add(out, text.data, text.len);
    } else {
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "a filter's step '%.60s' is none of regex, take_first, "
                          "remove_whitespace, lowercase, uppercase, map",
                          name);
    }
    return AERIE_OK;
}

aerie_status ae_filter_apply(ae_bytes *out, const ae_filter *filter, ae_span reply,
                             aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = AERIE_OK;

    ae_bytes_add(&text, reply.data, reply.len);
    for (size_t i = 0; filter && i < filter->n_steps && !status; i++) {
        ae_bytes next = { 0 };
        status = take_step(&next, &filter->steps[i], ae_span_of(&text), err);
        if (!status) status = ae_bytes_status(&next, err);
        ae_bytes_free(&text);
        text = next;
    }
    ae_bytes_add(out, text.data, text.len);
    if (!status) status = ae_bytes_status(&text, err);
    if (!status) status = ae_bytes_status(out, err);
    ae_bytes_free(&text);
    return status;
}

/* Of string.punctuation. */
static bool is_punctuation(char c)
{
    return c && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c);
}

/* What the metric leaves of a text. */
static aerie_status ignore(ae_bytes *out, const ae_metric *m, ae_span text, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ae_bytes now = { 0 };

    ae_bytes_add(&now, text.data, text.len);
    for (size_t i = 0; i < m->n_ignore_regexes && !status; i++) {
        ae_regex *r = NULL;
        ae_bytes next = { 0 };
        status = ae_regex_open_search(&r, m->ignore_regexes[i], 0, err);
        if (!status) ae_regex_replace(r, ae_span_of(&now), "", &next);
        if (!status) status = ae_regex_status(r, err);
        ae_regex_close(r);
        if (!status) status = ae_bytes_status(&next, err);
        ae_bytes_free(&now);
        now = next;
    }
    if (m->ignore_case)
        jinja_put_case(out, ae_span_of(&now), JINJA_LOWER);
    else
        ae_bytes_add(out, now.data, now.len);
    size_t kept = 0;
    for (size_t i = 0; m->ignore_punctuation && i < out->len; i++)
        if (!is_punctuation(out->data[i])) out->data[kept++] = out->data[i];
    if (m->ignore_punctuation) out->len = kept;
    if (!status) status = ae_bytes_status(&now, err);
    if (!status) status = ae_bytes_status(out, err);
    ae_bytes_free(&now);
    return status;
}

aerie_status ae_exact_match(bool *out, const ae_metric *metric, ae_span prediction,
                            ae_span reference, aerie_error *err)
{
    ae_bytes a = { 0 }, b = { 0 };
    aerie_status status = ignore(&a, metric, prediction, err);

    if (!status) status = ignore(&b, metric, reference, err);
    *out = !status && ae_span_equal(ae_span_of(&a), ae_span_of(&b));
    ae_bytes_free(&a);
    ae_bytes_free(&b);
    return status;
}
