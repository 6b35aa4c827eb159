/* adapter.c -- adapters over the model of an engine that is open: their numbers are their own, the
 * weights beneath are shared. */
#include "api/live.h"

static aerie_status check_engine(const aerie_engine *e, int n, aerie_error *err)
{
    if (n < 1) return aerie_fail(err, AERIE_BAD_ARGUMENT, "there is no adapter to open");
    if (e->model->n_adapters == 0) return AERIE_OK;
    return aerie_fail(err, AERIE_UNSUPPORTED,
                      "%s was opened with adapters of its own; open it without, and give all of "
                      "them here",
                      ae_model_path(e->model->model));
}

/* A device of its own: the model's is the engine's thread's. The numbers do not depend on it. */
static aerie_status make_norms(aerie_adapter *a, aerie_error *err)
{
    const aerie_model *m = a->engine->model;
    ae_device *device = NULL;
    aerie_status status = ae_device_open(&device, m->cpu, 1, err);
    for (int i = 0; i < a->n && !status; i++)
        status = ae_adapter_norms(a->list[i], m->model, device, false, err);
    if (device) device->close(device);
    return status;
}

static aerie_status open_list(aerie_adapter *a, const char *const *specs, int n, bool any_base,
                              aerie_error *err)
{
    const ae_model *model = a->engine->model->model;
    a->list = ae_alloc((size_t)n, sizeof *a->list);
    if (!a->list) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for adapters");
    aerie_status status = ae_adapters_open(a->list, specs, n, model, any_base, err);
    if (status) return status;
    a->n = n;
    status = make_norms(a, err);
    /* Whose model an adapter is of may have taken the hash of all weights. */
    ae_model_forget(model);
    return status ? status : ae_net_with_adapters(&a->net, &a->arena, model, a->list, n, err);
}

static uint64_t bytes_of(const ae_adapter *a)
{
    int64_t n = ae_adapter_params(a, NULL, 0);
    ae_named_param *params = ae_alloc((size_t)n, sizeof *params);
    uint64_t bytes = 0;
    if (params) ae_adapter_params(a, params, n);
    for (int64_t i = 0; params && i < n; i++)
        bytes += (uint64_t)(params[i].tensor->rows * params[i].tensor->cols) * sizeof(float);
    ae_free(params);
    return bytes;
}

aerie_status aerie_adapter_open(aerie_adapter **out, aerie_engine *e, const char *const *specs,
                                int n, bool any_base, aerie_error *err)
{
    *out = NULL;
    aerie_status status = check_engine(e, n, err);
    if (status) return status;
    aerie_adapter *a = ae_alloc(1, sizeof *a);
    if (!a) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for an adapter");
    a->engine = e;
    status = open_list(a, specs, n, any_base, err);
    if (status) {
        aerie_adapter_close(a);
        return status;
    }
    for (int i = 0; i < n; i++) a->bytes += bytes_of(a->list[i]);
    ae_monitor_enter(&e->monitor);
    a->net_id = ++e->n_adapters;
    ae_monitor_leave(&e->monitor);
    *out = a;
    return AERIE_OK;
}

void aerie_adapter_close(aerie_adapter *a)
{
    if (!a) return;
    for (int i = 0; i < a->n; i++) ae_adapter_close(a->list[i]);
    ae_free(a->list);
    ae_arena_free(&a->arena);
    ae_free(a);
}

uint64_t aerie_adapter_bytes(const aerie_adapter *a)
{
    return a->bytes;
}
