/* store.c -- what all of hub needs: paths, sizes, and the lock between those who add and remove. */
#include "hub/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *ae_where_name(ae_where where)
{
    static const char *const names[] = { "store",     "plain",       "ollama",
                                         "installed", "huggingface", "file" };

    return names[where];
}

void ae_store_path(ae_bytes *path, const char *a, const char *b, const char *c)
{
    ae_bytes_clear(path);
    ae_bytes_printf(path, "%s/%s%s%s", a, b, c ? "/" : "", c ? c : "");
}

bool ae_store_stat(const char *path, int64_t *bytes, int64_t *modified)
{
    struct stat info;

    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if (bytes) *bytes = info.st_size;
    if (modified) *modified = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return true;
}

aerie_status ae_store_need(const ae_places *places, aerie_error *err)
{
    if (places->models && *places->models) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "no folder for the store of models is set");
}

/* flock, not fcntl: it is the open file's, so threads of one process keep each other out as well.
 */
aerie_status ae_store_lock(int *lock, const ae_places *places, bool exclusive, aerie_error *err)
{
    char *path = NULL;
    aerie_status status = ae_store_need(places, err);
    int problem;

    *lock = -1;
    if (!status) status = ae_file_make_folder(places->models, err);
    if (status) return status;
    path = ae_path_join(places->models, ".lock");
    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    problem = errno;
    /* A file system without locks is used by one process, it is to be hoped. */
    while (*lock >= 0 && flock(*lock, exclusive ? LOCK_EX : LOCK_SH) && errno == EINTR) continue;
    if (*lock < 0)
        status = aerie_fail(err, AERIE_IO, "%s: the store cannot be locked: %s", path,
                            strerror(problem));
    ae_free(path);
    return status;
}

void ae_store_unlock(int lock)
{
    if (lock >= 0) close(lock);
}
