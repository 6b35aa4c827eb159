/* chain.h -- where weights come from, as JSON in a file's metadata. Private to model. */
#ifndef AE_CHAIN_H
#define AE_CHAIN_H

#include "model/model.h"

/* Reads a chain whose texts live in `arena`. Every hash is checked to be one. `path`: for messages.
 */
aerie_status ae_chain_read(ae_chain *out, ae_arena *arena, ae_span json, const char *path,
                           aerie_error *err);
/* Appends it as JSON, on one line. */
aerie_status ae_chain_print(const ae_chain *c, ae_bytes *out, aerie_error *err);
/* A copy of links with room for `more`; NULL: no memory. */
ae_chain_link *ae_chain_copy(ae_arena *arena, const ae_chain_link *links, int n, int more);
/* Which link has the hash; NULL: none. */
const ae_chain_link *ae_chain_find(const ae_chain_link *links, int n, const char *hash);

#endif
