/* openai.h -- what OpenAI's routes share: options, log-probabilities, usage. Private to serve. */
#ifndef AE_OPENAI_H
#define AE_OPENAI_H

#include "serve/talk.h"

enum { AE_OPENAI_MOST_STOPS = 64, AE_OPENAI_MOST_BIAS = 1024 };

/* What a request says about how to reply. `stop` borrows from it. */
typedef struct {
    aerie_sampling sampling;
    int64_t max_tokens; /* 0: as many as the context holds */
    int64_t n_replies;
    const char *stop[AE_OPENAI_MOST_STOPS];
    size_t n_stop;
    aerie_logit_bias bias[AE_OPENAI_MOST_BIAS];
    size_t n_bias;
    aerie_grammar *grammar; /* owned; NULL: none */
    bool include_usage;     /* in a stream */
} ae_openai_options;

/* Reads them, over what the model's Modelfile says; OpenAI's defaults otherwise (temperature and
 * top_p 1). On failure nothing is owned. */
aerie_status ae_openai_read(ae_openai_options *o, const json_t *request, const aerie_stored *stored,
                            aerie_error *err);
void ae_openai_free(ae_openai_options *o);
/* Lays them over an ask, which borrows from them. */
void ae_openai_fill(aerie_ask *ask, const ae_openai_options *o);

/* What is an exchange's own, after `prefix` ("chatcmpl-"). */
void ae_openai_id(char out[48], const char *prefix, uint64_t exchange);
json_t *ae_openai_usage(int64_t prompt, int64_t reused, int64_t replies);
const char *ae_openai_finish(aerie_finish why);

#endif
