/* online_objective.c -- a prompt and its sampled replies as one item: the replies branch from the
 * prompt, and every token of theirs has a loss (online_loss.c). */
#include "train/objective.h"
#include "train/rollout.h"

#include <math.h>

static int64_t count(const ae_samples *set)
{
    return (int64_t)set->n;
}

static int64_t tokens(const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_rollouts *r = ae_rollouts_of(set);
    int64_t i = item * r->size;

    (void)recipe;
    /* The last token of a reply predicts nothing: it has no row. */
    return set->items[item].n_prompt + r->first[i + r->size] - r->first[i] - r->size;
}

static int64_t predictions(const ae_samples *set, int64_t item)
{
    const ae_rollouts *r = ae_rollouts_of(set);

    return r->first[(item + 1) * r->size] - r->first[item * r->size];
}

static int64_t segments(const ae_samples *set, int64_t item)
{
    (void)item;
    return 1 + ae_rollouts_of(set)->size;
}

static double share(const ae_samples *set, int64_t item)
{
    const ae_rollouts *r = ae_rollouts_of(set);

    if (r->share == AE_PER_TOKEN) return (double)predictions(set, item);
    return (double)r->size * (r->share == AE_PER_ROOM ? (double)r->room : 1);
}

static void lay(ae_row *row, const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_rollouts *r = ae_rollouts_of(set);
    const ae_sample *s = &set->items[item];
    int64_t prompt = ae_row_segment(row, -1, s->ids, s->n_prompt, ae_item_key(item, 0));
    int64_t before = row->n_tokens - 1;

    (void)recipe;
    for (int64_t i = item * r->size; i < (item + 1) * r->size; i++) {
        const int32_t *ids = ae_rollouts_ids(r, i);
        int64_t first = row->n_tokens, n = r->first[i + 1] - r->first[i];
        if (n > 1) ae_row_segment(row, prompt, ids, n - 1, ae_item_key(item, 1));
        for (int64_t t = 0; t < n; t++)
            ae_row_predict(row, t == 0 ? before : first + t - 1, ids[t], 1);
    }
}

static ae_ratio_clip clip_of(const ae_online_options *o)
{
    return (ae_ratio_clip){ o->clip_low, o->clip_high, o->dual_clip };
}

static ae_token_loss policy_loss(const ae_recipe *recipe, const ae_rollouts *r, int64_t t,
                                 double logp)
{
    const ae_online_options *o = &recipe->online;
    ae_ratio_clip clip = clip_of(o);

    switch (recipe->method) {
    case AE_METHOD_APA:
        return ae_apa_loss(logp, r->ref[t], r->advantages[t], r->lambda);
    case AE_METHOD_AWR:
        return ae_awr_loss(logp, r->advantages[t], o->awr_c);
    case AE_METHOD_GRPO:
        return ae_grpo_loss(logp, r->logp[t], r->ref[t], r->advantages[t], &clip, recipe->beta);
    default:
        return ae_policy_loss(logp, r->logp[t], r->advantages[t], &clip);
    }
}

/* Prediction i of the row is token t. */
static void add_value(const ae_loss_call *call, ae_loss_sums *sums, int64_t i, int64_t t)
{
    const ae_online_options *o = &call->recipe->online;
    const ae_rollouts *r = ae_rollouts_of(call->set);
    double range = call->recipe->method == AE_METHOD_PPO ? o->clip_value : 0;
    ae_token_loss v = ae_value_loss((double)call->values[i], r->values[t], r->returns[t], range);

    sums->loss += o->value_coef * v.loss;
    sums->online.value_loss += v.loss;
    if (call->dvalues) call->dvalues[i] = (float)(o->value_coef * v.slope / call->share);
}

/* A bonus: what is certain of itself stops to try. */
static void add_entropy(const ae_loss_call *call, ae_loss_sums *sums, int64_t i, double weight)
{
    double coef = weight * call->recipe->online.entropy_coef;

    sums->loss -= coef * (double)call->entropy[i];
    if (call->dentropy) call->dentropy[i] = (float)(-coef / call->share);
}

static void add_token(const ae_loss_call *call, ae_loss_sums *sums, int64_t i, int64_t t,
                      double weight)
{
    const ae_rollouts *r = ae_rollouts_of(call->set);
    double logp = (double)call->logp[i], apart = logp - r->logp[t];
    ae_token_loss one = policy_loss(call->recipe, r, t, logp);

    sums->loss += weight * one.loss;
    sums->online.policy_loss += one.loss;
    sums->online.n_clipped += one.clipped;
    sums->online.apart += apart * apart / 2;
    sums->online.n_tokens++;
    sums->online.difference = fmax(sums->online.difference, fabs(apart));
    if (call->dlogp) call->dlogp[i] = (float)(weight * one.slope / call->share);
    if (call->entropy) add_entropy(call, sums, i, weight);
    if (call->values) add_value(call, sums, i, t);
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    const ae_rollouts *r = ae_rollouts_of(call->set);

    for (int64_t k = 0; k < call->n_items; k++) {
        int64_t i = call->first[k], reply = call->items[k] * r->size;
        sums->share += share(call->set, call->items[k]);
        for (int64_t end = reply + r->size; reply < end; reply++) {
            int64_t n = r->first[reply + 1] - r->first[reply];
            double weight = r->share == AE_PER_REPLY ? 1 / (double)n : 1;
            for (int64_t t = r->first[reply]; t < r->first[reply + 1]; t++)
                add_token(call, sums, i++, t, weight);
        }
    }
}

/* Log-probabilities, or where the pass has them values, of every token of the row's items. */
static void reference(const ae_loss_call *call, double *out)
{
    const ae_rollouts *r = ae_rollouts_of(call->set);
    const float *from = call->values ? call->values : call->logp;

    for (int64_t k = 0; k < call->n_items; k++) {
        double *to = out + r->first[call->items[k] * r->size];
        for (int64_t i = call->first[k]; i < call->first[k + 1]; i++) *to++ = (double)from[i];
    }
}

const ae_objective ae_objective_replies = {
    .count = count,
    .tokens = tokens,
    .predictions = predictions,
    .segments = segments,
    .share = share,
    .lay = lay,
    .loss = loss,
    .reference = reference,
};

/* ---- before there are replies: what plans and estimates are made of ---- */

static int64_t tokens_at_most(const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_online_options *o = &recipe->online;

    return set->items[item].n + o->samples * (o->max_new_tokens - 1);
}

static int64_t no_predictions(const ae_samples *set, int64_t item)
{
    (void)set;
    (void)item;
    return 0;
}

static double no_share(const ae_samples *set, int64_t item)
{
    (void)set;
    (void)item;
    return 0;
}

const ae_objective ae_objective_prompts = {
    .count = count,
    .tokens = tokens_at_most,
    .predictions = no_predictions,
    .share = no_share,
};
