/* train.c -- the public face of training: from a recipe's path to a trained file. */
#include "train/train.h"

#include "api/train_judge.h"

#include <stdio.h>

/* What a recipe opens. */
typedef struct {
    ae_recipe recipe;
    ae_device *device;
    ae_model *model;
    char *model_path; /* found by name; aerie_free */
    char *template_source;
    ae_recipe_samples data, eval;
    ae_source instead; /* of the recipe's data */
} opened;

static const aerie_train_options no_options;

static void close_all(opened *o)
{
    ae_recipe_samples_free(&o->data);
    ae_recipe_samples_free(&o->eval);
    ae_free(o->template_source);
    ae_model_close(o->model);
    ae_free(o->model_path);
    if (o->device) o->device->close(o->device);
    ae_recipe_free(&o->recipe);
}

static aerie_status open_model(opened *o, const aerie_train_options *options, aerie_error *err)
{
    const ae_recipe *r = &o->recipe;
    const char *path = r->model;
    aerie_status status = AERIE_OK;

    if (r->model_config) return ae_model_random(&o->model, r->model_config, (uint64_t)r->seed, err);
    if (options->places) {
        status = aerie_find_model(options->places, r->model, &o->model_path, err);
        path = o->model_path;
    }
    return status ? status : ae_model_open(&o->model, path, err);
}

static aerie_status open_device(opened *o, const aerie_train_options *options, aerie_error *err)
{
    int threads = options->threads > 0 ? options->threads : (int)o->recipe.threads;
    ae_cpu_choice cpu;
    aerie_status status = ae_cpu_choice_parse(&cpu, options->cpu ? options->cpu : "auto", err);

    return status ? status : ae_device_open(&o->device, cpu, threads, err);
}

/* Recipe, device, model and template; `data_path` stands in for the recipe's own data. */
static aerie_status open_recipe(opened *o, const char *recipe_path,
                                const aerie_train_options *options, const char *data_path,
                                aerie_error *err)
{
    aerie_status status;

    status = ae_recipe_load(&o->recipe, recipe_path, options->settings, options->n_settings, err);
    if (status) return status;
    if (data_path) {
        o->instead = o->recipe.data.items[0]; /* for its columns */
        o->instead.path = data_path;
        o->recipe.data = (ae_sources){ &o->instead, 1 };
    }
    status = open_device(o, options, err);
    if (!status) status = open_model(o, options, err);
    if (!status) status = ae_recipe_load_in(&o->recipe, o->model, o->device, err);
    if (!status) status = ae_recipe_template(&o->template_source, &o->recipe, o->model, err);
    return status;
}

static aerie_status open_all(opened *o, const char *recipe_path, const aerie_train_options *options,
                             const char *data_path, aerie_error *err)
{
    aerie_status status = open_recipe(o, recipe_path, options, data_path, err);

    if (!status)
        status = ae_recipe_read(&o->data, &o->recipe, &o->recipe.data, o->model, o->template_source,
                                err);
    if (!status && !data_path && o->recipe.eval_data.n > 0)
        status = ae_recipe_read(&o->eval, &o->recipe, &o->recipe.eval_data, o->model,
                                o->template_source, err);
    return status;
}

aerie_status aerie_lint(const char *recipe_path, const aerie_train_options *options,
                        aerie_lint_fn *show, void *user, aerie_lint_summary *summary,
                        aerie_error *err)
{
    aerie_lint_summary unwanted;
    opened o = { 0 };
    aerie_status status = open_recipe(&o, recipe_path, options ? options : &no_options, NULL, err);

    if (!status)
        status = ae_lint(&o.recipe, o.device, o.model, o.template_source, show, user,
                         summary ? summary : &unwanted, err);
    close_all(&o);
    return status;
}

aerie_status aerie_train(const char *recipe_path, const aerie_train_options *options,
                         aerie_train_summary *summary, aerie_error *err)
{
    const aerie_train_options *with = options ? options : &no_options;
    ae_train_run run = { .resume = with->resume,
                         .dry_run = with->dry_run,
                         .any_base = with->any_base,
                         .progress = with->progress,
                         .user = with->user,
                         .reward = with->reward,
                         .reward_user = with->reward_user,
                         .runs = with->runs };
    aerie_train_summary unwanted;
    opened o = { 0 };
    ae_train_judge judge = { .recipe = &o.recipe,
                             .key = with->judge_key,
                             .progress = with->progress,
                             .user = with->user };
    aerie_status status;

    run.judge = ae_train_judge_score;
    run.judge_user = &judge;
    if (with->progress)
        with->progress(with->user, &(aerie_train_progress){ .phase = AERIE_TRAIN_READING });
    status = open_all(&o, recipe_path, with, NULL, err);
    if (!status) status = ae_model_check_scales(o.model, err);
    if (!status) {
        if (o.recipe.template_name) run.template_source = o.template_source;
        status = ae_train(&o.recipe, o.device, o.model, &o.data.all,
                          o.eval.all.n > 0 ? &o.eval.all : NULL, &run,
                          summary ? summary : &unwanted, err);
    }
    ae_train_judge_close(&judge);
    close_all(&o);
    return status;
}

/* Where samples are shown. */
typedef struct {
    const ae_tokenizer *tokenizer;
    aerie_train_sample_fn *show;
    void *user;
} viewer;

/* A run of a sample's tokens. *stop: the caller has seen enough. */
static aerie_status show_run(const viewer *v, int64_t index, const char *part, const ae_sample *s,
                             int32_t first, int32_t n, bool *stop, aerie_error *err)
{
    aerie_train_token *tokens = ae_alloc((size_t)n, sizeof *tokens);
    size_t *begin = ae_alloc((size_t)n + 1, sizeof *begin);
    aerie_status status = AERIE_OK;
    ae_bytes text = { 0 };

    for (int32_t i = 0; tokens && begin && i < n; i++) {
        ae_tokenizer_token_bytes(v->tokenizer, s->ids[first + i], true, &text);
        begin[i + 1] = text.len;
    }
    if (!tokens || !begin || text.failed) {
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory to show a sample of %d tokens", n);
        goto done;
    }
    for (int32_t i = 0; i < n; i++)
        tokens[i] = (aerie_train_token){ .id = s->ids[first + i],
                                         .weight = s->weight[first + i],
                                         .text = text.data ? text.data + begin[i] : "",
                                         .text_len = begin[i + 1] - begin[i] };
    *stop = v->show(v->user, index, part, tokens, n) != 0;
done:
    ae_free(tokens);
    ae_free(begin);
    ae_bytes_free(&text);
    return status;
}

static aerie_status show_ranked(const viewer *v, int64_t index, const ae_sample *s, bool *stop,
                                aerie_error *err)
{
    aerie_status status = show_run(v, index, "prompt", s, 0, s->n_prompt, stop, err);
    int32_t at = s->n_prompt;
    char part[32];

    for (int32_t k = 0; k < s->n_replies && !status && !*stop; at += s->reply_n[k++]) {
        snprintf(part, sizeof part, "rank %g", (double)s->rank[k]);
        status = show_run(v, index, part, s, at, s->reply_n[k], stop, err);
    }
    return status;
}

static aerie_status show_sample(const viewer *v, int64_t i, const ae_sample *s, bool *stop,
                                aerie_error *err)
{
    aerie_status status;

    bool pair = s->kind == AE_EXAMPLE_PAIR;
    const char *reply = pair ? "chosen" : s->undesirable ? "unwanted" : "wanted";

    if (s->kind == AE_EXAMPLE_RANKED) return show_ranked(v, i, s, stop, err);
    if (!pair && s->kind != AE_EXAMPLE_UNPAIRED)
        return show_run(v, i, s->kind == AE_EXAMPLE_PROMPT ? "prompt" : "sample", s, 0, s->n, stop,
                        err);
    status = show_run(v, i, "prompt", s, 0, s->n_prompt, stop, err);
    if (!status && !*stop) status = show_run(v, i, reply, s, s->n_prompt, s->n_chosen, stop, err);
    if (!status && !*stop && pair)
        status = show_run(v, i, "rejected", s, s->n_prompt + s->n_chosen, s->n_rejected, stop, err);
    return status;
}

aerie_status aerie_train_samples(const char *recipe_path, const aerie_train_options *options,
                                 const char *data_path, int64_t limit, aerie_train_sample_fn *show,
                                 void *user, aerie_error *err)
{
    opened o = { 0 };
    aerie_status status =
        open_all(&o, recipe_path, options ? options : &no_options, data_path, err);
    int64_t n = (int64_t)o.data.all.n;
    bool stop = false;

    if (limit > 0 && limit < n) n = limit;
    for (int64_t i = 0; i < n && !status && !stop; i++) {
        viewer v = { ae_model_tokenizer(o.model), show, user };
        status = show_sample(&v, i, &o.data.all.items[i], &stop, err);
    }
    close_all(&o);
    return status;
}

/* ---- a recipe, looked at ---- */

typedef struct {
    aerie_recipe_file_fn *file;
    void *user;
} asker;

static aerie_status ask(const asker *a, const char *role, const char *path, aerie_error *err)
{
    if (!path || a->file(a->user, role, path) == 0) return AERIE_OK;
    return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
}

static aerie_status ask_sources(const asker *a, const char *role, const ae_sources *sources,
                                aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ae_arena arena = { 0 };

    for (int64_t i = 0; i < sources->n && !status; i++) {
        const char **paths = NULL;
        size_t n = 0;
        status = ae_files_of(&paths, &n, sources->items[i].path, &arena, err);
        for (size_t k = 0; k < n && !status; k++) {
            if (!ae_file_exists(paths[k]))
                status = aerie_fail(err, AERIE_NOT_FOUND, "%s: there is no such file", paths[k]);
            if (!status) status = ask(a, role, paths[k], err);
        }
    }
    ae_arena_free(&arena);
    return status;
}

static aerie_status ask_files(const asker *a, const ae_recipe *r, aerie_error *err)
{
    aerie_status status = ask_sources(a, "data", &r->data, err);

    if (!status) status = ask_sources(a, "eval_data", &r->eval_data, err);
    for (int64_t i = 0; i < r->adapters.n && !status; i++)
        status = ask(a, "adapter", r->adapters.items[i], err);
    if (!status) status = ask(a, "reward", r->online.model, err);
    return status ? status : ask(a, "reward", r->online.adapter, err);
}

/* The identity's keys, and those of the output's form. */
static aerie_status hash_of(char out[65], const ae_recipe *r, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status;
    ae_sha256 sha;

    ae_recipe_print(r, true, &text);
    ae_bytes_printf(&text, "written as %d, %d; best %d\n", r->output_type, r->lora_format,
                    r->keep_best || r->patience > 0 ? (int)r->eval_steps : 0);
    status = ae_bytes_status(&text, err);
    if (!status) {
        ae_sha256_start(&sha);
        ae_sha256_add(&sha, text.data, text.len);
        ae_sha256_hex(&sha, out);
    }
    ae_bytes_free(&text);
    return status;
}

aerie_status aerie_recipe_look(const char *recipe_path, const char *const *settings,
                               size_t n_settings, aerie_recipe_facts *out,
                               aerie_recipe_file_fn *file, void *user, aerie_error *err)
{
    asker a = { file, user };
    ae_recipe r = { 0 };
    aerie_status status = ae_recipe_load(&r, recipe_path, settings, n_settings, err);

    *out = (aerie_recipe_facts){ 0 };
    if (status) return status;
    snprintf(out->method, sizeof out->method, "%s", ae_recipe_method(&r));
    snprintf(out->model, sizeof out->model, "%s", r.model ? r.model : r.model_config);
    snprintf(out->output, sizeof out->output, "%s", r.output);
    out->adapter = r.lora_r > 0;
    status = hash_of(out->hash, &r, err);
    if (!status && file) status = ask_files(&a, &r, err);
    ae_recipe_free(&r);
    return status;
}
