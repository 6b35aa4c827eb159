/* dpo.c -- direct preference optimisation: how a pair is laid into a row, and its loss.
 *
 * With a shared prefix the row is [prompt][chosen][rejected], both answers branching from the
 * prompt, whose last row predicts both first tokens. Without, each answer has a prompt of its own. */
#include "train/objective.h"

static int64_t count(const ae_data_set *set) { return set->n_pairs; }

static int64_t tokens(const ae_recipe *recipe, const ae_data_set *set, int64_t item)
{
    const ae_pair_sample *p = &set->pairs[item];
    int64_t prompts = recipe->shared_prefix ? 1 : 2;

    /* The last token of an answer predicts nothing: it has no row. */
    return prompts * p->n_prompt + p->n_chosen - 1 + p->n_rejected - 1;
}

static int64_t predictions(const ae_data_set *set, int64_t item)
{
    return set->pairs[item].n_chosen + set->pairs[item].n_rejected;
}

static double share(const ae_data_set *set, int64_t item)
{
    (void)set;
    (void)item;
    return 1;
}

/* LD-DPO: tokens past the shorter answer's length weigh less. */
static void predict(ae_row *row, const ae_recipe *recipe, int64_t prompt, int64_t first,
                    const int32_t *answer, int64_t n, int64_t n_shorter)
{
    const ae_segment *p = &row->segments[prompt];
    int64_t begin = row->n_predictions;

    ae_row_predict_answer(row, p->first + p->n - 1, first, answer, n, NULL);
    for (int64_t i = n_shorter; i < n; i++) row->weights[begin + i] = (float)recipe->ld_alpha;
}

static void lay(ae_row *row, const ae_recipe *recipe, const ae_data_set *set, int64_t item)
{
    const ae_pair_sample *p = &set->pairs[item];
    int64_t n_shorter = p->n_chosen < p->n_rejected ? p->n_chosen : p->n_rejected;
    int64_t prompt, first;

    prompt = ae_row_segment(row, -1, p->prompt, p->n_prompt, ae_item_key(item, 0));
    first = row->n_tokens;
    if (p->n_chosen > 1)
        ae_row_segment(row, prompt, p->chosen, p->n_chosen - 1, ae_item_key(item, 1));
    predict(row, recipe, prompt, first, p->chosen, p->n_chosen, n_shorter);
    if (!recipe->shared_prefix)
        prompt = ae_row_segment(row, -1, p->prompt, p->n_prompt, ae_item_key(item, 0));
    first = row->n_tokens;
    if (p->n_rejected > 1)
        ae_row_segment(row, prompt, p->rejected, p->n_rejected - 1, ae_item_key(item, 2));
    predict(row, recipe, prompt, first, p->rejected, p->n_rejected, n_shorter);
}

static double weighted_sum(const ae_loss_call *call, int64_t first, int64_t n)
{
    double sum = 0;

    for (int64_t i = first; i < first + n; i++)
        sum += (double)call->row->weights[i] * (double)call->logp[i];
    return sum;
}

static void give_back(const ae_loss_call *call, int64_t first, int64_t n, double slope)
{
    for (int64_t i = first; i < first + n; i++)
        call->dlogp[i] = (float)(slope * (double)call->row->weights[i] / call->share);
}

static ae_dpo_options options_of(const ae_recipe *r)
{
    return (ae_dpo_options){ .loss = (ae_dpo_loss)r->loss_type,
                             .divergence = (ae_divergence)r->divergence,
                             .beta = r->beta,
                             .label_smoothing = r->label_smoothing,
                             .tau = r->discopop_tau,
                             .f_alpha = r->f_alpha,
                             .rpo_alpha = r->rpo_alpha,
                             .ld_alpha = r->ld_alpha,
                             .reference_free = r->reference_free };
}

static void add_up(ae_loss_sums *sums, const ae_dpo_term *term, const ae_dpo_pair *pair)
{
    sums->loss += term->loss;
    sums->share += 1;
    sums->n_pairs += 1;
    sums->reward_chosen += term->reward_chosen;
    sums->reward_rejected += term->reward_rejected;
    sums->n_correct += term->reward_chosen > term->reward_rejected;
    sums->logp_chosen += pair->chosen;
    sums->logp_rejected += pair->rejected;
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    ae_dpo_options options = options_of(call->recipe);

    for (int64_t k = 0; k < call->n_items; k++) {
        const ae_pair_sample *p = &call->set->pairs[call->items[k]];
        const double *reference = call->reference ? call->reference + 2 * call->items[k] : NULL;
        int64_t chosen = call->first[k], rejected = chosen + p->n_chosen;
        ae_dpo_pair pair = { .chosen = weighted_sum(call, chosen, p->n_chosen),
                             .rejected = weighted_sum(call, rejected, p->n_rejected),
                             .ref_chosen = reference ? reference[0] : 0,
                             .ref_rejected = reference ? reference[1] : 0,
                             .n_chosen = (double)p->n_chosen,
                             .n_rejected = (double)p->n_rejected };
        ae_dpo_term term;
        ae_dpo_term_of(&term, &options, &pair);
        add_up(sums, &term, &pair);
        if (!call->dlogp) continue;
        give_back(call, chosen, p->n_chosen, term.d_chosen);
        give_back(call, rejected, p->n_rejected, term.d_rejected);
    }
}

static void reference(const ae_loss_call *call, double *out)
{
    for (int64_t k = 0; k < call->n_items; k++) {
        const ae_pair_sample *p = &call->set->pairs[call->items[k]];
        out[2 * call->items[k]] = weighted_sum(call, call->first[k], p->n_chosen);
        out[2 * call->items[k] + 1] =
            weighted_sum(call, call->first[k] + p->n_chosen, p->n_rejected);
    }
}

const ae_objective ae_objective_dpo = {
    .kind = AE_DATA_PAIRS,
    .n_reference = 2,
    .count = count,
    .tokens = tokens,
    .predictions = predictions,
    .share = share,
    .lay = lay,
    .loss = loss,
    .reference = reference,
};
