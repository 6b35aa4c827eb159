/* parquet_rows.c -- rows of a Parquet file put together again from their columns, as JSON objects.
 */
#include "format/parquet.h"

#include <string.h>

/* What one row may hold: a few bytes of a file can claim more than any machine has. */
enum { MOST_ITEMS = 1 << 22, MOST_TEXT = 1 << 28 };

struct ae_parquet {
    ae_file file; /* mapped; closed when the bytes are the caller's */
    const uint8_t *bytes;
    size_t size;
    char *name;
    ae_parquet_meta meta;
    ae_parquet_column *columns; /* [n_leaves] */
    bool *reads;                /* [n_nodes]: it has a leaf that this build reads */
    size_t group;               /* being read; its rows that are left, and rows told so far */
    int64_t left, row;
    size_t n_items, n_text; /* of the row: items of lists, bytes of texts */
    bool started, failed;   /* failed: a damaged file is read no further */
};

static aerie_status damaged(const ae_parquet *p, const ae_parquet_node *n, aerie_error *err)
{
    return aerie_fail(
        err, AERIE_BAD_FILE,
        "%s: row %lld: the parts of column '%s' do not fit together; fetch the file again", p->name,
        (long long)p->row + 1, n->name);
}

static aerie_status no_memory(const ae_parquet *p, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for row %lld", p->name,
                      (long long)p->row + 1);
}

/* ---- opening ---- */

/* "answers.model": the names on the way to a leaf, without those that only make a list. */
static char *path_of(const ae_parquet_meta *m, size_t leaf)
{
    ae_bytes b = { 0 };

    for (size_t i = 1; i <= leaf; i++)
        if (m->nodes[i].next > leaf)
            ae_bytes_printf(&b, "%s%s", b.len ? "." : "", m->nodes[i].name);
    if (b.failed) ae_bytes_free(&b);
    return b.data;
}

static void find_readable(ae_parquet *p)
{
    for (size_t i = p->meta.n_nodes; i-- > 0;) {
        const ae_parquet_node *n = &p->meta.nodes[i];
        p->reads[i] =
            n->n_children == 0 && n->type != AE_PARQUET_INT96 && n->type != AE_PARQUET_FIXED;
        for (size_t k = n->first_child; n->n_children && k < n->next && !p->reads[i];
             k = p->meta.nodes[k].next)
            p->reads[i] = p->reads[k];
    }
}

static aerie_status open_columns(ae_parquet *p, aerie_error *err)
{
    p->columns = ae_alloc(p->meta.n_leaves, sizeof *p->columns);
    p->reads = ae_alloc(p->meta.n_nodes, sizeof *p->reads);
    if (!p->columns || !p->reads) return no_memory(p, err);
    find_readable(p);
    for (size_t i = 0; i < p->meta.n_leaves; i++) {
        ae_parquet_column *c = &p->columns[i];
        c->name = p->name;
        c->file = p->bytes;
        c->file_size = p->size;
        c->leaf = &p->meta.nodes[p->meta.leaves[i]];
        c->path = path_of(&p->meta, p->meta.leaves[i]);
        if (!c->path) return no_memory(p, err);
    }
    return AERIE_OK;
}

static aerie_status open_bytes(ae_parquet *p, const char *name, aerie_error *err)
{
    aerie_status status;

    p->name = ae_strdup(name);
    if (!p->name) return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", name);
    status = ae_parquet_meta_read(&p->meta, p->bytes, p->size, p->name, err);
    return status ? status : open_columns(p, err);
}

static aerie_status new_file(ae_parquet **out, const char *name, aerie_error *err)
{
    *out = ae_alloc(1, sizeof **out);
    return *out ? AERIE_OK
                : aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory while opening", name);
}

static aerie_status hand_over(ae_parquet **out, aerie_status status)
{
    if (!status) return status;
    ae_parquet_close(*out);
    *out = NULL;
    return status;
}

aerie_status ae_parquet_open(ae_parquet **out, const char *path, aerie_error *err)
{
    aerie_status status = new_file(out, path, err);

    if (!status) status = ae_file_open(&(*out)->file, path, err);
    if (status) return hand_over(out, status);
    (*out)->bytes = (*out)->file.data;
    (*out)->size = (*out)->file.size;
    return hand_over(out, open_bytes(*out, path, err));
}

aerie_status ae_parquet_open_memory(ae_parquet **out, const void *data, size_t size,
                                    const char *name, aerie_error *err)
{
    aerie_status status = new_file(out, name, err);

    if (status) return status;
    (*out)->bytes = data;
    (*out)->size = size;
    return hand_over(out, open_bytes(*out, name, err));
}

void ae_parquet_close(ae_parquet *p)
{
    if (!p) return;
    for (size_t i = 0; p->columns && i < p->meta.n_leaves; i++) {
        ae_free((void *)(uintptr_t)p->columns[i].path);
        ae_parquet_column_free(&p->columns[i]);
    }
    ae_free(p->columns);
    ae_free(p->reads);
    ae_parquet_meta_free(&p->meta);
    ae_file_close(&p->file);
    ae_free(p->name);
    ae_free(p);
}

int64_t ae_parquet_n_rows(const ae_parquet *p)
{
    return p->meta.n_rows;
}

/* ---- a row ---- */

/* The leaf whose levels tell how a node's items go: the first below it that is read. */
static ae_parquet_column *guide(ae_parquet *p, const ae_parquet_node *n)
{
    size_t i = n->first_leaf;

    while (i + 1 < n->first_leaf + n->n_leaves && !p->reads[p->meta.leaves[i]]) i++;
    return &p->columns[i];
}

static aerie_status peek(ae_parquet *p, ae_parquet_column *c, aerie_error *err)
{
    bool more;
    aerie_status status = ae_parquet_column_peek(c, &more, err);

    return status || more ? status : damaged(p, c->leaf, err);
}

static aerie_status too_much(const ae_parquet *p, const ae_parquet_node *n, aerie_error *err)
{
    return aerie_fail(
        err, AERIE_BAD_FILE,
        "%s: row %lld: column '%s' holds more than %d items or %d bytes; remove this row", p->name,
        (long long)p->row + 1, n->name, MOST_ITEMS, MOST_TEXT);
}

/* A leaf's value. A text that is no UTF-8 cannot be one of JSON's: bytes that claim to be no text
 * are told as null. */
static aerie_status make_value(ae_parquet *p, json_t **out, const ae_parquet_node *n,
                               const ae_parquet_value *v, aerie_error *err)
{
    bool real = n->type == AE_PARQUET_FLOAT || n->type == AE_PARQUET_DOUBLE;

    p->n_text += v->text.len;
    if (p->n_text > MOST_TEXT) return too_much(p, n, err);
    if (n->type == AE_PARQUET_BOOL)
        *out = json_boolean(v->whole);
    else if (real) /* NULL of what is no finite number */
        *out = json_real(v->real);
    else if (n->type == AE_PARQUET_BYTES)
        *out = json_stringn(v->text.data, v->text.len);
    else
        *out = json_integer(v->whole);
    if (!*out && n->type == AE_PARQUET_BYTES && n->is_text)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: row %lld: column '%s' holds bytes that are no UTF-8 text", p->name,
                          (long long)p->row + 1, n->name);
    if (!*out) *out = json_null();
    return *out ? AERIE_OK : no_memory(p, err);
}

static aerie_status read_leaf(ae_parquet *p, json_t **out, const ae_parquet_node *n, int rep,
                              aerie_error *err)
{
    ae_parquet_column *c = &p->columns[n->first_leaf];
    ae_parquet_value v;
    bool there;
    aerie_status status = peek(p, c, err);

    if (status) return status;
    if (c->rep != rep) return damaged(p, n, err);
    status = ae_parquet_column_take(c, &v, &there, err);
    if (status) return status;
    if (there) return make_value(p, out, n, &v, err);
    *out = json_null();
    return AERIE_OK;
}

/* Nothing is there at `n`: each leaf below has one entry that says so. */
static aerie_status skip_absent(ae_parquet *p, const ae_parquet_node *n, int rep, int def,
                                aerie_error *err)
{
    ae_parquet_value v;
    bool there;

    for (size_t i = n->first_leaf; i < n->first_leaf + n->n_leaves; i++) {
        ae_parquet_column *c = &p->columns[i];
        if (!p->reads[p->meta.leaves[i]]) continue;
        aerie_status status = peek(p, c, err);
        if (status) return status;
        if (c->rep != rep || c->def != def || def == c->leaf->def) return damaged(p, n, err);
        status = ae_parquet_column_take(c, &v, &there, err);
        if (status) return status;
    }
    return AERIE_OK;
}

static aerie_status read_node(ae_parquet *p, json_t **out, size_t i, int rep, aerie_error *err);
static aerie_status read_one(ae_parquet *p, json_t **out, size_t i, int rep, aerie_error *err);

static aerie_status read_fields(ae_parquet *p, json_t **out, const ae_parquet_node *n, int rep,
                                aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *out = json_object();
    if (!*out) return no_memory(p, err);
    for (size_t i = n->first_child; i < n->next && !status; i = p->meta.nodes[i].next) {
        json_t *value = NULL;
        if (!p->reads[i]) continue;
        status = read_node(p, &value, i, rep, err);
        if (!status && json_object_set_new(*out, p->meta.nodes[i].name, value))
            status = aerie_fail(err, AERIE_BAD_FILE, "%s: the name of column '%.40s' is no UTF-8",
                                p->name, p->meta.nodes[i].name);
    }
    return status;
}

/* What an item of a repeated node is: of a list's, the value in its wrapper. The wrapper is the
 * item itself where it has several fields, or the names that old writers gave to items
 * (parquet-format's LogicalTypes.md, "backward-compatibility rules"). */
static size_t item_of(const ae_parquet *p, size_t i, bool in_list)
{
    const ae_parquet_node *n = &p->meta.nodes[i];
    size_t len = strlen(n->name);

    if (!in_list || n->n_children != 1 || strcmp(n->name, "array") == 0) return i;
    if (len > 6 && strcmp(n->name + len - 6, "_tuple") == 0) return i;
    return n->first_child;
}

/* All items of a repeated node, whose first entry is known to be there or not. */
static aerie_status read_items(ae_parquet *p, json_t **out, size_t i, bool in_list, int rep,
                               aerie_error *err)
{
    const ae_parquet_node *n = &p->meta.nodes[i];
    ae_parquet_column *c = guide(p, n);
    size_t item = item_of(p, i, in_list);
    bool more = true;
    aerie_status status = peek(p, c, err);

    *out = json_array();
    if (!*out) return no_memory(p, err);
    if (status) return status;
    if (c->def < n->def) return skip_absent(p, n, rep, c->def, err);
    while (more && !status) {
        json_t *value = NULL;
        status =
            item == i ? read_one(p, &value, i, rep, err) : read_node(p, &value, item, rep, err);
        if (status)
            json_decref(value);
        else if (json_array_append_new(*out, value))
            status = no_memory(p, err);
        /* Another item begins where the next entry repeats at this very node. */
        rep = n->rep;
        if (!status) status = ae_parquet_column_peek(c, &more, err);
        more = more && c->rep == n->rep;
    }
    return status;
}

/* A node that is there. */
static aerie_status read_one(ae_parquet *p, json_t **out, size_t i, int rep, aerie_error *err)
{
    const ae_parquet_node *n = &p->meta.nodes[i];

    if (n->n_children == 0) return read_leaf(p, out, n, rep, err);
    if (n->shape != AE_PARQUET_STRUCT)
        return read_items(p, out, n->first_child, n->shape == AE_PARQUET_LIST, rep, err);
    return read_fields(p, out, n, rep, err);
}

/* On failure *out may hold a part, which is the caller's to free. */
static aerie_status read_node(ae_parquet *p, json_t **out, size_t i, int rep, aerie_error *err)
{
    const ae_parquet_node *n = &p->meta.nodes[i];
    aerie_status status;

    if (n->repeat == AE_PARQUET_REPEATED) {
        status = read_items(p, out, i, false, rep, err);
    } else if (n->n_children && n->repeat == AE_PARQUET_OPTIONAL) {
        ae_parquet_column *c = guide(p, n);
        status = peek(p, c, err);
        if (!status && c->def < n->def) {
            *out = json_null();
            return skip_absent(p, n, rep, c->def, err);
        }
        if (!status) status = read_one(p, out, i, rep, err);
    } else {
        status = read_one(p, out, i, rep, err);
    }
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

/* ---- row after row ---- */

/* The columns of a row group that holds rows; its bytes are not needed in memory once it is read.
 */
static aerie_status start_group(ae_parquet *p, aerie_error *err)
{
    const ae_parquet_group *g = &p->meta.groups[p->group];
    aerie_status status = AERIE_OK;

    p->left = g->n_rows;
    for (size_t i = 0; i < p->meta.n_leaves && !status; i++) {
        if (!p->reads[p->meta.leaves[i]]) continue;
        p->columns[i].chunk = &p->meta.chunks[g->first_chunk + i];
        status = ae_parquet_column_start(&p->columns[i], err);
    }
    return status;
}

static aerie_status find_group(ae_parquet *p, bool *more, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    while (p->left == 0 && !status) {
        if (p->started) p->group++;
        p->started = true;
        if (p->file.size) ae_file_forget(&p->file, NULL, 0);
        *more = p->group < p->meta.n_groups;
        if (!*more) return AERIE_OK;
        status = start_group(p, err);
    }
    *more = true;
    return status;
}

static aerie_status next_row(ae_parquet *p, json_t **row, aerie_error *err)
{
    bool more = false;
    aerie_status status = find_group(p, &more, err);

    if (status || !more) return status;
    if (!p->reads[0])
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: it has no column of a type that this build reads", p->name);
    p->n_items = p->n_text = 0;
    status = read_node(p, row, 0, 0, err);
    p->left--;
    p->row++;
    return status;
}

aerie_status ae_parquet_next(ae_parquet *p, json_t **row, aerie_error *err)
{
    aerie_status status;

    *row = NULL;
    if (p->failed || p->group > p->meta.n_groups)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: it cannot be read any further", p->name);
    if (p->started && p->group == p->meta.n_groups) return AERIE_OK;
    status = next_row(p, row, err);
    p->failed = status != AERIE_OK;
    return status;
}
