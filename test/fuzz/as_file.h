/* as_file.h -- bytes under a path, for parsers that read files: one temporary file without a name,
 * written anew for every input. */
#ifndef AE_FUZZ_AS_FILE_H
#define AE_FUZZ_AS_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A static path, good until the next call. */
static inline const char *as_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static FILE *file;

    if (!file) file = tmpfile();
    if (!file || ftruncate(fileno(file), 0) ||
        pwrite(fileno(file), data, size, 0) != (ssize_t)size) {
        perror("as_file");
        exit(2);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(file));
    return path;
}

#endif
