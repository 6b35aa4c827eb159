/* host_load.c -- a model of a host: its description, its memory, opening and closing it. */
#include "api/host.h"

#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory to note one more model");
}

static bool copy_text(ae_arena *arena, const char **text)
{
    if (*text) *text = ae_arena_strndup(arena, *text, strlen(*text));
    return *text;
}

static bool copy_adapters(ae_arena *arena, aerie_model_options *o)
{
    const char **copies = ae_arena_take(arena, (size_t)o->n_adapters, sizeof *copies);
    for (int i = 0; copies && i < o->n_adapters; i++) {
        copies[i] = o->adapters[i];
        if (!copy_text(arena, &copies[i])) return false;
    }
    o->adapters = copies;
    return copies;
}

aerie_status ae_host_describe(host_place *p, const aerie_place *what, aerie_error *err)
{
    if (!what->name || !what->path || what->model.n_adapters < 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "a model needs a name and a path");
    p->what = *what;
    if (!p->what.key) p->what.key = p->what.name;
    aerie_model_options *o = &p->what.model;
    bool ok = copy_text(&p->memory, &p->what.name) && copy_text(&p->memory, &p->what.key) &&
              (!p->what.base_key || copy_text(&p->memory, &p->what.base_key)) &&
              copy_text(&p->memory, &p->what.path) && copy_adapters(&p->memory, o) &&
              (!o->cpu || copy_text(&p->memory, &o->cpu)) &&
              (!o->kv || copy_text(&p->memory, &o->kv)) &&
              (!p->what.draft_path || copy_text(&p->memory, &p->what.draft_path));
    o->plan = NULL;
    o->on_load = NULL;
    o->user = NULL;
    p->what.engine.draft = NULL;
    return ok ? AERIE_OK : no_memory(err);
}

static aerie_memory_plan plan_of(const host_place *p)
{
    const aerie_engine_options *o = &p->what.engine;
    return (aerie_memory_plan){ .n_ctx = o->context,
                                .parallel = o->parallel > 0 ? o->parallel : 32,
                                .max_batch = o->max_batch,
                                .draft = p->what.draft_path };
}

/* Sequences that may not take their contexts whole take less than the plan says. */
static uint64_t cache_bytes(const aerie_memory_need *need, const aerie_engine_options *o)
{
    double most = (double)need->plan.n_ctx * (double)need->plan.parallel;
    double share = o->cache_tokens > 0 ? (double)o->cache_tokens / most : 1;
    return share < 1 ? (uint64_t)(share * (double)need->cache_bytes) : need->cache_bytes;
}

aerie_status ae_host_describe_base(host_place **out, const host_place *over, aerie_error *err)
{
    aerie_place what = over->what;
    what.key = what.base_key;
    what.base_key = NULL;
    what.model.n_adapters = 0;
    host_place *p = *out = ae_alloc(1, sizeof *p);
    if (!p) return no_memory(err);
    aerie_status status = ae_host_describe(p, &what, err);
    p->is_beneath = true;
    if (!status) return AERIE_OK;
    ae_host_free_place(p);
    *out = NULL;
    return status;
}

static uint64_t file_bytes(const char *path)
{
    ae_file file = { 0 };
    uint64_t bytes = ae_file_open(&file, path, NULL) ? 0 : file.size;
    ae_file_close(&file);
    return bytes;
}

/* Of "FILE" or "FILE=SCALE"; one that is not there is told of when it is to be opened. */
static uint64_t adapter_file_bytes(const char *spec)
{
    const char *scale = strrchr(spec, '=');
    size_t len = scale ? (size_t)(scale - spec) : strlen(spec);
    char *path = ae_strndup(spec, len), *inside = NULL;
    if (path && ae_file_is_folder(path)) inside = ae_path_join(path, "adapter_model.safetensors");
    uint64_t bytes = path ? file_bytes(inside ? inside : path) : 0;
    ae_free(inside);
    ae_free(path);
    return bytes;
}

/* Numbers of 16 bits become float32, and a pass holds what an adapter adds to its widest product.
 */
static uint64_t adapter_bytes(const host_place *p)
{
    const ae_config *c = p->base->model->net.config;
    uint64_t rows = (uint64_t)(p->what.engine.max_batch > 0 ? p->what.engine.max_batch : 512);
    uint64_t widest = (uint64_t)ae_max64(c->intermediate_size, c->n_heads * c->head_dim);
    uint64_t bytes = p->what.model.n_adapters > 0 ? rows * widest * sizeof(float) : 1;
    for (int i = 0; i < p->what.model.n_adapters; i++)
        bytes += 2 * adapter_file_bytes(p->what.model.adapters[i]);
    return bytes;
}

aerie_status ae_host_predict(const host_place *p, uint64_t *bytes, aerie_error *err)
{
    if (p->base) {
        *bytes = adapter_bytes(p);
        return AERIE_OK;
    }
    const aerie_engine_options *o = &p->what.engine;
    aerie_memory_need need;
    aerie_memory_plan plan = plan_of(p);
    aerie_status status = aerie_model_memory(p->what.path, &p->what.model, &plan, &need, err);
    if (status) return status;
    double kept = (double)(o->prefix_tokens < 0   ? 0
                           : o->prefix_tokens > 0 ? o->prefix_tokens
                                                  : 4 * need.plan.n_ctx);
    double position = (double)need.cache_bytes / (double)(need.plan.n_ctx * need.plan.parallel);
    *bytes = need.weight_bytes + need.mapped_bytes + need.draft_bytes + need.scratch_bytes +
             cache_bytes(&need, o) + (uint64_t)(kept * position);
    return AERIE_OK;
}

aerie_status ae_host_load(host_place *p, aerie_load_fn *progress, void *user, aerie_error *err)
{
    double start = ae_clock_seconds();
    aerie_model_options with = p->what.model;
    aerie_engine_options engine = p->what.engine;
    aerie_status status = AERIE_OK;

    if (p->base) {
        p->model = p->base->model;
        p->engine = p->base->engine;
        if (with.n_adapters > 0)
            status = aerie_adapter_open(&p->adapter, p->engine, with.adapters, with.n_adapters,
                                        with.any_base, err);
        /* The first has waited for the base as well. */
        p->load_seconds = ae_clock_seconds() - start + (p->base->used ? 0 : p->base->load_seconds);
        return status;
    }
    with.on_load = progress;
    with.user = user;
    if (p->what.draft_path) {
        aerie_model_options plain = { .threads = with.threads, .cpu = with.cpu, .kv = with.kv };
        status = aerie_model_open(&p->draft, p->what.draft_path, &plain, err);
    }
    if (!status) status = aerie_model_open(&p->model, p->what.path, &with, err);
    engine.draft = p->draft;
    if (!status) status = aerie_engine_open(&p->engine, p->model, &engine, err);
    p->load_seconds = ae_clock_seconds() - start;
    return status;
}

void ae_host_unload(host_place *p)
{
    aerie_adapter_close(p->adapter);
    if (!p->base) {
        aerie_engine_close(p->engine);
        aerie_model_close(p->model);
        aerie_model_close(p->draft);
    }
    p->adapter = NULL;
    p->engine = NULL;
    p->model = p->draft = NULL;
}

void ae_host_free_place(host_place *p)
{
    if (!p) return;
    ae_arena_free(&p->memory);
    ae_free(p);
}
