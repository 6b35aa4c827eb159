/* packing.c -- whole samples into rows of bounded length, the longest first.
 *
 * Both ways keep a tree whose leaves are what a row may be found by: for first fit the rows, each
 * with the room it has left; for best fit the amounts of room, each with the rows that have it. */
#include "data/data.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const int32_t *lengths;
    int32_t *order;  /* of the samples: longest first, then by index */
    int32_t *row_of; /* by sample */
    int32_t n, n_rows;
    int32_t max_rows; /* no more are opened */
    int32_t capacity;
    int32_t leaves;              /* a power of two */
    int32_t *tree;               /* [2 * leaves] */
    int32_t *head, *tail, *next; /* best fit: rows queued by their room */
} packer;

typedef struct {
    int32_t length, index;
} keyed;

static int longest_first(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->length != y->length) return x->length > y->length ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static bool sort_samples(packer *p, int32_t begin, ae_arena *arena)
{
    keyed *keys = ae_arena_take_raw(arena, (size_t)p->n, sizeof *keys);
    if (!keys) return false;
    for (int32_t i = 0; i < p->n; i++) keys[i] = (keyed){ p->lengths[begin + i], begin + i };
    qsort(keys, (size_t)p->n, sizeof *keys, longest_first);
    for (int32_t i = 0; i < p->n; i++) p->order[i] = keys[i].index;
    return true;
}

static void set_leaf(packer *p, int32_t leaf, int32_t value)
{
    int32_t i = leaf + p->leaves;
    p->tree[i] = value;
    for (i /= 2; i > 0; i /= 2) {
        int32_t left = p->tree[2 * i], right = p->tree[2 * i + 1];
        p->tree[i] = left > right ? left : right;
    }
}

/* The first leaf from `from` on whose value is at least `wanted`; -1: none. */
static int32_t find_leaf(const packer *p, int32_t from, int32_t wanted)
{
    int32_t i = from + p->leaves;
    while (p->tree[i] < wanted) {
        while (i & 1) i /= 2; /* a right child: what follows it is beyond the parent */
        if (i == 0) return -1;
        i++;
    }
    while (i < p->leaves) {
        i *= 2;
        if (p->tree[i] < wanted) i++;
    }
    return i - p->leaves;
}

static int32_t first_fit(packer *p, int32_t length)
{
    int32_t row = find_leaf(p, 0, length);
    return row < p->n_rows ? row : -1;
}

static void push_row(packer *p, int32_t room, int32_t row)
{
    p->next[row] = -1;
    if (p->head[room] < 0)
        p->head[room] = row;
    else
        p->next[p->tail[room]] = row;
    p->tail[room] = row;
    set_leaf(p, room, 1);
}

static int32_t best_fit(packer *p, int32_t length)
{
    int32_t room = find_leaf(p, length, 1);
    if (room < 0) return -1;
    int32_t row = p->head[room];
    p->head[room] = p->next[row];
    if (p->head[room] < 0) set_leaf(p, room, 0);
    return row;
}

static void leave_room(packer *p, ae_pack_how how, int32_t row, int32_t room)
{
    if (how == AE_PACK_FIRST_FIT)
        set_leaf(p, row, room);
    else
        push_row(p, room, row);
}

/* Places every sample; false when more rows than max_rows are needed. */
static bool place(packer *p, ae_pack_how how, int32_t *room, int32_t begin)
{
    for (int32_t i = 0; i < p->n; i++) {
        int32_t sample = p->order[i], length = p->lengths[sample];
        bool too_long = length > p->capacity;
        int32_t row = too_long                   ? -1
                      : how == AE_PACK_FIRST_FIT ? first_fit(p, length)
                                                 : best_fit(p, length);
        if (row < 0) {
            if (p->n_rows == p->max_rows) return false;
            row = p->n_rows++;
            room[row] = p->capacity;
        }
        room[row] = too_long ? 0 : room[row] - length;
        p->row_of[sample - begin] = row;
        leave_room(p, how, row, room[row]);
    }
    return true;
}

/* Samples by row, in the order in which they were placed. */
static bool list_rows(ae_packing *out, const packer *p, int32_t begin, ae_arena *arena)
{
    int32_t *fill = ae_arena_take(arena, (size_t)p->n_rows + 1, sizeof *fill);
    *out = (ae_packing){ .n_rows = p->n_rows };
    out->items = ae_arena_take(arena, (size_t)p->n, sizeof *out->items);
    out->starts = ae_arena_take(arena, (size_t)p->n_rows + 1, sizeof *out->starts);
    if (!fill || !out->items || !out->starts) return false;
    for (int32_t i = 0; i < p->n; i++) out->starts[p->row_of[i] + 1]++;
    for (int32_t r = 0; r < p->n_rows; r++) out->starts[r + 1] += out->starts[r];
    memcpy(fill, out->starts, (size_t)p->n_rows * sizeof *fill);
    for (int32_t i = 0; i < p->n; i++) {
        int32_t sample = p->order[i];
        out->items[fill[p->row_of[sample - begin]]++] = sample;
    }
    return true;
}

static bool make_tree(packer *p, ae_pack_how how, ae_arena *arena)
{
    int32_t n = how == AE_PACK_FIRST_FIT ? p->n : p->capacity + 1;
    p->leaves = 1;
    while (p->leaves < n) p->leaves *= 2;
    p->tree = ae_arena_take(arena, 2 * (size_t)p->leaves, sizeof *p->tree);
    if (how == AE_PACK_FIRST_FIT) return p->tree != NULL;
    p->head = ae_arena_take(arena, (size_t)n, sizeof *p->head);
    p->tail = ae_arena_take(arena, (size_t)n, sizeof *p->tail);
    p->next = ae_arena_take(arena, (size_t)p->n, sizeof *p->next);
    if (!p->tree || !p->head || !p->tail || !p->next) return false;
    memset(p->head, 0xff, (size_t)n * sizeof *p->head);
    return true;
}

/* Packs lengths[begin .. begin + n); *fits tells whether max_rows sufficed. */
static aerie_status pack(ae_packing *out, bool *fits, packer *p, int32_t begin, ae_pack_how how,
                         ae_arena *arena, aerie_error *err)
{
    size_t n = (size_t)p->n;
    int32_t *room = ae_arena_take(arena, n, sizeof *room);
    p->order = ae_arena_take(arena, n, sizeof *p->order);
    p->row_of = ae_arena_take(arena, n, sizeof *p->row_of);
    if (!room || !p->order || !p->row_of || !make_tree(p, how, arena) ||
        !sort_samples(p, begin, arena))
        return aerie_fail(err, AERIE_NO_MEMORY, "no room to pack %d samples", p->n);
    *fits = place(p, how, room, begin);
    if (*fits && !list_rows(out, p, begin, arena))
        return aerie_fail(err, AERIE_NO_MEMORY, "no room to pack %d samples", p->n);
    return AERIE_OK;
}

static aerie_status check(int32_t n, int32_t capacity, aerie_error *err)
{
    if (n < 0 || capacity < 1 || capacity > (1 << 28) || n > (1 << 28))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "rows of %d tokens for %d samples make no sense",
                          capacity, n);
    return AERIE_OK;
}

aerie_status ae_pack(ae_packing *out, const int32_t *lengths, int32_t n, int32_t capacity,
                     ae_pack_how how, ae_arena *arena, aerie_error *err)
{
    packer p = { .lengths = lengths, .n = n, .max_rows = n, .capacity = capacity };
    bool fits;
    *out = (ae_packing){ 0 };
    aerie_status status = check(n, capacity, err);
    return status ? status : pack(out, &fits, &p, 0, how, arena, err);
}

aerie_status ae_pack_step(ae_packing *out, int32_t *end, const int32_t *lengths, int32_t begin,
                          int32_t n, int32_t capacity, int32_t n_rows, ae_arena *arena,
                          aerie_error *err)
{
    /* begin + low samples fit, begin + high do not. */
    int32_t low = 0, high = n - begin + 1;
    aerie_status status = check(n, capacity, err);
    *out = (ae_packing){ 0 };
    while (!status && high - low > 1) {
        packer p = { .lengths = lengths,
                     .n = low + (high - low) / 2,
                     .max_rows = n_rows,
                     .capacity = capacity };
        ae_packing tried;
        bool fits;
        status = pack(&tried, &fits, &p, begin, AE_PACK_FIRST_FIT, arena, err);
        if (status) break;
        if (fits) {
            low = p.n;
            *out = tried;
        } else {
            high = p.n;
        }
    }
    *end = begin + low;
    return status;
}
