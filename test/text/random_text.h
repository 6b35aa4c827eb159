/* random_text.h -- seeded texts for the tests of tokenizers. */
#ifndef RANDOM_TEXT_H
#define RANDOM_TEXT_H

#include "text/utf8.h"

/* Characters whose Unicode properties have been the same for many years. */
static inline int32_t random_code(ae_rng *rng)
{
    static const int32_t ranges[][2] = {
        { 0x20, 0x7f },      { 0x61, 0x7b },     { 0x41, 0x5b },     { 0x30, 0x3a },
        { 0x20, 0x21 },      { 0x20, 0x21 },     { 0x09, 0x0e },     { 0xa0, 0x100 },
        { 0x391, 0x3a2 },    { 0x410, 0x450 },   { 0x5d0, 0x5eb },   { 0x660, 0x66a },
        { 0x905, 0x93a },    { 0x2000, 0x200b }, { 0x2010, 0x2028 }, { 0x2160, 0x2180 },
        { 0x3041, 0x3097 },  { 0x4e00, 0x9fa6 }, { 0xac00, 0xd7a4 }, { 0x300, 0x340 },
        { 0x1f600, 0x1f640 }
    };
    const int32_t *range = ranges[ae_rng_below(rng, AE_COUNT(ranges))];

    return range[0] + (int32_t)ae_rng_below(rng, (uint64_t)(range[1] - range[0]));
}

/* Up to `most` characters, well-formed. Every second one goes on where a contraction or a line
 * break would be of interest. */
static inline void random_text(ae_bytes *out, ae_rng *rng, size_t most)
{
    static const char *const bits[] = { "'s",   "'LL", "'re ",  "\r\n",  "\n\n", "  ",
                                        " the", "...", "12345", "don't", "ing",  "'\xc5\xbf" };
    size_t n = ae_rng_below(rng, most + 1);

    ae_bytes_clear(out);
    for (size_t i = 0; i < n; i++) {
        char bytes[4];

        if (ae_rng_below(rng, 6) == 0)
            ae_bytes_add_text(out, bits[ae_rng_below(rng, AE_COUNT(bits))]);
        else
            ae_bytes_add(out, bytes, ae_utf8_put(random_code(rng), bytes));
    }
    ae_bytes_reserve(out, 0);
}

/* Up to `most` bytes of any kind. */
static inline void random_bytes(ae_bytes *out, ae_rng *rng, size_t most)
{
    size_t n = ae_rng_below(rng, most + 1);

    ae_bytes_clear(out);
    for (size_t i = 0; i < n; i++) ae_bytes_add_char(out, (char)ae_rng_below(rng, 256));
    ae_bytes_reserve(out, 0);
}

#endif
