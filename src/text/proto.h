/* proto.h -- reads Protocol Buffers' wire format, every length checked. */
#ifndef AE_PROTO_H
#define AE_PROTO_H

#include "base/base.h"

typedef enum {
    AE_PROTO_VARINT = 0,
    AE_PROTO_FIXED64 = 1,
    AE_PROTO_BYTES = 2,
    AE_PROTO_FIXED32 = 5
} ae_proto_wire;

typedef struct {
    uint32_t number;
    ae_proto_wire wire;
    uint64_t value; /* of a varint or fixed number */
    ae_span bytes;  /* of AE_PROTO_BYTES; borrowed */
} ae_proto_field;

/* Reads the field at *at and moves past it (*at < message.len). False: it is damaged. */
bool ae_proto_next(ae_span message, size_t *at, ae_proto_field *field);
/* A fixed32 as the float that it holds. */
float ae_proto_float(const ae_proto_field *field);

#endif
