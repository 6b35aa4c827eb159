/* thoughts.h -- what a model writes before its reply: whether it should, and which of what it
 * writes it is. */
#ifndef AERIE_THOUGHTS_H
#define AERIE_THOUGHTS_H

#include "aerie/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { AERIE_THINK_UNSAID, AERIE_THINK_YES, AERIE_THINK_NO } aerie_think;

/* The variables by which chat templates are told of it, as a text of JSON: an object, for
 * aerie_ask's template_vars and aerie_session_set_vars(). level: how much ("low", "high"); own: a
 * JSON object of further variables; either may be NULL. *out is the caller's (aerie_free); NULL:
 * there is nothing to tell. */
AERIE_API aerie_status aerie_think_vars(char **out, aerie_think wish, const char *level,
                                        const char *own, aerie_error *err);

/* Tells a reply's thoughts, between <think> and </think> or [THINK] and [/THINK] at its beginning,
 * from what is said. */
typedef struct aerie_thoughts aerie_thoughts;

/* within: the reply begins in a thought, whose mark is the prompt's end. *out is the caller's. */
AERIE_API aerie_status aerie_thoughts_open(aerie_thoughts **out, bool within, aerie_error *err);
AERIE_API void aerie_thoughts_close(aerie_thoughts *t); /* NULL is fine */

/* What became of a stretch: borrowed until the next call, '\0'-terminated, any of them maybe empty.
 * White space between marks and either is dropped. */
typedef struct {
    const char *thought, *said;
    size_t thought_len, said_len;
} aerie_thoughts_part;

/* More of a reply, in which `n_tokens` of its tokens end. What may yet be a mark waits. After a
 * lack of memory no more of the reply is given out, and the end says so. */
AERIE_API aerie_thoughts_part aerie_thoughts_add(aerie_thoughts *t, const char *text, size_t len,
                                                 int64_t n_tokens);
/* The reply is at its end: what waited is what it is now. */
AERIE_API aerie_status aerie_thoughts_end(aerie_thoughts *t, aerie_thoughts_part *rest,
                                          aerie_error *err);
/* Tokens of the thought so far, with its marks. */
AERIE_API int64_t aerie_thoughts_tokens(const aerie_thoughts *t);

#ifdef __cplusplus
}
#endif
#endif
