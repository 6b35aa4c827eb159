/* golden_online.c -- PPO, APA, AWR, GRPO and RLOO against golden numbers. The files pad replies and
 * mask them; here the masked tokens are gathered first, and put back to be compared. */
#include "train/golden.h"
#include "train/online.h"

#include <math.h>
#include <string.h>

/* Replies without padding: reply b is tokens first[b] .. first[b + 1] - 1. */
typedef struct {
    const json_t *c;
    int64_t n, n_padded, n_replies;
    int64_t *first, *at; /* [n_replies + 1]; [n]: where in the padded list */
} replies;

static bool read_mask(ae_golden *g, replies *r, const json_t *c)
{
    const json_t *list = ae_golden_at(c, "inputs", "mask");
    const double *mask = ae_golden_list(g, list, &r->n_padded);
    int64_t per_reply;

    r->c = c;
    r->n = 0;
    r->n_replies = (int64_t)json_array_size(list);
    r->first = ae_golden_take(g, r->n_replies + 1, sizeof *r->first);
    r->at = ae_golden_take(g, r->n_padded, sizeof *r->at);
    if (!r->first || !r->at || r->n_replies < 1) return false;
    per_reply = r->n_padded / r->n_replies;
    for (int64_t i = 0; i < r->n_replies * per_reply; i++) {
        if (mask[i] != 0) r->at[r->n++] = i;
        r->first[i / per_reply + 1] = r->n;
    }
    return true;
}

/* An input's numbers at the tokens that count; zeros when it is not there. */
static double *gather(ae_golden *g, const replies *r, const char *name)
{
    int64_t n;
    const double *list = ae_golden_list(g, ae_golden_at(r->c, "inputs", name), &n);
    double *out = ae_golden_take(g, r->n, sizeof *out);

    for (int64_t i = 0; out && i < r->n && n == r->n_padded; i++) out[i] = list[r->at[i]];
    return out;
}

/* `got` times `scale`, against an output; an output that the case does not have is passed over. */
static void compare(ae_golden *g, const replies *r, const char *name, const double *got,
                    double scale)
{
    const json_t *wanted = ae_golden_at(r->c, "outputs", name);
    double *padded = ae_golden_take(g, r->n_padded, sizeof *padded);

    if (!wanted || !padded) return;
    for (int64_t i = 0; i < r->n; i++) padded[r->at[i]] = got[i] * scale;
    ae_golden_numbers(g, name, padded, r->n_padded, wanted);
}

static void compare_number(ae_golden *g, const replies *r, const char *name, double got)
{
    const json_t *wanted = ae_golden_at(r->c, "outputs", name);

    if (wanted) ae_golden_number(g, name, got, wanted);
}

static int find_kl(const json_t *c)
{
    const char *name = json_string_value(ae_golden_at(c, "params", "kl_estimator"));

    for (int k = 0; name && ae_kl_name(k); k++)
        if (strcmp(ae_kl_name(k), name) == 0) return k;
    return AE_KL_K1;
}

/* ---- rewards and advantages ---- */

static void compare_kl(ae_golden *g, const replies *r, const double *logp, const double *ref)
{
    double *kl = ae_golden_take(g, r->n, sizeof *kl), sum = 0;

    for (int64_t i = 0; kl && i < r->n; i++) {
        kl[i] = ae_kl_estimate((ae_kl_kind)find_kl(r->c), logp[i], ref[i]);
        sum += kl[i];
    }
    if (!kl) return;
    compare(g, r, "kl", kl, 1);
    compare_number(g, r, "sequence_kl_mean", sum / (double)r->n_replies);
}

/* The rewards that the file has, whitened; or those of its scores and log-probabilities (APA's have
 * none). */
static void make_rewards(ae_golden *g, const replies *r, double *rewards)
{
    double *logp = gather(g, r, "old_logprobs"), *ref = gather(g, r, "ref_logprobs");
    double *given = gather(g, r, "rewards");
    double coef = ae_golden_at(r->c, "inputs", "old_logprobs") ? 1 : 0;
    int64_t n_scores;
    const double *scores = ae_golden_list(g, ae_golden_at(r->c, "inputs", "scores"), &n_scores);

    if (!logp || !ref || !given) return;
    if (n_scores != r->n_replies) {
        memcpy(rewards, given, (size_t)r->n * sizeof *rewards);
        ae_whiten(rewards, r->n, true);
        compare(g, r, "rewards_whitened", rewards, 1);
        return;
    }
    for (int64_t b = 0; b < r->n_replies; b++)
        ae_token_rewards(rewards + r->first[b], logp + r->first[b], ref + r->first[b],
                         r->first[b + 1] - r->first[b], (ae_kl_kind)find_kl(r->c),
                         coef * ae_golden_param(r->c, "kl_coef", 0), scores[b]);
    if (coef > 0) compare_kl(g, r, logp, ref);
    compare(g, r, "rewards", rewards, 1);
}

static void advantages_case(ae_golden *g, const json_t *c)
{
    replies r;
    double *rewards, *advantages, *returns, *values, mean = 0, variance = 0;

    if (!read_mask(g, &r, c)) return;
    rewards = ae_golden_take(g, r.n, sizeof *rewards);
    advantages = ae_golden_take(g, r.n, sizeof *advantages);
    returns = ae_golden_take(g, r.n, sizeof *returns);
    values = gather(g, &r, "values");
    if (!rewards || !advantages || !returns || !values) return;
    make_rewards(g, &r, rewards);
    for (int64_t b = 0; b < r.n_replies; b++)
        ae_gae(advantages + r.first[b], returns + r.first[b], rewards + r.first[b],
               values + r.first[b], r.first[b + 1] - r.first[b], ae_golden_param(c, "gamma", 1),
               ae_golden_param(c, "lam", 1));
    compare(g, &r, "advantages", advantages, 1);
    compare(g, &r, "returns", returns, 1);
    for (int64_t i = 0; i < r.n; i++) mean += advantages[i] / (double)r.n;
    for (int64_t i = 0; i < r.n; i++)
        variance += (advantages[i] - mean) * (advantages[i] - mean) / (double)(r.n - 1);
    compare_number(g, &r, "adv_mean", mean);
    compare_number(g, &r, "adv_var_unbiased", variance);
    ae_whiten(advantages, r.n, false);
    compare(g, &r, "advantages_whitened", advantages, 1);
}

/* ---- losses ---- */

/* Sums over all tokens of a loss, and its slopes. */
typedef struct {
    double loss, n_clipped, *slopes;
} summed;

static void add(summed *s, int64_t i, ae_token_loss one, double weight)
{
    s->loss += one.loss * weight;
    s->slopes[i] = one.slope * weight;
    s->n_clipped += one.clipped;
}

static bool new_sum(ae_golden *g, summed *s, int64_t n)
{
    *s = (summed){ .slopes = ae_golden_take(g, n, sizeof *s->slopes) };
    return s->slopes != NULL;
}

static void ppo_loss_case(ae_golden *g, const json_t *c)
{
    double range = ae_golden_param(c, "cliprange", 0.2), apart = 0, squared = 0;
    ae_ratio_clip clip = { range, range, 0 };
    double *logp, *old, *a, *value, *old_value, *target, *ratio;
    summed pg, vf;
    replies r;

    if (!read_mask(g, &r, c) || !new_sum(g, &pg, r.n) || !new_sum(g, &vf, r.n)) return;
    logp = gather(g, &r, "new_logprobs"), old = gather(g, &r, "old_logprobs");
    a = gather(g, &r, "advantages_whitened"), value = gather(g, &r, "new_values");
    old_value = gather(g, &r, "old_values"), target = gather(g, &r, "returns");
    ratio = gather(g, &r, "nothing");
    if (!logp || !old || !a || !value || !old_value || !target || !ratio) return;
    double n = (double)r.n;
    for (int64_t i = 0; i < r.n; i++) {
        add(&pg, i, ae_policy_loss(logp[i], old[i], a[i], &clip), 1 / n);
        add(&vf, i,
            ae_value_loss(value[i], old_value[i], target[i],
                          ae_golden_param(c, "cliprange_value", 0)),
            1 / n);
        ratio[i] = exp(logp[i] - old[i]);
        apart += (old[i] - logp[i]) / n;
        squared += (old[i] - logp[i]) * (old[i] - logp[i]) / (2 * n);
    }
    compare_number(g, &r, "pg_loss", pg.loss);
    compare_number(g, &r, "vf_loss", vf.loss);
    compare_number(g, &r, "loss", pg.loss + ae_golden_param(c, "vf_coef", 1) * vf.loss);
    compare_number(g, &r, "pg_clipfrac", pg.n_clipped / n);
    compare_number(g, &r, "vf_clipfrac", vf.n_clipped / n);
    compare_number(g, &r, "approx_kl_k1_old_new", apart);
    compare_number(g, &r, "approx_kl_half_sq", squared);
    compare(g, &r, "grad_new_logprobs_pg", pg.slopes, 1);
    compare(g, &r, "grad_new_values_vf", vf.slopes, 1);
}

static void dual_clip_case(ae_golden *g, const json_t *c)
{
    double range = ae_golden_param(c, "clip", 0.2), loss = 0;
    ae_ratio_clip clip = { range, range, ae_golden_param(c, "dual_clip", 0) };
    int64_t n, n_ratio;
    const double *a = ae_golden_list(g, ae_golden_at(c, "inputs", "advantages"), &n);
    const double *ratio = ae_golden_list(g, ae_golden_at(c, "inputs", "ratio"), &n_ratio);
    double *each = ae_golden_take(g, n, sizeof *each);

    if (!each || n != n_ratio) return;
    for (int64_t i = 0; i < n; i++) {
        each[i] = ae_policy_loss(log(ratio[i]), 0, a[i], &clip).loss;
        loss += each[i] / (double)n;
    }
    ae_golden_numbers(g, "per_token", each, n, ae_golden_at(c, "outputs", "per_token"));
    ae_golden_number(g, "loss", loss, ae_golden_at(c, "outputs", "loss"));
}

static void entropy_case(ae_golden *g, const json_t *c)
{
    int64_t n, n_mask;
    const float *logits = ae_golden_float_list(g, ae_golden_at(c, "inputs", "logits"), &n);
    const double *mask = ae_golden_list(g, ae_golden_at(c, "inputs", "mask"), &n_mask);
    double *grad = ae_golden_take(g, n, sizeof *grad), sum = 0, n_tokens = 0;

    if (!logits || !grad || n_mask < 1) return;
    for (int64_t t = 0; t < n_mask; t++) n_tokens += mask[t];
    for (int64_t t = 0; t < n_mask; t++) {
        int64_t V = n / n_mask;
        sum += mask[t] * ae_entropy_of(logits + t * V, V, grad + t * V) / n_tokens;
        for (int64_t v = 0; v < V; v++) grad[t * V + v] *= mask[t] / n_tokens;
    }
    ae_golden_number(g, "entropy", sum, ae_golden_at(c, "outputs", "entropy"));
    ae_golden_numbers(g, "grad_logits", grad, n, ae_golden_at(c, "outputs", "grad_logits"));
}

static void adaptive_kl_case(ae_golden *g, const json_t *c)
{
    int64_t n;
    const double *kl = ae_golden_list(g, ae_golden_at(c, "inputs", "kl"), &n);
    double *coefs = ae_golden_take(g, n, sizeof *coefs), coef = ae_golden_param(c, "init", 0);

    if (!coefs) return;
    for (int64_t i = 0; i < n; i++)
        coefs[i] = coef =
            ae_adapted_kl_coef(coef, kl[i], ae_golden_param(c, "target", 1),
                               ae_golden_param(c, "n_steps", 1), ae_golden_param(c, "horizon", 1));
    ae_golden_numbers(g, "coef", coefs, n, ae_golden_at(c, "outputs", "coef"));
}

static void running_scale_case(ae_golden *g, const json_t *c)
{
    const json_t *steps = ae_golden_at(c, "outputs", "steps"), *batch;
    ae_moments m = { 0 };
    size_t i;

    json_array_foreach(ae_golden_at(c, "inputs", "batches"), i, batch)
    {
        const json_t *wanted = json_array_get(steps, i);
        int64_t n;
        const double *given = ae_golden_list(g, batch, &n);
        double *scores = ae_golden_take(g, n, sizeof *scores);
        if (!scores) return;
        memcpy(scores, given, (size_t)n * sizeof *scores);
        ae_moments_scale(&m, scores, n);
        ae_golden_number(g, "mean", m.mean, json_object_get(wanted, "mean"));
        ae_golden_number(g, "var", m.variance, json_object_get(wanted, "var"));
        ae_golden_numbers(g, "scaled", scores, n, json_object_get(wanted, "scaled"));
    }
}

static void apa_loss_case(ae_golden *g, const json_t *c)
{
    double *logp, *init, *a, *value, *target;
    summed policy, vf;
    replies r;

    if (!read_mask(g, &r, c) || !new_sum(g, &policy, r.n) || !new_sum(g, &vf, r.n)) return;
    logp = gather(g, &r, "logprobs"), init = gather(g, &r, "init_logprobs");
    a = gather(g, &r, "advantages_whitened"), value = gather(g, &r, "values");
    target = gather(g, &r, "returns");
    if (!logp || !init || !a || !value || !target) return;
    for (int64_t i = 0; i < r.n; i++) {
        double lambda = ae_golden_param(c, "lambda_", 1), w = 1 / (double)r.n;
        add(&policy, i, ae_apa_loss(logp[i], init[i], a[i], lambda), w);
        add(&vf, i, ae_value_loss(value[i], 0, target[i], 0), w);
    }
    double vf_coef = ae_golden_param(c, "vf_coef", 1);
    compare_number(g, &r, "policy_loss", policy.loss);
    compare_number(g, &r, "value_loss", vf.loss);
    compare_number(g, &r, "loss", policy.loss + vf_coef * vf.loss);
    compare(g, &r, "grad_logprobs", policy.slopes, 1);
    compare(g, &r, "grad_values", vf.slopes, vf_coef);
}

static void awr_case(ae_golden *g, const json_t *c)
{
    double *logp, *a;
    summed s;
    replies r;

    if (!read_mask(g, &r, c) || !new_sum(g, &s, r.n)) return;
    logp = gather(g, &r, "logprobs"), a = gather(g, &r, "advantages_whitened");
    for (int64_t i = 0; logp && a && i < r.n; i++)
        add(&s, i, ae_awr_loss(logp[i], a[i], ae_golden_param(c, "c", 1)), 1 / (double)r.n);
    compare_number(g, &r, "policy_loss", s.loss);
    compare(g, &r, "grad_logprobs", s.slopes, 1);
}

static void group_case(ae_golden *g, const json_t *c)
{
    const json_t *list = ae_golden_at(c, "inputs", "rewards");
    int64_t n, n_groups = (int64_t)json_array_size(list);
    const double *rewards = ae_golden_list(g, list, &n);
    double *a = ae_golden_take(g, n, sizeof *a);

    if (!a || n_groups < 1) return;
    for (int s = 0; ae_group_scale_name(s); s++) {
        const json_t *wanted = ae_golden_at(c, "outputs", ae_group_scale_name(s));
        ae_grpo_advantages(a, rewards, n_groups, n / n_groups, (ae_group_scale)s);
        if (wanted) ae_golden_numbers(g, ae_group_scale_name(s), a, n, wanted);
    }
    ae_rloo_advantages(a, rewards, n_groups, n / n_groups);
    list = ae_golden_at(c, "outputs", "advantages");
    if (list) ae_golden_numbers(g, "advantages", a, n, list);
}

/* A token's weight in the three normalisations: of its reply and of the replies; of all tokens; of
 * the longest that replies may be. */
static double grpo_weight(const replies *r, const char *name, int64_t b, double longest)
{
    double n = (double)r->n_replies;

    if (strcmp(name, "grpo_loss") == 0) return 1 / (n * (double)(r->first[b + 1] - r->first[b]));
    return strcmp(name, "bnpo_loss") == 0 ? 1 / (double)r->n : 1 / (n * longest);
}

static void grpo_loss_case(ae_golden *g, const json_t *c)
{
    ae_ratio_clip clip = { ae_golden_param(c, "eps_low", 0.2), ae_golden_param(c, "eps_high", 0.2),
                           0 };
    const char *name = json_string_value(json_object_get(c, "name"));
    double longest = ae_golden_param(c, "max_completion_length", 1), *logp, *old, *ref;
    int64_t n_a;
    const double *a = ae_golden_list(g, ae_golden_at(c, "inputs", "advantages"), &n_a);
    summed s;
    replies r;

    if (!read_mask(g, &r, c) || !new_sum(g, &s, r.n) || n_a != r.n_replies) return;
    logp = gather(g, &r, "new_logprobs"), old = gather(g, &r, "old_logprobs");
    ref = gather(g, &r, "ref_logprobs");
    if (!logp || !old || !ref) return;
    for (int64_t b = 0; b < r.n_replies; b++)
        for (int64_t i = r.first[b]; i < r.first[b + 1]; i++)
            add(&s, i,
                ae_grpo_loss(logp[i], old[i], ref[i], a[b], &clip, ae_golden_param(c, "beta", 0)),
                grpo_weight(&r, name, b, longest));
    ae_golden_number(g, "loss", s.loss, ae_golden_at(c, "outputs", "loss"));
    compare(g, &r, "grad_new_logprobs", s.slopes, 1);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    ae_golden_case *run;
} known[] = {
    { "rewards_gae_k1", advantages_case },
    { "rewards_gae_k2", advantages_case },
    { "rewards_gae_k3", advantages_case },
    { "rewards_whitened", advantages_case },
    { "policy_and_value_loss", ppo_loss_case },
    { "dual_clip", dual_clip_case },
    { "entropy", entropy_case },
    { "adaptive_kl", adaptive_kl_case },
    { "running_reward_scaling", running_scale_case },
    { "apa_squared", apa_loss_case },
    { "apa_rollout_advantages", advantages_case },
    { "awr", awr_case },
    { "grpo_advantages", group_case },
    { "rloo_advantages", group_case },
    { "grpo_loss", grpo_loss_case },
    { "bnpo_loss", grpo_loss_case },
    { "dr_grpo_loss", grpo_loss_case },
};

void ae_golden_online(ae_golden *g, const json_t *c)
{
    const char *name = json_string_value(json_object_get(c, "name"));

    for (size_t i = 0; name && i < AE_COUNT(known); i++)
        if (strcmp(known[i].name, name) == 0) {
            known[i].run(g, c);
            return;
        }
    g->unknown = true;
}
