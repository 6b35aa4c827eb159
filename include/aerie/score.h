/* score.h -- what a reward model makes of replies. */
#ifndef AERIE_SCORE_H
#define AERIE_SCORE_H

#include "aerie/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default everywhere. */
typedef struct {
    const char *chat_template; /* Jinja, or a known format's name; NULL: the model's */
    int64_t max_length; /* tokens of a prompt with one reply; 0: the model's context. What is too
                         * long loses the prompt's beginning, then the replies' ends */
    int64_t max_completion_length; /* of a reply; 0: no bound of its own */
    int64_t limit;                 /* rows; 0: all */
    bool append_eos;  /* an end-of-sequence token after a reply that has none, as in training */
    bool every_token; /* aerie_scored.tokens too */
} aerie_score_options;

/* The score of the text up to and with this token. */
typedef struct {
    int32_t id;
    const char *text; /* its bytes, not '\0'-terminated */
    size_t text_len;
    double score;
} aerie_score_token;

/* A row's responses, in its order. Borrowed until the callback returns. */
typedef struct {
    int64_t index; /* of the row, from 0 */
    size_t n;
    const double *scores; /* [n], each at its response's last token */
    const double *ranks;  /* [n], 1 the best, by the row's own scores; all 1: it has none */
    const aerie_score_token *const *tokens; /* [n], or NULL */
    const size_t *n_tokens;                 /* [n], or NULL */
    const size_t *n_chars; /* [n]: characters of the response as the file has it, before any cut */
    double prompt_score;   /* where the prompt ends: what a reply's first token starts from */
} aerie_scored;
/* False stops with AERIE_INTERRUPTED. */
typedef bool aerie_score_fn(void *user, const aerie_scored *row);

typedef struct {
    int64_t n_rows, n_responses;
    int64_t n_truncated; /* rows that lost something to a bound on length */
    int64_t n_pairs;     /* of responses that the rows rank differently */
    double accuracy; /* share of those whose better one scores strictly higher; NaN without any */
    double mean;     /* of all scores; NaN without any */
    /* The standard error of `accuracy`, rows (not pairs) being what was drawn; NaN of one row. */
    double accuracy_error;
    /* What the same number would be had the longer response always the higher score: a reward model
     * that does not beat it has learned little else. And both over pairs of like length alone, of
     * which one has from 0.8 to 1.25 of the other's characters. */
    double longer_wins;
    int64_t n_matched;
    double matched_accuracy, matched_error, matched_longer_wins; /* NaN without such pairs */
} aerie_score_result;

/* Scores every response in a file (prompt and responses, pairs, ranked or scored answers: the
 * shapes of docs/formats.md). A row's responses share the computation of its prompt. Fails when the
 * model has no head that scores. `options` and `out` may be NULL. */
AERIE_API aerie_status aerie_score(aerie_model *m, const char *path,
                                   const aerie_score_options *options, aerie_score_fn *each,
                                   void *user, aerie_score_result *out, aerie_error *err);
/* The same of one prompt and its responses. */
AERIE_API aerie_status aerie_score_replies(aerie_model *m, const char *prompt,
                                           const char *const *responses, size_t n_responses,
                                           const aerie_score_options *options, aerie_score_fn *each,
                                           void *user, aerie_error *err);

#ifdef __cplusplus
}
#endif
#endif
