/* encode.c -- one example as tokens, and which of them are learned. */
#include "data/encode.h"

#include <stdio.h>
#include <string.h>

aerie_status ae_example_fail(const ae_example *e, aerie_status status, aerie_error *err)
{
    if (status && e->file)
        aerie_error_prefix(err, "%s%s%zu", e->file, e->is_row ? ": row " : ":", e->line);
    return status;
}

aerie_status ae_sample_new(ae_sample *out, ae_example_kind kind, int64_t n, ae_arena *arena,
                           aerie_error *err)
{
    *out = (ae_sample){ .kind = kind };
    if (n > INT32_MAX)
        return aerie_fail(err, AERIE_BAD_FILE, "%lld tokens are too many", (long long)n);
    out->ids = ae_arena_take(arena, (size_t)n, sizeof *out->ids);
    out->weight = ae_arena_take(arena, (size_t)n, sizeof *out->weight);
    if (!out->ids || !out->weight)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for %lld tokens", (long long)n);
    out->n = (int32_t)n;
    return AERIE_OK;
}

void ae_sample_drop(ae_sample *s)
{
    s->dropped = true;
    s->n = s->n_prompt = s->n_chosen = s->n_rejected = s->n_replies = 0;
}

/* A template that writes BOS itself gets no second one. */
static bool begins_with_bos(ae_span text, const ae_tokenizer *t)
{
    int32_t bos = ae_tokenizer_vocab(t)->bos;
    ae_span piece = bos >= 0 ? ae_tokenizer_piece(t, bos) : (ae_span){ "", 0 };
    return piece.len && text.len >= piece.len && memcmp(text.data, piece.data, piece.len) == 0;
}

aerie_status ae_pieces_encode(ae_pieces *p, ae_span text, const ae_encode_options *o,
                              aerie_error *err)
{
    unsigned flags = AE_ENCODE_SPECIAL;
    if (!o->no_bos && !begins_with_bos(text, o->tokenizer)) flags |= AE_ENCODE_BOS;
    return ae_tokenizer_encode(o->tokenizer, text, flags, &p->ids, &p->offsets, err);
}

void ae_pieces_free(ae_pieces *p)
{
    ae_ids_free(&p->ids);
    ae_ids_free(&p->offsets);
}

bool ae_pieces_close(ae_pieces *p, const ae_encode_options *o)
{
    int32_t eos = ae_tokenizer_vocab(o->tokenizer)->eos;
    bool ends = p->ids.len && p->ids.data[p->ids.len - 1] == eos;
    if (!o->append_eos || eos < 0 || ends) return false;
    ae_ids_add(&p->ids, eos);
    ae_ids_add(&p->offsets, p->offsets.len ? INT32_MAX : 0);
    return true;
}

/* Copies the pieces; every token but the first may be learned. */
static aerie_status fill(ae_sample *out, const ae_pieces *p, ae_example_kind kind, float weight,
                         ae_arena *arena, aerie_error *err)
{
    aerie_status status = ae_ids_status(&p->ids, err);
    if (!status) status = ae_sample_new(out, kind, (int64_t)p->ids.len, arena, err);
    if (status || out->n == 0) return status;
    memcpy(out->ids, p->ids.data, p->ids.len * sizeof *out->ids);
    for (int32_t i = 1; i < out->n; i++) out->weight[i] = weight;
    return AERIE_OK;
}

void ae_sample_cut(ae_sample *s, int32_t max_length)
{
    bool learns = false;
    if (max_length > 0 && s->n > max_length) {
        s->n = max_length;
        s->truncated = true;
    }
    for (int32_t i = 1; i < s->n && !learns; i++) learns = s->weight[i] != 0;
    if (!learns) ae_sample_drop(s);
}

static aerie_status encode_text(ae_sample *out, const ae_example *e, const ae_encode_options *o,
                                ae_arena *arena, aerie_error *err)
{
    ae_pieces p = { 0 };
    aerie_status status = ae_pieces_encode(&p, e->text, o, err);
    if (!status) ae_pieces_close(&p, o);
    if (!status) status = fill(out, &p, AE_EXAMPLE_TEXT, 1, arena, err);
    if (!status) ae_sample_cut(out, o->max_length);
    ae_pieces_free(&p);
    return status;
}

/* What a message's own "weight" says; 1 without one. */
static float message_weight(json_t *message)
{
    json_t *weight = json_object_get(message, "weight");
    return json_is_number(weight) ? (float)json_number_value(weight) : 1.0f;
}

static bool is_reply(json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && strcmp(role, "assistant") == 0;
}

typedef struct {
    ae_renderer *r;
    json_t *messages; /* the whole conversation */
    ae_span whole;    /* its rendering */
    const ae_pieces *pieces;
    ae_sample *out;
    int32_t at;           /* tokens before this one have been looked at */
    const ae_class *kind; /* NULL: none */
} masking;

/* Gives a weight to the tokens whose first byte lies in [begin, end). */
static void weigh(masking *m, size_t begin, size_t end, float weight)
{
    const ae_pieces *p = m->pieces;
    const ae_conditions *c = m->r->options->conditions;
    int32_t first, n = m->out->n;
    while (m->at < n && (size_t)p->offsets.data[m->at] < begin) m->at++;
    for (first = m->at; m->at < n && (size_t)p->offsets.data[m->at] < end;) m->at++;
    if (m->kind) weight = ae_condition_weight(c, m->kind, weight, m->at - first);
    for (int32_t i = first; i < m->at; i++) m->out->weight[i] = i ? weight : 0;
}

/* The i-th message is a reply: its span is what is new since the conversation without it. */
static aerie_status weigh_reply(masking *m, json_t *before, json_t *reply, aerie_error *err)
{
    size_t begin, end = SIZE_MAX;
    bool header = m->r->options->train_header;
    aerie_status status = ae_renderer_boundary(m->r, before, !header, m->whole, &begin, err);
    if (status) return status;
    if (json_array_append(before, reply))
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    /* The last reply owns all that is left, an EOS added after the text too. */
    if (json_array_size(before) < json_array_size(m->messages))
        status = ae_renderer_boundary(m->r, before, false, m->whole, &end, err);
    if (!status) weigh(m, begin, end, message_weight(reply));
    return status;
}

static aerie_status weigh_replies(masking *m, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    json_t *before = json_array(), *message;
    size_t i;
    if (!before) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    json_array_foreach(m->messages, i, message)
    {
        if (is_reply(message))
            status = weigh_reply(m, before, message, err);
        else if (json_array_append(before, message))
            status = aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
        if (status) break;
    }
    json_decref(before);
    return status;
}

static aerie_status encode_chat(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err)
{
    const ae_encode_options *o = r->options;
    ae_bytes text = { 0 };
    ae_pieces p = { 0 };
    bool all = o->train_on == AE_TRAIN_ON_ALL;
    ae_class kind = { 0 };
    json_t *messages = ae_renderer_messages(r);
    aerie_status status =
        messages ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    if (!status && o->conditions) status = ae_class_of(&kind, r->example, o->conditions, err);
    if (!status && o->conditions) status = ae_condition_system(messages, &kind, err);
    if (!status) status = ae_renderer_add(r, messages, false, &text, err);
    if (!status) status = ae_pieces_encode(&p, ae_span_of(&text), o, err);
    if (!status) ae_pieces_close(&p, o);
    if (!status) status = ae_ids_status(&p.offsets, err);
    if (!status) status = fill(out, &p, AE_EXAMPLE_CHAT, all, arena, err);
    if (!status && !all) {
        masking m = { .r = r,
                      .messages = messages,
                      .whole = ae_span_of(&text),
                      .pieces = &p,
                      .out = out,
                      .kind = o->conditions ? &kind : NULL };
        status = weigh_replies(&m, err);
    }
    if (!status) ae_sample_cut(out, o->max_length);
    json_decref(messages);
    ae_pieces_free(&p);
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_encode(ae_sample *out, const ae_example *e, const ae_encode_options *o,
                       ae_arena *arena, aerie_error *err)
{
    ae_renderer r;
    aerie_status status;
    *out = (ae_sample){ 0 };
    if (e->kind == AE_EXAMPLE_TEXT)
        return ae_example_fail(e, encode_text(out, e, o, arena, err), err);
    if (e->kind == AE_EXAMPLE_CHAT && o->conditions && !o->conditions->in_system)
        return ae_example_fail(e, ae_encode_conditioned(out, e, o, arena, err), err);
    status = ae_renderer_open(&r, e, o, err);
    if (!status)
        status = e->kind == AE_EXAMPLE_PAIR       ? ae_encode_pair(out, &r, arena, err)
                 : e->kind == AE_EXAMPLE_RANKED   ? ae_encode_ranked(out, &r, arena, err)
                 : e->kind == AE_EXAMPLE_UNPAIRED ? ae_encode_unpaired(out, &r, arena, err)
                 : e->kind == AE_EXAMPLE_PROMPT   ? ae_encode_prompt(out, &r, arena, err)
                                                  : encode_chat(out, &r, arena, err);
    ae_renderer_close(&r);
    return ae_example_fail(e, status, err);
}
