/* gguf_print.c -- metadata as people read it, safe for a terminal. */
#include "format/gguf.h"

#include <inttypes.h>

size_t ae_gguf_entry_count(const ae_gguf *g)
{
    return g->keys.n;
}

ae_gguf_entry ae_gguf_entry_at(const ae_gguf *g, size_t i)
{
    const ae_gguf_value *value = &g->values[i];

    return (ae_gguf_entry){ value->key, value->type, value->element_type, value->count };
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static void print_text(ae_bytes *out, ae_span text, size_t most)
{
    size_t shown = text.len < most ? text.len : most;

    /* A cut must not leave half a UTF-8 sequence. */
    while (shown < text.len && shown && is_continuation(text.data[shown])) shown--;
    ae_bytes_add_char(out, '"');
    for (size_t i = 0; i < shown; i++) {
        char c = text.data[i];
        if (c == '\n')
            ae_bytes_add_text(out, "\\n");
        else if (c == '\t')
            ae_bytes_add_text(out, "\\t");
        else if (c == '"' || c == '\\')
            ae_bytes_printf(out, "\\%c", c);
        else if ((unsigned char)c < 0x20 || c == 0x7f)
            ae_bytes_printf(out, "\\x%02x", (unsigned char)c);
        else
            ae_bytes_add_char(out, c);
    }
    ae_bytes_add_text(out, shown < text.len ? "\"..." : "\"");
}

static void print_element(ae_bytes *out, const ae_gguf_value *value, uint64_t i, size_t most)
{
    uint64_t big = 0;
    int64_t number;
    double real;

    if (value->element_type == AE_GGUF_TEXT) {
        print_text(out, value->texts[i], most);
    } else if (value->element_type == AE_GGUF_BOOL) {
        ae_bytes_add_text(out, value->data[i] ? "true" : "false");
    } else if (ae_gguf_float(value, i, &real)) {
        ae_bytes_printf(out, "%.9g", real);
    } else if (ae_gguf_integer(value, i, &number)) {
        ae_bytes_printf(out, "%" PRId64, number);
    } else { /* a U64 past int64 */
        for (size_t b = 8; b-- > 0;) big = big << 8 | value->data[8 * i + b];
        ae_bytes_printf(out, "%" PRIu64, big);
    }
}

void ae_gguf_entry_print(ae_bytes *out, const ae_gguf *g, size_t i, size_t most)
{
    const ae_gguf_value *value = &g->values[i];
    size_t start = out->len;

    if (value->type != AE_GGUF_ARRAY) {
        print_element(out, value, 0, most);
        return;
    }
    ae_bytes_add_char(out, '[');
    for (uint64_t e = 0; e < value->count && !out->failed; e++) {
        size_t used = out->len - start;
        if (e) ae_bytes_add_text(out, ", ");
        if (used >= most) {
            ae_bytes_add_text(out, "...");
            break;
        }
        print_element(out, value, e, most - used);
    }
    ae_bytes_add_char(out, ']');
}
