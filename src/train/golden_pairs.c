/* golden_pairs.c -- ORPO, SimPO, CPO, KTO and BCO against golden numbers. */
#include "train/golden.h"
#include "train/unpaired.h"

#include <string.h>

/* Inputs of a case, one a pair. */
typedef struct {
    const double *chosen, *rejected;
    int64_t n;
    double *d_chosen, *d_rejected;
} pair_lists;

static bool read_lists(ae_golden *g, const json_t *c, const char *chosen, const char *rejected,
                       pair_lists *out)
{
    int64_t n_rejected;

    out->chosen = ae_golden_list(g, ae_golden_at(c, "inputs", chosen), &out->n);
    out->rejected = ae_golden_list(g, ae_golden_at(c, "inputs", rejected), &n_rejected);
    out->d_chosen = ae_golden_take(g, out->n, sizeof *out->d_chosen);
    out->d_rejected = ae_golden_take(g, out->n, sizeof *out->d_rejected);
    if (out->n == 0 || out->n != n_rejected) ae_golden_problem(g, "the case has no pairs");
    return !*g->problem;
}

/* The mean loss; slopes divided by the number of pairs. An answer counts as one token: its sum is
 * its mean. */
static double run_term(const pair_lists *in, ae_pair_term_fn *term, const ae_dpo_options *o)
{
    double loss = 0, n = (double)in->n;

    for (int64_t i = 0; i < in->n; i++) {
        ae_dpo_pair pair = {
            .chosen = in->chosen[i], .rejected = in->rejected[i], .n_chosen = 1, .n_rejected = 1
        };
        ae_dpo_term t;
        term(&t, o, &pair);
        loss += t.loss / n;
        in->d_chosen[i] = t.d_chosen / n;
        in->d_rejected[i] = t.d_rejected / n;
    }
    return loss;
}

static void compare_slopes(ae_golden *g, const json_t *c, const pair_lists *in, const char *chosen,
                           const char *rejected)
{
    ae_golden_numbers(g, chosen, in->d_chosen, in->n, ae_golden_at(c, "outputs", chosen));
    ae_golden_numbers(g, rejected, in->d_rejected, in->n, ae_golden_at(c, "outputs", rejected));
}

static double nll_of(const json_t *c)
{
    return json_number_value(ae_golden_at(c, "inputs", "nll_chosen"));
}

static void run_orpo(ae_golden *g, const json_t *c)
{
    ae_dpo_options o = { .beta = ae_golden_param(c, "lambda_", 0.1) };
    pair_lists in;
    double loss;

    if (!read_lists(g, c, "avg_logp_chosen", "avg_logp_rejected", &in)) return;
    loss = run_term(&in, ae_orpo_term_of, &o);
    ae_golden_number(g, "or_loss", loss, ae_golden_at(c, "outputs", "or_loss"));
    ae_golden_number(g, "loss", loss + nll_of(c), ae_golden_at(c, "outputs", "loss"));
    compare_slopes(g, c, &in, "grad_avg_logp_chosen_or_term", "grad_avg_logp_rejected_or_term");
}

static void run_simpo(ae_golden *g, const json_t *c)
{
    ae_dpo_options o = { .beta = ae_golden_param(c, "beta", 2),
                         .gamma = ae_golden_param(c, "gamma", 0.5),
                         .label_smoothing = ae_golden_param(c, "label_smoothing", 0) };
    pair_lists in;

    if (!read_lists(g, c, "avg_logp_chosen", "avg_logp_rejected", &in)) return;
    ae_golden_number(g, "loss", run_term(&in, ae_simpo_term_of, &o),
                     ae_golden_at(c, "outputs", "loss"));
    compare_slopes(g, c, &in, "grad_avg_logp_chosen", "grad_avg_logp_rejected");
}

static void run_cpo(ae_golden *g, const json_t *c)
{
    ae_dpo_options o = { .beta = ae_golden_param(c, "beta", 0.1), .reference_free = true };
    pair_lists in;
    double loss;

    if (!read_lists(g, c, "logp_chosen", "logp_rejected", &in)) return;
    loss = run_term(&in, ae_dpo_term_of, &o);
    ae_golden_number(g, "pref_loss", loss, ae_golden_at(c, "outputs", "pref_loss"));
    ae_golden_number(g, "loss", loss + ae_golden_param(c, "cpo_alpha", 1) * nll_of(c),
                     ae_golden_at(c, "outputs", "loss"));
    compare_slopes(g, c, &in, "grad_logp_chosen", "grad_logp_rejected");
}

void ae_golden_orpo_simpo_cpo(ae_golden *g, const json_t *c)
{
    const char *name = json_string_value(json_object_get(c, "name"));

    if (name && strncmp(name, "orpo", 4) == 0)
        run_orpo(g, c);
    else if (name && strncmp(name, "simpo", 5) == 0)
        run_simpo(g, c);
    else if (name && strncmp(name, "cpo", 3) == 0)
        run_cpo(g, c);
    else
        g->unknown = true;
}

/* List `a` minus list `b`. */
static double *differences(ae_golden *g, const json_t *c, const char *a, const char *b, int64_t *n)
{
    int64_t n_b;
    const double *left = ae_golden_list(g, ae_golden_at(c, "inputs", a), n);
    const double *right = ae_golden_list(g, ae_golden_at(c, "inputs", b), &n_b);
    double *out = ae_golden_take(g, *n, sizeof *out);

    if (*n != n_b) ae_golden_problem(g, "%s and %s are not of one length", a, b);
    for (int64_t i = 0; out && i < *n && *n == n_b; i++) out[i] = left[i] - right[i];
    return out;
}

typedef void unpaired_term_fn(ae_dpo_term *out, const ae_recipe *recipe,
                              const ae_unpaired_reply *reply, double level);

static void run_unpaired(ae_golden *g, const json_t *c, unpaired_term_fn *term, double level)
{
    ae_recipe recipe = { .beta = ae_golden_param(c, "beta", 0.1),
                         .desirable_weight = ae_golden_param(c, "desirable_weight", 1),
                         .undesirable_weight = ae_golden_param(c, "undesirable_weight", 1) };
    int64_t n, n_labels;
    const double *labels = ae_golden_list(g, ae_golden_at(c, "inputs", "label"), &n_labels);
    const double *ratios = differences(g, c, "policy_logps", "ref_logps", &n);
    double *slopes = ae_golden_take(g, n, sizeof *slopes), loss = 0;

    if (!ratios || !slopes || n != n_labels) {
        ae_golden_problem(g, "the case has no labels");
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        ae_unpaired_reply reply = { ratios[i], labels[i] == 0 };
        ae_dpo_term t;
        term(&t, &recipe, &reply, level);
        loss += t.loss / (double)n;
        slopes[i] = t.d_chosen / (double)n;
    }
    ae_golden_number(g, "loss", loss, ae_golden_at(c, "outputs", "loss"));
    ae_golden_numbers(g, "grad_policy_logps", slopes, n,
                      ae_golden_at(c, "outputs", "grad_policy_logps"));
}

void ae_golden_kto_bco(ae_golden *g, const json_t *c)
{
    const char *name = json_string_value(json_object_get(c, "name"));
    const double *others;
    double level;
    int64_t n;

    if (name && strcmp(name, "bco") == 0) {
        run_unpaired(g, c, ae_bco_term_of, ae_golden_param(c, "delta", 0));
    } else if (name && strcmp(name, "kto") == 0) {
        others = differences(g, c, "kl_policy_logps", "kl_ref_logps", &n);
        if (!others) return;
        level = ae_kto_level(others, n);
        ae_golden_number(g, "z0", level, ae_golden_at(c, "outputs", "z0"));
        run_unpaired(g, c, ae_kto_term_of, level);
    } else {
        g->unknown = true;
    }
}
