/* words.c -- the words of sentences: punctuation, quotes and the parts of contractions are words of
 * their own. Each step puts spaces around what it finds; what then stands between spaces is a word.
 */
#include "eval/sentences.h"

#include "text/text.h"

static const struct {
    const char *pattern, *with;
} steps[] = {
    /* quotes that open */
    { "([«“‘„]|`+)", " $1 " },
    { "^\"", "`` " },
    { "([ \\(\\[{<])(\"|'{2})", "$1 `` " },
    { "(?i)(?<!\\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\\b)(?=\\w)", "$1 " },
    /* punctuation */
    { "([^\\.])(\\.)([\\]\\)}>\"'»”’ ]*+)\\s*+$", "$1 $2 $3 " },
    { "([:,])([^\\d])", " $1 $2" },
    { "([:,])$", " $1 " },
    { "\\.{2,}", " $0 " },
    { "[;@#$%&]", " $0 " },
    { "[?!]", " $0 " },
    { "([^'])' ", "$1 ' " },
    { "[*]", " $0 " },
    { "[\\]\\[\\(\\)\\{\\}<>]", " $0 " },
    { "--", " -- " },
    { "^|$", " " },
    /* quotes that close, and what contractions end with */
    { "[»”’]", " $0 " },
    { "''", " '' " },
    { "\"", " '' " },
    { "\\s+", " " },
    { "([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 " },
    { "([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 " },
    { "(?i)\\b(can)(not)\\b", " $1 $2 " },
    { "(?i)\\b(d)('ye)\\b", " $1 $2 " },
    { "(?i)\\b(gim)(me)\\b", " $1 $2 " },
    { "(?i)\\b(gon)(na)\\b", " $1 $2 " },
    { "(?i)\\b(got)(ta)\\b", " $1 $2 " },
    { "(?i)\\b(lem)(me)\\b", " $1 $2 " },
    { "(?i)\\b(more)('n)\\b", " $1 $2 " },
    { "(?i)\\b(wan)(na)(?=\\s)", " $1 $2 " },
    { "(?i) ('t)(is)\\b", " $1 $2 " },
    { "(?i) ('t)(was)\\b", " $1 $2 " },
};

typedef struct {
    ae_regex *steps[AE_COUNT(steps)];
    ae_bytes text, next;
    ae_word_fn *fn;
    void *user;
} words;

static bool tell_words(words *w)
{
    const char *data = w->text.data;

    for (size_t at = 0, end; at < w->text.len; at = end) {
        for (; at < w->text.len && data[at] == ' ';) at++;
        for (end = at; end < w->text.len && data[end] != ' ';) end++;
        if (end > at && !w->fn(w->user, (ae_span){ data + at, end - at })) return false;
    }
    return true;
}

static bool cut_sentence(void *user, ae_span sentence)
{
    words *w = user;

    ae_bytes_clear(&w->text);
    ae_bytes_add(&w->text, sentence.data, sentence.len);
    for (size_t i = 0; i < AE_COUNT(steps); i++) {
        ae_bytes_clear(&w->next);
        ae_regex_replace(w->steps[i], ae_span_of(&w->text), steps[i].with, &w->next);
        ae_bytes last = w->text;
        w->text = w->next;
        w->next = last;
    }
    return !w->text.failed && !w->next.failed && tell_words(w);
}

aerie_status ae_each_word(ae_span text, ae_word_fn *fn, void *user, aerie_error *err)
{
    words w = { .fn = fn, .user = user };
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < AE_COUNT(steps) && !status; i++)
        status = ae_regex_open_search(&w.steps[i], steps[i].pattern, 0, err);
    if (!status) status = ae_each_sentence(text, cut_sentence, &w, err);
    for (size_t i = 0; i < AE_COUNT(steps) && !status; i++)
        status = ae_regex_status(w.steps[i], err);
    if (!status) status = ae_bytes_status(&w.text, err);
    if (!status) status = ae_bytes_status(&w.next, err);
    for (size_t i = 0; i < AE_COUNT(steps); i++) ae_regex_close(w.steps[i]);
    ae_bytes_free(&w.text);
    ae_bytes_free(&w.next);
    return status;
}
