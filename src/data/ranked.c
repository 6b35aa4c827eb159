/* ranked.c -- any number of replies to one prompt as runs of tokens: prompt, reply, reply, ... */
#include "data/encode.h"

#include <string.h>

/* The conversations of all replies. */
typedef struct {
    ae_pieces *of; /* [n] */
    size_t n;
    size_t boundary;
} conversations;

static aerie_status encode_all(conversations *c, ae_renderer *r, aerie_error *err)
{
    json_t *prompt = ae_renderer_messages(r), *reply;
    aerie_status status = AERIE_OK;
    size_t i;
    if (!prompt) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    json_array_foreach(r->example->replies, i, reply)
    {
        status = ae_encode_reply(&c->of[i], r, prompt, reply, &c->boundary, err);
        if (status) break;
    }
    json_decref(prompt);
    return status;
}

/* What all of them begin with. */
static int32_t shared_tokens(const conversations *c)
{
    int32_t n = INT32_MAX;
    for (size_t i = 0; i < c->n; i++) {
        int32_t shared = ae_pieces_shared(&c->of[0], &c->of[i], c->boundary);
        if (shared < n) n = shared;
    }
    return n;
}

static int32_t at_most(int32_t n, int32_t bound)
{
    return n < bound ? n : bound;
}

/* Tokens that are kept of the prompt and of any reply, by the rules of pairs (pair.c). */
typedef struct {
    int32_t prompt, reply;
    bool prompt_end;
} room;

static room room_for(int32_t prompt, int32_t longest, const ae_encode_options *o)
{
    room r = { prompt, longest, o->keep == AE_KEEP_END };
    int32_t half = o->max_prompt_length;
    if (o->max_reply_length > 0) longest = r.reply = at_most(longest, o->max_reply_length);
    if (o->max_length <= 0 || prompt <= o->max_length - longest) return r;
    if (half <= 0 || half >= o->max_length) half = o->max_length / 2;
    r.prompt = at_most(prompt, o->keep == AE_CUT_END ? o->max_length : half);
    if (longest > o->max_length - r.prompt)
        r.reply = o->max_length - (o->keep == AE_CUT_END ? r.prompt : half);
    return r;
}

static void append(ae_sample *s, const ae_pieces *p, int32_t from, int32_t n, int32_t *at)
{
    if (n > 0) memcpy(s->ids + *at, p->ids.data + from, (size_t)n * sizeof *s->ids);
    *at += n;
}

static aerie_status take_replies(ae_sample *out, size_t n, ae_arena *arena, aerie_error *err)
{
    out->n_replies = (int32_t)n;
    out->reply_n = ae_arena_take(arena, n, sizeof *out->reply_n);
    out->rank = ae_arena_take(arena, n, sizeof *out->rank);
    if (out->reply_n && out->rank) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu replies", n);
}

/* A reply that lost all of its tokens has nothing to be scored by. */
static aerie_status join(ae_sample *out, const conversations *c, const ae_example *e,
                         const ae_encode_options *o, ae_arena *arena, aerie_error *err)
{
    int32_t n_prompt = shared_tokens(c), longest = 0, at = 0;
    int64_t n;
    bool lost = false;
    for (size_t i = 0; i < c->n; i++)
        if ((int32_t)c->of[i].ids.len - n_prompt > longest)
            longest = (int32_t)c->of[i].ids.len - n_prompt;
    const room r = room_for(n_prompt, longest, o);
    n = r.prompt;
    for (size_t i = 0; i < c->n; i++) n += at_most((int32_t)c->of[i].ids.len - n_prompt, r.reply);
    aerie_status status = ae_sample_new(out, AE_EXAMPLE_RANKED, n, arena, err);
    if (!status) status = take_replies(out, c->n, arena, err);
    if (status) return status;
    out->n_prompt = r.prompt;
    out->margin = (float)e->margin;
    out->truncated = r.prompt < n_prompt;
    append(out, &c->of[0], r.prompt_end ? n_prompt - r.prompt : 0, r.prompt, &at);
    for (size_t i = 0; i < c->n; i++) {
        int32_t all = (int32_t)c->of[i].ids.len - n_prompt;
        out->reply_n[i] = at_most(all, r.reply);
        out->rank[i] = (float)json_number_value(json_array_get(e->ranks, i));
        out->truncated |= out->reply_n[i] < all;
        lost |= all > 0 && out->reply_n[i] == 0;
        append(out, &c->of[i], n_prompt, out->reply_n[i], &at);
        if (out->reply_n[i] > 0) out->weight[at - 1] = 1;
    }
    if (out->n_prompt == 0 || lost) ae_sample_drop(out);
    return AERIE_OK;
}

aerie_status ae_encode_ranked(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err)
{
    conversations c = { .n = json_array_size(r->example->replies) };
    aerie_status status;
    if (c.n == 0) {
        *out = (ae_sample){ .kind = AE_EXAMPLE_RANKED };
        ae_sample_drop(out);
        return AERIE_OK;
    }
    c.of = ae_alloc(c.n, sizeof *c.of);
    if (!c.of) return aerie_fail(err, AERIE_NO_MEMORY, "no room for %zu replies", c.n);
    status = encode_all(&c, r, err);
    if (!status) status = join(out, &c, r->example, r->options, arena, err);
    for (size_t i = 0; i < c.n; i++) ae_pieces_free(&c.of[i]);
    ae_free(c.of);
    return status;
}
