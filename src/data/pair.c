/* pair.c -- two replies to one prompt as three runs of tokens: prompt, chosen, rejected; and one
 * reply as two. */
#include "data/encode.h"

#include <string.h>

aerie_status ae_encode_reply(ae_pieces *p, ae_renderer *r, json_t *prompt, json_t *reply,
                             size_t *boundary, aerie_error *err)
{
    ae_bytes text = { 0 };
    json_t *all = json_copy(prompt);
    bool header = r->options->train_header;
    aerie_status status = AERIE_OK;
    if (!all || json_array_extend(all, reply))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    if (!status) status = ae_renderer_add(r, all, false, &text, err);
    if (!status)
        status = ae_renderer_boundary(r, prompt, !header, ae_span_of(&text), boundary, err);
    if (!status) status = ae_pieces_encode(p, ae_span_of(&text), r->options, err);
    if (!status) ae_pieces_close(p, r->options);
    if (!status) status = ae_ids_status(&p->ids, err);
    if (!status) status = ae_ids_status(&p->offsets, err);
    json_decref(all);
    ae_bytes_free(&text);
    return status;
}

/* The prompt's tokens are those that begin before the reply does, as far as both agree on them: a
 * token that reaches over the boundary in one and not in the other belongs to the replies. */
int32_t ae_pieces_shared(const ae_pieces *a, const ae_pieces *b, size_t boundary)
{
    size_t n = 0;
    while (n < a->ids.len && n < b->ids.len && a->ids.data[n] == b->ids.data[n] &&
           (size_t)a->offsets.data[n] < boundary && (size_t)b->offsets.data[n] < boundary)
        n++;
    return (int32_t)n;
}

static void append(ae_sample *s, const ae_pieces *p, int32_t from, int32_t *at)
{
    for (size_t i = (size_t)from; i < p->ids.len; i++) s->ids[(*at)++] = p->ids.data[i];
}

static aerie_status join(ae_sample *out, const ae_pieces *chosen, const ae_pieces *rejected,
                         int32_t n_prompt, ae_arena *arena, aerie_error *err)
{
    int64_t n = (int64_t)chosen->ids.len + (int64_t)rejected->ids.len - n_prompt;
    aerie_status status = ae_sample_new(out, AE_EXAMPLE_PAIR, n, arena, err);
    int32_t at = 0;
    if (status) return status;
    out->n_prompt = n_prompt;
    out->n_chosen = (int32_t)chosen->ids.len - n_prompt;
    out->n_rejected = (int32_t)rejected->ids.len - n_prompt;
    for (; at < n_prompt; at++) out->ids[at] = chosen->ids.data[at];
    append(out, chosen, n_prompt, &at);
    append(out, rejected, n_prompt, &at);
    for (int32_t i = n_prompt; i < out->n; i++) out->weight[i] = 1;
    return AERIE_OK;
}

/* Keeps `keep` of the `n` tokens at `from`, its beginning or its end, and puts them at `to`. */
static void move(ae_sample *s, int32_t to, int32_t from, int32_t n, int32_t keep, bool end)
{
    if (end) from += n - keep;
    memmove(s->ids + to, s->ids + from, (size_t)keep * sizeof *s->ids);
    memmove(s->weight + to, s->weight + from, (size_t)keep * sizeof *s->weight);
}

static int32_t at_most(int32_t n, int32_t bound)
{
    return n < bound ? n : bound;
}

/* Rewrites the sample with so many tokens of each part. */
static void keep_parts(ae_sample *s, int32_t prompt, int32_t chosen, int32_t rejected,
                       bool prompt_end)
{
    int32_t at_chosen = s->n_prompt, at_rejected = s->n_prompt + s->n_chosen;
    s->truncated = prompt < s->n_prompt || chosen < s->n_chosen || rejected < s->n_rejected;
    move(s, 0, 0, s->n_prompt, prompt, prompt_end);
    move(s, prompt, at_chosen, s->n_chosen, chosen, false);
    move(s, prompt + chosen, at_rejected, s->n_rejected, rejected, false);
    s->n_prompt = prompt;
    s->n_chosen = chosen;
    s->n_rejected = rejected;
    s->n = prompt + chosen + rejected;
}

void ae_sample_truncate_pair(ae_sample *s, int32_t max_length, int32_t max_prompt, ae_keep keep)
{
    int32_t longer = s->n_chosen > s->n_rejected ? s->n_chosen : s->n_rejected;
    int32_t prompt = s->n_prompt, reply = longer;
    if (max_length > 0 && prompt > max_length - longer) {
        if (keep == AE_CUT_END) {
            prompt = at_most(prompt, max_length);
            reply = max_length - prompt;
        } else {
            if (max_prompt <= 0 || max_prompt >= max_length) max_prompt = max_length / 2;
            prompt = at_most(prompt, max_prompt);
            if (longer > max_length - prompt) reply = max_length - max_prompt;
        }
    }
    keep_parts(s, prompt, at_most(s->n_chosen, reply), at_most(s->n_rejected, reply),
               keep == AE_KEEP_END);
    if (s->n_prompt == 0 || s->n_chosen == 0 ||
        (s->n_rejected == 0 && s->kind != AE_EXAMPLE_UNPAIRED))
        ae_sample_drop(s);
}

aerie_status ae_encode_pair(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err)
{
    ae_pieces chosen = { 0 }, rejected = { 0 };
    size_t boundary = 0;
    json_t *prompt = ae_renderer_messages(r);
    aerie_status status =
        prompt ? ae_encode_reply(&chosen, r, prompt, r->example->chosen, &boundary, err)
               : aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    if (!status)
        status = ae_encode_reply(&rejected, r, prompt, r->example->rejected, &boundary, err);
    if (!status)
        status = join(out, &chosen, &rejected, ae_pieces_shared(&chosen, &rejected, boundary),
                      arena, err);
    if (!status)
        ae_sample_truncate_pair(out, r->options->max_length, r->options->max_prompt_length,
                                r->options->keep);
    json_decref(prompt);
    ae_pieces_free(&chosen);
    ae_pieces_free(&rejected);
    return status;
}

/* Without a second reply there is nothing to agree with: the prompt ends where the reply begins. */
aerie_status ae_encode_unpaired(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err)
{
    ae_pieces whole = { 0 };
    size_t boundary = 0;
    json_t *prompt = ae_renderer_messages(r);
    aerie_status status =
        prompt ? ae_encode_reply(&whole, r, prompt, r->example->chosen, &boundary, err)
               : aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    int32_t n_prompt = status ? 0 : ae_pieces_shared(&whole, &whole, boundary);
    if (!status)
        status = ae_sample_new(out, AE_EXAMPLE_UNPAIRED, (int64_t)whole.ids.len, arena, err);
    if (!status) {
        out->n_prompt = n_prompt;
        out->n_chosen = out->n - n_prompt;
        out->undesirable = r->example->undesirable;
        for (int32_t i = 0; i < out->n; i++) {
            out->ids[i] = whole.ids.data[i];
            out->weight[i] = i >= n_prompt;
        }
        ae_sample_truncate_pair(out, r->options->max_length, r->options->max_prompt_length,
                                r->options->keep);
    }
    json_decref(prompt);
    ae_pieces_free(&whole);
    return status;
}
