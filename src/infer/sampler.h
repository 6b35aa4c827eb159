/* sampler.h -- from logits to one token. */
#ifndef AE_SAMPLER_H
#define AE_SAMPLER_H

#include "base/base.h"

/* Zero switches a filter off, but for temperature, where zero means the most likely token. The
 * order is llama.cpp's default chain: penalties, top-k, typical-p, top-p, min-p, temperature, draw.
 */
typedef struct {
    float temperature;
    int32_t top_k;          /* keep the k most likely */
    float typical_p;        /* keep the fewest that hold this much probability, those first whose
                             * surprise is nearest to the expected one (Meister et al. 2022, "Locally
                             * Typical Sampling"); 0 or 1: all */
    float top_p;            /* keep the fewest that hold this much probability; 0 or 1: all */
    float min_p;            /* keep those at least this fraction as likely as the best */
    float repeat_penalty;   /* CTRL's: positive logits divided, negative multiplied; 0 or 1: none */
    float presence_penalty; /* subtracted once from a token seen */
    float frequency_penalty; /* subtracted for each time it was seen */
    int32_t repeat_last_n;   /* how many last tokens the penalties look at; 0: none, -1: all */
} ae_sampling;

/* A candidate while filters narrow the choice. */
typedef struct {
    int32_t id;
    float logit;
} ae_candidate;

/* Room for draws from a vocabulary, to be used by one draw at a time. */
typedef struct {
    int64_t vocab_size;
    float *logits;            /* [V] with penalties */
    int32_t *counts;          /* [V] zero between draws */
    double *sums;             /* of blocks of the vocabulary */
    ae_candidate *candidates; /* [V] */
} ae_sampler;

aerie_status ae_sampler_open(ae_sampler *s, int64_t vocab_size, aerie_error *err);
void ae_sampler_close(ae_sampler *s); /* a zeroed one is fine */

/* Draws one token id. logits [V], not changed; `history` are the tokens so far, prompt included.
 * Ties go to the lower id. The same logits, history and rng state give the same token on every
 * machine. */
int32_t ae_sampler_draw(const ae_sampler *s, const ae_sampling *how, const float *logits,
                        const int32_t *history, int64_t n_history, ae_rng *rng);

/* AERIE_BAD_ARGUMENT with a sentence when a value is out of its range. */
aerie_status ae_sampling_check(const ae_sampling *how, aerie_error *err);

#endif
