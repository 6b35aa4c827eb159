/* judge.h -- judges of replies, and training data that is made by asking them.
 *
 * A judge is a model behind an OpenAI-compatible server, a model in this process, or a function
 * that answers lines of JSON. docs/judging.md tells what it is asked and how verdicts are read. */
#ifndef AERIE_JUDGE_H
#define AERIE_JUDGE_H

#include "aerie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gets the answer to a line; called once, before aerie_judge_fn returns. */
typedef void aerie_judge_answer_fn(void *to, const char *text, size_t len);

/* Answers a line, a JSON object, with another:
 *
 *   {"kind": "pair", "messages": [...], "a": "...", "b": "..."}
 *     -> {"verdict": "A"}, "B" or "tie"
 *   {"kind": "score", "messages": [...], "answer": "...", "low": 1, "high": 10}
 *     -> {"score": number}
 *
 * A failure's sentence ends the asking. */
typedef aerie_status aerie_judge_fn(void *user, const char *line, aerie_judge_answer_fn *answer,
                                    void *to, aerie_error *err);

/* One of url, local and program says which judge. Zero means the default everywhere else. */
typedef struct {
    const char *url;        /* "http://localhost:11434/v1" */
    const char *model;      /* as that server calls it */
    const char *key;        /* sent as "Authorization: Bearer" to that server alone; NULL: none */
    const char *request;    /* a JSON object laid over every request; null takes a key out */
    int64_t in_flight;      /* requests at once; 0: 4 */
    int64_t max_tokens;     /* of a reply; 0: 1024 */
    int64_t max_asks;       /* of a question, until a reply holds a verdict; 0: 3 */
    int64_t max_retries;    /* of a request that failed or was put off (429, 5xx); 0: 8; -1: none */
    double temperature;     /* 0: the judge's most likely words */
    double retry_seconds;   /* before the first of them; doubled each time; 0: 1 */
    double timeout_seconds; /* without a byte; 0: 300 */

    aerie_model *local;        /* outlives the judge */
    const char *chat_template; /* of `local`: Jinja, or a known format's name; NULL: its own */
    int64_t context; /* of `local`: tokens a question may take; 0: the model's own, at most 8192 */
    int64_t reason_tokens; /* of `local`: it says what decides before its verdict, in at most so
                            * many; 0: nothing */

    aerie_judge_fn *program;
    void *program_user;
    const char *program_name; /* for records */

    bool (*stop)(void *user); /* asked while waiting: true stops with AERIE_INTERRUPTED */
    void *stop_user;
} aerie_judge_options;

typedef struct aerie_judge aerie_judge;
/* The options' texts are copied, but program_name's. Nothing is asked yet. */
AERIE_API aerie_status aerie_judge_open(aerie_judge **out, const aerie_judge_options *options,
                                        aerie_error *err);
AERIE_API void aerie_judge_close(aerie_judge *j); /* NULL is fine */

/* What became of two replies, from the verdicts in both orders. */
typedef enum {
    AERIE_PAIR_WITHOUT, /* a verdict is missing */
    AERIE_PAIR_FIRST,   /* the same reply wins in both orders */
    AERIE_PAIR_SECOND,
    AERIE_PAIR_TIED,      /* neither does in either, or the replies are alike */
    AERIE_PAIR_HALF_TIED, /* a winner in one order, neither in the other */
    AERIE_PAIR_TURNED     /* another winner when the order turns: the place decided */
} aerie_pair_outcome;

typedef struct {
    int64_t row;       /* of the data, from 0; rows that were left out count */
    int first, second; /* replies of the row, from 0 */
    aerie_pair_outcome outcome;
} aerie_label_pair;
typedef void aerie_label_pair_fn(void *user, const aerie_label_pair *pair);

typedef struct {
    const char *const *paths; /* of data: prompts with responses, pairs, scored or ranked answers */
    size_t n_paths;
    const char *out_path; /* beside it, OUT.verdicts.jsonl keeps what was answered */
    int64_t limit;        /* rows; 0: all */
    bool scores;          /* a mark for every reply, in place of a verdict on every two */
    bool ranked;          /* write rows with all their replies and scores, in place of pairs */
    const char *words; /* what the judge reads: a text with {question}, {answer_a}, {answer_b}; of
                        * scores {question}, {answer}. NULL: aerie's own */
    int low, high;     /* marks; both 0: 1 to 10, of a local model 1 to 9 */
    /* Called after every verdict; false stops with AERIE_INTERRUPTED. */
    bool (*progress)(void *user, int64_t n_done, int64_t n_questions);
    aerie_label_pair_fn *on_pair; /* told of every pair, in the data's order, at the end; or NULL */
    void *user;
} aerie_label_options;

typedef struct {
    int64_t n_rows;                      /* with something to compare */
    int64_t n_left_out;                  /* rows without */
    int64_t n_questions;                 /* in all */
    int64_t n_kept;                      /* of them, answered by an earlier run */
    int64_t n_none;                      /* that got no verdict */
    int64_t n_again;                     /* asked again in this run: the reply held no verdict */
    int64_t n_written;                   /* lines */
    int64_t prompt_tokens, reply_tokens; /* of this run, as far as the judge says */
    /* Pairs of replies; every pair is one of the five. */
    int64_t n_pairs;
    int64_t n_decided;   /* the same reply wins in both orders */
    int64_t n_tied;      /* neither wins in both orders, or the replies are alike (n_alike) */
    int64_t n_half_tied; /* a winner in one order, neither in the other: a tie */
    int64_t n_turned;    /* the winner changes with the order: a tie */
    int64_t n_without;   /* a verdict is missing: left out */
    int64_t n_alike;
    int64_t n_first, n_second; /* verdicts for the reply that was shown first, second */
    /* Pairs that the judge decides and of which the data says too which reply is better. */
    int64_t n_known, n_known_agree;
    double mean_score; /* of scores; NaN: none */
} aerie_label_summary;

/* Asks about every row's replies, two by two in both orders, or one by one, and writes what
 * aerie_train() reads. What is answered is kept at once: a run that was stopped or killed goes on
 * where it was. The output appears when all is answered. */
AERIE_API aerie_status aerie_label(aerie_judge *judge, const aerie_label_options *options,
                                   aerie_label_summary *summary, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
