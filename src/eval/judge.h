/* judge.h -- asking a judge which of two replies is better, or how good one is.
 *
 * The manner is MT-Bench's (2306.05685): an instruction, the request, the answers between marks,
 * and a verdict in double brackets. The words are our own (judge_prompt.c). */
#ifndef AE_EVAL_JUDGE_H
#define AE_EVAL_JUDGE_H

#include "base/base.h"
#include "model/model.h"

#include <jansson.h>

typedef enum {
    AE_JUDGE_PAIR, /* which of two: A, B, or C: neither */
    AE_JUDGE_SCORE /* a mark for one */
} ae_judge_kind;

/* What is asked, the same in all cases. Zero: a pair, in our own words. */
typedef struct {
    ae_judge_kind kind;
    const char *words; /* a text with {question}, and {answer_a} and {answer_b}, or {answer}, which
                        * is all that the judge reads; NULL: our own */
    int low, high;     /* marks, least and best; both 0: 1 to 10 (a net in this process: 1 to 9) */
    bool brief;        /* our own words ask for the verdict alone, without a reason first */
} ae_judge_task;

/* Fills marks in; fails where the words lack a place or the marks make no sense. */
aerie_status ae_judge_task_check(ae_judge_task *task, aerie_error *err);

/* Lists of messages: what is answered, and the replies. References of its own. */
typedef struct {
    int64_t id;
    json_t *messages, *a, *b; /* scores: b is NULL */
} ae_judge_case;
void ae_judge_case_free(ae_judge_case *c);

typedef struct {
    char choice;   /* pair: 'A', 'B', 'C'; 0: there is none */
    double score;  /* score: the mark; NaN: there is none */
    ae_span reply; /* what the judge said; borrowed */
} ae_verdict;
static inline bool ae_verdict_is_one(const ae_judge_task *task, const ae_verdict *v)
{
    return task->kind == AE_JUDGE_PAIR ? v->choice != 0 : v->score == v->score;
}

/* Where cases come from and verdicts go to, in whatever order the judge is done with them. */
typedef struct {
    void *user;
    /* *is_one false: there are no more. */
    aerie_status (*next)(void *user, ae_judge_case *out, bool *is_one, aerie_error *err);
    aerie_status (*answer)(void *user, int64_t id, const ae_verdict *verdict, aerie_error *err);
} ae_judge_work;

typedef struct {
    int64_t n_asked;    /* cases */
    int64_t n_again;    /* asked once more, because a reply held no verdict */
    int64_t n_none;     /* cases that ended without one */
    int64_t n_answered; /* replies that were the judge's, those of earlier calls too: it can be
                         * talked to, and a question that it refuses is one question */
    int64_t prompt_tokens, reply_tokens; /* as far as the judge says */
} ae_judge_counts;

typedef struct ae_judge ae_judge;
struct ae_judge {
    const char *name;  /* for records */
    const char *state; /* of its files: another is another judge of that name; "": has none */
    aerie_status (*ask)(ae_judge *j, const ae_judge_task *task, const ae_judge_work *work,
                        ae_judge_counts *counts, aerie_error *err);
    void (*close)(ae_judge *j);
};

/* Asks everything that `work` has; `counts` are added to. A judge that cannot be reached, refuses
 * its key or does not know its model ends it with a sentence; a case that gets no verdict is
 * answered with none. */
aerie_status ae_judge_ask(ae_judge *j, const ae_judge_task *task, const ae_judge_work *work,
                          ae_judge_counts *counts, aerie_error *err);
void ae_judge_close(ae_judge *j); /* NULL is fine */

/* Marks for n cases, whose ids are 0 .. n - 1: scores[id]. Here a case without a verdict is a
 * failure, with the judge's words. */
aerie_status ae_judge_scores(double *scores, ae_judge *j, const ae_judge_task *task,
                             const ae_judge_case *cases, int64_t n, aerie_error *err);

/* An OpenAI-compatible server. Texts are copied. Zero means the default. */
typedef struct {
    const char *url;          /* "http://localhost:11434/v1", or with /chat/completions */
    const char *model;        /* as the server calls it */
    const char *key;          /* sent as "Authorization: Bearer"; NULL: none */
    const char *extra;        /* a JSON object laid over the request's body; null takes a key out */
    int64_t in_flight;        /* requests at once; 0: 4 */
    int64_t max_tokens;       /* of a reply; 0: 1024 */
    int64_t max_retries;      /* of a request whose answer is 429, 5xx or none; 0: 8; -1: none */
    int64_t max_asks;         /* of a case until a reply holds a verdict; 0: 3 */
    double temperature;       /* 0: 0 */
    double timeout_seconds;   /* without a byte; 0: 300 */
    double retry_seconds;     /* before the first retry; 0: 1 */
    bool (*stop)(void *user); /* asked while waiting; true: AERIE_INTERRUPTED */
    void *stop_user;
} ae_judge_endpoint;
aerie_status ae_judge_endpoint_open(ae_judge **out, const ae_judge_endpoint *endpoint,
                                    aerie_error *err);

/* A net in this process. After the begin of an answer, "Verdict: [[", the likeliest of A, B and C
 * is its verdict, and its mark is the mean over the marks' digits by their probabilities (G-Eval's,
 * 2303.16634). With reason_tokens it first writes what decides, as far as that; else nothing. */
typedef struct {
    ae_device *device;
    const ae_net *net;
    const char *name, *state; /* as of ae_judge; NULL: "" */
    int64_t max_tokens;       /* that a question, and the reason, may take */
    int64_t reason_tokens;
    /* Appends the begin of its reply to the user's text: at most so many tokens, up to "[[". */
    aerie_status (*reason)(void *user, const char *text, int64_t most, ae_bytes *out,
                           aerie_error *err);
    /* Ids of a conversation: the user's text, and the reply as far as it has begun. */
    aerie_status (*ids)(void *user, const char *text, const char *begun, ae_ids *out,
                        aerie_error *err);
    void *user;
    bool (*stop)(void *user);
    void *stop_user;
} ae_judge_net;
aerie_status ae_judge_net_open(ae_judge **out, const ae_judge_net *net, aerie_error *err);

/* A function that answers lines of JSON: aerie/judge.h says which. */
typedef struct {
    aerie_status (*fn)(void *user, const char *line,
                       void (*answer)(void *to, const char *text, size_t len), void *to,
                       aerie_error *err);
    void *user;
    const char *name;
} ae_judge_program;
aerie_status ae_judge_program_open(ae_judge **out, const ae_judge_program *program,
                                   aerie_error *err);

/* ---- judge_prompt.c ---- */

/* The instruction that goes before a question; NULL with words of the caller's own. */
aerie_status ae_judge_instruction(ae_bytes *out, const ae_judge_task *task, aerie_error *err);
/* The question, with the request and the answers in their places. */
aerie_status ae_judge_question(ae_bytes *out, const ae_judge_task *task, const ae_judge_case *c,
                               aerie_error *err);
/* A conversation as text: the only message's content, or each under its role. */
void ae_judge_text_of(ae_bytes *out, const json_t *messages);
/* Names instruction and words: verdicts on other words are other verdicts. */
aerie_status ae_judge_task_hash(const ae_judge_task *task, char out[17], aerie_error *err);

/* ---- judge_parse.c ---- */

/* The verdict in a reply. What stands before "</think>" is not looked at. Of several [[A]], [[B]],
 * [[C]], or [[number]], the last counts; a reply that is nothing but the letter or the number is
 * one as well. A mark outside low .. high is none. */
ae_verdict ae_judge_parse(const ae_judge_task *task, ae_span reply);

#endif
