/* reward.c -- reward models: how a prompt's ranked replies are laid into a row, and their loss.
 *
 * With a shared prefix the row is [prompt][reply][reply]..., all branching from the prompt. Every
 * reply is scored at its last token, found by its length: never by a token's id, which the padding,
 * the end of a turn and the end of a reply may share. An empty reply is scored where the prompt
 * ends. */
#include "train/reward.h"
#include "train/objective.h"

enum { MOST_REPLIES = 64 }; /* of a row of data */

static int64_t count(const ae_samples *set)
{
    return (int64_t)set->n;
}

static int64_t tokens(const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_sample *s = &set->items[item];
    int64_t more = recipe->shared_prefix ? 0 : s->n_replies - 1;

    return s->n + more * s->n_prompt;
}

static int64_t predictions(const ae_samples *set, int64_t item)
{
    return set->items[item].n_replies;
}

static int64_t segments(const ae_samples *set, int64_t item)
{
    return 2 * (int64_t)set->items[item].n_replies;
}

static double share(const ae_samples *set, int64_t item)
{
    (void)set;
    (void)item;
    return 1;
}

static uint64_t key_of(int64_t item, int64_t part)
{
    return ae_mix64((uint64_t)item * 2 * MOST_REPLIES + (uint64_t)part);
}

static void lay(ae_row *row, const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_sample *s = &set->items[item];
    int64_t at = s->n_prompt, prompt = -1;

    for (int32_t k = 0; k < s->n_replies; at += s->reply_n[k++]) {
        if (k == 0 || !recipe->shared_prefix)
            prompt = ae_row_segment(row, -1, s->ids, s->n_prompt, key_of(item, 0));
        int64_t last = row->segments[prompt].first + s->n_prompt - 1;
        if (s->reply_n[k] > 0) {
            ae_row_segment(row, prompt, s->ids + at, s->reply_n[k], key_of(item, k + 1));
            last = row->n_tokens - 1;
        }
        ae_row_predict(row, last, 0, 1);
    }
}

static void add_up(ae_loss_sums *sums, const ae_reward_term *term, const ae_ranked_scores *s)
{
    sums->loss += term->loss;
    sums->share += 1;
    sums->n_pairs += term->n_pairs;
    sums->n_correct += term->n_correct;
    sums->n_chosen += term->n_pairs;
    sums->n_rejected += term->n_pairs;
    sums->reward_chosen += term->better;
    sums->reward_rejected += term->worse;
    sums->n_scores += (double)s->n;
    for (int64_t k = 0; k < s->n; k++) sums->scores += s->score[k];
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    const ae_recipe *r = call->recipe;
    double score[MOST_REPLIES], slope[MOST_REPLIES];

    for (int64_t k = 0; k < call->n_items; k++) {
        const ae_sample *item = &call->set->items[call->items[k]];
        int64_t first = call->first[k], n = item->n_replies;
        const ae_ranked_scores s = { score, item->rank, n, (double)item->margin };
        ae_reward_term term;
        for (int64_t i = 0; i < n; i++) score[i] = (double)call->logp[first + i];
        ae_reward_term_of(&term, slope, (ae_reward_loss)r->reward_loss,
                          r->center_rewards_coefficient, &s);
        add_up(sums, &term, &s);
        for (int64_t i = 0; i < n && call->dlogp; i++)
            call->dlogp[first + i] = (float)(slope[i] / call->share);
    }
}

const ae_objective ae_objective_reward = {
    .of_scores = true,
    .count = count,
    .tokens = tokens,
    .predictions = predictions,
    .segments = segments,
    .share = share,
    .lay = lay,
    .loss = loss,
};
