/* tokenizer_decode.c -- ids to text, all at once or as they come. */
#include "text/tokenizer_parts.h"

#include "text/utf8.h"

#include <string.h>

static const char unknown_surface[] = " \xe2\x81\x87 "; /* SentencePiece's " ⁇ " */
static const char replacement[] = "\xef\xbf\xbd";       /* U+FFFD */

/* "▁the" -> " the". */
static void piece_bytes(ae_span text, bool keep_spaces, ae_bytes *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!keep_spaces && text.len - i >= 3 &&
            memcmp(text.data + i, AE_SPACE_MARK_TEXT, 3) == 0) {
            ae_bytes_add_char(out, ' ');
            i += 2;
        } else {
            ae_bytes_add_char(out, text.data[i]);
        }
    }
}

/* "Ġthe" -> " the"; a character that stands for no byte is itself. */
static void byte_level_bytes(ae_span text, ae_bytes *out)
{
    for (size_t at = 0; at < text.len;) {
        size_t here = at;
        int32_t byte = ae_char_byte(ae_utf8_next(text, &at));

        if (byte >= 0)
            ae_bytes_add_char(out, (char)(uint8_t)byte);
        else
            ae_bytes_add(out, text.data + here, at - here);
    }
}

static void token_bytes(const ae_vocab *v, int32_t id, ae_bytes *out)
{
    ae_span text = v->tokens[id].text;
    ae_token_type type = v->tokens[id].type;
    int32_t byte = type == AE_TOKEN_BYTE ? ae_byte_piece(text) : -1;

    if (byte >= 0)
        ae_bytes_add_char(out, (char)(uint8_t)byte);
    else if (type == AE_TOKEN_CONTROL)
        ae_bytes_add(out, text.data, text.len);
    else if (v->kind == AE_VOCAB_SPM && !v->spm_bpe_merges && type == AE_TOKEN_UNKNOWN)
        ae_bytes_add_text(out, unknown_surface);
    else if (v->kind == AE_VOCAB_SPM)
        piece_bytes(text, v->keep_spaces, out);
    else if (type == AE_TOKEN_NORMAL)
        byte_level_bytes(text, out);
    else
        ae_bytes_add(out, text.data, text.len);
}

aerie_status ae_token_bytes_new(ae_tokenizer *t, aerie_error *err)
{
    size_t n = (size_t)t->vocab.n_tokens;
    ae_bytes all = { 0 };
    char *blob = NULL;

    t->bytes = ae_arena_take_raw(&t->arena, n, sizeof *t->bytes);
    for (size_t i = 0; t->bytes && i < n; i++) {
        size_t before = all.len;

        token_bytes(&t->vocab, (int32_t)i, &all);
        t->bytes[i] = (ae_span){ NULL, all.len - before };
    }
    if (!all.failed) blob = ae_arena_strndup(&t->arena, all.data, all.len);
    ae_bytes_free(&all);
    if (!t->bytes || !blob)
        return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a vocabulary of %zu tokens", n);
    for (size_t i = 0; i < n; blob += t->bytes[i++].len) t->bytes[i].data = blob;
    return AERIE_OK;
}

/* Whether a token is left out of the text. */
static bool is_silent(const ae_tokenizer *t, int32_t id, bool specials)
{
    const ae_vocab *v = &t->vocab;

    if (id < 0 || id >= v->n_tokens) return true;
    if (specials) return false;
    if (v->tokens[id].type == AE_TOKEN_UNKNOWN) return v->kind == AE_VOCAB_BPE || v->spm_bpe_merges;
    return v->tokens[id].type == AE_TOKEN_CONTROL;
}

void ae_tokenizer_token_bytes(const ae_tokenizer *t, int32_t id, bool specials, ae_bytes *out)
{
    if (is_silent(t, id, specials)) return;
    ae_bytes_add(out, t->bytes[id].data, t->bytes[id].len);
}

/* Takes the dummy prefix away from the first token of a text. */
static ae_span without_prefix(const ae_tokenizer *t, int32_t id, ae_span bytes)
{
    const ae_vocab *v = &t->vocab;
    ae_token_type type = v->tokens[id].type;

    if (v->kind != AE_VOCAB_SPM || !(v->add_prefix_space || v->remove_extra_spaces)) return bytes;
    if (type == AE_TOKEN_BYTE || type == AE_TOKEN_UNKNOWN || type == AE_TOKEN_CONTROL) return bytes;
    if (bytes.len == 0 || bytes.data[0] != ' ') return bytes;
    return (ae_span){ bytes.data + 1, bytes.len - 1 };
}

/* Moves the end of out, from `from` on, into d->held when it is an unfinished character, and
 * mends ill-formed bytes. */
static void settle(ae_decoder *d, ae_bytes *out, size_t from)
{
    ae_span fresh = { out->data + from, out->len - from };
    size_t whole = ae_utf8_complete(fresh);
    ae_bytes copy = { 0 };

    d->n_held = (int)(fresh.len - whole);
    memcpy(d->held, fresh.data + whole, fresh.len - whole);
    fresh.len = whole;
    out->len = from + whole;
    out->data[out->len] = '\0';
    if (ae_utf8_valid(fresh)) return;
    ae_bytes_add(&copy, fresh.data, fresh.len);
    out->len = from;
    for (size_t at = 0; at < copy.len;) {
        size_t here = at;

        if (ae_utf8_next(ae_span_of(&copy), &at) < 0)
            ae_bytes_add_text(out, replacement);
        else
            ae_bytes_add(out, copy.data + here, at - here);
    }
    out->failed |= copy.failed;
    ae_bytes_free(&copy);
}

void ae_decoder_push(ae_decoder *d, const ae_tokenizer *t, int32_t id, ae_bytes *out)
{
    size_t from = out->len;
    ae_span bytes;

    if (is_silent(t, id, d->specials)) return;
    bytes = t->bytes[id];
    if (!d->started && !d->continues) bytes = without_prefix(t, id, bytes);
    /* Where extra spaces are removed, so is every one before the first other character. */
    d->started = bytes.len > 0 || !t->vocab.remove_extra_spaces;
    ae_bytes_add(out, d->held, (size_t)d->n_held);
    ae_bytes_add(out, bytes.data, bytes.len);
    if (out->failed || out->len == from) return;
    settle(d, out, from);
}

void ae_decoder_finish(ae_decoder *d, ae_bytes *out)
{
    if (d->n_held > 0) ae_bytes_add_text(out, replacement);
    d->n_held = 0;
}

aerie_status ae_tokenizer_decode(const ae_tokenizer *t, const int32_t *ids, size_t n, bool specials,
                                 ae_bytes *out, aerie_error *err)
{
    ae_decoder d = { .specials = specials };

    for (size_t i = 0; i < n; i++) ae_decoder_push(&d, t, ids[i], out);
    ae_decoder_finish(&d, out);
    return ae_bytes_status(out, err);
}
