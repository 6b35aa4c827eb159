/* decoder.c -- a small random decoder for tests. */
#include "nn/decoder.h"

#include <math.h>
#include <string.h>

static const ae_tensor *keep(decoder *d, ae_tensor *t)
{
    assert_true(d->n_params < DECODER_MAX_PARAMS);
    if (t->grad) d->params[d->n_params++] = t;
    return t;
}

static const ae_tensor *norm_weight(decoder *d, fixture *f, bool trained)
{
    ae_tensor *t = fixture_tensor(f, 1, DECODER_D, 0.2f, trained);
    for (int64_t i = 0; i < t->cols; i++) ae_f32(t)[i] += 1;
    return keep(d, t);
}

static const ae_tensor *matrix(decoder *d, fixture *f, int64_t rows, int64_t cols, float scale,
                               bool trained)
{
    if (!trained) return fixture_frozen(f, AE_Q8_0, rows, cols, scale);
    return keep(d, fixture_tensor(f, rows, cols, scale, true));
}

static void make_lora(decoder *d, fixture *f, ae_projection *p, ae_lora *lora, uint64_t site)
{
    *lora = (ae_lora){ .a = fixture_tensor(f, DECODER_R, p->w->cols, 0.3f, true),
                       .b = fixture_tensor(f, p->w->rows, DECODER_R, 0.3f, true),
                       .scale = 1.0f,
                       .dropout = 0.1f,
                       .site = site };
    keep(d, lora->a);
    keep(d, lora->b);
    p->lora[p->n_lora++] = lora;
}

static void make_layer(decoder *d, fixture *f, int64_t l, bool trained)
{
    enum { Q_WIDTH = DECODER_H * DECODER_HEAD, KV_WIDTH = DECODER_K * DECODER_HEAD };
    static const int64_t sizes[DECODER_PROJECTIONS][2] = {
        { Q_WIDTH, DECODER_D },   { KV_WIDTH, DECODER_D },  { KV_WIDTH, DECODER_D },
        { DECODER_D, Q_WIDTH },   { DECODER_F, DECODER_D }, { DECODER_F, DECODER_D },
        { DECODER_D, DECODER_F },
    };
    ae_decoder_layer *w = &d->layers[l];
    ae_projection *projections[] = { &w->q, &w->k, &w->v, &w->o, &w->gate, &w->up, &w->down };
    w->attention_norm = norm_weight(d, f, trained);
    w->mlp_norm = norm_weight(d, f, trained);
    for (int i = 0; i < DECODER_PROJECTIONS; i++) {
        projections[i]->w = matrix(d, f, sizes[i][0], sizes[i][1], 0.2f, trained);
        if (i < 3 && !trained)
            projections[i]->bias = fixture_tensor(f, 1, sizes[i][0], 0.2f, false);
        if (!trained)
            make_lora(d, f, projections[i], &d->loras[l][i],
                      (uint64_t)(l * DECODER_PROJECTIONS + i));
    }
}

static void make(decoder *d, fixture *f, int64_t window, bool trained)
{
    *d = (decoder){ .attention = { .n_heads = DECODER_H,
                                   .n_kv_heads = DECODER_K,
                                   .head_dim = DECODER_HEAD,
                                   .window = window,
                                   .scale = 0.35f } };
    for (int i = 0; i < DECODER_HEAD / 2; i++)
        d->freq[i] = pow(10000.0, -2.0 * i / (double)DECODER_HEAD);
    /* Of unit size: the first norm is then no steeper than the others. */
    d->embedding = matrix(d, f, DECODER_V, DECODER_D, 1, trained);
    for (int64_t l = 0; l < DECODER_L; l++) make_layer(d, f, l, trained);
    d->norm = norm_weight(d, f, trained);
    d->head = matrix(d, f, DECODER_V, DECODER_D, 0.2f, trained);
}

void decoder_make_full(decoder *d, fixture *f, int64_t window)
{
    make(d, f, window, true);
}

void decoder_make_lora(decoder *d, fixture *f, int64_t window)
{
    make(d, f, window, false);
}

ae_tensor *decoder_hidden(ae_ctx *cx, const decoder *d, const ae_batch *batch)
{
    const ae_rope_table *rope =
        ae_rope_table_new(cx, batch->pos, batch->n_tokens, d->freq, DECODER_HEAD, false);
    ae_tensor *x = ae_embedding(cx, d->embedding, batch->ids, batch->n_tokens);
    for (int64_t l = 0; l < DECODER_L; l++) {
        ae_decoder_layer_call *call = ae_arena_take(cx->arena, 1, sizeof *call);
        if (!call) {
            aerie_fail(&cx->error, AERIE_NO_MEMORY, "no room for a layer's call");
            return NULL;
        }
        *call = (ae_decoder_layer_call){ .weights = &d->layers[l],
                                         .layer = l,
                                         .batch = batch,
                                         .rope = rope,
                                         .attention = d->attention,
                                         .activation = AE_SILU,
                                         .norm_eps = 1e-5f };
        x = d->recompute ? ae_recompute(cx, ae_decoder_layer_forward, call, x)
                         : ae_decoder_layer_forward(cx, call, x);
    }
    return ae_rmsnorm(cx, x, d->norm, 1e-5f);
}

ae_tensor *decoder_log_prob(ae_ctx *cx, const void *params)
{
    const decoder_task *task = params;
    cx->dropout_key = task->dropout_key;
    cx->dropout_rows = task->dropout_rows;
    const ae_tensor *hidden = decoder_hidden(cx, task->decoder, &task->batch);
    return ae_log_prob(cx, hidden, task->decoder->head, &task->predictions, NULL);
}

float *decoder_gradients(const decoder *d, int64_t *count)
{
    int64_t at = 0;
    *count = 0;
    for (int i = 0; i < d->n_params; i++) *count += d->params[i]->rows * d->params[i]->cols;
    float *all = ae_alloc((size_t)*count, sizeof *all);
    assert_non_null(all);
    for (int i = 0; i < d->n_params; i++) {
        int64_t n = d->params[i]->rows * d->params[i]->cols;
        memcpy(all + at, d->params[i]->grad, (size_t)n * sizeof *all);
        at += n;
    }
    return all;
}

void decoder_zero_grad(const decoder *d)
{
    for (int i = 0; i < d->n_params; i++) fixture_zero_grad(d->params[i]);
}
