/* likelihood_tree.h -- private: texts by what they begin with. */
#ifndef AE_LIKELIHOOD_TREE_H
#define AE_LIKELIHOOD_TREE_H

#include "infer/likelihood.h"

/* A text's tokens but the last, which predicts nothing. */
typedef struct {
    const int32_t *ids;
    int64_t n;
    int64_t index; /* of the request */
} ae_fed_text;

/* Positions from .. to - 1 of the texts lo .. hi - 1, which are alike in all positions before
 * `to`. */
typedef struct {
    int64_t lo, hi;
    int64_t from, to;
    int64_t parent;  /* the node that ends at `from`; -1: from is 0. parent < own index */
    int64_t longest; /* tokens of the longest of its texts */
} ae_tree_node;

typedef struct {
    ae_fed_text *texts; /* [n], sorted; owned */
    int64_t n;
    ae_tree_node *nodes; /* [n_nodes], parents first; owned */
    int64_t n_nodes, room;
} ae_text_tree;

/* Sorts `texts`, which it takes over whatever happens, and cuts them into nodes: a beginning gets a
 * node of its own where computing it once saves at least `worth` tokens. */
aerie_status ae_text_tree_build(ae_text_tree *out, ae_fed_text *texts, int64_t n, int64_t worth,
                                aerie_error *err);
void ae_text_tree_free(ae_text_tree *t);

#endif
