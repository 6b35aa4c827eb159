/* batch.c -- a packed row of tokens over caches: room is made before the forward pass, and
 * positions are counted in after it, so that a failure in between loses nothing. */
#include "nn/kv.h"

static aerie_status check_positions(const ae_batch *batch, int64_t segment, const ae_kv *kv,
                                    aerie_error *err)
{
    const ae_segment *s = &batch->segments[segment];
    for (int64_t i = 0; i < s->n; i++) {
        int64_t want = ae_kv_len(kv) + i, pos = batch->pos[s->first + i];
        if (pos != want)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "token %lld of segment %lld has position %lld, its cache goes on at "
                              "%lld",
                              (long long)i, (long long)segment, (long long)pos, (long long)want);
    }
    return AERIE_OK;
}

static aerie_status check_segment(const ae_batch *batch, int64_t segment, int64_t covered,
                                  aerie_error *err)
{
    const ae_segment *s = &batch->segments[segment];
    if (s->parent != -1 || s->cache < 0 || !batch->caches[s->cache])
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "segment %lld: with caches a segment has a cache and no parent",
                          (long long)segment);
    if (s->first != covered || s->n < 1 || s->n > batch->n_tokens - covered)
        return aerie_fail(err, AERIE_BAD_SHAPE, "segment %lld has rows %lld + %lld of %lld",
                          (long long)segment, (long long)s->first, (long long)s->n,
                          (long long)batch->n_tokens);
    return AERIE_OK;
}

static aerie_status reserve_segment(const ae_batch *batch, int64_t segment, aerie_error *err)
{
    const ae_segment *s = &batch->segments[segment];
    ae_kv *kv = batch->caches[s->cache];
    if (kv->pending)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "segment %lld: two segments for cache %lld",
                          (long long)segment, (long long)s->cache);
    aerie_status status = check_positions(batch, segment, kv, err);
    if (!status) status = ae_kv_reserve(kv, s->n, err);
    if (!status) kv->pending = s->n;
    return status;
}

aerie_status ae_batch_reserve(const ae_batch *batch, aerie_error *err)
{
    int64_t covered = 0;
    if (!batch->caches) return AERIE_OK;
    for (int64_t i = 0; i < batch->n_segments; i++) {
        aerie_status status = check_segment(batch, i, covered, err);
        if (status) return status;
        covered += batch->segments[i].n;
        /* What a failed pass has left behind. */
        batch->caches[batch->segments[i].cache]->pending = 0;
    }
    for (int64_t i = 0; i < batch->n_segments; i++) {
        aerie_status status = reserve_segment(batch, i, err);
        if (status) return status;
    }
    return AERIE_OK;
}

void ae_batch_commit(const ae_batch *batch)
{
    if (!batch->caches) return;
    for (int64_t i = 0; i < batch->n_segments; i++)
        ae_kv_commit(batch->caches[batch->segments[i].cache]);
}
