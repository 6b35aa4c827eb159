/* pipeline.h -- private: a pipeline read, what is remembered of it, and how its stages are done. */
#ifndef AE_ALIGN_PIPELINE_H
#define AE_ALIGN_PIPELINE_H

#include "aerie/align.h"
#include "base/base.h"

#include <jansson.h>

enum { AE_MOST_STAGES = 32, AE_MOST_SETTINGS = 96 };

typedef enum {
    AE_STAGE_TRAIN,
    AE_STAGE_MERGE,
    AE_STAGE_QUANTIZE,
    AE_STAGE_COMMAND,
    AE_STAGE_SCORE, /* of evaluations, as is the next */
    AE_STAGE_PERPLEXITY
} ae_stage_kind;

/* Texts belong to the pipeline's JSON, or to its arena. */
typedef struct {
    ae_stage_kind kind;
    const char *name, *recipe, *from;
    json_t *settings; /* flat: key to text */
    int64_t line;
} ae_stage;

typedef struct {
    ae_arena arena;
    json_t *root;
    const char *path, *name;
    ae_stage stages[AE_MOST_STAGES], evaluations[AE_MOST_STAGES];
    int n_stages, n_evaluations;
} ae_pipeline;

aerie_status ae_pipeline_read(ae_pipeline *out, const char *path, aerie_error *err);
void ae_pipeline_free(ae_pipeline *p);
/* Lays "key=value" over every training stage, "stage:key=value" over one. */
aerie_status ae_pipeline_set(ae_pipeline *p, const char *setting, aerie_error *err);
const char *ae_stage_kind_name(ae_stage_kind kind);
/* A key's text; NULL: it has none. */
const char *ae_stage_setting(const ae_stage *stage, const char *key);
/* AERIE_BAD_TEXT with the file and the line before the sentence. */
aerie_status ae_stage_wrong(const ae_pipeline *p, const ae_stage *stage, aerie_error *err,
                            const char *format, ...) AERIE_PRINTF(4, 5);

/* ---- state.c: NAME.align.json ---- */

typedef struct {
    char *path;
    json_t *root; /* {"stages": {name: {...}}, "files": {path: {...}}} */
} ae_align_state;

/* What is not there, or is no such file, is a state of nothing. */
aerie_status ae_align_state_open(ae_align_state *s, const char *name, aerie_error *err);
void ae_align_state_close(ae_align_state *s);
aerie_status ae_align_state_save(const ae_align_state *s, aerie_error *err);
/* Whether the stage with this key is done, and its output as it was left. */
bool ae_align_state_done(const ae_align_state *s, const char *stage, const char *key);
/* Whether it was begun with this key and not ended. */
bool ae_align_state_begun(const ae_align_state *s, const char *stage, const char *key);
/* "running" or "done"; `facts` (or NULL) is taken over. */
aerie_status ae_align_state_put(ae_align_state *s, const char *stage, const char *state,
                                const char *key, const char *output, json_t *facts,
                                aerie_error *err);
/* SHA-256 of a file, or of a folder's files and their names; taken anew when size or time of change
 * are others. A path that is not there: of its name. */
aerie_status ae_align_state_hash(ae_align_state *s, const char *path, char out[65],
                                 aerie_error *err);

#endif
