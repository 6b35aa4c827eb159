/* instructions.h -- whether a reply does what it was told, as IFEval's 25 checkers decide it (Zhou
 * et al., 2311.07911; the code is that of google-research's and lm-evaluation-harness's
 * instructions.py). Where theirs depends on trained data of nltk and langdetect, see sentences.h
 * and language.h. */
#ifndef AE_INSTRUCTIONS_H
#define AE_INSTRUCTIONS_H

#include "base/base.h"

#include <jansson.h>

/* ids: array of n names ("punctuation:no_comma"); kwargs: array of n objects. strict [n]: of the
 * reply as it is; loose [n]: of any of eight variants of it, without its first line, its last,
 * both, and without asterisks. An instruction that is not known, or lacks an argument, fails with a
 * sentence. */
aerie_status ae_instructions_check(bool *strict, bool *loose, const json_t *ids,
                                   const json_t *kwargs, ae_span reply, aerie_error *err);

#endif
