/* collect.c -- looks on while a model reads, and adds up the squares of what its weights are given.
 */
#include "quant/quant.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

typedef struct {
    const ae_tensor *w;
    char name[48];
    double *sums; /* [cols] */
    double count;
    bool is_odd; /* an input was not finite */
} site;

struct ae_collector {
    ae_arena arena;
    ae_observer observer;
    site *sites;
    size_t n, next; /* the site after the one seen last: passes go in order */
};

static const struct {
    const char *name;
    size_t offset;
} projections[] = {
    { "attn_q", offsetof(ae_decoder_layer, q) },
    { "attn_k", offsetof(ae_decoder_layer, k) },
    { "attn_v", offsetof(ae_decoder_layer, v) },
    { "attn_output", offsetof(ae_decoder_layer, o) },
    { "ffn_gate", offsetof(ae_decoder_layer, gate) },
    { "ffn_up", offsetof(ae_decoder_layer, up) },
    { "ffn_down", offsetof(ae_decoder_layer, down) },
};

static site *site_of(ae_collector *c, const ae_tensor *w)
{
    for (size_t i = 0; i < c->n; i++) {
        size_t at = (c->next + i) % c->n;
        if (c->sites[at].w != w) continue;
        c->next = at + 1;
        return &c->sites[at];
    }
    return NULL;
}

static void on_linear(void *user, const ae_tensor *w, const ae_tensor *x)
{
    site *s = site_of(user, w);

    if (!s) return;
    for (int64_t row = 0; row < x->rows; row++) {
        const float *in = ae_f32(x) + row * x->cols;
        for (int64_t i = 0; i < x->cols; i++) s->sums[i] += (double)in[i] * (double)in[i];
    }
    s->count += (double)x->rows;
    for (int64_t i = 0; i < x->cols; i++) s->is_odd = s->is_odd || !isfinite(s->sums[i]);
}

static aerie_status take_sites(ae_collector *c, const ae_net *net)
{
    size_t n_layers = (size_t)net->config->n_layers;

    c->sites = ae_arena_take(&c->arena, n_layers * AE_COUNT(projections), sizeof *c->sites);
    if (!c->sites) return AERIE_NO_MEMORY;
    for (size_t layer = 0; layer < n_layers; layer++)
        for (size_t p = 0; p < AE_COUNT(projections); p++) {
            const char *at = (const char *)&net->layers[layer] + projections[p].offset;
            site *s = &c->sites[c->n++];
            s->w = ((const ae_projection *)(const void *)at)->w;
            snprintf(s->name, sizeof s->name, "blk.%zu.%s.weight", layer, projections[p].name);
            s->sums = ae_arena_take(&c->arena, (size_t)s->w->cols, sizeof *s->sums);
            if (!s->sums) return AERIE_NO_MEMORY;
        }
    return AERIE_OK;
}

aerie_status ae_collector_new(ae_collector **out, const ae_net *net, aerie_error *err)
{
    ae_collector *c = ae_alloc(1, sizeof *c);

    *out = NULL;
    if (!c || take_sites(c, net)) {
        ae_collector_free(c);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory to collect importance");
    }
    c->observer = (ae_observer){ on_linear, c };
    *out = c;
    return AERIE_OK;
}

void ae_collector_free(ae_collector *c)
{
    if (!c) return;
    ae_arena_free(&c->arena);
    ae_free(c);
}

const ae_observer *ae_collector_observer(const ae_collector *c)
{
    return &c->observer;
}

aerie_status ae_collector_status(const ae_collector *c, aerie_error *err)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->sites[i].is_odd)
            return aerie_fail(err, AERIE_BAD_NUMBER,
                              "an input of '%s' is not finite: the model is damaged",
                              c->sites[i].name);
    return AERIE_OK;
}

size_t ae_collector_len(const ae_collector *c)
{
    return c->n;
}

ae_imatrix_entry ae_collector_at(const ae_collector *c, size_t i)
{
    const site *s = &c->sites[i];

    return (ae_imatrix_entry){ s->name, s->sums, &s->count, s->w->cols, 1 };
}
