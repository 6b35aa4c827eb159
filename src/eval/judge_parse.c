/* judge_parse.c -- the verdict in a judge's words. */
#include "eval/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What comes after the last of `mark`, or all of it. */
static ae_span after_last(ae_span text, const char *mark)
{
    size_t n = strlen(mark);

    for (size_t at = text.len; at-- > 0;)
        if (text.len - at >= n && memcmp(text.data + at, mark, n) == 0)
            return (ae_span){ text.data + at + n, text.len - at - n };
    return text;
}

static ae_span trim(ae_span s)
{
    while (s.len > 0 && strchr(" \t\r\n*.", s.data[0])) s.data++, s.len--;
    while (s.len > 0 && strchr(" \t\r\n*.", s.data[s.len - 1])) s.len--;
    return s;
}

/* What stands in the double brackets that begin at `at`; data NULL: it is none. */
static ae_span bracketed(ae_span text, size_t at)
{
    size_t begin = at + 2, end = begin;

    if (text.len - at < 5 || memcmp(text.data + at, "[[", 2) != 0) return (ae_span){ 0 };
    while (end < text.len && text.data[end] != ']' && end - begin < 32) end++;
    if (end + 1 >= text.len || text.data[end] != ']' || text.data[end + 1] != ']')
        return (ae_span){ 0 };
    return trim((ae_span){ text.data + begin, end - begin });
}

static char letter_of(ae_span word)
{
    if (word.len != 1) return 0;
    return word.data[0] >= 'A' && word.data[0] <= 'C' ? word.data[0] : 0;
}

static double mark_of(ae_span word, const ae_judge_task *task)
{
    char text[33], *end = text;
    double value;

    if (word.len == 0 || word.len >= sizeof text || !strchr("0123456789", word.data[0])) return NAN;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    if (strspn(text, "0123456789.") != word.len) return NAN;
    value = strtod(text, &end);
    return *end || value < task->low || value > task->high ? NAN : value;
}

/* False: the word is no verdict. */
static bool take_word(ae_verdict *v, ae_span word, const ae_judge_task *task)
{
    if (task->kind == AE_JUDGE_PAIR)
        v->choice = letter_of(word);
    else
        v->score = mark_of(word, task);
    return ae_verdict_is_one(task, v);
}

ae_verdict ae_judge_parse(const ae_judge_task *task, ae_span reply)
{
    ae_verdict v = { .score = NAN, .reply = reply };
    ae_span text = after_last(reply, "</think>");

    for (size_t at = text.len; at-- > 0;) {
        ae_span word = bracketed(text, at);
        if (word.data && take_word(&v, word, task)) return v;
    }
    take_word(&v, trim(text), task);
    return v;
}
