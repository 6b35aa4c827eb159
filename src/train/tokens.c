/* tokens.c -- pretrain and sft: weighted cross-entropy, divided by the weights of the whole
 * optimizer step.
 *
 *   L = sum_t w_t ((1 - e) (-logp_t) + e (-mean_t)) / sum_t w_t
 *
 * with e the label smoothing and mean_t the mean log-probability over the vocabulary. The sum of
 * weights is known before the first micro-batch, so no mean of means can arise. */
#include "train/objective.h"

static int64_t count(const ae_samples *set)
{
    return (int64_t)set->n;
}

/* Rows that are needed: up to the one that predicts the last learned token. */
static int64_t rows_of(const ae_sample *s)
{
    int64_t last = s->n - 1;

    while (last > 1 && s->weight[last] == 0) last--;
    return last > 0 ? last : 1;
}

static int64_t tokens(const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    (void)recipe;
    return rows_of(&set->items[item]);
}

static int64_t predictions(const ae_samples *set, int64_t item)
{
    return set->items[item].n;
}

static double share(const ae_samples *set, int64_t item)
{
    const ae_sample *s = &set->items[item];
    double sum = 0;

    for (int64_t i = 1; i < s->n; i++) sum += (double)s->weight[i];
    return sum;
}

static void lay(ae_row *row, const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_sample *s = &set->items[item];
    int64_t first = row->n_tokens;

    (void)recipe;
    ae_row_segment(row, -1, s->ids, rows_of(s), ae_item_key(item, 0));
    for (int64_t i = 1; i < s->n; i++)
        if (s->weight[i] != 0) ae_row_predict(row, first + i - 1, s->ids[i], s->weight[i]);
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    const ae_row *row = call->row;
    double smoothing = call->mean ? call->recipe->label_smoothing : 0;

    for (int64_t i = 0; i < row->n_predictions; i++) {
        double w = (double)row->weights[i], value = -(1 - smoothing) * (double)call->logp[i];
        if (call->mean) value -= smoothing * (double)call->mean[i];
        sums->loss += w * value;
        sums->share += w;
        if (!call->dlogp) continue;
        call->dlogp[i] = (float)(-(1 - smoothing) * w / call->share);
        if (call->dmean) call->dmean[i] = (float)(-smoothing * w / call->share);
    }
}

const ae_objective ae_objective_tokens = {
    .count = count,
    .tokens = tokens,
    .predictions = predictions,
    .share = share,
    .lay = lay,
    .loss = loss,
};
