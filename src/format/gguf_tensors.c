/* gguf_tensors.c -- the table of tensors of a GGUF file, checked against the bytes that follow. */
#include "format/gguf.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST_NAME = 255, SMALLEST_ALIGNMENT = 8, LARGEST_ALIGNMENT = 1 << 20 };

/* Every type that GGUF files are known to hold, so that even tensors which this build does not read
 * can be named and their place in the file checked. */
static const struct {
    uint32_t number;
    const char *name;
    uint16_t block_elements, block_bytes;
} known_types[] = {
    { 0, "F32", 1, 4 },         { 1, "F16", 1, 2 },         { 2, "Q4_0", 32, 18 },
    { 3, "Q4_1", 32, 20 },      { 6, "Q5_0", 32, 22 },      { 7, "Q5_1", 32, 24 },
    { 8, "Q8_0", 32, 34 },      { 9, "Q8_1", 32, 36 },      { 10, "Q2_K", 256, 84 },
    { 11, "Q3_K", 256, 110 },   { 12, "Q4_K", 256, 144 },   { 13, "Q5_K", 256, 176 },
    { 14, "Q6_K", 256, 210 },   { 15, "Q8_K", 256, 292 },   { 16, "IQ2_XXS", 256, 66 },
    { 17, "IQ2_XS", 256, 74 },  { 18, "IQ3_XXS", 256, 98 }, { 19, "IQ1_S", 256, 50 },
    { 20, "IQ4_NL", 32, 18 },   { 21, "IQ3_S", 256, 110 },  { 22, "IQ2_S", 256, 82 },
    { 23, "IQ4_XS", 256, 136 }, { 24, "I8", 1, 1 },         { 25, "I16", 1, 2 },
    { 26, "I32", 1, 4 },        { 27, "I64", 1, 8 },        { 28, "F64", 1, 8 },
    { 29, "IQ1_M", 256, 56 },   { 30, "BF16", 1, 2 },       { 34, "TQ1_0", 256, 54 },
    { 35, "TQ2_0", 256, 66 },   { 39, "MXFP4", 32, 17 },    { 40, "NVFP4", 64, 36 },
    { 41, "Q1_0", 128, 18 },
};

typedef struct {
    ae_stored_tensor tensor;
    uint32_t type;
    uint64_t offset;
} tensor_info;

static aerie_status damaged(const ae_gguf *g, const tensor_info *info, const char *what,
                            aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: tensor '%s' %s", g->name,
                      info->tensor.name, what);
}

/* Dimensions lie innermost first in the file. */
static aerie_status read_dims(const ae_gguf *g, tensor_info *info, ae_gguf_cursor *c)
{
    ae_stored_tensor *t = &info->tensor;
    uint32_t n = ae_gguf_take_u32(c, "a tensor's number of dimensions");

    if (c->status) return c->status;
    if (n > AE_MAX_DIMS) return damaged(g, info, "has more than 4 dimensions", c->err);
    t->n_dims = (int)n;
    t->rows = t->cols = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t dim = ae_gguf_take_u64(c, "a tensor's dimension");
        if (c->status) return c->status;
        if (dim == 0 || dim > INT64_MAX)
            return damaged(g, info, "has a dimension that is 0 or past 2^63", c->err);
        t->dims[n - 1 - i] = (int64_t)dim;
        if (i == 0)
            t->cols = (int64_t)dim;
        else if (__builtin_mul_overflow(t->rows, (int64_t)dim, &t->rows))
            return damaged(g, info, "has more elements than can be counted", c->err);
    }
    return AERIE_OK;
}

/* A type that nobody knows keeps size 0 and no data: only who wants that tensor has a problem. */
static aerie_status read_type(ae_gguf *g, tensor_info *info, ae_gguf_cursor *c)
{
    ae_stored_tensor *t = &info->tensor;
    const ae_dtype_info *readable = ae_dtype_of_gguf(info->type);
    char text[32];
    size_t row_bytes;

    t->dtype = readable ? readable->dtype : AE_DTYPE_NONE;
    for (size_t i = 0; i < AE_COUNT(known_types); i++) {
        int64_t block = known_types[i].block_elements;
        if (known_types[i].number != info->type) continue;
        t->type_name = known_types[i].name;
        if (t->cols % block) return damaged(g, info, "has rows of a broken block", c->err);
        if (!ae_mul_size(&row_bytes, (size_t)(t->cols / block), known_types[i].block_bytes) ||
            !ae_mul_size(&t->bytes, row_bytes, (size_t)t->rows))
            return damaged(g, info, "has more bytes than can be counted", c->err);
        return AERIE_OK;
    }
    snprintf(text, sizeof text, "number %u", info->type);
    t->type_name = ae_arena_strndup(&g->arena, text, strlen(text));
    if (t->type_name) return AERIE_OK;
    return aerie_fail(c->err, AERIE_NO_MEMORY, "%s: out of memory for type names", g->name);
}

static aerie_status read_info(ae_gguf *g, tensor_info *info, ae_gguf_cursor *c)
{
    aerie_status status;

    info->tensor.name = ae_gguf_take_name(c, LONGEST_NAME, "a tensor's name");
    if (c->status) return c->status;
    status = read_dims(g, info, c);
    if (status) return status;
    info->type = ae_gguf_take_u32(c, "a tensor's type");
    info->offset = ae_gguf_take_u64(c, "a tensor's offset");
    return c->status ? c->status : read_type(g, info, c);
}

static aerie_status read_alignment(const ae_gguf *g, uint32_t *alignment, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *alignment = 32;
    if (ae_gguf_has(g, "general.alignment"))
        status = ae_gguf_u32(g, "general.alignment", alignment, err);
    if (status) return status;
    if (*alignment < SMALLEST_ALIGNMENT || *alignment > LARGEST_ALIGNMENT ||
        (*alignment & (*alignment - 1)))
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: damaged: general.alignment is %u; a power of two from %d to %d is wanted", g->name,
            *alignment, SMALLEST_ALIGNMENT, LARGEST_ALIGNMENT);
    return AERIE_OK;
}

/* The info's place within the data section, which begins at `start`. */
static aerie_status place(const ae_gguf *g, tensor_info *info, size_t start, uint32_t alignment,
                          aerie_error *err)
{
    size_t room = g->size - start;

    if (info->offset % alignment) return damaged(g, info, "does not begin at an aligned byte", err);
    if (info->offset > room || info->tensor.bytes > room - (size_t)info->offset)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: cut off or damaged: tensor '%s' takes %zu bytes at %llu, but the data "
            "has %zu; fetch the file again",
            g->name, info->tensor.name, info->tensor.bytes, (unsigned long long)info->offset, room);
    if (info->tensor.bytes) info->tensor.data = g->data + start + info->offset;
    return AERIE_OK;
}

static aerie_status check_overlaps(ae_gguf *g, const tensor_info *infos, size_t n, aerie_error *err)
{
    ae_extent *extents = ae_alloc(n, sizeof *extents);
    aerie_status status = AERIE_OK;

    if (!extents)
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for %zu tensors", g->name, n);
    for (size_t i = 0; i < n; i++)
        extents[i] = (ae_extent){ infos[i].offset, infos[i].offset + infos[i].tensor.bytes,
                                  infos[i].tensor.name };
    ae_extents_sort(extents, n);
    for (size_t i = 1; i < n && !status; i++)
        if (extents[i].begin < extents[i - 1].end)
            status = aerie_fail(err, AERIE_BAD_FILE, "%s: damaged: tensors '%s' and '%s' overlap",
                                g->name, extents[i - 1].name, extents[i].name);
    ae_free(extents);
    return status;
}

static aerie_status place_all(ae_gguf *g, tensor_info *infos, size_t n, size_t end_of_infos,
                              aerie_error *err)
{
    uint32_t alignment;
    aerie_status status = read_alignment(g, &alignment, err);
    size_t start;

    if (status || !n) return status;
    /* Cannot wrap: a file is far smaller than the address space, the alignment at most 1 MiB. */
    start = (end_of_infos + alignment - 1) & ~(size_t)(alignment - 1);
    if (start > g->size) start = g->size;
    for (size_t i = 0; i < n && !status; i++) status = place(g, &infos[i], start, alignment, err);
    return status ? status : check_overlaps(g, infos, n, err);
}

aerie_status ae_gguf_read_tensors(ae_gguf *g, ae_gguf_cursor *c, uint64_t n)
{
    tensor_info *infos = ae_alloc((size_t)n, sizeof *infos);
    aerie_status status = AERIE_OK;

    if (!infos)
        return aerie_fail(c->err, AERIE_NO_MEMORY, "%s: out of memory for %llu tensors", g->name,
                          (unsigned long long)n);
    for (uint64_t i = 0; i < n && !status; i++) status = read_info(g, &infos[i], c);
    if (!status) status = place_all(g, infos, (size_t)n, c->at, c->err);
    for (uint64_t i = 0; i < n && !status; i++)
        status = ae_tensor_list_add(&g->tensors, &infos[i].tensor, g->name, c->err);
    ae_free(infos);
    return status;
}
