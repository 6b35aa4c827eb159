/* thrift.h -- Thrift's compact protocol, read: the language of Parquet's headers. Private to
 * format.
 *
 * A reader never passes its end: what is cut off or makes no sense sets `bad`, which sticks, and
 * every value after it is 0. So a caller reads a whole structure and looks once. */
#ifndef AE_FORMAT_THRIFT_H
#define AE_FORMAT_THRIFT_H

#include "base/base.h"

/* The numbers are the protocol's. */
typedef enum {
    AE_THRIFT_TRUE = 1,
    AE_THRIFT_FALSE = 2,
    AE_THRIFT_I8 = 3,
    AE_THRIFT_I16 = 4,
    AE_THRIFT_I32 = 5,
    AE_THRIFT_I64 = 6,
    AE_THRIFT_DOUBLE = 7,
    AE_THRIFT_BINARY = 8,
    AE_THRIFT_LIST = 9,
    AE_THRIFT_SET = 10,
    AE_THRIFT_MAP = 11,
    AE_THRIFT_STRUCT = 12
} ae_thrift_type;

typedef struct {
    const uint8_t *at, *end;
    bool bad;
} ae_thrift;

/* A field of a struct; one zeroed ae_thrift_field walks one struct. False: the struct has ended. */
typedef struct {
    int id, type;
} ae_thrift_field;
bool ae_thrift_next(ae_thrift *t, ae_thrift_field *field);

uint64_t ae_thrift_varint(ae_thrift *t);
/* The field's integer; another type is bad. */
int64_t ae_thrift_int(ae_thrift *t, const ae_thrift_field *field);
bool ae_thrift_bool(ae_thrift *t, const ae_thrift_field *field);
ae_span ae_thrift_binary(ae_thrift *t, const ae_thrift_field *field);
/* The number of items of a list whose items have this type. At most one a byte that is left. */
size_t ae_thrift_list(ae_thrift *t, const ae_thrift_field *field, ae_thrift_type item);
void ae_thrift_skip(ae_thrift *t, const ae_thrift_field *field);

#endif
