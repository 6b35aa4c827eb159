/* file_stage.c -- stages between trainings: merging, quantizing, and a user's commands. */
#include "align/stage.h"

#include "aerie/merge.h"
#include "aerie/text.h"

#include <stdio.h>

static aerie_status merge(ae_doing *d, const char *output, const char *type, const char *imatrix)
{
    size_t n = json_array_size(d->from.adapters);
    const char *adapters[AE_MOST_STAGES + 8];
    aerie_merge_summary s;
    char text[160];
    aerie_status status;
    char *path = NULL;

    for (size_t i = 0; i < n && i < AE_COUNT(adapters); i++)
        adapters[i] = json_string_value(json_array_get(d->from.adapters, i));
    aerie_merge_options o = { .adapters = adapters,
                              .n_adapters = (int)n,
                              .any_base = d->a->train.any_base,
                              .type = type,
                              .imatrix = imatrix,
                              .cpu = d->a->train.cpu,
                              .threads = d->a->train.threads,
                              .progress = ae_align_go_on,
                              .user = d->a };
    status = aerie_find_model(d->a->train.places, d->from.model, &path, d->err);
    if (!status) status = aerie_merge(path, output, &o, &s, d->err);
    aerie_free(path);
    if (status) return status;
    snprintf(text, sizeof text, "%.2f bits a weight, KL %.3g from the model under its adapters",
             s.file.bits_per_weight, s.kl_mean);
    ae_align_tell_stage(d, AERIE_ALIGN_DONE, output, text);
    return ae_align_note(d, "done", output,
                         json_pack("{s:I, s:f, s:o, s:o}", "bytes", (json_int_t)s.file.bytes,
                                   "bits_per_weight", s.file.bits_per_weight, "kl_mean",
                                   ae_align_number(s.kl_mean), "kl_max",
                                   ae_align_number(s.kl_max)));
}

static aerie_status quantize(ae_doing *d, const char *output, const char *type, const char *imatrix)
{
    aerie_quantize_options o = {
        .imatrix = imatrix, .threads = d->a->train.threads, .progress = ae_align_go_on, .user = d->a
    };
    aerie_quantize_summary s;
    char text[96];
    aerie_status status;
    char *path = NULL;

    status = aerie_find_model(d->a->train.places, d->from.model, &path, d->err);
    if (!status) status = aerie_quantize(path, output, type, &o, &s, d->err);
    aerie_free(path);
    if (status) return status;
    snprintf(text, sizeof text, "%.2f bits a weight", s.bits_per_weight);
    ae_align_tell_stage(d, AERIE_ALIGN_DONE, output, text);
    return ae_align_note(d, "done", output,
                         json_pack("{s:I, s:f}", "bytes", (json_int_t)s.bytes, "bits_per_weight",
                                   s.bits_per_weight));
}

aerie_status ae_align_file_stage(ae_doing *d)
{
    bool merges = d->stage->kind == AE_STAGE_MERGE;
    const char *output = ae_align_setting(d, "output"), *type = ae_align_setting(d, "type"),
               *imatrix = ae_align_setting(d, "imatrix");
    size_t n = json_array_size(d->from.adapters);
    aerie_status status = d->status ? d->status : ae_align_need_model(d);

    if (status) return status;
    if (merges != (n > 0))
        return ae_stage_wrong(
            &d->a->pipeline, d->stage, d->err,
            merges ? "there is no adapter to merge: what it starts from is a whole model"
                   : "what it starts from is an adapter; merge it, which can quantize too: 'merge: "
                     "{type: ...}'");
    ae_align_add_key(d, merges ? "merge" : "quantize", type ? type : "");
    ae_align_add_key(d, "output", output);
    if (imatrix) ae_align_add_file(d, "imatrix", imatrix);
    if (!d->status && !d->a->dry) d->status = ae_align_add_model(d, d->from.model);
    if (d->status) return d->status;
    ae_align_end_key(d);
    if (d->a->dry)
        ae_align_tell_stage(d, AERIE_ALIGN_PLANNED, output, type ? type : "F16");
    else if (!ae_align_is_kept(d, output)) {
        ae_align_tell_stage(d, AERIE_ALIGN_BEGINS, output, "");
        status = ae_align_begin(d, output);
        if (!status)
            status = merges ? merge(d, output, type, imatrix) : quantize(d, output, type, imatrix);
    }
    if (!status) ae_align_leave(d, output, d->from.base, NULL, NULL, output);
    return status ? status : d->status;
}

/* "[a, b]", a JSON list as the reader wrote it, or one path. */
static void add_inputs(ae_doing *d, const char *inputs)
{
    json_t *list = *inputs == '[' ? json_loads(inputs, 0, NULL) : NULL, *item;
    size_t i;

    if (!list) ae_align_add_file(d, "input", inputs);
    json_array_foreach(list, i, item) if (!d->status && json_string_value(item))
    {
        const char *path = ae_align_expand(d, json_string_value(item));
        if (path) ae_align_add_file(d, "input", path);
    }
    json_decref(list);
}

static aerie_status run_command(ae_doing *d, const char *run, const char *output)
{
    aerie_status status;

    ae_align_tell_stage(d, AERIE_ALIGN_BEGINS, output, run);
    status = ae_align_begin(d, output ? output : "");
    if (!status) status = d->a->options->command(d->a->options->user, run, NULL, d->err);
    if (!status && output && !ae_align_is_there(output))
        status = aerie_fail(d->err, AERIE_NOT_FOUND,
                            "'%.100s' has ended, and its output %s is not there", run, output);
    if (!status) status = ae_align_note(d, "done", output ? output : "", NULL);
    if (!status) ae_align_tell_stage(d, AERIE_ALIGN_DONE, output, "");
    return status;
}

aerie_status ae_align_command_stage(ae_doing *d)
{
    const char *run = ae_align_setting(d, "run"), *output = ae_align_setting(d, "output"),
               *inputs = ae_align_setting(d, "inputs");
    aerie_status status = d->status ? d->status : ae_align_need_commands(d);

    if (status) return status;
    ae_align_add_key(d, "command", run);
    if (inputs && !d->a->dry) add_inputs(d, inputs);
    if (d->status) return d->status;
    ae_align_end_key(d);
    if (d->a->dry)
        ae_align_tell_stage(d, AERIE_ALIGN_PLANNED, output, run);
    else if (!ae_align_is_kept(d, output ? output : ""))
        status = run_command(d, run, output);
    if (status) return status;
    /* The model is what it was, and what follows depends on this. */
    d->a->places[d->number] = d->from;
    d->a->places[d->number].adapters = json_deep_copy(d->from.adapters);
    d->a->places[d->number].key = d->a->keys[d->number];
    d->a->outputs[d->number] = output;
    return AERIE_OK;
}
