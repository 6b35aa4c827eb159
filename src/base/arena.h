/* arena.h -- memory with one lifetime.
 *
 * Everything taken from an arena dies together, at ae_arena_reset() or ae_arena_free(); nothing is
 * freed on its own. An arena grows by blocks, so pointers stay valid while it grows. */
#ifndef AE_ARENA_H
#define AE_ARENA_H

#include <stddef.h>

typedef struct ae_arena_block ae_arena_block;

typedef struct {
    ae_arena_block *last;  /* newest block; each knows the one before */
    ae_arena_block *spare; /* blocks given back by a reset, kept for reuse */
    size_t used;           /* bytes taken, alignment included */
    size_t peak;           /* most ever used */
    size_t touched;        /* bytes of its blocks that were ever taken: what it costs, once written */
    size_t touched_peak;
    size_t limit;          /* taking past this fails; 0: no limit */
} ae_arena;

typedef struct {
    ae_arena_block *block;
    size_t block_used, used;
} ae_arena_mark;

/* A zeroed arena is a valid, empty one. Frees every block; the arena is empty again. */
void ae_arena_free(ae_arena *arena);

/* 64-byte aligned and zeroed; NULL when there is no room. */
void *ae_arena_take(ae_arena *arena, size_t count, size_t size);

/* The same, not zeroed: for buffers that are about to be written whole. */
void *ae_arena_take_raw(ae_arena *arena, size_t count, size_t size);

char *ae_arena_strndup(ae_arena *arena, const char *text, size_t len);

/* A mark is a position: resetting to it drops everything taken since and keeps the memory. A reset
 * of everything makes one block of several. */
ae_arena_mark ae_arena_here(const ae_arena *arena);
void ae_arena_reset(ae_arena *arena, ae_arena_mark mark);
void ae_arena_reset_all(ae_arena *arena);

#endif
