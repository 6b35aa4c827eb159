/* language.h -- which language a text is in, of the thirty that IFEval asks for and some that must
 * not be taken for them. By script where a script has one language, by letters or by common words
 * where several share it. The official checker asks langdetect, which draws lots on short texts;
 * here what is written in Latin letters and speaks for no language is English. */
#ifndef AE_LANGUAGE_H
#define AE_LANGUAGE_H

#include "base/base.h"

/* ISO 639-1 ("en"), static; NULL: the text has no letters. */
aerie_status ae_language_of(const char **out, ae_span text, aerie_error *err);

#endif
