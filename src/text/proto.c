/* proto.c -- Protocol Buffers' wire format: a message is a row of (number, kind, value). */
#include "text/proto.h"

#include <string.h>

static bool read_varint(ae_span m, size_t *at, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte;

        if (*at >= m.len) return false;
        byte = (uint8_t)m.data[(*at)++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static bool read_fixed(ae_span m, size_t *at, int n_bytes, uint64_t *value)
{
    *value = 0;
    if (m.len - *at < (size_t)n_bytes) return false;
    for (int i = 0; i < n_bytes; i++) *value |= (uint64_t)(uint8_t)m.data[(*at)++] << (8 * i);
    return true;
}

bool ae_proto_next(ae_span message, size_t *at, ae_proto_field *field)
{
    uint64_t key;

    *field = (ae_proto_field){ 0 };
    if (!read_varint(message, at, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return false;
    field->number = (uint32_t)(key >> 3);
    field->wire = (ae_proto_wire)(key & 7);
    switch (field->wire) {
    case AE_PROTO_VARINT:
        return read_varint(message, at, &field->value);
    case AE_PROTO_FIXED64:
        return read_fixed(message, at, 8, &field->value);
    case AE_PROTO_FIXED32:
        return read_fixed(message, at, 4, &field->value);
    case AE_PROTO_BYTES:
        if (!read_varint(message, at, &field->value)) return false;
        if (field->value > message.len - *at) return false;
        field->bytes = (ae_span){ message.data + *at, (size_t)field->value };
        *at += field->bytes.len;
        return true;
    }
    return false; /* groups, which nobody writes any more */
}

float ae_proto_float(const ae_proto_field *field)
{
    uint32_t bits = (uint32_t)field->value;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}
