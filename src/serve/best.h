/* best.h -- the best of n: a chat is answered several times, a reward model scores the replies, and
 * one of them is the reply. Private to serve. */
#ifndef AE_BEST_H
#define AE_BEST_H

#include "serve/talk.h"

/* Part of an ae_chat. Zeroed: every reply is told. */
typedef struct {
    int64_t n;        /* replies to choose from; 0: none are chosen */
    char model[512];  /* that chooses */
    json_t *messages; /* what was replied to; owned */
    double *scores;   /* [n], owned */
    int64_t n_scored;
    aerie_ask_stats stats; /* of the replies */
    int64_t tokens;        /* that the reward model was given */
    /* What is told beside the reply once it is chosen: {"reward_model", "scores", "index",
     * "scored_tokens"}; owned; NULL before. */
    json_t *told;
} ae_best;

/* `best_of` (2 to 64; 1 and none are no wish) and `reward_model` of a request, or of its options.
 */
aerie_status ae_best_read(ae_best *b, const json_t *request, aerie_error *err);
/* Fails when there is no such reward model. */
aerie_status ae_best_check(const ae_best *b, const ae_talk *t, aerie_error *err);
void ae_best_free(ae_best *b);

/* Of a talk whose state begins with an ae_chat. All its replies are there, and the talk goes on
 * with the reward model; then that one's events; after the last of them the chat's voice says the
 * best reply as it would have said an only one. */
void ae_best_judge(ae_talk *t, const aerie_ask_stats *stats);
void ae_best_event(ae_talk *t, size_t n, const aerie_event *e);

#endif
