/* yaml.h -- a YAML mapping as JSON values. Private to task. */
#ifndef AE_TASK_YAML_H
#define AE_TASK_YAML_H

#include "base/base.h"

#include <jansson.h>

typedef struct {
    json_t *root;  /* an object */
    json_t *lines; /* its keys -> the lines they stand on, from 1 */
} ae_yaml;

/* Plain scalars are null, truth values, integers and reals where they look so, else texts. Anchors
 * are followed within a bound. `name` is for messages. On failure nothing is left. */
aerie_status ae_yaml_read(ae_yaml *out, const char *name, ae_span text, aerie_error *err);
void ae_yaml_free(ae_yaml *y);

#endif
