/* score.c -- log-likelihoods -> what an item is worth under a metric. */
#include "task/task_private.h"

#include <math.h>
#include <string.h>

typedef enum { BY_NOTHING, BY_CHARS, BY_BYTES, BY_TOKENS, BY_CHANCE } division;

static const struct {
    const char *rule;
    division by;
} accuracies[] = {
    { "acc", BY_NOTHING },       { "acc_norm", BY_CHARS },    { "acc_bytes", BY_BYTES },
    { "acc_tokens", BY_TOKENS }, { "acc_uncond", BY_CHANCE },
};

static bool is_accuracy(const char *rule, division *by)
{
    for (size_t i = 0; i < AE_COUNT(accuracies); i++) {
        if (strcmp(accuracies[i].rule, rule) != 0) continue;
        *by = accuracies[i].by;
        return true;
    }
    return false;
}

/* An empty choice divides by 0: -inf, or NaN of a log-likelihood of 0, as in numpy. */
static double value_of(const ae_item *item, const ae_response *answers, size_t i, division by)
{
    double ll = answers[i].ll;

    switch (by) {
    case BY_CHARS:
        return ll / (double)item->char_len[i];
    case BY_BYTES:
        return ll / (double)item->byte_len[i];
    case BY_TOKENS:
        return ll / (double)answers[i].n_tokens;
    case BY_CHANCE:
        return ll - answers[item->n_choices + i].ll;
    default:
        return ll;
    }
}

/* numpy.argmax(): the first of the largest; the first NaN before any number. */
static int32_t pick(const ae_item *item, const ae_response *answers, division by)
{
    int32_t best = -1;
    double most = 0;

    if (by == BY_CHANCE && item->n_requests < 2 * item->n_choices) return -1;
    for (size_t i = 0; i < item->n_choices; i++) {
        double v = value_of(item, answers, i, by);
        if (best < 0 || v > most || (isnan(v) && !isnan(most))) {
            best = (int32_t)i;
            most = v;
        }
        if (isnan(most)) break;
    }
    return best;
}

int32_t ae_item_pick(const ae_item *item, const char *rule, const ae_response *answers)
{
    division by;

    return is_accuracy(rule, &by) ? pick(item, answers, by) : -1;
}

static bool is_right(const ae_item *item, int32_t choice)
{
    if (choice < 0) return false;
    return item->is_true && item->gold < 0 ? item->is_true[choice] : choice == item->gold;
}

/* The share of probability on the true answers. Plain exponentials, as the original: of very long
 * answers all may vanish, and the share is then NaN there and here. */
static double mc2(const ae_item *item, const ae_response *answers)
{
    double truth = 0, rest = 0, share = 0;

    for (size_t i = 0; i < item->n_choices; i++) {
        if (item->is_true[i])
            truth += exp(answers[i].ll);
        else
            rest += exp(answers[i].ll);
    }
    for (size_t i = 0; i < item->n_choices; i++)
        if (item->is_true[i]) share += exp(answers[i].ll) / (truth + rest);
    return share;
}

static aerie_status no_metric(const ae_metric *m, aerie_error *err)
{
    return aerie_fail(err, AERIE_UNSUPPORTED,
                      "metric_list: '%.60s' is no metric of this form of task; choices have acc, "
                      "acc_norm, acc_bytes, acc_tokens, acc_uncond, mc2, f1 and likelihood, texts "
                      "perplexity, word_perplexity, byte_perplexity, token_perplexity and "
                      "bits_per_byte, replies exact_match",
                      m->name);
}

static aerie_status score_choices(ae_score *out, const ae_item *item, const ae_metric *m,
                                  const ae_response *answers, aerie_error *err)
{
    division by;

    if (is_accuracy(m->rule, &by)) {
        if (by == BY_CHANCE && item->n_requests < 2 * item->n_choices)
            return aerie_fail(err, AERIE_UNSUPPORTED,
                              "'%s' needs the choices' own log-likelihoods: give the task the key "
                              "'unconditional'",
                              m->name);
        out->value = is_right(item, pick(item, answers, by));
    } else if (strcmp(m->rule, "mc2") == 0 && item->is_true) {
        out->value = mc2(item, answers);
    } else if (strcmp(m->rule, "likelihood") == 0 && item->gold >= 0) {
        out->value = answers[item->gold].ll;
    } else if (strcmp(m->rule, "f1") == 0) {
        *out = (ae_score){ .value = pick(item, answers, BY_NOTHING), .weight = item->gold };
    } else {
        return no_metric(m, err);
    }
    return AERIE_OK;
}

static aerie_status score_one(ae_score *out, const ae_item *item, const ae_metric *m,
                              const ae_response *answer, aerie_error *err)
{
    if (strcmp(m->rule, "acc") == 0) {
        out->value = answer->is_greedy;
    } else if (strcmp(m->rule, "perplexity") == 0 || strcmp(m->rule, "likelihood") == 0) {
        out->value = answer->ll;
    } else if (strcmp(m->rule, "token_perplexity") == 0) {
        *out = (ae_score){ answer->ll, answer->n_tokens, answer->squares };
    } else if (strcmp(m->rule, "word_perplexity") == 0) {
        *out = (ae_score){ answer->ll, (double)item->n_words, 0 };
    } else if (strcmp(m->rule, "byte_perplexity") == 0 || strcmp(m->rule, "bits_per_byte") == 0) {
        *out = (ae_score){ answer->ll, (double)item->n_bytes, 0 };
    } else {
        return no_metric(m, err);
    }
    return AERIE_OK;
}

aerie_status ae_item_score(ae_score *out, const ae_item *item, const ae_metric *metric,
                           const ae_response *answers, aerie_error *err)
{
    *out = (ae_score){ .weight = 1 };
    if (item->requests[0].kind == AE_REQUEST_GENERATE) return no_metric(metric, err);
    if (item->n_choices) return score_choices(out, item, metric, answers, err);
    return score_one(out, item, metric, &answers[0], err);
}
