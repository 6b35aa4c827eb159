/* scratch.h -- a folder for one test's files, gone when the test is. */
#ifndef AE_TEST_SCRATCH_H
#define AE_TEST_SCRATCH_H

#include "base/base.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h> /* wants setjmp.h and stdarg.h before it */

/* Its path, to be given to scratch_remove(). */
static inline char *scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    char *path = ae_path_join(base && *base ? base : "/tmp", "aerie-test-XXXXXX");

    assert_non_null(path);
    assert_non_null(mkdtemp(path));
    return path;
}

/* Removes the folder's files, and its folders of files. */
static inline void scratch_remove(char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        char *inner;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        inner = ae_path_join(path, entry->d_name);
        if (ae_file_is_folder(inner)) {
            scratch_remove(inner);
            continue;
        }
        unlink(inner);
        ae_free(inner);
    }
    if (folder) closedir(folder);
    rmdir(path);
    ae_free(path);
}

/* How many entries the folder has. */
static inline int scratch_count(const char *path)
{
    DIR *folder = opendir(path);
    int n = -2; /* "." and ".." */

    while (folder && readdir(folder)) n++;
    if (folder) closedir(folder);
    return n;
}

#endif
