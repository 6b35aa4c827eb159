/* spm.c -- SentencePiece BPE: characters merge into pieces; what no piece covers becomes bytes.
 *
 * No word boundaries are needed for the result, but they make it cheap: where no piece of the
 * vocabulary holds two neighbouring characters side by side, no merge can go across, and the text
 * may be cut there. */
#include "text/tokenizer_parts.h"

#include "text/utf8.h"

enum { UNUSED_DEPTH = 64 /* how deep unused pieces may lie in each other */ };

static uint64_t joint_bit(const ae_spm *s, int32_t left, int32_t right)
{
    return ae_mix64(ae_pair_key(left, right)) & s->joints_mask;
}

static bool may_join(const ae_spm *s, int32_t left, int32_t right)
{
    uint64_t bit;

    if (left < 0 || right < 0) return false;
    if (left < 128 && right < 128) return s->ascii_joints[left][right / 8] >> (right & 7) & 1;
    bit = joint_bit(s, left, right);
    return s->joints[bit / 64] >> (bit & 63) & 1;
}

/* The next character; a space is the mark that stands for it. -1: ill-formed. */
static int32_t next_code(const ae_vocab *v, ae_span text, size_t *at)
{
    uint8_t byte = (uint8_t)text.data[*at];

    if (byte >= 0x80) return ae_utf8_next(text, at);
    ++*at;
    return byte == ' ' && !v->keep_spaces ? AE_SPACE_MARK : byte;
}

static int32_t symbol_of(const ae_spm *s, int32_t code)
{
    const ae_number_entry *found;

    if (code < 0) return -1;
    if (code < 128) return s->ascii[code];
    found = ae_number_table_find(&s->chars, (uint64_t)code);
    return found ? found->id : -1;
}

static void add_bytes(ae_encoding *e, size_t at, size_t len)
{
    const ae_spm *s = &e->t->spm;
    const uint8_t *bytes = (const uint8_t *)e->text.data + at;

    if (!s->all_bytes) {
        ae_encoding_add_unknown(e, at);
        return;
    }
    if (len == 1 && bytes[0] == ' ' && !e->t->vocab.keep_spaces) { /* a vocabulary without "▁" */
        for (int i = 0; i < 3; i++)
            ae_encoding_add(e, s->bytes[(uint8_t)AE_SPACE_MARK_TEXT[i]], at);
        return;
    }
    for (size_t i = 0; i < len; i++) ae_encoding_add(e, s->bytes[bytes[i]], at + i);
}

/* Bytes of text that a token covers: a mark in it may be one space. */
static size_t covered(const ae_encoding *e, int32_t id, size_t at)
{
    ae_span piece = id >= 0 && id < e->t->vocab.n_tokens ? e->t->texts[id] : (ae_span){ 0 };
    size_t from = at, i = 0;

    if (piece.len == 0) {
        ae_utf8_next(e->text, &at);
        return at - from;
    }
    while (i < piece.len && at < e->text.len) {
        ae_utf8_next(piece, &i);
        ae_utf8_next(e->text, &at);
    }
    return at - from;
}

/* Appends what a symbol has become: a token, bytes, or the two parts of an unused piece. */
static void add_symbol(ae_encoding *e, int32_t id, size_t at, size_t len, int depth)
{
    const ae_spm *s = &e->t->spm;

    if (id < 0 || id >= e->t->vocab.n_tokens) {
        add_bytes(e, at, len);
    } else if (s->unused && s->unused[id].left >= 0 && depth < UNUSED_DEPTH) {
        size_t left = covered(e, s->unused[id].left, at);

        if (left > len) left = len;
        add_symbol(e, s->unused[id].left, at, left, depth + 1);
        add_symbol(e, s->unused[id].right, at + left, len - left, depth + 1);
    } else {
        ae_encoding_add(e, id, at);
    }
}

static void encode_word(ae_encoding *e, size_t begin, size_t end)
{
    const ae_tokenizer *t = e->t;
    ae_merger *m = &e->merger;
    ae_cached_word *slot;
    ae_span word = { e->text.data + begin, end - begin };
    size_t ids_at = e->ids->len;

    if (ae_encoding_recall(e, word, &slot)) return;
    ae_merger_start(m);
    for (size_t at = begin; at < end;) {
        size_t here = at;
        int32_t code = next_code(&t->vocab, e->text, &at);

        ae_merger_add(m, symbol_of(&t->spm, code), here, at - here);
    }
    ae_merge(m, &t->pairs, NULL, NULL);
    if (m->failed || m->n_symbols == 0) return;
    for (int32_t i = 0; i >= 0; i = m->symbols[i].next)
        add_symbol(e, m->symbols[i].id, m->symbols[i].at, m->symbols[i].len, 0);
    ae_encoding_remember(e, slot, word, ids_at);
}

aerie_status ae_spm_encode(ae_encoding *e, aerie_error *err)
{
    const ae_vocab *v = &e->t->vocab;
    size_t begin = 0, at = 0;
    int32_t before = -1;

    while (at < e->text.len && !e->merger.failed) {
        size_t here = at;
        int32_t code = next_code(v, e->text, &at);
        bool cut = !may_join(&e->t->spm, before, code) || (v->split_words && code == AE_SPACE_MARK);

        if (here > begin && cut) {
            encode_word(e, begin, here);
            begin = here;
        }
        before = code;
    }
    if (begin < e->text.len) encode_word(e, begin, e->text.len);
    if (e->merger.failed)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a text of %zu bytes",
                          e->text.len);
    return AERIE_OK;
}
