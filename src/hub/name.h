/* name.h -- a name taken apart. Private to hub. */
#ifndef AE_NAME_H
#define AE_NAME_H

#include "hub/hub.h"

typedef struct {
    ae_span name, tag; /* borrowed; tag is "latest" when none was given */
} ae_name;

/* False when the text is no name. */
bool ae_name_parse(ae_name *out, const char *text);

#endif
