/* kto.c -- Kahneman-Tversky optimisation (Ethayarajh et al., 2402.01306; TRL's KTOTrainer).
 *
 *   l = log p(reply) - log p_ref(reply)
 *   L = mean of w_d (1 - s(beta (l - z0))) over wanted, w_u (1 - s(beta (z0 - l))) over unwanted
 *   z0 = max(0, mean l') over all of the step, l' of replies that belong to other prompts
 *
 * z0 estimates how far the policy is from the reference; no gradient goes through it. TRL takes the
 * mean over a micro-batch and over ranks: here it is the step's, so that no split changes it. */
#include "train/unpaired.h"

#include <math.h>

double ae_kto_level(const double *log_ratios, int64_t n)
{
    double sum = 0;

    for (int64_t k = 0; k < n; k++) sum += log_ratios[k];
    return n > 0 ? fmax(0, sum / (double)n) : 0;
}

void ae_kto_term_of(ae_dpo_term *out, const ae_recipe *r, const ae_unpaired_reply *reply,
                    double level)
{
    double sign = reply->undesirable ? -1 : 1;
    double weight = reply->undesirable ? r->undesirable_weight : r->desirable_weight;
    double x = sign * r->beta * (reply->log_ratio - level), miss = 1 / (1 + exp(x));

    *out = (ae_dpo_term){ .loss = weight * miss,
                          .d_chosen = -sign * weight * r->beta * miss * (1 - miss),
                          .reward_chosen = r->beta * reply->log_ratio,
                          .level = level };
}

static aerie_status couple(const ae_couple_call *call, ae_dpo_term *out, aerie_error *err)
{
    double *ratios = ae_alloc((size_t)call->n_items, sizeof *ratios);
    double level;

    if (!ratios) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the replies of a step");
    for (int64_t k = 0; k < call->n_items; k++) {
        int64_t at = 2 * call->items[k] + 1;
        ratios[k] = call->values[at] - call->reference[at];
    }
    level = ae_kto_level(ratios, call->n_items);
    ae_free(ratios);
    for (int64_t k = 0; k < call->n_items; k++) {
        ae_unpaired_reply reply = ae_unpaired_of(call, k);
        ae_kto_term_of(&out[k], call->recipe, &reply, level);
    }
    return AERIE_OK;
}

const ae_objective ae_objective_kto = { AE_OF_UNPAIRED, .level_name = "kl", .couple = couple };
