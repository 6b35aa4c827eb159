/* stats.h -- the door of stats: what measurements allow one to say. Nothing but numbers. */
#ifndef AE_STATS_H
#define AE_STATS_H

#include "stats/binomial.h"
#include "stats/bootstrap.h"
#include "stats/lasso.h"
#include "stats/length.h"
#include "stats/length_glm.h"
#include "stats/logistic.h"
#include "stats/mean.h"
#include "stats/paired.h"
#include "stats/rating.h"

#endif
