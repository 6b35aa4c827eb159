/* gguf_split.c -- a model in several files, as llama.cpp's gguf-split writes them:
 * NAME-00001-of-00003 .gguf has all metadata, each its own tensors. The first is opened; the others
 * are found by its name. */
#include "format/gguf.h"

#include <stdio.h>
#include <string.h>

enum { MOST_PARTS = 1000, ENDING = 20 /* "-00001-of-00003.gguf" */ };

static aerie_status read_number(const ae_gguf *g, const char *key, uint32_t *out, aerie_error *err)
{
    *out = 0;
    return ae_gguf_has(g, key) ? ae_gguf_u32(g, key, out, err) : AERIE_OK;
}

/* The name of part i (from 0): that of the first with another number. NULL: no memory. */
static char *part_path(const ae_gguf *g, uint32_t i, uint32_t count)
{
    size_t stem = strlen(g->name) - ENDING;
    ae_bytes path = { 0 };

    ae_bytes_printf(&path, "%.*s-%05u-of-%05u.gguf", (int)stem, g->name, i + 1, count);
    if (path.failed) ae_bytes_free(&path);
    return path.data;
}

static aerie_status check_first(const ae_gguf *g, uint32_t no, uint32_t count, aerie_error *err)
{
    char ending[ENDING + 16];
    size_t len = strlen(g->name);

    if (count > MOST_PARTS)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: it says that it is one of %u parts",
                          g->name, count);
    if (!g->file.size)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: is one of %u parts of a model; only files have parts", g->name,
                          count);
    if (no != 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: is part %u of %u of a model; open the first part", g->name, no + 1,
                          count);
    snprintf(ending, sizeof ending, "-00001-of-%05u.gguf", count);
    if (len > ENDING && !strcmp(g->name + len - ENDING, ending)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "%s: is the first of %u parts of a model, and must be named as such for the "
                      "others to be found: NAME%s",
                      g->name, count, ending);
}

static aerie_status check_part(const ae_gguf *part, uint32_t i, uint32_t count, aerie_error *err)
{
    uint32_t its_no, its_count;
    aerie_status status = read_number(part, "split.no", &its_no, err);

    if (!status) status = read_number(part, "split.count", &its_count, err);
    if (status || (its_no == i && its_count == count)) return status;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: is part %u of %u by what it says, and %u of %u by its name; fetch the "
                      "parts again",
                      part->name, its_no + 1, its_count, i + 1, count);
}

/* What a part says of the whole, if it does, is what the first says: else it is another model's. */
static aerie_status check_same_model(const ae_gguf *g, const ae_gguf *part, aerie_error *err)
{
    static const char architecture[] = "general.architecture";
    uint32_t total, its_total;
    ae_span name, its_name;
    aerie_status status = read_number(g, "split.tensors.count", &total, err);

    if (!status) status = read_number(part, "split.tensors.count", &its_total, err);
    if (!status && total && its_total && total != its_total)
        status = aerie_fail(err, AERIE_BAD_FILE,
                            "%s: is part of a model of %u tensors, but %s of one of %u; fetch the "
                            "parts again",
                            part->name, its_total, g->name, total);
    if (status || !ae_gguf_has(g, architecture) || !ae_gguf_has(part, architecture)) return status;
    status = ae_gguf_text(g, architecture, &name, err);
    if (!status) status = ae_gguf_text(part, architecture, &its_name, err);
    if (status || (name.len == its_name.len && !memcmp(name.data, its_name.data, name.len)))
        return status;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: is part of a model of architecture '%.*s', but %s of '%.*s'; fetch the "
                      "parts again",
                      part->name, (int)(its_name.len < 40 ? its_name.len : 40), its_name.data,
                      g->name, (int)(name.len < 40 ? name.len : 40), name.data);
}

static aerie_status add_tensors(ae_gguf *g, const ae_gguf *part, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < ae_tensor_list_len(&part->tensors) && !status; i++)
        status =
            ae_tensor_list_add(&g->tensors, ae_tensor_list_at(&part->tensors, i), part->name, err);
    return status;
}

static aerie_status open_part(ae_gguf *g, uint32_t i, uint32_t count, aerie_error *err)
{
    char *path = part_path(g, i, count);
    ae_gguf *part = NULL;
    aerie_status status;

    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for parts", g->name);
    status = ae_gguf_open_part(&part, path, err);
    ae_free(path);
    if (status) return status;
    g->parts[g->n_parts++] = part;
    status = check_part(part, i, count, err);
    if (!status) status = check_same_model(g, part, err);
    return status ? status : add_tensors(g, part, err);
}

/* What the parts hold together against what the first says. */
static aerie_status check_total(const ae_gguf *g, aerie_error *err)
{
    uint32_t total;
    aerie_status status = read_number(g, "split.tensors.count", &total, err);
    size_t n = ae_tensor_list_len(&g->tensors);

    if (status || !total || total == n) return status;
    return aerie_fail(
        err, AERIE_BAD_FILE,
        "%s: its parts hold %zu tensors, but there should be %u; fetch the parts again", g->name, n,
        total);
}

aerie_status ae_gguf_read_parts(ae_gguf *g, aerie_error *err)
{
    uint32_t no, count;
    aerie_status status = read_number(g, "split.count", &count, err);

    if (status || count <= 1) return status;
    status = read_number(g, "split.no", &no, err);
    if (!status) status = check_first(g, no, count, err);
    if (status) return status;
    g->parts = ae_alloc(count - 1, sizeof *g->parts);
    if (!g->parts) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for parts", g->name);
    for (uint32_t i = 1; i < count && !status; i++) status = open_part(g, i, count, err);
    return status ? status : check_total(g, err);
}
