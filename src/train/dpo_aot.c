/* dpo_aot.c -- alignment via optimal transport (Melnyk et al., 2406.05882): the two distributions
 * of a whole step are compared, not the two answers of a pair.
 *
 *   aot           margins log p(chosen) - log p(rejected), under the policy and the reference
 *   aot_unpaired  l = log p(answer) - log p_ref(answer), of the chosen and the rejected answers
 *
 * Both lists are sorted; the k-th smallest of the first minus the k-th smallest of the second is
 * the margin of a (smoothed) sigmoid loss, and its slope goes back to where the k-th smallest came
 * from.
 */
#include "train/train.h"

#include <stdlib.h>

typedef struct {
    double value;
    int64_t item;
} ranked;

/* Equal values stay in the items' order: nothing depends on how qsort works. */
static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;

    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

/* What the two lists hold of a pair. */
static void values_of(double out[2], const ae_dpo_options *o, const ae_dpo_pair *p)
{
    double ref_chosen = o->reference_free ? 0 : p->ref_chosen;
    double ref_rejected = o->reference_free ? 0 : p->ref_rejected;

    out[0] = o->loss == AE_DPO_AOT ? p->chosen - p->rejected : p->chosen - ref_chosen;
    out[1] = o->loss == AE_DPO_AOT ? ref_chosen - ref_rejected : p->rejected - ref_rejected;
}

/* The loss of rank k is counted at the item that holds the first list's k-th. */
static void add_rank(ae_dpo_term *out, const ae_dpo_options *o, const ranked *a, const ranked *b)
{
    ae_dpo_options of_margin = *o;
    ae_dpo_pair margin = { .chosen = a->value - b->value, .n_chosen = 1, .n_rejected = 1 };
    int64_t loser = o->loss == AE_DPO_AOT ? a->item : b->item;
    ae_dpo_term t;

    of_margin.reference_free = true;
    of_margin.rpo_alpha = 0;
    ae_dpo_term_of(&t, &of_margin, &margin);
    out[a->item].loss += t.loss;
    out[a->item].d_chosen += t.d_chosen;
    out[loser].d_rejected += t.d_rejected;
}

/* What each pair has by itself: its rewards, and rpo_alpha's part. */
static void start_term(ae_dpo_term *out, const ae_dpo_options *o, const ae_dpo_pair *p)
{
    ae_dpo_term_of(out, o, p);
    out->loss = -o->rpo_alpha * p->chosen / p->n_chosen;
    out->d_chosen = -o->rpo_alpha / p->n_chosen;
    out->d_rejected = 0;
}

bool ae_dpo_is_of_step(ae_dpo_loss loss)
{
    return loss == AE_DPO_AOT || loss == AE_DPO_AOT_UNPAIRED;
}

static aerie_status couple(ae_dpo_term *out, const ae_dpo_options *o, const ae_dpo_pair *pairs,
                           int64_t n, aerie_error *err)
{
    ranked *a = ae_alloc((size_t)n, 2 * sizeof *a), *b = a + n;

    if (!a) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to sort %lld pairs", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        double values[2];
        values_of(values, o, &pairs[i]);
        a[i] = (ranked){ values[0], i };
        b[i] = (ranked){ values[1], i };
        start_term(&out[i], o, &pairs[i]);
    }
    qsort(a, (size_t)n, sizeof *a, by_value);
    qsort(b, (size_t)n, sizeof *b, by_value);
    for (int64_t k = 0; k < n; k++) add_rank(out, o, &a[k], &b[k]);
    ae_free(a);
    return AERIE_OK;
}

aerie_status ae_dpo_terms_of(ae_dpo_term *out, const ae_dpo_options *o, const ae_dpo_pair *pairs,
                             int64_t n, aerie_error *err)
{
    if (ae_dpo_is_of_step(o->loss)) return couple(out, o, pairs, n, err);
    for (int64_t i = 0; i < n; i++) ae_dpo_term_of(&out[i], o, &pairs[i]);
    return AERIE_OK;
}
