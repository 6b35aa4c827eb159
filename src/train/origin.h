/* origin.h -- private: what an adapter is learned from, for its chain. */
#ifndef AE_TRAIN_ORIGIN_H
#define AE_TRAIN_ORIGIN_H

#include "train/train.h"

/* Method, base's form, the hash of the recipe's keys that change numbers, and of each data file. A
 * path that is no file (any more) is left out. Everything lives in `arena`. */
aerie_status ae_origin_of(ae_chain *out, const ae_recipe *recipe, ae_arena *arena,
                          aerie_error *err);

#endif
