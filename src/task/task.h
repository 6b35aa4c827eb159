/* task.h -- the door of task: what a benchmark asks of a model, and what the answers are worth. It
 * knows no model: texts go out, log-likelihoods and replies come in.
 *
 *   ae_task       one benchmark, read from a small YAML file (built in, or the user's own)
 *   ae_protocol   a named way to ask: which shots, which order, BOS, chat template, normalisation
 *   ae_task_set   the requests of one task under one protocol, document by document
 *   ae_pair, ae_rolling   from text to tokens: where a context ends and its continuation begins
 *   ae_item_scores   log-likelihoods -> the item's score under each of the task's metrics
 *
 * Reference: lm-evaluation-harness v0.4.12 (lm_eval/api/task.py, samplers.py, metrics.py,
 * models/huggingface.py), its commit b281b09 (Open LLM Leaderboard v1), OLMES (oe-eval), and
 * llama.cpp's perplexity program. Prompts equal theirs byte for byte. */
#ifndef AE_TASK_H
#define AE_TASK_H

#include "base/base.h"

#include <jansson.h>

/* ---- protocols ---------------------------------------------------------------------------- */

/* Which tokens of a request are scored. */
typedef enum {
    AE_SPLIT_HARNESS = 0, /* ae_pair_encode(): trailing white space of the context moves over */
    AE_SPLIT_COMMON,      /* llama.cpp: context + continuation at once; what all choices of an item
                             begin with, token by token, is the context (ae_common_tokens()) */
    AE_SPLIT_WINOGRANDE   /* llama.cpp's winogrande: see ae_winogrande_span() */
} ae_split;

/* What stands before the first token. */
typedef enum {
    AE_BOS_NEVER = 0, /* only an empty context gets one (else EOS): something must come first */
    AE_BOS_TOKENIZER, /* as the tokenizer's files say, unless the text begins with BOS's own text */
    AE_BOS_ALWAYS
} ae_bos;

typedef struct {
    const char *name;    /* "lm-eval" */
    const char *about;   /* one sentence */
    const char *overlay; /* which of a task's `protocols:` entries changes it */
    ae_bos bos;
    ae_split split;
    bool chat;    /* contexts are conversations, written with the model's chat template */
    bool shuffle; /* documents in the order of Random(42).shuffle(); shots from that generator */
    bool subset;  /* llama.cpp: documents are drawn with mt19937(1) */
    const char *metric; /* of choices, when the task names none for it: "acc_norm" */
    bool macro;         /* a group's score is the plain mean of its tasks (else by their sizes) */
} ae_protocol;

/* "leaderboard-v1", "lm-eval", "lm-eval-nobos", "lm-eval-chat", "openllm", "llama.cpp", "olmes",
 * "olmes-mc".
 * AERIE_NOT_FOUND names the nearest. */
aerie_status ae_protocol_find(const ae_protocol **out, const char *name, aerie_error *err);
const ae_protocol *ae_protocol_at(size_t i); /* NULL past the end */

/* ---- tasks -------------------------------------------------------------------------------- */

typedef enum {
    AE_FORM_CHOICE = 1, /* multiple choice and cloze: the likeliest continuation */
    AE_FORM_GENERATE,   /* a reply, from which filters extract an answer */
    AE_FORM_LIKELIHOOD, /* one continuation: its log-likelihood, and whether greedy (LAMBADA) */
    AE_FORM_ROLLING,    /* every token of a text */
    AE_FORM_DIVERGENCE  /* a text's tokens beside what a reference made of them */
} ae_form;

/* How the items' values become the task's. The numbers, and their standard errors, are the caller's
 * to compute: v_i the items' values, w_i their weights. */
typedef enum {
    AE_AGGREGATE_MEAN = 0,      /* sum v / n; analytic standard error */
    AE_AGGREGATE_PERPLEXITY,    /* exp(-sum v / n): v a log-likelihood; bootstrap */
    AE_AGGREGATE_WEIGHTED_PPL,  /* exp(-sum v / sum w): w words or bytes */
    AE_AGGREGATE_TOKEN_PPL,     /* the same of tokens, whose error their squares tell */
    AE_AGGREGATE_BITS_PER_BYTE, /* -sum v / sum w / ln 2 */
    AE_AGGREGATE_F1             /* binary F1 of (gold = w, predicted = v), 0 or 1; bootstrap */
} ae_aggregate;

typedef struct {
    const char *name; /* as reported: "acc_norm" */
    const char *rule; /* how it is computed; mostly the name: "mc2" is reported as "acc" */
    ae_aggregate aggregate;
    bool lower_is_better;
    /* exact_match: what is taken out of prediction and reference, one after the other. */
    const char *const *ignore_regexes;
    size_t n_ignore_regexes;
    bool ignore_case, ignore_punctuation;
} ae_metric;

/* What a metric is when its task says no more: "acc", "acc_norm", "acc_bytes", "acc_tokens"... side
 * by side for any choice. NULL: not known. */
const ae_metric *ae_metric_known(const char *name);

/* One step of a filter: what is done to a reply to find the answer in it. */
typedef struct {
    const char *function; /* "regex", "take_first", "remove_whitespace", "lowercase", ... */
    json_t *options;      /* object: the keys of the step, as written; never NULL */
} ae_filter_step;

typedef struct {
    const char *name; /* "strict-match"; metrics are reported for each */
    const ae_filter_step *steps;
    size_t n_steps;
} ae_filter;

typedef struct {
    const char *const *until; /* stop strings; the model's EOS text is the caller's to add */
    size_t n_until;
    int64_t max_tokens; /* 0: the harness' 256 */
    double temperature; /* 0: greedy */
    double top_p;       /* 0: 1 */
} ae_generation;

/* A task under a protocol. All texts are the task's own. */
typedef struct ae_task ae_task;

/* `name`: a built-in one ("arc_challenge", "mmlu_anatomy"), or the path of a YAML file.
 * On failure *out is NULL and the sentence names the file, the line and the key. */
aerie_status ae_task_open(ae_task **out, const char *name, const ae_protocol *protocol,
                          aerie_error *err);
/* The same of a text in memory; `name` is for messages. */
aerie_status ae_task_open_text(ae_task **out, const char *name, ae_span yaml,
                               const ae_protocol *protocol, aerie_error *err);
void ae_task_close(ae_task *t); /* NULL is fine */

/* Names of the tasks that a name stands for: itself, or those of a group ("mmlu" has 57). A path
 * stands for itself. The list and its texts are the arena's. */
aerie_status ae_task_names(const char ***out, size_t *n, const char *name, ae_arena *arena,
                           aerie_error *err);
/* The i-th built-in task or group, for listings; NULL past the end. */
const char *ae_task_known(size_t i);

const char *ae_task_name(const ae_task *t);
const char *ae_task_about(const ae_task *t); /* "" : nothing said */
ae_form ae_task_form(const ae_task *t);
const ae_protocol *ae_task_protocol(const ae_task *t);
ae_split ae_task_split(const ae_task *t); /* the protocol's, but for llama.cpp's winogrande */
int ae_task_shots(const ae_task *t);      /* what the task, under its protocol, is asked with */
int64_t ae_task_window(const ae_task *t); /* tokens of a window of a rolling text; 0: not said */
size_t ae_task_metric_count(const ae_task *t);
const ae_metric *ae_task_metric(const ae_task *t, size_t i);
const char *ae_task_main_metric(const ae_task *t); /* the one that the protocol's tables show */
size_t ae_task_filter_count(const ae_task *t);     /* of replies; 0: the reply as it is */
const ae_filter *ae_task_filter(const ae_task *t, size_t i);
const ae_generation *ae_task_generation(const ae_task *t);
/* Who marks replies when it is no metric of texts: "ifeval"; NULL: metrics alone. */
const char *ae_task_checker(const ae_task *t);
/* Where its data can be had, for people. */
const char *ae_task_source(const ae_task *t);

/* ---- data --------------------------------------------------------------------------------- */

/* The rows of a file: .jsonl, .json (an array), .csv and .tsv (the first line names the columns),
 * .parquet, plain or gzipped. Appends objects to `rows`, at most `most` (0: all). */
aerie_status ae_task_read_rows(json_t *rows, const char *path, size_t most, aerie_error *err);

/* ---- requests ----------------------------------------------------------------------------- */

typedef enum {
    AE_REQUEST_LIKELIHOOD = 1, /* score `continuation` after `context` */
    AE_REQUEST_GENERATE,       /* reply to `context` */
    AE_REQUEST_ROLLING,        /* score all of `continuation`; there is no context */
    AE_REQUEST_DIVERGENCE      /* the tokens of a window, as numbers, are `continuation` */
} ae_request_kind;

/* Borrowed from the set. Requests of an item whose contexts are the same text have the same pointer
 * there: one pass over it serves all of them. */
typedef struct {
    ae_request_kind kind;
    ae_span context, continuation;
    int32_t choice;     /* which of the item's choices; 0 where there are none */
    bool unconditional; /* the choice after a context that says nothing of the question: what
                           acc_uncond and acc_mutual_info divide by */
} ae_task_request;

typedef struct {
    size_t doc_id; /* row of the split, from 0, whatever the order asked in */
    json_t *doc;   /* the row, after the task's preprocessing; borrowed */
    const ae_task_request *requests;
    size_t n_requests;
    size_t shots_len;     /* bytes at the beginning of every context that are description and
                             shots, no part of the question; 0 in a conversation */
    const int32_t *shots; /* rows of the shots' split, as they stand in the context */
    size_t n_shots;
    /* Choices. */
    const ae_span *choices;  /* without the delimiter */
    const int64_t *char_len; /* code points, as Python's len() */
    const int64_t *byte_len;
    size_t n_choices;
    int32_t gold;        /* -1: none, or several */
    const bool *is_true; /* [n_choices]: which are right; NULL: `gold` says it */
    /* Others. */
    ae_span target;           /* what the answer should be: reference of exact_match */
    int64_t n_words, n_bytes; /* rolling: of the text, for word and byte perplexity */
    char prompt_sha256[65];   /* of the first context, as --log_samples' prompt_hash */
} ae_item;

typedef struct ae_task_set ae_task_set;

/* Writes a conversation with the model's template, and opens the reply. messages: an array of
 * {"role", "content"}. */
typedef aerie_status ae_chat_fn(void *user, json_t *messages, ae_bytes *out, aerie_error *err);

typedef struct {
    const char *data;     /* folder, or one file, with the test documents */
    json_t *docs, *train; /* or arrays of rows already read, of which the task takes its own;
                             borrowed. NULL: from `data` */
    int shots;            /* -1: as the task says */
    size_t limit;         /* the first so many documents of the protocol's order; 0: all */
    uint64_t seed;        /* of the shots; 0: the harness' 1234 */
    /* Chat protocols. */
    ae_chat_fn *chat;
    void *chat_user;
    const char *system; /* NULL: none */
    bool multiturn;     /* shots as turns of the conversation, not as one message */
} ae_task_options;

/* Builds every request. The task must outlive the set. A file that is missing is one sentence that
 * says where it can be had (AERIE_NOT_FOUND). */
aerie_status ae_task_set_build(ae_task_set **out, const ae_task *task,
                               const ae_task_options *options, aerie_error *err);
void ae_task_set_free(ae_task_set *s); /* NULL is fine */
size_t ae_task_set_len(const ae_task_set *s);
const ae_item *ae_task_set_at(const ae_task_set *s, size_t i); /* in the order asked */
/* SHA-256 over all requests in order, of Python's json.dumps([[context, continuation], ...]); of
 * json.dumps([context, ...]) when replies are asked for. */
aerie_status ae_task_set_sha256(const ae_task_set *s, char out[65], aerie_error *err);
/* --log_samples' doc_hash and target_hash. */
aerie_status ae_item_doc_sha256(const ae_item *item, char out[65], aerie_error *err);
void ae_item_target_sha256(const ae_item *item, char out[65]);

/* ---- from text to tokens ------------------------------------------------------------------ */

/* Appends the ids of a text. `with_bos`: as the protocol's `bos` says for a text that begins. */
typedef aerie_status ae_encode_fn(void *user, ae_span text, bool with_bos, ae_ids *ids,
                                  aerie_error *err);

/* ids[0 .. n_context) is the context, the rest is scored. merged: one token spans the join of the
 * texts as they were given, so that the context's own ids are not a prefix of the whole's. */
typedef struct {
    ae_ids ids;
    size_t n_context;
    bool merged;
} ae_pair;
void ae_pair_free(ae_pair *p);

/* The harness' _encode_pair: white space at the context's end (spaces and newlines) goes to the
 * continuation; what is scored is enc(context + continuation)[len(enc(context)):], and its context
 * enc(context). prefix_id stands for an empty context; a continuation that begins with it gives it
 * up instead. AERIE_BAD_TEXT when nothing is left to score. */
aerie_status ae_pair_encode(ae_pair *out, ae_span context, ae_span continuation, int32_t prefix_id,
                            ae_encode_fn *encode, void *user, aerie_error *err);
/* Cuts from the left what does not fit: at most max_length + 1 ids stay (the last one is never
 * fed). */
void ae_pair_truncate(ae_pair *p, size_t max_length);

/* How many first ids all of n rows share: llama.cpp's context of a choice. */
size_t ae_common_tokens(const ae_ids *rows, size_t n);
/* llama.cpp's winogrande: which ids [*first, *end) of both rows count, given how many ids the two
 * sentences have up to the choice's end. */
void ae_winogrande_span(const ae_ids rows[2], const size_t choice_end[2], size_t first[2],
                        size_t end[2]);

/* Windows of a text's perplexity: disjoint, each at most max_length predictions, the first after
 * prefix_id (lm-eval, context_len 1). Window w feeds `input` and predicts the last n_predicted of
 * ids[.. end). */
typedef struct {
    size_t input, n_input;     /* ids[input .. input + n_input), after `prefixed` */
    bool prefixed;             /* prefix_id comes first */
    size_t predict, n_predict; /* ids that are predicted */
} ae_window;
/* context_len: 1 <= context_len <= max_length. The list is the arena's. */
aerie_status ae_rolling_windows(ae_window **out, size_t *n, size_t n_ids, size_t max_length,
                                size_t context_len, ae_arena *arena, aerie_error *err);

/* The windows of llama.cpp's perplexity program: the ids (BOS first where the vocabulary wants one)
 * make whole windows of n_ctx; what is left over is left out. In each, ids[at] is replaced by BOS
 * where there is one, and what follows ids[at + ae_half_first(n_ctx)] is scored. The number of
 * windows, at most `most` (0: all). */
size_t ae_half_windows(size_t n_ids, size_t n_ctx, size_t most);
static inline size_t ae_half_first(size_t n_ctx)
{
    return n_ctx / 2;
}

/* ---- scores ------------------------------------------------------------------------------- */

/* What a request came to. */
typedef struct {
    double ll;        /* log-likelihood of what was scored, natural logarithm */
    bool is_greedy;   /* every scored token was the likeliest */
    int32_t n_tokens; /* scored */
    double squares;   /* sum of the tokens' squared log-probabilities; of a rolling text */
} ae_response;

typedef struct {
    double value;
    double weight;  /* as ae_aggregate uses it; 1 otherwise */
    double squares; /* of AE_AGGREGATE_TOKEN_PPL: of the tokens' values; 0 otherwise */
} ae_score;

/* The item's score under a metric of likelihoods, from the answers to its requests, in order:
 *   acc, acc_norm (by code points), acc_bytes, acc_tokens, acc_uncond (less the unconditional),
 *   mc1, mc2, likelihood, perplexity, word_perplexity, byte_perplexity, bits_per_byte,
 *   token_perplexity, f1.
 * The first of equals wins, a NaN before all. AERIE_UNSUPPORTED: a metric of replies. */
aerie_status ae_item_score(ae_score *out, const ae_item *item, const ae_metric *metric,
                           const ae_response *answers, aerie_error *err);
/* Which choice a rule of accuracy picks; -1 where there is none to pick. */
int32_t ae_item_pick(const ae_item *item, const char *rule, const ae_response *answers);

#endif
