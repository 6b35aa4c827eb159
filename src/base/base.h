/* base.h -- the door of base: memory, text, files, numbers, threads. Nothing but the C library. */
#ifndef AE_BASE_H
#define AE_BASE_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/thread.h"

#include "aerie/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AE_COUNT(array) (sizeof(array) / sizeof *(array))

static inline int64_t ae_min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t ae_max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
