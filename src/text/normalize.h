/* normalize.h -- what is done to a text before it is cut: NFC, spaces, the dummy prefix. */
#ifndef AE_NORMALIZE_H
#define AE_NORMALIZE_H

#include "base/base.h"

typedef struct {
    bool nfc;
    bool squeeze;  /* no spaces at the ends, no two in a row */
    bool at_start; /* the text is the beginning of the whole: squeeze its first spaces */
    bool at_end;
    bool prefix;      /* a space in front */
    bool want_origin; /* fill `origin` */
} ae_normalizing;

/* A normalised text; zeroed is empty, and one may be used again and again. */
typedef struct {
    ae_bytes text;
    ae_ids origin; /* for each byte of `text` the byte of the original that it comes from */
} ae_normalized;

void ae_normalized_free(ae_normalized *n);

/* *out is the text to go on with: the text itself when nothing changes (*changed false), or what
 * lies in `n`. */
aerie_status ae_normalize(ae_normalized *n, ae_span text, ae_normalizing how, ae_span *out,
                          bool *changed, aerie_error *err);

#endif
