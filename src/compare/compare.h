/* compare.h -- the door of compare: what a comparison holds, and the steps that fill it. */
#ifndef AE_COMPARE_H
#define AE_COMPARE_H

#include "aerie/compare.h"
#include "base/base.h"
#include "compare/check.h"
#include "journal/journal.h"
#include "stats/stats.h"

#include <jansson.h>

enum { AE_COMPARE_MODELS = 8, AE_COMPARE_CHECKS = 32 };

/* ---- items.c ---- */

/* A prompt. */
typedef struct {
    char *id;                         /* its own, or its number */
    char hash[17];                    /* of its messages: what replies are kept by */
    json_t *messages;                 /* a list of {"role", "content"} */
    char *expected;                   /* a text; NULL: none */
    json_t *row;                      /* as the data has it */
    json_t *tags;                     /* or NULL */
    size_t checks[AE_COMPARE_CHECKS]; /* indices of the comparison's checks */
    size_t n_checks;
} ae_compare_item;

typedef struct {
    ae_compare_item *items;
    size_t n, cap;
    ae_check **checks; /* the different ones of all items */
    size_t n_checks, cap_checks;
} ae_compare_items;

/* Adds what a file holds: JSON lines or a JSON array, plain or gzipped, of objects with "messages"
 * or a prompt ("prompt", "instruction" with "input", "question", "text"), "system", "id",
 * "expected" ("reference", "answer"), "checks" and "tags". `limit` 0: all. */
aerie_status ae_compare_items_read(ae_compare_items *items, const char *path, json_t *common_checks,
                                   int64_t limit, aerie_error *err);
void ae_compare_items_free(ae_compare_items *items);

/* ---- replies.c ---- */

typedef struct {
    char *text;   /* NULL: not answered yet */
    char *failed; /* why there is no reply; NULL: there is one */
    bool cut;     /* its length ended it */
    int64_t prompt_tokens, reply_tokens;
    double first_seconds;           /* until its first text */
    double seconds;                 /* until its end */
    bool passed[AE_COMPARE_CHECKS]; /* the item's checks */
    double similarity;              /* to what is expected; NaN: nothing is */
    double reward;                  /* NaN: not scored */
} ae_compare_reply;

/* A model's state: its settings' name, and what was measured of it. */
typedef struct {
    const aerie_contender *with;
    char label[96];
    char key[17];              /* of all that decides what it replies */
    ae_compare_reply *replies; /* [n_items, repeats] */
    uint64_t memory_bytes;     /* resident while it answered, at most; 0: not known */
    double busy_seconds;       /* of all runs that answered */
} ae_compare_model;

/* What two replies to the same prompt came to: of models a < b. */
typedef struct {
    int64_t row; /* item * repeats + repeat */
    int a, b;
    aerie_pair_outcome outcome;
} ae_compare_outcome;

struct aerie_compare {
    aerie_compare_options with; /* defaults filled in, but for the contenders' */
    struct {
        aerie_contender with;
        aerie_sampling sampling;
    } own[AE_COMPARE_MODELS]; /* the contenders, with theirs */
    ae_compare_items data;
    ae_compare_model models[AE_COMPARE_MODELS];
    size_t n_models, n_rows; /* rows: items times repeats */
    ae_journal replies;
    /* Judged. */
    ae_compare_outcome *outcomes;
    size_t n_outcomes, cap_outcomes;
    aerie_label_summary judged;
    char *judge_name;  /* NULL: no judge */
    char *reward_name; /* NULL: no reward model */
};

static inline size_t ae_compare_item_of(const aerie_compare *c, size_t row)
{
    return row / (size_t)c->with.repeats;
}

/* Names everything that decides the model's replies. */
aerie_status ae_compare_key(ae_compare_model *m, aerie_error *err);
/* Opens or begins replies.jsonl and takes what is there of these models and prompts. */
aerie_status ae_compare_replies_open(aerie_compare *c, aerie_error *err);
/* Keeps a reply, whose texts become the comparison's. */
aerie_status ae_compare_replies_add(aerie_compare *c, ae_compare_model *m, size_t row,
                                    const ae_compare_reply *reply, aerie_error *err);
/* Keeps what answering took; all that is kept is then on the disk. */
aerie_status ae_compare_replies_note(aerie_compare *c, ae_compare_model *m, aerie_error *err);
void ae_compare_replies_close(aerie_compare *c);

/* The whole conversation that a model gets of an item; a new reference. */
json_t *ae_compare_messages(const ae_compare_model *m, const ae_compare_item *item);

/* ---- ask.c: every reply that is missing ---- */

aerie_status ae_compare_ask(aerie_compare *c, ae_compare_model *m, aerie_error *err);
/* The next row from *row on without a reply; false: there is none. */
bool ae_compare_next_missing(const aerie_compare *c, const ae_compare_model *m, size_t *row);
/* Tells of progress; false: stop. */
bool ae_compare_tell(const aerie_compare *c, const ae_compare_model *m);

/* ---- measure.c ---- */

typedef enum {
    AE_MEASURE_CHECKS,
    AE_MEASURE_JUDGE,
    AE_MEASURE_REWARD,
    AE_MEASURE_SIMILARITY,
    AE_MEASURES
} ae_measure;
extern const char *const ae_measure_names[AE_MEASURES];

/* What two models differ in by one measure: of b, against a. */
typedef struct {
    size_t n;             /* prompts that both have */
    double of_a, of_b;    /* means; of judges the win rates, ties counted half */
    double difference;    /* of_b - of_a; of judges, of_b - 0.5 */
    ae_interval interval; /* 95 %, of the difference, by bootstrap over prompts */
    double p, p_holm;     /* two-sided */
    const char *test;     /* what p is of */
    double level;         /* below which p_holm decides */
    int64_t for_a, for_b; /* prompts that one does better on */
    double square;        /* mean square of the prompts' differences */
    /* Of judges: pairs of replies; those that turned with the order are among the tied. */
    int64_t n_decided, n_wins_b, n_tied, n_turned, n_without;
    ae_length_result length;
    bool has_length;
} ae_comparison;

/* False: nothing is measured. */
bool ae_measure_exists(const aerie_compare *c, ae_measure measure);
aerie_status ae_measure_pair(ae_comparison *out, const aerie_compare *c, ae_measure measure,
                             size_t a, size_t b, aerie_error *err);
/* Fills in what follows of n paired differences d[] (repeats averaged before), all but of_a and
 * of_b. `signs`: they are -1, 0 and 1 times something, so that an exact test of signs is all there
 * is; else signs are flipped. */
aerie_status ae_measure_differences(ae_comparison *out, const double *d, size_t n, bool signs,
                                    int64_t resamples, uint64_t seed, aerie_error *err);

/* ---- verdict.c ---- */

/* p_holm < level, and 0 is not in the interval. */
bool ae_verdict_is_decided(const ae_comparison *of);
/* About how many more prompts would show a difference of the size that was seen (power 80 %, level
 * 5 %), to two digits; -1: more than 100,000, or there is no difference. */
int64_t ae_verdict_more(const ae_comparison *of);
/* The difference that as many prompts would have shown four times in five. */
double ae_verdict_visible(const ae_comparison *of);
/* One sentence. */
void ae_verdict_sentence(ae_bytes *out, const aerie_compare *c, ae_measure measure,
                         const ae_comparison *of, size_t a, size_t b);

#endif
