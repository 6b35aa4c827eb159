/* unpaired.c -- a row's single replies: the terms that couple() made of them, and the way back. A
 * mismatched reply is only looked at: no gradient goes through it (KTO's z0 is a constant), and the
 * row that is gone back over leaves it out. */
#include "train/unpaired.h"

static void add_up(ae_loss_sums *sums, const ae_dpo_term *t, bool undesirable, double logp)
{
    sums->loss += t->loss;
    sums->share += 1;
    sums->level = t->level;
    if (undesirable) {
        sums->n_rejected += 1;
        sums->reward_rejected += t->reward_chosen;
        sums->logp_rejected += logp;
    } else {
        sums->n_chosen += 1;
        sums->reward_chosen += t->reward_chosen;
        sums->logp_chosen += logp;
    }
}

void ae_unpaired_loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    for (int64_t k = 0; k < call->n_items; k++) {
        const ae_sample *s = &call->set->items[call->items[k]];
        const ae_dpo_term *t = &call->terms[k];
        int64_t first = call->first[k], end = first + s->n_chosen;
        double sum[2];
        ae_pairs_sums(call, k, sum);
        add_up(sums, t, s->undesirable, sum[0]);
        if (!call->dlogp) continue;
        for (int64_t i = first; i < end; i++)
            call->dlogp[i] = (float)(t->d_chosen / call->share * (double)call->row->weights[i]);
    }
}

void ae_unpaired_reference(const ae_loss_call *call, double *out)
{
    for (int64_t k = 0; k < call->n_items; k++) ae_pairs_sums(call, k, out + 2 * call->items[k]);
}

bool ae_unpaired_is_coupled(const ae_recipe *recipe)
{
    (void)recipe;
    return true;
}

ae_unpaired_reply ae_unpaired_of(const ae_couple_call *call, int64_t k)
{
    int64_t item = call->items[k];

    return (ae_unpaired_reply){ call->values[2 * item] - call->reference[2 * item],
                                call->set->items[item].undesirable };
}
