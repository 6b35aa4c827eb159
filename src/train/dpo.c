/* dpo.c -- direct preference optimisation (Rafailov et al., 2305.18290) and the family that TRL
 * names by `loss_type`; several losses at once are a mixture (MPO, Wang et al., 2411.10442). */
#include "train/pairs.h"

static ae_dpo_options options_of(const ae_recipe *r, int loss)
{
    return (ae_dpo_options){ .loss = (ae_dpo_loss)loss,
                             .divergence = (ae_f_divergence)r->divergence,
                             .beta = r->beta,
                             .label_smoothing = r->label_smoothing,
                             .tau = r->discopop_tau,
                             .f_alpha = r->f_alpha,
                             .ld_alpha = r->ld_alpha,
                             .reference_free = r->reference_free };
}

/* rpo_alpha's part is of the whole loss: it goes with the first of a mixture. */
static ae_pair_mix mix_of(const ae_recipe *r)
{
    ae_pair_mix mix = { .term = ae_dpo_term_of };

    for (int64_t i = 0; i < r->loss_type.n; i++) {
        double weight = r->loss_weights.n > 0 ? r->loss_weights.items[i] : 1;
        if (r->loss_type.items[i] == AE_DPO_SFT) mix.nll_weight += weight;
        mix.losses[mix.n] = options_of(r, r->loss_type.items[i]);
        mix.weights[mix.n++] = weight;
    }
    if (r->rpo_alpha == 0) return mix;
    /* Of weight 1, whatever the losses' weights are. */
    mix.losses[mix.n] = options_of(r, AE_DPO_SFT);
    mix.losses[mix.n].rpo_alpha = r->rpo_alpha;
    mix.weights[mix.n++] = 1;
    return mix;
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    ae_pair_mix mix = mix_of(call->recipe);

    ae_pairs_loss(call, &mix, sums);
}

static bool is_coupled(const ae_recipe *recipe)
{
    ae_pair_mix mix = mix_of(recipe);

    return ae_pair_mix_is_of_step(&mix);
}

static aerie_status couple(const ae_couple_call *call, ae_dpo_term *out, aerie_error *err)
{
    ae_pair_mix mix = mix_of(call->recipe);
    ae_dpo_pair *pairs = ae_alloc((size_t)call->n_items, sizeof *pairs);
    aerie_status status;

    if (!pairs) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the pairs of a step");
    for (int64_t k = 0; k < call->n_items; k++) {
        int64_t item = call->items[k];
        pairs[k] = ae_pair_of(&call->set->items[item], call->values + 2 * item,
                              call->reference ? call->reference + 2 * item : NULL);
    }
    status = ae_pair_mix_terms(out, &mix, pairs, call->n_items, err);
    ae_free(pairs);
    return status;
}

static void reference(const ae_loss_call *call, double *out)
{
    for (int64_t k = 0; k < call->n_items; k++) ae_pairs_sums(call, k, out + 2 * call->items[k]);
}

const ae_objective ae_objective_dpo = {
    AE_OF_PAIRS,
    .n_reference = 2,
    .loss = loss,
    .reference = reference,
    .is_coupled = is_coupled,
    .couple = couple,
};
