/* engine_private.h -- what engine.c and score.c share. */
#ifndef AE_ENGINE_PRIVATE_H
#define AE_ENGINE_PRIVATE_H

#include "infer/engine.h"

struct ae_engine {
    ae_engine_options options;
    ae_arena step;            /* one forward pass */
    ae_candidate *candidates; /* [V] */
};

#endif
