/* parquet_meta.c -- the footer of a Parquet file: its schema as a tree with levels, and where every
 * chunk of every row group lies. */
#include "format/parquet.h"
#include "format/thrift.h"

#include <string.h>

enum { MOST_NODES = 4096, DEEPEST = 64 };

typedef struct {
    ae_parquet_meta *m;
    ae_thrift t;
    size_t size; /* of the file without its footer: where data may lie */
    const char *name;
    aerie_error *err;
} reading;

static aerie_status damaged(const reading *r, const char *what)
{
    return aerie_fail(r->err, AERIE_BAD_FILE, "%s: %s; fetch the file again", r->name, what);
}

static aerie_status no_memory(const reading *r)
{
    return aerie_fail(r->err, AERIE_NO_MEMORY, "%s: no memory for the file's tables", r->name);
}

/* ---- the schema ---- */

/* The numbers of converted types. */
enum {
    CONVERTED_UTF8 = 0,
    CONVERTED_MAP = 1,
    CONVERTED_MAP_KEY_VALUE = 2,
    CONVERTED_LIST = 3,
    CONVERTED_ENUM = 4,
    CONVERTED_UINT_8 = 11,
    CONVERTED_UINT_64 = 14,
    CONVERTED_JSON = 19
};
/* Fields of the union that came after them. */
enum {
    LOGICAL_STRING = 1,
    LOGICAL_MAP = 2,
    LOGICAL_LIST = 3,
    LOGICAL_ENUM = 4,
    LOGICAL_INTEGER = 10,
    LOGICAL_JSON = 12
};

static void set_converted(ae_parquet_node *n, int64_t type)
{
    if (type == CONVERTED_UTF8 || type == CONVERTED_ENUM || type == CONVERTED_JSON)
        n->is_text = true;
    if (type == CONVERTED_LIST) n->shape = AE_PARQUET_LIST;
    if (type == CONVERTED_MAP || type == CONVERTED_MAP_KEY_VALUE) n->shape = AE_PARQUET_MAP;
    if (type >= CONVERTED_UINT_8 && type <= CONVERTED_UINT_64) n->is_unsigned = true;
}

/* IntType: 2: whether it is signed. */
static void read_integer(ae_parquet_node *n, ae_thrift *t)
{
    ae_thrift_field f = { 0 };

    while (ae_thrift_next(t, &f))
        if (f.id == 2)
            n->is_unsigned = !ae_thrift_bool(t, &f);
        else
            ae_thrift_skip(t, &f);
}

static void read_logical(ae_parquet_node *n, ae_thrift *t, const ae_thrift_field *field)
{
    ae_thrift_field f = { 0 };

    if (field->type != AE_THRIFT_STRUCT) t->bad = true;
    while (!t->bad && ae_thrift_next(t, &f)) {
        if (f.id == LOGICAL_STRING || f.id == LOGICAL_ENUM || f.id == LOGICAL_JSON)
            n->is_text = true;
        if (f.id == LOGICAL_LIST) n->shape = AE_PARQUET_LIST;
        if (f.id == LOGICAL_MAP) n->shape = AE_PARQUET_MAP;
        if (f.id == LOGICAL_INTEGER && f.type == AE_THRIFT_STRUCT)
            read_integer(n, t);
        else
            ae_thrift_skip(t, &f);
    }
}

/* One element; *n_children is what it claims. */
static aerie_status read_element(reading *r, ae_parquet_node *n, size_t *n_children)
{
    ae_thrift_field f = { 0 };
    ae_span name = { "", 0 };
    int64_t type = -1, repeat = 0, children = 0;

    while (ae_thrift_next(&r->t, &f)) {
        if (f.id == 1)
            type = ae_thrift_int(&r->t, &f);
        else if (f.id == 3)
            repeat = ae_thrift_int(&r->t, &f);
        else if (f.id == 4)
            name = ae_thrift_binary(&r->t, &f);
        else if (f.id == 5)
            children = ae_thrift_int(&r->t, &f);
        else if (f.id == 6)
            set_converted(n, ae_thrift_int(&r->t, &f));
        else if (f.id == 10)
            read_logical(n, &r->t, &f);
        else
            ae_thrift_skip(&r->t, &f);
    }
    if (r->t.bad) return damaged(r, "its schema is cut off or damaged");
    if (type > AE_PARQUET_FIXED || repeat < 0 || repeat > AE_PARQUET_REPEATED || children < 0 ||
        children > MOST_NODES || (children == 0 && type < 0))
        return damaged(r, "its schema makes no sense");
    n->type = (ae_parquet_type)(type < 0 ? 0 : type);
    n->repeat = (ae_parquet_repeat)repeat;
    *n_children = (size_t)children;
    n->name = ae_arena_strndup(&r->m->arena, name.data, name.len);
    return n->name ? AERIE_OK : no_memory(r);
}

static bool node_has(const ae_parquet_meta *m, size_t i)
{
    return i < m->n_nodes;
}

/* Elements lie depth first. Nodes of the way down are `parent`s that still miss children. */
static aerie_status read_tree(reading *r, size_t n)
{
    struct {
        size_t node, missing;
    } way[DEEPEST];
    size_t depth = 0;
    ae_parquet_meta *m = r->m;

    for (m->n_nodes = 0; m->n_nodes < n; m->n_nodes++) {
        ae_parquet_node *node = &m->nodes[m->n_nodes];
        const ae_parquet_node *parent = depth ? &m->nodes[way[depth - 1].node] : NULL;
        size_t children = 0;
        aerie_status status = read_element(r, node, &children);
        if (status) return status;
        if ((m->n_nodes > 0) != (depth > 0)) return damaged(r, "its schema has no single root");
        if (!parent) node->repeat = AE_PARQUET_REQUIRED;
        node->def = (parent ? parent->def : 0) + (node->repeat != AE_PARQUET_REQUIRED);
        node->rep = (parent ? parent->rep : 0) + (node->repeat == AE_PARQUET_REPEATED);
        node->n_children = children;
        node->first_child = m->n_nodes + 1;
        node->first_leaf = m->n_leaves;
        if (children == 0) {
            if (!parent) return damaged(r, "its schema has no columns");
            node->n_leaves = 1;
            m->leaves[m->n_leaves++] = m->n_nodes;
        }
        node->next = m->n_nodes + 1;
        if (depth) way[depth - 1].missing--;
        if (children) {
            if (depth == DEEPEST) return damaged(r, "its schema is nested too deep");
            way[depth].node = m->n_nodes;
            way[depth++].missing = children;
        }
        while (depth && way[depth - 1].missing == 0) {
            ae_parquet_node *done = &m->nodes[way[--depth].node];
            done->next = m->n_nodes + 1;
            done->n_leaves = m->n_leaves - done->first_leaf;
        }
    }
    return depth ? damaged(r, "its schema is cut off") : AERIE_OK;
}

/* A list is a group over one repeated node, a map one over a repeated pair; else they are groups.
 */
static void check_shapes(ae_parquet_meta *m)
{
    for (size_t i = 0; i < m->n_nodes; i++) {
        ae_parquet_node *n = &m->nodes[i];
        const ae_parquet_node *child = node_has(m, n->first_child) ? &m->nodes[n->first_child] : n;
        bool wraps = n->n_children == 1 && child->repeat == AE_PARQUET_REPEATED &&
                     n->repeat != AE_PARQUET_REPEATED;
        if (n->shape == AE_PARQUET_MAP && !(wraps && child->n_children == 2))
            n->shape = AE_PARQUET_STRUCT;
        if (n->shape == AE_PARQUET_LIST && !wraps) n->shape = AE_PARQUET_STRUCT;
    }
}

static aerie_status read_schema(reading *r, const ae_thrift_field *field)
{
    size_t n = ae_thrift_list(&r->t, field, AE_THRIFT_STRUCT);
    aerie_status status;

    if (r->m->nodes || n == 0 || n > MOST_NODES) return damaged(r, "its schema makes no sense");
    r->m->nodes = ae_arena_take(&r->m->arena, n, sizeof *r->m->nodes);
    r->m->leaves = ae_arena_take(&r->m->arena, n, sizeof *r->m->leaves);
    if (!r->m->nodes || !r->m->leaves) return no_memory(r);
    status = read_tree(r, n);
    if (!status) check_shapes(r->m);
    return status;
}

/* ---- row groups ---- */

static void read_column(reading *r, ae_parquet_chunk *c, const ae_thrift_field *field,
                        int64_t *type)
{
    ae_thrift_field f = { 0 };

    if (field->type != AE_THRIFT_STRUCT) r->t.bad = true;
    while (!r->t.bad && ae_thrift_next(&r->t, &f)) {
        if (f.id == 1)
            *type = ae_thrift_int(&r->t, &f);
        else if (f.id == 4)
            c->codec = (int)ae_thrift_int(&r->t, &f);
        else if (f.id == 5)
            c->n_values = ae_thrift_int(&r->t, &f);
        else if (f.id == 7)
            c->bytes = ae_thrift_int(&r->t, &f);
        else if (f.id == 9)
            c->data_at = ae_thrift_int(&r->t, &f);
        else if (f.id == 11)
            c->dictionary_at = ae_thrift_int(&r->t, &f);
        else
            ae_thrift_skip(&r->t, &f);
    }
}

static aerie_status check_chunk(const reading *r, ae_parquet_chunk *c, size_t leaf, int64_t type)
{
    const ae_parquet_node *n = &r->m->nodes[r->m->leaves[leaf]];
    int64_t size = (int64_t)r->size, begin;

    /* Some writers give 0 for a dictionary that is not there. */
    if (c->dictionary_at < 4 || c->dictionary_at >= c->data_at) c->dictionary_at = 0;
    begin = c->dictionary_at ? c->dictionary_at : c->data_at;
    if (type != (int64_t)n->type)
        return damaged(r, "a chunk's type differs from its column's in the schema");
    if (c->n_values < 0 || c->bytes < 0 || begin < 4 || begin > size || c->bytes > size - begin)
        return aerie_fail(
            r->err, AERIE_BAD_FILE,
            "%s: column '%s' lies at byte %lld with %lld bytes, the file has %lld; it is "
            "cut off or damaged, fetch it again",
            r->name, n->name, (long long)begin, (long long)c->bytes, (long long)size);
    return AERIE_OK;
}

static aerie_status read_chunk(reading *r, ae_parquet_chunk *c, size_t leaf)
{
    ae_thrift_field f = { 0 };
    bool there = false, elsewhere = false;
    int64_t type = -1;

    while (ae_thrift_next(&r->t, &f)) {
        there = there || f.id == 3;
        elsewhere = elsewhere || f.id == 1;
        if (f.id == 3)
            read_column(r, c, &f, &type);
        else
            ae_thrift_skip(&r->t, &f);
    }
    if (r->t.bad || !there) return damaged(r, "its table of columns is cut off or damaged");
    if (elsewhere)
        return aerie_fail(r->err, AERIE_UNSUPPORTED,
                          "%s: its columns lie in other files, which this build does not read",
                          r->name);
    return check_chunk(r, c, leaf, type);
}

static aerie_status read_chunks(reading *r, const ae_thrift_field *field, size_t first)
{
    size_t n = ae_thrift_list(&r->t, field, AE_THRIFT_STRUCT);
    aerie_status status = AERIE_OK;

    if (n != r->m->n_leaves) return damaged(r, "a row group lacks columns of the schema");
    for (size_t i = 0; i < n && !status; i++) status = read_chunk(r, &r->m->chunks[first + i], i);
    return status;
}

static aerie_status read_group(reading *r, ae_parquet_group *g)
{
    ae_thrift_field f = { 0 };
    bool there = false;

    while (ae_thrift_next(&r->t, &f)) {
        aerie_status status = AERIE_OK;
        if (f.id == 1) {
            status = there ? damaged(r, "a row group is told twice")
                           : read_chunks(r, &f, g->first_chunk);
            there = true;
        } else if (f.id == 3) {
            g->n_rows = ae_thrift_int(&r->t, &f);
        } else {
            ae_thrift_skip(&r->t, &f);
        }
        if (status) return status;
    }
    if (r->t.bad || !there || g->n_rows < 0)
        return damaged(r, "its table of row groups is cut off or damaged");
    return AERIE_OK;
}

static aerie_status read_groups(reading *r, const ae_thrift_field *field)
{
    ae_parquet_meta *m = r->m;
    size_t n = ae_thrift_list(&r->t, field, AE_THRIFT_STRUCT), n_chunks;
    aerie_status status = AERIE_OK;

    if (r->t.bad || !m->nodes || m->groups) return damaged(r, "its footer makes no sense");
    /* A chunk takes some 20 bytes of the footer at least: what a claim may cost stays in
     * proportion. */
    if (!ae_mul_size(&n_chunks, n, m->n_leaves) || n_chunks > (size_t)(r->t.end - r->t.at))
        return damaged(r, "its footer names more columns than it holds");
    m->groups = ae_arena_take(&m->arena, n, sizeof *m->groups);
    m->chunks = ae_arena_take(&m->arena, n_chunks, sizeof *m->chunks);
    if (!m->groups || !m->chunks) return no_memory(r);
    for (m->n_groups = 0; m->n_groups < n && !status; m->n_groups++) {
        m->groups[m->n_groups].first_chunk = m->n_groups * m->n_leaves;
        status = read_group(r, &m->groups[m->n_groups]);
    }
    return status;
}

/* ---- the file ---- */

static aerie_status read_footer(reading *r)
{
    ae_thrift_field f = { 0 };
    aerie_status status = AERIE_OK;

    while (!status && ae_thrift_next(&r->t, &f)) {
        if (f.id == 2)
            status = read_schema(r, &f);
        else if (f.id == 3)
            r->m->n_rows = ae_thrift_int(&r->t, &f);
        else if (f.id == 4)
            status = read_groups(r, &f);
        else
            ae_thrift_skip(&r->t, &f);
    }
    if (status) return status;
    if (r->t.bad || !r->m->nodes || (!r->m->groups && r->m->n_rows))
        return damaged(r, "its footer is cut off or damaged");
    int64_t rows = 0;
    for (size_t i = 0; i < r->m->n_groups; i++)
        if (__builtin_add_overflow(rows, r->m->groups[i].n_rows, &rows)) rows = -1;
    return rows == r->m->n_rows ? AERIE_OK : damaged(r, "its row groups do not add up to its rows");
}

/* The file's last 8 bytes: the footer's size, and the magic bytes again. */
static aerie_status find_footer(reading *r, const uint8_t *file, size_t size)
{
    size_t footer;

    if (size >= 4 && memcmp(file, "PARE", 4) == 0)
        return aerie_fail(r->err, AERIE_UNSUPPORTED, "%s: it is encrypted", r->name);
    if (size < 4 || memcmp(file, "PAR1", 4) != 0)
        return aerie_fail(r->err, AERIE_BAD_FILE, "%s: it is no Parquet file", r->name);
    if (size < 12 || memcmp(file + size - 4, "PAR1", 4) != 0)
        return damaged(r, "it does not end as a Parquet file does: it is cut off");
    footer = (size_t)file[size - 8] | (size_t)file[size - 7] << 8 | (size_t)file[size - 6] << 16 |
             (size_t)file[size - 5] << 24;
    if (footer > size - 12)
        return aerie_fail(r->err, AERIE_BAD_FILE,
                          "%s: the footer claims %zu bytes, the file has %zu; fetch it again",
                          r->name, footer, size);
    r->size = size - 8 - footer;
    r->t = (ae_thrift){ .at = file + r->size, .end = file + size - 8 };
    return AERIE_OK;
}

aerie_status ae_parquet_meta_read(ae_parquet_meta *out, const uint8_t *file, size_t size,
                                  const char *name, aerie_error *err)
{
    reading r = { .m = out, .name = name, .err = err };
    aerie_status status;

    *out = (ae_parquet_meta){ 0 };
    status = find_footer(&r, file, size);
    if (!status) status = read_footer(&r);
    if (status) ae_parquet_meta_free(out);
    return status;
}

void ae_parquet_meta_free(ae_parquet_meta *m)
{
    ae_arena_free(&m->arena);
    *m = (ae_parquet_meta){ 0 };
}
