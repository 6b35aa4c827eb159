/* order.c -- the order of samples through the epochs, told by a seed and a position alone. */
#include "data/data.h"

static void fill(ae_order *o, int64_t epoch)
{
    ae_rng rng;
    for (int64_t i = 0; i < o->n; i++) o->items[i] = i;
    o->epoch = epoch;
    if (!o->shuffles) return;
    ae_rng_seed(&rng, ae_mix64(o->seed ^ ae_mix64((uint64_t)epoch)));
    ae_rng_shuffle(&rng, o->items, (size_t)o->n);
}

aerie_status ae_order_open(ae_order *o, size_t n, uint64_t seed, bool shuffles, aerie_error *err)
{
    *o = (ae_order){ .n = (int64_t)n, .seed = seed, .shuffles = shuffles };
    if (n == 0) return aerie_fail(err, AERIE_BAD_ARGUMENT, "there are no samples to put in order");
    o->items = ae_alloc(n, sizeof *o->items);
    if (!o->items)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for the order of %zu samples", n);
    fill(o, 0);
    return AERIE_OK;
}

void ae_order_close(ae_order *o)
{
    ae_free(o->items);
    *o = (ae_order){ 0 };
}

int64_t ae_order_at(ae_order *o, int64_t position)
{
    int64_t epoch = position / o->n;
    if (epoch != o->epoch) fill(o, epoch);
    return o->items[position % o->n];
}
