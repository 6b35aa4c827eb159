/* tokenizer_spm.c -- reads a SentencePiece ModelProto (tokenizer.model). */
#include "text/proto.h"
#include "text/vocab_builder.h"

#include <stdio.h>

/* Field numbers of sentencepiece_model.proto. */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum {
    TRAINER_MODEL_TYPE = 3,
    TRAINER_SPACE_AS_SUFFIX = 24,
    TRAINER_UNK_PIECE = 45,
    TRAINER_BOS_PIECE = 46,
    TRAINER_EOS_PIECE = 47,
    TRAINER_PAD_PIECE = 48
};
enum {
    NORMALIZER_NAME = 1,
    NORMALIZER_CHARSMAP = 2,
    NORMALIZER_PREFIX = 3,
    NORMALIZER_EXTRA_SPACES = 4,
    NORMALIZER_ESCAPE = 5
};
enum { TYPE_UNIGRAM = 1, TYPE_BPE = 2, TYPE_WORD = 3, TYPE_CHAR = 4 };

typedef struct {
    ae_span unk, bos, eos, pad; /* their pieces */
    uint64_t model_type;
    bool space_as_suffix;
} trainer;

static aerie_status damaged(const char *where, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE,
                      "damaged in %s: the file is cut off, or it is no SentencePiece model", where);
}

static aerie_status read_piece(ae_vocab_builder *b, ae_span message, size_t most, aerie_error *err)
{
    ae_vocab_token token = { .text = { "", 0 }, .type = AE_TOKEN_NORMAL };
    ae_proto_field f;

    for (size_t at = 0; at < message.len;) {
        if (!ae_proto_next(message, &at, &f)) return damaged("a piece", err);
        if (f.number == PIECE_TEXT && f.wire == AE_PROTO_BYTES) token.text = f.bytes;
        if (f.number == PIECE_SCORE && f.wire == AE_PROTO_FIXED32) token.score = ae_proto_float(&f);
        if (f.number != PIECE_TYPE || f.wire != AE_PROTO_VARINT) continue;
        if (f.value < AE_TOKEN_NORMAL || f.value > AE_TOKEN_BYTE) return damaged("a piece", err);
        token.type = (ae_token_type)f.value;
    }
    return ae_vocab_builder_set(b, (int64_t)b->n_tokens, token, most, err);
}

static aerie_status read_trainer(trainer *t, ae_span message, aerie_error *err)
{
    ae_proto_field f;

    for (size_t at = 0; at < message.len;) {
        if (!ae_proto_next(message, &at, &f)) return damaged("the training settings", err);
        if (f.wire == AE_PROTO_VARINT && f.number == TRAINER_MODEL_TYPE) t->model_type = f.value;
        if (f.wire == AE_PROTO_VARINT && f.number == TRAINER_SPACE_AS_SUFFIX)
            t->space_as_suffix = f.value != 0;
        if (f.wire != AE_PROTO_BYTES) continue;
        if (f.number == TRAINER_UNK_PIECE) t->unk = f.bytes;
        if (f.number == TRAINER_BOS_PIECE) t->bos = f.bytes;
        if (f.number == TRAINER_EOS_PIECE) t->eos = f.bytes;
        if (f.number == TRAINER_PAD_PIECE) t->pad = f.bytes;
    }
    return AERIE_OK;
}

static aerie_status read_normalizer(ae_vocab *v, ae_span message, aerie_error *err)
{
    ae_span name = { "", 0 };
    size_t charsmap_bytes = 0;
    ae_proto_field f;

    for (size_t at = 0; at < message.len;) {
        if (!ae_proto_next(message, &at, &f)) return damaged("the normaliser", err);
        if (f.wire == AE_PROTO_BYTES && f.number == NORMALIZER_NAME) name = f.bytes;
        if (f.wire == AE_PROTO_BYTES && f.number == NORMALIZER_CHARSMAP)
            charsmap_bytes = f.bytes.len;
        if (f.wire != AE_PROTO_VARINT) continue;
        if (f.number == NORMALIZER_PREFIX) v->add_prefix_space = f.value != 0;
        if (f.number == NORMALIZER_EXTRA_SPACES) v->remove_extra_spaces = f.value != 0;
        if (f.number == NORMALIZER_ESCAPE) v->keep_spaces = f.value == 0;
    }
    if (charsmap_bytes > 0)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "its text is normalised by \"%.*s\" with a table of %zu bytes; only the "
                          "identity is supported",
                          (int)(name.len < 40 ? name.len : 40), name.data, charsmap_bytes);
    return AERIE_OK;
}

static aerie_status check_trainer(const trainer *t, aerie_error *err)
{
    static const char *const names[] = { "", "unigram", "BPE", "word", "char" };

    if (t->model_type != TYPE_BPE)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "a SentencePiece model of type %s; only BPE is supported",
                          t->model_type <= TYPE_CHAR ? names[t->model_type] : "unknown");
    if (t->space_as_suffix)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "it keeps spaces at the ends of words; only at their beginnings is "
                          "supported");
    return AERIE_OK;
}

/* A piece is the beginning, end or padding only when it is a control piece. */
static int32_t control_id(const ae_vocab_builder *b, ae_span piece)
{
    int32_t id = ae_vocab_builder_find(b, piece);

    return id >= 0 && b->tokens[id].type == AE_TOKEN_CONTROL ? id : -1;
}

aerie_status ae_vocab_add_spm(ae_vocab_builder *b, ae_span model, aerie_error *err)
{
    ae_vocab *v = &b->vocab;
    trainer t = { ae_span_text("<unk>"), ae_span_text("<s>"), ae_span_text("</s>"),
                  ae_span_text("<pad>"), TYPE_UNIGRAM,        false };
    size_t most = model.len / 4; /* a piece takes more bytes than that */
    ae_proto_field f;
    aerie_status status = AERIE_OK;

    v->kind = AE_VOCAB_SPM;
    v->add_prefix_space = v->remove_extra_spaces = true; /* the format's defaults */
    v->prefix_every_segment = v->user_defined_inline = true;
    for (size_t at = 0; at < model.len && !status;) {
        if (!ae_proto_next(model, &at, &f)) return damaged("its outer frame", err);
        if (f.wire != AE_PROTO_BYTES) continue;
        if (f.number == MODEL_PIECES) status = read_piece(b, f.bytes, most, err);
        if (f.number == MODEL_TRAINER) status = read_trainer(&t, f.bytes, err);
        if (f.number == MODEL_NORMALIZER) status = read_normalizer(v, f.bytes, err);
    }
    if (!status && b->n_tokens == 0) return damaged("its list of pieces, which is empty", err);
    if (!status) status = check_trainer(&t, err);
    v->unk = ae_vocab_builder_find(b, t.unk);
    v->bos = control_id(b, t.bos);
    v->eos = control_id(b, t.eos);
    v->pad = control_id(b, t.pad);
    v->add_bos = v->bos >= 0;
    return status;
}

aerie_status ae_tokenizer_from_spm(ae_tokenizer **out, const void *data, size_t size,
                                   aerie_error *err)
{
    ae_vocab_builder b;
    aerie_status status;

    *out = NULL;
    ae_vocab_builder_start(&b);
    status = ae_vocab_add_spm(&b, (ae_span){ data, size }, err);
    if (!status) status = ae_vocab_builder_finish(&b, out, err);
    ae_vocab_builder_free(&b);
    return status;
}
