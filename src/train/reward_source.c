/* reward_source.c -- the built-in sources of scores, and the caller's. */
#include "train/reward_source.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *ae_reward_source_name(int source)
{
    static const char *const names[] = { "caller", "command", "number", "length",
                                         "format", "model",   "judge" };

    return source >= 0 && source < AE_N_REWARDS ? names[source] : NULL;
}

static bool is_digit(char c)
{
    return isdigit((unsigned char)c) != 0;
}

/* The number that begins at text[*at], a digit; *at gets its end. */
static double read_number(const char *text, size_t len, size_t *at)
{
    char digits[64];
    size_t n = 0, i = *at;
    bool dot = false;

    if (i > 0 && text[i - 1] == '-') digits[n++] = '-';
    for (; i < len; i++) {
        bool more = i + 1 < len && is_digit(text[i + 1]);
        if (text[i] == ',' && more) continue;
        if (text[i] == '.' && more && !dot)
            dot = true;
        else if (!is_digit(text[i]))
            break;
        if (n + 1 < sizeof digits) digits[n++] = text[i];
    }
    digits[n] = '\0';
    *at = i;
    return strtod(digits, NULL);
}

/* Where the answer begins: after GSM8K's mark, or at the front. */
static const char *after_mark(const char *text, size_t len)
{
    for (size_t i = len; i-- > 0;)
        if (len - i >= 4 && memcmp(text + i, "####", 4) == 0) return text + i + 4;
    return text;
}

double ae_reward_source_number(const char *text, size_t len)
{
    const char *from = after_mark(text, len);
    bool marked = from != text;
    size_t left = len - (size_t)(from - text);
    double last = NAN;

    for (size_t i = 0; i < left;) {
        if (!is_digit(from[i])) {
            i++;
            continue;
        }
        last = read_number(from, left, &i);
        if (marked) break;
    }
    return last;
}

/* The record's "answer": a number, or a text with one. */
static aerie_status wanted_number(double *out, const char *row, aerie_error *err)
{
    json_t *record = row ? json_loads(row, 0, NULL) : NULL;
    json_t *answer = json_object_get(record, "answer");

    *out = NAN;
    if (json_is_number(answer)) *out = json_number_value(answer);
    if (json_is_string(answer))
        *out = ae_reward_source_number(json_string_value(answer), json_string_length(answer));
    json_decref(record);
    if (!isnan(*out)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "'reward: {source: number}' wants a record with a number in 'answer'; this "
                      "one has none: %.100s",
                      row ? row : "(no record)");
}

static aerie_status score_number(double *score, const aerie_reward_item *item, aerie_error *err)
{
    double wanted;
    aerie_status status = wanted_number(&wanted, item->row, err);

    *score = ae_reward_source_number(item->reply, item->reply_len) == wanted ? 1 : 0;
    return status;
}

aerie_status ae_reward_source_check(const ae_recipe *recipe, const char *row, aerie_error *err)
{
    double wanted;

    return recipe->online.source == AE_REWARD_NUMBER ? wanted_number(&wanted, row, err) : AERIE_OK;
}

static double score_length(const aerie_reward_item *item, int64_t wanted)
{
    return fmax(0, 1 - fabs((double)(item->n_tokens - wanted)) / (double)wanted);
}

static double score_format(const aerie_reward_item *item, const char *begins, const char *ends)
{
    size_t b = begins ? strlen(begins) : 0, e = ends ? strlen(ends) : 0, len = item->reply_len;
    double weight = begins && ends ? 0.5 : 1, score = 0;

    while (len > 0 && strchr(" \t\r\n", item->reply[len - 1])) len--;
    if (begins && len >= b && memcmp(item->reply, begins, b) == 0) score += weight;
    if (ends && len >= e && memcmp(item->reply + len - e, ends, e) == 0) score += weight;
    return score;
}

static aerie_status score_one(double *score, const ae_online_options *o,
                              const aerie_reward_item *item, aerie_error *err)
{
    if (o->source == AE_REWARD_NUMBER) return score_number(score, item, err);
    *score = o->source == AE_REWARD_LENGTH ? score_length(item, o->length)
                                           : score_format(item, o->begins, o->ends);
    return AERIE_OK;
}

static aerie_status ask_caller(double *scores, const ae_online_options *o, const ae_train_run *run,
                               const aerie_reward_item *items, int64_t n, aerie_error *err)
{
    if (run->reward)
        return run->reward(run->reward_user, o->command, items, (size_t)n, scores, err);
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "'reward: {source: %s}' needs a program that scores, and this call brings "
                      "none; name a built-in source (number, length, format)",
                      ae_reward_source_name(o->source));
}

static aerie_status ask_judge(double *scores, const ae_train_run *run,
                              const aerie_reward_item *items, int64_t n, aerie_error *err)
{
    if (run->judge) return run->judge(run->judge_user, scores, items, n, err);
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "'reward: {source: judge}' needs somebody who can ask one, and this call "
                      "brings none");
}

aerie_status ae_reward_source_score(double *scores, const ae_recipe *recipe,
                                    const ae_train_run *run, ae_reward_model *model,
                                    const aerie_reward_item *items, int64_t n, aerie_error *err)
{
    const ae_online_options *o = &recipe->online;
    aerie_status status = AERIE_OK;

    if (o->source == AE_REWARD_CALLER || o->source == AE_REWARD_COMMAND)
        status = ask_caller(scores, o, run, items, n, err);
    else if (o->source == AE_REWARD_MODEL)
        status = ae_reward_model_score(scores, model, run, items, n, err);
    else if (o->source == AE_REWARD_JUDGE)
        status = ask_judge(scores, run, items, n, err);
    else
        for (int64_t i = 0; i < n && !status; i++)
            status = score_one(&scores[i], o, &items[i], err);
    for (int64_t i = 0; i < n && !status; i++)
        if (!isfinite(scores[i]))
            status = aerie_fail(err, AERIE_BAD_NUMBER,
                                "the score of a reply is not finite (reply %lld of the step: "
                                "%.80s)",
                                (long long)i + 1, items[i].reply);
    return status;
}
