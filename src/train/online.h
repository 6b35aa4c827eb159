/* online.h -- private: what methods that learn from their own samples compute. Plain math in
 * double; no function here knows a model.
 *
 * Tokens are those of replies, one reply after the other: there is no padding and hence no mask. */
#ifndef AE_TRAIN_ONLINE_H
#define AE_TRAIN_ONLINE_H

#include "base/base.h"

/* ---- online_reward.c: from scores to what every token is worth ---- */

/* Estimators of KL(policy || reference) from a token that the policy drew, x = logp - ref
 * (Schulman, "Approximating KL Divergence", 2020): k1 = x, k2 = x^2 / 2, k3 = exp(-x) - 1 + x. */
typedef enum { AE_KL_K1, AE_KL_K2, AE_KL_K3, AE_N_KL } ae_kl_kind;
const char *ae_kl_name(int kind); /* "k1"...; NULL out of range */
double ae_kl_estimate(ae_kl_kind kind, double logp, double ref);
/* Its derivative by logp. */
double ae_kl_slope(ae_kl_kind kind, double logp, double ref);

/* rewards[t] = -coef * KL_t, and the reply's score on its last token (Stiennon et al., 2009.01325;
 * TRL's PPOTrainer). n >= 1. APA: coef 0. */
void ae_token_rewards(double *rewards, const double *logp, const double *ref, int64_t n,
                      ae_kl_kind kind, double coef, double score);

/* Generalized advantage estimation of one reply (Schulman et al., 1506.02438):
 *   d_t = r_t + gamma V_{t+1} - V_t,  A_t = d_t + gamma lambda A_{t+1},  V and A zero past the end;
 * returns = A + V. values NULL: zeros. */
void ae_gae(double *advantages, double *returns, const double *rewards, const double *values,
            int64_t n, double gamma, double lambda);

/* x = (x - mean) / sqrt(variance + 1e-8), the variance unbiased; keep_mean adds the mean again
 * (TRL's masked_whiten with shift_mean=False). Fewer than two numbers stay as they are. */
void ae_whiten(double *x, int64_t n, bool keep_mean);

/* What a reply's score becomes: less `missing_eos` when it did not end by itself (TRL's
 * missing_eos_penalty), then held to +-clip (0: not clipped). */
double ae_score_shaped(double score, bool ended, double missing_eos, double clip);

/* Moments over all scores so far (trlX's RunningMoments; Chan et al., 1979). A zeroed one is new.
 */
typedef struct {
    double count, mean, variance; /* variance: of the population */
} ae_moments;
/* Takes in a batch and divides its scores by the standard deviation (unbiased) of all so far. The
 * mean is not subtracted. A deviation of 0 leaves them as they are. */
void ae_moments_scale(ae_moments *m, double *scores, int64_t n);

/* The coefficient after n samples whose mean KL was `kl` (Ziegler et al., 1909.08593):
 *   coef * (1 + clip(kl / target - 1, -0.2, 0.2) * n / horizon). */
double ae_adapted_kl_coef(double coef, double kl, double target, double n, double horizon);

/* ---- online_group.c: a reply's worth by the other replies to its prompt ---- */

typedef enum { AE_SCALE_GROUP, AE_SCALE_BATCH, AE_SCALE_NONE, AE_N_SCALE } ae_group_scale;
const char *ae_group_scale_name(int scale); /* "group"...; NULL out of range */

/* GRPO (Shao et al., 2402.03300; TRL's scale_rewards): (r - group mean) / (std + 1e-4), the std
 * unbiased, of the group or of all; NONE (Dr. GRPO, Liu et al., 2503.20783) does not divide.
 * rewards, advantages [n_groups * size]. */
void ae_grpo_advantages(double *advantages, const double *rewards, int64_t n_groups, int64_t size,
                        ae_group_scale scale);
/* RLOO (Ahmadian et al., 2402.14740): r less the mean of the others of its group. size >= 2. */
void ae_rloo_advantages(double *advantages, const double *rewards, int64_t n_groups, int64_t size);

/* What GRPO's loss is a mean of: replies' means (grpo), tokens (bnpo, and dapo, which differ only
 * where micro-batches have means of their own), or replies times the longest one (dr_grpo). */
typedef enum {
    AE_GRPO_NORM_GRPO,
    AE_GRPO_NORM_BNPO,
    AE_GRPO_NORM_DAPO,
    AE_GRPO_NORM_DR_GRPO,
    AE_N_GRPO_NORM
} ae_grpo_norm;
const char *ae_grpo_norm_name(int norm); /* "grpo"...; NULL out of range */

/* ---- online_loss.c: the losses of one token, and their slopes ---- */

typedef struct {
    double loss, slope; /* slope: d loss / d logp, or d value */
    bool clipped;       /* the clipped branch is what counts */
} ae_token_loss;

typedef struct {
    double low, high; /* the ratio's range is 1 - low .. 1 + high */
    double dual;      /* for A < 0 the loss is at most dual * -A (Ye et al., 1912.09729); 0: off */
} ae_ratio_clip;

/* PPO (Schulman et al., 1707.06347): max(-A q, -A clip(q)), q = exp(logp - old). */
ae_token_loss ae_policy_loss(double logp, double old, double advantage, const ae_ratio_clip *clip);
/* max((V - R)^2, (clip(V, old +- range) - R)^2) / 2; range 0: not clipped. */
ae_token_loss ae_value_loss(double value, double old, double target, double range);
/* APA (Zhu et al., 2306.02231): (logp - A / lambda - init)^2, init of the starting model. */
ae_token_loss ae_apa_loss(double logp, double init, double advantage, double lambda);
/* AWR as the APA paper's baseline: -logp exp(c A). */
ae_token_loss ae_awr_loss(double logp, double advantage, double c);
/* GRPO's: ae_policy_loss + beta * k3(logp, ref). */
ae_token_loss ae_grpo_loss(double logp, double old, double ref, double advantage,
                           const ae_ratio_clip *clip, double beta);

/* H = -sum p log p of softmax(logits); dlogits (NULL: not wanted) gets dH / dlogits =
 * -p (log p + H). */
double ae_entropy_of(const float *logits, int64_t vocab_size, double *dlogits);

#endif
