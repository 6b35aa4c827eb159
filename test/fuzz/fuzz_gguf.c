/* fuzz_gguf.c -- opens bytes as GGUF and walks all that opens. */
#include "format/format.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every getter, on every key: most refuse. */
static void read_values(const ae_gguf *g, const char *key)
{
    ae_arena arena = { .limit = (size_t)64 << 20 };
    const ae_span *texts;
    ae_span text;
    uint32_t u32;
    int64_t i64;
    float f32, *f32s;
    int32_t *i32s;
    bool flag;
    size_t n;

    ae_gguf_u32(g, key, &u32, NULL);
    ae_gguf_i64(g, key, &i64, NULL);
    ae_gguf_f32(g, key, &f32, NULL);
    ae_gguf_bool(g, key, &flag, NULL);
    ae_gguf_text(g, key, &text, NULL);
    ae_gguf_texts(g, key, &texts, &n, NULL);
    ae_gguf_f32s(g, key, &f32s, &n, &arena, NULL);
    ae_gguf_i32s(g, key, &i32s, &n, &arena, NULL);
    ae_arena_free(&arena);
}

/* Any bits are a row of any type. */
static void decode_a_row(const ae_tensor *view)
{
    float row[1024];

    if (view->rows && view->cols <= 1024)
        ae_dtype_decode_row(view->dtype, view->data, view->cols, row);
}

/* The data is touched: a sanitizer sees what does not belong to the file. */
static void read_tensors(const ae_tensor_list *list)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        const uint8_t *bytes = t->data;
        ae_tensor view;
        for (size_t b = 0; b < t->bytes; b++) sum = (uint8_t)(sum + bytes[b]);
        if (ae_stored_tensor_view(&view, t, NULL) == AERIE_OK) decode_a_row(&view);
        ae_tensor_list_find(list, t->name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t *aligned = ae_alloc(size, 1);
    aerie_error err = { 0 };
    ae_bytes out = { 0 };
    ae_gguf *g;

    if (!aligned) return 0;
    if (size) memcpy(aligned, data, size);
    if (ae_gguf_open_memory(&g, aligned, size, "fuzz", &err) == AERIE_OK) {
        for (size_t i = 0; i < ae_gguf_entry_count(g); i++) {
            ae_gguf_entry_print(&out, g, i, 200);
            read_values(g, ae_gguf_entry_at(g, i).key);
        }
        read_tensors(ae_gguf_tensors(g));
    }
    ae_gguf_close(g);
    ae_bytes_free(&out);
    ae_free(aligned);
    return 0;
}
