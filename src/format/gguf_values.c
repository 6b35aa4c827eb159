/* gguf_values.c -- typed access to metadata: a value is never read as what it is not. */
#include "format/gguf.h"

#include <string.h>

size_t ae_gguf_type_bytes(ae_gguf_type type)
{
    switch (type) {
    case AE_GGUF_U8:
    case AE_GGUF_I8:
    case AE_GGUF_BOOL:
        return 1;
    case AE_GGUF_U16:
    case AE_GGUF_I16:
        return 2;
    case AE_GGUF_U32:
    case AE_GGUF_I32:
    case AE_GGUF_F32:
        return 4;
    case AE_GGUF_U64:
    case AE_GGUF_I64:
    case AE_GGUF_F64:
        return 8;
    case AE_GGUF_TEXT:
    case AE_GGUF_ARRAY:
        break;
    }
    return 0;
}

const char *ae_gguf_type_name(ae_gguf_type type)
{
    static const char *const names[] = { "U8",   "I8",   "U16",   "I16", "U32", "I32", "F32",
                                         "bool", "text", "array", "U64", "I64", "F64" };

    return (unsigned)type < AE_COUNT(names) ? names[type] : "?";
}

bool ae_gguf_has(const ae_gguf *g, const char *key)
{
    return ae_names_find(&g->keys, key) != SIZE_MAX;
}

const ae_gguf_value *ae_gguf_find(const ae_gguf *g, const char *key)
{
    size_t i = ae_names_find(&g->keys, key);

    return i == SIZE_MAX ? NULL : &g->values[i];
}

bool ae_gguf_integer(const ae_gguf_value *value, uint64_t i, int64_t *out)
{
    size_t bytes = ae_gguf_type_bytes(value->element_type);
    const uint8_t *at = value->data + i * bytes;
    uint64_t bits = 0;

    memcpy(&bits, at, bytes); /* little-endian: the low bytes */
    switch (value->element_type) {
    case AE_GGUF_U8:
    case AE_GGUF_U16:
    case AE_GGUF_U32:
    case AE_GGUF_U64:
        *out = (int64_t)bits;
        return bits <= INT64_MAX;
    case AE_GGUF_I8:
        *out = (int8_t)bits;
        return true;
    case AE_GGUF_I16:
        *out = (int16_t)bits;
        return true;
    case AE_GGUF_I32:
        *out = (int32_t)bits;
        return true;
    case AE_GGUF_I64:
        *out = (int64_t)bits;
        return true;
    default:
        return false;
    }
}

bool ae_gguf_float(const ae_gguf_value *value, uint64_t i, double *out)
{
    float narrow;

    if (value->element_type == AE_GGUF_F32) {
        memcpy(&narrow, value->data + 4 * i, sizeof narrow);
        *out = narrow;
        return true;
    }
    if (value->element_type != AE_GGUF_F64) return false;
    memcpy(out, value->data + 8 * i, sizeof *out);
    return true;
}

static aerie_status wrong_type(const ae_gguf *g, const ae_gguf_value *value, const char *wanted,
                               aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s: metadata '%s' is %s%s, but %s is wanted", g->name,
                      value->key, value->type == AE_GGUF_ARRAY ? "an array of " : "of type ",
                      ae_gguf_type_name(value->element_type), wanted);
}

static aerie_status out_of_range(const ae_gguf *g, const ae_gguf_value *value, const char *wanted,
                                 aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE, "%s: metadata '%s' is out of range; %s is wanted",
                      g->name, value->key, wanted);
}

/* The value of a key that must be there, and be an array or be none. */
static aerie_status find_value(const ae_gguf *g, const char *key, bool array, const char *wanted,
                               const ae_gguf_value **out, aerie_error *err)
{
    *out = ae_gguf_find(g, key);
    if (!*out)
        return aerie_fail(err, AERIE_NOT_FOUND, "%s: metadata '%s' is missing", g->name, key);
    if (((*out)->type == AE_GGUF_ARRAY) != array) return wrong_type(g, *out, wanted, err);
    return AERIE_OK;
}

static bool is_integer(ae_gguf_type type)
{
    return type <= AE_GGUF_I32 || type == AE_GGUF_U64 || type == AE_GGUF_I64;
}

static aerie_status integer_within(const ae_gguf *g, const char *key, int64_t least, int64_t most,
                                   int64_t *out, aerie_error *err)
{
    static const char wanted[] = "a whole number";
    const ae_gguf_value *value;
    int64_t number;
    aerie_status status = find_value(g, key, false, wanted, &value, err);

    if (status) return status;
    if (!is_integer(value->element_type)) return wrong_type(g, value, wanted, err);
    if (!ae_gguf_integer(value, 0, &number) || number < least || number > most)
        return out_of_range(g, value, wanted, err);
    *out = number;
    return AERIE_OK;
}

aerie_status ae_gguf_u32(const ae_gguf *g, const char *key, uint32_t *out, aerie_error *err)
{
    int64_t number = 0;
    aerie_status status = integer_within(g, key, 0, UINT32_MAX, &number, err);

    if (!status) *out = (uint32_t)number;
    return status;
}

aerie_status ae_gguf_i64(const ae_gguf *g, const char *key, int64_t *out, aerie_error *err)
{
    return integer_within(g, key, INT64_MIN, INT64_MAX, out, err);
}

aerie_status ae_gguf_f32(const ae_gguf *g, const char *key, float *out, aerie_error *err)
{
    const ae_gguf_value *value;
    double number;
    aerie_status status = find_value(g, key, false, "a float", &value, err);

    if (status) return status;
    if (!ae_gguf_float(value, 0, &number)) return wrong_type(g, value, "a float", err);
    *out = (float)number;
    return AERIE_OK;
}

aerie_status ae_gguf_bool(const ae_gguf *g, const char *key, bool *out, aerie_error *err)
{
    const ae_gguf_value *value;
    aerie_status status = find_value(g, key, false, "a bool", &value, err);

    if (status) return status;
    if (value->type != AE_GGUF_BOOL) return wrong_type(g, value, "a bool", err);
    if (value->data[0] > 1) return out_of_range(g, value, "0 or 1", err);
    *out = value->data[0] == 1;
    return AERIE_OK;
}

aerie_status ae_gguf_text(const ae_gguf *g, const char *key, ae_span *out, aerie_error *err)
{
    const ae_gguf_value *value;
    aerie_status status = find_value(g, key, false, "a text", &value, err);

    if (status) return status;
    if (value->type != AE_GGUF_TEXT) return wrong_type(g, value, "a text", err);
    *out = value->texts[0];
    return AERIE_OK;
}

aerie_status ae_gguf_texts(const ae_gguf *g, const char *key, const ae_span **out, size_t *n,
                           aerie_error *err)
{
    static const char wanted[] = "an array of texts";
    const ae_gguf_value *value;
    aerie_status status = find_value(g, key, true, wanted, &value, err);

    if (status) return status;
    if (value->element_type != AE_GGUF_TEXT) return wrong_type(g, value, wanted, err);
    *out = value->texts;
    *n = (size_t)value->count;
    return AERIE_OK;
}

aerie_status ae_gguf_f32s(const ae_gguf *g, const char *key, float **out, size_t *n,
                          ae_arena *arena, aerie_error *err)
{
    static const char wanted[] = "an array of floats";
    const ae_gguf_value *value;
    double number = 0.0;
    float *numbers;
    aerie_status status = find_value(g, key, true, wanted, &value, err);

    if (status) return status;
    if (value->element_type != AE_GGUF_F32 && value->element_type != AE_GGUF_F64)
        return wrong_type(g, value, wanted, err);
    numbers = ae_arena_take_raw(arena, (size_t)value->count, sizeof *numbers);
    if (!numbers)
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for '%s'", g->name, key);
    for (uint64_t i = 0; i < value->count; i++) {
        ae_gguf_float(value, i, &number);
        numbers[i] = (float)number;
    }
    *out = numbers;
    *n = (size_t)value->count;
    return AERIE_OK;
}

aerie_status ae_gguf_i32s(const ae_gguf *g, const char *key, int32_t **out, size_t *n,
                          ae_arena *arena, aerie_error *err)
{
    static const char wanted[] = "an array of 32-bit whole numbers";
    const ae_gguf_value *value;
    int32_t *numbers;
    aerie_status status = find_value(g, key, true, wanted, &value, err);

    if (status) return status;
    if (!is_integer(value->element_type)) return wrong_type(g, value, wanted, err);
    numbers = ae_arena_take_raw(arena, (size_t)value->count, sizeof *numbers);
    if (!numbers)
        return aerie_fail(err, AERIE_NO_MEMORY, "%s: out of memory for '%s'", g->name, key);
    for (uint64_t i = 0; i < value->count; i++) {
        int64_t number;
        if (!ae_gguf_integer(value, i, &number) || number < INT32_MIN || number > INT32_MAX)
            return out_of_range(g, value, wanted, err);
        numbers[i] = (int32_t)number;
    }
    *out = numbers;
    *n = (size_t)value->count;
    return AERIE_OK;
}
