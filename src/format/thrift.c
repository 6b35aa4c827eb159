/* thrift.c -- Thrift's compact protocol: variable-length integers, fields by distance, and skipping
 * what one does not know. */
#include "format/thrift.h"

enum { DEEPEST = 32 };

static void give_up(ae_thrift *t)
{
    t->bad = true;
    t->at = t->end;
}

static uint8_t byte(ae_thrift *t)
{
    if (t->at < t->end) return *t->at++;
    give_up(t);
    return 0;
}

uint64_t ae_thrift_varint(ae_thrift *t)
{
    uint64_t value = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = byte(t);
        value |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return value;
    }
    give_up(t);
    return 0;
}

static int64_t zigzag(ae_thrift *t)
{
    uint64_t v = ae_thrift_varint(t);

    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

bool ae_thrift_next(ae_thrift *t, ae_thrift_field *field)
{
    uint8_t b = byte(t);

    field->type = b & 0x0f;
    if (t->bad || field->type == 0) return false;
    /* The id is told by its distance to the last one, or in full. */
    int64_t id = b >> 4 ? field->id + (b >> 4) : zigzag(t);
    if (id < 1 || id > INT16_MAX) give_up(t);
    field->id = (int)id;
    return !t->bad;
}

int64_t ae_thrift_int(ae_thrift *t, const ae_thrift_field *field)
{
    if (field->type == AE_THRIFT_I8) return (int8_t)byte(t);
    if (field->type >= AE_THRIFT_I16 && field->type <= AE_THRIFT_I64) return zigzag(t);
    give_up(t);
    return 0;
}

bool ae_thrift_bool(ae_thrift *t, const ae_thrift_field *field)
{
    if (field->type != AE_THRIFT_TRUE && field->type != AE_THRIFT_FALSE) give_up(t);
    return field->type == AE_THRIFT_TRUE;
}

ae_span ae_thrift_binary(ae_thrift *t, const ae_thrift_field *field)
{
    ae_span span = { (const char *)t->at, 0 };
    uint64_t n;

    if (field->type != AE_THRIFT_BINARY) give_up(t);
    n = t->bad ? 0 : ae_thrift_varint(t);
    if (n > (size_t)(t->end - t->at)) give_up(t);
    if (t->bad) return span;
    span = (ae_span){ (const char *)t->at, (size_t)n };
    t->at += n;
    return span;
}

/* The head of a list or set: 15 in the upper half says that the count follows. */
static size_t list_head(ae_thrift *t, int *item)
{
    uint8_t b = byte(t);
    uint64_t n = b >> 4 == 15 ? ae_thrift_varint(t) : b >> 4;

    *item = b & 0x0f;
    if (n > (size_t)(t->end - t->at)) give_up(t);
    return t->bad ? 0 : (size_t)n;
}

size_t ae_thrift_list(ae_thrift *t, const ae_thrift_field *field, ae_thrift_type item)
{
    int type = 0;
    size_t n;

    if (field->type != AE_THRIFT_LIST) give_up(t);
    n = t->bad ? 0 : list_head(t, &type);
    if (n && type != (int)item) give_up(t);
    return t->bad ? 0 : n;
}

static void skip(ae_thrift *t, int type, bool in_list, int depth);

static void skip_fields(ae_thrift *t, int depth)
{
    ae_thrift_field f = { 0 };

    while (ae_thrift_next(t, &f)) skip(t, f.type, false, depth);
}

static void skip_items(ae_thrift *t, int depth)
{
    int item;
    size_t n = list_head(t, &item);

    for (size_t i = 0; i < n && !t->bad; i++) skip(t, item, true, depth);
}

static void skip_map(ae_thrift *t, int depth)
{
    uint64_t n = ae_thrift_varint(t);
    uint8_t types = n ? byte(t) : 0;

    for (uint64_t i = 0; i < n && !t->bad; i++) {
        skip(t, types >> 4, true, depth);
        skip(t, types & 0x0f, true, depth);
    }
}

/* A bool of a struct is told by its type; one in a list takes a byte. */
static void skip(ae_thrift *t, int type, bool in_list, int depth)
{
    if (depth > DEEPEST) give_up(t);
    if (t->bad) return;
    switch (type) {
    case AE_THRIFT_TRUE:
    case AE_THRIFT_FALSE:
        if (in_list) byte(t);
        return;
    case AE_THRIFT_I8:
        byte(t);
        return;
    case AE_THRIFT_I16:
    case AE_THRIFT_I32:
    case AE_THRIFT_I64:
        ae_thrift_varint(t);
        return;
    case AE_THRIFT_DOUBLE:
        for (int i = 0; i < 8; i++) byte(t);
        return;
    case AE_THRIFT_BINARY:
        ae_thrift_binary(t, &(ae_thrift_field){ .type = type });
        return;
    case AE_THRIFT_LIST:
    case AE_THRIFT_SET:
        skip_items(t, depth + 1);
        return;
    case AE_THRIFT_MAP:
        skip_map(t, depth + 1);
        return;
    case AE_THRIFT_STRUCT:
        skip_fields(t, depth + 1);
        return;
    default:
        give_up(t);
    }
}

void ae_thrift_skip(ae_thrift *t, const ae_thrift_field *field)
{
    skip(t, field->type, false, 0);
}
