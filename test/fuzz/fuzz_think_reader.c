/* fuzz_think_reader.c -- reads bytes as a reply with thoughts, at once and byte by byte; the first
 * byte says whether it begins in one. */
#include "aerie/thoughts.h"
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(ae_bytes *thinking, ae_bytes *out, const aerie_thoughts_part *part)
{
    ae_bytes_add(thinking, part->thought, part->thought_len);
    ae_bytes_add(out, part->said, part->said_len);
}

static void read_reply(ae_bytes *out, bool within, ae_span reply, size_t step)
{
    aerie_thoughts *r;
    aerie_thoughts_part part;
    ae_bytes thinking = { 0 };
    if (aerie_thoughts_open(&r, within, NULL)) return;
    for (size_t at = 0; at < reply.len; at += step) {
        part = aerie_thoughts_add(r, reply.data + at, reply.len - at < step ? reply.len - at : step,
                                  1);
        keep(&thinking, out, &part);
    }
    if (aerie_thoughts_end(r, &part, NULL)) __builtin_trap();
    keep(&thinking, out, &part);
    aerie_thoughts_close(r);
    ae_bytes_add(out, "|", 1);
    ae_bytes_add(out, thinking.data, thinking.len);
    ae_bytes_free(&thinking);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_bytes whole = { 0 }, pieces = { 0 };
    if (size == 0) return 0;
    ae_span reply = { (const char *)data + 1, size - 1 };
    read_reply(&whole, data[0] & 1, reply, size);
    read_reply(&pieces, data[0] & 1, reply, 1);
    if (!ae_span_equal(ae_span_of(&whole), ae_span_of(&pieces))) __builtin_trap();
    ae_bytes_free(&whole);
    ae_bytes_free(&pieces);
    return 0;
}
