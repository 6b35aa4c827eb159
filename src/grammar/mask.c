/* mask.c -- which tokens may come next: a vocabulary in the order of its bytes against a state. */
#include "grammar/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int32_t id;
    uint32_t begin, len; /* in the bytes */
    uint32_t common;     /* bytes that it begins with like the one before */
} ordered_token;

struct ae_token_order {
    ae_bytes bytes;
    ordered_token *tokens; /* [n], by bytes */
    ordered_token *by_id;  /* [V] */
    bool *ends;            /* [V] ends a reply */
    int32_t n, vocab_size;
};

static int by_bytes(const ordered_token *a, const ordered_token *b, const char *bytes)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(bytes + a->begin, bytes + b->begin, n);
    return c ? c : a->len < b->len ? -1 : a->len > b->len;
}

/* Merges halves that are sorted: qsort() cannot be told of the bytes. */
static void sort_tokens(ordered_token *t, ordered_token *spare, size_t n, const char *bytes)
{
    size_t half = n / 2, i = 0, j = half, k = 0;
    if (n < 2) return;
    sort_tokens(t, spare, half, bytes);
    sort_tokens(t + half, spare, n - half, bytes);
    while (i < half && j < n) spare[k++] = by_bytes(&t[j], &t[i], bytes) < 0 ? t[j++] : t[i++];
    while (i < half) spare[k++] = t[i++];
    while (j < n) spare[k++] = t[j++];
    memcpy(t, spare, n * sizeof *t);
}

static uint32_t common_bytes(const ordered_token *a, const ordered_token *b, const char *bytes)
{
    uint32_t n = a->len < b->len ? a->len : b->len, i = 0;
    while (i < n && bytes[a->begin + i] == bytes[b->begin + i]) i++;
    return i;
}

static aerie_status fill(ae_token_order *o, const ae_tokenizer *t, aerie_error *err)
{
    const ae_vocab *vocab = ae_tokenizer_vocab(t);
    for (int32_t id = 0; id < o->vocab_size; id++) {
        size_t begin = o->bytes.len;
        o->ends[id] = ae_tokenizer_is_eog(t, id);
        if (!o->ends[id] && vocab->tokens[id].type != AE_TOKEN_UNKNOWN)
            ae_tokenizer_token_bytes(t, id, false, &o->bytes);
        if (o->bytes.len > UINT32_MAX)
            return aerie_fail(err, AERIE_BAD_FILE, "the vocabulary has more than 4 GiB of text");
        ordered_token one = { id, (uint32_t)begin, (uint32_t)(o->bytes.len - begin), 0 };
        o->by_id[id] = one;
        if (one.len) o->tokens[o->n++] = one;
    }
    return ae_bytes_status(&o->bytes, err);
}

aerie_status ae_token_order_new(ae_token_order **out, const ae_tokenizer *t, aerie_error *err)
{
    *out = NULL;
    size_t n = (size_t)ae_tokenizer_size(t);
    ae_token_order *o = ae_alloc(1, sizeof *o);
    ordered_token *spare = ae_alloc(n, sizeof *spare);
    if (o) {
        o->vocab_size = (int32_t)n;
        o->tokens = ae_alloc(n, sizeof *o->tokens);
        o->by_id = ae_alloc(n, sizeof *o->by_id);
        o->ends = ae_alloc(n, sizeof *o->ends);
    }
    aerie_status status = AERIE_OK;
    if (!o || !spare || !o->tokens || !o->by_id || !o->ends)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a vocabulary's order");
    if (!status) status = fill(o, t, err);
    if (!status) {
        sort_tokens(o->tokens, spare, (size_t)o->n, o->bytes.data);
        for (int32_t i = 1; i < o->n; i++)
            o->tokens[i].common = common_bytes(&o->tokens[i - 1], &o->tokens[i], o->bytes.data);
        *out = o;
    } else
        ae_token_order_free(o);
    ae_free(spare);
    return status;
}

void ae_token_order_free(ae_token_order *o)
{
    if (!o) return;
    ae_bytes_free(&o->bytes);
    ae_free(o->tokens);
    ae_free(o->by_id);
    ae_free(o->ends);
    ae_free(o);
}

int32_t ae_token_order_size(const ae_token_order *o)
{
    return o->vocab_size;
}

ae_span ae_token_order_bytes(const ae_token_order *o, int32_t id)
{
    if (id < 0 || id >= o->vocab_size || !o->by_id[id].len) return (ae_span){ "", 0 };
    return (ae_span){ o->bytes.data + o->by_id[id].begin, o->by_id[id].len };
}

bool ae_grammar_takes_token(ae_grammar_state *s, const ae_token_order *o, int32_t id)
{
    if (id < 0 || id >= o->vocab_size) return false;
    if (o->ends[id]) return ae_grammar_may_end(s);
    return ae_grammar_takes(s, ae_token_order_bytes(o, id));
}

/* Where a walk along the ordered tokens has come to: levels stand for the first `alive` bytes of a
 * token, of which the present one has the first `common`; `failed`: the byte after those levels
 * does not fit. */
typedef struct {
    uint32_t alive, common;
    bool failed;
} order_walk;

static bool fits(ae_grammar_state *s, order_walk *w, const ordered_token *t, const char *bytes)
{
    if (t->common < w->common) w->common = t->common;
    if (w->failed && w->common > w->alive) return false; /* it has that byte too */
    if (w->common < w->alive) w->alive = w->common;
    while (w->alive < t->len &&
           ae_grammar_level(s, w->alive, (unsigned char)bytes[t->begin + w->alive]))
        w->alive++;
    w->failed = w->alive < t->len;
    w->common = t->len;
    return !w->failed;
}

bool ae_grammar_mask(ae_grammar_state *s, const ae_token_order *o, float *logits)
{
    order_walk w = { 0 };
    bool may_end = ae_grammar_may_end(s), any = false;
    for (int32_t id = 0; id < o->vocab_size; id++) {
        bool ends = o->ends[id] && may_end;
        any |= ends;
        if (!ends && !o->by_id[id].len) logits[id] = -INFINITY;
    }
    for (int32_t i = 0; i < o->n; i++) {
        bool fit = fits(s, &w, &o->tokens[i], o->bytes.data);
        any |= fit;
        if (!fit) logits[o->tokens[i].id] = -INFINITY;
    }
    return any;
}
