/* stage.c -- what a stage starts from, its settings and key, and what is remembered of it. */
#include "align/stage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

aerie_status ae_align_no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the pipeline");
}

static const char *keep(ae_aligner *a, const char *text)
{
    return ae_arena_strndup(&a->pipeline.arena, text, strlen(text));
}

void ae_align_tell(const ae_aligner *a, const ae_stage *s, int number, int n,
                   aerie_align_event event, const char *output, const char *text)
{
    aerie_align_stage told = {
        event,           number + 1, n, s->name, ae_stage_kind_name(s->kind), output ? output : "",
        text ? text : ""
    };

    if (a->options->stage && !a->looks) a->options->stage(a->options->user, &told);
}

void ae_align_tell_stage(const ae_doing *d, aerie_align_event event, const char *output,
                         const char *text)
{
    ae_align_tell(d->a, d->stage, d->number, d->a->pipeline.n_stages, event, output, text);
}

/* ---- what a stage starts from ---- */

static int number_of(const ae_aligner *a, const char *name, size_t len, int before)
{
    for (int i = 0; i < before; i++)
        if (strlen(a->pipeline.stages[i].name) == len &&
            strncmp(a->pipeline.stages[i].name, name, len) == 0)
            return i;
    return -1;
}

ae_align_place ae_align_place_before(const ae_aligner *a, const ae_stage *s, int number)
{
    int from = number - 1;

    if (s->from && strcmp(s->from, "recipe") == 0)
        from = -1;
    else if (s->from)
        from = number_of(a, s->from, strlen(s->from), number);
    return from >= 0 ? a->places[from] : (ae_align_place){ 0 };
}

static const char *newest_adapter(const ae_align_place *p)
{
    size_t n = json_array_size(p->adapters);

    return n ? json_string_value(json_array_get(p->adapters, n - 1)) : "";
}

void ae_align_add_key(ae_doing *d, const char *what, const char *text)
{
    ae_sha256_add(&d->sha, what, strlen(what) + 1);
    ae_sha256_add(&d->sha, text, strlen(text) + 1);
}

/* What ${name} stands for: a stage's output, or what this one starts from. */
static aerie_status value_of(ae_doing *d, const char *name, size_t len, const char **out)
{
    int i = number_of(d->a, name, len, d->number);

    if (i >= 0 && d->a->outputs[i]) {
        *out = d->a->outputs[i];
        ae_align_add_key(d, "output of", d->a->keys[i]);
        if (!ae_file_exists(*out) && !ae_file_is_folder(*out)) d->is_missing = true;
        return AERIE_OK;
    }
    if (len == 5 && strncmp(name, "model", 5) == 0) {
        *out = d->from.model ? d->from.model : "";
        return AERIE_OK;
    }
    if (len == 7 && strncmp(name, "adapter", 7) == 0) {
        *out = newest_adapter(&d->from);
        return AERIE_OK;
    }
    return ae_stage_wrong(
        &d->a->pipeline, d->stage, d->err,
        "'${%.*s}' is no stage before this one that writes something, nor model or adapter",
        (int)len, name);
}

/* A text with every ${name} replaced; the arena's. */
const char *ae_align_expand(ae_doing *d, const char *text)
{
    ae_bytes out = { 0 };
    const char *value = "", *kept;

    while (*text && !d->status) {
        const char *end = strncmp(text, "${", 2) == 0 ? strchr(text, '}') : NULL;
        if (!end) {
            ae_bytes_add_char(&out, *text++);
            continue;
        }
        d->status = value_of(d, text + 2, (size_t)(end - text) - 2, &value);
        if (!d->status) ae_bytes_add_text(&out, value);
        text = end + 1;
    }
    kept = d->status || out.failed ? NULL : keep(d->a, out.data ? out.data : "");
    if (!kept && !d->status) d->status = ae_align_no_memory(d->err);
    ae_bytes_free(&out);
    return kept;
}

/* A setting of this stage, expanded; NULL: it has none, or it failed. */
const char *ae_align_setting(ae_doing *d, const char *key)
{
    const char *text = ae_stage_setting(d->stage, key);

    return text && !d->status ? ae_align_expand(d, text) : NULL;
}

static void add_setting(ae_doing *d, const char *key, const char *value)
{
    ae_bytes text = { 0 };
    const char *kept;

    if (d->status) return;
    ae_bytes_printf(&text, "%s=%s", key, value);
    kept = text.failed ? NULL : keep(d->a, text.data);
    ae_bytes_free(&text);
    if (!kept)
        d->status = ae_align_no_memory(d->err);
    else if (d->n_settings == AE_MOST_SETTINGS)
        d->status = ae_stage_wrong(&d->a->pipeline, d->stage, d->err, "too many settings");
    else
        d->settings[d->n_settings++] = kept;
}

static void add_adapters(ae_doing *d, const json_t *adapters)
{
    char *list = json_dumps(adapters, JSON_COMPACT);

    if (!list && !d->status) d->status = ae_align_no_memory(d->err);
    if (list) add_setting(d, "adapters", list);
    free(list);
}

bool ae_align_is_there(const char *path)
{
    return ae_file_exists(path) || ae_file_is_folder(path);
}

/* The parent's model and adapters, then the stage's own settings. */
void ae_align_make_settings(ae_doing *d)
{
    bool dry = d->a->dry;
    const char *key;
    json_t *value;

    if (d->from.model && !ae_stage_setting(d->stage, "model")) {
        bool there = !dry || ae_align_is_there(d->from.model);
        const char *newest = newest_adapter(&d->from);
        add_setting(d, "model", there ? d->from.model : d->from.base);
        if (there && (!dry || !*newest || ae_align_is_there(newest)))
            add_adapters(d, d->from.adapters);
        else
            add_setting(d, "adapters", "[]");
    }
    json_object_foreach(d->stage->settings, key, value)
    {
        const char *text = ae_align_expand(d, json_string_value(value));
        if (text) add_setting(d, key, text);
    }
    /* A plan must not wait for a reward model that is still to be made. */
    if (dry && d->is_missing && ae_stage_setting(d->stage, "reward.model"))
        add_setting(d, "reward.source", "length");
    if (dry && d->is_missing && ae_stage_setting(d->stage, "reward.adapter"))
        add_setting(d, "reward.source", "length");
}

/* ---- keys ---- */

int ae_align_add_file(void *user, const char *role, const char *path)
{
    ae_doing *d = user;
    char hash[65];

    if (strcmp(role, "adapter") == 0) json_array_append_new(d->adapters, json_string(path));
    d->status = ae_align_state_hash(&d->a->state, path, hash, d->err);
    if (!d->status) ae_align_add_key(d, role, hash);
    return d->status != AERIE_OK;
}

/* The stage that made it, or the file's content. */
aerie_status ae_align_add_model(ae_doing *d, const char *model)
{
    char *path = NULL, hash[65];
    aerie_status status = AERIE_OK;

    if (d->from.key && d->from.model && strcmp(d->from.model, model) == 0) {
        ae_align_add_key(d, "from", d->from.key);
        return AERIE_OK;
    }
    if (d->a->train.places) status = aerie_find_model(d->a->train.places, model, &path, d->err);
    if (!status) status = ae_align_state_hash(&d->a->state, path ? path : model, hash, d->err);
    if (!status) ae_align_add_key(d, "model", hash);
    aerie_free(path);
    return status;
}

void ae_align_end_key(ae_doing *d)
{
    if (d->from.key) ae_align_add_key(d, "after", d->from.key);
    ae_sha256_hex(&d->sha, d->a->keys[d->number]);
}

/* ---- done, or not ---- */

aerie_status ae_align_note(ae_doing *d, const char *state, const char *output, json_t *facts)
{
    ae_aligner *a = d->a;
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:O?}", "name", d->stage->name, "kind",
                              ae_stage_kind_name(d->stage->kind), "state", state, "output", output,
                              "facts", facts);

    json_array_append_new(json_object_get(a->report, "stages"), entry);
    if (strcmp(state, "done") != 0) {
        json_decref(facts);
        return AERIE_OK;
    }
    return ae_align_state_put(&a->state, d->stage->name, "done", a->keys[d->number], output, facts,
                              d->err);
}

/* True: nothing is to be done for this stage. */
bool ae_align_is_kept(ae_doing *d, const char *output)
{
    const ae_aligner *a = d->a;

    if (a->options->again || !ae_align_state_done(&a->state, d->stage->name, a->keys[d->number]))
        return false;
    ae_align_tell_stage(d, AERIE_ALIGN_KEPT, output, "");
    ae_align_note(d, "kept", output, NULL);
    return true;
}

aerie_status ae_align_begin(ae_doing *d, const char *output)
{
    return ae_align_state_put(&d->a->state, d->stage->name, "running", d->a->keys[d->number],
                              output, NULL, d->err);
}

void ae_align_leave(ae_doing *d, const char *model, const char *base, const json_t *adapters,
                    const char *and_adapter, const char *output)
{
    ae_aligner *a = d->a;
    ae_align_place *p = &a->places[d->number];

    *p = (ae_align_place){ .model = keep(a, model),
                           .base = base ? keep(a, base) : NULL,
                           .adapters = adapters ? json_deep_copy(adapters) : json_array(),
                           .key = a->keys[d->number] };
    if (and_adapter) json_array_append_new(p->adapters, json_string(and_adapter));
    a->outputs[d->number] = output ? keep(a, output) : NULL;
    if (!p->model || !p->adapters) d->status = ae_align_no_memory(d->err);
}

/* ---- what stages and evaluations share ---- */

json_t *ae_align_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

bool ae_align_go_on(void *user, double part, const aerie_quantized_tensor *tensor)
{
    const ae_aligner *a = user;
    const aerie_train_progress within = { .phase = AERIE_TRAIN_WITHIN };

    (void)part, (void)tensor;
    return !a->train.progress || a->train.progress(a->train.user, &within) == 0;
}

aerie_status ae_align_need_model(const ae_doing *d)
{
    if (d->from.model) return AERIE_OK;
    return ae_stage_wrong(&d->a->pipeline, d->stage, d->err,
                          "there is no model yet: a training stage comes first");
}

aerie_status ae_align_need_commands(const ae_doing *d)
{
    if (d->a->options->command) return AERIE_OK;
    return ae_stage_wrong(&d->a->pipeline, d->stage, d->err,
                          "this program runs no commands for a pipeline");
}
