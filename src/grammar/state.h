/* state.h -- the ways that a text may go on. Private to grammar. */
#ifndef AE_GRAMMAR_STATE_H
#define AE_GRAMMAR_STATE_H

#include "grammar/rules.h"

enum { AE_MET = 8192, AE_WORK = 4096 };

/* Where a rule goes on after one that it called. */
typedef struct {
    uint64_t hash; /* of the chain from here down */
    int32_t pos;   /* in the code */
    int32_t below; /* node; -1: the root's end */
    int32_t depth;
} ae_way_node;

typedef struct {
    int32_t pos, below;
} ae_way;

typedef struct {
    uint64_t round;
    int32_t pos, below;
} ae_way_met;

/* The ways after so many bytes. */
typedef struct {
    size_t begin, end; /* in `ways` */
    size_t n_nodes;    /* that it and those before it stand on */
    bool may_end;
} ae_way_level;

struct ae_grammar_state {
    const ae_grammar *grammar;
    ae_way_node *nodes;
    int32_t *moved; /* [cap_moved], of nodes: where to, while some are kept */
    ae_way *ways;
    ae_way_level *levels;
    size_t n_nodes, cap_nodes, cap_moved, cap_ways, cap_levels;
    /* While a level is made: what was met, and what is to be looked at. */
    ae_way_met met[AE_MET];
    uint64_t round;
    size_t n_met, n_work;
    ae_way work[AE_WORK];
};

/* Makes level from + 1 of level `from` and a byte. False: nothing fits. */
bool ae_grammar_level(ae_grammar_state *s, size_t from, unsigned char byte);

#endif
