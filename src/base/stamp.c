/* stamp.c -- what tells a file from another that had its name. */
#include "base/base.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool add_file(ae_bytes *out, const char *path)
{
    struct stat is;

    if (stat(path, &is) != 0) return false;
    ae_bytes_printf(out, "%lld bytes %lld.%09ld", (long long)is.st_size,
                    (long long)is.st_mtim.tv_sec, (long)is.st_mtim.tv_nsec);
    return true;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void add_folder(ae_bytes *out, const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_shown, alphasort);

    for (int i = 0; i < n; i++) {
        char *file = ae_path_join(path, entries[i]->d_name);
        ae_bytes_printf(out, "%s ", entries[i]->d_name);
        /* A folder within changes with what is done to it, and is none of a model. */
        if (file && !ae_file_is_folder(file)) add_file(out, file);
        ae_bytes_add_char(out, '\n');
        ae_free(file);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
}

void ae_file_stamp(ae_bytes *out, const char *path)
{
    const char *scale = strrchr(path, '=');

    if (ae_file_is_folder(path)) {
        add_folder(out, path);
    } else if (!add_file(out, path) && scale) {
        char *file = ae_strndup(path, (size_t)(scale - path));
        if (file) ae_file_stamp(out, file);
        ae_free(file);
    }
}
