/* hostile.h -- files made to break readers: the published attacks on readers of these formats, and
 * their relatives. One list serves the tests and the fuzz corpora. */
#ifndef AE_TEST_HOSTILE_H
#define AE_TEST_HOSTILE_H

#include "format/format.h"

typedef struct {
    const char *name;
    void (*put)(ae_bytes *out);
    aerie_status status;  /* what opening it gives; AERIE_OK: `key` is read as a float array */
    const char *sentence; /* a part of what is said */
    const char *key;
} hostile_case;

extern const hostile_case hostile_gguf[];
extern const size_t n_hostile_gguf;
extern const hostile_case hostile_safetensors[];
extern const size_t n_hostile_safetensors;

#endif
