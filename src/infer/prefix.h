/* prefix.h -- the computed beginnings of earlier texts: a prompt that begins like one of them goes
 * on from there. The keys and values are shared, not copied, and are those that computing them
 * again would give, to the last bit. What was thought of a text's tokens is kept with it, where it
 * was asked for. */
#ifndef AE_PREFIX_H
#define AE_PREFIX_H

#include "infer/chance.h"

typedef struct ae_prefixes ae_prefixes;

typedef struct {
    const int32_t *ids; /* [n] */
    int64_t n;
    int64_t kind; /* whose keys and values, of which type: texts of two kinds share nothing */
    int64_t cost; /* of a position, in those that are counted; 0: 1 */
    int tops;     /* 0: nothing is told of its tokens; else as ae_chances_of() has it */
} ae_prefix;

/* positions: the most that are kept, over all texts, what several share counted once; those used
 * longest ago go first. */
aerie_status ae_prefixes_open(ae_prefixes **out, int64_t positions, aerie_error *err);
void ae_prefixes_close(ae_prefixes *p);         /* NULL is fine */
int64_t ae_prefixes_held(const ae_prefixes *p); /* positions */

typedef struct {
    const ae_kv *kv;          /* NULL: no text shares anything */
    int64_t len;              /* positions of it that are shared */
    const ae_chance *chances; /* [len, tops] of the tokens 1 .. len; NULL: none were wanted */
    int tops;                 /* as many as wanted, or more */
} ae_prefix_found;

/* The kept text that shares the longest usable beginning with `like`, and with tops has what is
 * wanted of its tokens. Then the token after the beginning is the same too: what is thought of it
 * is known, and `like`'s last token is never shared. Borrowed until the next call that keeps
 * something. */
ae_prefix_found ae_prefixes_find(ae_prefixes *p, const ae_prefix *like);

/* Keeps a text that kv holds in full: its first n positions are those of ids. Takes over `kv`,
 * which nobody may write to from now on, and `chances` [n - 1, tops] (NULL with tops 0), whatever
 * happens. */
void ae_prefixes_keep(ae_prefixes *p, const ae_prefix *text, ae_kv *kv, ae_chance *chances);

/* Tokens that two texts begin with alike. */
int64_t ae_prefixes_common(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b);

#endif
