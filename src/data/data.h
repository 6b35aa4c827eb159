/* data.h -- the door of data: from files of records to tokens with weights, in packed rows.
 *
 *   ae_dataset   records of any known shape, in one neutral form (ae_example)
 *   ae_encode    one example -> ids and the weight of predicting each (ae_sample)
 *   ae_samples   a whole dataset encoded
 *   ae_epoch_order  which sample comes next: shuffled anew each epoch by the seed
 *   ae_packing   samples -> rows of at most so many tokens */
#ifndef AE_DATA_H
#define AE_DATA_H

#include "base/base.h"
#include "data/rows.h"
#include "text/text.h"

#include <jansson.h>

/* ---- records ---------------------------------------------------------------------------- */

typedef enum {
    AE_EXAMPLE_TEXT = 1, /* a document */
    AE_EXAMPLE_CHAT,     /* a conversation */
    AE_EXAMPLE_PAIR,     /* a conversation and two replies to it, the first one preferred */
    AE_EXAMPLE_RANKED,   /* a conversation and any number of replies to it, each with a rank */
    AE_EXAMPLE_UNPAIRED, /* a conversation and one reply, wanted or not */
    AE_EXAMPLE_PROMPT    /* a conversation to which replies will be sampled */
} ae_example_kind;

/* Borrowed from the dataset. Messages are arrays of {"role", "content", ...}. */
typedef struct {
    ae_example_kind kind;
    ae_span text;              /* text */
    json_t *messages;          /* chat, prompt: all of it; pair: what both replies answer */
    json_t *chosen, *rejected; /* pair: what follows; usually one assistant message. Unpaired:
                                  `chosen` is the reply, whatever is thought of it */
    bool undesirable;          /* unpaired: the reply is not wanted */
    json_t *ranked;            /* pair: texts of all replies the row has, best first; or NULL */
    json_t *replies;           /* ranked: a list of replies, each what `chosen` is */
    json_t *ranks;             /* ranked: a number a reply, 1 the best; equal ones are tied */
    double gap;            /* pair: the difference of the answers' scores; NaN: they have none */
    double margin;         /* ranked, of a pair with that column: by how much; else 0 */
    json_t *tools;         /* or NULL */
    json_t *row;           /* prompt: all that the row holds, for whoever judges the replies */
    const char *condition; /* the row's class, or NULL */
    const char *file;      /* where it came from, for messages */
    size_t line;           /* from 1 */
    bool is_row;           /* `line` counts the rows of an array, not lines */
} ae_example;

typedef struct {
    const char *ours, *theirs; /* {"chosen", "good"}: the file calls "good" what we call "chosen" */
} ae_column;

/* What pairs are made of a row with several ranked or scored replies. */
typedef enum {
    AE_RANKED_BEST_RANDOM, /* Zephyr's: the best against any other that differs */
    AE_RANKED_MEAN_RANDOM, /* Argilla's: by the mean rating, against any that is worse */
    AE_RANKED_BEST_WORST,
    AE_RANKED_ALL /* every two of which one is better */
} ae_ranked_pairs;

typedef struct {
    const ae_column *columns; /* NULL: named as we name them */
    size_t n_columns;
    ae_example_kind kind; /* what the method needs; 0: whatever the file holds */
    size_t max_rows;      /* of each file; 0: all */
    ae_ranked_pairs ranked;
    uint64_t seed;      /* of what is random in `ranked` */
    double min_margin;  /* pairs whose scores differ by less are left out; of ranks, by so many
                           places */
    bool score_margins; /* rankings of two: that difference is their margin, where no column says
                           one */
    /* AE_EXAMPLE_RANKED alone: */
    bool ranked_pairs;  /* rankings of two, chosen as `ranked` says */
    bool unranked;      /* replies of no or equal ranks too, and all of them in the row's order */
    size_t max_answers; /* so many of a row, spread evenly from best to worst; 0: all */
} ae_dataset_options;

typedef struct ae_dataset ae_dataset;

/* Reads .jsonl, .json (an array, or one record a line), .parquet and .txt (a document), plain or
 * gzipped. A path may be a folder of such files (of one split), or a pattern with * ? [. A row that
 * does not fit fails with its file, line and a remedy. A pair's file may be asked for as
 * AE_EXAMPLE_CHAT: the conversation with the chosen reply. Asked for as AE_EXAMPLE_UNPAIRED it
 * gives its pairs: see ae_samples_unpair(). Asked for as AE_EXAMPLE_PROMPT, conversations
 * ('messages', 'conversations', or 'prompt' as messages) lose a reply at their end, and a text
 * ('prompt', 'question', 'instruction') is what a person says. The options' columns must outlive
 * it. */
aerie_status ae_dataset_open(ae_dataset **out, const char *const *paths, size_t n_paths,
                             const ae_dataset_options *options, aerie_error *err);
/* The same of a text in memory; `name` is what errors call it, and its end says what it holds. */
aerie_status ae_dataset_open_text(ae_dataset **out, const char *name, ae_span text,
                                  const ae_dataset_options *options, aerie_error *err);
/* The same without reading yet: ae_dataset_more() reads on, so that a file larger than memory can
 * be walked. ae_samples_encode() does so. */
aerie_status ae_dataset_start(ae_dataset **out, const char *const *paths, size_t n_paths,
                              const ae_dataset_options *options, aerie_error *err);
/* Forgets the records that are held, and reads the next n, or a few more where one row has several.
 * Fewer: the end. After a failure those before the bad row are held, and the next call reads on
 * behind it. */
aerie_status ae_dataset_more(ae_dataset *d, size_t n, aerie_error *err);
bool ae_dataset_ended(const ae_dataset *d);              /* nothing is left to be read */
void ae_dataset_close(ae_dataset *d);                    /* NULL is fine */
size_t ae_dataset_len(const ae_dataset *d);              /* held now */
ae_example ae_dataset_at(const ae_dataset *d, size_t i); /* i < len */
const char *ae_dataset_file(const ae_dataset *d);        /* the first one's path */
/* The sentence of a set of which no sample is left, out of so many records. */
aerie_status ae_dataset_none_left(const ae_dataset *d, size_t n_records, aerie_error *err);
/* Rows that hold no pair: all replies alike, or of a benchmark (see AE_RANKED_BEST_RANDOM). */
size_t ae_dataset_left_out(const ae_dataset *d);
/* The shape found in the first file: "messages", "prompt and completion", "hh-rlhf"... */
const char *ae_dataset_shape(const ae_dataset *d);

/* The files that a recipe's path stands for: itself; those of a folder; those that match a
 * pattern with * ? [. In the order of their names. The list and its texts are the arena's. */
aerie_status ae_files_of(const char ***out, size_t *n, const char *path, ae_arena *arena,
                         aerie_error *err);

/* ---- tokens ----------------------------------------------------------------------------- */

typedef enum {
    AE_TRAIN_ON_COMPLETION, /* the assistant's replies */
    AE_TRAIN_ON_ALL         /* every token */
} ae_train_on;

typedef enum {
    AE_KEEP_END,   /* a prompt that is too long loses its beginning (TRL 0.7 to 0.11: Zephyr) */
    AE_KEEP_START, /* ... its end */
    AE_CUT_END     /* the prompt stays whole, the replies lose their ends (TRL 1.x) */
} ae_keep;

/* A class of conversations (C-RLFT): what prompts of it say, and what its replies weigh. */
typedef struct {
    const char *name, *prefix;
    float weight;
} ae_class;

/* How conversations of classes become tokens. Borrows everything. */
typedef struct {
    const ae_class *classes; /* none: a class's name is its prefix, and it weighs 1 */
    size_t n_classes;
    bool in_system;          /* the prefix begins the system message of a rendered conversation;
                                else OpenChat's way: "PREFIX User:", in pieces, see ae_piece */
    const char *end_of_turn; /* OpenChat's way: the token that ends a message */
    bool by_message; /* a reply's weight is divided by its tokens: every message counts alike */
    bool bfloat16;   /* weights are rounded, as OpenChat's are: 0.1 becomes 0.10009766 */
} ae_conditions;

/* Zero is the default of every field but the first two. */
typedef struct {
    const ae_tokenizer *tokenizer;
    const ae_template *chat_template; /* may be NULL for text, and with `plain` */
    bool plain;                       /* contents one after the other, no template */
    ae_train_on train_on;
    bool empty_system;  /* Zephyr: an empty system message where there is none */
    bool train_header;  /* Zephyr: the assistant's header belongs to the reply */
    bool append_eos;    /* EOS after the reply (Zephyr's DPO) or document, unless it ends so */
    bool no_bos;        /* otherwise BOS where the vocabulary wants one and the text has none */
    int32_t max_length; /* tokens of a sample, or of a prompt with either reply; 0: no bound */
    const ae_conditions *conditions; /* chat: NULL: classes mean nothing */
    int32_t max_prompt_length; /* what a pair's prompt is cut to when too long; 0: max_length / 2.
                                  A prompt alone that is longer is dropped: cut, it would ask
                                  something else; 0: no bound */
    int32_t max_reply_length;  /* ranked: tokens of a reply; 0: no bound of its own */
    ae_keep keep;
} ae_encode_options;

/* One example as tokens.
 *   text, chat: ids[0..n)
 *   unpaired:   ids = prompt, chosen: the reply; then, where ae_samples_unpair() put one, rejected:
 *               a reply to another prompt
 *   pair:       ids = prompt, chosen, rejected, one after the other. Prompt and chosen are together
 *               the tokens of the whole conversation, and so are prompt and rejected: the two
 *               replies branch from one prefix.
 *   ranked:     ids = prompt, reply, reply, ..., in the same way
 *   prompt:     ids[0..n), all of them the prompt; what opens the reply is there
 * weight[t] is that of predicting ids[t] from what is before it: 0 for prompts, and for ids[0]. Of
 * ranked replies it is 1 where a score is read, at each one's last token. */
typedef struct {
    ae_example_kind kind;
    int32_t *ids;
    float *weight;
    int32_t n;
    int32_t n_prompt, n_chosen, n_rejected; /* pair, unpaired; ranked, prompt: n_prompt */
    int32_t n_replies;                      /* ranked */
    int32_t *reply_n;                       /* ranked: tokens of each; may be 0 */
    float *rank;                            /* ranked: 1 the best */
    float margin;                           /* ranked */
    bool undesirable;                       /* unpaired: the reply is not wanted */
    const char *row; /* prompt: the record as JSON; else NULL */
    bool dropped;    /* nothing is left to learn from after truncation; n is 0 */
    bool truncated;
} ae_sample;

/* The sample's memory is the arena's. */
aerie_status ae_encode(ae_sample *out, const ae_example *example, const ae_encode_options *options,
                       ae_arena *arena, aerie_error *err);

/* A part of a conversation that is tokenized by itself. */
typedef struct {
    ae_span text;
    float weight; /* of its tokens: the message's times the class's */
    bool special; /* special tokens written in it become those tokens */
} ae_piece;

/* OpenChat's pieces of a conversation, after BOS: a header, a text, an end of turn, ... The list is
 * the arena's, its texts are borrowed from the example, the conditions and the arena. */
aerie_status ae_condition_pieces(ae_piece **out, size_t *n, const ae_example *e,
                                 const ae_conditions *c, ae_arena *arena, aerie_error *err);

/* Cuts the parts of a pair to max_length as `keep` says, or drops it; its arrays are changed in
 * place. ae_encode() does it. */
void ae_sample_truncate_pair(ae_sample *s, int32_t max_length, int32_t max_prompt_length,
                             ae_keep keep);

typedef struct {
    ae_sample *items; /* those that were not dropped */
    size_t n;
    size_t n_dropped, n_truncated;
    size_t n_left_out; /* rows in which no answer is better than another: ties, too near, alike */
    int64_t n_tokens, n_trained; /* in all; with a weight other than 0 */
    int32_t longest;
    ae_arena arena;
} ae_samples;

/* What comes before the reply in a prompt's record: a new list of messages. */
aerie_status ae_prompt_messages(json_t **out, json_t *row, const ae_dataset_options *dataset,
                                aerie_error *err);

/* A zeroed ae_samples is empty. Encodes the records that are held, and reads on to the end.
 * `pool` may be NULL. Fails when nothing is left. */
aerie_status ae_samples_encode(ae_samples *out, ae_dataset *d, const ae_encode_options *options,
                               ae_pool *pool, aerie_error *err);
/* Copies one to the end of the set; it is not dropped. */
aerie_status ae_samples_add(ae_samples *out, const ae_sample *s, aerie_error *err);
void ae_samples_free(ae_samples *s);

/* Zephyr's SFT: all samples one after the other, cut into blocks of exactly `length` tokens; the
 * rest at the end is dropped. Every block trains on all of its tokens but the first. */
aerie_status ae_samples_wrap(ae_samples *out, const ae_samples *in, int32_t length,
                             aerie_error *err);

/* Every pair becomes two unpaired samples, the chosen reply's first; those that are unpaired
 * already stay. `mismatch`: each gets a reply that belongs to another prompt, from the nearest
 * sample before it (round the set) whose prompt differs, cut so that both fit into max_length (0:
 * no bound). The set must hold nothing else; the new samples are its arena's. */
aerie_status ae_samples_unpair(ae_samples *set, bool mismatch, int32_t max_length,
                               aerie_error *err);

/* Shows every token of a sample: number, id, text, weight, part. Lines for people, or (json) one
 * JSON object. */
aerie_status ae_sample_print(ae_bytes *out, const ae_sample *s, const ae_tokenizer *t, bool json,
                             aerie_error *err);

/* ---- order ------------------------------------------------------------------------------ */

/* The order of n samples in an epoch, a shuffle told by the seed and the epoch alone: a run that
 * goes on needs to remember nothing of it. */
void ae_epoch_order(int64_t *items, int64_t n, uint64_t seed, int64_t epoch);

/* ---- packing ---------------------------------------------------------------------------- */

typedef enum {
    AE_PACK_BEST_FIT, /* decreasing; the fullest row that still has room (TRL's bfd) */
    AE_PACK_FIRST_FIT /* decreasing; the first row that has room */
} ae_pack_how;

/* Row r holds items[starts[r]] .. items[starts[r + 1] - 1]. */
typedef struct {
    int32_t *items;
    int32_t *starts; /* [n_rows + 1] */
    int32_t n_rows;
} ae_packing;

/* Places n samples, none split, into rows of at most `capacity` tokens. A longer one gets a row of
 * its own. The memory is the arena's. */
aerie_status ae_pack(ae_packing *out, const int32_t *lengths, int32_t n, int32_t capacity,
                     ae_pack_how how, ae_arena *arena, aerie_error *err);
/* OpenChat's multipack: the most samples from `begin` on, in their order, that first-fit decreasing
 * can place into n_rows rows; *end is the first that stays out. */
aerie_status ae_pack_step(ae_packing *out, int32_t *end, const int32_t *lengths, int32_t begin,
                          int32_t n, int32_t capacity, int32_t n_rows, ae_arena *arena,
                          aerie_error *err);

#endif
