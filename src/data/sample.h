/* sample.h -- what training reads: token sequences with weights, and preference pairs.
 *
 * This is where data ends and train begins. Records of any shape become these; which samples make
 * an optimizer step, their order in every epoch and how they are laid into rows is train's part. */
#ifndef AE_SAMPLE_H
#define AE_SAMPLE_H

#include "base/base.h"
#include "text/text.h"

/* One sequence. weights[i] is the weight of predicting ids[i] from ids[0 .. i-1]; weights[0] is
 * never used. A chunk that was cut out of several glued documents is one sequence like any other. */
typedef struct {
    const int32_t *ids;   /* [n] */
    const float *weights; /* [n]; 0: read, not learned */
    int64_t n;
} ae_sample;

/* A prompt and two answers to it; every token of an answer is learned (its end included). The
 * prompt has at least one token: its last row predicts the answers' first tokens. */
typedef struct {
    const int32_t *prompt, *chosen, *rejected;
    int64_t n_prompt, n_chosen, n_rejected;
} ae_pair_sample;

/* What was read. Everything lives in `arena`; a zeroed set is empty. Either samples or pairs. */
typedef struct {
    ae_arena arena;
    const ae_sample *samples;
    int64_t n_samples;
    const ae_pair_sample *pairs;
    int64_t n_pairs;
    int64_t n_records; /* read from the files */
    int64_t n_dropped; /* of these: too long, empty, malformed where that is tolerated */
    int64_t n_cut;     /* shortened to max_length */
} ae_data_set;

void ae_data_set_free(ae_data_set *set);

typedef enum {
    AE_DATA_TEXT,    /* documents: every token is learned (pretrain) */
    AE_DATA_CHAT,    /* messages or prompt/completion (sft) */
    AE_DATA_PAIRS    /* prompt/chosen/rejected (dpo) */
} ae_data_kind;

typedef enum {
    AE_TRAIN_ON_COMPLETION, /* replies only: assistant messages, the completion */
    AE_TRAIN_ON_ALL
} ae_train_on;

typedef enum {
    AE_PACK_NONE,    /* a record is a sample */
    AE_PACK_WRAPPED  /* TRL's ConstantLength: glue with an end-of-sequence between, cut into blocks of
                      * max_length, drop the tail */
} ae_packing;

/* A column of the file under the name that the reader expects: {"messages", "conversation"}. */
typedef struct {
    const char *role, *column;
} ae_data_column;

typedef struct {
    const char *path; /* JSONL or JSON, .gz or plain; a .txt for AE_DATA_TEXT */
    const ae_data_column *columns; /* none: detected */
    int64_t n_columns;
    double fraction;  /* of the records that are taken, from the front after a seeded shuffle; 1: all */
} ae_data_source;

typedef struct {
    ae_data_kind kind;
    const ae_data_source *sources;
    int64_t n_sources;
    const ae_tokenizer *tokenizer;
    const char *template_source; /* Jinja; NULL: refused for records of messages */
    int64_t max_length;          /* tokens of a sample, or of prompt and longer answer; 0: no limit */
    int64_t max_prompt_length;   /* pairs; 0: half of max_length */
    ae_train_on train_on;
    ae_packing packing;
    uint64_t seed;
} ae_data_options;

/* Reads, renders, tokenizes. A record that cannot be used ends it with a sentence naming the file
 * and line. On AERIE_OK the caller frees *out with ae_data_set_free(). */
aerie_status ae_data_load(ae_data_set *out, const ae_data_options *options, aerie_error *err);

#endif
