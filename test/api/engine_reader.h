/* engine_reader.h -- who asks the live engine in tests: what an ask came to, event by event. */
#ifndef AE_TEST_ENGINE_READER_H
#define AE_TEST_ENGINE_READER_H

#include "scratch.h"

#include "api/api.h"

#include "aerie/engine.h"

enum { MOST_REPLIES = 4 };

/* What one ask came to. */
typedef struct {
    ae_monitor monitor;
    aerie_engine *engine;
    ae_bytes text[MOST_REPLIES];
    int n_started, n_finished, n_end, n_events, n_tokens;
    aerie_finish why[MOST_REPLIES];
    char stop[MOST_REPLIES][32];
    aerie_status status;
    char message[480];
    aerie_ask_stats stats;
    int64_t reused, dropped;
    double logprob;
    int n_prompt_tokens;
    float prompt_logprobs[64];
    float numbers[512];
    size_t n_numbers;
    bool top_is_sorted;
    int hold_every, stop_after, cancel_after; /* events; 0: never */
    int kind;                                 /* what was asked */
    bool cancel_in_prompt;
} reader;

/* `e` is for those who cancel; NULL otherwise. */
void open_reader(reader *r, aerie_engine *e);
void close_reader(reader *r);
/* An aerie_event_fn; `user` is a reader. */
aerie_flow on_event(void *user, const aerie_event *event);
void await_end(reader *r);

/* ---- the world: the nursery's model, with two threads ---- */

typedef struct {
    aerie_model *model;
} world;

int set_up(void **state);
int tear_down(void **state);
aerie_engine *open_engine(const world *w, const aerie_engine_options *o);
/* The ticket; that it is refused fails the test. */
uint64_t ask(aerie_engine *e, const aerie_ask *a, reader *r);
/* Opens the reader too. */
void ask_and_wait(aerie_engine *e, const aerie_ask *a, reader *r);

enum { N_PROMPTS = 8 };
extern const char *const prompts[N_PROMPTS];

/* Temperature 1. */
aerie_sampling warm(uint64_t seed);
/* Ask i of many: prompts and lengths that differ. */
aerie_ask text_ask(int i, const aerie_sampling *s);

#endif
