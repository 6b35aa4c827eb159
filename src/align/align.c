/* align.c -- a pipeline's stages, one after the other.
 *
 * A stage is known by a key: the hash of its settings, of the files that it reads, and of the keys
 * of the stages that it starts from. What is done by the same key is not done again; a training
 * that was begun by the same key and has a checkpoint is resumed. */
#include "align/pipeline.h"

#include "aerie/eval.h"
#include "aerie/merge.h"
#include "aerie/quantize.h"
#include "aerie/score.h"
#include "aerie/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a stage starts from, or leaves: a model and the adapters over it. */
typedef struct {
    const char *model; /* NULL: nothing yet, a recipe's own */
    const char *base;  /* a model of that shape that is there, for plans */
    json_t *adapters;  /* list of texts */
    const char *key;   /* of the stage that made it; NULL: none did */
} place;

typedef struct {
    ae_pipeline pipeline;
    ae_align_state state;
    const aerie_align_options *options;
    aerie_train_options train;
    place places[AE_MOST_STAGES]; /* after each stage */
    const char *outputs[AE_MOST_STAGES];
    char keys[AE_MOST_STAGES][65];
    json_t *report;
    bool looks; /* before anything is done: whether every stage says what can be */
    bool dry;   /* nothing is to be done: it looks, or plans */
} aligner;

/* A stage as it is about to be done. */
typedef struct {
    aligner *a;
    const ae_stage *stage;
    int number; /* from 0 */
    place from;
    const char *settings[AE_MOST_SETTINGS];
    size_t n_settings;
    ae_sha256 sha;    /* of the key */
    json_t *adapters; /* of a recipe, in order */
    bool is_missing;  /* a setting names an output that is not there yet */
    aerie_status status;
    aerie_error *err;
} doing;

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the pipeline");
}

static const char *keep(aligner *a, const char *text)
{
    return ae_arena_strndup(&a->pipeline.arena, text, strlen(text));
}

static void tell(const aligner *a, const ae_stage *s, int number, int n, aerie_align_event event,
                 const char *output, const char *text)
{
    aerie_align_stage told = {
        event,           number + 1, n, s->name, ae_stage_kind_name(s->kind), output ? output : "",
        text ? text : ""
    };

    if (a->options->stage && !a->looks) a->options->stage(a->options->user, &told);
}

static void tell_stage(const doing *d, aerie_align_event event, const char *output,
                       const char *text)
{
    tell(d->a, d->stage, d->number, d->a->pipeline.n_stages, event, output, text);
}

/* ---- what a stage starts from ---- */

static int number_of(const aligner *a, const char *name, size_t len, int before)
{
    for (int i = 0; i < before; i++)
        if (strlen(a->pipeline.stages[i].name) == len &&
            strncmp(a->pipeline.stages[i].name, name, len) == 0)
            return i;
    return -1;
}

static place place_before(const aligner *a, const ae_stage *s, int number)
{
    int from = number - 1;

    if (s->from && strcmp(s->from, "recipe") == 0)
        from = -1;
    else if (s->from)
        from = number_of(a, s->from, strlen(s->from), number);
    return from >= 0 ? a->places[from] : (place){ 0 };
}

static const char *newest_adapter(const place *p)
{
    size_t n = json_array_size(p->adapters);

    return n ? json_string_value(json_array_get(p->adapters, n - 1)) : "";
}

static void add_key(doing *d, const char *what, const char *text)
{
    ae_sha256_add(&d->sha, what, strlen(what) + 1);
    ae_sha256_add(&d->sha, text, strlen(text) + 1);
}

/* What ${name} stands for: a stage's output, or what this one starts from. */
static aerie_status value_of(doing *d, const char *name, size_t len, const char **out)
{
    int i = number_of(d->a, name, len, d->number);

    if (i >= 0 && d->a->outputs[i]) {
        *out = d->a->outputs[i];
        add_key(d, "output of", d->a->keys[i]);
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
static const char *expand(doing *d, const char *text)
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
    if (!kept && !d->status) d->status = no_memory(d->err);
    ae_bytes_free(&out);
    return kept;
}

/* A setting of this stage, expanded; NULL: it has none, or it failed. */
static const char *setting(doing *d, const char *key)
{
    const char *text = ae_stage_setting(d->stage, key);

    return text && !d->status ? expand(d, text) : NULL;
}

static void add_setting(doing *d, const char *key, const char *value)
{
    ae_bytes text = { 0 };
    const char *kept;

    if (d->status) return;
    ae_bytes_printf(&text, "%s=%s", key, value);
    kept = text.failed ? NULL : keep(d->a, text.data);
    ae_bytes_free(&text);
    if (!kept)
        d->status = no_memory(d->err);
    else if (d->n_settings == AE_MOST_SETTINGS)
        d->status = ae_stage_wrong(&d->a->pipeline, d->stage, d->err, "too many settings");
    else
        d->settings[d->n_settings++] = kept;
}

static void add_adapters(doing *d, const json_t *adapters)
{
    char *list = json_dumps(adapters, JSON_COMPACT);

    if (!list && !d->status) d->status = no_memory(d->err);
    if (list) add_setting(d, "adapters", list);
    free(list);
}

static bool is_there(const char *path)
{
    return ae_file_exists(path) || ae_file_is_folder(path);
}

/* The parent's model and adapters, then the stage's own settings. */
static void make_settings(doing *d)
{
    bool dry = d->a->dry;
    const char *key;
    json_t *value;

    if (d->from.model && !ae_stage_setting(d->stage, "model")) {
        bool there = !dry || is_there(d->from.model);
        const char *newest = newest_adapter(&d->from);
        add_setting(d, "model", there ? d->from.model : d->from.base);
        if (there && (!dry || !*newest || is_there(newest)))
            add_adapters(d, d->from.adapters);
        else
            add_setting(d, "adapters", "[]");
    }
    json_object_foreach(d->stage->settings, key, value)
    {
        const char *text = expand(d, json_string_value(value));
        if (text) add_setting(d, key, text);
    }
    /* A plan must not wait for a reward model that is still to be made. */
    if (dry && d->is_missing && ae_stage_setting(d->stage, "reward.model"))
        add_setting(d, "reward.source", "length");
    if (dry && d->is_missing && ae_stage_setting(d->stage, "reward.adapter"))
        add_setting(d, "reward.source", "length");
}

/* ---- keys ---- */

static int add_file(void *user, const char *role, const char *path)
{
    doing *d = user;
    char hash[65];

    if (strcmp(role, "adapter") == 0) json_array_append_new(d->adapters, json_string(path));
    d->status = ae_align_state_hash(&d->a->state, path, hash, d->err);
    if (!d->status) add_key(d, role, hash);
    return d->status != AERIE_OK;
}

/* The stage that made it, or the file's content. */
static aerie_status add_model(doing *d, const char *model)
{
    char *path = NULL, hash[65];
    aerie_status status = AERIE_OK;

    if (d->from.key && d->from.model && strcmp(d->from.model, model) == 0) {
        add_key(d, "from", d->from.key);
        return AERIE_OK;
    }
    if (d->a->train.places) status = aerie_find_model(d->a->train.places, model, &path, d->err);
    if (!status) status = ae_align_state_hash(&d->a->state, path ? path : model, hash, d->err);
    if (!status) add_key(d, "model", hash);
    aerie_free(path);
    return status;
}

static void end_key(doing *d)
{
    if (d->from.key) add_key(d, "after", d->from.key);
    ae_sha256_hex(&d->sha, d->a->keys[d->number]);
}

/* ---- done, or not ---- */

static aerie_status note(doing *d, const char *state, const char *output, json_t *facts)
{
    aligner *a = d->a;
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
static bool is_kept(doing *d, const char *output)
{
    const aligner *a = d->a;

    if (a->options->again || !ae_align_state_done(&a->state, d->stage->name, a->keys[d->number]))
        return false;
    tell_stage(d, AERIE_ALIGN_KEPT, output, "");
    note(d, "kept", output, NULL);
    return true;
}

static aerie_status begin(doing *d, const char *output)
{
    return ae_align_state_put(&d->a->state, d->stage->name, "running", d->a->keys[d->number],
                              output, NULL, d->err);
}

static void leave(doing *d, const char *model, const char *base, const json_t *adapters,
                  const char *and_adapter, const char *output)
{
    aligner *a = d->a;
    place *p = &a->places[d->number];

    *p = (place){ .model = keep(a, model),
                  .base = base ? keep(a, base) : NULL,
                  .adapters = adapters ? json_deep_copy(adapters) : json_array(),
                  .key = a->keys[d->number] };
    if (and_adapter) json_array_append_new(p->adapters, json_string(and_adapter));
    a->outputs[d->number] = output ? keep(a, output) : NULL;
    if (!p->model || !p->adapters) d->status = no_memory(d->err);
}

/* ---- training ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *facts_of(const aerie_train_summary *s)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:b, s:I, s:o}", "steps",
                     (json_int_t)s->n_done, "first_loss", number(s->first_loss), "last_loss",
                     number(s->last_loss), "eval_loss", number(s->eval_loss), "eval_reward",
                     number(s->eval_reward), "best_step", (json_int_t)s->best_step, "ended_early",
                     (int)s->ended_early, "tokens", (json_int_t)s->tokens, "seconds",
                     number(s->seconds));
}

static void describe(const aerie_train_summary *s, char *out, size_t size)
{
    int n = snprintf(out, size, "%lld steps, loss %.4f -> %.4f", (long long)s->n_done,
                     s->first_loss, s->last_loss);

    if (!isnan(s->eval_loss))
        n += snprintf(out + n, size - (size_t)n, ", evaluation loss %.4f", s->eval_loss);
    if (!isnan(s->eval_reward))
        snprintf(out + n, size - (size_t)n, ", evaluation reward %.4f", s->eval_reward);
}

static aerie_status plan(doing *d, const aerie_recipe_facts *facts, aerie_train_summary *s)
{
    aerie_train_options o = d->a->train;
    aerie_error why = { 0 };
    aerie_status status;

    if (d->a->looks) return AERIE_OK;
    o.settings = d->settings;
    o.n_settings = d->n_settings;
    o.dry_run = true;
    o.resume = false;
    status = aerie_train(d->stage->recipe, &o, s, &why);
    if (status == AERIE_NOT_FOUND && d->number > 0) {
        ae_bytes text = { 0 };
        ae_bytes_printf(&text, "cannot be planned before what it needs is there: %s\n",
                        why.message);
        tell_stage(d, AERIE_ALIGN_PLANNED, facts->output, text.data);
        ae_bytes_free(&text);
        return AERIE_OK;
    }
    if (status) return aerie_fail(d->err, status, "%s", why.message);
    tell_stage(d, AERIE_ALIGN_PLANNED, facts->output, s->plan);
    json_array_append_new(json_object_get(d->a->report, "stages"),
                          json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "name", d->stage->name,
                                    "kind", "train", "state", "planned", "output", facts->output,
                                    "steps", (json_int_t)s->n_steps, "memory_bytes",
                                    (json_int_t)s->memory_bytes));
    return AERIE_OK;
}

static aerie_status run_training(doing *d, const aerie_recipe_facts *facts, aerie_train_summary *s)
{
    aligner *a = d->a;
    aerie_train_options o = a->train;
    ae_bytes checkpoint = { 0 };
    char text[256];
    aerie_status status;

    ae_bytes_printf(&checkpoint, "%s.checkpoint", facts->output);
    o.settings = d->settings;
    o.n_settings = d->n_settings;
    o.dry_run = false;
    o.resume = ae_align_state_begun(&a->state, d->stage->name, a->keys[d->number]) &&
               checkpoint.data && ae_file_exists(checkpoint.data);
    ae_bytes_free(&checkpoint);
    tell_stage(d, o.resume ? AERIE_ALIGN_RESUMES : AERIE_ALIGN_BEGINS, facts->output, "");
    status = begin(d, facts->output);
    if (!status) status = aerie_train(d->stage->recipe, &o, s, d->err);
    if (!status) status = note(d, "done", facts->output, facts_of(s));
    if (status) return status;
    describe(s, text, sizeof text);
    tell_stage(d, AERIE_ALIGN_DONE, facts->output, text);
    return AERIE_OK;
}

/* The settings and files of a recipe into the key; in a dry run data may still be missing. */
static aerie_status look(doing *d, aerie_recipe_facts *facts)
{
    bool dry = d->a->dry;
    aerie_status status = aerie_recipe_look(d->stage->recipe, d->settings, d->n_settings, facts,
                                            dry ? NULL : add_file, d, d->err);

    if (d->status) return d->status;
    if (status || dry) return status;
    add_key(d, "recipe", facts->hash);
    add_key(d, "output", facts->output);
    return add_model(d, facts->model);
}

static aerie_status do_training(doing *d)
{
    aerie_train_summary summary = { 0 };
    aerie_recipe_facts facts;
    aerie_status status;

    make_settings(d);
    if (d->status) return d->status;
    status = look(d, &facts);
    if (status) return status;
    end_key(d);
    if (d->a->dry)
        status = plan(d, &facts, &summary);
    else if (!is_kept(d, facts.output))
        status = run_training(d, &facts, &summary);
    if (status) return status;
    const json_t *beneath = d->a->dry ? d->from.adapters : d->adapters;
    leave(d, facts.adapter ? facts.model : facts.output,
          d->a->dry || !d->from.base ? facts.model : d->from.base, facts.adapter ? beneath : NULL,
          facts.adapter ? facts.output : NULL, facts.output);
    return d->status;
}

/* ---- between trainings ---- */

static bool go_on(void *user, double part, const aerie_quantized_tensor *tensor)
{
    const aligner *a = user;
    const aerie_train_progress within = { .phase = AERIE_TRAIN_WITHIN };

    (void)part, (void)tensor;
    return !a->train.progress || a->train.progress(a->train.user, &within) == 0;
}

static aerie_status need_model(const doing *d)
{
    if (d->from.model) return AERIE_OK;
    return ae_stage_wrong(&d->a->pipeline, d->stage, d->err,
                          "there is no model yet: a training stage comes first");
}

static aerie_status merge(doing *d, const char *output, const char *type, const char *imatrix)
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
                              .progress = go_on,
                              .user = d->a };
    status = aerie_find_model(d->a->train.places, d->from.model, &path, d->err);
    if (!status) status = aerie_merge(path, output, &o, &s, d->err);
    aerie_free(path);
    if (status) return status;
    snprintf(text, sizeof text, "%.2f bits a weight, KL %.3g from the model under its adapters",
             s.file.bits_per_weight, s.kl_mean);
    tell_stage(d, AERIE_ALIGN_DONE, output, text);
    return note(d, "done", output,
                json_pack("{s:I, s:f, s:o, s:o}", "bytes", (json_int_t)s.file.bytes,
                          "bits_per_weight", s.file.bits_per_weight, "kl_mean", number(s.kl_mean),
                          "kl_max", number(s.kl_max)));
}

static aerie_status quantize(doing *d, const char *output, const char *type, const char *imatrix)
{
    aerie_quantize_options o = {
        .imatrix = imatrix, .threads = d->a->train.threads, .progress = go_on, .user = d->a
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
    tell_stage(d, AERIE_ALIGN_DONE, output, text);
    return note(d, "done", output,
                json_pack("{s:I, s:f}", "bytes", (json_int_t)s.bytes, "bits_per_weight",
                          s.bits_per_weight));
}

static aerie_status do_file(doing *d)
{
    bool merges = d->stage->kind == AE_STAGE_MERGE;
    const char *output = setting(d, "output"), *type = setting(d, "type"),
               *imatrix = setting(d, "imatrix");
    size_t n = json_array_size(d->from.adapters);
    aerie_status status = d->status ? d->status : need_model(d);

    if (status) return status;
    if (merges != (n > 0))
        return ae_stage_wrong(
            &d->a->pipeline, d->stage, d->err,
            merges ? "there is no adapter to merge: what it starts from is a whole model"
                   : "what it starts from is an adapter; merge it, which can quantize too: 'merge: "
                     "{type: ...}'");
    add_key(d, merges ? "merge" : "quantize", type ? type : "");
    add_key(d, "output", output);
    if (imatrix) add_file(d, "imatrix", imatrix);
    if (!d->status && !d->a->dry) d->status = add_model(d, d->from.model);
    if (d->status) return d->status;
    end_key(d);
    if (d->a->dry)
        tell_stage(d, AERIE_ALIGN_PLANNED, output, type ? type : "F16");
    else if (!is_kept(d, output)) {
        tell_stage(d, AERIE_ALIGN_BEGINS, output, "");
        status = begin(d, output);
        if (!status)
            status = merges ? merge(d, output, type, imatrix) : quantize(d, output, type, imatrix);
    }
    if (!status) leave(d, output, d->from.base, NULL, NULL, output);
    return status ? status : d->status;
}

/* "[a, b]", a JSON list as the reader wrote it, or one path. */
static void add_inputs(doing *d, const char *inputs)
{
    json_t *list = *inputs == '[' ? json_loads(inputs, 0, NULL) : NULL, *item;
    size_t i;

    if (!list) add_file(d, "input", inputs);
    json_array_foreach(list, i, item) if (!d->status && json_string_value(item))
    {
        const char *path = expand(d, json_string_value(item));
        if (path) add_file(d, "input", path);
    }
    json_decref(list);
}

static aerie_status need_commands(const doing *d)
{
    if (d->a->options->command) return AERIE_OK;
    return ae_stage_wrong(&d->a->pipeline, d->stage, d->err,
                          "this program runs no commands for a pipeline");
}

static aerie_status run_command(doing *d, const char *run, const char *output)
{
    aerie_status status;

    tell_stage(d, AERIE_ALIGN_BEGINS, output, run);
    status = begin(d, output ? output : "");
    if (!status) status = d->a->options->command(d->a->options->user, run, NULL, d->err);
    if (!status && output && !is_there(output))
        status = aerie_fail(d->err, AERIE_NOT_FOUND,
                            "'%.100s' has ended, and its output %s is not there", run, output);
    if (!status) status = note(d, "done", output ? output : "", NULL);
    if (!status) tell_stage(d, AERIE_ALIGN_DONE, output, "");
    return status;
}

static aerie_status do_command(doing *d)
{
    const char *run = setting(d, "run"), *output = setting(d, "output"),
               *inputs = setting(d, "inputs");
    aerie_status status = d->status ? d->status : need_commands(d);

    if (status) return status;
    add_key(d, "command", run);
    if (inputs && !d->a->dry) add_inputs(d, inputs);
    if (d->status) return d->status;
    end_key(d);
    if (d->a->dry)
        tell_stage(d, AERIE_ALIGN_PLANNED, output, run);
    else if (!is_kept(d, output ? output : ""))
        status = run_command(d, run, output);
    if (status) return status;
    /* The model is what it was, and what follows depends on this. */
    d->a->places[d->number] = d->from;
    d->a->places[d->number].adapters = json_deep_copy(d->from.adapters);
    d->a->places[d->number].key = d->a->keys[d->number];
    d->a->outputs[d->number] = output;
    return AERIE_OK;
}

static aerie_status do_stage(aligner *a, int number, aerie_error *err)
{
    const ae_stage *s = &a->pipeline.stages[number];
    doing d = { .a = a,
                .stage = s,
                .number = number,
                .from = place_before(a, s, number),
                .adapters = json_array(),
                .err = err };
    aerie_status status;

    ae_sha256_start(&d.sha);
    add_key(&d, "stage", ae_stage_kind_name(s->kind));
    switch (s->kind) {
    case AE_STAGE_TRAIN:
        status = do_training(&d);
        break;
    case AE_STAGE_COMMAND:
        status = do_command(&d);
        break;
    default:
        status = do_file(&d);
        break;
    }
    json_decref(d.adapters);
    if (status) aerie_error_prefix(err, "stage %s", s->name);
    return status;
}

/* ---- evaluations ---- */

static aerie_status open_model(doing *d, const char *model, const json_t *adapters,
                               aerie_model **out)
{
    const char *list[AE_MOST_STAGES + 8];
    size_t n = json_array_size(adapters);
    aerie_status status;
    char *path = NULL;

    for (size_t i = 0; i < n && i < AE_COUNT(list); i++)
        list[i] = json_string_value(json_array_get(adapters, i));
    aerie_model_options o = { .threads = d->a->train.threads,
                              .cpu = d->a->train.cpu,
                              .adapters = list,
                              .n_adapters = (int)n,
                              .any_base = d->a->train.any_base };
    status = aerie_find_model(d->a->train.places, model, &path, d->err);
    if (!status) status = aerie_model_open(out, path, &o, d->err);
    aerie_free(path);
    return status;
}

static int64_t count_of(const char *text)
{
    return text ? strtoll(text, NULL, 10) : 0;
}

static bool on_row(void *user, const aerie_scored *row)
{
    (void)row;
    return go_on(user, 0, NULL);
}

static aerie_status evaluate_score(doing *d, json_t **out)
{
    const char *model = setting(d, "model"), *data = setting(d, "data");
    aerie_score_options o = { .limit = count_of(ae_stage_setting(d->stage, "limit")),
                              .max_length = count_of(ae_stage_setting(d->stage, "max_length")) };
    aerie_score_result r = { 0 };
    aerie_model *m = NULL;
    aerie_status status = d->status;

    if (!status) status = open_model(d, model, NULL, &m);
    if (!status) status = aerie_score(m, data, &o, on_row, d->a, &r, d->err);
    aerie_model_close(m);
    if (status) return status;
    *out =
        json_pack("{s:I, s:o, s:I, s:o}", "responses", (json_int_t)r.n_responses, "mean",
                  number(r.mean), "pairs", (json_int_t)r.n_pairs, "accuracy", number(r.accuracy));
    return AERIE_OK;
}

static aerie_status evaluate_perplexity(doing *d, json_t **out)
{
    const char *model = setting(d, "model"), *file = setting(d, "file");
    aerie_perplexity_result r = { 0 };
    aerie_model *m = NULL;
    ae_bytes text = { 0 };
    aerie_status status = d->status;

    if (!status && !model) status = need_model(d);
    if (!status) status = ae_file_read(&text, file, 0, d->err);
    if (!status)
        status = model ? open_model(d, model, NULL, &m)
                       : open_model(d, d->from.model, d->from.adapters, &m);
    if (!status)
        status =
            aerie_perplexity(m, text.data ? text.data : "", text.len,
                             count_of(ae_stage_setting(d->stage, "ctx")), NULL, NULL, &r, d->err);
    aerie_model_close(m);
    ae_bytes_free(&text);
    if (status) return status;
    *out = json_pack("{s:f, s:f, s:I}", "ppl", r.ppl, "nll", r.nll, "tokens", (json_int_t)r.tokens);
    return AERIE_OK;
}

/* What it prints is JSON, or kept as a text. */
static aerie_status evaluate_command(doing *d, json_t **out)
{
    const char *run = setting(d, "run");
    aerie_status status = d->status ? d->status : need_commands(d);
    char *printed = NULL;

    if (!status) status = d->a->options->command(d->a->options->user, run, &printed, d->err);
    if (!status) {
        *out = json_loads(printed ? printed : "", JSON_DECODE_ANY, NULL);
        if (!*out) *out = json_string(printed ? printed : "");
    }
    aerie_free(printed);
    return status;
}

static aerie_status evaluate(aligner *a, int i, aerie_error *err)
{
    const ae_stage *s = &a->pipeline.evaluations[i];
    doing d = { .a = a, .stage = s, .number = a->pipeline.n_stages, .err = err };
    json_t *numbers = NULL;
    aerie_status status;
    char *text;

    d.from = place_before(a, s, a->pipeline.n_stages);
    ae_sha256_start(&d.sha);
    status = s->kind == AE_STAGE_SCORE        ? evaluate_score(&d, &numbers)
             : s->kind == AE_STAGE_PERPLEXITY ? evaluate_perplexity(&d, &numbers)
                                              : evaluate_command(&d, &numbers);
    if (status) {
        aerie_error_prefix(err, "evaluation %s", s->name);
        return status;
    }
    text = json_dumps(numbers, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    tell(a, s, i, a->pipeline.n_evaluations, AERIE_ALIGN_EVALUATED, "", text);
    free(text);
    json_array_append_new(json_object_get(a->report, "evaluations"),
                          json_pack("{s:s, s:s, s:o}", "name", s->name, "kind",
                                    ae_stage_kind_name(s->kind), "result", numbers));
    return AERIE_OK;
}

/* ---- the whole ---- */

static aerie_status do_stages(aligner *a, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int i = 0; i < a->pipeline.n_stages && !status; i++) status = do_stage(a, i, err);
    return status;
}

static void forget_places(aligner *a)
{
    for (int i = 0; i < AE_MOST_STAGES; i++) json_decref(a->places[i].adapters);
    memset(a->places, 0, sizeof a->places);
}

/* What an evaluation reads, where no stage makes it. */
static aerie_status look_at_evaluations(const aligner *a, aerie_error *err)
{
    static const char *const keys[] = { "file", "data" };

    for (int i = 0; i < a->pipeline.n_evaluations; i++)
        for (size_t k = 0; k < AE_COUNT(keys); k++) {
            const ae_stage *s = &a->pipeline.evaluations[i];
            const char *path = ae_stage_setting(s, keys[k]);
            if (path && !strstr(path, "${") && !is_there(path))
                return aerie_fail(err, AERIE_NOT_FOUND,
                                  "evaluation %s: %s: there is no such file, and it is wanted in "
                                  "the end",
                                  s->name, path);
        }
    return AERIE_OK;
}

/* Slips are found before the first stage has run for hours. */
static aerie_status run(aligner *a, aerie_error *err)
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
        status = evaluate(a, i, err);
    return status;
}

static aerie_status give_report(const aligner *a, char **report, aerie_error *err)
{
    char *text = json_dumps(a->report, JSON_REAL_PRECISION(9));

    *report = text ? ae_strdup(text) : NULL;
    free(text);
    return *report ? AERIE_OK : no_memory(err);
}

aerie_status aerie_align(const char *path, const aerie_align_options *options, char **report,
                         aerie_error *err)
{
    static const aerie_align_options none;
    static const aerie_places no_places;
    aligner *a = ae_alloc(1, sizeof *a);
    aerie_status status;

    if (report) *report = NULL;
    if (!a) return no_memory(err);
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
        status = a->report ? run(a, err) : no_memory(err);
    }
    if (!status && report) status = give_report(a, report, err);
    forget_places(a);
    json_decref(a->report);
    ae_align_state_close(&a->state);
    ae_pipeline_free(&a->pipeline);
    ae_free(a);
    return status;
}
