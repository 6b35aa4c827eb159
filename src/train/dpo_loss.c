/* dpo_loss.c -- the losses of direct preference optimisation as functions of log-probabilities
 * (Rafailov et al., 2305.18290, and its relatives as TRL names them). Plain math in double.
 *
 * With l = log p(answer) - log p_ref(answer) of the chosen (c) and the rejected (r) answer:
 * each function gives the loss of one pair and its slopes in l_c and l_r. */
#include "train/train.h"

#include <math.h>

typedef struct {
    double c, r; /* l_c, l_r, after the divergence's transform */
    double beta, eps, tau;
    double n_c, n_r; /* tokens of the answers */
} pair_in;

typedef struct {
    double loss, dc, dr;
} pair_out;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double log_sigmoid(double x)
{
    return fmin(x, 0) - log1p(exp(-fabs(x)));
}
static double bump(double x)
{
    return sigmoid(x) * sigmoid(-x);
} /* the sigmoid's slope */

static double margin(const pair_in *p)
{
    return p->beta * (p->c - p->r);
}

/* For losses of the margin h alone: equal and opposite slopes. */
static pair_out of_margin(const pair_in *p, double loss, double dh)
{
    return (pair_out){ loss, p->beta * dh, -p->beta * dh };
}

/* With label smoothing: cDPO (the labels are wrong with probability eps). */
static pair_out loss_sigmoid(const pair_in *p)
{
    double h = margin(p), e = p->eps;

    return of_margin(p, -(1 - e) * log_sigmoid(h) - e * log_sigmoid(-h),
                     -(1 - e) * sigmoid(-h) + e * sigmoid(h));
}

static pair_out loss_hinge(const pair_in *p)
{
    double h = margin(p);

    return of_margin(p, fmax(0, 1 - h), h < 1 ? -1 : 0);
}

static pair_out loss_ipo(const pair_in *p)
{
    double u = p->c / p->n_c - p->r / p->n_r - 1 / (2 * p->beta);

    return (pair_out){ u * u, 2 * u / p->n_c, -2 * u / p->n_r };
}

static pair_out loss_ipo_sum(const pair_in *p)
{
    double u = p->c - p->r - 1 / (2 * p->beta);

    return (pair_out){ u * u, 2 * u, -2 * u };
}

static pair_out loss_robust(const pair_in *p)
{
    double h = margin(p), e = p->eps, scale = 1 / (1 - 2 * e);

    return of_margin(p, (-(1 - e) * log_sigmoid(h) + e * log_sigmoid(-h)) * scale,
                     (-(1 - e) * sigmoid(-h) - e * sigmoid(h)) * scale);
}

static pair_out loss_exo_pair(const pair_in *p)
{
    double h = margin(p), e = p->eps > 0 ? p->eps : 1e-3; /* log(eps) is needed */
    double win = log_sigmoid(h) - log(1 - e), lose = log_sigmoid(-h) - log(e);

    return of_margin(p, sigmoid(h) * win + sigmoid(-h) * lose, bump(h) * (win - lose));
}

static pair_out loss_nca_pair(const pair_in *p)
{
    double b = p->beta, c = b * p->c, r = b * p->r;

    return (pair_out){ -log_sigmoid(c) - 0.5 * log_sigmoid(-c) - 0.5 * log_sigmoid(-r),
                       -b * sigmoid(-c) + 0.5 * b * sigmoid(c), 0.5 * b * sigmoid(r) };
}

static pair_out loss_bco_pair(const pair_in *p)
{
    double b = p->beta, c = b * p->c, r = b * p->r;

    return (pair_out){ -log_sigmoid(c) - log_sigmoid(-r), -b * sigmoid(-c), b * sigmoid(r) };
}

static pair_out loss_sppo_hard(const pair_in *p)
{
    double uc = p->c - 0.5 / p->beta, ur = p->r + 0.5 / p->beta;

    return (pair_out){ uc * uc + ur * ur, 2 * uc, 2 * ur };
}

static pair_out loss_apo_zero(const pair_in *p)
{
    double b = p->beta, c = b * p->c, r = b * p->r;

    return (pair_out){ 1 - sigmoid(c) + sigmoid(r), -b * bump(c), b * bump(r) };
}

static pair_out loss_apo_down(const pair_in *p)
{
    double b = p->beta, c = b * p->c, h = margin(p);

    return (pair_out){ sigmoid(c) + 1 - sigmoid(h), b * bump(c) - b * bump(h), b * bump(h) };
}

static pair_out loss_discopop(const pair_in *p)
{
    double h = margin(p), m = sigmoid(h / p->tau), dm = m * (1 - m) / p->tau;

    return of_margin(p, -log_sigmoid(h) * (1 - m) + exp(-h) * m,
                     -sigmoid(-h) * (1 - m) + log_sigmoid(h) * dm - exp(-h) * m + exp(-h) * dm);
}

static pair_out loss_sigmoid_norm(const pair_in *p)
{
    double u = p->beta * (p->c / p->n_c - p->r / p->n_r), slope = p->beta * sigmoid(-u);

    return (pair_out){ -log_sigmoid(u), -slope / p->n_c, slope / p->n_r };
}

static pair_out loss_none(const pair_in *p)
{
    (void)p;
    return (pair_out){ 0 };
}

static const struct {
    const char *name;
    pair_out (*of)(const pair_in *p);
} losses[AE_N_DPO] = {
    [AE_DPO_SIGMOID] = { "sigmoid", loss_sigmoid },
    [AE_DPO_HINGE] = { "hinge", loss_hinge },
    [AE_DPO_IPO] = { "ipo", loss_ipo },
    [AE_DPO_IPO_SUM] = { "ipo_sum", loss_ipo_sum },
    [AE_DPO_ROBUST] = { "robust", loss_robust },
    [AE_DPO_EXO_PAIR] = { "exo_pair", loss_exo_pair },
    [AE_DPO_NCA_PAIR] = { "nca_pair", loss_nca_pair },
    [AE_DPO_BCO_PAIR] = { "bco_pair", loss_bco_pair },
    [AE_DPO_SPPO_HARD] = { "sppo_hard", loss_sppo_hard },
    [AE_DPO_APO_ZERO] = { "apo_zero", loss_apo_zero },
    [AE_DPO_APO_DOWN] = { "apo_down", loss_apo_down },
    [AE_DPO_DISCOPOP] = { "discopop", loss_discopop },
    [AE_DPO_SIGMOID_NORM] = { "sigmoid_norm", loss_sigmoid_norm },
    [AE_DPO_AOT] = { "aot", loss_sigmoid },
    [AE_DPO_AOT_UNPAIRED] = { "aot_unpaired", loss_sigmoid },
    [AE_DPO_SFT] = { "sft", loss_none },
};

const char *ae_dpo_loss_name(int loss)
{
    return loss >= 0 && loss < AE_N_DPO ? losses[loss].name : NULL;
}

const char *ae_divergence_name(int divergence)
{
    static const char *const names[AE_N_DIVERGENCE] = { "reverse_kl", "forward_kl", "js_divergence",
                                                        "alpha_divergence" };

    return divergence >= 0 && divergence < AE_N_DIVERGENCE ? names[divergence] : NULL;
}

/* f'(e^l) of an f-divergence, and its slope in l (Wang et al., 2309.16240). Exponents are held at
 * 80, past which exp() in single precision would be infinite. */
static double transform(ae_f_divergence kind, double alpha, double l, double *slope)
{
    double e;

    switch (kind) {
    case AE_FORWARD_KL:
        e = exp(fmin(-l, 80));
        *slope = e;
        return -e;
    case AE_JS_DIVERGENCE:
        *slope = sigmoid(-l);
        return log_sigmoid(l);
    case AE_ALPHA_DIVERGENCE:
        e = exp(fmin((alpha - 1) * l, 80));
        *slope = e;
        return e / (alpha - 1);
    default:
        *slope = 1;
        return l;
    }
}

void ae_dpo_term_of(ae_dpo_term *out, const ae_dpo_options *o, const ae_dpo_pair *pair)
{
    double l_c = pair->chosen - (o->reference_free ? 0 : pair->ref_chosen);
    double l_r = pair->rejected - (o->reference_free ? 0 : pair->ref_rejected);
    double slope_c, slope_r;
    pair_in in = { .beta = o->beta,
                   .eps = o->label_smoothing,
                   .tau = o->tau,
                   .n_c = pair->n_chosen,
                   .n_r = pair->n_rejected };
    pair_out v;

    in.c = transform(o->divergence, o->f_alpha, l_c, &slope_c);
    in.r = transform(o->divergence, o->f_alpha, l_r, &slope_r);
    v = losses[o->loss].of(&in);
    out->loss = v.loss;
    out->d_chosen = v.dc * slope_c;
    out->d_rejected = v.dr * slope_r;
    out->reward_chosen = o->beta * l_c;
    out->reward_rejected = o->beta * l_r;
    if (o->rpo_alpha != 0) {
        out->loss -= o->rpo_alpha * pair->chosen / pair->n_chosen;
        out->d_chosen -= o->rpo_alpha / pair->n_chosen;
    }
}
