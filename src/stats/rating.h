/* rating.h -- ratings of players from who won against whom: Bradley-Terry and Elo. */
#ifndef AE_STATS_RATING_H
#define AE_STATS_RATING_H

#include "base/base.h"
#include "stats/binomial.h"

typedef struct {
    int32_t a, b;  /* players, 0 .. n_players-1, not the same */
    double score;  /* of a: 1 it won, 0 it lost, 0.5 a tie */
    double weight; /* 0: 1 */
    int64_t item;  /* what they met about; rating_bootstrap() draws whole items */
} ae_battle;

typedef struct {
    double scale;   /* points of a factor 10 in the odds; 0: 400 */
    double middle;  /* the ratings' mean; 0: 1000 */
    double prior;   /* ties with an average player that every player is given; 0: none. With none a
                     * player that never lost (or won) has no finite rating and gets one that is
                     * far up (down) */
    int64_t rounds; /* of the bootstrap; 0: 1000 */
    uint64_t seed;
} ae_rating_options;

/* Maximum likelihood of Bradley and Terry's model, a tie being half a win for each; out[n_players].
 * FastChat's compute_bt (rating_systems.py) to what its optimiser leaves open. */
aerie_status ae_rating_bradley_terry(double *out, const ae_battle *battles, size_t n,
                                     int32_t n_players, const ae_rating_options *options,
                                     aerie_error *err);

/* The 2.5 % and 97.5 % quantiles of the ratings over resamples of the items. */
aerie_status ae_rating_bootstrap(ae_interval *out, const ae_battle *battles, size_t n,
                                 int32_t n_players, const ae_rating_options *options,
                                 aerie_error *err);

/* Elo's ratings battle by battle, in order: k points at most a battle (FastChat: 4), all from
 * options->middle. */
void ae_rating_elo(double *out, const ae_battle *battles, size_t n, int32_t n_players, double k,
                   const ae_rating_options *options);

#endif
