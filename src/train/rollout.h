/* rollout.h -- private: replies sampled by the policy that is trained, and what is known of each of
 * their tokens. */
#ifndef AE_TRAIN_ROLLOUT_H
#define AE_TRAIN_ROLLOUT_H

#include "train/online.h"
#include "train/reward_model.h"

/* What a step's loss is divided by, and with it how much a token weighs. */
typedef enum {
    AE_PER_TOKEN, /* the replies' tokens */
    AE_PER_REPLY, /* replies; a token weighs 1 / its reply's length */
    AE_PER_ROOM   /* replies times the longest that one may be (Dr. GRPO) */
} ae_rollout_share;

/* The replies of one step. Reply r of prompt g is number g * size + r; its tokens are first[number]
 * .. first[number + 1] - 1 of the lists. */
typedef struct {
    ae_samples set; /* comes first: item g is prompt g with its replies behind it */
    int64_t n_groups, size, n_replies, n_tokens;
    int64_t *first; /* [n_replies + 1] */
    bool *ended;    /* [n_replies]: by an end-of-reply token */
    double *scores; /* [n_replies], as the source gave them */
    /* [n_tokens] */
    double *logp; /* when it was drawn: the trainer's bits */
    double *ref;  /* under the starting weights */
    double *values, *advantages, *returns;
    ae_rollout_share share;
    int64_t room;  /* rollout.max_new_tokens */
    double lambda; /* apa: of this step */
} ae_rollouts;

/* The rollouts whose `set` a pass was given. */
static inline const ae_rollouts *ae_rollouts_of(const ae_samples *set)
{
    return (const ae_rollouts *)(const void *)set;
}

typedef struct {
    const ae_recipe *recipe;
    const ae_train_run *run; /* asked whether to stop; may be NULL */
    ae_device *device;
    const ae_net *net;             /* the policy as it stands */
    const ae_tokenizer *tokenizer; /* NULL: no token ends a reply */
    const ae_samples *prompts;
    const int64_t *items; /* of the prompts; repetitions allowed */
    int64_t n;
    uint64_t seed;
} ae_rollout_call;

/* Samples recipe->online.samples replies to each. Caches are F32, so that log-probabilities are the
 * trainer's to the bit; prompts are computed once for their replies; at most
 * recipe->online.parallel replies are under way. Everything but first, ended, logp and the tokens
 * is zero. To be freed also after a failure. */
aerie_status ae_rollouts_make(ae_rollouts *out, const ae_rollout_call *call, aerie_error *err);
void ae_rollouts_free(ae_rollouts *r);

/* Scores every reply (see reward_source.h). */
aerie_status ae_rollouts_score(ae_rollouts *r, const ae_recipe *recipe, const ae_train_run *run,
                               ae_reward_model *model, const ae_tokenizer *tokenizer,
                               aerie_error *err);

/* The reply's tokens. */
const int32_t *ae_rollouts_ids(const ae_rollouts *r, int64_t reply);

#endif
