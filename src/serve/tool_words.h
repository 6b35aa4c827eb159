/* tool_words.h -- tools told in words, for chat templates that have no place for them. Private to
 * serve. */
#ifndef AE_TOOL_WORDS_H
#define AE_TOOL_WORDS_H

#include "serve/tools.h"

#include "aerie/model.h"

/* The messages as a template with these traits can write them: what tools there are goes to the
 * system message (where there is no place for one, to the first of the user's), calls go to the
 * assistant's text, results to messages of the user. The calls' form is one that the reader of
 * calls knows. A list of the caller's. */
json_t *ae_tool_words(json_t *messages, const ae_tools *tools, const aerie_chat_traits *traits);

#endif
