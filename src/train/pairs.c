/* pairs.c -- how a pair of answers is laid into a row, and what a mixture of losses makes of it.
 *
 * With a shared prefix the row is [prompt][chosen][rejected], both answers branching from the
 * prompt, whose last row predicts both first tokens. Without, each answer has a prompt of its own.
 */
#include "train/pairs.h"

int64_t ae_pairs_count(const ae_samples *set)
{
    return (int64_t)set->n;
}

int64_t ae_pairs_tokens(const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_sample *p = &set->items[item];
    int64_t second = recipe->shared_prefix ? 0 : p->n_prompt;

    /* The last token of an answer predicts nothing: it has no row. */
    return p->n_prompt + p->n_chosen - 1 + (p->n_rejected > 0 ? second + p->n_rejected - 1 : 0);
}

int64_t ae_pairs_predictions(const ae_samples *set, int64_t item)
{
    return set->items[item].n_chosen + set->items[item].n_rejected;
}

double ae_pairs_share(const ae_samples *set, int64_t item)
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

void ae_pairs_lay(ae_row *row, const ae_recipe *recipe, const ae_samples *set, int64_t item)
{
    const ae_sample *s = &set->items[item];
    answer chosen = { s->n_prompt, s->n_chosen, 1 };
    answer rejected = { s->n_prompt + s->n_chosen, s->n_rejected, 2 };
    int64_t n_shorter = s->n_chosen < s->n_rejected ? s->n_chosen : s->n_rejected;
    int64_t prompt = ae_row_segment(row, -1, s->ids, s->n_prompt, ae_item_key(item, 0));

    lay_answer(row, recipe, s, item, prompt, chosen, n_shorter);
    if (rejected.n == 0) return; /* a single reply */
    /* A mismatched one has said all it has to say before the loss is computed. */
    if (s->kind == AE_EXAMPLE_UNPAIRED && !row->looks) return;
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

void ae_pairs_sums(const ae_loss_call *call, int64_t k, double out[2])
{
    const ae_sample *p = &call->set->items[call->items[k]];
    int64_t chosen = call->first[k], rejected = chosen + p->n_chosen;

    out[0] = weighted_sum(call, chosen, p->n_chosen);
    out[1] = weighted_sum(call, rejected, call->first[k + 1] - rejected);
}

double ae_pairs_nll_share(const ae_samples *set, int64_t item)
{
    return (double)set->items[item].n_chosen;
}

ae_dpo_pair ae_pair_of(const ae_sample *s, const double policy[2], const double *reference)
{
    return (ae_dpo_pair){ .chosen = policy[0],
                          .rejected = policy[1],
                          .ref_chosen = reference ? reference[0] : 0,
                          .ref_rejected = reference ? reference[1] : 0,
                          .n_chosen = (double)s->n_chosen,
                          .n_rejected = (double)s->n_rejected };
}

static void add_up(ae_loss_sums *sums, const ae_dpo_term *term, const ae_dpo_pair *pair)
{
    sums->loss += term->loss;
    sums->share += 1;
    sums->n_pairs += 1;
    sums->n_chosen += 1;
    sums->n_rejected += 1;
    sums->reward_chosen += term->reward_chosen;
    sums->reward_rejected += term->reward_rejected;
    sums->n_correct += term->reward_chosen > term->reward_rejected;
    sums->logp_chosen += pair->chosen;
    sums->logp_rejected += pair->rejected;
}

static void give_back(const ae_loss_call *call, int64_t first, int64_t n, double slope)
{
    for (int64_t i = first; i < first + n; i++)
        call->dlogp[i] = (float)(slope * (double)call->row->weights[i]);
}

/* One pair of a step. */
static ae_dpo_term term_of(const ae_pair_mix *mix, const ae_dpo_pair *pair)
{
    ae_dpo_term sum = { 0 }, t;

    for (int i = 0; i < mix->n; i++) {
        (i == 0 ? mix->term : ae_dpo_term_of)(&t, &mix->losses[i], pair);
        sum.loss += mix->weights[i] * t.loss;
        sum.d_chosen += mix->weights[i] * t.d_chosen;
        sum.d_rejected += mix->weights[i] * t.d_rejected;
        sum.reward_chosen = t.reward_chosen;
        sum.reward_rejected = t.reward_rejected;
    }
    return sum;
}

void ae_pairs_loss(const ae_loss_call *call, const ae_pair_mix *mix, ae_loss_sums *sums)
{
    sums->nll_weight = mix->nll_weight;
    for (int64_t k = 0; k < call->n_items; k++) {
        const ae_sample *p = &call->set->items[call->items[k]];
        const double *reference = call->reference ? call->reference + 2 * call->items[k] : NULL;
        double policy[2], nll_slope = 0;
        ae_pairs_sums(call, k, policy);
        ae_dpo_pair pair = ae_pair_of(p, policy, reference);
        ae_dpo_term term = call->terms ? call->terms[k] : term_of(mix, &pair);
        add_up(sums, &term, &pair);
        if (mix->nll_weight != 0) {
            sums->nll -= pair.chosen;
            sums->nll_share += pair.n_chosen;
        }
        if (!call->dlogp) continue;
        if (mix->nll_weight != 0) nll_slope = -mix->nll_weight / call->nll_share;
        give_back(call, call->first[k], p->n_chosen, term.d_chosen / call->share + nll_slope);
        give_back(call, call->first[k] + p->n_chosen, p->n_rejected, term.d_rejected / call->share);
    }
}

bool ae_pair_mix_is_of_step(const ae_pair_mix *mix)
{
    bool of_step = false;

    for (int i = 0; i < mix->n; i++) of_step = of_step || ae_dpo_is_of_step(mix->losses[i].loss);
    return of_step;
}

/* Adds loss i of the mixture, times its weight. */
static aerie_status add_losses(ae_dpo_term *out, ae_dpo_term *terms, const ae_pair_mix *mix, int i,
                               const ae_dpo_pair *pairs, int64_t n, aerie_error *err)
{
    aerie_status status = ae_dpo_terms_of(terms, &mix->losses[i], pairs, n, err);

    for (int64_t k = 0; k < n && !status; k++) {
        out[k].loss += mix->weights[i] * terms[k].loss;
        out[k].d_chosen += mix->weights[i] * terms[k].d_chosen;
        out[k].d_rejected += mix->weights[i] * terms[k].d_rejected;
        out[k].reward_chosen = terms[k].reward_chosen;
        out[k].reward_rejected = terms[k].reward_rejected;
    }
    return status;
}

aerie_status ae_pair_mix_terms(ae_dpo_term *out, const ae_pair_mix *mix, const ae_dpo_pair *pairs,
                               int64_t n, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ae_dpo_term *terms;

    for (int64_t k = 0; k < n && !ae_pair_mix_is_of_step(mix); k++)
        out[k] = term_of(mix, &pairs[k]);
    if (!ae_pair_mix_is_of_step(mix)) return AERIE_OK;
    terms = ae_alloc((size_t)n, sizeof *terms);
    if (!terms) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the terms of a step");
    for (int64_t k = 0; k < n; k++) out[k] = (ae_dpo_term){ 0 };
    for (int i = 0; i < mix->n && !status; i++)
        status = add_losses(out, terms, mix, i, pairs, n, err);
    ae_free(terms);
    return status;
}
