/* imatrix.c -- the public face of collecting importance. */
#include "aerie/quantize.h"

#include "api/api.h"
#include "quant/quant.h"

#include <string.h>

typedef struct {
    aerie_model *m;
    ae_collector *collector;
    ae_arena step;
    int32_t *ids, *pos; /* [n_ctx] */
    int64_t n_ctx;
    bool has_bos; /* ids[0], in every chunk */
} reading;

/* One chunk through the layers; its logits are nobody's concern. */
static aerie_status read_chunk(reading *r, const int32_t *text, aerie_error *err)
{
    ae_segment segment = { .first = 0, .n = r->n_ctx, .parent = -1, .cache = -1 };
    ae_batch batch = {
        .n_tokens = r->n_ctx, .ids = r->ids, .pos = r->pos, .segments = &segment, .n_segments = 1
    };
    ae_ctx cx = { .device = r->m->device,
                  .arena = &r->step,
                  .observer = ae_collector_observer(r->collector) };

    memcpy(r->ids + r->has_bos, text, (size_t)(r->n_ctx - r->has_bos) * sizeof *r->ids);
    ae_arena_reset_all(&r->step);
    ae_net_hidden(&cx, &r->m->net, &batch);
    if (err && !err->status) *err = cx.error;
    return ae_ctx_status(&cx);
}

static aerie_status read_chunks(reading *r, const ae_ids *ids, const aerie_imatrix_options *o,
                                aerie_imatrix_summary *sum, aerie_error *err)
{
    int64_t room = r->n_ctx - r->has_bos, n = (int64_t)ids->len / room;
    aerie_status status = AERIE_OK;

    if (n == 0)
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT,
            "the text has %zu tokens, a chunk wants %lld; give more text or a smaller "
            "--ctx",
            ids->len, (long long)room);
    if (o->n_chunks > 0 && o->n_chunks < n) n = o->n_chunks;
    for (int64_t i = 0; i < n && !status; i++) {
        status = read_chunk(r, ids->data + i * room, err);
        if (!status && o->progress && !o->progress(o->user, i + 1, n))
            status = aerie_fail(err, AERIE_INTERRUPTED,
                                "stopped after %lld of %lld chunks; nothing "
                                "was written",
                                (long long)(i + 1), (long long)n);
    }
    *sum = (aerie_imatrix_summary){ n, n * r->n_ctx, (int64_t)ae_collector_len(r->collector) };
    return status ? status : ae_collector_status(r->collector, err);
}

static aerie_status prepare(reading *r, ae_ids *ids, const char *text, size_t len, aerie_error *err)
{
    aerie_status status = ae_api_need_tokenizer(r->m, err);

    if (status) return status;
    const ae_tokenizer *t = ae_model_tokenizer(r->m->model);
    const ae_vocab *v = ae_tokenizer_vocab(t);
    r->ids = ae_alloc((size_t)r->n_ctx, sizeof *r->ids);
    r->pos = ae_alloc((size_t)r->n_ctx, sizeof *r->pos);
    if (!r->ids || !r->pos)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for chunks of %lld tokens",
                          (long long)r->n_ctx);
    for (int64_t i = 0; i < r->n_ctx; i++) r->pos[i] = (int32_t)i;
    r->has_bos = v->add_bos && v->bos >= 0;
    if (r->has_bos) r->ids[0] = v->bos;
    status = ae_api_encode(ids, t, (ae_span){ text, len }, 0, err);
    return status ? status : ae_collector_new(&r->collector, &r->m->net, err);
}

static aerie_status save(const reading *r, const char *path, const char *dataset, int64_t n_chunks,
                         aerie_error *err)
{
    size_t n = ae_collector_len(r->collector);
    ae_imatrix_entry *entries = ae_alloc(n, sizeof *entries);
    aerie_status status;

    if (!entries) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the importance matrix");
    for (size_t i = 0; i < n; i++) entries[i] = ae_collector_at(r->collector, i);
    status = ae_imatrix_save(entries, n, path, dataset ? dataset : "", n_chunks, r->n_ctx, err);
    ae_free(entries);
    return status;
}

aerie_status aerie_imatrix(aerie_model *m, const char *text, size_t len, const char *out_path,
                           const aerie_imatrix_options *options, aerie_imatrix_summary *summary,
                           aerie_error *err)
{
    aerie_imatrix_options o = options ? *options : (aerie_imatrix_options){ 0 };
    reading r = { .m = m, .n_ctx = o.n_ctx > 0 ? o.n_ctx : 512 };
    aerie_imatrix_summary sum = { 0 };
    ae_ids ids = { 0 };

    if (r.n_ctx < 2 || r.n_ctx > INT32_MAX)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "chunks of %lld tokens make no sense; give --ctx 2 or more",
                          (long long)r.n_ctx);
    aerie_memory_plan plan = { .n_ctx = r.n_ctx, .use = AERIE_USE_IMPORTANCE };
    aerie_status status = ae_api_check_use(m, NULL, &plan, err);
    if (!status) status = prepare(&r, &ids, text, len, err);
    if (!status) status = read_chunks(&r, &ids, &o, &sum, err);
    if (!status) status = save(&r, out_path, o.dataset, sum.n_chunks, err);
    if (!status && summary) *summary = sum;
    ae_collector_free(r.collector);
    ae_arena_free(&r.step);
    ae_ids_free(&ids);
    ae_free(r.ids);
    ae_free(r.pos);
    return status;
}
