/* length_glm.h -- AlpacaEval's length-controlled win rate in full: with how difficult each
 * instruction is (Dubois et al. 2404.04475; alpaca_eval, metrics/glm_winrate.py,
 * "length_controlled_v1"). */
#ifndef AE_STATS_LENGTH_GLM_H
#define AE_STATS_LENGTH_GLM_H

#include "base/base.h"

/* The baseline against itself, told to write briefly or at length: it keeps the model's features
 * from telling of more than length. Lengths as in the regression: (baseline - other) / deviation.
 */
typedef struct {
    const double *y, *length, *difficulty; /* [n] */
    size_t n;
} ae_length_gamed;

typedef struct {
    const double *y; /* [n], as ae_length_control() has it; NaN: no verdict. Such an item is not
                      * fitted, but predicted */
    const double *length_a, *length_b; /* [n], of the baseline and of the model */
    const double *difficulty;          /* [n], of the items' instructions */
    size_t n;
    ae_length_gamed gamed; /* zeroed: there are none */
} ae_length_verdicts;

typedef struct {
    double controlled;        /* mean of sigmoid(weights[1] * difficulty + weights[2]) */
    double controlled_stderr; /* of that mean, over instructions */
    double weights[3];        /* of tanh(length / deviation), of difficulty, and the constant */
    double strength;          /* C, which cross-validation chose */
} ae_length_glm;

/* The regression with a penalty on |weights|; gamed rows weigh 0.1 each, and have no constant. Two
 * verdicts at least. */
aerie_status ae_length_glm_fit(ae_length_glm *out, const ae_length_verdicts *v, aerie_error *err);

/* A verdict on a model's answer to an instruction, both numbered. */
typedef struct {
    size_t model, instruction;
    double y;      /* no NaN */
    double length; /* (baseline - model) / deviation of that over the model's */
} ae_length_battle;

/* How difficult the instructions are, from several models' verdicts at once: for every model a
 * weight of length and a constant, for every instruction a constant, which is out[instruction]
 * (notebooks/instruction_difficulty.ipynb). Instruction 0 has 0. */
aerie_status ae_length_difficulty(double *out, const ae_length_battle *battles, size_t n,
                                  size_t n_models, size_t n_instructions, aerie_error *err);

#endif
