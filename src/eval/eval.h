/* eval.h -- the door of eval: judges of replies, and data that is made by asking them. */
#ifndef AE_EVAL_H
#define AE_EVAL_H

#include "eval/benchmark.h"
#include "eval/judge.h"
#include "eval/label.h"
#include "eval/saved_logits.h"

#endif
