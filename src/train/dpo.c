/* dpo.c -- direct preference optimisation: how a pair is laid into a row, and its loss.
 *
 * With a shared prefix the row is [prompt][chosen][rejected], both answers branching from the
 * prompt, whose last row predicts both first tokens. Without, each answer has a prompt of its own.
 */
#include "train/objective.h"

static int64_t count(const ae_samples *set)
{
    return (int64_t)set->n;
}

static int64_t tokens(const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_sample *p = &set->items[item];
    int64_t prompts = recipe->shared_prefix ? 1 : 2;

    /* The last token of an answer predicts nothing: it has no row. */
    return prompts * p->n_prompt + p->n_chosen - 1 + p->n_rejected - 1;
}

static int64_t predictions(const ae_samples *set, int64_t item)
{
    return set->items[item].n_chosen + set->items[item].n_rejected;
}

static double share(const ae_samples *set, int64_t item)
{
    (void)set;
    (void)item;
    return 1;
}

/* One of the two answers: where it lies in the sample. */
typedef struct {
    int64_t first, n;
    int part; /* of the item, for dropout */
} answer;

/* Lays the answer's rows after segment `prompt` and its predictions. LD-DPO: tokens past the
 * shorter answer's length weigh less. */
static void lay_answer(ae_row *row, const ae_recipe *recipe, const ae_sample *s, int64_t item,
                       int64_t prompt, answer a, int64_t n_shorter)
{
    const ae_segment *p = &row->segments[prompt];
    int64_t before = p->first + p->n - 1, first = row->n_tokens, begin = row->n_predictions;

    if (a.n > 1) ae_row_segment(row, prompt, s->ids + a.first, a.n - 1, ae_item_key(item, a.part));
    ae_row_predict_answer(row, before, first, s->ids + a.first, a.n, s->weight + a.first);
    for (int64_t i = n_shorter; i < a.n; i++) row->weights[begin + i] *= (float)recipe->ld_alpha;
}

static void lay(ae_row *row, const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_sample *s = &set->items[item];
    answer chosen = { s->n_prompt, s->n_chosen, 1 };
    answer rejected = { s->n_prompt + s->n_chosen, s->n_rejected, 2 };
    int64_t n_shorter = s->n_chosen < s->n_rejected ? s->n_chosen : s->n_rejected;
    int64_t prompt = ae_row_segment(row, -1, s->ids, s->n_prompt, ae_item_key(item, 0));

    lay_answer(row, recipe, s, item, prompt, chosen, n_shorter);
    if (!recipe->shared_prefix)
        prompt = ae_row_segment(row, -1, s->ids, s->n_prompt, ae_item_key(item, 0));
    lay_answer(row, recipe, s, item, prompt, rejected, n_shorter);
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

static ae_dpo_pair pair_of(const ae_sample *s, const double policy[2], const double *reference)
{
    return (ae_dpo_pair){ .chosen = policy[0],
                          .rejected = policy[1],
                          .ref_chosen = reference ? reference[0] : 0,
                          .ref_rejected = reference ? reference[1] : 0,
                          .n_chosen = (double)s->n_chosen,
                          .n_rejected = (double)s->n_rejected };
}

static void loss(const ae_loss_call *call, ae_loss_sums *sums)
{
    ae_dpo_options options = options_of(call->recipe);

    for (int64_t k = 0; k < call->n_items; k++) {
        const ae_sample *p = &call->set->items[call->items[k]];
        int64_t chosen = call->first[k], rejected = chosen + p->n_chosen;
        double policy[2] = { weighted_sum(call, chosen, p->n_chosen),
                             weighted_sum(call, rejected, p->n_rejected) };
        ae_dpo_pair pair =
            pair_of(p, policy, call->reference ? call->reference + 2 * call->items[k] : NULL);
        ae_dpo_term term;
        if (call->terms)
            term = call->terms[k];
        else
            ae_dpo_term_of(&term, &options, &pair);
        add_up(sums, &term, &pair);
        if (!call->dlogp) continue;
        give_back(call, chosen, p->n_chosen, term.d_chosen);
        give_back(call, rejected, p->n_rejected, term.d_rejected);
    }
}

static bool is_coupled(const ae_recipe *recipe)
{
    return ae_dpo_is_of_step((ae_dpo_loss)recipe->loss_type);
}

static aerie_status couple(const ae_couple_call *call, ae_dpo_term *out, aerie_error *err)
{
    ae_dpo_options options = options_of(call->recipe);
    ae_dpo_pair *pairs = ae_alloc((size_t)call->n_items, sizeof *pairs);
    aerie_status status;

    if (!pairs) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the pairs of a step");
    for (int64_t k = 0; k < call->n_items; k++) {
        int64_t item = call->items[k];
        pairs[k] = pair_of(&call->set->items[item], call->values + 2 * item,
                           call->reference ? call->reference + 2 * item : NULL);
    }
    status = ae_dpo_terms_of(out, &options, pairs, call->n_items, err);
    ae_free(pairs);
    return status;
}

static void reference(const ae_loss_call *call, double *out)
{
    for (int64_t k = 0; k < call->n_items; k++) {
        const ae_sample *p = &call->set->items[call->items[k]];
        out[2 * call->items[k]] = weighted_sum(call, call->first[k], p->n_chosen);
        out[2 * call->items[k] + 1] =
            weighted_sum(call, call->first[k] + p->n_chosen, p->n_rejected);
    }
}

const ae_objective ae_objective_dpo = {
    .of_pairs = true,
    .n_reference = 2,
    .count = count,
    .tokens = tokens,
    .predictions = predictions,
    .share = share,
    .lay = lay,
    .loss = loss,
    .reference = reference,
    .is_coupled = is_coupled,
    .couple = couple,
};
