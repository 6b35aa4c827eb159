/* align.c -- a pipeline's stages, one after the other.
 *
 * A stage is known by a key: the hash of its settings, of the files that it reads, and of the keys
 * of the stages that it starts from. What is done by the same key is not done again; a training
 * that was begun by the same key and has a checkpoint is resumed. */
#include "align/stage.h"

#include <stdlib.h>
#include <string.h>

static aerie_status do_stage(ae_aligner *a, int number, aerie_error *err)
{
    const ae_stage *s = &a->pipeline.stages[number];
    ae_doing d = { .a = a,
                   .stage = s,
                   .number = number,
                   .from = ae_align_place_before(a, s, number),
                   .adapters = json_array(),
                   .err = err };
    aerie_status status;

    ae_sha256_start(&d.sha);
    ae_align_add_key(&d, "stage", ae_stage_kind_name(s->kind));
    switch (s->kind) {
    case AE_STAGE_TRAIN:
        status = ae_align_train_stage(&d);
        break;
    case AE_STAGE_COMMAND:
        status = ae_align_command_stage(&d);
        break;
    default:
        status = ae_align_file_stage(&d);
        break;
    }
    json_decref(d.adapters);
    if (status) aerie_error_prefix(err, "stage %s", s->name);
    return status;
}
static aerie_status do_stages(ae_aligner *a, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int i = 0; i < a->pipeline.n_stages && !status; i++) status = do_stage(a, i, err);
    return status;
}

static void forget_places(ae_aligner *a)
{
    for (int i = 0; i < AE_MOST_STAGES; i++) json_decref(a->places[i].adapters);
    memset(a->places, 0, sizeof a->places);
}

/* What an evaluation reads, where no stage makes it. */
static aerie_status look_at_evaluations(const ae_aligner *a, aerie_error *err)
{
    static const char *const keys[] = { "file", "data" };

    for (int i = 0; i < a->pipeline.n_evaluations; i++)
        for (size_t k = 0; k < AE_COUNT(keys); k++) {
            const ae_stage *s = &a->pipeline.evaluations[i];
            const char *path = ae_stage_setting(s, keys[k]);
            if (path && !strstr(path, "${") && !ae_align_is_there(path))
                return aerie_fail(err, AERIE_NOT_FOUND,
                                  "evaluation %s: %s: there is no such file, and it is wanted in "
                                  "the end",
                                  s->name, path);
        }
    return AERIE_OK;
}

/* Slips are found before the first stage has run for hours. */
static aerie_status run(ae_aligner *a, aerie_error *err)
{
    aerie_status status;

    a->looks = a->dry = true;
    status = do_stages(a, err);
    forget_places(a);
    a->looks = false;
    a->dry = a->options->dry_run;
    if (!status && !a->dry) status = look_at_evaluations(a, err);
    if (!status) status = do_stages(a, err);
    for (int i = 0; i < a->pipeline.n_evaluations && !status && !a->dry; i++)
        status = ae_align_evaluate(a, i, err);
    return status;
}

static aerie_status give_report(const ae_aligner *a, char **report, aerie_error *err)
{
    char *text = json_dumps(a->report, JSON_REAL_PRECISION(9));

    *report = text ? ae_strdup(text) : NULL;
    free(text);
    return *report ? AERIE_OK : ae_align_no_memory(err);
}

aerie_status aerie_align(const char *path, const aerie_align_options *options, char **report,
                         aerie_error *err)
{
    static const aerie_align_options none;
    static const aerie_places no_places;
    ae_aligner *a = ae_alloc(1, sizeof *a);
    aerie_status status;

    if (report) *report = NULL;
    if (!a) return ae_align_no_memory(err);
    a->options = options ? options : &none;
    if (a->options->train) a->train = *a->options->train;
    if (!a->train.places) a->train.places = &no_places;
    status = ae_pipeline_read(&a->pipeline, path, err);
    for (size_t i = 0; i < a->options->n_settings && !status; i++)
        status = ae_pipeline_set(&a->pipeline, a->options->settings[i], err);
    if (!status) status = ae_align_state_open(&a->state, a->pipeline.name, err);
    if (!status) {
        a->report =
            json_pack("{s:s, s:[], s:[]}", "name", a->pipeline.name, "stages", "evaluations");
        status = a->report ? run(a, err) : ae_align_no_memory(err);
    }
    if (!status && report) status = give_report(a, report, err);
    forget_places(a);
    json_decref(a->report);
    ae_align_state_close(&a->state);
    ae_pipeline_free(&a->pipeline);
    ae_free(a);
    return status;
}
