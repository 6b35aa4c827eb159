/* spm_write.c -- a vocabulary as SentencePiece's ModelProto (tokenizer.model). */
#include "model/tokenizer_files.h"

#include <string.h>

/* Protocol buffers: a field is a key (number * 8 + wire type) and a value. */
enum { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static void put_varint(ae_bytes *out, uint64_t value)
{
    for (; value >= 128; value >>= 7) ae_bytes_add_char(out, (char)(value | 128));
    ae_bytes_add_char(out, (char)value);
}

static void put_number(ae_bytes *out, int field, uint64_t value)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(out, value);
}

static void put_bytes(ae_bytes *out, int field, ae_span bytes)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(out, bytes.len);
    ae_bytes_add(out, bytes.data, bytes.len);
}

static void put_float(ae_bytes *out, int field, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_varint(out, (uint64_t)field << 3 | WIRE_FIXED32);
    for (int i = 0; i < 4; i++) ae_bytes_add_char(out, (char)(bits >> 8 * i));
}

/* SentencePiece { piece 1, score 2, type 3 } */
static void put_piece(ae_bytes *out, ae_bytes *room, const ae_vocab_token *token)
{
    ae_bytes_clear(room);
    put_bytes(room, 1, token->text);
    put_float(room, 2, token->score);
    put_number(room, 3, (uint64_t)token->type); /* the numbers are the same as GGUF's */
    put_bytes(out, 1, ae_span_of(room));
}

static void put_id(ae_bytes *out, int field, int32_t id)
{
    put_number(out, field, (uint64_t)(int64_t)id); /* -1 in 64 bits, as the format wants */
}

static bool has_bytes(const ae_vocab *v)
{
    for (int32_t i = 0; i < v->n_tokens; i++)
        if (v->tokens[i].type == AE_TOKEN_BYTE) return true;
    return false;
}

static void put_token(ae_bytes *out, int field, const ae_vocab *v, int32_t id)
{
    if (id >= 0) put_bytes(out, field, v->tokens[id].text);
}

/* TrainerSpec { model_type 3 (2: BPE), vocab_size 4, byte_fallback 35, ids of unk, bos, eos, pad 40
 * to 43, their pieces 45 to 48 } */
static void put_trainer(ae_bytes *out, ae_bytes *room, const ae_vocab *v)
{
    ae_bytes_clear(room);
    put_number(room, 3, 2);
    put_number(room, 4, (uint64_t)v->n_tokens);
    put_number(room, 35, has_bytes(v));
    put_id(room, 40, v->unk);
    put_id(room, 41, v->bos);
    put_id(room, 42, v->eos);
    put_id(room, 43, v->pad);
    put_token(room, 45, v, v->unk);
    put_token(room, 46, v, v->bos);
    put_token(room, 47, v, v->eos);
    put_token(room, 48, v, v->pad);
    put_bytes(out, 2, ae_span_of(room));
}

/* NormalizerSpec { name 1, add_dummy_prefix 3, remove_extra_whitespaces 4, escape_whitespaces 5 }
 */
static void put_normalizer(ae_bytes *out, ae_bytes *room, const ae_vocab *v)
{
    ae_bytes_clear(room);
    put_bytes(room, 1, ae_span_text("identity"));
    put_number(room, 3, v->add_prefix_space);
    put_number(room, 4, v->remove_extra_spaces);
    put_number(room, 5, !v->keep_spaces);
    put_bytes(out, 3, ae_span_of(room));
}

aerie_status ae_spm_model_bytes(const ae_vocab *v, ae_bytes *out, aerie_error *err)
{
    ae_bytes room = { 0 };
    aerie_status status;

    for (int32_t i = 0; i < v->n_tokens; i++) put_piece(out, &room, &v->tokens[i]);
    put_trainer(out, &room, v);
    put_normalizer(out, &room, v);
    status = ae_bytes_status(&room, err);
    ae_bytes_free(&room);
    return status ? status : ae_bytes_status(out, err);
}
