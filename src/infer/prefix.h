/* prefix.h -- the computed beginnings of earlier texts: a prompt that begins like one of them goes
 * on from there. The keys and values are shared, not copied, and are those that computing them
 * again would give, to the last bit. */
#ifndef AE_PREFIX_H
#define AE_PREFIX_H

#include "nn/nn.h"

typedef struct ae_prefixes ae_prefixes;

/* positions: the most that are kept, over all texts, what several share counted once; those used
 * longest ago go first. */
aerie_status ae_prefixes_open(ae_prefixes **out, int64_t positions, aerie_error *err);
void ae_prefixes_close(ae_prefixes *p);         /* NULL is fine */
int64_t ae_prefixes_held(const ae_prefixes *p); /* positions */

/* The kept text that shares the longest usable beginning with ids [n]: its cache, and in *len how
 * many positions of it; NULL when none does. Borrowed until the next call that keeps something. */
const ae_kv *ae_prefixes_find(ae_prefixes *p, const int32_t *ids, int64_t n, int64_t *len);

/* Keeps a text that kv holds in full: its first n positions are those of ids. Takes over `kv`,
 * which nobody may write to from now on, whatever happens. */
void ae_prefixes_keep(ae_prefixes *p, const int32_t *ids, int64_t n, ae_kv *kv);

/* Tokens that two texts begin with alike. */
int64_t ae_prefixes_common(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b);

#endif
