/* hostile_safetensors.c -- attacks on safetensors readers: lengths, JSON, shapes, offsets. */
#include "format/gguf_bytes.h"
#include "format/hostile.h"

#include "base/base.h"

static void put_file(ae_bytes *b, const char *header, size_t data_bytes)
{
    put_text(b, header);
    put_zeros(b, data_bytes);
}

static void seven_bytes(ae_bytes *b)
{
    put_zeros(b, 7);
}

static void header_of_2_63(ae_bytes *b)
{
    put_u64(b, (uint64_t)1 << 63);
    put_zeros(b, 64);
}

static void header_past_the_end(ae_bytes *b)
{
    put_u64(b, 1000);
    ae_bytes_add_text(b, "{}");
}

static void no_json(ae_bytes *b)
{
    put_file(b, "{\"t\":", 8);
}

static void json_list(ae_bytes *b)
{
    put_file(b, "[]", 0);
}

static void deep_json(ae_bytes *b)
{
    put_u64(b, 100000);
    for (int i = 0; i < 100000; i++) ae_bytes_add_char(b, '[');
}

static void deep_in_a_string(ae_bytes *b)
{
    ae_bytes text = { 0 };

    ae_bytes_add_text(&text, "{\"__metadata__\":{\"a\":\"\\\"");
    for (int i = 0; i < 500; i++) ae_bytes_add_char(&text, '[');
    ae_bytes_add_text(&text, "\"}, \"t\":7}");
    put_file(b, text.data, 0);
    ae_bytes_free(&text);
}

static void tensor_twice(ae_bytes *b)
{
    put_file(b,
             "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
             "\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
             8);
}

static void no_type(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
}

static void no_shape(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4);
}

static void one_offset(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", 4);
}

static void dim_negative(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[-1,-1],\"data_offsets\":[0,4]}}", 4);
}

static void dim_is_float(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4);
}

static void five_dims(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4);
}

/* 2^62 elements of 4 bytes wrap to none. */
static void shape_wraps_to_nothing(ae_bytes *b)
{
    put_file(b,
             "{\"t\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648],\"data_offsets\":[0,0]}}",
             0);
}

static void shape_wraps(ae_bytes *b)
{
    put_file(b,
             "{\"t\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296,1],"
             "\"data_offsets\":[0,4]}}",
             4);
}

static void shape_does_not_fit(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,4]}}", 4);
}

static void past_the_end(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[100],\"data_offsets\":[0,400]}}", 40);
}

static void end_before_begin(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4);
}

static void offset_negative(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-4,4]}}", 4);
}

static void gap(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8);
}

static void more_data(ae_bytes *b)
{
    put_file(b, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8);
}

static void overlap(ae_bytes *b)
{
    put_file(b,
             "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
             "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
             12);
}

static void name_with_escape(ae_bytes *b)
{
    put_file(b, "{\"\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
}

const hostile_case hostile_safetensors[] = {
    { "seven-bytes", seven_bytes, AERIE_BAD_FILE, "7 bytes", NULL },
    { "header-of-2-63", header_of_2_63, AERIE_BAD_FILE, "header claims", NULL },
    { "header-past-the-end", header_past_the_end, AERIE_BAD_FILE, "header claims", NULL },
    { "no-json", no_json, AERIE_BAD_FILE, "does not parse", NULL },
    { "json-list", json_list, AERIE_BAD_FILE, "not an object", NULL },
    { "deep-json", deep_json, AERIE_BAD_FILE, "nested", NULL },
    { "deep-in-a-string", deep_in_a_string, AERIE_BAD_FILE, "no dtype", NULL },
    { "tensor-twice", tensor_twice, AERIE_BAD_FILE, "does not parse", NULL },
    { "no-type", no_type, AERIE_BAD_FILE, "no dtype", NULL },
    { "no-shape", no_shape, AERIE_BAD_FILE, "no shape", NULL },
    { "one-offset", one_offset, AERIE_BAD_FILE, "data_offsets", NULL },
    { "dim-negative", dim_negative, AERIE_BAD_FILE, "whole number", NULL },
    { "dim-is-float", dim_is_float, AERIE_BAD_FILE, "whole number", NULL },
    { "five-dims", five_dims, AERIE_BAD_FILE, "more than 4", NULL },
    { "shape-wraps-to-nothing", shape_wraps_to_nothing, AERIE_BAD_FILE, "does not fit", NULL },
    { "shape-wraps", shape_wraps, AERIE_BAD_FILE, "counted", NULL },
    { "shape-does-not-fit", shape_does_not_fit, AERIE_BAD_FILE, "does not fit", NULL },
    { "past-the-end", past_the_end, AERIE_BAD_FILE, "cut off", NULL },
    { "end-before-begin", end_before_begin, AERIE_BAD_FILE, "data_offsets", NULL },
    { "offset-negative", offset_negative, AERIE_BAD_FILE, "data_offsets", NULL },
    { "gap", gap, AERIE_BAD_FILE, "follows a gap", NULL },
    { "more-data", more_data, AERIE_BAD_FILE, "tensors end at", NULL },
    { "overlap", overlap, AERIE_BAD_FILE, "overlaps", NULL },
    { "name-with-escape", name_with_escape, AERIE_BAD_FILE, "control characters", NULL },
};
const size_t n_hostile_safetensors = AE_COUNT(hostile_safetensors);
