/* bound.h -- replies that are held to a grammar. */
#ifndef AE_API_BOUND_H
#define AE_API_BOUND_H

#include "aerie/grammar.h"
#include "grammar/grammar.h"
#include "infer/infer.h"

/* A grammar over a vocabulary. Borrows both. */
typedef struct {
    const ae_grammar *grammar;
    const ae_token_order *order;
} ae_bound;

const ae_grammar *ae_bound_rules(const aerie_grammar *g);

/* For ae_request.constraint; `bound` must stay where it is. */
ae_constraint ae_bound_constraint(const ae_bound *bound);

#endif
