/* infer.h -- the door of infer: choosing tokens, running many sequences at once, sessions,
 * how far two models lie apart. */
#ifndef AE_INFER_H
#define AE_INFER_H

#include "infer/chance.h"
#include "infer/divergence.h"
#include "infer/engine.h"
#include "infer/likelihood.h"
#include "infer/reward.h"
#include "infer/sampler.h"
#include "infer/session.h"

#endif
