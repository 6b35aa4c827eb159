/* cpo.c -- contrastive preference optimisation (Xu et al., 2401.08417): a loss of DPO's family with
 * a uniform reference, and imitation of the chosen answers.
 *
 *   L = -log s(beta (P_chosen - P_rejected)) + cpo_alpha NLL(chosen)
 *
 * with P the summed log-probability; the NLL is a mean over the tokens of the step. */
#include "train/pairs.h"

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    const ae_recipe *r = call->recipe;
    ae_pair_mix mix = { .term = ae_dpo_term_of,
                        .losses = { { .loss = (ae_dpo_loss)r->loss_type.items[0],
                                      .beta = r->beta,
                                      .label_smoothing = r->label_smoothing,
                                      .tau = r->discopop_tau,
                                      .reference_free = true } },
                        .weights = { 1 },
                        .n = 1,
                        .nll_weight = r->cpo_alpha };

    ae_pairs_loss(call, &mix, sums);
}

const ae_objective ae_objective_cpo = { AE_OF_PAIRS, .loss = loss };
