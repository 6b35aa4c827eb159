/* speculate.h -- when guessing ahead pays.
 *
 * A pass over 1 + k tokens costs less than 1 + k passes, for the weights are read once. So a
 * reply's next tokens may be guessed, run together, and drawn one after another by the ordinary
 * sampler: as long as a drawn token is the guessed one, the next row's logits are those of plain
 * decoding to the last bit (Leviathan et al., 2211.17192, with the acceptance replaced by equality,
 * which the same bits in any batch make exact). Guessing decides how long a reply takes, never what
 * it says.
 *
 * What pays is measured as it runs: what a pass of n tokens costs, how often guesses of which
 * grounds hold. And an account bounds what being wrong can cost: losses are paid from what was won
 * and from a hundredth of the time spent. */
#ifndef AE_SPECULATE_H
#define AE_SPECULATE_H

#include "base/base.h"

enum {
    AE_GUESS_MOST = 16, /* guesses of a reply in one pass */
    AE_GRADES = 13,     /* grounds that are told apart: lengths of matches, then probabilities */
    AE_COST_MOST = 64   /* tokens of the largest pass with guesses */
};

int ae_grade_of_match(int64_t length); /* tokens that agree before the guess */
int ae_grade_of_probability(double p); /* which a draft model gives its guess */

/* How often guesses of each grade held in one text. */
typedef struct {
    double hits[AE_GRADES], tries[AE_GRADES];
} ae_hit_rates;

void ae_hit_rates_start(ae_hit_rates *r);
void ae_hit_rates_note(ae_hit_rates *r, int grade, bool hit);
double ae_hit_rate(const ae_hit_rates *r, int grade);
double ae_hit_rate_of_drafts(const ae_hit_rates *r); /* over all grades of probability */

/* Guessed tokens of a reply, and how many of them the next pass runs. */
typedef struct {
    int32_t ids[AE_GUESS_MOST];
    uint8_t grades[AE_GUESS_MOST];
    int64_t n, sent;
} ae_guess;

/* Seconds of a pass by its tokens. Zeroed: nothing is known. */
typedef struct {
    double seconds[AE_COST_MOST + 1];
} ae_pass_costs;

/* A pass of n tokens took that long; more than AE_COST_MOST is no news. */
void ae_pass_costs_note(ae_pass_costs *c, int64_t n, double seconds);
/* The best estimate; 0 while nothing is known. */
double ae_pass_cost(const ae_pass_costs *c, int64_t n);

/* An engine's experience. */
typedef struct {
    ae_pass_costs pass, draft; /* of the model, and of the draft model */
    double balance;            /* seconds that being wrong may still cost */
    bool started;
} ae_speculation;

/* Chooses how many of each reply's guesses the next pass runs: those that make tokens come
 * fastest, within the account. `replies` run in any case, some without guesses; a NULL guess is
 * none. room: guesses that fit. */
void ae_speculation_plan(ae_speculation *s, ae_guess *const *guesses,
                         const ae_hit_rates *const *rates, int64_t n, int64_t room);

/* How deep a draft model should guess for `replies` of these rates, when it has to read `behind`
 * tokens first; 0: not now. */
int64_t ae_speculation_depth(const ae_speculation *s, double hit_rate, int64_t replies,
                             int64_t behind);

/* Books a pass: `sent` guesses beside the replies' own tokens, `held` of them right, after drafting
 * for draft_seconds. */
void ae_speculation_book(ae_speculation *s, int64_t replies, int64_t sent, int64_t held,
                         double draft_seconds);

#endif
