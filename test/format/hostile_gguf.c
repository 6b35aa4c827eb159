/* hostile_gguf.c -- attacks on GGUF readers, rebuilt from their descriptions. */
#include "format/gguf_bytes.h"
#include "format/hostile.h"

#include "base/base.h"
#include "blocks.h"

static const uint64_t huge = (uint64_t)1 << 63;

/* A header, one key, one good tensor [4, 8] of F32 at `offset`, and its data. */
static void put_good_tensor(ae_bytes *b, uint64_t offset)
{
    put_tensor(b, "t", 8, 4, 0, offset);
    put_padding(b, 32);
    put_zeros(b, 128);
}

/* CVE-2024-39720: four bytes. */
static void four_bytes(ae_bytes *b)
{
    ae_bytes_add_text(b, "GGUF");
}

static void empty(ae_bytes *b)
{
    ae_bytes_add(b, "", 0);
}

static void another_format(ae_bytes *b)
{
    ae_bytes_add_text(b, "PK\3\4 this is a zip file");
}

static void version_one(ae_bytes *b)
{
    ae_bytes_add_text(b, "GGUF");
    put_u32(b, 1);
    put_zeros(b, 16);
}

static void big_endian(ae_bytes *b)
{
    ae_bytes_add_text(b, "GGUF");
    put_u32(b, 3u << 24);
    put_zeros(b, 16);
}

/* CVE-2024-23605, CVE-2024-25664: the number of values times the size of one wraps. */
static void many_values(ae_bytes *b)
{
    put_header(b, 0, UINT64_MAX / 16 + 2);
    put_zeros(b, 64);
}

/* CVE-2024-21836, CVE-2026-27940: the number of tensors times the size of one wraps. */
static void many_tensors(ae_bytes *b)
{
    put_header(b, UINT64_MAX / 64 + 2, 0);
    put_zeros(b, 256);
}

/* As many as a 32-bit check would pass, in a small file. */
static void more_tensors_than_bytes(ae_bytes *b)
{
    put_header(b, 100000, 0);
    put_zeros(b, 256);
}

/* CVE-2024-21825: the length of a text plus one wraps to 0. */
static void text_length_wraps(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_key(b, "k", AE_GGUF_TEXT);
    put_u64(b, UINT64_MAX);
    put_zeros(b, 64);
}

/* A text of 2^63 bytes in a file of 45. */
static void text_of_2_63(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_key(b, "k", AE_GGUF_TEXT);
    put_u64(b, huge);
}

static void key_length_wraps(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_u64(b, UINT64_MAX - 7);
    put_zeros(b, 64);
}

/* CVE-2024-21802, CVE-2024-23496: the elements of an array times their size wrap. */
static void array_wraps(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_array(b, "k", AE_GGUF_U64, UINT64_MAX / 8 + 2);
    put_zeros(b, 64);
}

static void array_of_2_63(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_array(b, "k", AE_GGUF_U8, huge);
    put_zeros(b, 64);
}

static void texts_of_2_63(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_array(b, "k", AE_GGUF_TEXT, huge);
    put_zeros(b, 64);
}

/* The count passes, the texts run out. */
static void texts_cut_off(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_array(b, "k", AE_GGUF_TEXT, 5);
    put_text(b, "a");
    put_text(b, "b");
    put_u64(b, 1000);
    put_zeros(b, 40);
}

/* An array of arrays of arrays: no recursion to be had. */
static void nested_arrays(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_array(b, "k", AE_GGUF_ARRAY, 1);
    for (int i = 0; i < 1000; i++) {
        put_u32(b, AE_GGUF_ARRAY);
        put_u64(b, 1);
    }
}

static void unknown_value_type(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_key(b, "k", (ae_gguf_type)99);
    put_zeros(b, 64);
}

static void key_twice(ae_bytes *b)
{
    put_header(b, 0, 2);
    put_u32_value(b, "k", 1);
    put_u32_value(b, "k", 2);
}

static void key_with_escape(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_u32_value(b, "\33[2Jk", 1);
}

static void key_with_zero(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_u64(b, 3);
    ae_bytes_add(b, "a\0b", 3);
    put_u32(b, AE_GGUF_U32);
    put_u32(b, 0);
}

static void with_alignment(ae_bytes *b, uint32_t alignment)
{
    put_header(b, 1, 1);
    put_u32_value(b, "general.alignment", alignment);
    put_good_tensor(b, 0);
}

/* Padding to this wraps 32 bits. */
static void alignment_wraps(ae_bytes *b)
{
    with_alignment(b, 0x80000000u);
}

static void alignment_zero(ae_bytes *b)
{
    with_alignment(b, 0);
}

static void alignment_odd(ae_bytes *b)
{
    with_alignment(b, 48);
}

static void alignment_is_text(ae_bytes *b)
{
    put_header(b, 1, 1);
    put_key(b, "general.alignment", AE_GGUF_TEXT);
    put_text(b, "32");
    put_good_tensor(b, 0);
}

/* CVE-2025-53630: the sum of the padded sizes of several tensors wraps. */
static void sizes_wrap_in_sum(ae_bytes *b)
{
    put_header(b, 2, 0);
    put_tensor(b, "a", (uint64_t)1 << 61, 1, 0, 0);
    put_tensor(b, "b", (uint64_t)1 << 61, 1, 0, 0);
    put_padding(b, 32);
    put_zeros(b, 128);
}

/* CVE-2024-21836 (ne): the product of the dimensions wraps. */
static void dims_wrap(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_text(b, "t");
    put_u32(b, 4);
    for (int i = 0; i < 4; i++) put_u64(b, (uint64_t)1 << 32);
    put_u32(b, 0);
    put_u64(b, 0);
    put_padding(b, 32);
    put_zeros(b, 128);
}

/* CVE-2026-33298: a dimension of 2^42 + 1 blocks, whose bytes wrap to a few. */
static void quantised_size_wraps(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", (((uint64_t)1 << 42) + 1) * 256, (uint64_t)1 << 16, 12, 0);
    put_padding(b, 32);
    put_zeros(b, 256);
}

static void broken_block(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", ((uint64_t)1 << 42) + 1, 1, 8, 0);
    put_padding(b, 32);
    put_zeros(b, 256);
}

/* A block of every type, one behind the other, and the last one byte short. */
static void every_type_last_cut(ae_bytes *b)
{
    uint64_t at = 0;

    put_header(b, AE_COUNT(stored_types), 0);
    for (size_t i = 0; i < AE_COUNT(stored_types); i++) {
        const ae_dtype_info *info = ae_dtype_info_of(stored_types[i]);
        put_tensor(b, info->name, (uint64_t)info->block_elements, 1, (uint32_t)info->dtype, at);
        at += (uint64_t)info->block_bytes;
        if (i + 1 < AE_COUNT(stored_types)) at = (at + 31) / 32 * 32;
    }
    put_padding(b, 32);
    put_zeros(b, at - 1);
}

static void dim_zero(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 0, 4, 0, 0);
    put_padding(b, 32);
    put_zeros(b, 128);
}

static void dim_negative(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 8, UINT64_MAX, 0, 0);
    put_padding(b, 32);
    put_zeros(b, 128);
}

static void many_dims(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_text(b, "t");
    put_u32(b, 0xffffffffu);
    put_zeros(b, 256);
}

/* CVE-2026-7482: the tensor lies past the end of the file, so that a copy of it is someone else's
 * memory. */
static void tensor_past_the_end(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 8, 1000, 0, 0);
    put_padding(b, 32);
    put_zeros(b, 128);
}

static void offset_past_the_end(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_good_tensor(b, 160);
}

static void offset_wraps(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_good_tensor(b, UINT64_MAX - 31);
}

/* 2^64 - 32 bytes at 32: the end is 0. */
static void end_wraps(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 8, ((uint64_t)1 << 59) - 1, 0, 32);
    put_padding(b, 32);
    put_zeros(b, 128);
}

static void offset_unaligned(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_good_tensor(b, 4);
}

static void tensors_overlap(ae_bytes *b)
{
    put_header(b, 2, 0);
    put_tensor(b, "a", 8, 4, 0, 64);
    put_tensor(b, "b", 8, 4, 0, 0);
    put_padding(b, 32);
    put_zeros(b, 192);
}

static void tensor_twice(ae_bytes *b)
{
    put_header(b, 2, 0);
    put_tensor(b, "t", 8, 1, 0, 0);
    put_tensor(b, "t", 8, 1, 0, 32);
    put_padding(b, 32);
    put_zeros(b, 64);
}

static void tensor_without_name(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "", 8, 4, 0, 0);
    put_padding(b, 32);
    put_zeros(b, 128);
}

static void no_data(ae_bytes *b)
{
    put_header(b, 1, 0);
    put_tensor(b, "t", 8, 4, 0, 0);
}

static void one_of_several(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_u32_value(b, "split.count", 3);
}

/* Scores declared as bytes: who reads them as floats reads four times what is there. */
static void scores_as_bytes(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_array(b, "tokenizer.ggml.scores", AE_GGUF_U8, 32);
    put_zeros(b, 32);
}

static void scores_as_one_float(ae_bytes *b)
{
    put_header(b, 0, 1);
    put_key(b, "tokenizer.ggml.scores", AE_GGUF_F32);
    put_zeros(b, 4);
}

const hostile_case hostile_gguf[] = {
    { "cve-2024-39720-four-bytes", four_bytes, AERIE_BAD_FILE, "cut off", NULL },
    { "empty", empty, AERIE_BAD_FILE, "not a GGUF file", NULL },
    { "another-format", another_format, AERIE_BAD_FILE, "not a GGUF file", NULL },
    { "version-1", version_one, AERIE_UNSUPPORTED, "version 1", NULL },
    { "big-endian", big_endian, AERIE_UNSUPPORTED, "big-endian", NULL },
    { "cve-2024-23605-many-values", many_values, AERIE_BAD_FILE, "metadata values in", NULL },
    { "cve-2024-21836-many-tensors", many_tensors, AERIE_BAD_FILE, "tensors in", NULL },
    { "cve-2026-27940-many-tensors", more_tensors_than_bytes, AERIE_BAD_FILE, "tensors in", NULL },
    { "cve-2024-21825-text-length", text_length_wraps, AERIE_BAD_FILE, "cut off", NULL },
    { "text-of-2-63", text_of_2_63, AERIE_BAD_FILE, "cut off", NULL },
    { "key-length-wraps", key_length_wraps, AERIE_BAD_FILE, "cut off", NULL },
    { "cve-2024-21802-array-wraps", array_wraps, AERIE_BAD_FILE, "cut off", NULL },
    { "array-of-2-63", array_of_2_63, AERIE_BAD_FILE, "cut off", NULL },
    { "cve-2024-23496-texts-of-2-63", texts_of_2_63, AERIE_BAD_FILE, "claims", NULL },
    { "texts-cut-off", texts_cut_off, AERIE_BAD_FILE, "cut off", NULL },
    { "nested-arrays", nested_arrays, AERIE_BAD_FILE, "nested", NULL },
    { "unknown-value-type", unknown_value_type, AERIE_BAD_FILE, "does not exist", NULL },
    { "key-twice", key_twice, AERIE_BAD_FILE, "twice", NULL },
    { "key-with-escape", key_with_escape, AERIE_BAD_FILE, "control characters", NULL },
    { "key-with-zero", key_with_zero, AERIE_BAD_FILE, "control characters", NULL },
    { "alignment-wraps", alignment_wraps, AERIE_BAD_FILE, "alignment is 2147483648", NULL },
    { "alignment-zero", alignment_zero, AERIE_BAD_FILE, "alignment is 0", NULL },
    { "alignment-odd", alignment_odd, AERIE_BAD_FILE, "alignment is 48", NULL },
    { "alignment-is-text", alignment_is_text, AERIE_BAD_FILE, "whole number", NULL },
    { "cve-2025-53630-sum-wraps", sizes_wrap_in_sum, AERIE_BAD_FILE, "cut off", NULL },
    { "cve-2024-21836-dims-wrap", dims_wrap, AERIE_BAD_FILE, "counted", NULL },
    { "cve-2026-33298-size-wraps", quantised_size_wraps, AERIE_BAD_FILE, "counted", NULL },
    { "broken-block", broken_block, AERIE_BAD_FILE, "broken block", NULL },
    { "every-type-last-cut", every_type_last_cut, AERIE_BAD_FILE, "cut off", NULL },
    { "dim-zero", dim_zero, AERIE_BAD_FILE, "dimension", NULL },
    { "dim-negative", dim_negative, AERIE_BAD_FILE, "dimension", NULL },
    { "many-dims", many_dims, AERIE_BAD_FILE, "more than 4", NULL },
    { "cve-2026-7482-past-the-end", tensor_past_the_end, AERIE_BAD_FILE, "cut off", NULL },
    { "offset-past-the-end", offset_past_the_end, AERIE_BAD_FILE, "cut off", NULL },
    { "offset-wraps", offset_wraps, AERIE_BAD_FILE, "cut off", NULL },
    { "end-wraps", end_wraps, AERIE_BAD_FILE, "cut off", NULL },
    { "offset-unaligned", offset_unaligned, AERIE_BAD_FILE, "aligned", NULL },
    { "tensors-overlap", tensors_overlap, AERIE_BAD_FILE, "overlap", NULL },
    { "tensor-twice", tensor_twice, AERIE_BAD_FILE, "two tensors", NULL },
    { "tensor-without-name", tensor_without_name, AERIE_BAD_FILE, "empty", NULL },
    { "no-data", no_data, AERIE_BAD_FILE, "cut off", NULL },
    { "one-of-several", one_of_several, AERIE_UNSUPPORTED, "3 parts", NULL },
    { "scores-as-bytes", scores_as_bytes, AERIE_OK, "array of U8", "tokenizer.ggml.scores" },
    { "scores-as-one-float", scores_as_one_float, AERIE_OK, "of type F32",
      "tokenizer.ggml.scores" },
};
const size_t n_hostile_gguf = AE_COUNT(hostile_gguf);
