/* pair.c -- from texts to tokens: where a context ends and what is scored begins. */
#include "task/task_private.h"

#include <string.h>

void ae_pair_free(ae_pair *p)
{
    ae_ids_free(&p->ids);
    *p = (ae_pair){ 0 };
}

/* Nothing stands before the continuation: BOS (else EOS) does, or its own first token where that is
 * the same. */
static aerie_status encode_alone(ae_pair *out, ae_span continuation, int32_t prefix_id,
                                 ae_encode_fn *encode, void *user, aerie_error *err)
{
    ae_ids ids = { 0 };
    aerie_status status = encode(user, continuation, false, &ids, err);

    if (!status && (!ids.len || ids.data[0] != prefix_id)) ae_ids_add(&out->ids, prefix_id);
    if (!status) ae_ids_add_all(&out->ids, ids.data, ids.len);
    if (!status) status = ae_ids_status(&out->ids, err);
    out->n_context = 1;
    ae_ids_free(&ids);
    return status;
}

/* The scored part is what the whole has beyond the context's count; the context keeps its own ids,
 * which differ from the whole's where a token spans the join. */
static aerie_status encode_both(ae_pair *out, ae_span context, ae_span continuation,
                                ae_encode_fn *encode, void *user, aerie_error *err)
{
    ae_bytes both = { 0 };
    ae_ids whole = { 0 };
    aerie_status status = encode(user, context, true, &out->ids, err);

    ae_bytes_add(&both, context.data, context.len);
    ae_bytes_add(&both, continuation.data, continuation.len);
    if (!status) status = ae_bytes_status(&both, err);
    if (!status) status = encode(user, ae_span_of(&both), true, &whole, err);
    if (!status) {
        size_t n = out->ids.len;
        out->n_context = n;
        out->merged =
            whole.len < n || (n && memcmp(whole.data, out->ids.data, n * sizeof *whole.data));
        if (whole.len > n) ae_ids_add_all(&out->ids, whole.data + n, whole.len - n);
        status = ae_ids_status(&out->ids, err);
    }
    ae_ids_free(&whole);
    ae_bytes_free(&both);
    return status;
}

/* With the white space of the context's end before the continuation. */
static aerie_status move_space(ae_bytes *out, ae_span *context, ae_span continuation,
                               aerie_error *err)
{
    ae_span kept = python_strip(*context, false, true);

    ae_bytes_add(out, kept.data + kept.len, context->len - kept.len);
    ae_bytes_add(out, continuation.data, continuation.len);
    *context = kept;
    return ae_bytes_status(out, err);
}

aerie_status ae_pair_encode(ae_pair *out, ae_span context, ae_span continuation, int32_t prefix_id,
                            ae_encode_fn *encode, void *user, aerie_error *err)
{
    ae_bytes moved = { 0 };
    aerie_status status;

    *out = (ae_pair){ 0 };
    if (!context.len)
        status = encode_alone(out, continuation, prefix_id, encode, user, err);
    else
        status = move_space(&moved, &context, continuation, err);
    if (!status && moved.data)
        status = encode_both(out, context, ae_span_of(&moved), encode, user, err);
    ae_bytes_free(&moved);
    if (!status && out->ids.len <= out->n_context)
        status = aerie_fail(err, AERIE_BAD_TEXT,
                            "a token spans the whole of '%.60s': nothing of it is left to score",
                            continuation.data ? continuation.data : "");
    if (status) ae_pair_free(out);
    return status;
}

void ae_pair_truncate(ae_pair *p, size_t max_length)
{
    size_t drop;

    if (p->ids.len <= max_length + 1) return;
    drop = p->ids.len - max_length - 1;
    memmove(p->ids.data, p->ids.data + drop, (max_length + 1) * sizeof *p->ids.data);
    p->ids.len = max_length + 1;
    p->n_context = p->n_context > drop ? p->n_context - drop : 0;
}

size_t ae_common_tokens(const ae_ids *rows, size_t n)
{
    for (size_t k = 0; n; k++)
        for (size_t i = 0; i < n; i++)
            if (k >= rows[i].len || rows[i].data[k] != rows[0].data[k]) return k;
    return 0;
}

/* The choice's own tokens do not count where enough follows them in both sentences; the last token
 * (the full stop) does not where another is left. */
void ae_winogrande_span(const ae_ids rows[2], const size_t choice_end[2], size_t first[2],
                        size_t end[2])
{
    enum { ENOUGH = 3 };
    size_t common = ae_common_tokens(rows, 2);
    bool skip = rows[0].len - common > ENOUGH && rows[1].len - common > ENOUGH;

    for (int i = 0; i < 2; i++) {
        first[i] = skip ? choice_end[i] : common;
        if (first[i] > rows[i].len) first[i] = rows[i].len;
        end[i] = rows[i].len - (rows[i].len - first[i] > 1);
    }
}

/* The harness' get_rolling_token_windows(): the first window predicts from the prefix on; each
 * later one predicts at most max_length - context_len + 1 ids, and sees as many before them as fit.
 */
aerie_status ae_rolling_windows(ae_window **out, size_t *n, size_t n_ids, size_t max_length,
                                size_t context_len, ae_arena *arena, aerie_error *err)
{
    size_t step = max_length - context_len + 1, first = n_ids < max_length ? n_ids : max_length;
    size_t most, at;

    *n = 0;
    if (!max_length || !context_len || context_len > max_length)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a window of %zu tokens cannot keep %zu of them as context", max_length,
                          context_len);
    most = 2 + n_ids / step;
    *out = ae_arena_take(arena, most, sizeof **out);
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a text's windows");
    if (!n_ids) return AERIE_OK;
    (*out)[(*n)++] =
        (ae_window){ .n_input = first - 1, .prefixed = true, .predict = 0, .n_predict = first };
    for (at = first; at < n_ids;) {
        size_t predict = n_ids - at < step ? n_ids - at : step, end = at + predict;
        size_t from = end > max_length + 1 ? end - max_length - 1 : 0;
        (*out)[(*n)++] = (ae_window){
            .input = from, .n_input = end - 1 - from, .predict = at, .n_predict = predict
        };
        at = end;
    }
    return AERIE_OK;
}

size_t ae_half_windows(size_t n_ids, size_t n_ctx, size_t most)
{
    size_t n = n_ctx > 0 ? n_ids / n_ctx : 0;

    return most > 0 && n > most ? most : n;
}
