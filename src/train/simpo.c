/* simpo.c -- simple preference optimisation (Meng et al., 2405.14734): the mean log-probability of
 * an answer's tokens is its reward; no reference.
 *
 *   L = -(1 - e) log s(h) - e log s(-h),   h = beta (a_chosen - a_rejected) - gamma
 *
 * with a the mean log-probability and e the label smoothing. gamma is the margin itself; the
 * paper's tables give it as a share of beta. */
#include "train/pairs.h"

void ae_simpo_term_of(ae_dpo_term *out, const ae_dpo_options *o, const ae_dpo_pair *pair)
{
    double a = pair->chosen / pair->n_chosen, b = pair->rejected / pair->n_rejected;
    ae_dpo_options of_margin = { .beta = 1,
                                 .label_smoothing = o->label_smoothing,
                                 .reference_free = true };
    ae_dpo_pair margin = { .chosen = o->beta * (a - b) - o->gamma };

    ae_dpo_term_of(out, &of_margin, &margin);
    out->d_chosen *= o->beta / pair->n_chosen;
    out->d_rejected *= o->beta / pair->n_rejected;
    out->reward_chosen = o->beta * a;
    out->reward_rejected = o->beta * b;
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    const ae_recipe *r = call->recipe;
    ae_pair_mix mix = {
        .term = ae_simpo_term_of,
        .losses = { { .beta = r->beta, .gamma = r->gamma, .label_smoothing = r->label_smoothing } },
        .weights = { 1 },
        .n = 1
    };

    ae_pairs_loss(call, &mix, sums);
}

const ae_objective ae_objective_simpo = { AE_OF_PAIRS, .loss = loss };
