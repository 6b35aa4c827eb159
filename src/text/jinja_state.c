/* jinja_state.c -- the bounds of a rendering: failures, steps, memory, depth. */
#include "text/jinja.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16, MAX_DEPTH = 1000 };

void jinja_fail(jinja *j, const char *format, ...)
{
    char what[400];
    va_list args;
    if (j->status) return;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    j->status = aerie_fail(j->err, AERIE_BAD_TEXT, "template line %d: %s", j->line, what);
}

void jinja_fail_memory(jinja *j)
{
    if (j->status) return;
    j->status = aerie_fail(j->err, AERIE_NO_MEMORY,
                           "template line %d: no room for what it makes (limit %zu bytes)", j->line,
                           j->arena.limit);
}

bool jinja_spend(jinja *j, size_t steps)
{
    if (j->status) return false;
    if (steps >= j->steps) {
        j->steps = 0;
        jinja_fail(j, "the template runs too long; it may loop for ever");
        return false;
    }
    j->steps -= steps;
    return true;
}

void *jinja_take(jinja *j, size_t count, size_t size)
{
    size_t bytes;
    if (!ae_mul_size(&bytes, count, size) || !ae_add_size(&bytes, bytes, 15)) {
        jinja_fail_memory(j);
        return NULL;
    }
    bytes &= ~(size_t)15;
    if (!jinja_spend(j, bytes / 64)) return NULL;
    char *block = NULL;
    if (bytes > CHUNK_BYTES / 4) {
        block = ae_arena_take(&j->arena, bytes, 1);
    } else {
        if (j->chunk_left < bytes) {
            j->chunk = ae_arena_take(&j->arena, CHUNK_BYTES, 1);
            j->chunk_left = j->chunk ? CHUNK_BYTES : 0;
        }
        if (j->chunk) {
            block = j->chunk;
            j->chunk += bytes;
            j->chunk_left -= bytes;
        }
    }
    if (!block) jinja_fail_memory(j);
    return block;
}

bool jinja_deeper(jinja *j)
{
    if (j->status) return false;
    if (j->depth < MAX_DEPTH) {
        j->depth++;
        return true;
    }
    jinja_fail(j, "nested too deep");
    return false;
}
