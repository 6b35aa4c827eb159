/* config_keys.h -- reading the keys of a configuration, one after another: the first failure
 * sticks, so that reading is a list. Private to model. */
#ifndef AE_CONFIG_KEYS_H
#define AE_CONFIG_KEYS_H

#include "model/model.h"

#include <jansson.h>

/* Of one object of a config.json. */
typedef struct {
    const json_t *object;
    const char *path;
    aerie_error error;
} ae_hf_keys;

/* NULL when it is missing or null. */
const json_t *ae_hf_value(const ae_hf_keys *keys, const char *key);
double ae_hf_number(ae_hf_keys *keys, const char *key, double fallback);
/* fallback < 0: the key must be there. */
int64_t ae_hf_count(ae_hf_keys *keys, const char *key, int64_t fallback);
bool ae_hf_flag(ae_hf_keys *keys, const char *key, bool fallback);
const char *ae_hf_text(ae_hf_keys *keys, const char *key); /* NULL when it is missing */
/* Qwen's way to say which layers have a window: a switch, and the first of them. Sets
 * sliding_window; fails when only some layers would have one. */
void ae_hf_switched_window(ae_config *c, ae_hf_keys *keys);

/* Of GGUF metadata, under "<architecture>.". */
typedef struct {
    const ae_gguf *gguf;
    const char *architecture;
    char key[96]; /* the last one that was asked for, in full */
    aerie_error error;
} ae_gguf_keys;

bool ae_gguf_keys_has(ae_gguf_keys *keys, const char *key);
/* fallback < 0: the key must be there. */
int64_t ae_gguf_keys_count(ae_gguf_keys *keys, const char *key, int64_t fallback);
double ae_gguf_keys_number(ae_gguf_keys *keys, const char *key, double fallback);

void ae_gguf_keys_set_count(ae_gguf_writer *w, const ae_config *c, const char *key, int64_t value);
void ae_gguf_keys_set_number(ae_gguf_writer *w, const ae_config *c, const char *key, double value);

#endif
