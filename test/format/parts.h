/* parts.h -- the parts of a model in one row of bytes, for fuzzing: how many the names say (1
 * byte), how long each is (4 bytes a part, little-endian), and their bytes. What is too long is cut
 * off; a part of no bytes is not there. */
#ifndef AE_TEST_PARTS_H
#define AE_TEST_PARTS_H

#include "base/base.h"

#include <stdio.h>
#include <unistd.h>

enum { MOST_PARTS_WRITTEN = 4 };

/* Of part `no`, from 0; the caller frees it. */
static inline char *part_path_of(const char *folder, int no, int count)
{
    char name[64];

    snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", no + 1, count);
    return ae_path_join(folder, name);
}

/* Plainly: an input of a fuzzer is not worth a sync. */
static inline void part_write(const char *path, const uint8_t *data, size_t len)
{
    FILE *file = len ? fopen(path, "wb") : NULL;

    if (!file) return;
    fwrite(data, 1, len, file);
    fclose(file);
}

/* The files of such a row; how many the names say, 0: there are none. */
static inline int parts_write(const char *folder, const uint8_t *data, size_t size)
{
    int count = size ? 1 + data[0] % MOST_PARTS_WRITTEN : 0;
    size_t at = 1 + 4 * (size_t)count;

    if (!count || at > size) return 0;
    for (int i = 0; i < count; i++) {
        const uint8_t *b = data + 1 + 4 * i;
        size_t len = b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
        if (len > size - at) len = size - at;
        char *path = part_path_of(folder, i, count);
        if (path) part_write(path, data + at, len);
        ae_free(path);
        at += len;
    }
    return count;
}

static inline void parts_remove(const char *folder, int count)
{
    for (int i = 0; i < count; i++) {
        char *path = part_path_of(folder, i, count);
        if (path) unlink(path);
        ae_free(path);
    }
}

/* The same row of a folder's files. */
static inline aerie_status parts_read(ae_bytes *out, const char *folder, int count)
{
    ae_bytes files = { 0 };

    ae_bytes_add_char(out, (char)(count - 1));
    for (int i = 0; i < count; i++) {
        char *path = part_path_of(folder, i, count);
        ae_file file = { 0 };
        if (path) ae_file_open(&file, path, NULL); /* a missing part is one of no bytes */
        ae_bytes_add(&files, file.data, file.size);
        for (int b = 0; b < 4; b++) ae_bytes_add_char(out, (char)(file.size >> 8 * b & 255));
        ae_file_close(&file);
        ae_free(path);
    }
    ae_bytes_add(out, files.data, files.len);
    out->failed = out->failed || files.failed;
    ae_bytes_free(&files);
    return ae_bytes_status(out, NULL);
}

#endif
