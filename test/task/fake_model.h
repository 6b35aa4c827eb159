/* fake_model.h -- the golden files' model: toy tokenizers, and log-likelihoods by arithmetic (see
 * golden/evaluation/README.md); and the template that their conversations use. */
#ifndef AE_TEST_FAKE_MODEL_H
#define AE_TEST_FAKE_MODEL_H

#include "task/task.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    json_t *pieces; /* text -> id; NULL: bytes */
    bool bos;
} fake_tokenizer;

enum { FAKE_BOS = 1, FAKE_BYTE = 3, LONGEST_PIECE = 8 };

/* The id of the longest piece at the text's beginning; *n: bytes of it. 0: none. */
static inline int32_t fake_piece(const json_t *pieces, ae_span text, size_t *n)
{
    size_t ends[LONGEST_PIECE + 1], k = 0;

    for (size_t at = 0; k < LONGEST_PIECE && at < text.len; ends[k++] = at) do
            at++;
        while (at < text.len && (text.data[at] & 0xc0) == 0x80);
    while (k--) {
        json_t *id = json_object_getn(pieces, text.data, ends[k]);
        *n = ends[k];
        if (id) return (int32_t)json_integer_value(id);
    }
    return 0;
}

/* "▁" + text, with "▁" for every space. */
static inline void fake_normalise(ae_bytes *out, ae_span text)
{
    ae_bytes_add_text(out, "\xe2\x96\x81");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == ' ')
            ae_bytes_add_text(out, "\xe2\x96\x81");
        else
            ae_bytes_add_char(out, text.data[i]);
}

static inline aerie_status fake_encode(void *user, ae_span text, bool with_bos, ae_ids *ids,
                                       aerie_error *err)
{
    const fake_tokenizer *t = user;
    ae_bytes normal = { 0 };

    if (with_bos && t->bos && !(text.len >= 3 && memcmp(text.data, "<s>", 3) == 0))
        ae_ids_add(ids, FAKE_BOS);
    if (!t->pieces) {
        for (size_t i = 0; i < text.len; i++) ae_ids_add(ids, (uint8_t)text.data[i] + FAKE_BYTE);
        return ae_ids_status(ids, err);
    }
    fake_normalise(&normal, text);
    for (size_t at = 0; at < normal.len;) {
        size_t n = 1;
        int32_t id = fake_piece(t->pieces, (ae_span){ normal.data + at, normal.len - at }, &n);
        ae_ids_add(ids, id ? id : (uint8_t)normal.data[at] + FAKE_BYTE);
        at += id ? n : 1;
    }
    ae_bytes_free(&normal);
    return ae_ids_status(ids, err);
}

/* Of ids[n_context ..). */
static inline ae_response fake_score(const ae_pair *p)
{
    ae_response a = { .is_greedy = true, .n_tokens = (int32_t)(p->ids.len - p->n_context) };

    for (size_t i = p->n_context; i < p->ids.len; i++) {
        uint32_t h = (uint32_t)p->ids.data[i - 1] * 1103515245u +
                     (uint32_t)p->ids.data[i] * 12345u + (uint32_t)i * 2654435761u;
        uint32_t v = (h >> 16) & 1023;
        a.ll -= v / 128.0;
        a.is_greedy &= v < 64;
    }
    return a;
}

static inline aerie_status zephyr_chat(void *user, json_t *messages, ae_bytes *out,
                                       aerie_error *err)
{
    json_t *one;
    size_t i;

    (void)user;
    json_array_foreach(messages, i, one)
        ae_bytes_printf(out, "<|%s|>\n%s</s>\n", json_string_value(json_object_get(one, "role")),
                        json_string_value(json_object_get(one, "content")));
    ae_bytes_add_text(out, "<|assistant|>\n");
    return ae_bytes_status(out, err);
}

/* A file of the golden data; NULL: they are not here. */
static inline json_t *golden_file(const char *name)
{
    const char *shared = getenv("AERIE_SHARED");
    ae_bytes path = { 0 };
    json_error_t where;
    json_t *root;

    ae_bytes_printf(&path, "%s/golden/evaluation/%s", shared ? shared : "../shared", name);
    root = json_load_file(path.data, JSON_ALLOW_NUL, &where);
    ae_bytes_free(&path);
    return root;
}

/* "../shared/data/bench" + name, owned; NULL: not here. */
static inline char *bench_path(const char *name)
{
    const char *shared = getenv("AERIE_SHARED");
    ae_bytes path = { 0 };

    ae_bytes_printf(&path, "%s/data/bench%s%s", shared ? shared : "../shared", *name ? "/" : "",
                    name);
    if (ae_file_exists(path.data)) return path.data;
    ae_bytes_free(&path);
    return NULL;
}

#endif
