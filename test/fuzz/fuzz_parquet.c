/* fuzz_parquet.c -- opens bytes as a Parquet file and reads its rows, as many as a small file has.
 */
#include "format/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ROWS = 2000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aerie_error err = { 0 };
    ae_parquet *p;

    if (ae_parquet_open_memory(&p, data, size, "fuzz", &err)) {
        if (!err.message[0]) __builtin_trap();
        return 0;
    }
    for (int i = 0; i < MOST_ROWS; i++) {
        json_t *row;
        aerie_status status = ae_parquet_next(p, &row, &err);
        if (status && (row || !err.message[0])) __builtin_trap();
        if (!row) break;
        json_decref(row);
    }
    ae_parquet_close(p);
    return 0;
}
