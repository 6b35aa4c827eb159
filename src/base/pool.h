/* pool.h -- loops over data by a fixed crew of threads that runs one loop at a time.
 *
 * Results must not depend on how a loop is split: a task writes what belongs to its own indices
 * and never adds into what another index writes. */
#ifndef AE_POOL_H
#define AE_POOL_H

#include "aerie/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ae_pool ae_pool;

/* `worker` is 0 .. n_workers - 1: the index of a per-worker scratch. */
typedef void ae_pool_fn(void *job, int64_t begin, int64_t end, int worker);

/* n_threads: the caller counts as one; 0: one per processor this process may use. Between loops the
 * crew keeps awake for a millisecond or two, making way for whoever wants its processors, and then
 * sleeps. */
aerie_status ae_pool_open(ae_pool **out, int n_threads, aerie_error *err);
void ae_pool_close(ae_pool *pool); /* NULL is fine */
int ae_pool_size(const ae_pool *pool);

/* Keeps every thread of the crew, the calling one included, to a processor of its own, different
 * cores first; closing the pool in the same thread lets that thread go where it could before. Worth
 * trying on a machine that has nothing else to do; a neighbour on such a processor then holds
 * everybody up. false when there are fewer processors than threads, or the system does not let it.
 */
bool ae_pool_pin(ae_pool *pool);

/* Runs fn over 0 .. count-1 in chunks of `grain` (at least 1) that workers take as they come
 * free; returns when all is done. Not to be called from inside a loop. */
void ae_pool_run(ae_pool *pool, int64_t count, int64_t grain, ae_pool_fn *fn, void *job);

/* While a pool rests, a loop returns at once and none of it is run. */
void ae_pool_rest(ae_pool *pool, bool rest);

#endif
