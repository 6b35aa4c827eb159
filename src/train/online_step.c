/* online_step.c -- one step of a method that samples: replies, scores, advantages, and several
 * updates of the weights.
 *
 * Every random number comes from the seed and the step, so that a checkpoint between steps needs
 * no more than what is carried from one to the next: the KL coefficient and the scores' moments. */
#include "train/method.h"
#include "train/rollout.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>

typedef struct {
    ae_trainer *t;
    const ae_online_options *o;
    const ae_samples *prompts;
    const int64_t *items; /* [n] of them */
    int64_t n;
    uint64_t seed;
    bool learns; /* else it is an evaluation */
    ae_rollouts r;
    double *rewards; /* [n_tokens] */
    double *shaped;  /* [n_replies]: scores as the method sees them */
    int64_t *order;  /* [n_groups] */
    int64_t updates; /* of the run, before this step */
    bool kept;       /* see ae_online_keeps() */
} stepping;

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a step's rewards");
}

static bool uses_groups(const ae_recipe *r)
{
    return r->method == AE_METHOD_GRPO || r->method == AE_METHOD_RLOO;
}

static bool takes_kl(const ae_recipe *r)
{
    return r->method == AE_METHOD_PPO || r->method == AE_METHOD_RLOO;
}

bool ae_online_has_values(const ae_recipe *recipe)
{
    return ae_method_of(recipe)->online && !uses_groups(recipe) && recipe->online.value_head;
}

bool ae_online_keeps(const ae_recipe *recipe)
{
    return ae_method_of(recipe)->online && recipe->lora_r > 0 &&
           recipe->online.epochs * recipe->online.minibatches > 1;
}

static ae_rollout_share share_of(const ae_recipe *r)
{
    if (r->method != AE_METHOD_GRPO) return AE_PER_TOKEN;
    if (r->online.norm == AE_GRPO_NORM_GRPO) return AE_PER_REPLY;
    return r->online.norm == AE_GRPO_NORM_DR_GRPO ? AE_PER_ROOM : AE_PER_TOKEN;
}

/* ---- what is known of the replies ---- */

static ae_pass pass_over(const stepping *s, const ae_net *net, bool values)
{
    ae_pass pass = ae_trainer_pass(s->t, &s->r.set);

    pass.objective = &ae_objective_replies;
    pass.net = net;
    pass.temperature = (float)s->o->temperature;
    pass.values = values;
    pass.run = s->t->run;
    return pass;
}

/* Fills out [n_tokens] with log-probabilities, or values, under a net. */
static aerie_status look_up(const stepping *s, const ae_net *net, bool values, double *out,
                            aerie_error *err)
{
    ae_pass pass = pass_over(s, net, values);
    aerie_status status = AERIE_OK;

    for (int64_t g = 0; g < s->r.n_groups; g++) s->order[g] = g;
    for (int64_t g = 0, n; g < s->r.n_groups && !status; g += n) {
        n = ae_plan_micro(s->t->recipe, pass.objective, pass.set, s->order + g, s->r.n_groups - g,
                          s->t->recipe->micro_batch_tokens);
        status = ae_pass_reference(&pass, s->order + g, n, out, err);
    }
    return status;
}

static aerie_status sample(stepping *s, aerie_error *err)
{
    ae_trainer *t = s->t;
    const ae_tokenizer *tokenizer = ae_model_tokenizer(t->model);
    ae_rollout_call call = { .recipe = t->recipe,
                             .run = t->run,
                             .device = t->device,
                             .net = &t->net,
                             .tokenizer = tokenizer,
                             .prompts = s->prompts,
                             .items = s->items,
                             .n = s->n,
                             .seed = s->seed };
    aerie_status status = ae_rollouts_make(&s->r, &call, err);

    s->r.share = share_of(t->recipe);
    if (!status)
        status = ae_rollouts_score(&s->r, t->recipe, t->run, t->reward_model, tokenizer, err);
    if (status) return status;
    s->rewards = ae_arena_take(&s->r.set.arena, (size_t)s->r.n_tokens, sizeof *s->rewards);
    s->shaped = ae_arena_take(&s->r.set.arena, (size_t)s->r.n_replies, sizeof *s->shaped);
    s->order = ae_arena_take(&s->r.set.arena, (size_t)s->r.n_groups, sizeof *s->order);
    if (!s->rewards || !s->shaped || !s->order) return no_memory(err);
    status = look_up(s, &t->start, false, s->r.ref, err);
    if (!status && s->learns && ae_online_has_values(t->recipe))
        status = look_up(s, &t->net, true, s->r.values, err);
    return status;
}

/* ---- advantages ---- */

/* The sum over a reply's tokens of an estimate of its KL. */
static double reply_kl(const ae_rollouts *r, int64_t i, ae_kl_kind kind)
{
    double sum = 0;

    for (int64_t t = r->first[i]; t < r->first[i + 1]; t++)
        sum += ae_kl_estimate(kind, r->logp[t], r->ref[t]);
    return sum;
}

static double mean_kl(const ae_rollouts *r, ae_kl_kind kind)
{
    double sum = 0;

    for (int64_t i = 0; i < r->n_replies; i++) sum += reply_kl(r, i, kind);
    return sum / (double)r->n_replies;
}

static void shape_scores(stepping *s)
{
    const ae_rollouts *r = &s->r;
    ae_moments m = s->t->at.scores;

    memcpy(s->shaped, r->scores, (size_t)r->n_replies * sizeof *s->shaped);
    if (s->o->scale) ae_moments_scale(&m, s->shaped, r->n_replies);
    for (int64_t i = 0; i < r->n_replies; i++)
        s->shaped[i] = ae_score_shaped(s->shaped[i], r->ended[i], s->o->missing_eos, s->o->clip);
    s->t->at.scores = m;
}

/* One number for all tokens of a reply. */
static void group_advantages(stepping *s)
{
    ae_rollouts *r = &s->r;
    const ae_recipe *recipe = s->t->recipe;

    if (recipe->method == AE_METHOD_RLOO) {
        for (int64_t i = 0; i < r->n_replies; i++)
            s->shaped[i] -= s->t->at.kl_coef * reply_kl(r, i, (ae_kl_kind)s->o->kl);
        ae_rloo_advantages(s->rewards, s->shaped, r->n_groups, r->size);
    } else {
        ae_grpo_advantages(s->rewards, s->shaped, r->n_groups, r->size,
                           (ae_group_scale)s->o->group_scale);
    }
    for (int64_t i = 0; i < r->n_replies; i++)
        for (int64_t t = r->first[i]; t < r->first[i + 1]; t++) r->advantages[t] = s->rewards[i];
}

static void token_advantages(stepping *s)
{
    ae_rollouts *r = &s->r;
    const ae_recipe *recipe = s->t->recipe;
    double coef = takes_kl(recipe) ? s->t->at.kl_coef : 0;

    for (int64_t i = 0; i < r->n_replies; i++) {
        int64_t t = r->first[i];
        ae_token_rewards(s->rewards + t, r->logp + t, r->ref + t, r->first[i + 1] - t,
                         (ae_kl_kind)s->o->kl, coef, s->shaped[i]);
    }
    if (s->o->whiten && recipe->method == AE_METHOD_PPO) ae_whiten(s->rewards, r->n_tokens, true);
    for (int64_t i = 0; i < r->n_replies; i++) {
        int64_t t = r->first[i];
        ae_gae(r->advantages + t, r->returns + t, s->rewards + t, r->values + t,
               r->first[i + 1] - t, s->o->gamma, s->o->lambda);
    }
    ae_whiten(r->advantages, r->n_tokens, false);
}

/* ---- updates ---- */

static void add_sums(ae_loss_sums *all, const ae_loss_sums *more)
{
    all->loss += more->loss;
    all->share += more->share;
    all->online.n_tokens += more->online.n_tokens;
    all->online.n_clipped += more->online.n_clipped;
    all->online.policy_loss += more->online.policy_loss;
    all->online.value_loss += more->online.value_loss;
    all->online.apart += more->online.apart;
}

/* The KL's coefficient, or what APA has in its place. */
static double first_coef(const ae_recipe *r)
{
    return r->method == AE_METHOD_APA ? r->online.apa_lambda : r->online.kl_coef;
}

/* All replies once, in `minibatches` parts that are as equal as can be. */
static aerie_status one_epoch(stepping *s, int64_t epoch, aerie_train_progress *p,
                              ae_loss_sums *sums, aerie_error *err)
{
    ae_pass pass = pass_over(s, &s->t->net, ae_online_has_values(s->t->recipe));
    int64_t parts = s->o->minibatches, n = s->r.n_groups;
    aerie_status status = AERIE_OK;

    pass.entropy = s->o->entropy_coef > 0;
    ae_epoch_order(s->order, n, s->seed, epoch);
    for (int64_t k = 0; k < parts && !status; k++) {
        int64_t first = n * k / parts, last = n * (k + 1) / parts;
        ae_loss_sums part = { 0 };
        if (first == last) continue;
        if (s->t->at.updates > s->updates && !s->kept) pass.run = NULL;
        status = ae_trainer_update(s->t, &pass, s->order + first, last - first,
                                   s->t->at.updates + 1, p, &part, err);
        if (!status) s->t->at.updates++;
        if (epoch == 0 && k == 0) sums->online.difference = part.online.difference;
        add_sums(sums, &part);
        s->t->at.tokens +=
            ae_plan_tokens(s->t->recipe, pass.objective, pass.set, s->order + first, last - first);
    }
    return status;
}

/* Of all replies that have been counted. */
static void tell_replies(aerie_train_progress *p, const ae_online_sums *sums)
{
    p->has_replies = true;
    p->reward = sums->reward;
    p->kl = sums->kl;
    p->reply_tokens = sums->reply_tokens;
}

static double deviation(const double *scores, int64_t n)
{
    double mean = 0, squares = 0;

    for (int64_t i = 0; i < n; i++) mean += scores[i] / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (scores[i] - mean) * (scores[i] - mean);
    return n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
}

static void report(const stepping *s, aerie_train_progress *p, ae_online_sums *out)
{
    const ae_rollouts *r = &s->r;
    double n = (double)r->n_replies;

    for (int64_t i = 0; i < r->n_replies; i++) {
        out->reward += r->scores[i] / n;
        out->eos_rate += r->ended[i] / n;
    }
    out->reward_std = deviation(r->scores, r->n_replies);
    for (int64_t t = 0; t < r->n_tokens; t++) out->entropy -= r->logp[t] / (double)r->n_tokens;
    out->kl = mean_kl(r, AE_KL_K1);
    out->kl_coef = s->t->at.kl_coef;
    out->reply_tokens = (double)r->n_tokens / n;
    tell_replies(p, out);
}

static aerie_status run(stepping *s, aerie_train_progress *p, ae_loss_sums *sums, aerie_error *err)
{
    ae_trainer *t = s->t;
    aerie_status status = sample(s, err);

    if (status) return status;
    if (t->at.step == 0) t->at.kl_coef = first_coef(t->recipe);
    s->r.lambda = t->at.kl_coef;
    report(s, p, &sums->online);
    shape_scores(s);
    if (uses_groups(t->recipe))
        group_advantages(s);
    else
        token_advantages(s);
    if (s->kept) status = ae_optimizer_keep(&t->optimizer, err);
    for (int64_t e = 0; e < s->o->epochs && !status; e++) status = one_epoch(s, e, p, sums, err);
    if (status == AERIE_INTERRUPTED && s->kept) ae_optimizer_put_back(&t->optimizer);
    if (status) return status;
    if (s->o->kl_target > 0)
        t->at.kl_coef = ae_adapted_kl_coef(t->at.kl_coef, sums->online.kl, s->o->kl_target,
                                           (double)s->r.n_replies, s->o->kl_horizon);
    ae_metrics_of_sums(p, sums);
    t->at.step++;
    return AERIE_OK;
}

aerie_status ae_online_step(ae_trainer *t, aerie_train_progress *p, ae_loss_sums *sums,
                            aerie_error *err)
{
    int64_t step = t->at.step, first = t->plan.first[step];
    stepping s = { .t = t,
                   .o = &t->recipe->online,
                   .prompts = t->data,
                   .items = t->plan.items + first,
                   .updates = t->at.updates,
                   .kept = ae_online_keeps(t->recipe),
                   .n = t->plan.first[step + 1] - first,
                   .seed = ae_mix64((uint64_t)t->recipe->seed ^ ae_mix64((uint64_t)step)),
                   .learns = true };
    aerie_status status = ae_trainer_follow(t, err);

    *sums = (ae_loss_sums){ 0 };
    if (!status) status = run(&s, p, sums, err);
    ae_rollouts_free(&s.r);
    return status;
}

/* ---- evaluation ---- */

/* Adds sums over replies and tokens, to be divided at the end, and keeps the scores. */
static void count_replies(const stepping *s, ae_online_sums *sums, double *scores, double *tokens)
{
    const ae_rollouts *r = &s->r;

    for (int64_t i = 0; i < r->n_replies; i++) {
        *scores++ = r->scores[i];
        sums->reward += r->scores[i];
        sums->eos_rate += r->ended[i];
        sums->kl += reply_kl(r, i, AE_KL_K1);
    }
    for (int64_t t = 0; t < r->n_tokens; t++) sums->entropy -= r->logp[t];
    *tokens += (double)r->n_tokens;
}

static void divide(ae_online_sums *sums, const double *scores, int64_t n, double tokens)
{
    sums->reward_std = deviation(scores, n);
    sums->reward /= (double)n;
    sums->eos_rate /= (double)n;
    sums->kl /= (double)n;
    sums->entropy /= tokens;
    sums->reply_tokens = tokens / (double)n;
}

/* As many prompts at once as a step has: the replies of all need not fit. */
static aerie_status sample_all(ae_trainer *t, const int64_t *items, int64_t n, ae_online_sums *sums,
                               double *scores, double *tokens, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    int64_t most = t->recipe->batch_size;

    for (int64_t first = 0; first < n && !status; first += most) {
        stepping s = { .t = t,
                       .o = &t->recipe->online,
                       .prompts = t->eval,
                       .items = items + first,
                       .n = ae_min64(most, n - first),
                       .seed = ae_mix64(~(uint64_t)t->recipe->seed ^ ae_mix64((uint64_t)first)) };
        status = sample(&s, err);
        if (!status) count_replies(&s, sums, scores + first * s.o->samples, tokens);
        ae_rollouts_free(&s.r);
    }
    return status;
}

aerie_status ae_online_evaluate(ae_trainer *t, aerie_train_progress *p, ae_loss_sums *sums,
                                aerie_error *err)
{
    int64_t n = t->objective->count(t->eval), n_replies = n * t->recipe->online.samples;
    int64_t *items = ae_plan_all(n, err);
    double *scores = ae_alloc((size_t)n_replies, sizeof *scores), tokens = 0;
    aerie_status status = items && scores ? ae_trainer_follow(t, err) : no_memory(err);

    *sums = (ae_loss_sums){ 0 };
    if (!status) status = sample_all(t, items, n, &sums->online, scores, &tokens, err);
    if (!status) {
        divide(&sums->online, scores, n_replies, tokens);
        tell_replies(p, &sums->online);
        p->loss = NAN;
    }
    ae_free(items);
    ae_free(scores);
    return status;
}
