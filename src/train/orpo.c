/* orpo.c -- odds ratio preference optimisation (Hong et al., 2403.07691): imitation of the chosen
 * answers, and a preference of their odds; no reference.
 *
 *   L = NLL(chosen) - beta log s(u),   u = log odds(chosen) - log odds(rejected)
 *   log odds = a - log(1 - e^a),       a = mean log-probability of the answer's tokens
 *
 * beta is the paper's lambda, as in TRL; the NLL is a mean over the tokens of the step. */
#include "train/pairs.h"

#include <math.h>

/* An answer of probability 1 has odds without end; no loss is worth following there. */
static double below_one(double a)
{
    return fmin(a, -1e-9);
}

static double log_odds(double a)
{
    return a - log(-expm1(a));
}

void ae_orpo_term_of(ae_dpo_term *out, const ae_dpo_options *o, const ae_dpo_pair *pair)
{
    double a = below_one(pair->chosen / pair->n_chosen);
    double b = below_one(pair->rejected / pair->n_rejected);
    double u = log_odds(a) - log_odds(b), slope = -o->beta / (1 + exp(u));

    out->loss = -o->beta * (fmin(u, 0) - log1p(exp(-fabs(u))));
    out->d_chosen = slope / -expm1(a) / pair->n_chosen;
    out->d_rejected = -slope / -expm1(b) / pair->n_rejected;
    out->reward_chosen = o->beta * a;
    out->reward_rejected = o->beta * b;
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    ae_pair_mix mix = { .term = ae_orpo_term_of,
                        .losses = { { .beta = call->recipe->beta } },
                        .weights = { 1 },
                        .n = 1,
                        .nll_weight = 1 };

    ae_pairs_loss(call, &mix, sums);
}

const ae_objective ae_objective_orpo = { AE_OF_PAIRS, .loss = loss };
