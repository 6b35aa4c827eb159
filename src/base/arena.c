/* arena.c -- blocks that grow in a chain; a reset keeps them for the next round. */
#include "base/arena.h"

#include "base/alloc.h"

#include <string.h>

enum { ALIGNMENT = 64, SMALLEST_BLOCK = 64 * 1024, LARGEST_GROWTH = 16 * 1024 * 1024 };

struct ae_arena_block {
    ae_arena_block *before;
    size_t size, used;
    size_t touched; /* bytes ever given out: what lies beyond is still zero */
    char *data;
};

static void free_chain(ae_arena_block *block)
{
    while (block) {
        ae_arena_block *before = block->before;
        ae_free(block);
        block = before;
    }
}

void ae_arena_free(ae_arena *arena)
{
    free_chain(arena->last);
    free_chain(arena->spare);
    *arena = (ae_arena){ .limit = arena->limit };
}

static ae_arena_block *new_block(size_t size)
{
    size_t total;
    ae_arena_block *block;

    if (!ae_add_size(&total, size, ALIGNMENT)) return NULL;
    block = ae_alloc(total, 1);
    if (!block) return NULL;
    block->size = size;
    block->data = (char *)block + ALIGNMENT;
    return block;
}

/* Blocks come back in the order they were first taken in, so a loop that takes the same things
 * every round finds each where it was. */
static ae_arena_block *spare_block(ae_arena *arena, size_t size)
{
    for (ae_arena_block **at = &arena->spare; *at; at = &(*at)->before) {
        ae_arena_block *block = *at;
        if (block->size < size) continue;
        *at = block->before;
        return block;
    }
    return NULL;
}

static ae_arena_block *block_with_room(ae_arena *arena, size_t size)
{
    ae_arena_block *block = arena->last;
    size_t wanted = arena->used, whole = arena->used ? 0 : arena->peak;

    if (block && block->size - block->used >= size) return block;
    block = spare_block(arena, size);
    if (!block) {
        if (wanted < SMALLEST_BLOCK) wanted = SMALLEST_BLOCK;
        if (wanted > LARGEST_GROWTH) wanted = LARGEST_GROWTH;
        if (wanted < whole) wanted = whole;
        block = new_block(wanted > size ? wanted : size);
        if (!block && wanted > size) block = new_block(size);
        if (!block) return NULL;
    }
    block->before = arena->last;
    block->used = 0;
    arena->last = block;
    return block;
}

static void *take(ae_arena *arena, size_t count, size_t size, int zeroed)
{
    size_t bytes, total;
    ae_arena_block *block;
    char *taken;

    if (!ae_mul_size(&bytes, count, size) || !ae_add_size(&bytes, bytes, ALIGNMENT - 1))
        return NULL;
    bytes &= ~(size_t)(ALIGNMENT - 1);
    if (!bytes) bytes = ALIGNMENT;
    if (!ae_add_size(&total, arena->used, bytes)) return NULL;
    if (arena->limit && total > arena->limit) return NULL;
    block = block_with_room(arena, bytes);
    if (!block) return NULL;
    taken = block->data + block->used;
    if (zeroed && block->used < block->touched) {
        size_t dirty = block->touched - block->used;
        memset(taken, 0, dirty < bytes ? dirty : bytes);
    }
    block->used += bytes;
    if (block->touched < block->used) {
        arena->touched += block->used - block->touched;
        block->touched = block->used;
        if (arena->touched_peak < arena->touched) arena->touched_peak = arena->touched;
    }
    arena->used = total;
    if (arena->peak < total) arena->peak = total;
    return taken;
}

void *ae_arena_take(ae_arena *arena, size_t count, size_t size)
{
    return take(arena, count, size, 1);
}

void *ae_arena_take_raw(ae_arena *arena, size_t count, size_t size)
{
    return take(arena, count, size, 0);
}

char *ae_arena_strndup(ae_arena *arena, const char *text, size_t len)
{
    size_t bytes;
    char *copy = ae_add_size(&bytes, len, 1) ? ae_arena_take_raw(arena, bytes, 1) : NULL;

    if (!copy) return NULL;
    if (len) memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

ae_arena_mark ae_arena_here(const ae_arena *arena)
{
    return (ae_arena_mark){ arena->last, arena->last ? arena->last->used : 0, arena->used };
}

void ae_arena_reset(ae_arena *arena, ae_arena_mark mark)
{
    while (arena->last != mark.block) {
        ae_arena_block *block = arena->last;
        arena->last = block->before;
        block->before = arena->spare;
        arena->spare = block;
    }
    if (arena->last) arena->last->used = mark.block_used;
    arena->used = mark.used;
}

/* Several blocks make way for one of the most that was ever used: what rounds of different sizes
 * take then lies over each other, whatever the order they come in. */
void ae_arena_reset_all(ae_arena *arena)
{
    ae_arena_reset(arena, (ae_arena_mark){ NULL, 0, 0 });
    if (!arena->spare || !arena->spare->before) return;
    free_chain(arena->spare);
    arena->spare = NULL;
    arena->touched = 0;
}
