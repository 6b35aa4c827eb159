/* adapter_pattern.h -- PEFT's rank_pattern and alpha_pattern: numbers of modules whose names match.
 * Private to model. */
#ifndef AE_ADAPTER_PATTERN_H
#define AE_ADAPTER_PATTERN_H

#include "model/adapter.h"

typedef struct ae_pattern ae_pattern;

/* Of an adapter_config.json's key, which may be missing. On AERIE_OK *out is the caller's; NULL: no
 * module has a number of its own. */
aerie_status ae_pattern_read(ae_pattern **out, const json_t *root, const char *key,
                             const char *path, aerie_error *err);
void ae_pattern_free(ae_pattern *p); /* NULL is fine */
/* The number of the first key that matches the module's path or the end of it after a dot, as PEFT
 * does it (get_pattern_key of peft/utils/other.py); `otherwise` when none does or p is NULL. A key
 * that would match for ever matches nothing. */
double ae_pattern_find(const ae_pattern *p, const char *module, double otherwise);

/* What ranks and alphas an adapter has that are not its own: two objects, new. Each such module is
 * in both, since PEFT before 0.15 takes both numbers by the key that matches first. */
aerie_status ae_pattern_write(json_t **ranks, json_t **alphas, const ae_adapter *a,
                              const ae_model *m, aerie_error *err);

#endif
