/* tokenizer.h -- text to token ids and back.
 *
 * Two families: SentencePiece BPE (scores decide which pair merges first; bytes as fallback) and
 * byte-level BPE (a merge table; a pre-tokenizer cuts the text into words first). A tokenizer is
 * immutable once made; any number of threads may use one. */
#ifndef AE_TOKENIZER_H
#define AE_TOKENIZER_H

#include "base/base.h"

typedef struct ae_tokenizer ae_tokenizer;

/* The numbers are GGUF's tokenizer.ggml.token_type. */
typedef enum {
    AE_TOKEN_NORMAL = 1,
    AE_TOKEN_UNKNOWN = 2,
    AE_TOKEN_CONTROL = 3,      /* "<s>": never matched in text unless specials are parsed */
    AE_TOKEN_USER_DEFINED = 4, /* matched in text before anything else */
    AE_TOKEN_UNUSED = 5,
    AE_TOKEN_BYTE = 6 /* "<0x0A>" */
} ae_token_type;

typedef enum { AE_VOCAB_SPM, AE_VOCAB_BPE } ae_vocab_kind;

typedef struct {
    ae_span text; /* as stored: "▁the", "Ġthe", "<0x0A>", "</s>" */
    float score;  /* SPM: higher merges first */
    ae_token_type type;
    bool lstrip, rstrip; /* a special token that takes the white space before/after it along */
    bool single_word;    /* a special token that is none in the middle of a word */
} ae_vocab_token;

/* Tokens that ask for what belongs between two texts. */
typedef struct {
    bool is_named;  /* a file named them; otherwise they may be known by their texts */
    int32_t prefix; /* before what comes before the place */
    int32_t suffix; /* before what comes after it */
    int32_t middle; /* at the place; -1: none, what comes after is said first */
} ae_fim;

/* What a tokenizer is made of, whatever file it came from. The caller's; copied. */
typedef struct {
    ae_vocab_kind kind;
    const ae_vocab_token *tokens; /* [n_tokens], index = id */
    int32_t n_tokens;
    const ae_span *merges; /* BPE (and spm_bpe_merges): "left right", best first */
    int32_t n_merges;
    /* BPE: GGUF's tokenizer.ggml.pre ("gpt-2", "llama-bpe", "qwen2", "smollm", "default"...);
     * NULL: from pre_regex. A name implies what else its models do (ignore_merges, normalize_nfc),
     * for GGUF does not say. What ae_tokenizer_vocab returns names the known lists of patterns, and
     * has the patterns of a name. */
    const char *pre;
    const char *const *pre_regex; /* BPE: patterns, each cutting the pieces of the one before */
    int32_t n_pre_regex;
    bool ignore_merges;        /* BPE: a word that is itself a token stays whole (Llama 3) */
    bool normalize_nfc;        /* Qwen */
    bool add_prefix_space;     /* SPM: a space before the text (dummy prefix); BPE: GPT-2's flag */
    bool prefix_every_segment; /* SPM: again after every special token (HF "legacy"; GGUF); false:
                                * at the start only */
    bool prefix_unless_space;  /* SPM: none before text that begins with a space (HF Metaspace) */
    bool user_defined_inline;  /* SPM: text after a user-defined token is no new segment, as
                                * SentencePiece has it; HF begins a new one */
    bool remove_extra_spaces;  /* SPM: no spaces at the ends, no two in a row */
    bool keep_spaces;          /* SPM: pieces hold " " itself, not "▁" */
    bool split_words;          /* SPM: no piece goes across a space (HF Metaspace's split) */
    /* SPM: `merges` decide, not the scores (Gemma 3's and converted tokenizer.json). Scores that
     * are all 0 are filled in from the merges, so that a GGUF of kind "llama" can be written. */
    bool spm_bpe_merges;
    int32_t bos, eos, unk, pad, eot; /* -1: none */
    bool add_bos, add_eos;
    ae_fim fim;
} ae_vocab;

/* On AERIE_OK *out is the caller's, to be closed with ae_tokenizer_close(). */
aerie_status ae_tokenizer_new(ae_tokenizer **out, const ae_vocab *vocab, aerie_error *err);
/* A SentencePiece ModelProto of type BPE (tokenizer.model). prefix_every_segment is set: what
 * follows a special token written in the text begins with a dummy prefix of its own. */
aerie_status ae_tokenizer_from_spm(ae_tokenizer **out, const void *data, size_t size,
                                   aerie_error *err);
/* A tokenizer.json; `config` is the text of tokenizer_config.json, or NULL. */
aerie_status ae_tokenizer_from_json(ae_tokenizer **out, ae_span json, ae_span config,
                                    aerie_error *err);
/* A bare tokenizer.model or tokenizer.json by path, or a folder that holds one (with
 * tokenizer_config.json and added_tokens.json beside it when present). */
aerie_status ae_tokenizer_open(ae_tokenizer **out, const char *path, aerie_error *err);
void ae_tokenizer_close(ae_tokenizer *t); /* NULL is fine */

/* Borrowed; as good as what ae_tokenizer_new was given: for writing GGUF. */
const ae_vocab *ae_tokenizer_vocab(const ae_tokenizer *t);
int32_t ae_tokenizer_size(const ae_tokenizer *t);
/* The id of a token by its stored text; -1: none. */
int32_t ae_tokenizer_find(const ae_tokenizer *t, ae_span text);
/* A token that ends a reply: eos, eot, <|im_end|>, <end_of_turn>... */
bool ae_tokenizer_is_eog(const ae_tokenizer *t, int32_t id);

enum {
    AE_ENCODE_BOS = 1,      /* put BOS first when the vocabulary wants one (add_bos); a rendered
                             * template may begin with it already: then don't ask for another */
    AE_ENCODE_SPECIAL = 2,  /* control tokens written in the text become those tokens */
    AE_ENCODE_CONTINUE = 4, /* the text goes on from earlier text: no dummy prefix */
    AE_ENCODE_EOS = 8       /* put EOS last when the vocabulary wants one (add_eos) */
};

/* Appends the ids of `text` (at most 2 GiB). User-defined tokens are always recognised. Bytes that
 * are no UTF-8 become byte tokens as they are. When `offsets` is not NULL, appends for each id the
 * byte of `text` at which it starts (BOS: 0), so that a span of characters can be mapped to tokens.
 */
aerie_status ae_tokenizer_encode(const ae_tokenizer *t, ae_span text, unsigned flags, ae_ids *ids,
                                 ae_ids *offsets, aerie_error *err);

/* The tokens for filling in the middle; false: the vocabulary has none. */
bool ae_tokenizer_fim(const ae_tokenizer *t, ae_fim *out);
/* The same of tokens whose tokenizer is not made, known by their texts. */
bool ae_fim_is_among(const ae_span *tokens, size_t n);
/* Appends the prompt for what belongs between two texts, with BOS where the vocabulary wants one;
 * control tokens written in the texts are text. AERIE_UNSUPPORTED: it has no such tokens. */
aerie_status ae_tokenizer_encode_fim(const ae_tokenizer *t, ae_span before, ae_span after,
                                     ae_ids *ids, aerie_error *err);

/* The stored text of one token; empty for an id out of range. Borrowed. */
ae_span ae_tokenizer_piece(const ae_tokenizer *t, int32_t id);
/* Appends the bytes that one token stands for in the middle of a text ("▁the" -> " the",
 * "<0x0A>" -> "\n"); a control token gives nothing unless `specials`, and
 * the unknown token SentencePiece's " ⁇ ", or nothing for a tokenizer.json. */
void ae_tokenizer_token_bytes(const ae_tokenizer *t, int32_t id, bool specials, ae_bytes *out);
/* The text of all ids, the dummy prefix's space taken away again. Bytes that are no UTF-8 become
 * U+FFFD. */
aerie_status ae_tokenizer_decode(const ae_tokenizer *t, const int32_t *ids, size_t n, bool specials,
                                 ae_bytes *out, aerie_error *err);

/* Decoding as tokens come: whole UTF-8 characters leave, the rest waits. A zeroed state is fresh.
 */
typedef struct {
    char held[8]; /* the start of a character whose other bytes have not come */
    int n_held;
    bool started;   /* something has left: the dummy prefix is behind us */
    bool continues; /* set by the caller: the text goes on from a prompt, keep a first space */
    bool specials;
} ae_decoder;

void ae_decoder_push(ae_decoder *d, const ae_tokenizer *t, int32_t id, ae_bytes *out);
/* What is held at the end leaves as U+FFFD. */
void ae_decoder_finish(ae_decoder *d, ae_bytes *out);

#endif
