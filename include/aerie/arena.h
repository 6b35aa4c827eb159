/* arena.h -- blind votes on two models' replies: kept in one SQLite file, made into ratings and
 * into training data. */
#ifndef AERIE_ARENA_H
#define AERIE_ARENA_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aerie_arena aerie_arena;

/* Opens a file of votes, or begins one. */
AERIE_API aerie_status aerie_arena_open(aerie_arena **out, const char *path, aerie_error *err);
/* Opens one to be read: nothing is begun, AERIE_NOT_FOUND where there is none. */
AERIE_API aerie_status aerie_arena_read(aerie_arena **out, const char *path, aerie_error *err);
AERIE_API void aerie_arena_close(aerie_arena *a); /* NULL is fine */

typedef enum { AERIE_VOTE_A, AERIE_VOTE_B, AERIE_VOTE_TIE, AERIE_VOTE_BOTH_BAD } aerie_vote_kind;

typedef struct {
    const char *voter;    /* "" is fine */
    const char *messages; /* a JSON list: what both replies answer */
    const char *model_a, *model_b;
    const char *reply_a, *reply_b;
    aerie_vote_kind vote;
} aerie_vote;

/* Everything is copied; it is on the disk when this returns. */
AERIE_API aerie_status aerie_arena_vote(aerie_arena *a, const aerie_vote *vote, aerie_error *err);
/* Whether the voter has voted on these two replies to this, in either order. */
AERIE_API aerie_status aerie_arena_has(aerie_arena *a, const aerie_vote *vote, bool *has,
                                       aerie_error *err);

/* {"votes": N, "models": [{"model", "rating", "interval", "votes", "wins", "ties"}...]}, the best
 * first: Bradley and Terry's model, both kinds of ties half a win, every model with one tie against
 * an average one beside its votes; intervals of 95 % by bootstrap over prompts. *json is the
 * caller's (aerie_free). */
AERIE_API aerie_status aerie_arena_ratings(aerie_arena *a, char **json, aerie_error *err);

/* Writes the votes that name a winner as lines {"prompt", "chosen", "rejected"}, which
 * aerie_train() reads as pairs. `n` may be NULL. Atomic. */
AERIE_API aerie_status aerie_arena_export(aerie_arena *a, const char *path, int64_t *n,
                                          aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
