/* stage.h -- private: a stage as it is about to be done, and what all kinds of stages share. */
#ifndef AE_ALIGN_STAGE_H
#define AE_ALIGN_STAGE_H

#include "align/pipeline.h"

#include "aerie/quantize.h"

/* What a stage starts from, or leaves: a model and the adapters over it. */
typedef struct {
    const char *model; /* NULL: nothing yet, a recipe's own */
    const char *base;  /* a model of that shape that is there, for plans */
    json_t *adapters;  /* list of texts */
    const char *key;   /* of the stage that made it; NULL: none did */
} ae_align_place;

typedef struct {
    ae_pipeline pipeline;
    ae_align_state state;
    const aerie_align_options *options;
    aerie_train_options train;
    ae_align_place places[AE_MOST_STAGES]; /* after each stage */
    const char *outputs[AE_MOST_STAGES];
    char keys[AE_MOST_STAGES][65];
    json_t *report;
    bool looks; /* before anything is done: whether every stage says what can be */
    bool dry;   /* nothing is to be done: it looks, or plans */
} ae_aligner;

/* A stage as it is about to be done. */
typedef struct {
    ae_aligner *a;
    const ae_stage *stage;
    int number; /* from 0 */
    ae_align_place from;
    const char *settings[AE_MOST_SETTINGS];
    size_t n_settings;
    ae_sha256 sha;    /* of the key */
    json_t *adapters; /* of a recipe, in order */
    bool is_missing;  /* a setting names an output that is not there yet */
    aerie_status status;
    aerie_error *err;
} ae_doing;
aerie_status ae_align_no_memory(aerie_error *err);
/* Tells the caller of a stage or evaluation. */
void ae_align_tell(const ae_aligner *a, const ae_stage *s, int number, int n,
                   aerie_align_event event, const char *output, const char *text);
void ae_align_tell_stage(const ae_doing *d, aerie_align_event event, const char *output,
                         const char *text);
/* What the stage starts from. */
ae_align_place ae_align_place_before(const ae_aligner *a, const ae_stage *s, int number);
/* What a stage depends on, into its key. */
void ae_align_add_key(ae_doing *d, const char *what, const char *text);
/* A text with every ${name} replaced; the arena's. NULL: d->status says why. */
const char *ae_align_expand(ae_doing *d, const char *text);
/* A setting of this stage, expanded; NULL: it has none, or it failed. */
const char *ae_align_setting(ae_doing *d, const char *key);
bool ae_align_is_there(const char *path);
/* The parent's model and adapters, then the stage's own settings. */
void ae_align_make_settings(ae_doing *d);
/* Files that a stage reads, into its key; an aerie_recipe_look()'s callback. */
int ae_align_add_file(void *user, const char *role, const char *path);
/* The stage that made it, or the file's content. */
aerie_status ae_align_add_model(ae_doing *d, const char *model);
void ae_align_end_key(ae_doing *d);
/* Into the report and, when it is "done", the state; takes `facts` (or NULL) over. */
aerie_status ae_align_note(ae_doing *d, const char *state, const char *output, json_t *facts);
/* True: nothing is to be done for this stage. */
bool ae_align_is_kept(ae_doing *d, const char *output);
/* Remembers that it was begun: it is to be resumed. */
aerie_status ae_align_begin(ae_doing *d, const char *output);
/* What the next stage starts from; what is NULL is not there. */
void ae_align_leave(ae_doing *d, const char *model, const char *base, const json_t *adapters,
                    const char *and_adapter, const char *output);
/* null for what is not finite. */
json_t *ae_align_number(double value);
/* Asks the caller whether to go on; `user` is the aligner. */
bool ae_align_go_on(void *user, double part, const aerie_quantized_tensor *tensor);
aerie_status ae_align_need_model(const ae_doing *d);
aerie_status ae_align_need_commands(const ae_doing *d);

/* ---- the kinds, each in its file ---- */

aerie_status ae_align_train_stage(ae_doing *d);
aerie_status ae_align_file_stage(ae_doing *d);
aerie_status ae_align_command_stage(ae_doing *d);
aerie_status ae_align_evaluate(ae_aligner *a, int i, aerie_error *err);

#endif
