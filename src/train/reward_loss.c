/* reward_loss.c -- what the scores of a prompt's ranked replies are worth to a reward model, and
 * the slope by each of them. */
#include "train/reward.h"

#include <math.h>

static const char *const names[] = {
    [AE_REWARD_PLACKETT_LUCE] = "plackett_luce",
    [AE_REWARD_ALL_PAIRS] = "all_pairs",
    [AE_REWARD_ALL_PAIRS_SUM] = "all_pairs_sum",
    [AE_REWARD_BRADLEY_TERRY] = "bradley_terry",
};

const char *ae_reward_loss_name(int loss)
{
    return loss >= 0 && (size_t)loss < AE_COUNT(names) ? names[loss] : NULL;
}

/* log(exp(a) + exp(b)) */
static double log_add(double a, double b)
{
    return fmax(a, b) + log1p(exp(-fabs(a - b)));
}

/* -log sigmoid(x) */
static double minus_log_sigmoid(double x)
{
    return fmax(-x, 0) + log1p(exp(-fabs(x)));
}

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* Each reply against itself and all that are worse: S = lse of them, -(r - S). The last one, or
 * those tied for it, win over nobody. */
static double plackett_luce(const ae_ranked_scores *s, double *slope)
{
    double loss = 0;

    for (int64_t j = 0; j < s->n; j++) {
        double sum = s->score[j];
        bool wins = false;
        for (int64_t l = 0; l < s->n; l++) {
            if (s->rank[l] <= s->rank[j]) continue;
            sum = log_add(sum, s->score[l]);
            wins = true;
        }
        if (!wins) continue;
        loss += sum - s->score[j];
        slope[j] += exp(s->score[j] - sum) - 1;
        for (int64_t l = 0; l < s->n; l++)
            if (s->rank[l] > s->rank[j]) slope[l] += exp(s->score[l] - sum);
    }
    return loss;
}

/* Every two of which one is better, each weighing `weight`. */
static double pairs(const ae_ranked_scores *s, double weight, double *slope)
{
    double loss = 0;

    for (int64_t j = 0; j < s->n; j++)
        for (int64_t l = 0; l < s->n; l++) {
            double d = s->score[j] - s->score[l];
            if (!(s->rank[j] < s->rank[l])) continue;
            loss += weight * minus_log_sigmoid(d);
            slope[j] -= weight * sigmoid(-d);
            slope[l] += weight * sigmoid(-d);
        }
    return loss;
}

static void count_pairs(ae_reward_term *out, const ae_ranked_scores *s)
{
    for (int64_t j = 0; j < s->n; j++)
        for (int64_t l = 0; l < s->n; l++) {
            if (!(s->rank[j] < s->rank[l])) continue;
            out->n_pairs++;
            out->n_correct += s->score[j] > s->score[l];
            out->better += s->score[j];
            out->worse += s->score[l];
        }
}

/* Of two, the better one has to lead by the margin; sigmoid(d - margin). */
static ae_ranked_scores less_margin(const ae_ranked_scores *s, double two[2])
{
    ae_ranked_scores led = *s;

    if (s->n != 2) return led;
    for (int k = 0; k < 2; k++)
        two[k] = s->score[k] - (s->rank[k] < s->rank[1 - k] ? s->margin : 0);
    led.score = two;
    return led;
}

void ae_reward_term_of(ae_reward_term *out, double *slope, ae_reward_loss loss, double center,
                       const ae_ranked_scores *s)
{
    double two[2], sum = 0;
    const ae_ranked_scores led = less_margin(s, two);

    *out = (ae_reward_term){ 0 };
    for (int64_t k = 0; k < s->n; k++) slope[k] = 0;
    count_pairs(out, s);
    if (loss == AE_REWARD_PLACKETT_LUCE)
        out->loss = plackett_luce(&led, slope);
    else
        out->loss =
            pairs(&led, loss == AE_REWARD_ALL_PAIRS_SUM ? 1 : 1 / fmax(1, out->n_pairs), slope);
    for (int64_t k = 0; k < s->n; k++) sum += s->score[k];
    out->loss += center * sum * sum;
    for (int64_t k = 0; k < s->n; k++) slope[k] += 2 * center * sum;
}
