/* bco.c -- binary classifier optimisation (Jung et al., 2404.04656; TRL's BCOTrainer).
 *
 *   r = beta (log p(reply) - log p_ref(reply))
 *   L = mean of -log s(r - delta) over wanted, -log s(delta - r) over unwanted replies
 *
 * delta is the mean of all rewards of this run's steps so far, this one's too; no gradient goes
 * through it. Its sum and count are part of a checkpoint. */
#include "train/unpaired.h"

#include <math.h>

void ae_bco_term_of(ae_dpo_term *out, const ae_recipe *r, const ae_unpaired_reply *reply,
                    double level)
{
    double sign = reply->undesirable ? -1 : 1, reward = r->beta * reply->log_ratio;
    double u = sign * (reward - level);

    *out = (ae_dpo_term){ .loss = -(fmin(u, 0) - log1p(exp(-fabs(u)))),
                          .d_chosen = -sign * r->beta / (1 + exp(u)),
                          .reward_chosen = reward,
                          .level = level };
}

static aerie_status couple(const ae_couple_call *call, ae_dpo_term *out, aerie_error *err)
{
    ae_running *seen = call->running;

    (void)err;
    for (int64_t k = 0; k < call->n_items && call->training; k++) {
        seen->sum += call->recipe->beta * ae_unpaired_of(call, k).log_ratio;
        seen->count += 1;
    }
    for (int64_t k = 0; k < call->n_items; k++) {
        ae_unpaired_reply reply = ae_unpaired_of(call, k);
        ae_bco_term_of(&out[k], call->recipe, &reply,
                       seen->count > 0 ? seen->sum / seen->count : 0);
    }
    return AERIE_OK;
}

const ae_objective ae_objective_bco = { AE_OF_UNPAIRED, .level_name = "delta", .couple = couple };
