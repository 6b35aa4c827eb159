/* tokenizer_encode.c -- text to ids: special tokens first, then what lies between them. */
#include "text/tokenizer_parts.h"

#include <string.h>

enum {
    CACHE_FROM = 4096, /* bytes of text from which remembering words pays for the table */
    CACHE_MOST = 65536
};

void ae_encoding_add(ae_encoding *e, int32_t id, size_t at)
{
    ae_ids_add(e->ids, id);
    if (!e->offsets) return;
    if (e->changed) at = at < e->normalized.origin.len ? (size_t)e->normalized.origin.data[at] : 0;
    ae_ids_add(e->offsets, (int32_t)(e->base + at));
}

void ae_encoding_add_unknown(ae_encoding *e, size_t at)
{
    int32_t unk = e->t->vocab.unk;

    e->met_unknown = true;
    if (unk < 0) return;
    if (e->ids->len > e->segment_ids && e->ids->data[e->ids->len - 1] == unk) return;
    ae_encoding_add(e, unk, at);
}

static bool begins_with_space(ae_span text, bool marks_count)
{
    if (text.len > 0 && text.data[0] == ' ') return true;
    return marks_count && text.len >= 3 && memcmp(text.data, AE_SPACE_MARK_TEXT, 3) == 0;
}

/* Encodes text[begin, end), between two special tokens. */
static aerie_status encode_segment(ae_encoding *e, ae_span text, size_t begin, size_t end,
                                   bool prefix, bool at_start, aerie_error *err)
{
    const ae_vocab *v = &e->t->vocab;
    bool spm = v->kind == AE_VOCAB_SPM;
    ae_span segment = { text.data + begin, end - begin };
    ae_normalizing how = { .nfc = v->normalize_nfc,
                           .squeeze = spm && v->remove_extra_spaces,
                           .at_start = at_start,
                           .at_end = end == text.len,
                           .prefix = prefix,
                           .want_origin = e->offsets != NULL };
    aerie_status status;

    if (prefix && (!spm || v->prefix_unless_space)) how.prefix = !begins_with_space(segment, spm);
    status = ae_normalize(&e->normalized, segment, how, &e->text, &e->changed, err);
    if (status) return status;
    e->base = begin;
    e->segment_ids = e->ids->len;
    return spm ? ae_spm_encode(e, err) : ae_bpe_encode(e, err);
}

/* Whether the next segment begins with a dummy prefix, after the token `type`. */
static bool prefix_after(const ae_vocab *v, ae_token_type type)
{
    if (v->user_defined_inline && type == AE_TOKEN_USER_DEFINED) return false;
    if (v->kind == AE_VOCAB_BPE) return v->add_prefix_space;
    return v->add_prefix_space && v->prefix_every_segment;
}

static aerie_status encode_segments(ae_encoding *e, ae_span text, unsigned flags, aerie_error *err)
{
    const ae_vocab *v = &e->t->vocab;
    bool prefix = v->add_prefix_space && !(flags & AE_ENCODE_CONTINUE);
    bool first = !(flags & AE_ENCODE_CONTINUE);
    aerie_status status = AERIE_OK;

    for (size_t at = 0; at < text.len && !status;) {
        ae_special_match match;
        bool found = ae_special_find(&e->t->special, text, at, flags & AE_ENCODE_SPECIAL, &match);
        size_t end = found ? match.begin : text.len;
        bool inside =
            found && v->user_defined_inline && v->tokens[match.id].type == AE_TOKEN_USER_DEFINED;

        /* SentencePiece's prefix comes before a user-defined token too. */
        if (end > at || (inside && prefix))
            status = encode_segment(e, text, at, end, prefix, first, err);
        if (!found) break;
        e->changed = false;
        e->base = 0;
        ae_encoding_add(e, match.id, match.begin);
        prefix = prefix_after(v, v->tokens[match.id].type);
        first = false;
        at = match.end;
    }
    return status;
}

static void open_cache(ae_encoding *e, size_t text_bytes)
{
    size_t slots = CACHE_FROM / 64;

    /* With offsets every word's place is wanted, and a copy has none. */
    if (text_bytes < CACHE_FROM || e->offsets) return;
    while (slots < text_bytes / 64 && slots < CACHE_MOST) slots *= 2;
    e->cache = ae_alloc(slots, sizeof *e->cache); /* without it encoding is only slower */
    e->cache_mask = slots - 1;
}

aerie_status ae_tokenizer_encode(const ae_tokenizer *t, ae_span text, unsigned flags, ae_ids *ids,
                                 ae_ids *offsets, aerie_error *err)
{
    const ae_vocab *v = &t->vocab;
    ae_encoding e = { .t = t, .ids = ids, .offsets = offsets };
    aerie_status status;

    if (text.len > INT32_MAX)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a text of %zu bytes is too long to encode at once: cut it", text.len);
    open_cache(&e, text.len);
    if ((flags & AE_ENCODE_BOS) && v->add_bos && v->bos >= 0) ae_encoding_add(&e, v->bos, 0);
    status = encode_segments(&e, text, flags, err);
    e.changed = false;
    e.base = 0;
    if ((flags & AE_ENCODE_EOS) && v->add_eos && v->eos >= 0) ae_encoding_add(&e, v->eos, text.len);
    if (!status) status = ae_ids_status(ids, err);
    if (!status && offsets) status = ae_ids_status(offsets, err);
    ae_merger_free(&e.merger);
    ae_normalized_free(&e.normalized);
    ae_free(e.cache);
    return status;
}
