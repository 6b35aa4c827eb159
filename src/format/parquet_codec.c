/* parquet_codec.c -- pages unpacked: as they lie, snappy, gzip, zstd. */
#include "format/parquet.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { UNCOMPRESSED = 0, SNAPPY = 1, GZIP = 2, ZSTD = 6 };

const char *ae_parquet_codec_name(int codec)
{
    switch (codec) {
    case UNCOMPRESSED:
        return "uncompressed";
    case SNAPPY:
        return "snappy";
    case GZIP:
        return "gzip";
    case ZSTD:
        return "zstd";
    default:
        return NULL;
    }
}

static aerie_status damaged(int codec, const char *name, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s: a page's %s data is damaged; fetch the file again",
                      name, ae_parquet_codec_name(codec));
}

/* Room for more, in proportion to what has come: a page that claims much and holds little costs
 * little. */
static size_t grow(ae_bytes *out, size_t want)
{
    size_t step = out->len < 1 << 16 ? 1 << 16 : out->len;

    if (step > want - out->len) step = want - out->len;
    return ae_bytes_reserve(out, step ? step : 1) ? step : 0;
}

/* Snappy says its size up front; no element makes more than 64 bytes of two. */
static bool unpack_snappy(ae_bytes *out, const uint8_t *data, size_t size, size_t want)
{
    if (want / 32 > size || !ae_bytes_reserve(out, want + 1)) return false;
    out->len = want;
    return ae_snappy_unpack((uint8_t *)out->data, want, data, size);
}

static bool unpack_gzip(ae_bytes *out, const uint8_t *data, size_t size, size_t want)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size };
    int code = Z_OK;

    /* 32: a gzip or a zlib header, as the data has. */
    if (size > UINT_MAX || inflateInit2(&z, 15 + 32) != Z_OK) return false;
    while (code == Z_OK && out->len < want) {
        size_t room = grow(out, want);
        if (!room) break;
        z.next_out = (Bytef *)out->data + out->len;
        z.avail_out = (uInt)room;
        code = inflate(&z, Z_NO_FLUSH);
        out->len += room - z.avail_out;
    }
    inflateEnd(&z);
    return (code == Z_OK || code == Z_STREAM_END) && out->len == want;
}

static bool unpack_zstd(ae_bytes *out, const uint8_t *data, size_t size, size_t want)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer in = { data, size, 0 };
    size_t before, code = 1;

    while (z && out->len < want && !ZSTD_isError(code)) {
        size_t room = grow(out, want);
        if (!room) break;
        ZSTD_outBuffer to = { out->data + out->len, room, 0 };
        before = in.pos;
        code = ZSTD_decompressStream(z, &to, &in);
        out->len += to.pos;
        if (to.pos == 0 && in.pos == before) break; /* nothing moves: cut off */
    }
    ZSTD_freeDStream(z);
    return z && !ZSTD_isError(code) && out->len == want;
}

aerie_status ae_parquet_unpack(ae_bytes *out, int codec, const uint8_t *data, size_t size,
                               size_t want, const char *name, aerie_error *err)
{
    bool good = true;

    ae_bytes_clear(out);
    if (!ae_bytes_reserve(out, 1)) return ae_bytes_status(out, err);
    if (want == 0) return AERIE_OK;
    if (codec == SNAPPY) good = unpack_snappy(out, data, size, want);
    if (codec == GZIP) good = unpack_gzip(out, data, size, want);
    if (codec == ZSTD) good = unpack_zstd(out, data, size, want);
    if (codec == UNCOMPRESSED) {
        good = size == want;
        if (good) ae_bytes_add(out, data, size);
    }
    if (out->failed) return ae_bytes_status(out, err);
    return good ? AERIE_OK : damaged(codec, name, err);
}
