/* checkpoint.c -- training state in a file of its own.
 *
 *   header; identity text; then for each parameter: its head, its name, values, moments (float32);
 *   at the end 8 bytes, the XXH64 of all pieces before, each seeded by the one before it. */
#include "train/checkpoint.h"

#include <string.h>

static const char magic[8] = { 'a', 'e', 'r', 'i', 'e', 'c', 'k', 'p' };

/* 2: what a method remembers from step to step; 3: methods that sample; 4: the best evaluation */
enum { VERSION = 4 };

typedef struct {
    char magic[8];
    uint32_t version, n_params;
    uint64_t file_bytes, identity_bytes;
    ae_checkpoint at;
} header;

typedef struct {
    uint64_t name_bytes;
    int64_t rows, cols;
} param_head;

static size_t value_bytes(const ae_tensor *t)
{
    return (size_t)(t->rows * t->cols) * sizeof(float);
}

/* The values and the moments. */
static uint64_t pieces(const ae_optimizer *o)
{
    return 1 + (uint64_t)o->n_moments;
}

static uint64_t total_bytes(const char *identity, const ae_optimizer *o)
{
    uint64_t sum = sizeof(header) + strlen(identity) + sizeof(uint64_t);

    for (int64_t i = 0; i < o->n; i++)
        sum += sizeof(param_head) + strlen(o->params[i].name) +
               pieces(o) * value_bytes(o->params[i].tensor);
    return sum;
}

static void put(ae_file_writer *w, uint64_t *hash, const void *data, size_t len)
{
    *hash = ae_hash64(data, len, *hash);
    ae_file_writer_add(w, data, len);
}

static void put_param(ae_file_writer *w, uint64_t *hash, const ae_optimizer *o, int64_t i)
{
    const ae_tensor *t = o->params[i].tensor;
    param_head head = { strlen(o->params[i].name), t->rows, t->cols };

    put(w, hash, &head, sizeof head);
    put(w, hash, o->params[i].name, head.name_bytes);
    put(w, hash, t->data, value_bytes(t));
    if (o->m[i]) put(w, hash, o->m[i], value_bytes(t));
    put(w, hash, o->v[i], value_bytes(t));
}

aerie_status ae_checkpoint_write(const char *path, const ae_checkpoint *at, const char *identity,
                                 const ae_optimizer *o, aerie_error *err)
{
    header h = { .version = VERSION,
                 .n_params = (uint32_t)o->n,
                 .file_bytes = total_bytes(identity, o),
                 .identity_bytes = strlen(identity),
                 .at = *at };
    ae_file_writer w = { 0 };
    uint64_t hash = VERSION;
    aerie_status status;

    memcpy(h.magic, magic, sizeof magic);
    status = ae_file_writer_open(&w, path, err);
    if (status) return status;
    put(&w, &hash, &h, sizeof h);
    put(&w, &hash, identity, h.identity_bytes);
    for (int64_t i = 0; i < o->n; i++) put_param(&w, &hash, o, i);
    ae_file_writer_add(&w, &hash, sizeof hash);
    return ae_file_writer_commit(&w, err);
}

/* Where the reader is. */
typedef struct {
    const ae_file *file;
    size_t at;
    uint64_t hash;
    aerie_error *err;
} cursor;

static aerie_status damaged(const cursor *c, const char *what)
{
    return aerie_fail(
        c->err, AERIE_BAD_FILE,
        "%s: the checkpoint is damaged (%s); remove it and start again without resuming",
        c->file->path, what);
}

/* The next `len` bytes, or NULL when the file has no more. */
static const void *take(cursor *c, size_t len)
{
    const void *data = c->file->data + c->at;

    if (len > c->file->size - c->at) return NULL;
    c->hash = ae_hash64(data, len, c->hash);
    c->at += len;
    return data;
}

static aerie_status take_header(cursor *c, header *h)
{
    const void *data = take(c, sizeof *h);

    if (!data) return damaged(c, "it ends within its header");
    memcpy(h, data, sizeof *h);
    if (memcmp(h->magic, magic, sizeof magic) != 0) return damaged(c, "it begins with other bytes");
    if (h->version != VERSION)
        return aerie_fail(
            c->err, AERIE_UNSUPPORTED,
            "%s: a checkpoint of version %u, this build reads version %d; finish it with "
            "the build that wrote it",
            c->file->path, h->version, VERSION);
    if (h->file_bytes != c->file->size) return damaged(c, "its size is not what it says");
    return AERIE_OK;
}

static size_t line_length(const char *text, size_t max)
{
    const char *end = memchr(text, '\n', max);

    return end ? (size_t)(end - text) : max;
}

/* Names the first line that differs. */
static aerie_status changed(const cursor *c, const char *then, size_t len, const char *now)
{
    while (len > 0 && *now) {
        size_t a = line_length(then, len), b = strcspn(now, "\n");
        if (a != b || memcmp(then, now, a) != 0)
            return aerie_fail(
                c->err, AERIE_BAD_ARGUMENT,
                "%s: it was written with '%.*s', and this run has '%.*s'; undo the change, or "
                "start again without resuming",
                c->file->path, (int)(a < 100 ? a : 100), then, (int)(b < 100 ? b : 100), now);
        then += a < len ? a + 1 : a;
        len -= a < len ? a + 1 : a;
        now += b + (now[b] == '\n');
    }
    return aerie_fail(c->err, AERIE_BAD_ARGUMENT,
                      "%s: it was written with another recipe; start again without resuming",
                      c->file->path);
}

static aerie_status take_identity(cursor *c, const header *h, const char *identity)
{
    const char *text = take(c, (size_t)h->identity_bytes);

    if (!text) return damaged(c, "it ends within its settings");
    if (h->identity_bytes == strlen(identity) && memcmp(text, identity, strlen(identity)) == 0)
        return AERIE_OK;
    return changed(c, text, (size_t)h->identity_bytes, identity);
}

static aerie_status take_head(cursor *c, const ae_named_param *p)
{
    const void *data = take(c, sizeof(param_head));
    const char *name;
    param_head head;

    if (!data) return damaged(c, "it ends early");
    memcpy(&head, data, sizeof head);
    name = take(c, (size_t)head.name_bytes);
    if (!name) return damaged(c, "it ends early");
    if (head.name_bytes != strlen(p->name) || memcmp(name, p->name, strlen(p->name)) != 0 ||
        head.rows != p->tensor->rows || head.cols != p->tensor->cols)
        return aerie_fail(
            c->err, AERIE_BAD_ARGUMENT,
            "%s: it has '%.*s' where this run trains '%s'; it belongs to another model",
            c->file->path, (int)(head.name_bytes < 80 ? head.name_bytes : 80), name, p->name);
    return AERIE_OK;
}

/* Reads one parameter; copies it when `copy`, after all has been looked at once. */
static aerie_status take_param(cursor *c, ae_optimizer *o, int64_t i, bool copy)
{
    const ae_tensor *t = o->params[i].tensor;
    float *into[3] = { ae_f32(t), o->m[i], o->v[i] };
    aerie_status status = take_head(c, &o->params[i]);

    for (int k = 0; k < 3 && !status; k++) {
        const void *data;
        if (!into[k]) continue;
        data = take(c, value_bytes(t));
        if (!data) return damaged(c, "it ends early");
        if (copy) memcpy(into[k], data, value_bytes(t));
    }
    return status;
}

static aerie_status take_all(cursor *c, header *h, const char *identity, ae_optimizer *o, bool copy)
{
    aerie_status status = take_header(c, h);
    uint64_t hash;

    if (!status) status = take_identity(c, h, identity);
    if (!status && h->n_params != (uint64_t)o->n)
        status = damaged(c, "it has another number of parameters");
    for (int64_t i = 0; i < o->n && !status; i++) status = take_param(c, o, i, copy);
    if (status) return status;
    if (c->file->size - c->at != sizeof hash) return damaged(c, "its parts don't add up");
    memcpy(&hash, c->file->data + c->at, sizeof hash);
    return hash == c->hash ? AERIE_OK : damaged(c, "its checksum is wrong");
}

aerie_status ae_checkpoint_read(const char *path, ae_checkpoint *at, const char *identity,
                                ae_optimizer *o, aerie_error *err)
{
    ae_file file = { 0 };
    cursor look = { .file = &file, .hash = VERSION, .err = err }, copy = look;
    aerie_status status;
    header h;

    if (!ae_file_exists(path))
        return aerie_fail(err, AERIE_NOT_FOUND,
                          "%s: there is no checkpoint to go on from; start without resuming", path);
    status = ae_file_open(&file, path, err);
    if (!status) status = take_all(&look, &h, identity, o, false);
    if (!status) status = take_all(&copy, &h, identity, o, true);
    if (!status) *at = h.at;
    ae_file_close(&file);
    return status;
}
