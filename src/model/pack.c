/* pack.c -- weights laid out for a device's products, once, when a model is opened for inference.
 *
 * The packed weights lie in one block beside the mapped file. As each is made, the pages of its
 * source are given back, so that a model is never held twice. */
#include "model/model_private.h"

#include <math.h>

/* A matrix that a product reads: a projection, or the head (a tied one is the embedding). */
static bool is_product(const ae_model *m, const ae_param_site *site)
{
    return site->param->projection >= 0 || site->tensor == m->net.head;
}

/* Bytes of one weight's packed form with the gap that keeps the next one aligned; 0: none. */
static size_t packed_room(const ae_model *m, const ae_device *device, const ae_param_site *site)
{
    enum { ALIGNMENT = 64 };
    const ae_tensor *t = site->tensor;
    size_t bytes = is_product(m, site) && !t->grad
                       ? device->packed_bytes(device, t->dtype, t->rows, t->cols)
                       : 0;

    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t ae_model_packed_bytes(const ae_model *m, const ae_device *device)
{
    size_t sum = 0;

    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        sum += packed_room(m, device, &site);
    }
    return sum;
}

/* What looking up random rows brings into memory. The system fetches WINDOW bytes around what is
 * read; of n draws from as many windows as there are, this many are new:
 * windows * (1 - (1 - 1 / windows)^n). */
static size_t looked_up(size_t bytes, int64_t n)
{
    enum { WINDOW = 64 * 1024 };
    double windows = ceil((double)bytes / WINDOW);
    double share = windows > 1 ? 1 - pow(1 - 1 / windows, (double)n) : 1;

    return (size_t)(share * (double)bytes);
}

size_t ae_model_mapped_bytes(const ae_model *m, const ae_device *device, bool exact,
                             int64_t n_tokens)
{
    size_t sum = 0, bytes;

    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        const ae_tensor *t = site.tensor;
        if (t->rows == 1 || t->grad || !ae_dtype_bytes(&bytes, t->dtype, t->rows, t->cols))
            continue;
        if (is_product(m, &site) && (exact || !packed_room(m, device, &site)))
            sum += bytes;
        else if (t == m->net.embedding)
            sum += looked_up(bytes, n_tokens);
    }
    return sum;
}

static void unpack_all(ae_model *m)
{
    for (int64_t i = 0; i < m->n_params; i++) m->params[i].tensor->packed = NULL;
    ae_pages_free(m->packed, m->packed_bytes);
    m->packed = NULL;
    m->packed_bytes = 0;
}

/* The same address for all: nobody reads there, and zeroed pages that are not written cost nothing.
 */
aerie_status ae_model_pretend_packed(ae_model *m, const ae_device *device, bool on,
                                     aerie_error *err)
{
    size_t most = 0;

    if (!on) unpack_all(m);
    if (!on || m->packed) return AERIE_OK;
    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        size_t room = packed_room(m, device, &site);
        if (room > most) most = room;
    }
    if (!most) return AERIE_OK;
    m->packed = ae_pages_take(most);
    m->packed_bytes = most;
    if (!m->packed)
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for one weight of it", m->path);
    for (int64_t i = 0; i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        if (packed_room(m, device, &site)) site.tensor->packed = m->packed;
    }
    return AERIE_OK;
}

void ae_model_forget_bytes(const ae_model *m, const void *data, size_t bytes)
{
    if (m->gguf) ae_gguf_forget(m->gguf, data, bytes);
    if (m->safetensors) ae_safetensors_forget(m->safetensors, data, bytes);
}

void ae_model_forget(const ae_model *m)
{
    ae_model_forget_bytes(m, NULL, 0);
}

/* Writes one weight's packed form to `out` and lets go of its source. */
static aerie_status pack_one(ae_model *m, ae_device *device, int64_t i, void *out, aerie_error *err)
{
    ae_tensor *t = m->params[i].tensor;
    size_t bytes;

    if (!device->pack(device, out, t)) return ae_model_bad_scales(m, i, err);
    t->packed = out;
    if (ae_dtype_bytes(&bytes, t->dtype, t->rows, t->cols))
        ae_model_forget_bytes(m, t->data, bytes);
    return AERIE_OK;
}

/* The head first: a weight's source is in memory until it is packed, and by the end, when all
 * others are packed already, that shall not be the largest of all. */
static int64_t at_turn(const ae_model *m, int64_t turn)
{
    int64_t last = m->n_params - 1 - m->config.score_head;
    bool at_end = m->net.head == m->params[last].tensor;

    if (!at_end || turn > last) return turn;
    return turn == 0 ? last : turn - 1;
}

static aerie_status pack_all(ae_model *m, ae_device *device, ae_progress_fn *progress, void *user,
                             aerie_error *err)
{
    char *next = m->packed;
    aerie_status status = AERIE_OK;

    for (int64_t turn = 0; turn < m->n_params && !status; turn++) {
        int64_t i = at_turn(m, turn);
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        size_t room = packed_room(m, device, &site);
        if (!room) continue;
        status = pack_one(m, device, i, next, err);
        next += room;
        double share = (double)(next - (char *)m->packed) / (double)m->packed_bytes;
        if (!status && progress && !progress(user, share))
            status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted while loading %s", m->path);
    }
    return status;
}

aerie_status ae_model_pack(ae_model *m, ae_device *device, ae_progress_fn *progress, void *user,
                           aerie_error *err)
{
    size_t bytes = ae_model_packed_bytes(m, device);
    aerie_status status;

    if (m->packed || !bytes) return AERIE_OK;
    m->packed = ae_pages_take(bytes);
    if (!m->packed)
        return aerie_fail(err, AERIE_NO_MEMORY,
                          "%s: no room for its weights, %zu bytes; close other programs, or use a "
                          "smaller quantization of the model",
                          m->path, bytes);
    m->packed_bytes = bytes;
    status = pack_all(m, device, progress, user, err);
    if (status) unpack_all(m);
    ae_model_forget(m); /* what the tensors' whole pages did not cover */
    return status;
}
