/* bench_tokenize.c -- how fast a tokenizer is: bench_tokenize TOKENIZER TEXT [ROUNDS]
 *
 * Prints the time to load, the best of ROUNDS (3) over the whole text at once, and the number of
 * ids and a sum over them, to compare with another program's. */
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t sum_of(const ae_ids *ids)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < ids->len; i++) sum = sum * 31 + (uint64_t)ids->data[i];
    return sum;
}

static aerie_status run(const char *model, const char *path, int rounds, aerie_error *err)
{
    ae_tokenizer *t = NULL;
    ae_bytes text = { 0 }, back = { 0 };
    ae_ids ids = { 0 };
    double start = ae_clock_seconds(), best = 1e9, took;
    aerie_status status = ae_tokenizer_open(&t, model, err);

    if (status) goto done;
    printf("load       %8.3f s\n", ae_clock_seconds() - start);
    status = ae_file_read(&text, path, 0, err);
    for (int i = 0; i < rounds && !status; i++) {
        ae_ids_clear(&ids);
        start = ae_clock_seconds();
        status = ae_tokenizer_encode(t, ae_span_of(&text), 0, &ids, NULL, err);
        took = ae_clock_seconds() - start;
        if (took < best) best = took;
    }
    if (status) goto done;
    printf("encode     %8.3f s  %8.2f MB/s  %zu ids, sum %016llx\n", best,
           (double)text.len / 1e6 / best, ids.len, (unsigned long long)sum_of(&ids));
    start = ae_clock_seconds();
    status = ae_tokenizer_decode(t, ids.data, ids.len, false, &back, err);
    took = ae_clock_seconds() - start;
    printf("decode     %8.3f s  %8.2f MB/s  %s\n", took, (double)text.len / 1e6 / took,
           ae_span_equal(ae_span_of(&back), ae_span_of(&text)) ? "equal" : "not equal");
done:
    ae_tokenizer_close(t);
    ae_bytes_free(&text);
    ae_bytes_free(&back);
    ae_ids_free(&ids);
    return status;
}

int main(int argc, char **argv)
{
    aerie_error err = { 0 };

    if (argc < 3) {
        fprintf(stderr, "usage: bench_tokenize TOKENIZER TEXT [ROUNDS]\n");
        return 2;
    }
    if (run(argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 3, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}
