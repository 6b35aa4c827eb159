/* api.h -- what the files of api share: the public handles' insides. */
#ifndef AE_API_H
#define AE_API_H

#include "aerie/model.h"
#include "aerie/session.h"
#include "infer/infer.h"
#include "model/model.h"

struct aerie_tokenizer {
    const ae_tokenizer *tokenizer;
    ae_tokenizer *owned; /* NULL: the model's */
};

struct aerie_model {
    ae_device *device;
    ae_model *model;
    ae_adapter **adapters;
    int n_adapters;
    ae_arena arena; /* the net */
    ae_net net;
    ae_cpu_choice cpu;
    ae_dtype kv_type;
    bool kv_named;          /* by the caller: texts are scored over such a cache too */
    bool exact;             /* nothing is packed */
    bool is_planned;        /* ... and memory checked, for: */
    bool has_draft_planned; /* in place of plan.draft, which is gone */
    aerie_memory_plan plan;
    aerie_tokenizer tokenizer;
};

/* Hands a buffer's text over to the caller (aerie_free) and empties it. A failed append becomes
 * AERIE_NO_MEMORY. `len` may be NULL. */
aerie_status ae_api_give(ae_bytes *from, char **text, size_t *len, aerie_error *err);

/* A JSON value as text, the caller's. */
struct json_t;
aerie_status ae_api_give_json(const struct json_t *value, char **text, aerie_error *err);
/* The same with as many digits as tell every number from its neighbours. */
aerie_status ae_api_give_exact_json(const struct json_t *value, char **text, aerie_error *err);

/* Fails when the model came without a tokenizer. */
aerie_status ae_api_need_tokenizer(const aerie_model *m, aerie_error *err);

/* The template to render with: `wanted` (Jinja, or a known format's name), else the model's.
 * Parsed; to be freed with ae_template_free(). */
aerie_status ae_api_template(ae_template **out, const aerie_model *m, const char *wanted,
                             aerie_error *err);

/* Appends a text's ids; BOS exactly once: not again where the text (a rendered template, say)
 * begins with it. `flags` as ae_tokenizer_encode() has them. */
aerie_status ae_api_encode(ae_ids *ids, const ae_tokenizer *t, ae_span text, unsigned flags,
                           aerie_error *err);

/* Renders what `in` says; the tokens' texts in it are filled in. */
aerie_status ae_api_render(ae_bytes *text, const aerie_model *m, const ae_template *t,
                           ae_template_input *in, aerie_error *err);

/* Renders messages, with the beginning of the reply. */
aerie_status ae_api_render_chat(ae_bytes *text, const aerie_model *m, const ae_template *t,
                                const aerie_message *messages, size_t n_messages, aerie_error *err);

/* Renders messages and turns them into prompt ids. */
aerie_status ae_api_chat_ids(ae_ids *ids, const aerie_model *m, const ae_template *t,
                             const aerie_message *messages, size_t n_messages, aerie_error *err);

/* How the engine speculates. Fails when the draft model's tokens are not the model's. */
aerie_status ae_api_speculate(ae_engine_options *o, const aerie_model *m, aerie_speculate how,
                              const aerie_model *draft, aerie_error *err);

/* The beginning of aerie_model_open(): the device, and the model as it lies in its file. */
aerie_status ae_api_map_model(aerie_model *m, const char *path, const aerie_model_options *o,
                              aerie_error *err);

/* Fails with the settings that would fit when a mapped model needs more memory for the plan than
 * there is. */
aerie_status ae_api_check_memory(aerie_model *m, const aerie_model_options *o,
                                 const aerie_memory_plan *plan, aerie_error *err);

/* The same of a loaded model that was opened with a plan, for another use that may need more than
 * what was planned. `draft` may be NULL. */
aerie_status ae_api_check_use(aerie_model *m, aerie_model *draft, const aerie_memory_plan *plan,
                              aerie_error *err);

/* divergence.c: an ae_bench_model's `diverge` of a model. */
struct ae_saved_logits;
aerie_status ae_api_diverge(aerie_model *m, const struct ae_saved_logits *file,
                            const int64_t *windows, int64_t n, ae_diverged_fn *fn, void *user,
                            aerie_error *err);

/* An engine that scores texts. */
ae_engine_options ae_api_scorer(const aerie_model *m);

ae_sampling ae_api_sampling(const aerie_sampling *given);

#endif
