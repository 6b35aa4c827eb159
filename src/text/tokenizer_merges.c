/* tokenizer_merges.c -- turns the lines of a merge table, "left right", into pairs of ids. */
#include "text/tokenizer_parts.h"

#include <string.h>

typedef struct {
    int32_t left, right, merged;
} merge_ids;

/* Looks up both sides of one way to cut a line, and what they make. */
static bool try_cut(const ae_tokenizer *t, ae_span line, size_t space, ae_bytes *joined,
                    merge_ids *out)
{
    ae_span left = { line.data, space };
    ae_span right = { line.data + space + 1, line.len - space - 1 };

    out->left = ae_text_table_find(&t->by_text, left);
    if (out->left < 0) return false;
    out->right = ae_text_table_find(&t->by_text, right);
    if (out->right < 0) return false;
    ae_bytes_clear(joined);
    ae_bytes_add(joined, left.data, left.len);
    ae_bytes_add(joined, right.data, right.len);
    out->merged = ae_text_table_find(&t->by_text, ae_span_of(joined));
    return out->merged >= 0;
}

/* A side may hold spaces itself; the first cut whose three texts are all tokens is meant. */
static bool find_merge(const ae_tokenizer *t, ae_span line, ae_bytes *joined, merge_ids *out)
{
    for (size_t i = 1; i + 1 < line.len; i++)
        if (line.data[i] == ' ' && try_cut(t, line, i, joined, out)) return true;
    return false;
}

aerie_status ae_merges_new(ae_tokenizer *t, aerie_error *err)
{
    ae_bytes joined = { 0 };
    aerie_status status = ae_number_table_new(&t->pairs, &t->arena, (size_t)t->vocab.n_merges, err);

    for (int32_t i = 0; i < t->vocab.n_merges && !status; i++) {
        ae_span line = t->vocab.merges[i];
        merge_ids m;

        if (find_merge(t, line, &joined, &m))
            ae_number_table_add(&t->pairs, ae_pair_key(m.left, m.right), (uint32_t)i, m.merged);
        else if (joined.failed)
            status = ae_bytes_status(&joined, err);
        else
            status = aerie_fail(err, AERIE_BAD_FILE,
                                "merge %d (\"%.*s\") needs tokens that the vocabulary lacks: the "
                                "file is damaged, or vocabulary and merges are not from one model",
                                i, (int)(line.len < 80 ? line.len : 80), line.data);
    }
    ae_bytes_free(&joined);
    return status;
}
