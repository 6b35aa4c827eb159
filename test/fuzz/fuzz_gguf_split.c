/* fuzz_gguf_split.c -- opens bytes as the first of a model's parts, with the others beside it.
 *
 * An input holds the parts one behind the other (test/format/parts.h): how many the names say, how
 * long each is, and their bytes. A part without bytes is not there. */
#include "format/format.h"
#include "format/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void leave(void)
{
    rmdir(folder);
}

/* In memory where the system has files there: an input is written for every run. */
static void make_folder(void)
{
    if (*folder) return;
    snprintf(folder, sizeof folder, "/dev/shm/aerie-fuzz-XXXXXX");
    if (!mkdtemp(folder)) {
        snprintf(folder, sizeof folder, "/tmp/aerie-fuzz-XXXXXX");
        if (!mkdtemp(folder)) {
            perror("fuzz_gguf_split");
            exit(2);
        }
    }
    atexit(leave);
}

/* The data is touched: a sanitizer sees what does not belong to a part. */
static void read_all(ae_gguf *g)
{
    const ae_tensor_list *list = ae_gguf_tensors(g);
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < ae_tensor_list_len(list); i++) {
        const ae_stored_tensor *t = ae_tensor_list_at(list, i);
        const uint8_t *bytes = t->data;
        for (size_t b = 0; b < t->bytes; b++) sum = (uint8_t)(sum + bytes[b]);
        ae_gguf_forget(g, t->data, t->bytes);
    }
    ae_gguf_forget(g, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aerie_error err = { 0 };
    int count;
    ae_gguf *g;

    make_folder();
    count = parts_write(folder, data, size);
    if (!count) return 0;
    char *first = part_path_of(folder, 0, count);
    if (first && ae_gguf_open(&g, first, &err) == AERIE_OK) {
        read_all(g);
        ae_gguf_close(g);
    }
    ae_free(first);
    parts_remove(folder, count);
    return 0;
}
