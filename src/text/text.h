/* text.h -- the door of text: characters, tokens, chat templates. */
#ifndef AE_TEXT_H
#define AE_TEXT_H

#include "text/jinja_chars.h"
#include "text/regex.h"
#include "text/stops.h"
#include "text/template.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

#endif
